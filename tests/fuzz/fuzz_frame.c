/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The first two bytes state where the following frame is cut.  A reader that
 * opens it must return as many blocks as the header states, or fewer for a
 * padded frame.  Sealed frames are opened with the keys of the corpus, those of
 * docs/wire-format.md: in place, so in a copy. */
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);

static struct pt_seal *make_seal(void)
{
	struct pt_seal_cfg cfg = {
		.cipher = PT_CIPHER_AES_128_GCM,
		.rekey_log2 = PT_REKEY_LOG2_MIN,
	};
	struct pt_seal *seal;

	for (__u8 i = 0; i < sizeof(cfg.secret); i++)
		cfg.secret[i] = i;
	for (__u8 i = 0; i < sizeof(cfg.header_key); i++)
		cfg.header_key[i] = 0x20 + i;
	pt_check(!pt_seal_create(&seal, &cfg));
	return seal;
}

/* read_frame returns whether the frame has blocks; a compressed one may have
 * none that can be decompressed. */
static bool read_frame(struct pt_reader *r)
{
	bool was_compressed = r->is_compressed;
	static struct pt_decompressor *d;
	struct pt_record_host record;
	__u8 page[PT_PAGE_SZ];
	__u32 blocks = 0, got;

	if (!d)
		pt_check(!pt_decompressor_create(&d));
	if (was_compressed && !pt_reader_decompress(r, d))
		return false;
	while (pt_reader_next(r, &record)) {
		const __u32 before = blocks;

		for (const void *b; (b = pt_reader_blocks(r, 64, &got)); ) {
			memcpy(page, b, got * PT_BLOCK_SZ);
			blocks += got;
		}
		pt_check(blocks - before == pt_record_block_cnt(&record));
		pt_check(blocks == before || pt_record_has_blocks(&record));
	}
	if (r->kind == PT_FRAME_PROBE)
		pt_check(!blocks);
	else if (was_compressed)
		pt_check(blocks > r->block_cnt);
	else if (r->is_sealed)
		pt_check(blocks <= r->block_cnt);
	else
		pt_check(blocks == r->block_cnt);
	return true;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	__u32 at = 2, cnt = 0, len = sz ? data[0] * 16 : 0;
	struct pt_span spans[PT_SPANS_MAX];
	static struct pt_seal *seal;
	struct pt_reader r;
	__u8 *copy;

	if (sz < 2)
		return 0;
	if (!seal)
		seal = make_seal();
	copy = malloc(sz);
	pt_check(copy);
	memcpy(copy, data, sz);
	for (; cnt < PT_SPANS_MAX && at <= sz; len = data[1] * 16) {
		if (cnt == PT_SPANS_MAX - 1 || len > sz - at)
			len = sz - at;
		spans[cnt++] = (struct pt_span){ copy + at, len };
		at += len;
	}
	if (pt_reader_open(&r, spans, cnt) == PT_VERDICT_STEERED) {
		pt_check(!(pt_reader_auth_ok(&r) && r.is_sealed));
		pt_check(!pt_reader_unseal(&r, seal) || r.is_sealed);
		pt_reader_rewind(&r);
		read_frame(&r);
	}
	free(copy);
	return 0;
}
