/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_kit: keys of a test, and connections that use them. */
#ifndef TLS_KIT_H
#define TLS_KIT_H

#include "conn_kit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "tls/psk.h"
#include "tls/tls.h"

#define KEY_A	"000102030405060708090a0b0c0d0e0f" \
		"101112131415161718191a1b1c1d1e1f"
#define KEY_B	"000102030405060708090a0b0c0d0e0f" \
		"101112131415161718191a1b1c1d1e1e"

/* write_file: a file of that text and mode, for remove_file to remove. */
static inline const char *write_file(char path[64], const char *text,
				     mode_t mode)
{
	size_t sz = strlen(text);
	int fd;

	strcpy(path, "/tmp/pagetrim-tls-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sz), sz);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* psk_of returns the keys of a key file with that text. */
static inline struct pt_tls *psk_of(enum pt_role role, const char *text)
{
	struct pt_tls_cfg cfg = { 0 };
	struct pt_tls *t;
	char path[64];

	cfg.psk_path = write_file(path, text, 0600);
	if (pt_tls_open(&t, role, &cfg, &err))
		fail_msg("%s", err.text);
	unlink(path);
	return t;
}

/* secure: pairs of conn_kit use TLS from here on; insecure: no more. */
static inline int secure(void **state)
{
	(void)state;
	sender_cfg.tls = psk_of(PT_ROLE_SENDER, "a:" KEY_A "\n");
	receiver_cfg.tls = psk_of(PT_ROLE_RECEIVER, "a:" KEY_A "\n");
	return 0;
}

static inline int insecure(void **state)
{
	(void)state;
	pt_tls_close(sender_cfg.tls);
	pt_tls_close(receiver_cfg.tls);
	sender_cfg.tls = receiver_cfg.tls = NULL;
	return 0;
}

/* ---- certificates: certs_make once, from main; certs_remove at its end ---- */

static char certs_dir[] = "/tmp/pagetrim-certs-XXXXXX";

static inline int certs_make(void **state)
{
	char command[128];

	(void)state;
	assert_non_null(mkdtemp(certs_dir));
	snprintf(command, sizeof(command), "scripts/certs.sh %s", certs_dir);
	return system(command);
}

static inline int certs_remove(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", certs_dir);
	return system(command);
}

/* keys: one side's keys.  psk: the text of a key file; else cert: one of
 * certs.sh's, which are trusted if ca has signed them. */
struct keys {
	const char *psk, *cert, *ca, *name;
};

static inline int tls_open(struct pt_tls **t, enum pt_role role,
			   const struct keys *k)
{
	char path[3][96];
	struct pt_tls_cfg cfg = {
		.cert_path = path[0], .key_path = path[1], .ca_path = path[2],
	};

	if (k->psk) {
		*t = psk_of(role, k->psk);
		return 0;
	}
	if (!k->cert) {
		*t = NULL;
		return 0;
	}
	snprintf(path[0], sizeof(path[0]), "%s/%s.pem", certs_dir, k->cert);
	snprintf(path[1], sizeof(path[1]), "%s/%s-key.pem", certs_dir, k->cert);
	snprintf(path[2], sizeof(path[2]), "%s/%s.pem", certs_dir, k->ca);
	if (role == PT_ROLE_SENDER) {
		cfg.hostname = k->name;
	} else if (k->name) {
		cfg.peers = &k->name;
		cfg.peer_cnt = 1;
	}
	return pt_tls_open(t, role, &cfg, &err);
}

#endif
