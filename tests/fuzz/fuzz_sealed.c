/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sealed frames are changed on the way or not, late or not.  Only an unchanged
 * frame opens, with the sealed content, whatever forged frames came before.
 * The first byte is the cipher, less one, plus 3 if the libraries of the two
 * ends change places.  A frame: u8 amount of memory; u8 step of its number, bit
 * 7: the next frame overtakes it; u8 number of changed bytes, for each a u16
 * position and a u8 change. */
#include "input.h"

#include <pagetrim/check.h>
#include "wire/builder.h"
#include "wire/reader.h"

#define FRAMES_MAX	8

static const struct pt_link route = {
	.src_addr = { [10] = 0xff, 0xff, 10, 77, 0, 1 },
	.dst_addr = { [10] = 0xff, 0xff, 10, 77, 0, 2 },
	.dst_port = PT_UDP_PORT,
};

struct sealed {
	__u8 bytes[9014] __attribute__((aligned(64)));
	__u32 sz;
	__u64 seq;
	__u8 memory;
	bool is_changed, is_late;
};

/* keys: both ends' keys, and the receiver's state. */
static struct keys {
	struct pt_seal *seal, *unseal;
	__u64 seq;
	__u64 newest, before;	/* epochs */
} keys;

static void keys_begin(enum pt_cipher cipher, bool is_swapped)
{
	const struct pt_aead_lib *quickest = pt_aead_lib_choose(cipher);
	const struct pt_aead_lib *usual = pt_aead_lib_choose(PT_CIPHER_NONE);
	struct pt_seal_cfg cfg = {
		.cipher = cipher, .rekey_log2 = PT_REKEY_LOG2_MIN,
		.secret = "a secret of thirty-two bytes...",
		.header_key = "a header key...",
	};

	keys = (struct keys){ .seq = 0 };
	cfg.lib = is_swapped ? quickest : usual;
	pt_check(!pt_seal_create(&keys.seal, &cfg));
	cfg.lib = is_swapped ? usual : quickest;
	pt_check(!pt_seal_create(&keys.unseal, &cfg));
}

/* make returns a sealed frame with so many pages, of the next number plus
 * jump. */
static void make(struct input *in, struct sealed *f)
{
	static const __u64 steps[] = { 1, 2, 1 << 16, 3 << 16, 65ULL << 16 };
	const struct pt_builder_cfg cfg = {
		.l2l3l4_sz = pt_link_sz(&route),
		.frame_sz_max = 9014,
	};
	struct pt_frame_id id = { .session_id = 1, .generation = 1, .lane = 3 };
	__u8 pages[2][PT_PAGE_SZ], jump;
	struct pt_builder b;

	f->memory = input_u8(in);
	jump = input_u8(in);
	pt_builder_init(&b, &cfg);
	for (int i = 0; i < f->memory % 3; i++) {
		memset(pages[i], f->memory + i, PT_PAGE_SZ);
		pt_builder_add_page(&b, i, 0, ~0ULL << f->memory / 4, pages[i]);
	}
	pt_builder_add_zeroes(&b, 100, 1 + f->memory);
	keys.seq += steps[jump % 8 % 5];
	f->seq = id.seq = keys.seq;
	f->is_late = jump & 0x80;
	f->sz = pt_builder_close(&b, &route, &id, keys.seal, f->bytes);
}

/* change notes whether any byte behind the UDP header was changed. */
static void change(struct input *in, struct sealed *f)
{
	const __u32 from = pt_link_sz(&route);
	static __u8 was[sizeof(f->bytes)];

	memcpy(was, f->bytes, f->sz);
	for (__u8 cnt = input_u8(in); cnt; cnt--) {
		__u32 at = input_u8(in) << 8;

		at |= input_u8(in);
		f->bytes[at % f->sz] ^= input_u8(in);
	}
	f->is_changed = memcmp(was + from, f->bytes + from, f->sz - from);
}

/* has_key applies the receiver's rule, and keeps a key once a frame opened. */
static bool has_key(__u64 seq, bool is_changed)
{
	__u64 epoch = seq >> PT_REKEY_LOG2_MIN;

	if (epoch <= keys.newest)
		return epoch == keys.newest || epoch == keys.before;
	if (epoch > keys.newest + PT_SEAL_AHEAD_MAX || is_changed)
		return false;
	keys.before = keys.newest;
	keys.newest = epoch;
	return true;
}

static void check_opened(const struct sealed *f, struct pt_reader *r)
{
	struct pt_record_host record;
	const __u8 *blocks;
	unsigned int got;

	while (pt_reader_next(r, &record))
		while ((blocks = pt_reader_blocks(r, 64, &got)))
			for (__u32 i = 0; i < got * PT_BLOCK_SZ; i++)
				pt_check(blocks[i] ==
					 (__u8)(f->memory + record.gfn));
}

static void arrive(const struct sealed *f)
{
	const struct pt_span whole = { f->bytes, f->sz };
	static struct pt_reader r;
	bool is_opened;

	if (pt_reader_open(&r, &whole, 1) != PT_VERDICT_STEERED)
		return;
	is_opened = pt_reader_unseal(&r, keys.unseal);
	pt_check(is_opened == (has_key(f->seq, f->is_changed) &&
			       !f->is_changed));
	pt_check(is_opened == r.is_sound);
	if (is_opened)
		check_opened(f, &r);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct sealed frames[2];
	struct input in = { data, sz };
	__u8 first = input_u8(&in);
	bool waits = false;

	keys_begin(PT_CIPHER_AES_128_GCM + first % 3, first / 3 % 2);
	for (__u32 i = 0; i < FRAMES_MAX && in.sz; i++) {
		struct sealed *f = &frames[i % 2];

		make(&in, f);
		change(&in, f);
		if (!f->is_late || waits)
			arrive(f);
		if (waits)
			arrive(&frames[(i + 1) % 2]);
		waits = f->is_late && !waits;
	}
	pt_seal_destroy(keys.seal);
	pt_seal_destroy(keys.unseal);
	return 0;
}
