// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xdp/program.h"

#define NAMED_MAX	16	/* owners of queues in the text */

/* name_owner writes the owner of a taken queue. */
static const char *name_owner(const struct pt_facts_queue *q, char buf[80])
{
	if (q->owner.pid && q->owner.role[0])
		snprintf(buf, 80, "pid %d, pagetrim %s", q->owner.pid,
			 q->owner.role);
	else if (q->owner.pid)
		snprintf(buf, 80, "pid %d", q->owner.pid);
	else
		snprintf(buf, 80, "another program's AF_XDP socket");
	return buf;
}

/* name_receiver writes the receiver that attached a pagetrim program of its
 * own. */
static const char *name_receiver(const struct pt_facts_xdp *x, char buf[80])
{
	for (__u32 i = 0; i < x->taken_cnt; i++)
		if (!strcmp(x->taken[i].owner.role, "receive"))
			return name_owner(&x->taken[i], buf);
	snprintf(buf, 80, "program '%s' (id %u)", PT_PROGRAM_NAME, x->prog_id);
	return buf;
}

static void judge_holder(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_xdp *x = &facts->xdp;
	char name[80];

	if (x->query.ret)
		pt_findings_add(f, PT_FOUND_XDP_UNSEEN, "%s", x->query.why);
	else if (!x->prog_id)
		pt_findings_say(f, PT_FOUND_XDP_NONE);
	else if (!x->named)
		pt_findings_add_number(f, PT_FOUND_XDP_UNNAMED, x->prog_id);
	else if (x->pinned)
		pt_findings_add(f, x->generic ? PT_FOUND_XDP_ATTACHED_GENERIC :
				PT_FOUND_XDP_ATTACHED, "program %u",
				x->prog_id);
	else if (x->ours)
		pt_findings_add(f, PT_FOUND_XDP_RECEIVER, "%s",
				name_receiver(x, name));
	else if (x->dispatcher && !facts->host.dispatcher.ret)
		pt_findings_add(f, PT_FOUND_XDP_SHARED, "%s", x->prog_name);
	else
		pt_findings_add(f, PT_FOUND_XDP_FOREIGN,
				"XDP program '%s' (id %u)", x->prog_name,
				x->prog_id);
}

static void judge_leftover(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_xdp *x = &facts->xdp;
	char path[PT_PIN_PATH_SZ];

	if (x->query.ret || (x->prog_id && !x->named))
		return;
	pt_program_pin_path(path, &facts->device.dev, NULL);
	if (x->has_pins && !x->pinned)
		pt_findings_add(f, PT_FOUND_LEFTOVER, "%s", path);
	else
		pt_findings_say(f, PT_FOUND_LEFTOVER_NONE);
}

static __u32 queue_cnt(const struct pt_facts *facts, bool sending)
{
	return sending ? facts->device.dev.tx_queue_cnt :
			 facts->device.dev.rx_queue_cnt;
}

static void judge_queues(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_xdp *x = &facts->xdp;
	__u32 cnt = queue_cnt(facts, f->to), taken = 0;
	char name[80];

	if (x->attach.ret == -ENOSPC)
		pt_findings_add_number(f, PT_FOUND_QUEUES_FEWER, cnt);
	else if (cnt == 1)
		pt_findings_add_number(f, PT_FOUND_QUEUES_ONE, cnt);
	else
		pt_findings_add_number(f, PT_FOUND_QUEUES, cnt);
	for (__u32 i = 0; i < x->taken_cnt; i++) {
		taken += x->taken[i].queue < cnt;
		if (i < NAMED_MAX)
			pt_findings_add(f, PT_FOUND_QUEUE_TAKEN, "%u: %s",
					x->taken[i].queue,
					name_owner(&x->taken[i], name));
	}
	if (x->taken_cnt > NAMED_MAX)
		pt_findings_add_number(f, PT_FOUND_QUEUES_MORE,
				       x->taken_cnt - NAMED_MAX);
	if (taken >= cnt)
		pt_findings_add_number(f, PT_FOUND_QUEUES_TAKEN, cnt);
	else if (!x->taken_cnt)
		pt_findings_say(f, PT_FOUND_QUEUES_FREE);
}

static void judge_socket(struct pt_findings *f, const struct pt_facts_xdp *x)
{
	if (x->bind.ret == PT_NOT_TRIED)
		pt_findings_add(f, PT_FOUND_SOCKET_UNSEEN, "%s", x->bind.why);
	else if (x->bind.ret)
		pt_findings_add(f, PT_FOUND_SOCKET_REFUSED, "%s", x->bind.why);
	else
		pt_findings_add_number(f, PT_FOUND_SOCKET, x->bind_queue);
}

void judge_xdp(struct pt_findings *f, const struct pt_facts *facts)
{
	if (facts->device.found.ret)
		return;
	judge_holder(f, facts);
	judge_leftover(f, facts);
	judge_queues(f, facts);
	judge_socket(f, &facts->xdp);
}
