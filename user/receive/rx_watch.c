/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_watch.h"

#include <errno.h>
#include <stdio.h>

#include <pagetrim/clock.h>
#include "channel/ping.h"
#include "receive/detour.h"
#include "receive/rx_guest.h"
#include "receive/rx_storage.h"

#define QUEUES_NS	250000000ULL	/* between checks of strays */
#define UNSEEN_NS	500000000ULL	/* for a first frame to be seen */
#define WORKING_NS	250000000ULL	/* of waiting for storage before
					 * WORKING */
#define SEGMENTS_LOG2	10		/* segments per unit of progress */
#define FILES_LOG2	16		/* bytes of files per unit */
#define WORKED_LOG2	20		/* bytes in WORKING per unit */

/* ask_again sends REPROBE, once per LANE_SET, since the lane's path may have
 * changed. */
static void ask_again(struct pt_rx_session *s, struct pt_rx_lane *l)
{
	struct pt_message m = {
		.type = PT_MSG_REPROBE,
		.reprobe = { .lane = l->lane_idx },
	};

	l->is_asked = !pt_conn_send(s->conn, &m, NULL);
}

/* tell_detour reports frames at another device: two devices in one network both
 * answer ARP for an address, unless configured otherwise. */
static void tell_detour(struct pt_rx_session *s, const char *dev)
{
	struct pt_address to = *pt_conn_local(s->conn);
	char addr[PT_ADDRESS_TEXT_SZ], arp[192] = "";
	struct pt_error err;

	to.port = to.scope = 0;
	pt_address_print(&to, addr);
	if (pt_address_is_v4(&to))
		snprintf(arp, sizeof(arp), ", or here sysctl net.ipv4.conf.all."
			 "arp_ignore=1, there ip neigh flush to %s", addr);
	pt_error_set(&err, PT_EXIT_HOST, -EXDEV, "frames to %s come in by %s, "
		     "not by %s (receive {dev} %s%s)", addr, dev,
		     s->host->device.name, dev, arp);
	pt_rx_session_end(s, -EXDEV, &err);
}

/* watch_detour: if no frame is seen, they may arrive at another device. */
static void watch_detour(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_counters c;
	char dev[IF_NAMESIZE];

	if (!s->share.is_on_host || s->state != PT_RX_DATA ||
	    now_ns < s->start.ns + UNSEEN_NS ||
	    now_ns - s->watch.looked_ns < QUEUES_NS)
		return;
	if (!pt_program_session_counters(s->host->program,
					 s->intake.session_id, &c) &&
	    !c.seen && pt_detour_find(s->host->detour_fd,
				      s->intake.session_id, dev))
		tell_detour(s, dev);
}

/* watch_queues: frames on a wrong queue mean that a lane's path has changed,
 * but only if the lane gets none on the right queue any more: a recorded frame,
 * repeated from a port that hashes to another queue, must not keep working
 * lanes probing forever. */
static void watch_queues(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_counters c;
	bool have_strayed;

	if (!s->share.is_on_host || s->state != PT_RX_DATA ||
	    now_ns - s->watch.looked_ns < QUEUES_NS ||
	    pt_program_session_counters(s->host->program,
					s->intake.session_id, &c))
		return;
	s->watch.looked_ns = now_ns;
	have_strayed = c.wrong_queue != s->watch.wrong_queue;
	s->watch.wrong_queue = c.wrong_queue;
	pt_rx_host_session_lock(s->host, &s->intake);
	for (__u16 i = 0; i < s->intake.lane_cnt; i++) {
		struct pt_rx_lane *l = &s->intake.lanes[i];

		l->is_deaf = l->accepted == l->looked_accepted;
		l->looked_accepted = l->accepted;
	}
	pt_rx_host_session_unlock(s->host, &s->intake);
	for (__u16 i = 0; have_strayed && i < s->intake.lane_cnt; i++) {
		struct pt_rx_lane *l = &s->intake.lanes[i];

		if (l->is_deaf && !l->is_asked && l->queue != PT_QUEUE_ANY)
			ask_again(s, l);
	}
}

/* is_at_work: the sender waits for us, and no other message shows our
 * progress. */
static bool is_at_work(const struct pt_rx_session *s, __u64 now_ns)
{
	__u64 since_ns = pt_rx_storage_since_ns(s);

	return s->storage.is_paused || s->storage.is_opening || s->request.asked_id ||
	       pt_rx_guest_waits(s) ||
	       !pt_rx_held_is_told(&s->held) ||
	       s->state == PT_RX_VERIFYING || s->state == PT_RX_COMMITTING ||
	       (since_ns && now_ns > since_ns + WORKING_NS);
}

static void say_working(struct pt_rx_session *s, __u64 now_ns)
{
	const struct pt_message m = {
		.type = PT_MSG_WORKING,
		.working = { .on = PT_WORK_STORAGE },
	};

	if (is_at_work(s, now_ns) &&
	    pt_conn_capabilities(s->conn) & PT_CAP_WORKING)
		pt_conn_send(s->conn, &m, NULL);
}

/* watch_peer checks that the sender lives.  Messages that we do not read, since
 * its store is full, are no silence. */
static void watch_peer(struct pt_rx_session *s, __u64 now_ns)
{
	struct pt_message m = {
		.type = PT_MSG_PING,
		.ping = { .time_ns = now_ns },
	};
	__u64 timeout_ns = s->cfg->peer_timeout_ms * 1000000ULL;
	__u64 heard_ns = pt_conn_last_recv_ns(s->conn);
	struct pt_error err;

	if (heard_ns < s->storage.paused_ns)
		heard_ns = s->storage.paused_ns;
	if (now_ns > heard_ns && now_ns - heard_ns > timeout_ns) {
		pt_error_set(&err, PT_EXIT_PEER, -ETIMEDOUT, "%s: silent for %u "
			     "ms ({peer-timeout})", s->report.peer,
			     s->cfg->peer_timeout_ms);
		pt_rx_session_lose(s, -ETIMEDOUT, &err);
		return;
	}
	if (now_ns - s->watch.pinged_ns < pt_ping_ns(s->cfg->peer_timeout_ms))
		return;
	s->watch.pinged_ns = now_ns;
	pt_conn_send(s->conn, &m, NULL);
	say_working(s, now_ns);
}

/* brought returns the sender's progress.  A nearly empty message is no
 * progress: 65536 segments may come one by one, but not slowly. */
static __u64 brought(const struct pt_rx_session *s)
{
	__u64 sum = s->compare.region_told + s->watch.lanes_set +
		    (s->watch.worked_sz >> WORKED_LOG2);

	if (s->state == PT_RX_OPENING)
		return s->memory.segment_cnt >> SEGMENTS_LOG2;
	if (s->state != PT_RX_DATA && s->state != PT_RX_VERIFIED)
		return 0;
	sum += (s->report.files_sz - s->files.bytes_left) >> FILES_LOG2;
	sum += s->request.open.file_cnt - s->files.left;
	sum += pt_rx_guest_sz(s) >> FILES_LOG2;
	for (__u16 i = 0; i < s->intake.lane_cnt; i++)
		sum += atomic_load(&s->intake.lanes[i].placed.placed) +
		       atomic_load(&s->intake.lanes[i].placed.stale) +
		       atomic_load(&s->intake.lanes[i].placed.refused);
	return sum;
}

/* watch_due: a sender that only sends PING would keep its place forever.  One that
 * may idle has the time of one that says WORKING all along: PT_DUE_WORK further
 * deadlines. */
static void watch_due(struct pt_rx_session *s, __u64 now_ns)
{
	static const char *const dues[] = {
#define X(symbol, due) due,
		PT_RX_STATES(X)
#undef X
	};
	const char *due = dues[s->state];
	struct pt_error err;
	bool owes = due && !s->request.asked_id &&
		    !s->storage.is_opening && !s->storage.is_paused &&
		    !pt_rx_guest_waits(s) &&
		    pt_rx_storage_is_idle(s) && pt_rx_held_is_told(&s->held);

	pt_due_look(&s->watch.due, now_ns, owes, owes ? brought(s) : 0);
	if (s->watch.idles)
		pt_due_works(&s->watch.due);
	if (!pt_due_is_over(&s->watch.due))
		return;
	if (s->state == PT_RX_DATA && s->compare.region_told)
		due = "VERIFY";
	if (s->state == PT_RX_OPENING &&
	    s->memory.segment_cnt == s->request.open.segment_cnt)
		due = "GUEST";
	pt_error_set(&err, PT_EXIT_PEER, -ETIMEDOUT, "%s: answers, but sends no "
		     "%s: for %.1f s (the deadline is %u times {peer-timeout})",
		     s->report.peer, due, s->watch.due.still_ns / 1e9,
		     s->watch.idles ? PT_DUE_TIMEOUTS * (PT_DUE_WORK + 1)
				    : PT_DUE_TIMEOUTS);
	pt_rx_session_lose(s, -ETIMEDOUT, &err);
}

void pt_rx_watch(struct pt_rx_session *s, __u64 now_ns)
{
	watch_detour(s, now_ns);
	watch_queues(s, now_ns);
	if (s->conn && s->state != PT_RX_ENDED)
		watch_peer(s, now_ns);
	if (s->conn && s->state != PT_RX_ENDED)
		watch_due(s, now_ns);
}
