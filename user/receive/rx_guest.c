/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "channel/relay.h"

/* check_rest: a receiver whose guest runs takes its rest alone, and no other does. */
static int check_rest(const struct pt_rx_session *s, bool is_rest, struct pt_error *err)
{
	bool waits = s->cfg->guest && s->cfg->guest->rest_of;

	if (is_rest == waits)
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -EOPNOTSUPP, waits ?
			    "the guest here runs, and only the rest of its memory is "
			    "taken (from the host that it came from)" :
			    "the rest of a guest is sent, and no guest here waits for one "
			    "(start receive with {serve-faults} and the {qmp} of the QEMU "
			    "that runs it)");
}

int pt_rx_guest_check(const struct pt_rx_session *s, struct pt_error *err)
{
	bool is_rest = s->request.open.live == PT_LIVE_REST;
	bool is_guest = s->request.open.live == PT_LIVE_GUEST || is_rest;
	int ret = check_rest(s, is_rest, err);

	if (ret || is_guest == !!s->cfg->guest)
		return ret;
	if (is_guest)
		return pt_error_set(err, PT_EXIT_PEER, -EOPNOTSUPP, "a guest is "
				    "sent, and the receiver takes memory alone "
				    "(receive with {qmp}; in a program, with "
				    "pt_live_recv)");
	return pt_error_set(err, PT_EXIT_PEER, -EOPNOTSUPP, "memory without a "
			    "guest is sent, and the receiver takes a guest "
			    "alone (pagetrim migrate sends one, or a "
				    "program by pt_live_send)");
}

int pt_rx_guest_match(const struct pt_rx_session *s,
		      const struct pt_msg_guest *m, struct pt_error *err)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	char *text;
	int ret;

	if (memchr(m->description, 0, m->description_sz))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: the "
				    "description of its guest is no text",
				    s->report.peer);
	text = strndup(m->description, m->description_sz);
	if (!text)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for "
				    "the description of a guest");
	ret = guest->match(guest->arg, text, err);
	free(text);
	return ret;
}

/* begin_job, in the store's thread. */
static int begin_job(void *arg, const void *bytes, size_t sz,
		     struct pt_error *err)
{
	struct pt_rx_session *s = arg;
	const struct pt_receive_guest *guest = s->cfg->guest;
	int ret = guest->begin(guest->arg, &s->guest.state_fd, err);

	(void)bytes;
	(void)sz;
	if (!ret)
		atomic_store(&s->guest.has_begun, true);
	return ret;
}

static int begin(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = pt_relay_open(&s->guest.relay, -1, s->conn, err);

	if (!ret && s->cfg->guest->is_stream)
		pt_relay_any_length(s->guest.relay);
	return ret ? ret : pt_store_put(s->storage.store, begin_job, NULL, 0,
					err);
}

int pt_rx_guest_state(struct pt_rx_session *s, const struct pt_msg_state *m,
		      struct pt_error *err)
{
	int ret = s->guest.relay ? 0 : begin(s, err);

	return ret ? ret : pt_relay_take(s->guest.relay, m, err);
}

/* watch: the sender's guest stands still, and is told WORKING, while this one has
 * bytes to read. */
static int watch(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_due *due = &s->guest.due;
	struct pt_relay_counts counts;

	pt_relay_counts(s->guest.relay, &counts);
	pt_due_look(due, pt_clock_ns(), counts.taken_sz > counts.written_sz,
		    counts.written_sz);
	if (!pt_due_is_over(due))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT, "the guest that "
			    "waits here does not read its state: for %.1f s, "
			    "after %llu bytes (is its process stopped? see its "
			    "log)", due->still_ns / 1e9,
			    (unsigned long long)counts.written_sz);
}

/* carries: there is a stream, and the guest was not told to run. */
static bool carries(const struct pt_rx_session *s)
{
	return s->guest.relay && s->state < PT_RX_COMMITTING && !s->fill.is_handing;
}

int pt_rx_guest_step(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_rx_guest *g = &s->guest;
	bool was_full;
	int ret;

	if (!carries(s))
		return 0;
	was_full = pt_relay_is_full(g->relay);
	if (!g->is_attached && atomic_load(&g->has_begun)) {
		pt_relay_attach(g->relay, g->state_fd);
		g->is_attached = true;
		pt_due_begin(&g->due, pt_due_limit_ns(s->cfg->peer_timeout_ms),
			     pt_clock_ns());
	}
	ret = pt_relay_step(g->relay, err);
	if (ret < 0)
		return ret;
	if (was_full && !pt_relay_is_full(g->relay))
		eventfd_write(s->poll.wake_fd, 1);	/* STATEs are read again */
	return g->is_attached ? watch(s, err) : 0;
}

int pt_rx_guest_fd(const struct pt_rx_session *s)
{
	return carries(s)
		? pt_relay_fd(s->guest.relay) : -1;
}

bool pt_rx_guest_is_held(const struct pt_rx_session *s)
{
	return carries(s) && pt_relay_is_held(s->guest.relay);
}

static struct pt_relay_counts counts_of(const struct pt_rx_session *s)
{
	struct pt_relay_counts counts = { 0 };

	if (s->guest.relay)
		pt_relay_counts(s->guest.relay, &counts);
	return counts;
}

__u64 pt_rx_guest_sz(const struct pt_rx_session *s)
{
	const struct pt_relay_counts counts = counts_of(s);

	return counts.taken_sz + counts.sent_sz;
}

bool pt_rx_guest_waits(const struct pt_rx_session *s)
{
	const struct pt_relay_counts counts = counts_of(s);

	return counts.taken_sz > counts.written_sz;
}

bool pt_rx_guest_is_full(const struct pt_rx_session *s)
{
	return s->guest.relay && pt_relay_is_full(s->guest.relay);
}

void pt_rx_guest_free(struct pt_rx_session *s)
{
	pt_relay_close(s->guest.relay);
	if (s->guest.state_fd >= 0)
		close(s->guest.state_fd);
}
