/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/live_recv.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/live_send.h"
#include "api/opts.h"
#include "base/thread.h"

struct api_live_recv {
	struct pt_live_recv o;
	struct pt_receive_guest guest;
	pthread_t thread;
	bool is_begun;			/* the thread was started */
	int fd;				/* our end of the stream */
	atomic_bool is_taken;		/* the program took the state */
};

static int match(void *arg, const char *theirs, struct pt_error *err)
{
	const struct api_live_recv *l = arg;
	size_t sz = strlen(API_LIVE_PREFIX);
	int ret;

	if (strncmp(theirs, API_LIVE_PREFIX, sz))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "a guest of a "
				    "hypervisor is sent, and the receiver waits "
				    "for a program that uses libpagetrim");
	ret = l->o.match ? l->o.match(theirs + sz, l->o.arg) : 0;
	return ret < 0 ? pt_error_set(err, PT_EXIT_PEER, ret, "the program "
				      "at the receiver refuses the sender's: %s",
				      strerror(-ret)) : 0;
}

/* read_all: false: the stream has ended early. */
static bool read_all(int fd, void *to, size_t sz)
{
	ssize_t got = sz ? recv(fd, to, sz, MSG_WAITALL) : 0;

	return got >= 0 && (size_t)got == sz;
}

/* read_state: a size that is too large counts as refused by the program. */
static int read_state(struct api_live_recv *l)
{
	int ret = -EMSGSIZE;
	void *bytes;
	__be64 head;
	__u64 sz;

	if (!read_all(l->fd, &head, sizeof(head)))
		return -EPIPE;
	sz = be64toh(head);
	if (sz > PT_LIVE_STATE_SZ_MAX)
		return -EMSGSIZE;
	bytes = malloc(sz + 1);
	if (!bytes)
		return -ENOMEM;
	if (!read_all(l->fd, bytes, sz))
		ret = -EPIPE;
	else if (l->o.state)
		ret = l->o.state(bytes, sz, l->o.arg);
	else if (!sz)
		ret = 0;
	free(bytes);
	return ret;
}

static void *state_main(void *arg)
{
	struct api_live_recv *l = arg;
	int ret = read_state(l);
	__u8 answer = ret < 0;

	if (ret == -EPIPE)
		return NULL;
	atomic_store(&l->is_taken, !answer);
	send(l->fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	return NULL;
}

static int begin(void *arg, int *fd, struct pt_error *err)
{
	struct api_live_recv *l = arg;
	int fds[2], ret;

	if (l->is_begun)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "a program has "
				    "arrived here already");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "no stream for "
				    "the state: %s", strerror(errno));
	l->fd = fds[0];
	ret = pt_thread_start(&l->thread, state_main, l, "pt-state");
	if (ret) {
		close(fds[0]);
		close(fds[1]);
		return pt_error_set(err, PT_EXIT_HOST, ret, "no thread for the "
				    "state: %s", strerror(-ret));
	}
	l->is_begun = true;
	*fd = fds[1];
	return 0;
}

/* loaded follows COMMIT, which a sender sends after the answer.  All else that a
 * commit of regions needs is done by then. */
static int loaded(void *arg, struct pt_error *err)
{
	struct api_live_recv *l = arg;
	int ret;

	if (!l->is_begun || !atomic_load(&l->is_taken))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "the sender "
				    "commits a program whose state was not "
				    "taken");
	ret = l->o.run(l->o.arg);
	return ret < 0 ? pt_error_set(err, PT_EXIT_HOST, ret, "the program does "
				      "not run at the receiver: %s",
				      strerror(-ret)) : 0;
}

int api_live_recv_open(struct api_live_recv **out,
		       const struct pt_live_recv *live, struct api_error *err)
{
	struct api_live_recv *l;
	struct pt_live_recv o;
	struct pt_error why;
	int ret = api_opts_copy(&o, sizeof(o), live, "pt_live_recv", err);

	if (ret)
		return ret;
	if (!o.run)
		return api_mistake(err, "live: run is NULL");
	l = calloc(1, sizeof(*l));
	if (!l) {
		ret = pt_error_set(&why, PT_EXIT_HOST, -ENOMEM, "no memory");
		return api_fail(err, ret, &why);
	}
	l->o = o;
	l->guest = (struct pt_receive_guest){
		.name = "", .match = match, .begin = begin, .loaded = loaded,
		.arg = l,
	};
	*out = l;
	return 0;
}

const struct pt_receive_guest *
api_live_recv_guest(const struct api_live_recv *l)
{
	return &l->guest;
}

void api_live_recv_close(struct api_live_recv *l)
{
	if (!l)
		return;
	if (l->is_begun) {
		shutdown(l->fd, SHUT_RDWR);
		pthread_join(l->thread, NULL);
		close(l->fd);
	}
	free(l);
}
