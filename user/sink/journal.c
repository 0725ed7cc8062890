/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "wire/checksum.h"

#define HEAD_SZ		24		/* magic to transfer_id */
#define SEGMENT_SZ	(8 + 8)
#define HASH_SZ		PT_AUTH_SZ

size_t pt_journal_sz(const struct pt_journal *j)
{
	return HEAD_SZ + 1 + strlen(j->name) +
	       (size_t)j->segment_cnt * SEGMENT_SZ + HASH_SZ;
}

/* put writes the low sz bytes of value and returns the position behind them. */
static __u8 *put(__u8 *at, size_t sz, __u64 value)
{
	for (size_t i = sz; i-- > 0; value >>= 8)
		at[i] = value;
	return at + sz;
}

static void hash(const void *bytes, size_t sz, __u8 out[HASH_SZ])
{
	const struct pt_span all = { .base = bytes, .sz = sz };

	pt_checksum(&all, 1, out);
}

void pt_journal_encode(const struct pt_journal *j, void *buf)
{
	size_t name_sz = strlen(j->name);
	__u8 *at = buf;

	at = put(at, 4, PT_JOURNAL_MAGIC);
	at = put(at, 4, PT_JOURNAL_VERSION);
	at = put(at, 4, pt_journal_sz(j));
	at = put(at, 4, j->segment_cnt);
	at = put(at, 8, j->transfer_id);
	at = put(at, 1, name_sz);
	memcpy(at, j->name, name_sz);
	at += name_sz;
	for (__u32 i = 0; i < j->segment_cnt; i++) {
		at = put(at, 8, j->segments[i].gfn);
		at = put(at, 8, j->segments[i].sz);
	}
	hash(buf, at - (__u8 *)buf, at);
}

/* cursor: the unread bytes.  A read past the end sets bad and returns zero. */
struct cursor {
	const __u8 *at;
	size_t left;
	bool is_bad;
};

static const __u8 *take(struct cursor *c, size_t sz)
{
	const __u8 *at = c->at;

	if (c->is_bad || sz > c->left) {
		c->is_bad = true;
		return NULL;
	}
	c->at += sz;
	c->left -= sz;
	return at;
}

static __u64 take_number(struct cursor *c, size_t sz)
{
	const __u8 *at = take(c, sz);
	__u64 value = 0;

	for (size_t i = 0; at && i < sz; i++)
		value = value << 8 | at[i];
	return value;
}

/* take_name: a message will print the name, so its bytes are checked. */
static void take_name(struct cursor *c, char name[PT_JOURNAL_NAME_SZ])
{
	size_t sz = take_number(c, 1);
	const __u8 *at = take(c, sz);

	if (!at || sz >= PT_JOURNAL_NAME_SZ || !pt_text_is_clean(at, sz)) {
		c->is_bad = true;
		return;
	}
	memcpy(name, at, sz);
	name[sz] = '\0';
}

/* is_whole: the sz bytes have a journal's form and hash, in any version. */
static bool is_whole(struct cursor *c, const __u8 *bytes, size_t sz,
		     __u32 *version)
{
	__u8 want[HASH_SZ];
	size_t own_sz;

	if (take_number(c, 4) != PT_JOURNAL_MAGIC)
		return false;
	*version = take_number(c, 4);
	own_sz = take_number(c, 4);
	if (c->is_bad || own_sz < HEAD_SZ + HASH_SZ || own_sz > sz)
		return false;
	for (size_t i = own_sz; i < sz; i++)
		if (bytes[i])
			return false;
	c->left = bytes + own_sz - HASH_SZ - c->at;
	hash(bytes, own_sz - HASH_SZ, want);
	return !memcmp(bytes + own_sz - HASH_SZ, want, HASH_SZ);
}

static int take_segments(struct cursor *c, struct pt_journal *j)
{
	struct pt_segment *segments;

	if (c->is_bad || !j->segment_cnt || j->segment_cnt > PT_SEGMENTS_MAX ||
	    c->left != (size_t)j->segment_cnt * SEGMENT_SZ)
		return -EBADMSG;
	segments = calloc(j->segment_cnt, sizeof(*segments));
	if (!segments)
		return -ENOMEM;
	for (__u32 i = 0; i < j->segment_cnt; i++) {
		segments[i].gfn = take_number(c, 8);
		segments[i].sz = take_number(c, 8);
	}
	j->segments = segments;
	return 0;
}

int pt_journal_parse(struct pt_journal *out, const void *bytes, size_t sz)
{
	struct cursor c = { .at = bytes, .left = sz };
	struct pt_journal j = { .segments = NULL };
	__u32 version;
	int ret;

	if (!is_whole(&c, bytes, sz, &version))
		return -EBADMSG;
	if (version != PT_JOURNAL_VERSION)
		return -EPROTONOSUPPORT;
	j.segment_cnt = take_number(&c, 4);
	j.transfer_id = take_number(&c, 8);
	take_name(&c, j.name);
	ret = take_segments(&c, &j);
	if (!ret)
		*out = j;
	return ret;
}

void pt_journal_free(struct pt_journal *j)
{
	free((void *)j->segments);	/* allocated here; const for the
					 * encoder */
	j->segments = NULL;
}

bool pt_journal_is_same(const struct pt_journal *a, const struct pt_journal *b)
{
	if (strcmp(a->name, b->name) || a->segment_cnt != b->segment_cnt)
		return false;
	for (__u32 i = 0; i < a->segment_cnt; i++) {
		const struct pt_segment *one = &a->segments[i];
		const struct pt_segment *two = &b->segments[i];

		if (one->gfn != two->gfn || one->sz != two->sz)
			return false;
	}
	return true;
}
