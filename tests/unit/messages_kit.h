/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* messages_kit: a buffer, a message encoded into it, and the result of
 * decoding. */
#ifndef MESSAGES_KIT_H
#define MESSAGES_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>

#include "channel/fields.h"
#include "control_messages.h"

static __u8 bytes[PT_MESSAGE_SZ_MAX];
static struct pt_message_scratch scratch;
static struct pt_message out;
static __u64 caps;	/* of the connection */
static struct pt_error err;

static inline unsigned encode(const struct pt_message *m)
{
	int sz = pt_message_encode(m, caps, bytes, sizeof(bytes), &err);

	assert_true(sz >= PT_MESSAGE_HDR_SZ);
	return sz;
}

/* Returns a role that may send the type. */
static inline enum pt_role who(unsigned type)
{
	return pt_message_who(type) & PT_FROM_SENDER ? PT_ROLE_SENDER :
						       PT_ROLE_RECEIVER;
}

/* decode decodes the sz bytes; returns the result and the name that an error
 * must have. */
static inline int decode(unsigned type, size_t sz)
{
	err.text[0] = '\0';
	return pt_message_decode(&out, &scratch, who(type), caps, bytes, sz,
				 &err);
}

static inline void refused(unsigned type, size_t sz, const char *field)
{
	assert_int_equal(decode(type, sz), -EPROTO);
	assert_int_equal(err.exit, PT_EXIT_PEER);
	assert_non_null(strstr(err.text, pt_message_name(type)));
	if (field && !strstr(err.text, field))
		fail_msg("'%s' does not name %s", err.text, field);
}

static inline void set_payload_sz(unsigned sz)
{
	__be32 be = htobe32(sz);

	memcpy(bytes, &be, sizeof(be));
}

/* Writes value over the number of n bytes at at, or the count before items. */
static inline void poke(unsigned at, unsigned n, __u64 value)
{
	for (unsigned i = n; i--; value >>= 8)
		bytes[at + i] = value;
}

#endif
