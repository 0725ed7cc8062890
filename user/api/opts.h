/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* opts: the common part of both ends' options: sizes, ranges, copied strings,
 * and security. */
#ifndef API_OPTS_H
#define API_OPTS_H

#include "api/api.h"
#include "base/cpus.h"
#include "base/role.h"
#include "tls/tls.h"
#include "xsk/umem.h"
#include "xsk/zero_copy.h"

/* api_opts_copy copies the options at from, which begin with their size, to the
 * sz bytes at to.  Missing fields are set to zero, and all fields if from is
 * NULL.
 *   -EINVAL  the size is not valid, or a byte above sz is not zero */
int api_opts_copy(void *to, size_t sz, const void *from, const char *what,
		  struct api_error *err);

/* api_strings: copies of strings, freed together.  All zero: none. */
struct api_strings {
	char **all;
	uint32_t cnt;
	bool failed;		/* memory was lacking for a copy */
};

/* api_strings_add returns a copy of text, or NULL if text is NULL. */
const char *api_strings_add(struct api_strings *s, const char *text);
void api_strings_free(struct api_strings *s);

/* api_common: the fields that both ends have. */
struct api_common {
	const struct pt_security *security;
	uint32_t queues, peer_timeout;
	bool generic;
	enum pt_choice zero_copy;
	enum pt_pages hugepages;
	const char *cpus;
};

#define API_COMMON(o) (struct api_common){				\
	.security = (o)->security, .queues = (o)->queues,		\
	.peer_timeout = (o)->peer_timeout, .generic = (o)->generic,	\
	.zero_copy = (o)->zero_copy, .hugepages = (o)->hugepages,	\
	.cpus = (o)->cpus,						\
}

/* api_common_check checks these ranges, and that security is given. */
int api_common_check(const struct api_common *c, struct api_error *err);

/* API_COMMON_FILL copies these fields, except cpus, into a sender's or
 * receiver's cfg. */
#define API_COMMON_FILL(cfg, c) do {					\
	(cfg)->queue_cnt = (c)->queues;					\
	(cfg)->peer_timeout_ms = (c)->peer_timeout;			\
	(cfg)->generic = (c)->generic;					\
	(cfg)->zero_copy = (enum pt_zero_copy)(c)->zero_copy;		\
	(cfg)->hugepages = (enum pt_hugepages)(c)->hugepages;		\
} while (0)

/* api_tls_open sets *out, which the caller closes by pt_tls_close; NULL:
 * insecure. */
int api_tls_open(struct pt_tls **out, const struct pt_security *security,
		 enum pt_role role, struct api_error *err);

/* api_cpus parses list; NULL: any CPU. */
int api_cpus(struct pt_cpus *out, const char *list, struct api_error *err);

#endif
