/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Tells the receiver which large pages the memory stands in. */
#include "send/sender_internal.h"

#include <errno.h>

int pt_sender_find_large(struct pt_sender *s)
{
	if (pt_source_find_large(s->cfg.source, &s->large.found))
		return pt_error_set(&s->error, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a table of large pages");
	s->report.knows_large = s->large.found.is_known;
	s->report.large_cnt = s->large.found.page_cnt;
	return 0;
}

/* take_run moves what fits of the next run into a range, whose count is smaller. */
static struct pt_seq_range take_run(struct pt_send_large *l)
{
	const struct pt_large_run *run = &l->found.runs[l->next];
	__u64 left = run->cnt - l->done;
	struct pt_seq_range range = {
		.first = run->first + l->done,
		.cnt = left < ~0u ? left : ~0u,
	};

	l->done += range.cnt;
	if (l->done == run->cnt) {
		l->done = 0;
		l->next++;
	}
	return range;
}

int pt_sender_tell_large(struct pt_sender *s)
{
	struct pt_seq_range ranges[PT_LARGE_MAX];
	struct pt_send_large *l = &s->large;
	struct pt_message m = {
		.type = PT_MSG_LARGE,
		.large = { .known = l->found.is_known, .page = ranges },
	};

	while (pt_conn_capabilities(s->conn) & PT_CAP_LARGE && !l->is_told) {
		const struct pt_send_large before = *l;
		__u32 cnt = 0;
		int ret;

		while (cnt < PT_LARGE_MAX && l->next < l->found.cnt)
			ranges[cnt++] = take_run(l);
		m.large.page_cnt = cnt;
		ret = pt_conn_send_batched(s->conn, &m, 0, -1, &s->error);
		if (ret) {
			*l = before;
			return ret;
		}
		l->is_told = !cnt;
	}
	return 0;
}
