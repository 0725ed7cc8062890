/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* security: the options by which send and receive know each other: the same
 * names and meanings on both. */
#ifndef CLI_SECURITY_H
#define CLI_SECURITY_H

#include <getopt.h>
#include <stdbool.h>

#include "control/tls.h"
#include "wire/cipher.h"

struct pt_security {
	const char *command;		/* for complaints */
	struct pt_tls_cfg tls;
	const char *peers[PT_TLS_PEERS_MAX];
	__u16 ciphers;			/* PT_CIPHER_BIT; 0: any */
	bool insecure;
};

enum {
	PT_SECURITY_PSK = 512, PT_SECURITY_CERT, PT_SECURITY_KEY,
	PT_SECURITY_CA, PT_SECURITY_HOSTNAME, PT_SECURITY_PEER,
	PT_SECURITY_CIPHER, PT_SECURITY_INSECURE,
};

/* PT_SECURITY_OPTIONS: rows of a struct option table, of both commands. */
#define PT_SECURITY_OPTIONS						\
	{ "psk", required_argument, NULL, PT_SECURITY_PSK },		\
	{ "tls-cert", required_argument, NULL, PT_SECURITY_CERT },	\
	{ "tls-key", required_argument, NULL, PT_SECURITY_KEY },	\
	{ "tls-ca", required_argument, NULL, PT_SECURITY_CA },		\
	{ "cipher", required_argument, NULL, PT_SECURITY_CIPHER },	\
	{ "insecure", no_argument, NULL, PT_SECURITY_INSECURE }

/* pt_security_option takes opt with optarg, if it is one of these: -1; -2: it
 * is none; else the exit code of a complaint that was printed. */
int pt_security_option(struct pt_security *s, int opt);

/* pt_security_check looks at all options together: -1, or an exit code. */
int pt_security_check(const struct pt_security *s);

/* pt_security_open loads keys and certificates; with --insecure it warns, and
 * *out is NULL. */
int pt_security_open(struct pt_tls **out, const struct pt_security *s,
		     enum pt_role role, struct pt_error *err);

#endif
