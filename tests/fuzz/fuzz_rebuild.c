/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Frames of arbitrary records, in sound frame headers, cut anywhere, are read
 * and placed in a small memory.  A frame that names a page outside of it is
 * refused as a whole, and so is one whose unit does not decompress to its blocks;
 * after all others the memory equals a model. */
#include "input.h"
#include "memory.h"
#include "unit.h"

#define FRAMES_MAX	32
#define RECORDS_MAX	6

static __u64 take_gfn(struct input *in)
{
	__u64 gfn = input_u8(in);

	return gfn < 0xf0 ? gfn : gfn + PT_GFN_MAX - 0xff; /* where it ends */
}

/* take_original returns a version of this generation, or of the one before. */
static __u64 take_original(struct input *in, __u32 generation)
{
	__u8 b = input_u8(in);

	return b < 0xf0 ? pt_record_copy_of(b & 0x7f, generation - (b >> 7))
			: b + PT_GFN_MAX - 0xff;
}

/* take_base names a version of some generations before, or any.  The last page's
 * base may have had bytes behind the end of memory, which are not held. */
static void take_base(struct shape_record *r, __u32 generation)
{
	__u16 base = generation - r->first % 4;

	if (r->gfn == 101)
		r->gfn--;
	if (r->first >= 0xf0)
		return;
	r->first = base >> 8;
	r->last = base;
}

/* take_shape takes 12 bytes for a record, 5 for a copy. */
static void take_shape(struct input *in, struct shape *s,
		       struct shape_record *records, __u32 generation)
{
	s->record_cnt = 1 + input_u8(in) % RECORDS_MAX;
	for (__u32 i = 0; i < s->record_cnt; i++) {
		struct shape_record *r = &records[i];

		r->kind = input_u8(in);
		r->first = input_u8(in);
		r->last = input_u8(in);
		r->gfn = take_gfn(in);
		if (r->kind == PT_RECORD_COPY)
			r->mask = take_original(in, generation);
		else
			input_bytes(in, &r->mask, sizeof(r->mask));
		if (r->kind == PT_RECORD_DELTA)
			take_base(r, generation);
	}
}

/* cut makes spans of their own memory: the first with all records, the others
 * of piece_sz bytes. */
static unsigned cut(struct pt_span *spans, const struct frame *f,
		    __u32 piece_sz)
{
	__u32 least = (f->sz - f->data_off) / (PT_SPANS_MAX - 2) + 1;
	unsigned cnt = 0;

	piece_sz = piece_sz > least ? piece_sz : least;
	for (__u32 at = 0, sz = f->data_off; at < f->sz; at += sz) {
		void *copy;

		if (at)
			sz = piece_sz < f->sz - at ? piece_sz : f->sz - at;
		copy = malloc(sz);
		memcpy(copy, f->bytes + at, sz);
		spans[cnt++] = (struct pt_span){ copy, sz };
	}
	return cnt;
}

static void place(const struct shape *s, __u32 generation,
		  struct pt_reader *r, const struct frame *f,
		  const struct unit *u)
{
	const __u8 *blocks = f->bytes + f->data_off;
	__u64 before = memory.counts.refused;
	bool is_ours = memory_has(s);

	pt_check(pt_rebuild_check(memory.rebuild, r) == is_ours);
	if (!is_ours)
		return;
	if (u->method) {
		pt_check(!pt_rebuild_flush(memory.rebuild, &memory.run, &memory.sum,
				   NULL));
		blocks = unit_read(u, f, r);
	}
	if (!blocks)
		return;
	memory.refusals.cnt = 0;
	pt_check(!pt_rebuild_place(memory.rebuild, &memory.run, &memory.sum,
				   &memory.refusals, r, &memory.counts, NULL));
	before += memory.refusals.cnt;
	pt_check(memory.counts.refused == before);
	model_frame(s, generation, blocks);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct pt_span spans[FRAMES_MAX][PT_SPANS_MAX];
	static struct pt_reader r;
	static struct frame f;
	static struct unit u;
	unsigned cnts[FRAMES_MAX], frame_cnt = 0;
	struct input in = { data, sz };

	memory_begin();
	while (in.sz && frame_cnt < FRAMES_MAX) {
		struct shape_record records[RECORDS_MAX];
		struct shape s = { .records = records, .kind = PT_FRAME_DATA };
		__u8 how = input_u8(&in);
		__u32 generation = 1 + how % 4;
		__u32 piece_sz = 1 + input_u8(&in) * 16;

		take_shape(&in, &s, records, generation);
		s.ipv6 = generation == 4;
		frame_build(&f, &s);
		FRAME_SET(&f, PART_HDR, struct pt_frame_hdr, generation,
			  generation);
		for (__u32 at = f.data_off; at < f.sz; at++)
			f.bytes[at] = frame_cnt + at / 3;
		unit_make(&u, &f, how / 4, &in);
		cnts[frame_cnt] = cut(spans[frame_cnt], &f, piece_sz);
		if (pt_reader_open(&r, spans[frame_cnt], cnts[frame_cnt]) ==
		    PT_VERDICT_STEERED)
			place(&s, generation, &r, &f, &u);
		frame_cnt++;
	}
	memory_check();
	memory_end();
	for (unsigned i = 0; i < frame_cnt; i++)
		while (cnts[i])
			free((void *)spans[i][--cnts[i]].base);
	return 0;
}
