// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The ciphers, as each library computes them: known answers, and every library
 * against libcrypto, in pieces of every size. */
#include "aead_kit.h"

#include <errno.h>

#define TEXT_SZ_MAX	70000
#define CLEAR_SZ_MAX	1700
#define TAG_BITS	(8 * PT_AUTH_SZ)

/* message: the plain text, its pieces, and the result. */
struct message {
	__u8	nonce[PT_AEAD_NONCE_SZ];
	__u8	clear[CLEAR_SZ_MAX];
	__u32	clear_sz, text_sz;
	__u32	piece_sz_max;	/* pieces of 0 up to so many bytes */
	__u8	text[TEXT_SZ_MAX];
};

struct sealed {
	__u8	tag[PT_AUTH_SZ];
	__u8	bytes[TEXT_SZ_MAX];
};

static struct message message;
static struct sealed ours, theirs, opened;
static __u64 random_state;

static const struct pt_aead_lib *reference(void)
{
	return pt_aead_lib_choose(PT_CIPHER_NONE);
}

static struct pt_aead_key *make(const struct pt_aead_lib *lib,
				enum pt_cipher cipher, const __u8 *bytes)
{
	struct pt_aead_key *k = NULL;

	assert_int_equal(pt_aead_key_create(&k, lib, cipher), 0);
	assert_true(pt_aead_key_set(k, bytes));
	return k;
}

static __u32 below(__u32 limit)
{
	return (kit_random(&random_state) >> 32) % limit;
}

static void start(struct pt_aead_key *k, bool is_sending,
		  const struct message *m)
{
	pt_aead_start(k, is_sending, m->nonce,
		      (struct pt_span){ m->clear, m->clear_sz });
}

static __u32 piece_sz(const struct message *m, __u32 at)
{
	__u32 sz = below(m->piece_sz_max + 1);

	return sz < m->text_sz - at ? sz : m->text_sz - at;
}

static void seal(struct pt_aead_key *k, const struct message *m,
		 struct sealed *out)
{
	__u32 sz;

	start(k, true, m);
	for (__u32 at = 0; at < m->text_sz; at += sz) {
		sz = piece_sz(m, at);
		if (below(2)) {
			memcpy(out->bytes + at, m->text + at, sz);
			pt_aead_encrypt(k, out->bytes + at, out->bytes + at,
					sz);
		} else {
			pt_aead_encrypt(k, out->bytes + at, m->text + at, sz);
		}
	}
	pt_aead_seal(k, out->tag);
}

/* opens: and then to the original text? */
static bool opens(struct pt_aead_key *k, const struct message *m,
		  const struct sealed *in)
{
	__u32 sz;

	memcpy(opened.bytes, in->bytes, m->text_sz);
	start(k, false, m);
	for (__u32 at = 0; at < m->text_sz; at += sz) {
		sz = piece_sz(m, at);
		pt_aead_decrypt(k, opened.bytes + at, sz);
	}
	if (!pt_aead_open(k, in->tag))
		return false;
	assert_memory_equal(opened.bytes, m->text, m->text_sz);
	return true;
}

/* ---- known answers ---- */

/* Test cases 4 and 16 of the GCM specification (McGrew, Viega), and the example
 * of RFC 8439, 2.8.2. */
#define GCM_KEY "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08"
#define GCM_NONCE "\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88"
#define GCM_CLEAR							\
	"\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef" \
	"\xab\xad\xda\xd2"
#define GCM_TEXT							\
	"\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a" \
	"\x86\xa7\xa9\x53\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72" \
	"\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25" \
	"\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39"
#define RFC_KEY								\
	"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f" \
	"\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f"

static const struct answer {
	enum pt_cipher cipher;
	const char *key, *nonce, *clear, *text;
	__u32	clear_sz, text_sz;
	const char *first, *tag;	/* 16 bytes of the sealed, and the tag */
} answers[] = {
	{ PT_CIPHER_AES_128_GCM, GCM_KEY, GCM_NONCE, GCM_CLEAR, GCM_TEXT,
	  20, 60,
	  "\x42\x83\x1e\xc2\x21\x77\x74\x24\x4b\x72\x21\xb7\x84\xd0\xd4\x9c",
	  "\x5b\xc9\x4f\xbc\x32\x21\xa5\xdb\x94\xfa\xe9\x5a\xe7\x12\x1a\x47" },
	{ PT_CIPHER_AES_256_GCM, GCM_KEY GCM_KEY, GCM_NONCE, GCM_CLEAR,
	  GCM_TEXT, 20, 60,
	  "\x52\x2d\xc1\xf0\x99\x56\x7d\x07\xf4\x7f\x37\xa3\x2a\x84\x42\x7d",
	  "\x76\xfc\x6e\xce\x0f\x4e\x17\x68\xcd\xdf\x88\x53\xbb\x2d\x55\x1b" },
	{ PT_CIPHER_CHACHA20_POLY1305, RFC_KEY,
	  "\x07\x00\x00\x00\x40\x41\x42\x43\x44\x45\x46\x47",
	  "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7",
	  "Ladies and Gentlemen of the class of '99: If I could offer you "
	  "only one tip for the future, sunscreen would be it.", 12, 114,
	  "\xd3\x1a\x8d\x34\x64\x8e\x60\xdb\x7b\x86\xaf\xbc\x53\xef\x7e\xc2",
	  "\x1a\xe1\x0b\x59\x4f\x09\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60\x06\x91" },
};

static void test_known_answer(void **state)
{
	const struct answer *a = *state;
	struct pt_aead_key *k = make(aead_kit_lib_of(a->cipher), a->cipher,
				     (const __u8 *)a->key);

	memcpy(message.nonce, a->nonce, sizeof(message.nonce));
	memcpy(message.clear, a->clear, a->clear_sz);
	memcpy(message.text, a->text, a->text_sz);
	message.clear_sz = a->clear_sz;
	message.text_sz = a->text_sz;
	for (__u32 sz = 1; sz <= a->text_sz; sz++) {
		message.piece_sz_max = sz;
		seal(k, &message, &ours);
		assert_memory_equal(ours.bytes, a->first, 16);
		assert_memory_equal(ours.tag, a->tag, PT_AUTH_SZ);
		assert_true(opens(k, &message, &ours));
	}
	pt_aead_key_destroy(k);
}

/* ---- against libcrypto ---- */

/* keys: one by the library under test, one by libcrypto, of the same bytes. */
struct keys {
	struct pt_aead_key *ours, *theirs;
};

static struct keys make_keys(enum pt_cipher cipher)
{
	__u8 bytes[PT_CIPHER_KEY_SZ_MAX];

	kit_fill(bytes, sizeof(bytes), &random_state);
	return (struct keys){ make(aead_kit_lib_of(cipher), cipher, bytes),
			      make(reference(), cipher, bytes) };
}

static void destroy_keys(const struct keys *k)
{
	pt_aead_key_destroy(k->ours);
	pt_aead_key_destroy(k->theirs);
}

static void draw(__u32 clear_sz, __u32 text_sz, __u32 piece_sz_max)
{
	kit_fill(message.nonce, sizeof(message.nonce), &random_state);
	kit_fill(message.clear, clear_sz, &random_state);
	kit_fill(message.text, text_sz, &random_state);
	message.clear_sz = clear_sz;
	message.text_sz = text_sz;
	message.piece_sz_max = piece_sz_max;
}

static void assert_agree(const struct keys *k)
{
	seal(k->ours, &message, &ours);
	seal(k->theirs, &message, &theirs);
	assert_memory_equal(ours.bytes, theirs.bytes, message.text_sz);
	assert_memory_equal(ours.tag, theirs.tag, PT_AUTH_SZ);
	assert_true(opens(k->ours, &message, &theirs));
	assert_true(opens(k->theirs, &message, &ours));
}

/* It tests each length up to a few strides of the widest code, and of the clear
 * part, too, whole and in small pieces. */
static void test_all_short_lengths(void **state)
{
	struct keys k = make_keys((enum pt_cipher)(long)*state);

	for (__u32 sz = 0; sz <= 2100; sz++) {
		draw(sz <= CLEAR_SZ_MAX ? sz : 96, sz,
		     sz % 3 ? 1 + sz % 97 : TEXT_SZ_MAX);
		assert_agree(&k);
	}
	destroy_keys(&k);
}

static void test_any_length(void **state)
{
	static const __u32 pieces[] = { 64, 300, 4096, 4096, TEXT_SZ_MAX };
	struct keys k = make_keys((enum pt_cipher)(long)*state);

	for (int i = 0; i < 400; i++) {
		draw(below(CLEAR_SZ_MAX + 1), below(TEXT_SZ_MAX + 1),
		     pieces[i % COUNT_OF(pieces)]);
		assert_agree(&k);
	}
	destroy_keys(&k);
}

/* In three pieces, cut everywhere around the edges of blocks. */
static void test_every_cut(void **state)
{
	struct keys k = make_keys((enum pt_cipher)(long)*state);
	const __u32 sz = 150;
	__u8 *to = theirs.bytes;

	draw(70, sz, sz);
	seal(k.theirs, &message, &ours);
	for (__u32 i = 0; i <= sz; i++)
		for (__u32 n = i; n <= sz; n++) {
			start(k.ours, true, &message);
			pt_aead_encrypt(k.ours, to, message.text, i);
			pt_aead_encrypt(k.ours, to + i, message.text + i,
					n - i);
			pt_aead_encrypt(k.ours, to + n, message.text + n,
					sz - n);
			pt_aead_seal(k.ours, theirs.tag);
			assert_memory_equal(to, ours.bytes, sz);
			assert_memory_equal(theirs.tag, ours.tag, PT_AUTH_SZ);
		}
	destroy_keys(&k);
}

/* No byte behind the piece is written. */
static void test_no_byte_more(void **state)
{
	struct keys k = make_keys((enum pt_cipher)(long)*state);
	const struct pt_span nothing = { NULL, 0 };
	static __u8 to[2048];

	draw(0, sizeof(to), 0);
	for (__u32 sz = 0; sz < 1100; sz++) {
		memset(to, 0x5a, sizeof(to));
		pt_aead_start(k.ours, true, message.nonce, nothing);
		pt_aead_encrypt(k.ours, to, message.text, sz % 70);
		pt_aead_encrypt(k.ours, to + sz % 70, message.text, sz);
		for (size_t at = sz + sz % 70; at < sizeof(to); at++)
			assert_int_equal(to[at], 0x5a);
		pt_aead_start(k.ours, false, message.nonce, nothing);
		pt_aead_decrypt(k.ours, to, sz);
		for (size_t at = sz + sz % 70; at < sizeof(to); at++)
			assert_int_equal(to[at], 0x5a);
	}
	destroy_keys(&k);
}

/* ---- refusals ---- */

static void test_each_bit_counts(void **state)
{
	struct keys k = make_keys((enum pt_cipher)(long)*state);

	draw(150, 1300, 400);
	seal(k.ours, &message, &ours);
	for (int bit = 0; bit < TAG_BITS; bit++) {
		ours.tag[bit / 8] ^= 1 << bit % 8;
		assert_false(opens(k.ours, &message, &ours));
		ours.tag[bit / 8] ^= 1 << bit % 8;
	}
	for (__u32 at = 0; at < message.text_sz; at++) {
		ours.bytes[at] ^= 1 << at % 8;
		assert_false(opens(k.ours, &message, &ours));
		ours.bytes[at] ^= 1 << at % 8;
	}
	for (__u32 at = 0; at < message.clear_sz; at++) {
		message.clear[at] ^= 1 << at % 8;
		assert_false(opens(k.ours, &message, &ours));
		message.clear[at] ^= 1 << at % 8;
	}
	for (__u32 at = 0; at < sizeof(message.nonce); at++) {
		message.nonce[at] ^= 1 << at % 8;
		assert_false(opens(k.ours, &message, &ours));
		message.nonce[at] ^= 1 << at % 8;
	}
	assert_true(opens(k.ours, &message, &ours));
	destroy_keys(&k);
}

/* ---- keys ---- */

/* A frame that was left half-way, or a forgotten key, does not change the next
 * result. */
static void test_begun_anew(void **state)
{
	enum pt_cipher cipher = (enum pt_cipher)(long)*state;
	struct keys k = make_keys(cipher);
	__u8 bytes[PT_CIPHER_KEY_SZ_MAX] = { 1 };

	for (__u32 sz = 1; sz < 600; sz += 7) {
		draw(sz, sz, 100);
		start(k.ours, sz % 2, &message);
		if (sz % 2)
			pt_aead_encrypt(k.ours, opened.bytes, message.text, sz);
		else
			pt_aead_decrypt(k.ours, opened.bytes, sz);
		assert_agree(&k);
		if (sz % 5)
			continue;
		bytes[0] = sz;
		pt_aead_key_forget(k.ours);
		pt_aead_key_forget(k.theirs);
		assert_true(pt_aead_key_set(k.ours, bytes));
		assert_true(pt_aead_key_set(k.theirs, bytes));
		assert_agree(&k);
	}
	destroy_keys(&k);
	pt_aead_key_destroy(NULL);
}

static void test_choice(void **state)
{
	struct pt_aead_key *k = NULL;

	(void)state;
	for (int c = 1; c <= PT_CIPHER_MAX; c++) {
		assert_true(pt_aead_lib_choose(c)->has(c));
		assert_true(reference()->has(c));
		if (aead_kit_lib->has(c))
			continue;
		assert_int_equal(pt_aead_key_create(&k, aead_kit_lib, c),
				 -ENOTSUP);
		assert_null(k);
	}
	assert_string_equal(reference()->name, "libcrypto");
	/* All libraries run, the fastest first. */
	assert_ptr_equal(pt_aead_lib_choose(PT_CIPHER_AES_128_GCM)->has,
			 pt_aead_lib_choose(PT_CIPHER_AES_256_GCM)->has);
	assert_in_range(aead_kit_lib->version()[0], '0', '9');
}

#define OF_EACH_CIPHER(test)						\
	{ #test " AES-128-GCM", test, NULL, NULL, (void *)1 },		\
	{ #test " AES-256-GCM", test, NULL, NULL, (void *)2 },		\
	{ #test " ChaCha20-Poly1305", test, NULL, NULL, (void *)3 }
#define ANSWER(i) \
	{ "test_known_answer " #i, test_known_answer, NULL, NULL, \
	  (void *)&answers[i] }

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ANSWER(0), ANSWER(1), ANSWER(2),
		OF_EACH_CIPHER(test_all_short_lengths),
		OF_EACH_CIPHER(test_any_length),
		OF_EACH_CIPHER(test_every_cut),
		OF_EACH_CIPHER(test_no_byte_more),
		OF_EACH_CIPHER(test_each_bit_counts),
		OF_EACH_CIPHER(test_begun_anew),
		cmocka_unit_test(test_choice),
	};

	random_state = 11;
	return aead_kit_run("aead", tests, COUNT_OF(tests));
}
