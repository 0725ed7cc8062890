/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/outcomes.h"

#include <stddef.h>

void pt_outcomes_note(struct pt_outcomes *o, __u64 transfer_id, int result,
		      const struct pt_error *err)
{
	struct pt_outcome *to = &o->list[o->next++ % PT_OUTCOMES_CNT];

	*to = (struct pt_outcome){
		.transfer_id = transfer_id,
		.result = result,
	};
	if (result)
		to->error = *err;
}

struct pt_outcome *pt_outcomes_find(struct pt_outcomes *o, __u64 transfer_id)
{
	for (__u32 i = 0; i < PT_OUTCOMES_CNT; i++)
		if (o->list[i].transfer_id == transfer_id)
			return &o->list[i];
	return NULL;
}
