// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* pagetrim: the receive program of a device.
 *
 *     classify (changes nothing) --> count, once --> act, in one place
 *
 * A foreign frame always goes to the kernel untouched.  A frame of the protocol
 * goes to the AF_XDP socket of its queue, or is dropped with a reason.  The
 * packet pointer never moves, so the program runs alone as well as beside
 * others, behind libxdp's dispatcher.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <xdp/xdp_helpers.h>

#include <pagetrim/parse.h>

#include "maps.bpf.h"

/* found: facts that classify collects with the verdict. */
struct found {
	__u64 frame_sz;		/* Ethernet bytes */
	__u64 session_id;	/* if session_is_known */
	bool session_is_known;
};

/* Endpoints are compared by words: BPF has no memcmp, and both sides are aligned,
 * in a map value and on the stack. */
static __always_inline bool endpoint_is_equal(const struct pt_endpoint *a,
					      const struct pt_endpoint *b)
{
	typedef __u32 __attribute__((may_alias)) word;
	const word *x = (const void *)a, *y = (const void *)b;

	for (int i = 0; i < (int)(sizeof(*a) / sizeof(*x)); i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/* The frame must be sealed if the session is, and its header_mac right.  This check
 * comes first, so that a stranger's frame counts for no sealed session. */
static __always_inline enum pt_verdict
judge_sender(const struct pt_session *s, const struct pt_frame *f,
	     const struct pt_frame_hdr *hdr)
{
	if (!!s->is_sealed != !!(f->flags & PT_FLAG_SEALED))
		return PT_VERDICT_BAD_HEADER;
	if (s->is_sealed && !pt_header_is_right(hdr, s->header_key))
		return PT_VERDICT_BAD_MAC;
	return PT_VERDICT_STEERED;
}

/* Lane and queue must be the session's.  A probe finds the queue of its
 * lane, so any queue is right for it. */
static __always_inline enum pt_verdict
judge_session(const struct pt_session *s, const struct pt_frame *f, __u32 queue)
{
	__u32 lane = f->lane;

	if (lane >= s->lane_cnt || lane >= PT_LANES_MAX)
		return PT_VERDICT_BAD_HEADER;
	if (f->kind == PT_FRAME_DATA && s->lane_queue[lane] != queue)
		return PT_VERDICT_WRONG_QUEUE;
	return PT_VERDICT_STEERED;
}

/* xdp_sock: the kernel's AF_XDP socket since Linux 6.6.  Before, a frame in
 * several pieces is lost between bpf_redirect_map and the socket, in no counter
 * of either, so this program counts it.  The check happens at load time and
 * leaves no code where the kernel is newer. */
struct xdp_sock___in_pieces {
	bool sg;
} __attribute__((preserve_access_index));

static __always_inline enum pt_verdict
judge_socket(const struct xdp_md *ctx, const struct found *found)
{
	__u32 queue = ctx->rx_queue_index;

	if (!bpf_map_lookup_elem(&pt_xsks, &queue))
		return PT_VERDICT_NO_SOCKET;
	if (!bpf_core_field_exists(struct xdp_sock___in_pieces, sg) &&
	    found->frame_sz > ctx->data_end - ctx->data)
		return PT_VERDICT_IN_PIECES;
	return PT_VERDICT_STEERED;
}

enum {
	/* The records begin here at the latest: behind a VLAN tag and IPv6. */
	RECORDS_OFF_MAX = PT_ETH_SZ + PT_VLAN_SZ + PT_IPV6_SZ + PT_UDP_SZ +
			  PT_FRAME_HDR_SZ,
};

/* judge_records: the records of a frame begin at records_off.  Not inlined, and not
 * static: so the verifier goes through the loop once, with all that a frame may say,
 * and not again for each way that leads here.  That is most of the time in which the
 * program is loaded.  The checks of f and records_off are for the verifier, too. */
__noinline int judge_records(struct xdp_md *ctx, const struct pt_frame *f,
			     __u32 records_off)
{
	const __u8 *data = (const void *)(long)ctx->data;
	struct pt_cursor c = { .end = (const void *)(long)ctx->data_end };

	if (!f || records_off > RECORDS_OFF_MAX)
		return PT_VERDICT_TRUNCATED;
	c.pos = data + records_off;
	return pt_parse_records(&c, f);
}

static __always_inline enum pt_verdict classify(struct xdp_md *ctx,
						struct found *found)
{
	struct pt_cursor c = {
		.pos = (const void *)(long)ctx->data,
		.end = (const void *)(long)ctx->data_end,
	};
	__u32 queue = ctx->rx_queue_index;
	const struct pt_session *session;
	const struct pt_frame_hdr *hdr;
	enum pt_verdict verdict;
	struct pt_packet p;
	struct pt_frame f;

	if (!pt_parse_packet(&c, found->frame_sz, &p) ||
	    !bpf_map_lookup_elem(&pt_endpoints, &p.dst))
		return PT_VERDICT_PASSED;	/* foreign: never dropped */

	hdr = c.pos;
	verdict = pt_parse_header(&c, &p, &f);	/* of the protocol: any error
						 * drops it */
	if (verdict != PT_VERDICT_STEERED)
		return verdict;

	session = bpf_map_lookup_elem(&pt_sessions, &f.session_id);
	if (!session || !endpoint_is_equal(&session->endpoint, &p.dst))
		return PT_VERDICT_UNKNOWN_SESSION;
	verdict = judge_sender(session, &f, hdr);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	found->session_id = f.session_id;
	found->session_is_known = true;

	verdict = judge_session(session, &f, queue);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	verdict = judge_records(ctx, &f, c.pos - (const void *)(long)ctx->data);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	return judge_socket(ctx, found);
}

/* The slots are per CPU and the program runs in softirq, so no atomics. */
static __always_inline void count_verdict(struct pt_counters *counters,
					  enum pt_verdict verdict, __u64 sz)
{
	counters->seen++;
	counters->seen_bytes += sz;
	switch (verdict) {
#define X(SYMBOL, name, text)						\
	case PT_VERDICT_##SYMBOL:					\
		counters->name++;					\
		break;
	PT_VERDICTS(X)
#undef X
	default:
		break;
	}
}

static __always_inline void count(const struct xdp_md *ctx,
				  enum pt_verdict verdict,
				  const struct found *found)
{
	__u32 queue = ctx->rx_queue_index;
	__u64 id = found->session_id;
	struct pt_counters *counters;

	counters = bpf_map_lookup_elem(&pt_queue_counters, &queue);
	if (counters)
		count_verdict(counters, verdict, found->frame_sz);
	if (!found->session_is_known)
		return;
	counters = bpf_map_lookup_elem(&pt_session_counters, &id);
	if (counters)
		count_verdict(counters, verdict, found->frame_sz);
}

/* Behind a dispatcher this program runs early, since guest memory is many
 * frames.  Frames that it passes go to the next program. */
struct {
	__uint(priority, 20);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(pagetrim);

SEC("xdp.frags")
int pagetrim(struct xdp_md *ctx)
{
	struct found found = { .frame_sz = bpf_xdp_get_buff_len(ctx) };
	enum pt_verdict verdict = classify(ctx, &found);

	count(ctx, verdict, &found);

	switch (verdict) {
	case PT_VERDICT_PASSED:
		return XDP_PASS;
	case PT_VERDICT_STEERED:
		return bpf_redirect_map(&pt_xsks, ctx->rx_queue_index,
					XDP_DROP);
	default:
		return XDP_DROP;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
