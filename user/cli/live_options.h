/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* live_options: the options of commands that send memory while it changes, and
 * their events. */
#ifndef CLI_LIVE_OPTIONS_H
#define CLI_LIVE_OPTIONS_H

#include "cli/options.h"
#include "cli/send_run.h"

struct pt_live_options {
	struct pt_send_live_cfg cfg;	/* tracker and converge are set */
	__u32 downtime_limit_ms;
	__u32 deadline_s;		/* 0: none */
	__u64 delta_cache_sz;
};

/* pt_live_options is a group over struct pt_live_options. */
extern const struct pt_option pt_live_options[];

/* pt_live_options_fill completes o->cfg, and sets the delta cache of sender. */
void pt_live_options_fill(struct pt_live_options *o,
			  struct pt_sender_cfg *sender);

/* pt_live_options_are_given: one of them has not its default. */
bool pt_live_options_are_given(const struct pt_live_options *o);

/* pt_live_round and pt_live_entered report a round's end and a step: for round
 * and entered of pt_send_live_cfg. */
void pt_live_round(struct pt_send_run *run, const struct pt_round *r);
void pt_live_entered(struct pt_send_run *run);

#endif
