/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/frame_keys.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <openssl/crypto.h>

#define TO_RECEIVER	1	/* the direction; the other one is not used */

/* context: the purpose of a key, as the exporter's context. */
struct context {
	__be64 session_id;
	__u8 direction;
	__be16 lane;		/* absent for the header key */
} __attribute__((packed));

static int export(const struct pt_frame_keys *k, const char *label,
		  __u16 lane, size_t context_sz, void *out, size_t out_sz,
		  struct pt_error *err)
{
	const struct context context = {
		.session_id = htobe64(k->session_id),
		.direction = TO_RECEIVER,
		.lane = htons(lane),
	};
	int ret = pt_conn_export(k->conn, label, &context, context_sz, out,
				 out_sz);

	if (!ret)
		return 0;
	return pt_error_set(err, PT_EXIT_FAILED, ret, "%s: TLS gives no keys "
			    "for the frames: %s", pt_conn_peer_text(k->conn),
			    strerror(-ret));
}

int pt_frame_keys_header(const struct pt_frame_keys *k,
			 __u8 key[PT_SIPHASH_KEY_SZ], struct pt_error *err)
{
	return export(k, "EXPORTER-pagetrim-header", 0,
		      offsetof(struct context, lane), key, PT_SIPHASH_KEY_SZ,
		      err);
}

int pt_frame_keys_seal(struct pt_seal **out, const struct pt_frame_keys *k,
		       __u16 lane, struct pt_error *err)
{
	struct pt_seal_cfg cfg = {
		.cipher = k->cipher,
		.rekey_log2 = k->rekey_log2,
	};
	int ret;

	ret = export(k, "EXPORTER-pagetrim-frames", lane,
		     sizeof(struct context), cfg.secret, sizeof(cfg.secret),
		     err);
	if (!ret)
		ret = pt_frame_keys_header(k, cfg.header_key, err);
	if (!ret) {
		ret = pt_seal_create(out, &cfg);
		if (ret)
			pt_error_set(err, PT_EXIT_HOST, ret, "lane %u: %s: %s "
				     "(memory, or an OpenSSL without it)", lane,
				     pt_cipher_name(k->cipher), strerror(-ret));
	}
	OPENSSL_cleanse(&cfg, sizeof(cfg));
	return ret;
}
