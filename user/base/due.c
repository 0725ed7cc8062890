/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/due.h"

void pt_due_begin(struct pt_due *d, __u64 limit_ns, __u64 now_ns)
{
	*d = (struct pt_due){ .limit_ns = limit_ns, .looked_ns = now_ns };
}

void pt_due_look(struct pt_due *d, __u64 now_ns, bool owes, __u64 amount)
{
	__u64 passed_ns = now_ns > d->looked_ns ? now_ns - d->looked_ns : 0;

	if (passed_ns > PT_DUE_LOOK_NS)
		passed_ns = PT_DUE_LOOK_NS;
	if (now_ns > d->looked_ns)
		d->looked_ns = now_ns;
	if (!owes || amount != d->amount) {
		d->amount = amount;
		d->still_ns = d->quiet_ns = 0;
		return;
	}
	d->still_ns += passed_ns;
	d->quiet_ns += passed_ns;
}

void pt_due_works(struct pt_due *d)
{
	d->quiet_ns = 0;
}

bool pt_due_is_over(const struct pt_due *d)
{
	return d->quiet_ns > d->limit_ns ||
	       d->still_ns > (PT_DUE_WORK + 1) * d->limit_ns;
}
