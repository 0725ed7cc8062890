// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/judge.h"

#include <stdio.h>

#include "doctor/doctor.h"

/* judge_speed: a lane reads, scans and seals a page on one core, while the link
 * carries the previous one.  The kernel's time to send it depends on driver and
 * frame size, and is left out: hence "at best". */
static void judge_speed(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_speed *s = &facts->speed;
	__u32 mbit = facts->device.found.ret ? 0 : facts->device.link_mbit;
	double lane, link;
	char tail[48] = "";

	if (s->scan_sz_s <= 0 || s->seal_sz_s <= 0)
		return;
	if (mbit)
		snprintf(tail, sizeof(tail), "; the link carries %u Mbit/s",
			 mbit);
	pt_findings_add(f, PT_FOUND_SPEED,
			"reads and scans %.2f GB/s, seals %.2f GB/s%s",
			s->scan_sz_s / 1e9, s->seal_sz_s / 1e9, tail);
	lane = (1 << 30) / s->scan_sz_s + (1 << 30) / s->seal_sz_s;
	link = mbit ? (1 << 30) * 8.0 / (mbit * 1e6) : 0;
	pt_findings_add_number(f, PT_FOUND_TIME,
			       (long)((lane > link ? lane : link) * 100 + 1) /
			       100.0);
}

void pt_doctor_judge(struct pt_findings *f, const struct pt_facts *facts,
		     const char *dev, const char *to)
{
	f->dev = dev;
	f->to = to;
	f->cnt = 0;
	judge_host(f, facts);
	judge_device(f, facts);
	judge_xdp(f, facts);
	if (to)
		judge_path(f, facts);
	judge_speed(f, facts);
	pt_findings_say(f, PT_FOUND_FIREWALL);
}
