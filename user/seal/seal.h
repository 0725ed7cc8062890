/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room seal: frames are encrypted and authenticated.
 *
 *   knows         AEAD, its keys, nonces and the libraries that provide it
 *   may use       no other
 *   must not know records, sockets, how two ends come to share a key
 */
/* seal: the keys of one lane and direction, and how a frame is sealed and
 * opened with them.
 *
 *     exporter's secret = secret of epoch 0 --> secret of epoch 1 --> ...
 *         |                   |                   |
 *         '-> secret          '-> key, iv         '-> key, iv
 *             of probes --> key, iv
 *
 * An epoch is 2^rekey_log2 sequence numbers of data frames; a frame's number
 * tells its epoch.  The secret of an epoch does not tell those before it, and
 * what is no longer needed is wiped.  Probes are few and carry nothing: theirs
 * is one key, apart, so that lane and probes need not agree on an epoch.
 *
 *     sending:    pt_seal_start --> put ... --> finish      builder.c
 *     receiving:  pt_unseal_start --> take ... --> finish   reader.c
 *
 * A sender only goes forward: a number that is not above all before it, of its
 * kind, is a mistake of ours and aborts, since its nonce would come twice.  A
 * receiver has the keys of the epoch that it saw last and of the one before;
 * for a frame of a later one it tries that epoch's key, and takes it over only
 * when the frame's tag is right.
 *
 * Threads: a seal is one thread's; one serves one lane in one direction.
 * Speed: no allocation a frame, only where an epoch begins.
 */
#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H

#include <stdbool.h>
#include <linux/types.h>

#include <pagetrim/siphash.h>
#include <pagetrim/span.h>
#include <pagetrim/wire.h>

#include "seal/aead.h"

#define PT_SEAL_SECRET_SZ	32	/* bytes */
#define PT_SEAL_AHEAD_MAX	64	/* epochs that a receiver goes forward
					 * at once, at most */

struct pt_seal;

struct pt_seal_cfg {
	enum pt_cipher cipher;	/* not NONE */
	__u8	rekey_log2;	/* PT_REKEY_LOG2_MIN..PT_REKEY_LOG2_MAX */
	__u8	secret[PT_SEAL_SECRET_SZ];	/* of the lane and direction */
	__u8	header_key[PT_SIPHASH_KEY_SZ];	/* of the direction */
	const struct pt_aead_lib *lib;	/* NULL: the quickest here */
};

/* pt_seal_create derives the first keys; *out is the caller's, to
 * pt_seal_destroy, which wipes it.  cfg stays the caller's, to be wiped.
 *   -ENOTSUP  the library does not provide the cipher
 *   -ENOMEM   no memory */
int pt_seal_create(struct pt_seal **out, const struct pt_seal_cfg *cfg);

/* pt_seal_keep_probes forgets all but the key of probes: a seal that opens
 * those, beside another for data, holds nothing that tells past epochs. */
void pt_seal_keep_probes(struct pt_seal *s);

/* pt_seal_destroy: NULL is fine. */
void pt_seal_destroy(struct pt_seal *s);

/* pt_seal_key_epoch returns what the header of frame seq says of its key. */
__u16 pt_seal_key_epoch(const struct pt_seal *s, enum pt_frame_kind kind,
			__u64 seq);

/* pt_seal_header writes the header's keyed check of a header that is otherwise
 * complete but for auth. */
void pt_seal_header(const struct pt_seal *s, struct pt_frame_hdr *hdr);

/* pt_seal_start begins frame seq: clear, in up to clear_cnt spans, is what the
 * tag covers and everyone can read.  seq: above all of this kind before it, up
 * to PT_SEALED_SEQ_MAX or PT_SEALED_PROBE_MAX. */
void pt_seal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		   const struct pt_span *clear, unsigned int clear_cnt);

/* pt_seal_put encrypts sz bytes, whole blocks, to to, which is where those
 * before it ended.  What stands there is ciphertext once the frame is
 * finished. */
void pt_seal_put(struct pt_seal *s, void *to, const void *from, __u32 sz);

/* pt_seal_finish writes the frame's tag. */
void pt_seal_finish(struct pt_seal *s, __u8 tag[PT_AUTH_SZ]);

/* pt_unseal_start begins to open frame seq.  False: no key opens it, it is too
 * old or too new; there is nothing to finish. */
bool pt_unseal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		     const struct pt_span *clear, unsigned int clear_cnt);

/* pt_unseal_take decrypts sz bytes in place. */
void pt_unseal_take(struct pt_seal *s, void *bytes, __u32 sz);

/* pt_unseal_finish tells whether the tag is right: only then is what was taken
 * and what is clear what the sender sealed. */
bool pt_unseal_finish(struct pt_seal *s, const __u8 tag[PT_AUTH_SZ]);

#endif
