/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* seal_kit: two ends of a lane, and frames between them. */
#ifndef TEST_SEAL_KIT_H
#define TEST_SEAL_KIT_H

#include "aead_kit.h"

#include "wire/reader.h"

#define REKEY		PT_REKEY_LOG2_MIN
#define EPOCH(n)	((__u64)(n) << REKEY)	/* its first frame */
#define LINK		(&kit_links[0].link)
#define PAYLOAD_OFF	42			/* of frames over LINK */

static __u8 page[PT_PAGE_SZ];
static __u8 frame[FRAME_SZ_MAX] __attribute__((aligned(64)));

static inline struct pt_seal *make_rekeyed(enum pt_cipher cipher, __u8 secret,
					   __u8 rekey_log2)
{
	struct pt_seal_cfg cfg = {
		.cipher = cipher, .rekey_log2 = rekey_log2,
		.lib = aead_kit_lib_of(cipher),
	};
	struct pt_seal *s = NULL;

	memset(cfg.secret, secret, sizeof(cfg.secret));
	memset(cfg.header_key, 0x22, sizeof(cfg.header_key));
	assert_int_equal(pt_seal_create(&s, &cfg), 0);
	return s;
}

static inline struct pt_seal *make(enum pt_cipher cipher, __u8 secret)
{
	return make_rekeyed(cipher, secret, REKEY);
}

/* ends: a sender's seal and a receiver's, of one lane. */
struct ends {
	struct pt_seal *tx, *rx;
};

static inline struct ends open_ends(enum pt_cipher cipher)
{
	return (struct ends){ make(cipher, 0x11), make(cipher, 0x11) };
}

static inline void close_ends(struct ends *e)
{
	pt_seal_destroy(e->tx);
	pt_seal_destroy(e->rx);
}

/* write_frame seals a small data frame and returns its bytes. */
static inline __u32 write_frame(struct pt_seal *tx, __u64 seq)
{
	struct pt_builder_cfg cfg = kit_cfg(LINK, 1280);
	struct pt_frame_id id = kit_id;
	struct pt_builder b;

	id.seq = seq;
	pt_builder_init(&b, &cfg);
	assert_int_equal(pt_builder_add_page(&b, 5, 0, 0x8000000000000003ULL,
					     page), 64);
	return pt_builder_close(&b, LINK, &id, tx, frame);
}

#endif
