/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/security.h"

#include "base/secret.h"
#include "cli/output.h"

static int take_peer(const char *command, void *to, const char *text)
{
	struct pt_security *s = to;

	if (s->tls.peer_cnt == PT_TLS_PEERS_MAX)
		return pt_out_usage(command, "--tls-peer: at most %d",
				    PT_TLS_PEERS_MAX);
	s->peers[s->tls.peer_cnt++] = text;
	s->tls.peers = s->peers;
	return -1;
}

static const struct pt_option_word ciphers[] = {
	{ "aes-128-gcm", PT_CIPHER_BIT(PT_CIPHER_AES_128_GCM) },
	{ "aes-256-gcm", PT_CIPHER_BIT(PT_CIPHER_AES_256_GCM) },
	{ "chacha20-poly1305", PT_CIPHER_BIT(PT_CIPHER_CHACHA20_POLY1305) },
	{ }
};

#define FILE_OPTION(name, field, help)					\
	{ name, "FILE", help,						\
	  PT_OPTION(TEXT, struct pt_security, tls.field), .offers = "file" }
#define CIPHER_OPTION(help)						\
	{ "cipher", "CIPHER", help,					\
	  PT_OPTION(WORDS, struct pt_security, ciphers),		\
	  .words = ciphers, .repeats = true }

const struct pt_option pt_security_options[] = {
	FILE_OPTION("psk", psk_path,
		    "the key that both hosts share: 'pagetrim keygen'"),
	FILE_OPTION("tls-cert", cert_path,
		    "or: this host's certificate, in PEM, with"),
	FILE_OPTION("tls-key", key_path, "its key, and"),
	FILE_OPTION("tls-ca", ca_path,
		    "the authorities that sign the other host's"),
	{ "insecure", NULL,
	  "nothing is encrypted, nobody authenticated; on both hosts",
	  PT_OPTION(FLAG, struct pt_security, insecure) },
	{ }
};

const struct pt_option pt_security_sender_options[] = {
	{ "tls-hostname", "NAME",
	  "the receiver's certificate is of NAME (default: HOST)",
	  PT_OPTION(TEXT, struct pt_security, tls.hostname) },
	CIPHER_OPTION("aes-128-gcm, aes-256-gcm or chacha20-poly1305; may be "
		      "repeated (default: the best of both hosts)"),
	{ }
};

const struct pt_option pt_security_receiver_options[] = {
	{ "tls-peer", "NAME",
	  "the sender's certificate must be of NAME; may be repeated "
	  "(default: any that --tls-ca signed)",
	  .kind = PT_OPTION_OWN, .take = take_peer, .repeats = true },
	CIPHER_OPTION("take frames sealed with aes-128-gcm, aes-256-gcm or "
		      "chacha20-poly1305; may be repeated (default: all)"),
	{ }
};

int pt_security_check(const char *command, const struct pt_security *s)
{
	const struct pt_tls_cfg *tls = &s->tls;
	bool certs = tls->cert_path || tls->key_path || tls->ca_path;

	if (!!tls->psk_path + certs + s->insecure > 1)
		return pt_out_usage(command, "--psk, --tls-* and "
				    "--insecure: choose one");
	if (certs && !(tls->cert_path && tls->key_path && tls->ca_path))
		return pt_out_usage(command, "--tls-cert, --tls-key and "
				    "--tls-ca: all three, or none");
	if (!tls->psk_path && !certs && !s->insecure)
		return pt_out_usage(command, "no key: give --psk FILE "
				    "('pagetrim keygen FILE' makes one), or "
				    "--tls-cert, --tls-key and --tls-ca; "
				    "--insecure on both hosts goes without");
	if (!certs && (tls->hostname || tls->peer_cnt))
		return pt_out_usage(command, "--tls-%s: needs --tls-cert, "
				    "--tls-key and --tls-ca",
				    tls->hostname ? "hostname" : "peer");
	if (s->insecure && s->ciphers)
		return pt_out_usage(command, "--cipher: nothing is "
				    "encrypted with --insecure");
	return -1;
}

int pt_security_open(struct pt_tls **out, const struct pt_security *s,
		     enum pt_role role, struct pt_error *err)
{
	*out = NULL;
	if (!s->insecure) {
		if (!pt_secret_begin())
			pt_out_warn("warning: keys may be swapped out (raise ulimit -l "
				   "to %u KiB, or run with CAP_IPC_LOCK)",
				   PT_SECRET_ARENA_SZ >> 10);
		return pt_tls_open(out, role, &s->tls, err);
	}
	pt_out_warn("warning: --insecure: everyone on the network can read and "
		   "change this memory");
	return 0;
}
