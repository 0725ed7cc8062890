/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* wire_kit: shared by the tests of user/wire: links of every kind, every MTU
 * class, numbers that look random and repeat, frames cut into spans.
 */
#ifndef TEST_WIRE_KIT_H
#define TEST_WIRE_KIT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <pagetrim/span.h>
#include <pagetrim/wire.h>

#include "wire/builder.h"
#include "wire/link.h"

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

#define FRAME_SZ_MAX	(PT_MTU_MAX + 18)	/* with Ethernet and VLAN */

#define ADDR4(a, b, c, d) \
	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }
#define ADDR6(last) \
	{ 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last }

static const struct kit_link {
	const char *name;
	__u32 sz;
	struct pt_link link;
} kit_links[] = {
#define LINK(tag, six, src, dst) {					\
	.src_mac = { 2, 0x70, 0x74, 0, 0, 1 },				\
	.dst_mac = { 2, 0x70, 0x74, 0, 0, 2 },				\
	.vlan = (tag), .ipv6 = (six), .src_addr = src, .dst_addr = dst,	\
	.src_port = 50001, .dst_port = PT_UDP_PORT }
#define A4 ADDR4(10, 77, 0, 1)
#define B4 ADDR4(10, 77, 0, 2)
	{ "IPv4", 42, LINK(0, false, A4, B4) },
	{ "IPv4, VLAN", 46, LINK(7, false, A4, B4) },
	{ "IPv6", 62, LINK(0, true, ADDR6(1), ADDR6(2)) },
	{ "IPv6, VLAN", 66, LINK(4094, true, ADDR6(1), ADDR6(2)) },
#undef A4
#undef B4
#undef LINK
};

static const __u32 kit_mtus[] = { 1280, 1500, 3506, 9000, 65535 };

static const struct pt_frame_id kit_id = {
	.session_id = 0x0123456789abcdefULL,
	.seq = 0x1122334455667788ULL,
	.generation = 0x99aabbcc,
	.lane = 63,
};

/* kit_random: xorshift64*; the same numbers in each run of a test. */
static inline __u64 kit_random(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline void kit_fill(void *to, size_t sz, __u64 *state)
{
	for (size_t i = 0; i < sz; i++)
		((__u8 *)to)[i] = kit_random(state) >> 56;
}

/* kit_mask: whole pages, holes, runs and dust, each often. */
static inline __u64 kit_mask(__u64 *state)
{
	__u64 mask = kit_random(state);

	switch (kit_random(state) >> 61) {
	case 0:
		return ~0ULL;
	case 1:
		return 1ULL << (mask & 63);
	case 2:
		return mask & kit_random(state) & kit_random(state);
	case 3:
		return ~0ULL << (mask & 63);
	case 4:
		return ~0ULL >> (mask & 63);
	case 5:
		return ~(1ULL << (mask & 63));
	default:
		return mask;
	}
}

static inline struct pt_builder_cfg kit_cfg(const struct pt_link *link,
					    __u32 mtu)
{
	return (struct pt_builder_cfg){
		.l2l3l4_sz = pt_link_sz(link),
		.frame_sz_max = pt_link_frame_sz_max(link, mtu),
	};
}

/* kit_builder: an empty builder, in memory that was not zero. */
static inline struct pt_builder kit_builder(const struct pt_link *link,
					    __u32 mtu)
{
	struct pt_builder_cfg cfg = kit_cfg(link, mtu);
	struct pt_builder b;

	memset(&b, 0xee, sizeof(b));
	pt_builder_init(&b, &cfg);
	assert_true(pt_builder_is_empty(&b));
	return b;
}

/* kit_spans: a frame cut into pieces, each in memory of its own of exactly its
 * size, so that a sanitizer detects each byte too far. */
struct kit_spans {
	struct pt_span spans[PT_SPANS_MAX];
	unsigned int cnt;
};

/* kit_cut cuts: the first piece has first_sz bytes, the others piece_sz, the
 * last the rest. */
static inline void kit_cut(struct kit_spans *s, const void *frame, __u32 sz,
			   __u32 first_sz, __u32 piece_sz)
{
	s->cnt = 0;
	for (__u32 at = 0; at < sz; ) {
		__u32 len = s->cnt ? piece_sz : first_sz;
		void *copy;

		if (len > sz - at)
			len = sz - at;
		copy = malloc(len ? len : 1);
		assert_non_null(copy);
		assert_true(s->cnt < PT_SPANS_MAX);
		memcpy(copy, frame + at, len);
		s->spans[s->cnt++] = (struct pt_span){ copy, len };
		at += len;
	}
}

static inline void kit_free(struct kit_spans *s)
{
	for (unsigned int i = 0; i < s->cnt; i++)
		free((void *)s->spans[i].base);
}

/* kit_aborts: fn breaks a pt_check, whose line is not printed. */
static inline int kit_aborts(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fclose(stderr);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
