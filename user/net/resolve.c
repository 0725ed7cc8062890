/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/thread.h"

/* question: two threads hold it, and the last one frees it. */
struct question {
	atomic_uint holder_cnt;
	int answered;			/* eventfd */
	char *text;
	unsigned max;
	__u16 default_port;
	struct pt_address found[PT_ADDRESSES_MAX];
	int result;
	struct pt_error error;
};

static void let_go(struct question *q)
{
	if (atomic_fetch_sub(&q->holder_cnt, 1) > 1)
		return;
	if (q->answered >= 0)
		close(q->answered);
	free(q->text);
	free(q);
}

static void *resolve_main(void *arg)
{
	struct question *q = arg;

	q->result = pt_address_resolve(q->found, q->max, q->text,
				       q->default_port, &q->error);
	eventfd_write(q->answered, 1);
	let_go(q);
	return NULL;
}

static struct question *question_make(unsigned max, const char *text,
				      __u16 default_port)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->holder_cnt = 1;
	q->max = max;
	q->default_port = default_port;
	q->text = strdup(text);
	q->answered = eventfd(0, EFD_CLOEXEC);
	if (q->text && q->answered >= 0)
		return q;
	let_go(q);
	return NULL;
}

/* await returns 0, -ETIMEDOUT or -ECANCELED. */
static int await(const struct question *q, __u64 deadline_ns, int stop_fd,
		 struct pt_error *err)
{
	struct pollfd fds[] = {
		{ .fd = q->answered, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};

	while (pt_left_ms(deadline_ns)) {
		if (poll(fds, 2, pt_left_ms(deadline_ns)) < 0)
			continue;	/* EINTR */
		if (fds[1].revents)
			return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
					    "%.200s: stopped while asking for "
					    "its address", q->text);
		if (fds[0].revents)
			return 0;
	}
	return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT, "%.200s: the name "
			    "service does not answer (see resolv.conf(5), or "
			    "use an address)", q->text);
}

/* is_address: the text needs no name service.  A malformed address is refused
 * at once, too. */
static bool is_address(const char *text)
{
	char host[PT_ADDRESS_HOST_SZ];
	struct in_addr v4;

	return pt_address_host(host, text, NULL) || strchr(host, ':') ||
	       inet_pton(AF_INET, host, &v4) == 1;
}

int pt_resolve(struct pt_address *out, unsigned max, const char *text,
	       __u16 default_port, __u64 deadline_ns, int stop_fd,
	       struct pt_error *err)
{
	struct question *q;
	pthread_t thread;
	int ret;

	if (is_address(text))
		return pt_address_resolve(out, max, text, default_port, err);
	q = question_make(max, text, default_port);
	if (!q)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%.200s: no "
				    "memory to ask for its address", text);
	q->holder_cnt++;
	ret = pt_thread_start(&thread, resolve_main, q, "pt-resolve");
	if (ret) {
		q->holder_cnt--;
		let_go(q);
		return pt_error_set(err, PT_EXIT_HOST, ret, "%.200s: cannot "
				    "start a thread to ask for its address: %s "
				    "(raise ulimit -u)", text, strerror(-ret));
	}
	ret = await(q, deadline_ns, stop_fd, err);
	if (ret) {
		pthread_detach(thread);
	} else {
		/* The thread ends before privileges are dropped, which are per
		 * thread. */
		pthread_join(thread, NULL);
		ret = q->result;
		if (ret > 0)
			memcpy(out, q->found, ret * sizeof(*out));
		else if (err)
			*err = q->error;
	}
	let_go(q);
	return ret;
}
