/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* control_messages: one good message of each type, for tests of the control
 * plane.  Its arrays live as long as the program. */
#ifndef CONTROL_MESSAGES_TEST_H
#define CONTROL_MESSAGES_TEST_H

#include <stdlib.h>
#include <string.h>

#include "channel/messages.h"

static const unsigned message_types[] = {
#define X(SYMBOL, name, number, who) number,
	PT_MESSAGES(X)
#undef X
};

#define MESSAGE_TYPE_CNT (sizeof(message_types) / sizeof(message_types[0]))

static inline struct pt_message good_message(unsigned type)
{
	static const struct pt_seq_range missing[] = { { 4, 1 }, { 70, 5 } };
	static const __u64 digests[] = { 0x0102030405060708, 0, ~0ULL };
	struct pt_message m = { .type = type };

	switch (type) {
	case PT_MSG_HELLO:
		m.hello = (struct pt_msg_hello){
			.magic = PT_CONTROL_MAGIC, .version_min = 1,
			.version_max = 3, .capabilities = 0xf0,
			.role = PT_ROLE_SENDER };
		break;
	case PT_MSG_OFFER:
		m.offer = (struct pt_msg_offer){
			.udp_port = 16644, .mtu = 9000, .frame_sz_max = 9014,
			.desc_sz = 3840, .ciphers = 0xe,
			.queue_cnt = 3, .queue = { 0, 1, 7 } };
		break;
	case PT_MSG_OPEN:
		m.open = (struct pt_msg_open){
			.transfer_id = 99, .digest_key = 0x1234, .dst_addr = {
			[10] = 0xff, 0xff, 10, 0, 0, 2 }, .lane_cnt = 2,
			.trim = 2, .cipher = 1, .rekey_log2 = 22, .resume = 1,
			.segment_cnt = 1, .file_cnt = 1,
			.name = "w\xc3\xa4rme", .live = PT_LIVE_GUEST };
		break;
	case PT_MSG_SEGMENT:
		m.segment = (struct pt_msg_segment){
			.gfn = 512, .sz = 4097, .name = "ram" };
		break;
	case PT_MSG_FILE:
		m.file = (struct pt_msg_file){ .sz = 3, .name = "state.bin" };
		break;
	case PT_MSG_FILE_DATA:
		m.file_data = (struct pt_msg_file_data){ 3, "a\0b" };
		break;
	case PT_MSG_OPENED:
		m.opened = (struct pt_msg_opened){
			.session_id = 0xabcdef, .resumes = 1,
			.rate = 125000000 };
		break;
	case PT_MSG_PROBE_SEEN:
		m.probe_seen = (struct pt_msg_probe_seen){ 1, 17, 9014, 3,
							   123456789 };
		break;
	case PT_MSG_LANE_SET:
		m.lane_set = (struct pt_msg_lane_set){ 1, 3, 9014 };
		break;
	case PT_MSG_LANE_READY:
		m.lane_ready = (struct pt_msg_lane_ready){ 1, 2048 };
		break;
	case PT_MSG_SYNC:
		m.sync = (struct pt_msg_sync){ 1, 71 };
		break;
	case PT_MSG_ACK:
		m.ack = (struct pt_msg_ack){
			.lane = 1, .upto = 80, .freed_desc = 240,
			.window = 2048, .missing_cnt = 2, .missing = missing,
			.placed_upto = 79, .arrived_sz = 720000,
			.arrived_ns = 5000000000, .top = 85,
			.top_ns = 4999999999 };
		break;
	case PT_MSG_REPROBE:
		m.reprobe.lane = 1;
		break;
	case PT_MSG_DIGESTS:
		m.digests = (struct pt_msg_digests){ 5, 3, digests };
		break;
	case PT_MSG_VERIFY:
		m.verify = (struct pt_msg_verify){ 2, { 100, 200 } };
		break;
	case PT_MSG_MISMATCH:
		m.mismatch = (struct pt_msg_mismatch){ 5, 3, digests };
		break;
	case PT_MSG_LARGE:
		m.large = (struct pt_msg_large){ 1, 2, missing };
		break;
	case PT_MSG_HELD:
		m.held = (struct pt_msg_held){ 5, 3, digests };
		break;
	case PT_MSG_REFUSED:
		m.refused = (struct pt_msg_refused){ 5, 3, digests };
		break;
	case PT_MSG_WORKING:
		m.working = (struct pt_msg_working){ PT_WORK_STORAGE, 1 << 21 };
		break;
	case PT_MSG_GUEST:
		m.guest = (struct pt_msg_guest){ 2, "{}" };
		break;
	case PT_MSG_STATE:
		m.state = (struct pt_msg_state){ 4, "QEVM" };
		break;
	case PT_MSG_HAND_OVER:
		m.hand_over = (struct pt_msg_hand_over){ 99, 7 };
		break;
	case PT_MSG_PAGES_WANTED: case PT_MSG_PAGES_LACKING:
		m.pages_wanted = (struct pt_msg_pages_wanted){ 2, missing };
		break;
	case PT_MSG_COMMIT: case PT_MSG_COMMITTED: case PT_MSG_ASK:
	case PT_MSG_HANDED_OVER: case PT_MSG_REST:
		m.commit.transfer_id = 99;
		break;
	case PT_MSG_LEDGER:
		memset(&m.ledger, 0x5a, sizeof(m.ledger));
		break;
	case PT_MSG_ABORT:
		pt_message_abort(&m, PT_EXIT_HOST, "disk full");
		break;
	case PT_MSG_PING: case PT_MSG_PONG:
		m.ping.time_ns = 1000000007;
		break;
	case PT_MSG_VERIFIED: case PT_MSG_BYE: case PT_MSG_PAGES_READY:
		break;
	default:	/* a new message: give it a case */
		abort();
	}
	return m;
}

#endif
