/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room seal: frames are encrypted and authenticated.
 *
 *   knows         AEAD, its keys, nonces and the libraries that provide it
 *   may use       base
 *   must not know records, sockets, how two ends come to share a key
 */
/* seal: the keys of one lane and direction; seals and opens frames with them.
 *
 *     exporter's secret = secret of epoch 0 --> secret of epoch 1 --> ...
 *         |                   |                   |
 *         '-> secret          '-> key, iv         '-> key, iv
 *             of probes --> key, iv
 *
 * An epoch is 2^rekey_log2 sequence numbers of data frames; a frame's number
 * determines its epoch.  The secret of an epoch does not reveal earlier ones,
 * and secrets are wiped when they are no longer needed.  Probes are few and
 * carry nothing; they have one separate key, so that lane and probes need not
 * agree on an epoch.
 *
 *     sending:    pt_seal_start --> here, put ... --> finish    builder.c
 *     receiving:  pt_unseal_start --> take ... --> finish       reader.c
 *
 * A sender only goes forward: a number that is not above all earlier ones of
 * its kind is our own mistake and aborts, since its nonce would be used twice.
 * A receiver has the keys of the last epoch that it saw and of the one before;
 * for a frame of a later epoch it tries that epoch's key, and keeps it only if
 * the frame's tag is right.
 *
 * Threads: one thread uses a seal, which serves one lane in one direction.
 * Speed: memory is allocated when an epoch begins, never for a frame.
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
#define PT_SEAL_AHEAD_MAX	64	/* the most epochs that a receiver
					 * advances at once */

struct pt_seal;

struct pt_seal_cfg {
	enum pt_cipher cipher;	/* not NONE */
	__u8	rekey_log2;	/* PT_REKEY_LOG2_MIN..PT_REKEY_LOG2_MAX */
	__u8	secret[PT_SEAL_SECRET_SZ];	/* of the lane and direction */
	__u8	header_key[PT_SIPHASH_KEY_SZ];	/* of the direction */
	const struct pt_aead_lib *lib;	/* NULL: the fastest here */
};

/* pt_seal_create derives the first keys; *out is the caller's, to
 * pt_seal_destroy, which wipes it.  The caller keeps cfg and wipes it.
 *   -ENOTSUP  the library does not provide the cipher
 *   -ENOMEM   no memory */
int pt_seal_create(struct pt_seal **out, const struct pt_seal_cfg *cfg);

/* pt_seal_keep_probes forgets all but the key of probes.  A seal that only
 * opens probes then holds nothing that reveals past epochs. */
void pt_seal_keep_probes(struct pt_seal *s);

/* pt_seal_destroy wipes and frees the seal; NULL is allowed. */
void pt_seal_destroy(struct pt_seal *s);

/* pt_seal_key_epoch returns the key_epoch of frame seq's header. */
__u16 pt_seal_key_epoch(const struct pt_seal *s, enum pt_frame_kind kind,
			__u64 seq);

/* pt_seal_header writes the keyed check of a header that is otherwise complete
 * except for auth. */
void pt_seal_header(const struct pt_seal *s, struct pt_frame_hdr *hdr);

/* pt_seal_start begins frame seq: the bytes of clear are covered by the tag and
 * not encrypted.  seq: above all of this kind before it, up to
 * PT_SEALED_SEQ_MAX or PT_SEALED_PROBE_MAX. */
void pt_seal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		   struct pt_span clear);

/* pt_seal_here encrypts the sz bytes at at, of any number, which follow the
 * previous ones. */
void pt_seal_here(struct pt_seal *s, void *at, __u32 sz);

/* pt_seal_put encrypts sz bytes, whole blocks, to to, which follows the
 * previous bytes.  to holds the ciphertext when the frame is finished. */
void pt_seal_put(struct pt_seal *s, void *to, const void *from, __u32 sz);

/* pt_seal_finish writes the frame's tag. */
void pt_seal_finish(struct pt_seal *s, __u8 tag[PT_AUTH_SZ]);

/* pt_unseal_start begins to open frame seq.  False: the frame is too old or too
 * new for all keys, and there is nothing to finish. */
bool pt_unseal_start(struct pt_seal *s, enum pt_frame_kind kind, __u64 seq,
		     struct pt_span clear);

/* pt_unseal_take decrypts sz bytes in place; the last of them perhaps only with the
 * next piece, or at the finish. */
void pt_unseal_take(struct pt_seal *s, void *bytes, __u32 sz);

/* pt_unseal_finish returns whether the tag is right.  Only then are the
 * decrypted and the clear bytes those that the sender sealed. */
bool pt_unseal_finish(struct pt_seal *s, const __u8 tag[PT_AUTH_SZ]);

#endif
