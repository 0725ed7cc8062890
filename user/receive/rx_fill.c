/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_fill.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "receive/rx_storage.h"

#define QUEUED_MAX	(256u << 10)	/* bytes in the connection, before more is told */

static int wrong(const struct pt_rx_session *s, const char *what, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: %s (another version of "
			    "pagetrim?)", s->report.peer, what);
}

/* check_ranges: all are pages of the memory, each range within one segment. */
static bool check_ranges(struct pt_rx_session *s, const struct pt_msg_pages_lacking *m)
{
	for (__u32 i = 0; i < m->page_cnt; i++) {
		const struct pt_seq_range *r = &m->page[i];

		if (r->first < s->fill.told_gfn ||
		    r->cnt > pt_layout_run_cnt(s->memory.layout, r->first))
			return false;
		s->fill.told_gfn = r->first + r->cnt;
	}
	return true;
}

int pt_rx_fill_lacking(struct pt_rx_session *s, const struct pt_msg_pages_lacking *m,
		       struct pt_error *err)
{
	if (!s->cfg->guest || !s->cfg->guest->run || s->fill.is_told ||
	    s->compare.region_told ||
	    !(pt_conn_capabilities(s->conn) & PT_CAP_POSTCOPY))
		return wrong(s, "PAGES_LACKING at the wrong time", err);
	if (!check_ranges(s, m))
		return wrong(s, "PAGES_LACKING of pages that are not next, or not there",
			     err);
	s->fill.is_told = !m->page_cnt;
	return m->page_cnt ? pt_rx_storage_lack(s, m, err) : 0;
}

int pt_rx_fill_hand_over(struct pt_rx_session *s, const struct pt_msg_hand_over *m,
			 struct pt_error *err)
{
	if (!s->fill.is_ready || s->fill.is_handing ||
	    m->transfer_id != s->request.open.transfer_id)
		return wrong(s, "HAND_OVER at the wrong time", err);
	s->fill.is_handing = true;
	s->fill.guest_id = m->guest_id;
	return pt_rx_storage_run(s, err);
}

/* ready: all that is here was compared, and the guest may touch the rest. */
static int ready(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_message m = { .type = PT_MSG_PAGES_READY };

	s->fill.is_ready = true;
	atomic_store(&s->intake.is_waited_for, true);
	s->watch.idles = true;
	s->compare.region_told = s->compare.region_done = 0;
	return pt_conn_send(s->conn, &m, err);
}

/* is_compared: the store has done all of it. */
static bool is_compared(const struct pt_rx_session *s)
{
	return !s->compare.has_mismatch && pt_store_is_idle(s->storage.store) &&
	       s->compare.region_done == pt_layout_region_cnt(s->memory.layout);
}

/* gfn_of: of a page of the image. */
static __u64 gfn_of(const struct pt_rx_session *s, __u64 page)
{
	return pt_layout_gfn(s->memory.layout, pt_layout_page_at(s->memory.layout, page * PT_PAGE_SZ));
}

/* want tells the sender for which pages the guest waits. */
static int want(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	struct pt_seq_range ranges[PT_PAGES_MAX];
	__u64 pages[PT_PAGES_MAX];
	struct pt_message m = {
		.type = PT_MSG_PAGES_WANTED,
		.pages_wanted = { .page = ranges },
	};
	__u32 cnt = guest->wanted(guest->arg, pages, PT_PAGES_MAX);

	for (__u32 i = 0; i < cnt; i++)
		ranges[i] = (struct pt_seq_range){
			.first = gfn_of(s, pages[i]), .cnt = 1,
		};
	m.pages_wanted.page_cnt = cnt;
	return cnt ? pt_conn_send(s->conn, &m, err) : 0;
}

/* tell_lacking sends one PAGES_LACKING; the one without pages is the last. */
static int tell_lacking(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	struct pt_seq_range ranges[PT_PAGES_MAX];
	struct pt_message m = {
		.type = PT_MSG_PAGES_LACKING,
		.pages_lacking = { .page = ranges },
	};
	__u32 cnt = 0;
	__u64 run;

	while (cnt < PT_PAGES_MAX && (run = guest->lacks(guest->arg, &s->fill.told_page))) {
		ranges[cnt].first = gfn_of(s, s->fill.told_page);
		ranges[cnt++].cnt = run;
		s->fill.told_page += run;
	}
	m.pages_lacking.page_cnt = cnt;
	s->fill.tells = cnt;
	return pt_conn_send(s->conn, &m, err);
}

int pt_rx_fill_rest(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_receive_guest *guest = s->cfg->guest;
	__u64 page = 0, run;
	int ret = 0;

	s->fill.is_told = s->fill.is_ready = true;
	s->fill.is_handing = s->fill.is_handed = true;
	s->fill.tells = true;
	atomic_store(&s->intake.is_waited_for, true);
	while (!ret && (run = guest->lacks(guest->arg, &page))) {
		ret = pt_rebuild_lack(s->memory.rebuild, pt_layout_page_at(s->memory.layout, page *
								    PT_PAGE_SZ),
				      run, err);
		page += run;
	}
	guest->tell(guest->arg, s->poll.wake_fd);
	eventfd_write(s->poll.wake_fd, 1);
	if (!ret)
		ret = pt_rebuild_fill(s->memory.rebuild, err);
	return ret ? ret : pt_rx_storage_run_rest(s, err);
}

int pt_rx_fill_step(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_message handed = {
		.type = PT_MSG_HANDED_OVER,
		.handed_over = { .transfer_id = s->request.open.transfer_id },
	};
	int ret = 0;

	if (!s->fill.is_told || s->state > PT_RX_DATA)
		return 0;
	while (!ret && s->fill.tells && pt_conn_queued_sz(s->conn) < QUEUED_MAX)
		ret = tell_lacking(s, err);
	if (!ret && !s->fill.is_ready && is_compared(s))
		ret = ready(s, err);
	if (!ret && s->fill.is_ready)
		ret = want(s, err);
	if (!ret && !s->fill.is_handed && atomic_load(&s->fill.has_run)) {
		s->fill.is_handed = true;
		ret = pt_conn_send(s->conn, &handed, err);
	}
	return ret;
}
