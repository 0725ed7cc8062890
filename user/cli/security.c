/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/security.h"

#include "cli/output.h"

static int take_cipher(struct pt_security *s)
{
	enum pt_cipher cipher;

	if (pt_cipher_parse(optarg, &cipher))
		return pt_out_usage(s->command, "--cipher '%s': want "
				    "aes-128-gcm, aes-256-gcm or "
				    "chacha20-poly1305", optarg);
	s->ciphers |= PT_CIPHER_BIT(cipher);
	return -1;
}

static int take_peer(struct pt_security *s)
{
	if (s->tls.peer_cnt == PT_TLS_PEERS_MAX)
		return pt_out_usage(s->command, "--tls-peer: at most %d",
				    PT_TLS_PEERS_MAX);
	s->peers[s->tls.peer_cnt++] = optarg;
	s->tls.peers = s->peers;
	return -1;
}

int pt_security_option(struct pt_security *s, int opt)
{
	switch (opt) {
	case PT_SECURITY_PSK:
		s->tls.psk_path = optarg;
		return -1;
	case PT_SECURITY_CERT:
		s->tls.cert_path = optarg;
		return -1;
	case PT_SECURITY_KEY:
		s->tls.key_path = optarg;
		return -1;
	case PT_SECURITY_CA:
		s->tls.ca_path = optarg;
		return -1;
	case PT_SECURITY_HOSTNAME:
		s->tls.hostname = optarg;
		return -1;
	case PT_SECURITY_PEER:
		return take_peer(s);
	case PT_SECURITY_CIPHER:
		return take_cipher(s);
	case PT_SECURITY_INSECURE:
		s->insecure = true;
		return -1;
	default:
		return -2;
	}
}

int pt_security_check(const struct pt_security *s)
{
	const struct pt_tls_cfg *tls = &s->tls;
	bool certs = tls->cert_path || tls->key_path || tls->ca_path;

	if (!!tls->psk_path + certs + s->insecure > 1)
		return pt_out_usage(s->command, "--psk, --tls-* and "
				    "--insecure: choose one");
	if (certs && !(tls->cert_path && tls->key_path && tls->ca_path))
		return pt_out_usage(s->command, "--tls-cert, --tls-key and "
				    "--tls-ca: all three, or none");
	if (!tls->psk_path && !certs && !s->insecure)
		return pt_out_usage(s->command, "no key: give --psk FILE "
				    "('pagetrim keygen FILE' makes one), or "
				    "--tls-cert, --tls-key and --tls-ca; "
				    "--insecure on both hosts goes without");
	if (!certs && (tls->hostname || tls->peer_cnt))
		return pt_out_usage(s->command, "--tls-%s: needs --tls-cert, "
				    "--tls-key and --tls-ca",
				    tls->hostname ? "hostname" : "peer");
	if (s->insecure && s->ciphers)
		return pt_out_usage(s->command, "--cipher: nothing is "
				    "encrypted with --insecure");
	return -1;
}

int pt_security_open(struct pt_tls **out, const struct pt_security *s,
		     enum pt_role role, struct pt_error *err)
{
	*out = NULL;
	if (!s->insecure)
		return pt_tls_open(out, role, &s->tls, err);
	pt_out_log("warning: --insecure: who is on the network can read and "
		   "change this memory");
	return 0;
}
