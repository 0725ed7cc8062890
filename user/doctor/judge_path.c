// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/judge.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/wire.h>

/* judge_route: whether frames can leave by the device. */
static bool judge_route(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_path *p = &facts->path;
	char text[PT_ADDRESS_TEXT_SZ];

	if (p->route.ret) {
		pt_findings_add(f, PT_FOUND_ROUTE_NONE, "%s", p->route.why);
		return false;
	}
	if (!facts->device.found.ret &&
	    p->found.ifindex != facts->device.dev.ifindex) {
		pt_findings_add(f, PT_FOUND_ROUTE_OTHER, "%s",
				p->found.ifname);
		return false;
	}
	if (p->found.gateway)
		pt_findings_add(f, PT_FOUND_ROUTE, "by gateway %s",
				pt_address_print(&p->found.next_hop, text));
	else
		pt_findings_add(f, PT_FOUND_ROUTE, "on the link");
	return true;
}

static void judge_path_mtu(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_path *p = &facts->path;
	__u32 sz = p->mtu_sz;

	if (p->mtu.ret)
		pt_findings_add(f, PT_FOUND_PATH_UNSEEN, "%s", p->mtu.why);
	else if (sz < PT_MTU_MIN)
		pt_findings_add_number(f, PT_FOUND_PATH_NONE, sz);
	else if (p->mtu_hole)
		pt_findings_add_number(f, PT_FOUND_PATH_HOLE, sz);
	else if (sz < facts->device.dev.mtu)
		pt_findings_add_number(f, PT_FOUND_PATH_SMALLER, sz);
	else
		pt_findings_add_number(f, PT_FOUND_PATH_MTU, sz);
}

static void judge_receiver(struct pt_findings *f, const struct pt_facts_path *p)
{
	char text[PT_ADDRESS_TEXT_SZ];

	pt_address_print(&p->dst, text);
	if (!p->connect.ret)
		pt_findings_add(f, PT_FOUND_RECEIVER, "%s", text);
	else if (p->connect.ret == -ECONNREFUSED)
		pt_findings_add(f, PT_FOUND_RECEIVER_NONE, "%s", text);
	else
		pt_findings_add(f, PT_FOUND_RECEIVER_SILENT, "%s",
				p->connect.why);
}

void judge_path(struct pt_findings *f, const struct pt_facts *facts)
{
	if (!judge_route(f, facts))
		return;
	judge_path_mtu(f, facts);
	judge_receiver(f, &facts->path);
}
