/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/live_send.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/opts.h"

#define ROUNDS_MAX	10000
#define DEADLINE_MAX_S	86400
#define HEAD_SZ		sizeof(__be64)

_Static_assert(PT_LIVE_STATE_SZ_MAX + HEAD_SZ == PT_STATE_SZ_MAX, "state");
_Static_assert(sizeof(API_LIVE_PREFIX) + PT_LIVE_DESCRIPTION_SZ_MAX <
	       PT_FILE_DATA_SZ_MAX, "description");

struct api_live_send {
	struct pt_live_send o;
	struct pt_send_live_cfg cfg;
	char description[sizeof(API_LIVE_PREFIX) + PT_LIVE_DESCRIPTION_SZ_MAX];
	__u64 *addrs;
	int fd;			/* our end of the stream; -1: not begun */
	bool is_paused;		/* pause was called */
	bool has_state;		/* the following fields are set */
	__u8 head[HEAD_SZ];
	const __u8 *bytes;
	__u64 sz;		/* of head and bytes */
	__u64 sent_sz;
};

/* --- functions of the guest ------------------------------------------- */

static int begin(void *arg, int *fd, struct pt_error *err)
{
	struct api_live_send *l = arg;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "no stream for "
				    "the state: %s", strerror(errno));
	l->fd = fds[0];
	*fd = fds[1];
	return 0;
}

/* refused: the code of a wait that is to be called again is not the program's to
 * give. */
static int refused(struct pt_error *err, const char *what, int ret)
{
	return pt_error_set(err, PT_EXIT_HOST, ret == -ETIMEDOUT ? -ETIME : ret,
			    "the program does not %s: %s", what,
			    strerror(-ret));
}

static int stop(void *arg, int timeout_ms, struct pt_error *err)
{
	struct api_live_send *l = arg;
	int ret;

	(void)timeout_ms;
	l->is_paused = true;
	ret = l->o.pause(l->o.arg);
	return ret < 0 ? refused(err, "pause", ret) : 0;
}

static int fetch_state(struct api_live_send *l, struct pt_error *err)
{
	const void *bytes = NULL;
	uint64_t sz = 0;
	__be64 head;
	int ret = l->o.state ? l->o.state(&bytes, &sz, l->o.arg) : 0;

	if (ret < 0)
		return refused(err, "give its state", ret);
	if (sz && !bytes)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "the state of "
				    "%llu bytes is NULL",
				    (unsigned long long)sz);
	if (sz > PT_LIVE_STATE_SZ_MAX)
		return pt_error_set(err, PT_EXIT_USAGE, -EFBIG, "the state has "
				    "%llu bytes, want 0..%u",
				    (unsigned long long)sz,
				    PT_LIVE_STATE_SZ_MAX);
	head = htobe64(sz);
	memcpy(l->head, &head, HEAD_SZ);
	l->bytes = bytes;
	l->sz = HEAD_SZ + sz;
	l->has_state = true;
	return 0;
}

static int broken(struct pt_error *err, int code)
{
	return pt_error_set(err, PT_EXIT_PEER, -code, "the stream of the state "
			    "has ended early: %s", strerror(code));
}

/* send_some: 0: the socket has taken all, or takes no more now. */
static int send_some(struct api_live_send *l, struct pt_error *err)
{
	while (l->sent_sz < l->sz) {
		bool is_head = l->sent_sz < HEAD_SZ;
		const __u8 *from = is_head ? l->head + l->sent_sz
					   : l->bytes + l->sent_sz - HEAD_SZ;
		ssize_t sz = send(l->fd, from, (is_head ? HEAD_SZ : l->sz) -
				  l->sent_sz, MSG_NOSIGNAL);

		if (sz < 0 && errno == EINTR)
			continue;
		if (sz < 0)
			return errno == EAGAIN ? 0 : broken(err, errno);
		l->sent_sz += sz;
	}
	return 0;
}

static int take_answer(const struct api_live_send *l, struct pt_error *err)
{
	__u8 answer;
	ssize_t sz = recv(l->fd, &answer, sizeof(answer), 0);

	if (sz < 0)
		return errno == EAGAIN || errno == EINTR ? -ETIMEDOUT
							 : broken(err, errno);
	if (!sz)
		return broken(err, EPIPE);
	return answer ? pt_error_set(err, PT_EXIT_PEER, -EREMOTEIO,
				     "receiver: its program "
				     "did not take the state")
		      : 0;
}

static int hand_over(void *arg, int timeout_ms, struct pt_error *err)
{
	struct api_live_send *l = arg;
	int ret = l->has_state ? 0 : fetch_state(l, err);
	struct pollfd fd = { .fd = l->fd };

	if (!ret)
		ret = send_some(l, err);
	if (ret)
		return ret;
	fd.events = l->sent_sz < l->sz ? POLLOUT : POLLIN;
	if (poll(&fd, 1, timeout_ms) <= 0 || l->sent_sz < l->sz)
		return -ETIMEDOUT;
	return take_answer(l, err);
}

static int resume(void *arg, struct pt_error *err)
{
	const struct api_live_send *l = arg;

	(void)err;
	if (l->is_paused && l->o.resume)
		l->o.resume(l->o.arg);
	return 0;
}

static int throttle(void *arg, unsigned percent, struct pt_error *err)
{
	const struct api_live_send *l = arg;
	int ret = l->o.throttle(percent, l->o.arg);

	return ret < 0 ? refused(err, "slow down", ret) : 0;
}

/* relay: the library's own dirty, of other types. */
struct relay {
	void (*dirty)(void *to, __u64 gfn, __u64 cnt);
	void *to;
};

static void relay_dirty(void *to, uint64_t gfn, uint64_t cnt)
{
	const struct relay *r = to;

	r->dirty(r->to, gfn, cnt);
}

static int changed(void *arg, void (*dirty)(void *to, __u64 gfn, __u64 cnt),
		   void *to, struct pt_error *err)
{
	const struct api_live_send *l = arg;
	struct relay r = { dirty, to };
	int ret = l->o.changed(relay_dirty, &r, l->o.arg);

	return ret < 0 ? refused(err, "tell what changed", ret) : 0;
}

/* --- the sender's thread ---------------------------------------------- */

static void on_round(const struct pt_round *r, void *arg)
{
	const struct api_live_send *l = arg;

	l->o.round(&(struct pt_live_round){
		.sz = sizeof(struct pt_live_round),
		.idx = r->idx,
		.pages = r->pages,
		.wire_sz = r->wire_bytes,
		.took_ns = r->took_ns,
		.dirty_pages = r->dirty_pages,
		.dirty_per_s = r->dirty_per_s,
		.downtime_ns = r->downtime_ns,
	}, l->o.arg);
}

static int check(const struct pt_live_send *o, struct api_error *err)
{
	if (!o->pause)
		return api_mistake(err, "live: pause is NULL");
	if (o->downtime_limit > PT_DOWNTIME_MAX_MS)
		return api_mistake(err, "live: downtime_limit: %u, want 0..%d",
				   o->downtime_limit, PT_DOWNTIME_MAX_MS);
	if (o->max_rounds > ROUNDS_MAX)
		return api_mistake(err, "live: max_rounds: %u, want 0..%d",
				   o->max_rounds, ROUNDS_MAX);
	if (o->deadline > DEADLINE_MAX_S)
		return api_mistake(err, "live: deadline: %u, want 0..%d",
				   o->deadline, DEADLINE_MAX_S);
	if (o->throttle && o->stop_anyway)
		return api_mistake(err, "live: throttle: not with stop_anyway");
	if (o->changed && o->watch)
		return api_mistake(err, "live: changed: not with watch, since it "
				   "takes its place");
	if ((unsigned)o->watch > PT_LIVE_WATCH_DIGESTS)
		return api_mistake(err, "live: watch: %d is no pt_live_watch",
				   o->watch);
	if (o->description &&
	    strlen(o->description) > PT_LIVE_DESCRIPTION_SZ_MAX)
		return api_mistake(err, "live: description: %zu bytes, want "
				   "0..%d", strlen(o->description),
				   PT_LIVE_DESCRIPTION_SZ_MAX);
	return 0;
}

static void fill(struct api_live_send *l)
{
	static const enum pt_live_tracker trackers[] = {
		[PT_LIVE_WATCH_AUTO] = PT_LIVE_TRACKER_AUTO,
		[PT_LIVE_WATCH_WRITES] = PT_LIVE_TRACKER_WP,
		[PT_LIVE_WATCH_DIGESTS] = PT_LIVE_TRACKER_DIGEST,
	};
	const struct pt_live_send *o = &l->o;

	strcpy(l->description, API_LIVE_PREFIX);
	strcat(l->description, o->description ? o->description : "");
	l->cfg = (struct pt_send_live_cfg){
		.kind = PT_LIVE_GUEST,
		.pid = getpid(),
		.addrs = l->addrs,
		.tracker = trackers[o->watch],
		.converge = {
			.downtime_ns = o->downtime_limit * 1000000ULL,
			.rounds_max = o->max_rounds,
			.deadline_ns = o->deadline * 1000000000ULL,
			.otherwise = o->stop_anyway ? PT_NO_CONVERGE_STOP
				: o->throttle ? PT_NO_CONVERGE_THROTTLE
				: PT_NO_CONVERGE_CANCEL,
		},
		.guest = {
			.begin = begin, .stop = stop, .hand_over = hand_over,
			.resume = resume, .arg = l,
			.throttle = o->throttle ? throttle : NULL,
			.changed = o->changed ? changed : NULL,
		},
		.description = l->description,
		.look = "the program stays paused here; see whether it runs at "
			"the receiver before it is resumed",
		.round = o->round ? on_round : NULL,
		.arg = l,
	};
}

int api_live_send_open(struct api_live_send **out,
		       const struct pt_live_send *live,
		       const struct pt_region *table, __u32 cnt,
		       struct api_error *err)
{
	struct api_live_send *l;
	struct pt_live_send o;
	struct pt_error why;
	int ret = api_opts_copy(&o, sizeof(o), live, "pt_live_send", err);

	if (!ret)
		ret = check(&o, err);
	if (ret)
		return ret;
	l = calloc(1, sizeof(*l));
	if (l)
		l->addrs = calloc(cnt, sizeof(*l->addrs));
	if (!l || !l->addrs) {
		free(l);
		ret = pt_error_set(&why, PT_EXIT_HOST, -ENOMEM, "no memory");
		return api_fail(err, ret, &why);
	}
	l->o = o;
	l->fd = -1;
	for (__u32 i = 0; i < cnt; i++)
		l->addrs[i] = (__u64)(uintptr_t)table[i].addr;
	fill(l);
	*out = l;
	return 0;
}

const struct pt_send_live_cfg *
api_live_send_cfg(const struct api_live_send *l)
{
	return &l->cfg;
}

void api_live_send_close(struct api_live_send *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l->addrs);
	free(l);
}
