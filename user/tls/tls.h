/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room tls: authenticates the peer and encrypts the channel.
 *
 *   knows         TLS 1.3 by OpenSSL: keys, certificates, accepted names,
 *                 a stranger's costs
 *   may use       base
 *   must not know messages, decisions that depend on a name
 */
/* tls: the credentials of this process, and the peers that it accepts: a
 * pre-shared key, or a certificate and a CA.  TLS 1.3 only, with both ends
 * authenticated; no tickets, no resumption, no early data; a pre-shared key
 * always with (EC)DHE.
 *
 *	ret = pt_tls_open(&tls, PT_ROLE_SENDER, &(struct pt_tls_cfg){
 *			  .psk_path = "/etc/pagetrim/key" }, err);
 *	conn_cfg.tls = tls;		(for any number of connections)
 *
 * Files are read once, in pt_tls_open, so that privileges may be dropped after
 * it.  Threads: one opens it; then any number of connections may use it.
 * Memory that held a key is wiped before it is freed.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <linux/types.h>

#include "base/role.h"
#include <pagetrim/error.h>

#define PT_TLS_PEERS_MAX	16	/* names of a peer */
#define PT_TLS_NAME_SZ		256	/* of a peer's name, with NUL */
#define PT_TLS_FILE_SZ_MAX	(1u << 20)	/* bytes of a PEM file */

struct pt_tls;

struct pt_tls_cfg {
	const char *psk_path;	/* a key file (psk.h), or NULL and all of: */
	const char *cert_path;	/* ours, PEM, with its chain to the CA */
	const char *key_path;	/* its private key, PEM, not encrypted */
	const char *ca_path;	/* the CA of the peer's certificate, PEM */

	/* For the connecting end: the name that the peer's certificate must
	 * have as subject alternative name (an address: as such).  NULL: the
	 * host that it connects to. */
	const char *hostname;

	/* For the listening end: the certificate must have one of these names;
	 * none: any certificate of the CA is accepted. */
	const char *const *peers;
	__u32	peer_cnt;	/* 0..PT_TLS_PEERS_MAX */
};

/* pt_tls_open: on success returns 0 and *out is the caller's, to pt_tls_close.
 * A sender connects, a receiver listens.
 *   -EINVAL   neither or both kinds of key, or a file without one
 *   -EPERM    a key that others can read
 *   -EKEYREJECTED  no pair, or weak by OpenSSL's measure
 *   or as open(2) and read(2) say */
int pt_tls_open(struct pt_tls **out, enum pt_role role,
		const struct pt_tls_cfg *cfg, struct pt_error *err);

/* pt_tls_is_expired: our certificate, or one of its chain, is past its end, so that
 * peers refuse it.  False for a pre-shared key, and for NULL. */
bool pt_tls_is_expired(const struct pt_tls *t);

/* pt_tls_hold adds an owner, and returns t; NULL is allowed.  Connections and
 * listeners hold what they use, so it may be replaced while they live. */
struct pt_tls *pt_tls_hold(struct pt_tls *t);

/* pt_tls_close removes an owner; with the last one it wipes and frees.  NULL is
 * allowed.  Any thread. */
void pt_tls_close(struct pt_tls *t);

#endif
