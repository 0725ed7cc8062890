/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Compresses a lane's frames, or only observes what that would gain. */
#include "lane/lane_internal.h"

int pt_lane_compress_open(struct pt_lane *l)
{
	const struct pt_send_job *job = l->cfg.job;
	int ret = 0;

	for (int m = 1; !ret && m < PT_COMPRESSION_CNT; m++)
		if (job->compressions >> m & 1)
			ret = pt_compressor_create(&l->compressors[m], m,
						   job->compress_level);
	pt_chooser_init(&l->chooser, job->compressions,
			job->compress_auto && job->observe);
	return ret;
}

void pt_lane_compress_close(struct pt_lane *l)
{
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		pt_compressor_destroy(l->compressors[m]);
}

struct pt_compressor *pt_lane_compressor(const struct pt_lane *l)
{
	struct pt_compressor *only = NULL;

	if (l->cfg.job->compress_auto)
		return l->compressors[l->chooser.method];
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		if (l->compressors[m])
			only = l->compressors[m];
	return only;
}

/* observed_sz returns the bytes that so many of blocks would have had, by what the
 * last samples of the method gave. */
static __u64 observed_sz(const struct pt_lane *l, enum pt_compression method,
			 __u64 raw_sz)
{
	return method ? raw_sz * l->builder.ratio[method] / PT_PACK_ONE : raw_sz;
}

void pt_lane_compress_count(struct pt_lane *l, const struct pt_pack *take)
{
	__u64 raw_sz = (__u64)take->block_cnt * PT_BLOCK_SZ, sz = raw_sz;
	enum pt_compression method = PT_COMPRESSION_NONE;
	struct pt_lane_counts *c = &l->counts;

	if (!raw_sz)
		return;
	if (take->sz) {
		method = pt_compressor_method(l->builder.cfg.compressor);
		sz = take->sz;
		pt_stage_bytes(l->cfg.clock, PT_SEND_STAGE_COMPRESS, raw_sz);
	} else if (l->chooser.observes) {
		method = l->chooser.choice;
		sz = observed_sz(l, method, raw_sz);
	}
	pt_lane_count(&c->methods[method].frames, 1);
	pt_lane_count(&c->methods[method].raw, raw_sz);
	pt_lane_count(&c->methods[method].sz, sz);
}

void pt_lane_compress_choose(struct pt_lane *l, const struct pt_pack *take,
			     __u32 frame_sz, __u64 pack_ns)
{
	const struct pt_pack *tried = &l->builder.tried;
	__u64 switch_cnt = l->chooser.switch_cnt;
	__u32 raw_sz = take->block_cnt * PT_BLOCK_SZ;

	if (tried->sz) {	/* the frame as it would have been */
		frame_sz = frame_sz - raw_sz + tried->sz;
		raw_sz = tried->block_cnt * PT_BLOCK_SZ;
	}
	pt_chooser_frame(&l->chooser, l->sent_ns, raw_sz, frame_sz, pack_ns,
			 l->waited_ns);
	l->waited_ns = 0;
	if (pt_lane_compressor(l) != l->builder.cfg.compressor)
		pt_builder_use(&l->builder, pt_lane_compressor(l));
	pt_lane_count(&l->counts.compress_switches,
		      l->chooser.switch_cnt - switch_cnt);
}
