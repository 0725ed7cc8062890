/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_process.h"

#include <errno.h>
#include <linux/capability.h>

/* The functions of the guest: the live thread calls them. */

/* stop: pt_source_stop has a limit of its own, after which it is not called again:
 * each call stops those threads of the process that do stop. */
static int stop(void *arg, int timeout_ms, struct pt_error *err)
{
	struct pt_send_process *p = arg;
	int ret = pt_source_stop(p->source, err);

	(void)timeout_ms;
	return ret == -ETIMEDOUT ? -ETIME : ret;
}

static void sent(void *arg)
{
	struct pt_send_process *p = arg;

	pt_source_resume(p->source);
}

static int resume(void *arg, struct pt_error *err)
{
	(void)err;
	sent(arg);
	return 0;
}

static void on_round(const struct pt_round *r, void *arg)
{
	pt_live_round(((struct pt_send_process *)arg)->run, r);
}

static void on_entered(enum pt_send_live_step step, void *arg)
{
	(void)step;
	pt_live_entered(((struct pt_send_process *)arg)->run);
}

int pt_send_process_open(struct pt_send_process *p, struct pt_send_options *o,
			 struct pt_send_run *run, struct pt_error *err)
{
	struct pt_send_live_cfg *live = &o->live.cfg;
	int ret = pt_source_open_live(&o->cfg.source, o->pid,
				      o->room_sz / PT_PAGE_SZ * PT_PAGE_SZ, err);

	if (ret)
		return ret;
	p->run = run;
	p->source = o->cfg.source;
	live->kind = PT_LIVE_ROUNDS;
	live->pid = o->pid;
	live->guest = (struct pt_live_guest){
		.stop = stop, .sent = sent, .resume = resume, .arg = p,
	};
	live->round = on_round;
	live->entered = on_entered;
	live->arg = p;
	o->cfg.live = live;
	return 0;
}

__u64 pt_send_process_caps(void)
{
	return PT_CAP(CAP_SYS_PTRACE) | PT_CAP(CAP_DAC_READ_SEARCH);
}
