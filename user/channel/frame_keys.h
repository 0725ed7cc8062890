/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* frame_keys: the keys that seal a session's frames, exported from its TLS
 * connection (RFC 8446, section 7.5).
 *
 *     lane's secret  "EXPORTER-pagetrim-frames"  session_id, direction, lane
 *     header key     "EXPORTER-pagetrim-header"  session_id, direction
 *
 * Each transfer has a connection and a session id of its own, so neither keys
 * nor nonces ever repeat.  Threads: control's.
 */
#ifndef CHANNEL_FRAME_KEYS_H
#define CHANNEL_FRAME_KEYS_H

#include "channel/conn.h"
#include "seal/seal.h"

struct pt_frame_keys {
	struct pt_conn *conn;		/* sealed: past its handshake */
	__u64 session_id;
	enum pt_cipher cipher;		/* not NONE */
	__u8 rekey_log2;		/* frames per key, as agreed in OPEN */
};

/* pt_frame_keys_header writes the key of the header's check. */
int pt_frame_keys_header(const struct pt_frame_keys *k,
			 __u8 key[PT_SIPHASH_KEY_SZ], struct pt_error *err);

/* pt_frame_keys_seal makes the seal of a lane, with which the sender seals and
 * the receiver opens; the caller destroys it. */
int pt_frame_keys_seal(struct pt_seal **out, const struct pt_frame_keys *k,
		       __u16 lane, struct pt_error *err);

#endif
