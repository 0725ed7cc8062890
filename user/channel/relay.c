/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include "base/files.h"

#define PART_SZ		PT_FILE_DATA_SZ_MAX
#define PARTS_MAX	16	/* read per step, so that others get a turn */

struct pt_relay {
	int fd;			/* -1: not yet */
	struct pt_conn *conn;
	int epoll;		/* holds fd while watched is not 0 */
	__u32 watched;		/* events of fd */
	bool has_any_length;
	struct pt_relay_counts counts;
	int failure;		/* the first -errno, or 0 */
	struct pt_error failed;

	/* From the socket. */
	__u8 part[PART_SZ];	/* read, but the connection had no room */
	size_t part_sz;
	bool is_read;		/* the socket's stream has ended */
	bool is_held;

	/* To the socket. */
	__u8 *queue;
	size_t room, at, end;	/* bytes at..end wait */
	bool is_taken;		/* the peer's stream has ended */
};

static int fail(struct pt_relay *r, int code, enum pt_exit exit,
		const char *why)
{
	r->failure = code;
	return pt_error_set(&r->failed, exit, code, "state stream: %s", why);
}

/* fail_io: done is what the socket did not allow, who is at its other end and
 * moved sz bytes. */
static int fail_io(struct pt_relay *r, const char *done, const char *who,
		   __u64 sz)
{
	int code = -errno;
	char why[160];

	if (code == -EPIPE || code == -ECONNRESET)
		snprintf(why, sizeof(why), "its %s closed it after %llu bytes "
			 "(its own log tells why)", who, sz);
	else
		snprintf(why, sizeof(why), "cannot be %s: %s", done,
			 strerror(-code));
	return fail(r, code, PT_EXIT_HOST, why);
}

static int fail_read(struct pt_relay *r)
{
	return fail_io(r, "read", "writer", r->counts.read_sz);
}

static int fail_write(struct pt_relay *r)
{
	return fail_io(r, "written", "reader", r->counts.written_sz);
}

static int tell(const struct pt_relay *r, struct pt_error *err)
{
	if (r->failure && err)
		*err = r->failed;
	return r->failure;
}

/* ---- from the socket to the connection ---- */

/* read_part returns 1 if part has bytes or the stream has ended; 0: nothing
 * now; -errno. */
static int read_part(struct pt_relay *r)
{
	ssize_t sz;

	if (r->part_sz || r->is_read)
		return 1;
	do
		sz = recv(r->fd, r->part, PART_SZ, MSG_DONTWAIT);
	while (sz < 0 && errno == EINTR);
	if (sz < 0)
		return errno == EAGAIN ? 0 : fail_read(r);
	if (!r->has_any_length &&
	    (__u64)sz > PT_STATE_SZ_MAX - r->counts.read_sz)
		return fail(r, -EFBIG, PT_EXIT_HOST, "it is longer than 64 MiB "
			    "(a device with that much state cannot be moved)");
	r->part_sz = sz;
	r->counts.read_sz += sz;
	r->is_read = !sz;
	return 1;
}

/* send_part: 1: done; 0: the connection has no room; -errno. */
static int send_part(struct pt_relay *r)
{
	const struct pt_message m = {
		.type = PT_MSG_STATE,
		.state = { .data = r->part, .data_sz = r->part_sz },
	};
	int ret;

	r->is_held = pt_conn_queued_sz(r->conn) > PT_RELAY_AHEAD_SZ;
	if (r->is_held)
		return 0;
	ret = pt_conn_send(r->conn, &m, &r->failed);
	r->is_held = ret == -ENOBUFS;
	if (r->is_held)
		return 0;
	if (ret)
		return r->failure = ret;
	r->counts.sent_sz += r->part_sz;
	r->counts.has_sent_end = !r->part_sz;
	r->part_sz = 0;
	return 1;
}

static void carry(struct pt_relay *r)
{
	if (r->fd < 0)
		return;
	for (int i = 0; i < PARTS_MAX && !r->counts.has_sent_end; i++) {
		if (read_part(r) <= 0 || send_part(r) <= 0)
			return;
	}
}

/* ---- from the connection to the socket ---- */

/* make_room: bytes at the front of the queue are dropped before it grows. */
static int make_room(struct pt_relay *r, size_t sz)
{
	size_t room = r->room ? r->room : PART_SZ;
	__u8 *queue;

	if (r->room - r->end >= sz)
		return 0;
	if (r->at) {
		memmove(r->queue, r->queue + r->at, r->end - r->at);
		r->end -= r->at;
		r->at = 0;
	}
	while (room - r->end < sz)
		room *= 2;
	if (room == r->room)
		return 0;
	queue = realloc(r->queue, room);
	if (!queue)
		return fail(r, -ENOMEM, PT_EXIT_HOST, "no memory for the bytes "
			    "that wait for its reader");
	r->queue = queue;
	r->room = room;
	return 0;
}

/* shut ends the socket's input; its reader may have closed it, which is an end,
 * too. */
static void shut(struct pt_relay *r)
{
	if (shutdown(r->fd, SHUT_WR) && errno != ENOTCONN)
		fail_write(r);
	else
		r->counts.has_written_end = true;
}

static void write_out(struct pt_relay *r)
{
	if (r->fd < 0)
		return;
	while (r->at < r->end) {
		ssize_t sz = send(r->fd, r->queue + r->at, r->end - r->at,
				  MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0) {
			if (errno != EAGAIN)
				fail_write(r);
			return;
		}
		r->at += sz;
		r->counts.written_sz += sz;
	}
	r->at = r->end = 0;
	if (r->is_taken && !r->counts.has_written_end)
		shut(r);
}

/* ---- both ---- */

/* watch: a socket that nobody waits for is not watched, since its hang-up is
 * reported always. */
static void watch(struct pt_relay *r)
{
	struct epoll_event ev = {
		.events = (!r->is_read && !r->is_held ? EPOLLIN : 0) |
			  (r->at < r->end ? EPOLLOUT : 0),
	};
	int op;

	if (r->failure || r->fd < 0)
		ev.events = 0;
	op = !r->watched ? EPOLL_CTL_ADD :
	     ev.events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
	if (ev.events == r->watched)
		return;
	if (epoll_ctl(r->epoll, op, r->fd, &ev) && !r->failure)
		fail_read(r);
	r->watched = ev.events;
}

int pt_relay_open(struct pt_relay **out, int fd, struct pt_conn *conn,
		  struct pt_error *err)
{
	struct pt_relay *r = calloc(1, sizeof(*r));
	int code;

	if (!r)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "state stream: no memory");
	r->fd = fd;
	r->conn = conn;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0) {
		code = -errno;
		free(r);
		return pt_error_set(err, PT_EXIT_HOST, code, "state stream: "
				    "epoll: %s%s", strerror(-code),
				    pt_files_remedy(code));
	}
	watch(r);
	if (r->failure) {
		code = tell(r, err);
		pt_relay_close(r);
		return code;
	}
	*out = r;
	return 0;
}

void pt_relay_attach(struct pt_relay *r, int fd)
{
	pt_check(r->fd < 0);
	r->fd = fd;
	watch(r);
}

void pt_relay_any_length(struct pt_relay *r)
{
	r->has_any_length = true;
}

bool pt_relay_is_full(const struct pt_relay *r)
{
	return r->end - r->at > PT_RELAY_FULL_SZ;
}

void pt_relay_close(struct pt_relay *r)
{
	if (!r)
		return;
	close(r->epoll);
	free(r->queue);
	free(r);
}

int pt_relay_fd(const struct pt_relay *r)
{
	return r->epoll;
}

/* room_sz: the bytes that the peer may send now. */
static __u64 room_sz(const struct pt_relay *r)
{
	return PT_STATE_SZ_MAX - (r->has_any_length ? r->end - r->at
						    : r->counts.taken_sz);
}

int pt_relay_take(struct pt_relay *r, const struct pt_msg_state *m,
		  struct pt_error *err)
{
	if (!r->failure && r->is_taken)
		fail(r, -EPROTO, PT_EXIT_PEER, "the peer continued it after its "
		     "end");
	if (!r->failure && m->data_sz > room_sz(r))
		fail(r, -EPROTO, PT_EXIT_PEER, "the peer sent more than 64 "
		     "MiB");
	if (!r->failure && !make_room(r, m->data_sz)) {
		if (m->data_sz)
			memcpy(r->queue + r->end, m->data, m->data_sz);
		r->end += m->data_sz;
		r->counts.taken_sz += m->data_sz;
		r->is_taken = !m->data_sz;
		write_out(r);
	}
	watch(r);
	return tell(r, err);
}

int pt_relay_step(struct pt_relay *r, struct pt_error *err)
{
	if (!r->failure)
		write_out(r);
	if (!r->failure)
		carry(r);
	watch(r);
	if (r->failure)
		return tell(r, err);
	return !r->counts.has_sent_end || !r->counts.has_written_end;
}

bool pt_relay_is_held(const struct pt_relay *r)
{
	return r->is_held;
}

void pt_relay_counts(const struct pt_relay *r, struct pt_relay_counts *counts)
{
	*counts = r->counts;
}
