/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* security: the options for the authentication of send and receive, with the
 * same names and meanings. */
#ifndef CLI_SECURITY_H
#define CLI_SECURITY_H

#include <stdbool.h>

#include "cli/options.h"
#include "seal/cipher.h"
#include "tls/tls.h"

struct pt_security {
	struct pt_tls_cfg tls;
	const char *peers[PT_TLS_PEERS_MAX];
	__u16 ciphers;			/* PT_CIPHER_BIT; 0: any */
	bool insecure;
};

/* Groups over struct pt_security: one for keys, one for the name in the other
 * end's certificate. */
extern const struct pt_option pt_security_options[];
extern const struct pt_option pt_security_sender_options[];
extern const struct pt_option pt_security_receiver_options[];

/* pt_security_check checks all options together: -1, or an exit code. */
int pt_security_check(const char *command, const struct pt_security *s);

/* pt_security_open loads keys and certificates; with --insecure it prints a
 * warning, and *out is NULL. */
int pt_security_open(struct pt_tls **out, const struct pt_security *s,
		     enum pt_role role, struct pt_error *err);

#endif
