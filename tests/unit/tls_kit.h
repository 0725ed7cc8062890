/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tls_kit: keys of a test, and connections that use them. */
#ifndef TLS_KIT_H
#define TLS_KIT_H

#include "conn_kit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "control/psk.h"
#include "control/tls.h"

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

/* psk_of: the keys that a key file of that text gives. */
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

#endif
