/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The fields of a frame that the parser accepts must add up.  A short first
 * descriptor may hide records, but changes a verdict in no other way. */
#include <endian.h>

#include <pagetrim/check.h>
#include <pagetrim/parse.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);

/* check_mask returns the count of the bits, which are within first..last. */
static __u32 check_mask(__u64 mask, __u32 first, __u32 last)
{
	for (__u32 bit = 0; bit < 64; bit++)
		if (mask >> bit & 1)
			pt_check(bit >= first && bit <= last);
	return __builtin_popcountll(mask);
}

static void check_sound(const __u8 *data, size_t sz, const struct pt_packet *p,
			const struct pt_frame *f)
{
	const __u32 payload_off = p->udp_off + sizeof(struct pt_udp_hdr);
	const struct pt_record *r = (const void *)(data + payload_off +
						   PT_FRAME_HDR_SZ);
	__u32 block_cnt = 0;
	__u64 pos = 0;

	pt_check(payload_off + f->payload_sz <= sz);
	if (f->flags & PT_FLAG_SEALED) {
		pt_check(!f->record_cnt && !f->data_off && !f->block_cnt);
		return;
	}
	pt_check(f->payload_sz == f->data_off + f->block_cnt * PT_BLOCK_SZ);
	pt_check(PT_FRAME_HDR_SZ + f->record_cnt * sizeof(*r) <= f->data_off);
	for (__u32 i = 0; i < f->record_cnt; i++) {
		const __u64 gfn = (__u64)r[i].gfn_hi << 32 |
				  be32toh(r[i].gfn_lo);

		const bool is_delta = r[i].kind == PT_RECORD_DELTA;
		const __u32 first = is_delta ? 0 : r[i].first;
		const __u32 last = is_delta ? 63 : r[i].last;

		pt_check(gfn * PT_PAGE_BLOCKS + first >= pos);
		pos = gfn * PT_PAGE_BLOCKS + last + 1;
		if (r[i].kind == PT_RECORD_ZEROES ||
		    r[i].kind == PT_RECORD_UNREADABLE) {
			pt_check(be64toh(r[i].mask) <= PT_ZEROES_MAX);
			pos += (be64toh(r[i].mask) - 1) * PT_PAGE_BLOCKS;
		}
		if (r[i].kind == PT_RECORD_COPY)
			pt_check((be64toh(r[i].mask) & PT_GFN_MAX) != gfn);
		if (r[i].kind != PT_RECORD_BLOCKS)
			pt_check(!first && last == 63);
		if (r[i].kind == PT_RECORD_BLOCKS || is_delta)
			block_cnt += check_mask(be64toh(r[i].mask), first, last);
	}
	if (f->kind == PT_FRAME_PROBE)
		return;
	if (f->compression)
		pt_check(block_cnt > f->block_cnt);
	else
		pt_check(block_cnt == f->block_cnt);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	enum pt_verdict whole, part;
	struct pt_packet p;
	struct pt_frame f;

	whole = pt_parse_frame(data, sz, sz, &p, &f);
	if (whole == PT_VERDICT_STEERED)
		check_sound(data, sz, &p, &f);
	if (!sz)
		return 0;
	part = pt_parse_frame(data, data[sz - 1] % sz, sz, &p, &f);
	pt_check(part == whole || part == PT_VERDICT_TRUNCATED ||
		 part == PT_VERDICT_PASSED);
	return 0;
}
