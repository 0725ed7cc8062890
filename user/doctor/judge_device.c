// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/judge.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/wire.h>
#include "xsk/zero_copy.h"

static void judge_mode(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_device *d = &facts->device;
	const struct pt_try *attach = &facts->xdp.attach;
	/* Queues or MTU: the driver has native XDP, and these have findings of
	 * their own. */
	bool other = attach->ret == -ENOSPC || attach->ret == -ERANGE;

	if (attach->ret < 0 && !other)
		pt_findings_add(f, PT_FOUND_MODE_REFUSED, "%s", attach->why);
	else if (!attach->ret || other || d->xdp_features & PT_XDP_BASIC)
		pt_findings_say(f, PT_FOUND_MODE_NATIVE);
	else if (d->features_known)
		pt_findings_add(f, PT_FOUND_MODE_GENERIC, "%s",
				d->dev.driver[0] ? d->dev.driver : "?");
	else if (!f->to)	/* a sender needs no program */
		pt_findings_add(f, PT_FOUND_MODE_UNSEEN, "%s",
				facts->host.release);
}

/* judge_zero_copy: the decision of auto, and the result of the bind if the
 * kernel does not report zero copy before. */
static void judge_zero_copy(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_device *d = &facts->device;
	const struct pt_facts_xdp *x = &facts->xdp;
	const struct pt_zero_copy_facts rule = {
		.wish = PT_ZERO_COPY_AUTO,
		.garbles = d->garbles,
		.mtu = d->dev.mtu,
		.netdev = {
			.known = d->features_known,
			.xdp_features = d->xdp_features,
			.zc_max_segs = d->zc_max_segs,
		},
	};
	enum pt_zero_copy_answer answer = pt_zero_copy_judge(&rule);
	const char *driver = d->dev.driver[0] ? d->dev.driver : "?";

	if (answer == PT_ZERO_COPY_ABSENT ||
	    (!d->features_known && !x->bind_zero_copy && !x->bind.ret))
		pt_findings_add(f, PT_FOUND_ZERO_COPY_NONE, "%s", driver);
	else if (!d->features_known && !x->bind_zero_copy)
		pt_findings_add(f, PT_FOUND_ZERO_COPY_UNSEEN, "%s",
				facts->host.release);
	else if (answer == PT_ZERO_COPY_MTU || answer == PT_ZERO_COPY_SEGMENTS)
		pt_findings_add_number(f, PT_FOUND_ZERO_COPY_MTU,
				       pt_zero_copy_mtu_max(d->zc_max_segs));
	else if (answer == PT_ZERO_COPY_GARBLES)
		pt_findings_add(f, PT_FOUND_ZERO_COPY_GARBLES, "%s", driver);
	else
		pt_findings_say(f, PT_FOUND_ZERO_COPY);
}

static void judge_buffers(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_device *d = &facts->device;
	const struct pt_facts_xdp *x = &facts->xdp;
	enum pt_outcome lack = d->dev.mtu > PT_ONE_BUFFER_MTU ?
			       PT_FOUND_BUFFERS_NONE : PT_FOUND_BUFFERS_ENOUGH;
	bool kernel = x->bind_large.ret == PT_NOT_TRIED ?
		      facts->host.kernel >= PT_LARGE_FRAME_KERNEL :
		      x->bind_large.ret != -EMSGSIZE;
	bool tried = !x->attach.ret;

	/* The kernel assembles frames that are sent; copy mode is used with a
	 * driver that has zero copy for frames of one buffer only. */
	if (kernel && f->to)
		pt_findings_say(f, PT_FOUND_BUFFERS);
	else if (!kernel)
		pt_findings_add(f, lack, "Linux %s", facts->host.release);
	else if (tried ? x->attach_multi_buffer :
		 d->xdp_features & PT_XDP_RX_SG)
		pt_findings_say(f, PT_FOUND_BUFFERS);
	else if (tried || d->features_known)
		pt_findings_add(f, lack, "driver %s",
				d->dev.driver[0] ? d->dev.driver : "?");
	else
		pt_findings_add(f, PT_FOUND_BUFFERS_UNSEEN, "%s",
				facts->host.release);
}

static void judge_rss(struct pt_findings *f, const struct pt_facts_device *d)
{
	if (d->rule >= 0 && d->rule_queue < 0)
		pt_findings_add_number(f, PT_FOUND_RULE_DROPS, d->rule);
	else if (d->rule >= 0)
		pt_findings_add_number(f, PT_FOUND_RULE, d->rule_queue);
	else if (d->rss_queue_cnt > 1)
		pt_findings_add_number(f, PT_FOUND_RSS, d->rss_queue_cnt);
}

static void judge_offloads(struct pt_findings *f,
			   const struct pt_facts_device *d)
{
	static const struct {
		const char *name;
		enum pt_outcome outcome;
	} hurts[PT_OFFLOAD_CNT] = {
#define X(symbol, kernel, ethtool, finding)				\
		[PT_OFFLOAD_##symbol] = { ethtool, PT_FOUND_##finding },
		PT_OFFLOADS(X)
#undef X
	};
	__u32 on = d->offloads;
	bool any = false;

	/* Hardware fills in checksums. */
	if (strcmp(d->dev.driver, "veth"))
		on &= ~(1u << PT_OFFLOAD_TX_CSUM);
	for (int i = 0; i < PT_OFFLOAD_CNT; i++) {
		if (!(on >> i & 1))
			continue;
		any = true;
		pt_findings_add(f, hurts[i].outcome, "%s", hurts[i].name);
	}
	if (!any)
		pt_findings_say(f, PT_FOUND_OFFLOADS);
}

static void judge_mtu(struct pt_findings *f, const struct pt_facts *facts)
{
	__u32 mtu = facts->device.dev.mtu;

	if (facts->xdp.attach.ret == -ERANGE)
		pt_findings_add_number(f, PT_FOUND_MTU_XDP, mtu);
	else if (mtu < PT_MTU_MIN)
		pt_findings_add_number(f, PT_FOUND_MTU_NONE, mtu);
	else if (mtu < PT_ONE_BUFFER_MTU)
		pt_findings_add_number(f, PT_FOUND_MTU_SMALL, mtu);
	else
		pt_findings_add_number(f, PT_FOUND_MTU, mtu);
}

void judge_device(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_device *d = &facts->device;

	if (d->found.ret) {
		pt_findings_add(f, PT_FOUND_DEVICE_NONE, "%s", d->found.why);
		return;
	}
	if (!d->dev.is_up)
		pt_findings_say(f, PT_FOUND_DEVICE_DOWN);
	else if (!d->dev.has_carrier)
		pt_findings_say(f, PT_FOUND_DEVICE_LOST);
	else
		pt_findings_add(f, PT_FOUND_DEVICE, "%s", d->dev.driver[0] ?
				d->dev.driver : "?");
	judge_mode(f, facts);
	judge_zero_copy(f, facts);
	judge_buffers(f, facts);
	judge_mtu(f, facts);
	judge_rss(f, d);
	judge_offloads(f, d);
}
