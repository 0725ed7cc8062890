/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* judge: the verdict of the parser in user space, for a receiver that has the
 * two endpoints of frame.h open.  It judges the structure only: no session, no
 * queue. */
#ifndef FRAMES_JUDGE_H
#define FRAMES_JUDGE_H

#include <endian.h>

#include <pagetrim/parse.h>

#include "frame.h"

static inline struct pt_endpoint frame_endpoint_ipv4(void)
{
	struct pt_endpoint e = { .port = htobe16(FRAME_PORT) };

	e.addr[10] = e.addr[11] = 0xff;
	memcpy(&e.addr[12], frame_ipv4_dst, 4);
	return e;
}

static inline struct pt_endpoint frame_endpoint_ipv6(void)
{
	struct pt_endpoint e = { .port = htobe16(FRAME_PORT) };

	memcpy(e.addr, frame_ipv6_dst, 16);
	return e;
}

static inline bool frame_endpoint_is_open(const struct pt_endpoint *e)
{
	const struct pt_endpoint v4 = frame_endpoint_ipv4();
	const struct pt_endpoint v6 = frame_endpoint_ipv6();

	return !memcmp(e, &v4, sizeof(v4)) || !memcmp(e, &v6, sizeof(v6));
}

/* frame_judge fills p and f if the verdict is PT_VERDICT_PASSED. */
static inline enum pt_verdict frame_judge(const void *bytes, __u32 sz,
					  struct pt_packet *p,
					  struct pt_frame *f)
{
	enum pt_verdict verdict = pt_parse_frame(bytes, sz, sz, p, f);

	if (verdict != PT_VERDICT_PASSED && !frame_endpoint_is_open(&p->dst))
		return PT_VERDICT_PASSED;
	return verdict;
}

#endif
