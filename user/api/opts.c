/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/wire.h>
#include "base/due.h"

#define OPTS_SZ_MAX	65536		/* a larger sz was never set */

_Static_assert((int)PT_CHOICE_AUTO == PT_ZERO_COPY_AUTO &&
	       (int)PT_CHOICE_ON == PT_ZERO_COPY_ON &&
	       (int)PT_CHOICE_OFF == PT_ZERO_COPY_OFF, "zero copy");
_Static_assert((int)PT_PAGES_THP == PT_HUGEPAGES_THP &&
	       (int)PT_PAGES_SMALL == PT_HUGEPAGES_OFF &&
	       (int)PT_PAGES_HUGE == PT_HUGEPAGES_ON &&
	       (int)PT_PAGES_AUTO == PT_HUGEPAGES_AUTO, "huge pages");

int api_opts_copy(void *to, size_t sz, const void *from, const char *what,
		  struct api_error *err)
{
	size_t given = sizeof(given);

	memset(to, 0, sz);
	if (from)
		memcpy(&given, from, sizeof(given));
	if (given < sizeof(given) || given > OPTS_SZ_MAX)
		return api_mistake(err, "%s: sz is %zu, which is not a size of "
				   "it", what, given);
	for (size_t i = sz; from && i < given; i++)
		if (((const char *)from)[i])
			return api_mistake(err, "%s: byte %zu is not zero, and "
					   "this version, %s, knows %zu", what,
					   i, PT_VERSION_TEXT, sz);
	if (from)
		memcpy(to, from, given < sz ? given : sz);
	return 0;
}

const char *api_strings_add(struct api_strings *s, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	char **all = copy ? realloc(s->all, (s->cnt + 1) * sizeof(*all)) : NULL;

	if (!text)
		return NULL;
	if (!all) {
		free(copy);
		s->failed = true;
		return NULL;
	}
	s->all = all;
	s->all[s->cnt++] = copy;
	return copy;
}

void api_strings_free(struct api_strings *s)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		free(s->all[i]);
	free(s->all);
}

int api_common_check(const struct api_common *c, struct api_error *err)
{
	if (!c->security)
		return api_mistake(err, "security is NULL: give psk, or "
				   "tls_cert, tls_key and tls_ca, or insecure");
	if (c->queues > PT_LANES_MAX)
		return api_mistake(err, "queues: %u, want 0..%d", c->queues,
				   PT_LANES_MAX);
	if (c->peer_timeout > PT_PEER_TIMEOUT_MAX_MS)
		return api_mistake(err, "peer_timeout: %u, want 0..%d ms",
				   c->peer_timeout, PT_PEER_TIMEOUT_MAX_MS);
	if ((unsigned)c->zero_copy > PT_CHOICE_OFF)
		return api_mistake(err, "zero_copy: %d is no pt_choice",
				   c->zero_copy);
	if ((unsigned)c->hugepages > PT_PAGES_AUTO)
		return api_mistake(err, "hugepages: %d is no pt_pages",
				   c->hugepages);
	if (c->generic && c->zero_copy == PT_CHOICE_ON)
		return api_mistake(err, "zero_copy: not with generic, which "
				   "copies");
	return 0;
}

static int security_check(const struct pt_security *s, enum pt_role role,
			  struct api_error *err)
{
	bool certs = s->tls_cert || s->tls_key || s->tls_ca;

	if (!!s->psk + certs + s->insecure != 1)
		return api_mistake(err, "security: want one of psk, tls_cert "
				   "with tls_key and tls_ca, and insecure");
	if (certs && !(s->tls_cert && s->tls_key && s->tls_ca))
		return api_mistake(err, "security: tls_cert, tls_key and tls_ca "
				   "go together");
	if (!certs && (s->tls_hostname || s->tls_peer_cnt))
		return api_mistake(err, "security: tls_hostname and tls_peer "
				   "need tls_cert, tls_key and tls_ca");
	if (s->tls_peer_cnt && !s->tls_peer)
		return api_mistake(err, "security: tls_peer is NULL, and "
				   "tls_peer_cnt %u", s->tls_peer_cnt);
	if (s->tls_peer_cnt > PT_TLS_PEERS_MAX)
		return api_mistake(err, "security: %u names in tls_peer, want "
				   "0..%d", s->tls_peer_cnt, PT_TLS_PEERS_MAX);
	for (uint32_t i = 0; i < s->tls_peer_cnt; i++)
		if (!s->tls_peer[i])
			return api_mistake(err, "security: name %u of tls_peer "
					   "is NULL", i);
	if (role == PT_ROLE_SENDER ? s->tls_peer_cnt > 0 : !!s->tls_hostname)
		return api_mistake(err, "security: tls_hostname is a sender's, "
				   "tls_peer a receiver's");
	return 0;
}

int api_tls_open(struct pt_tls **out, const struct pt_security *security,
		 enum pt_role role, struct api_error *err)
{
	struct pt_security s;
	struct pt_error why;
	int ret = api_opts_copy(&s, sizeof(s), security, "pt_security", err);

	*out = NULL;
	if (!ret)
		ret = security_check(&s, role, err);
	if (ret || s.insecure)
		return ret;
	ret = pt_tls_open(out, role, &(struct pt_tls_cfg){
		.psk_path = s.psk, .cert_path = s.tls_cert,
		.key_path = s.tls_key, .ca_path = s.tls_ca,
		.hostname = s.tls_hostname,
		.peers = s.tls_peer, .peer_cnt = s.tls_peer_cnt,
	}, &why);
	return api_fail(err, ret, &why);
}

int api_cpus(struct pt_cpus *out, const char *list, struct api_error *err)
{
	struct pt_error why;

	*out = (struct pt_cpus){ 0 };
	return list ? api_fail(err, pt_cpus_parse(out, list, &why), &why) : 0;
}
