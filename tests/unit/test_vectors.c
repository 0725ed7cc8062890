// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The frames of tests/vectors against parser, reader and builder. */
#include "aead_kit.h"

#include <endian.h>
#include <xxhash.h>

#include <pagetrim/parse.h>

#include "vector_file.h"
#include "wire/reader.h"

enum { GOOD, SEALED };	/* files of frames that the builder writes */

static const struct source {
	const char *path;
	unsigned int least;	/* frames that it has, at least */
} sources[] = {
	[GOOD] = { "tests/vectors/good.txt", 30 },
	[SEALED] = { "tests/vectors/sealed.txt", 60 },
	{ "tests/vectors/odd.txt", 20 },
	{ "tests/vectors/damaged.txt", 20 },
	{ "tests/vectors/bad.txt", 90 },
	{ "tests/vectors/compressed.txt", 9 },
};

static struct vector_file files[COUNT_OF(sources)];

/* judge_sealed asks for the seal as XDP does. */
static enum pt_verdict judge_sealed(const struct vector *v)
{
	struct pt_cursor c = { v->frame, v->frame + v->frame_sz };
	const struct pt_frame_hdr *hdr;
	enum pt_verdict verdict;
	struct pt_packet p;
	struct pt_frame frame;
	__u64 key[2];

	pt_siphash_key(key, v->seal.header_key);
	if (!pt_parse_packet(&c, v->frame_sz, &p))
		return PT_VERDICT_PASSED;
	hdr = c.pos;
	verdict = pt_parse_header(&c, &p, &frame);
	if (verdict != PT_VERDICT_STEERED)
		return verdict;
	if (!(frame.flags & PT_FLAG_SEALED))
		return PT_VERDICT_BAD_HEADER;
	if (!pt_header_is_right(hdr, key))
		return PT_VERDICT_BAD_MAC;
	return pt_parse_records(&c, &frame);
}

/* judge asks for the endpoint as XDP does. */
static enum pt_verdict judge(const struct vector *v)
{
	const struct vector_file *f = v->file;
	struct pt_packet p;
	struct pt_frame frame;
	enum pt_verdict verdict = pt_parse_frame(v->frame, v->frame_sz,
						 v->frame_sz, &p, &frame);

	if (verdict == PT_VERDICT_PASSED)
		return verdict;
	if (v->seal.cipher)
		return judge_sealed(v);
	for (unsigned int i = 0; i < f->endpoint_cnt; i++)
		if (!memcmp(&f->endpoints[i], &p.dst, sizeof(p.dst)))
			return verdict;
	return PT_VERDICT_PASSED;
}

static struct pt_seal *make_seal(const struct vector *v)
{
	struct pt_seal_cfg cfg = v->seal;
	struct pt_seal *seal = NULL;

	cfg.lib = aead_kit_lib_of(cfg.cipher);
	if (cfg.cipher)
		assert_int_equal(pt_seal_create(&seal, &cfg), 0);
	return seal;
}

/* auth_ok checks the checksum or the tag; the other check must fail. */
static bool auth_ok(struct pt_reader *r, const struct vector *v)
{
	struct pt_seal *seal = make_seal(v);
	bool ok;

	if (!seal)
		return pt_reader_auth_ok(r);
	assert_false(pt_reader_auth_ok(r));
	ok = pt_reader_unseal(r, seal);
	pt_seal_destroy(seal);
	return ok;
}

static void check_header(const struct pt_reader *r, const struct vector *v)
{
	assert_int_equal(r->kind, v->kind);
	assert_true(r->id.session_id == v->id.session_id);
	assert_true(r->id.seq == v->id.seq);
	assert_int_equal(r->id.lane, v->id.lane);
	assert_int_equal(r->id.key_epoch, v->id.key_epoch);
	assert_int_equal(r->is_sealed, v->flags & PT_FLAG_SEALED);
	assert_int_equal(r->is_sound, !r->is_sealed);
}

static void check_contents(const struct pt_reader *r, const struct vector *v)
{
	assert_int_equal(r->id.generation, v->id.generation);
	assert_int_equal(r->data_off, v->data_off);
	assert_int_equal(r->block_cnt, v->block_cnt);
	assert_int_equal(r->record_cnt, v->record_cnt);
	assert_int_equal(r->compression, v->compression);
	assert_int_equal(r->is_compressed, v->compression != 0);
}

#define NO_BLOCKS	"99aa06d3014798d86001c324468d497f"	/* XXH3-128 of nothing */

/* decompress: false: the vector's blocks are not as its header says. */
static bool decompress(struct pt_reader *r, const struct vector *v)
{
	static struct pt_decompressor *d;
	bool ok;

	if (!d)
		assert_int_equal(pt_decompressor_create(&d), 0);
	ok = v->auth_ok && pt_reader_decompress(r, d);
	assert_int_equal(ok, strcmp(v->blocks, NO_BLOCKS) != 0);
	return ok;
}

static void check_blocks(const XXH3_state_t *state, const char *want)
{
	XXH128_canonical_t sum;
	char hex[33];

	XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(state));
	for (int i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", sum.digest[i]);
	assert_string_equal(hex, want);
}

static void check_records(struct pt_reader *r, const struct vector *v)
{
	struct pt_record_host rec;
	unsigned int got;
	XXH3_state_t *state = XXH3_createState();

	XXH3_128bits_reset(state);
	for (__u32 i = 0; i < v->record_cnt; i++) {
		const void *at;

		assert_true(pt_reader_next(r, &rec));
		assert_int_equal(rec.kind, v->records[i].kind);
		assert_int_equal(rec.first, v->records[i].first);
		assert_int_equal(rec.last, v->records[i].last);
		assert_true(rec.gfn == v->records[i].gfn);
		assert_true(rec.mask == v->records[i].mask);
		while ((at = pt_reader_blocks(r, 64, &got)))
			XXH3_128bits_update(state, at, got * 64);
	}
	assert_false(pt_reader_next(r, &rec));
	if (v->kind == PT_FRAME_DATA)
		check_blocks(state, v->blocks);
	XXH3_freeState(state);
}

/* contents_are_sound: the records can be read, once the frame was opened. */
static bool contents_are_sound(const struct vector *v)
{
	return !v->seal.cipher || (v->auth_ok && !v->contents_bad);
}

/* check_meaning reads it whole, and in pieces of two sizes. */
static void check_meaning(const struct vector *v)
{
	static const __u32 piece_szs[] = { FRAME_SZ_MAX, 3840, 3847 };

	for (size_t i = 0; i < COUNT_OF(piece_szs); i++) {
		struct kit_spans s;
		struct pt_reader r;

		kit_cut(&s, v->frame, v->frame_sz, piece_szs[i], piece_szs[i]);
		assert_int_equal(pt_reader_open(&r, s.spans, s.cnt),
				 PT_VERDICT_STEERED);
		check_header(&r, v);
		assert_int_equal(auth_ok(&r, v), v->auth_ok);
		assert_int_equal(r.is_sound, contents_are_sound(v));
		if (r.is_sound)
			check_contents(&r, v);
		if (r.is_sound && (!r.is_compressed || decompress(&r, v)))
			check_records(&r, v);
		kit_free(&s);
	}
}

/* link_of takes the link from a frame that is known to be sound. */
static struct pt_link link_of(const struct vector *v)
{
	struct pt_link link = { 0 };
	const __u8 *at = v->frame + 12;
	const struct pt_udp_hdr *udp;

	memcpy(link.dst_mac, v->frame, 6);
	memcpy(link.src_mac, v->frame + 6, 6);
	if (at[0] == 0x81) {
		link.vlan = at[2] << 8 | at[3];
		at += 4;
	}
	link.ipv6 = at[0] == 0x86;
	at += 2;
	if (link.ipv6) {
		memcpy(link.src_addr, at + 8, 16);
		memcpy(link.dst_addr, at + 24, 16);
		at += 40;
	} else {
		memcpy(link.src_addr + 12, at + 12, 4);
		memcpy(link.dst_addr + 12, at + 16, 4);
		at += 20;
	}
	udp = (const void *)at;
	link.src_port = be16toh(udp->src_port);
	link.dst_port = be16toh(udp->dst_port);
	return link;
}

/* stage gives the builder pages that hold the vector's blocks.  A cut page has
 * data behind the cut too: the builder must find the place. */
static void stage(struct pt_builder *b, const struct vector *v,
		  __u8 (*pages)[PT_PAGE_SZ], const __u8 *blocks)
{
	for (__u32 i = 0; i < v->record_cnt; i++) {
		const struct pt_record_host *r = &v->records[i];
		__u64 mask = r->mask;

		if (r->kind == PT_RECORD_ZEROES) {
			assert_true(pt_builder_add_zeroes(b, r->gfn, r->mask));
			continue;
		}
		if (r->kind == PT_RECORD_UNREADABLE) {
			assert_true(pt_builder_add_unreadable(b, r->gfn,
							      r->mask));
			continue;
		}
		if (r->kind == PT_RECORD_COPY) {
			assert_true(pt_builder_add_copy(b, r->gfn,
					pt_record_original(r->mask),
					pt_record_version(r->mask)));
			continue;
		}
		for (; mask; mask &= mask - 1, blocks += 64)
			memcpy(&pages[i][__builtin_ctzll(mask) * 64], blocks,
			       64);
		if (r->kind == PT_RECORD_DELTA) {
			assert_true(pt_builder_add_delta(b, r->gfn,
					r->first << 8 | r->last, r->mask,
					pages[i]));
			continue;
		}
		mask = r->mask;
		if (r->last < 63)
			mask |= ~0ULL << (r->last + 1);
		assert_int_equal(pt_builder_add_page(b, r->gfn, r->first, mask,
						     pages[i]), r->last + 1);
	}
}

/* open_copy: the frame, its blocks in clear. */
static void open_copy(const struct vector *v, __u8 *to)
{
	struct pt_reader r;

	memcpy(to, v->frame, v->frame_sz);
	assert_int_equal(pt_reader_open(&r, &(struct pt_span){ to,
					v->frame_sz }, 1), PT_VERDICT_STEERED);
	assert_true(auth_ok(&r, v));
}

static void check_builder(const struct vector *v)
{
	static __u8 pages[PT_RECORDS_MAX][PT_PAGE_SZ];
	static __u8 frame[FRAME_SZ_MAX], plain[FRAME_SZ_MAX];
	struct pt_link link = link_of(v);
	struct pt_builder_cfg cfg = kit_cfg(&link, v->mtu);
	struct pt_seal *seal = make_seal(v);
	struct pt_builder b;

	cfg.pad = v->filler;
	if (v->kind == PT_FRAME_PROBE) {
		pt_probe_write(&link, &v->id, v->frame_sz, seal, frame);
	} else {
		pt_builder_init(&b, &cfg);
		open_copy(v, plain);
		stage(&b, v, pages, plain + pt_link_sz(&link) + v->data_off);
		assert_int_equal(b.block_cnt + v->filler, v->block_cnt);
		assert_int_equal(pt_builder_frame_sz(&b), v->frame_sz);
		assert_int_equal(pt_builder_close(&b, &link, &v->id, seal,
						  frame), v->frame_sz);
	}
	assert_memory_equal(frame, v->frame, v->frame_sz);
	pt_seal_destroy(seal);
}

static void test_vector(void **state)
{
	const struct vector *v = *state;

	assert_int_equal(judge(v), v->verdict);
	if (v->verdict == PT_VERDICT_STEERED)
		check_meaning(v);
	if (v->file != &files[SEALED])
		assert_int_equal(v->mtu != 0, v->file == &files[GOOD]);
	if (v->mtu)
		check_builder(v);
}

int main(void)
{
	static struct CMUnitTest tests[COUNT_OF(sources) * VECTORS_MAX];
	size_t cnt = 0;
	int failed;

	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		struct vector_file *f = &files[i];

		vector_load(f, sources[i].path);
		if (f->cnt < sources[i].least)
			vector_die(f, "only %u frames", f->cnt);
		for (unsigned int n = 0; n < f->cnt; n++)
			tests[cnt++] = (struct CMUnitTest){
				.name = f->vectors[n]->name,
				.test_func = test_vector,
				.initial_state = f->vectors[n],
			};
	}
	failed = aead_kit_run("vectors", tests, cnt);
	for (size_t i = 0; i < COUNT_OF(sources); i++)
		vector_free(&files[i]);
	return failed;
}
