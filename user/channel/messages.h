/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* messages: the messages between the two agents over TCP.  Struct, encoder,
 * decoder, names and limits all come from the lists below.
 *
 *    0                4         6         8
 *    +----------------+---------+---------+------------------------
 *    | payload_sz be32| type be16| 0  be16 | payload_sz bytes: the fields
 *    +----------------+---------+---------+------------------------
 *
 * Fields follow one another unpadded, every number big-endian:
 *
 *    kind         in the struct                on the wire
 *    u8 .. u64    __u8 name .. __u64 name      1, 2, 4, 8 bytes
 *    addr         __u8 name[16]                16 bytes; IPv4 as ::ffff:a.b.c.d
 *    str          char name[max + 1], NUL      u16 bytes, then them; see text.h
 *    u16_list     __u32 name_cnt, __u16 name[max]     u32 items, then u16 each
 *    u64_list     __u32 name_cnt, __u64 name[max]     u32 items, then u64 each
 *    u64_array    __u32 name_cnt, const __u64 *name   the same
 *    range_array  __u32 name_cnt, const struct pt_seq_range *name
 *                                         u32 items; u64 first, u32 cnt each
 *    bytes        __u32 name_sz, const void *name     u32 bytes, then them
 *    ledger       struct pt_ledger name        u64 each of PT_LEDGER_FIELDS
 *    cap          nothing                      nothing
 *
 * cap is no field: the fields after it are on the wire only if the connection
 * has the capability min, which both HELLOs have.  Without it they decode as 0.
 *
 * A list is in the struct.  An array or bytes is borrowed: for sending, from
 * the caller for the time of the call; when received, from the decoder's memory
 * until the next message is decoded (struct copies do not keep it).
 *
 * Decoding checks every length and range of these lists, that the payload
 * ends with its last field (HELLO alone may be longer: later versions append
 * to it), and that ranges ascend without overlap.  An error names message
 * and field.
 */
#ifndef CHANNEL_MESSAGES_H
#define CHANNEL_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "base/role.h"
#include <pagetrim/error.h>
#include <pagetrim/ledger.h>
#include <pagetrim/maps.h>
#include <pagetrim/outer.h>
#include <pagetrim/wire.h>

#define PT_CONTROL_MAGIC	0x50544354	/* "PTCT" */

#define PT_MESSAGE_HDR_SZ	8
#define PT_MESSAGE_START_SZ	9	/* identify a HELLO */
#define PT_PAYLOAD_SZ_MAX	(64u * 1024 + 64)
#define PT_MESSAGE_SZ_MAX	(PT_MESSAGE_HDR_SZ + PT_PAYLOAD_SZ_MAX)

#define PT_SEGMENTS_MAX		65536
#define PT_FILES_MAX		1024
#define PT_FILE_SZ_MAX		(1ULL << 40)	/* bytes of one --with file */
#define PT_FILE_DATA_SZ_MAX	(64u * 1024)	/* bytes of one FILE_DATA */
#define PT_STATE_SZ_MAX		(64u << 20)	/* bytes of all STATEs of a
						 * sender */
#define PT_MISSING_MAX		1024		/* ranges of one ACK */
#define PT_LARGE_MAX		1024		/* ranges of one LARGE */
#define PT_PAGES_MAX		1024		/* ranges of one PAGES_WANTED or
						 * PAGES_LACKING */
#define PT_DIGESTS_MAX		4096		/* regions of one DIGESTS */
#define PT_REFUSED_MAX		1024		/* pages of one REFUSED */
/* Ethernet bytes; any receiver takes the least. */
#define PT_FRAME_SZ_MIN		(PT_MTU_MIN + PT_ETH_SZ)
#define PT_FRAME_SZ_MAX		(PT_MTU_MAX + PT_ETH_SZ + PT_VLAN_SZ)
#define PT_SEQ_MAX		((1ULL << 62) - 1)
#define PT_REGION_MAX		((1ULL << 32) - 1)
#define PT_MEMORY_SZ_MAX	((PT_GFN_MAX + 1) * PT_PAGE_SZ)	/* bytes */
#define PT_ABORT_TEXT_MAX	400
#define PT_REKEY_LOG2_MIN	16	/* frames sealed with one key: 2^16 ... */
#define PT_REKEY_LOG2_MAX	22	/* ... to 2^22 */

/* The possible senders of a message. */
#define PT_FROM_SENDER	 PT_ROLE_SENDER
#define PT_FROM_RECEIVER PT_ROLE_RECEIVER
#define PT_FROM_BOTH	 (PT_ROLE_SENDER | PT_ROLE_RECEIVER)

/* pt_seq_range: sequence numbers first .. first + cnt - 1; cnt >= 1. */
struct pt_seq_range {
	__u64 first;
	__u32 cnt;
};

/* X(SYMBOL, name, number, who).  The number is the protocol: add, never
 * renumber. */
#define PT_MESSAGES(X)							\
	X(HELLO,	hello,		1,  BOTH)			\
	X(OFFER,	offer,		2,  RECEIVER)			\
	X(OPEN,		open,		3,  SENDER)			\
	X(SEGMENT,	segment,	4,  SENDER)			\
	X(FILE,		file,		5,  SENDER)			\
	X(FILE_DATA,	file_data,	6,  SENDER)			\
	X(OPENED,	opened,		7,  RECEIVER)			\
	X(PROBE_SEEN,	probe_seen,	8,  RECEIVER)			\
	X(LANE_SET,	lane_set,	9,  SENDER)			\
	X(LANE_READY,	lane_ready,	10, RECEIVER)			\
	X(SYNC,		sync,		11, SENDER)			\
	X(ACK,		ack,		12, RECEIVER)			\
	X(REPROBE,	reprobe,	13, RECEIVER)			\
	X(DIGESTS,	digests,	14, SENDER)			\
	X(VERIFY,	verify,		15, SENDER)			\
	X(VERIFIED,	verified,	16, RECEIVER)			\
	X(MISMATCH,	mismatch,	17, RECEIVER)			\
	X(COMMIT,	commit,		18, SENDER)			\
	X(COMMITTED,	committed,	19, RECEIVER)			\
	X(ASK,		ask,		20, SENDER)			\
	X(LEDGER,	ledger,		21, RECEIVER)			\
	X(ABORT,	abort,		22, BOTH)			\
	X(PING,		ping,		23, BOTH)			\
	X(PONG,		pong,		24, BOTH)			\
	X(BYE,		bye,		25, BOTH)			\
	X(HELD,		held,		26, RECEIVER)			\
	X(WORKING,	working,	27, BOTH)			\
	X(REFUSED,	refused,	28, RECEIVER)			\
	X(PAGES_WANTED,	pages_wanted,	31, RECEIVER)			\
	X(GUEST,	guest,		32, SENDER)			\
	X(STATE,	state,		33, BOTH)			\
	X(LARGE,	large,		34, SENDER)			\
	X(PAGES_LACKING, pages_lacking,	35, BOTH)			\
	X(PAGES_READY,	pages_ready,	36, RECEIVER)			\
	X(HAND_OVER,	hand_over,	37, SENDER)			\
	X(HANDED_OVER,	handed_over,	38, RECEIVER)			\
	X(REST,		rest,		39, SENDER)

/* X(number, "name"): set aside by section 15 of docs/wire-format.md.  A message
 * that has no capability yet is refused by its name. */
#define PT_MESSAGES_SET_ASIDE(X)					\
	X(29, "SEGMENTS_COME")						\
	X(30, "SEGMENTS_GO")

enum pt_message_type {
#define X(SYMBOL, name, number, who) PT_MSG_##SYMBOL = number,
	PT_MESSAGES(X)
#undef X
};

/* The fields of each message: X(kind, name, min, max).  min and max bound the
 * value of a number, the bytes of a str or bytes, the items of the others. */

/* pt_live_kind: whether the memory is sent while it changes. */
enum pt_live_kind {
	PT_LIVE_NONE	= 0,	/* it stands still */
	PT_LIVE_ROUNDS	= 1,	/* in rounds: the sender may be idle */
	PT_LIVE_GUEST	= 2,	/* likewise, and it is a guest's: GUEST, STATE */
	PT_LIVE_REST	= 3,	/* it stands still, and is that of a guest which was
				 * handed over and lacks some of it: REST */
};

/* Bits of HELLO's capabilities, which both ends must have to use them. */
#define PT_CAP_COPIES		(1ULL << 0)	/* records of kind COPY */
#define PT_CAP_ARRIVALS		(1ULL << 1)	/* arrival times, and placed
						 * frames */
#define PT_CAP_WORKING		(1ULL << 2)	/* WORKING */
#define PT_CAP_LIVE		(1ULL << 3)	/* memory that changes, GUEST and
						 * STATE */
#define PT_CAP_DELTAS		(1ULL << 6)	/* records of kind DELTA */
#define PT_CAP_RATE		(1ULL << 7)	/* OPENED's limit of bandwidth */
#define PT_CAP_UNREADABLE	(1ULL << 9)	/* records of kind UNREADABLE */
#define PT_CAP_LARGE		(1ULL << 8)	/* LARGE */
#define PT_CAP_POSTCOPY		(1ULL << 10)	/* a guest that is handed over
						 * before all of its memory */
#define PT_CAP_COMPRESSION(method)	(1ULL << (3 + (method)))	/* frames
						 * compressed by an
						 * enum pt_compression */

/* The first message in both directions.  The layout never changes. */
#define PT_MSG_HELLO_FIELDS(X)						\
	X(u32, magic, PT_CONTROL_MAGIC, PT_CONTROL_MAGIC)		\
	X(u16, version_min, 1, 0xffff)					\
	X(u16, version_max, 1, 0xffff)					\
	X(u64, capabilities, 0, ~0ULL)	/* bits; unknown ones ignored */ \
	X(u8,  role, PT_ROLE_SENDER, PT_ROLE_RECEIVER)

#define PT_MSG_OFFER_FIELDS(X)						\
	X(u16, udp_port, 1, 0xffff)					\
	X(u32, mtu, PT_MTU_MIN, PT_MTU_MAX)	/* of the device */	\
	X(u32, frame_sz_max, PT_FRAME_SZ_MIN, PT_FRAME_SZ_MAX)		\
	X(u32, desc_sz, PT_HEADERS_MAX, 1 << 20) /* bytes an RX descriptor */ \
	X(u16, ciphers, 0, 0xffff)		/* bit c: enum pt_cipher c */ \
	X(u16_list, queue, 1, PT_LANES_MAX)	/* 0..PT_QUEUES_MAX - 1 */

#define PT_MSG_OPEN_FIELDS(X)						\
	X(u64, transfer_id, 1, ~0ULL)					\
	X(u64, digest_key, 0, ~0ULL)					\
	X(addr, dst_addr, 16, 16)	/* where its frames are sent */	\
	X(u16, lane_cnt, 1, PT_LANES_MAX)				\
	X(u8,  trim, 0, 2)		/* enum pt_trim */		\
	X(u8,  cipher, 0, 3)		/* enum pt_cipher */		\
	X(u8,  rekey_log2, PT_REKEY_LOG2_MIN, PT_REKEY_LOG2_MAX)		\
	X(u8,  resume, 0, 1)		/* take up what is held */	\
	X(u32, segment_cnt, 1, PT_SEGMENTS_MAX)				\
	X(u32, file_cnt, 0, PT_FILES_MAX)				\
	X(str, name, 0, 128)						\
	X(cap, live, PT_CAP_LIVE, PT_CAP_LIVE)				\
	X(u8,  live, 0, 3)		/* enum pt_live_kind */

#define PT_MSG_SEGMENT_FIELDS(X)					\
	X(u64, gfn, 0, PT_GFN_MAX)					\
	X(u64, sz, 1, PT_MEMORY_SZ_MAX)	/* bytes */			\
	X(str, name, 0, 63)

#define PT_MSG_FILE_FIELDS(X)						\
	X(u64, sz, 0, PT_FILE_SZ_MAX)	/* bytes, in FILE_DATAs */	\
	X(str, name, 1, 255)

#define PT_MSG_FILE_DATA_FIELDS(X)					\
	X(bytes, data, 1, PT_FILE_DATA_SZ_MAX)

#define PT_MSG_OPENED_FIELDS(X)						\
	X(u64, session_id, 1, ~0ULL)					\
	X(u8,  resumes, 0, 1)		/* HELD follows */		\
	X(cap, rate, PT_CAP_RATE, PT_CAP_RATE)				\
	X(u64, rate, 0, ~0ULL)		/* Ethernet bytes per second that it
					 * may send; 0: any */

#define PT_MSG_PROBE_SEEN_FIELDS(X)					\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u64, probe, 0, PT_SEQ_MAX)					\
	X(u32, frame_sz, 1, PT_FRAME_SZ_MAX)	/* Ethernet bytes */	\
	X(u16, queue, 0, PT_QUEUES_MAX - 1)				\
	X(cap, arrivals, PT_CAP_ARRIVALS, PT_CAP_ARRIVALS)		\
	X(u64, arrived_ns, 0, ~0ULL)		/* receiver's clock */

#define PT_MSG_LANE_SET_FIELDS(X)					\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u16, queue, 0, PT_QUEUES_MAX - 1)				\
	X(u32, frame_sz, 1, PT_FRAME_SZ_MAX)

#define PT_MSG_LANE_READY_FIELDS(X)					\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u32, window, 0, 1 << 24)		/* RX descriptors */

#define PT_MSG_SYNC_FIELDS(X)						\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u64, seq_end, 0, PT_SEQ_MAX)

#define PT_MSG_ACK_FIELDS(X)						\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u64, upto, 0, PT_SEQ_MAX)					\
	X(u64, freed_desc, 0, PT_SEQ_MAX)	/* since the start */	\
	X(u32, window, 0, 1 << 24)		/* RX descriptors */	\
	X(range_array, missing, 0, PT_MISSING_MAX)			\
	X(cap, arrivals, PT_CAP_ARRIVALS, PT_CAP_ARRIVALS)		\
	X(u64, placed_upto, 0, PT_SEQ_MAX) /* accepted below: in the sink */ \
	X(u64, arrived_sz, 0, ~0ULL)	/* frames' bytes, but late ones' */ \
	X(u64, arrived_ns, 0, ~0ULL)	/* the last of them came; ... */ \
	X(u64, top, 0, PT_SEQ_MAX)	/* one above the highest number */ \
	X(u64, top_ns, 0, ~0ULL)	/* ... it came, receiver's clock */

#define PT_MSG_REPROBE_FIELDS(X)					\
	X(u16, lane, 0, PT_LANES_MAX - 1)

#define PT_MSG_DIGESTS_FIELDS(X)					\
	X(u64, region_first, 0, PT_REGION_MAX)				\
	X(u64_array, digest, 1, PT_DIGESTS_MAX)

#define PT_MSG_VERIFY_FIELDS(X)						\
	X(u64_list, sent, 1, PT_LANES_MAX)	/* frames, by lane */

#define PT_MSG_VERIFIED_FIELDS(X)

#define PT_MSG_MISMATCH_FIELDS(X)					\
	X(u64, region, 0, PT_REGION_MAX)				\
	X(u64_array, digest, 1, PT_REGION_PAGES) /* of its pages */

#define PT_MSG_COMMIT_FIELDS(X)						\
	X(u64, transfer_id, 1, ~0ULL)

#define PT_MSG_COMMITTED_FIELDS(X)					\
	X(u64, transfer_id, 1, ~0ULL)

#define PT_MSG_ASK_FIELDS(X)						\
	X(u64, transfer_id, 1, ~0ULL)

#define PT_MSG_LEDGER_FIELDS(X)						\
	X(ledger, counts, 0, 0)

#define PT_MSG_ABORT_FIELDS(X)						\
	X(u16, exit, PT_EXIT_FAILED, PT_EXIT_UNKNOWN) /* enum pt_exit */ \
	X(str, text, 0, PT_ABORT_TEXT_MAX)

#define PT_MSG_PING_FIELDS(X)						\
	X(u64, time_ns, 0, ~0ULL)	/* the asker's clock */

#define PT_MSG_PONG_FIELDS(X)						\
	X(u64, time_ns, 0, ~0ULL)	/* as it stood in the PING */

#define PT_MSG_BYE_FIELDS(X)

#define PT_MSG_HELD_FIELDS(X)						\
	X(u64, region_first, 0, PT_REGION_MAX)				\
	X(u64_array, digest, 0, PT_DIGESTS_MAX)	/* of pages; 0: all said */

/* WORKING: the work of an end for which the other waits. */
enum pt_work {
	PT_WORK_SOURCE	= 1,	/* a sender reads its source */
	PT_WORK_STORAGE	= 2,	/* a receiver waits for storage */
};

#define PT_MSG_WORKING_FIELDS(X)					\
	X(u8,  on, PT_WORK_SOURCE, PT_WORK_STORAGE)			\
	X(u64, done_sz, 0, ~0ULL)	/* bytes read or stored so far */

/* page: gfn, and above its 40 bits the low 24 of the version that was refused. */
#define PT_MSG_REFUSED_FIELDS(X)					\
	X(u16, lane, 0, PT_LANES_MAX - 1)				\
	X(u64_array, page, 1, PT_REFUSED_MAX)

/* GUEST: the description of the guest, which the receiver compares. */
#define PT_MSG_GUEST_FIELDS(X)						\
	X(bytes, description, 1, PT_FILE_DATA_SZ_MAX)

/* STATE: the guest's device state, as its hypervisors write it to each other. */
#define PT_MSG_STATE_FIELDS(X)						\
	X(bytes, data, 0, PT_FILE_DATA_SZ_MAX)	/* 0: the end of this
						 * direction */

/* LARGE: page: large pages of 2 MiB, page n being the pages 512 n .. 512 n + 511, in
 * which the source's memory stands; none: all were said. */
#define PT_MSG_LARGE_FIELDS(X)						\
	X(u8,  known, 0, 1)		/* the source could find out */	\
	X(range_array, page, 0, PT_LARGE_MAX)

/* PAGES_WANTED: page: guest pages for which the guest waits. */
#define PT_MSG_PAGES_WANTED_FIELDS(X)					\
	X(range_array, page, 1, PT_PAGES_MAX)

/* PAGES_LACKING: page: guest pages that come only after the hand-over, or did not come
 * yet; none: all were said. */
#define PT_MSG_PAGES_LACKING_FIELDS(X)					\
	X(range_array, page, 0, PT_PAGES_MAX)

#define PT_MSG_PAGES_READY_FIELDS(X)

#define PT_MSG_HAND_OVER_FIELDS(X)					\
	X(u64, transfer_id, 1, ~0ULL)					\
	X(u64, guest_id, 1, ~0ULL)	/* of the guest that the source keeps */

#define PT_MSG_REST_FIELDS(X)						\
	X(u64, guest_id, 1, ~0ULL)	/* as HAND_OVER had it */

#define PT_MSG_HANDED_OVER_FIELDS(X)					\
	X(u64, transfer_id, 1, ~0ULL)

#define PT_DECLARE_u8(name, max)	  __u8 name;
#define PT_DECLARE_u16(name, max)	  __u16 name;
#define PT_DECLARE_u32(name, max)	  __u32 name;
#define PT_DECLARE_u64(name, max)	  __u64 name;
#define PT_DECLARE_addr(name, max)	  __u8 name[max];
#define PT_DECLARE_str(name, max)	  char name[(max) + 1];
#define PT_DECLARE_u16_list(name, max)	  __u32 name##_cnt; __u16 name[max];
#define PT_DECLARE_u64_list(name, max)	  __u32 name##_cnt; __u64 name[max];
#define PT_DECLARE_u64_array(name, max)	  __u32 name##_cnt; const __u64 *name;
#define PT_DECLARE_range_array(name, max) \
	__u32 name##_cnt; const struct pt_seq_range *name;
#define PT_DECLARE_bytes(name, max)	  __u32 name##_sz; const void *name;
#define PT_DECLARE(kind, name, min, max)  PT_DECLARE_##kind(name, max)
#define PT_DECLARE_ledger(name, max)	  struct pt_ledger name;
#define PT_DECLARE_cap(name, max)

#define X(SYMBOL, name, number, who) \
	struct pt_msg_##name { PT_MSG_##SYMBOL##_FIELDS(PT_DECLARE) };
PT_MESSAGES(X)
#undef X

/* pt_message: one message.  About 600 bytes: fit for the stack.
 *
 *	struct pt_message m = { .type = PT_MSG_SYNC,
 *				.sync = { .lane = 3, .seq_end = 71 } };
 */
struct pt_message {
	enum pt_message_type type;
	union {
#define X(SYMBOL, name, number, who) struct pt_msg_##name name;
		PT_MESSAGES(X)
#undef X
	};
};

/* pt_message_scratch: received arrays in host order; one per connection,
 * overwritten by the next pt_message_decode. */
struct pt_message_scratch {
	union {
		__u64 numbers[PT_DIGESTS_MAX];
		struct pt_seq_range ranges[PT_MISSING_MAX];
		struct pt_seq_range large[PT_LARGE_MAX];
		struct pt_seq_range pages[PT_PAGES_MAX];
	};
};

/* pt_message_name returns "SYNC" and the like, also for a number that is set aside;
 * "unknown" for a number of no message. */
const char *pt_message_name(unsigned type);

/* pt_message_encode writes m, header and payload, to buf and returns its
 * bytes; capabilities (PT_CAP bits) are the connection's.  PT_MESSAGE_SZ_MAX
 * bytes of room are always enough.
 *   -EINVAL   a field is outside its limits; err names it
 *   -ENOBUFS  more than room bytes; err is not touched */
int pt_message_encode(const struct pt_message *m, __u64 capabilities,
		      void *buf, size_t room, struct pt_error *err);

/* pt_message_decode reads one message from the sz bytes at buf, which peer (an
 * enum pt_role) sent.  Returns the message's bytes, or 0 if buf ends before the
 * message does: call again with more.  An invalid header is refused before its
 * payload has come.
 *   -EPROTO   not a message, or a field outside its limits; err names it */
int pt_message_decode(struct pt_message *out,
		      struct pt_message_scratch *scratch,
		      enum pt_role peer, __u64 capabilities, const void *buf,
		      size_t sz, struct pt_error *err);

/* pt_message_is_hello: the PT_MESSAGE_START_SZ bytes begin a HELLO in clear. */
bool pt_message_is_hello(const void *start);

/* pt_message_abort makes m an ABORT with exit and text, which is cut and
 * cleaned for an ABORT. */
void pt_message_abort(struct pt_message *m, enum pt_exit exit,
		      const char *text);

#endif
