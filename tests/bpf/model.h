/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* model: predicts the receive program's verdict on a frame, by the parser in
 * user space and the test's own sessions, lanes and queues. */
#ifndef BPF_MODEL_H
#define BPF_MODEL_H

#include "program.h"

/* Lanes 0 and 1 have the queue that frames arrive on, lane 2 another, lane 3
 * none. */
#define MODEL_LANE_CNT	3

/* model_open opens the usual program, with the lanes above. */
static inline int model_open(struct program *program)
{
	const __u64 ids[] = { FRAME_SESSION, FRAME_SESSION_IPV6,
			      FRAME_SESSION_SEALED };

	if (program_open_usual(program))
		return -1;
	for (int i = 0; i < 3; i++) {
		const struct pt_endpoint e = i == 1 ? frame_endpoint_ipv6() :
						      frame_endpoint_ipv4();

		program_open_session(program, ids[i], &e, MODEL_LANE_CNT);
		program_set_lane_queue(program, ids[i], 2, 1);
	}
	return 0;
}

static inline enum pt_verdict model_verdict(const struct frame *frame)
{
	struct pt_cursor c = { frame->bytes, frame->bytes + frame->sz };
	const struct pt_endpoint v6 = frame_endpoint_ipv6();
	enum pt_verdict verdict;
	struct pt_packet p;
	struct pt_frame f;
	bool ipv6, is_sealed;
	const __u8 *hdr;

	if (!pt_parse_packet(&c, frame->sz, &p) ||
	    !frame_endpoint_is_open(&p.dst))
		return PT_VERDICT_PASSED;
	hdr = c.pos;
	verdict = pt_parse_header(&c, &p, &f);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	ipv6 = !memcmp(&p.dst, &v6, sizeof(v6));
	is_sealed = f.session_id == FRAME_SESSION_SEALED;
	if (ipv6 ? f.session_id != FRAME_SESSION_IPV6 :
		   f.session_id != FRAME_SESSION && !is_sealed)
		return PT_VERDICT_UNKNOWN_SESSION;
	if (is_sealed != (f.flags & PT_FLAG_SEALED))
		return PT_VERDICT_BAD_HEADER;
	if (is_sealed && mac_word(hdr + 28, 8) !=
			 mac_of(frame_header_key, hdr, 28))
		return PT_VERDICT_BAD_MAC;
	if (f.lane >= MODEL_LANE_CNT)
		return PT_VERDICT_BAD_HEADER;
	if (f.kind == PT_FRAME_DATA && f.lane == 2)
		return PT_VERDICT_WRONG_QUEUE;
	return pt_parse_records(&c, &f);
}

#endif
