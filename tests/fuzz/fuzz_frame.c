/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The first two bytes state where the following frame is cut.  A reader that
 * opens it must return as many blocks as the header states, or fewer for a
 * sealed frame.  Sealed frames are opened with the keys of the corpus, those of
 * docs/wire-format.md: in place, so in a copy.  One whose tag is wrong is then
 * read as if a peer had sealed just these bytes. */
#include <endian.h>
#include <stddef.h>
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

/* judge_in_clear returns the verdict that a sealed frame's bytes had if they were
 * not sealed. */
static enum pt_verdict judge_in_clear(const struct pt_span *spans, __u32 cnt)
{
	static struct pt_reader r;
	struct pt_frame_hdr *hdr, was;
	enum pt_verdict verdict;

	pt_check(pt_reader_open(&r, spans, cnt) == PT_VERDICT_STEERED);
	hdr = (void *)r.spans->base;
	was = *hdr;
	hdr->flags = 0;
	hdr->key_epoch = 0;
	memset(hdr->header_mac, 0, sizeof(hdr->header_mac));
	verdict = pt_reader_open(&r, spans, cnt);
	*hdr = was;
	return verdict;
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

/* seal_anew seals what the bytes are, as the next frame of a peer.  The spans are
 * pieces of one array. */
static void seal_anew(struct pt_reader *r)
{
	struct pt_frame_hdr *hdr = (void *)r->spans->base;
	static struct pt_seal *peer;
	static __u64 seq;

	if (!peer)
		peer = make_seal();
	hdr->seq = htobe64(seq);
	hdr->key_epoch = htobe16(pt_seal_key_epoch(peer, r->kind, seq));
	pt_seal_header(peer, hdr);
	pt_seal_start(peer, r->kind, seq++, (struct pt_span){
		hdr, offsetof(struct pt_frame_hdr, auth) });
	pt_seal_here(peer, (__u8 *)hdr + PT_HIDDEN_OFF,
		     r->payload_sz - PT_HIDDEN_OFF);
	pt_seal_finish(peer, hdr->auth);
}

/* open_anew returns whether the contents are sound that a peer sealed.  Unless
 * records lie outside of the first span, they are if they are so in clear. */
static bool open_anew(struct pt_reader *r, const struct pt_span *spans,
		      __u32 cnt)
{
	static struct pt_seal *seal;
	enum pt_verdict clear;

	if (!seal)
		seal = make_seal();
	clear = judge_in_clear(spans, cnt);
	seal_anew(r);
	pt_check(pt_reader_open(r, spans, cnt) == PT_VERDICT_STEERED);
	pt_check(pt_reader_unseal(r, seal));
	pt_check(r->is_sound || clear != PT_VERDICT_STEERED);
	return r->is_sound;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	__u32 at = 2, cnt = 0, len = sz ? data[0] * 16 : 0;
	struct pt_span spans[PT_SPANS_MAX];
	static struct pt_seal *seal;
	struct pt_reader r;
	bool is_opened;
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
		is_opened = pt_reader_unseal(&r, seal);
		pt_check(!is_opened || r.is_sealed);
		if (r.is_sound || (!is_opened && open_anew(&r, spans, cnt))) {
			pt_reader_rewind(&r);
			read_frame(&r);
		}
	}
	free(copy);
	return 0;
}
