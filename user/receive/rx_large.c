/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_large.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sink/sink_large.h"

bool pt_rx_large_is_due(const struct pt_rx_session *s)
{
	return pt_conn_capabilities(s->conn) & PT_CAP_LARGE &&
	       !s->large.is_over;
}

int pt_rx_large_init(struct pt_rx_session *s, struct pt_error *err)
{
	if (s->cfg->large_pages == PT_LARGE_PAGES_OFF)
		return 0;
	if (pt_large_init(&s->large.want, s->memory.layout))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a table of large pages");
	return 0;
}

int pt_rx_large_take(struct pt_rx_session *s, const struct pt_msg_large *m,
		     struct pt_error *err)
{
	for (__u32 i = 0; i < m->page_cnt; i++) {
		const struct pt_large_run run = { m->page[i].first,
						  m->page[i].cnt };

		if (pt_large_want(&s->large.want, s->memory.layout, &run))
			return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: "
					    "LARGE names pages that its memory "
					    "does not have, or not in order",
					    s->report.peer);
	}
	s->large.want.is_told = m->known;
	s->large.is_over = !m->page_cnt;
	return 0;
}

int pt_rx_large_begin(struct pt_rx_session *s, struct pt_error *err)
{
	if (s->cfg->large_pages == PT_LARGE_PAGES_ALL)
		pt_large_want_all(&s->large.want);
	return pt_sink_large_begin(s->storage.sink, &s->large.want, err);
}

/* cause returns why units could not be built. */
static const char *cause(int failure)
{
	switch (failure) {
	case 0:
		return "they came apart, or the memory cannot be in large pages";
	case -EXDEV:
		return "the memory begins at no multiple of 2 MiB (QEMU's memory "
		       "backend wants align=2M)";
	case -EPERM:
		return "CAP_SYS_NICE or CAP_SYS_PTRACE is missing";
	case -EINVAL:
		return "the memory cannot be in large pages (Linux 6.1 or newer, "
		       "and a tmpfs, hugetlbfs or memfd)";
	case -EOPNOTSUPP:
		return "the memory is on a file system without large pages";
	case -ENOMEM: case -EAGAIN: case -EBUSY: case -ENOSPC:
		return "no more large pages are free, or the cgroup allows none "
		       "(echo 1 >/proc/sys/vm/compact_memory makes some)";
	default:
		return strerror(-failure);
	}
}

static void explain(struct pt_receive_large *r)
{
	__u64 small_cnt = r->wanted_cnt - r->count.large_cnt;

	if (!r->is_built)
		snprintf(r->why, sizeof(r->why), "this memory is filled as it "
			 "is");
	else if (!r->count.is_counted)
		snprintf(r->why, sizeof(r->why), "nobody can count them here "
			 "(/proc/PID/pagemap, Linux 6.7 or newer)");
	else if (small_cnt)
		snprintf(r->why, sizeof(r->why), "%llu of 2 MiB are not: %s",
			 (unsigned long long)small_cnt, cause(r->count.failure));
	else if (r->apart_cnt)
		snprintf(r->why, sizeof(r->why), "%llu of the source begin at no "
			 "multiple of 2 MiB here",
			 (unsigned long long)r->apart_cnt);
}

void pt_rx_large_report(struct pt_rx_session *s)
{
	const struct pt_large *want = &s->large.want;
	struct pt_receive_large *r = &s->report.large;

	*r = (struct pt_receive_large){
		.is_told = want->is_told, .source_cnt = want->source_cnt,
		.apart_cnt = want->apart_cnt, .wanted_cnt = want->wanted_cnt,
		.is_built = pt_sink_large_is_built(s->storage.sink),
	};
	pt_sink_large_count(s->storage.sink, &r->count);
	r->count.is_counted |= !r->wanted_cnt;
	if (r->wanted_cnt || r->apart_cnt)
		explain(r);
}
