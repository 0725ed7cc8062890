// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qstream/qstream.h"

#include <string.h>

#include <pagetrim/wire.h>

#define FILE_MAGIC	0x5145564d	/* "QEVM" */
#define FILE_VERSION	3
#define FOOTER		0x7e
#define RAM_VERSION	4
#define PAGE_BITS	12
#define MACHINE_SZ_MAX	255
#define CAPABILITIES_MAX 256
#define UUID_SZ		16

/* Types of sections, but for those of the header. */
enum {
	SECTION_START		= 1,
	SUBSECTION		= 5,
	CONFIGURATION		= 7,
	COMMAND			= 8,
};

enum {
	CMD_OPEN_RETURN_PATH	= 1,
	CMD_PING		= 2,
	CMD_POSTCOPY_ADVISE	= 3,
	CMD_SWITCHOVER_START	= 11,
};

/* Flags of a record, below the 12 bits of its address. */
enum {
	FLAG_ZERO	= 0x02,
	FLAG_MEM_SIZE	= 0x04,
	FLAG_PAGE	= 0x08,
	FLAG_EOS	= 0x10,
	FLAG_CONTINUE	= 0x20,
	FLAGS		= 0xfff,
};

enum {
	AT_FILE,	/* the start */
	AT_HEAD,	/* between the sections of the head */
	AT_LIST,	/* the size of all blocks comes */
	AT_BLOCK,	/* a block of the list, or its end */
	AT_LIST_FOOTER,
	AT_SECTION,	/* between sections of ram */
	AT_RECORD,
	AT_FOOTER,
};

/* cursor: reads past the end give 0, and set is_short. */
struct cursor {
	const __u8 *bytes;
	size_t sz, at;
	bool is_short;
};

static const __u8 *take(struct cursor *c, size_t sz)
{
	const __u8 *at = c->bytes + c->at;

	c->is_short |= sz > c->sz - c->at;
	if (c->is_short)
		return NULL;
	c->at += sz;
	return at;
}

static __u64 number(struct cursor *c, size_t sz)
{
	const __u8 *at = take(c, sz);
	__u64 value = 0;

	for (size_t i = 0; at && i < sz; i++)
		value = value << 8 | at[i];
	return value;
}

/* name takes a string with its size in front, which has no NUL inside; "": it has
 * one, is empty, or short. */
static void name(struct cursor *c, char to[PT_QSTREAM_NAME_SZ])
{
	size_t sz = number(c, 1);
	const __u8 *at = take(c, sz);

	memset(to, 0, PT_QSTREAM_NAME_SZ);
	if (at && !memchr(at, 0, sz))
		memcpy(to, at, sz);
}

/* The following parse one token each, and return its kind; MORE stands for
 * is_short. */

static enum pt_qstream_kind file(struct pt_qstream *q, struct cursor *c)
{
	if (number(c, 4) != FILE_MAGIC || number(c, 4) != FILE_VERSION)
		return PT_QSTREAM_STRANGE;
	q->state = AT_HEAD;
	return PT_QSTREAM_OTHER;
}

static enum pt_qstream_kind configuration(struct cursor *c)
{
	__u64 sz = number(c, 4);

	if (sz > MACHINE_SZ_MAX)
		return PT_QSTREAM_STRANGE;
	take(c, sz);
	return PT_QSTREAM_OTHER;
}

static enum pt_qstream_kind capabilities(struct pt_qstream *q,
					 struct cursor *c)
{
	char text[PT_QSTREAM_NAME_SZ];
	__u64 cnt = number(c, 4);
	bool has_addresses = false;

	if (cnt > CAPABILITIES_MAX)
		return PT_QSTREAM_STRANGE;
	for (__u64 i = 0; i < cnt; i++) {
		name(c, text);
		has_addresses |= !strcmp(text, "x-ignore-shared");
	}
	q->has_addresses = has_addresses;
	return PT_QSTREAM_OTHER;
}

/* subsection: of the configuration. */
static enum pt_qstream_kind subsection(struct pt_qstream *q, struct cursor *c)
{
	char text[PT_QSTREAM_NAME_SZ];

	name(c, text);
	number(c, 4);		/* its version */
	if (!strcmp(text, "configuration/capabilities"))
		return capabilities(q, c);
	if (!strcmp(text, "configuration/uuid")) {
		take(c, UUID_SZ);
		return PT_QSTREAM_OTHER;
	}
	if (!strcmp(text, "configuration/target-page-bits") &&
	    number(c, 4) == PAGE_BITS)
		return PT_QSTREAM_OTHER;
	return PT_QSTREAM_STRANGE;
}

/* command: between, not before, the sections of ram those that may wait for the
 * pages. */
static enum pt_qstream_kind command(struct cursor *c, bool is_between)
{
	__u64 cmd = number(c, 2), sz = number(c, 2);

	take(c, sz);
	if (is_between)
		return cmd == CMD_PING || cmd == CMD_SWITCHOVER_START
			? PT_QSTREAM_HELD : PT_QSTREAM_STRANGE;
	return cmd == CMD_OPEN_RETURN_PATH || cmd == CMD_PING ||
	       cmd == CMD_POSTCOPY_ADVISE
		? PT_QSTREAM_OTHER : PT_QSTREAM_STRANGE;
}

static enum pt_qstream_kind start(struct pt_qstream *q, struct cursor *c)
{
	__u32 section_id = number(c, 4);
	char text[PT_QSTREAM_NAME_SZ];

	name(c, text);
	number(c, 4);		/* its instance */
	if (number(c, 4) != RAM_VERSION || strcmp(text, "ram"))
		return PT_QSTREAM_STRANGE;
	q->section_id = section_id;
	q->state = AT_LIST;
	return PT_QSTREAM_OTHER;
}

static enum pt_qstream_kind head(struct pt_qstream *q, struct cursor *c)
{
	switch (number(c, 1)) {
	case CONFIGURATION:
		return configuration(c);
	case SUBSECTION:
		return subsection(q, c);
	case COMMAND:
		return command(c, false);
	case SECTION_START:
		return start(q, c);
	default:
		return PT_QSTREAM_STRANGE;
	}
}

static enum pt_qstream_kind list(struct pt_qstream *q, struct cursor *c)
{
	__u64 word = number(c, 8);

	if ((word & FLAGS) != FLAG_MEM_SIZE || word == FLAG_MEM_SIZE)
		return PT_QSTREAM_STRANGE;
	q->left_sz = word & ~(__u64)FLAGS;
	q->state = AT_BLOCK;
	return PT_QSTREAM_OTHER;
}

static bool find(const struct pt_qstream *q, const char *text, __u32 *block)
{
	for (__u32 i = 0; i < q->block_cnt; i++) {
		if (!strcmp(q->blocks[i].name, text)) {
			*block = i;
			return true;
		}
	}
	return false;
}

static enum pt_qstream_kind block(struct pt_qstream *q, struct cursor *c)
{
	struct pt_qstream_block b;
	__u32 same;

	if (!q->left_sz) {
		if (number(c, 8) != FLAG_EOS)
			return PT_QSTREAM_STRANGE;
		q->state = AT_LIST_FOOTER;
		return PT_QSTREAM_OTHER;
	}
	name(c, b.name);
	b.sz = number(c, 8);
	if (q->has_addresses)
		number(c, 8);
	if (c->is_short)
		return PT_QSTREAM_MORE;
	if (q->block_cnt == PT_QSTREAM_BLOCKS_MAX || !b.name[0] || !b.sz ||
	    b.sz % PT_PAGE_SZ || b.sz > q->left_sz || find(q, b.name, &same))
		return PT_QSTREAM_STRANGE;
	q->blocks[q->block_cnt++] = b;
	q->left_sz -= b.sz;
	return PT_QSTREAM_OTHER;
}

/* footer ends a section, as a token of that kind. */
static enum pt_qstream_kind footer(struct pt_qstream *q, struct cursor *c,
				   enum pt_qstream_kind kind)
{
	if (number(c, 1) != FOOTER || number(c, 4) != q->section_id)
		return PT_QSTREAM_STRANGE;
	q->state = AT_SECTION;
	return kind;
}

static enum pt_qstream_kind section(struct pt_qstream *q, struct cursor *c)
{
	__u8 type = number(c, 1);

	if (type == COMMAND)
		return command(c, true);
	if ((type != PT_QSTREAM_SECTION_PART &&
	     type != PT_QSTREAM_SECTION_END) || number(c, 4) != q->section_id)
		return PT_QSTREAM_STRANGE;
	q->section = type;
	q->state = AT_RECORD;
	return PT_QSTREAM_OTHER;
}

/* place finds the block and the page of a record. */
static enum pt_qstream_kind place(struct pt_qstream *q, struct cursor *c,
				  __u64 word, struct pt_qstream_token *t)
{
	char text[PT_QSTREAM_NAME_SZ];

	t->block = q->block;
	if (!(word & FLAG_CONTINUE)) {
		name(c, text);
		if (!c->is_short && !find(q, text, &t->block))
			return PT_QSTREAM_STRANGE;
	} else if (!q->has_block) {
		return PT_QSTREAM_STRANGE;
	}
	t->off = word & ~(__u64)FLAGS;
	if (!c->is_short && t->off >= q->blocks[t->block].sz)
		return PT_QSTREAM_STRANGE;
	return word & FLAG_PAGE ? PT_QSTREAM_PAGE : PT_QSTREAM_ZERO;
}

static enum pt_qstream_kind record(struct pt_qstream *q, struct cursor *c,
				   struct pt_qstream_token *t)
{
	__u64 word = number(c, 8);
	__u64 flags = word & FLAGS & ~FLAG_CONTINUE;
	enum pt_qstream_kind kind;

	if (word == FLAG_EOS) {
		q->state = AT_FOOTER;
		return PT_QSTREAM_OTHER;
	}
	if (flags != FLAG_PAGE && flags != FLAG_ZERO)
		return PT_QSTREAM_STRANGE;
	kind = place(q, c, word, t);
	if (kind == PT_QSTREAM_PAGE)
		t->page = take(c, PT_PAGE_SZ);
	else if (kind == PT_QSTREAM_ZERO && number(c, 1))
		return PT_QSTREAM_STRANGE;
	if (c->is_short)
		return PT_QSTREAM_MORE;
	if (kind != PT_QSTREAM_STRANGE) {
		q->block = t->block;
		q->has_block = true;
	}
	return kind;
}

static enum pt_qstream_kind step(struct pt_qstream *q, struct cursor *c,
				 struct pt_qstream_token *t)
{
	switch (q->state) {
	case AT_FILE:
		return file(q, c);
	case AT_HEAD:
		return head(q, c);
	case AT_LIST:
		return list(q, c);
	case AT_BLOCK:
		return block(q, c);
	case AT_LIST_FOOTER:
		return footer(q, c, PT_QSTREAM_READY);
	case AT_RECORD:
		return record(q, c, t);
	case AT_FOOTER:
		return footer(q, c, q->section == PT_QSTREAM_SECTION_END
			      ? PT_QSTREAM_END : PT_QSTREAM_OTHER);
	default:
		q->section = 0;
		return section(q, c);
	}
}

void pt_qstream_next(struct pt_qstream *q, const __u8 *bytes, size_t sz,
		     struct pt_qstream_token *t)
{
	struct cursor c = { .bytes = bytes, .sz = sz };
	int state = q->state;

	memset(t, 0, sizeof(*t));
	t->kind = step(q, &c, t);
	if (c.is_short) {
		q->state = state;
		t->kind = sz < PT_QSTREAM_TOKEN_SZ_MAX ? PT_QSTREAM_MORE
						       : PT_QSTREAM_STRANGE;
	}
	if (t->kind == PT_QSTREAM_STRANGE)
		q->state = state;
	else if (t->kind != PT_QSTREAM_MORE)
		t->sz = c.at;
}

static size_t put(__u8 *to, __u64 value, size_t sz)
{
	for (size_t i = sz; i-- > 0; value >>= 8)
		to[i] = value;
	return sz;
}

size_t pt_qstream_put_section(__u8 *to, __u8 type, __u32 section_id)
{
	return put(to, type, 1) + put(to + 1, section_id, 4);
}

size_t pt_qstream_put_record(__u8 *to, const char *block_name, __u64 off,
			     bool is_zero)
{
	__u64 word = off | (is_zero ? FLAG_ZERO : FLAG_PAGE) |
		     (block_name ? 0 : FLAG_CONTINUE);
	size_t sz = put(to, word, 8), name_sz;

	if (block_name) {
		name_sz = strnlen(block_name, PT_QSTREAM_NAME_SZ - 1);
		sz += put(to + sz, name_sz, 1);
		memcpy(to + sz, block_name, name_sz);
		sz += name_sz;
	}
	if (is_zero)
		sz += put(to + sz, 0, 1);
	return sz;
}

size_t pt_qstream_put_close(__u8 *to, __u32 section_id)
{
	size_t sz = put(to, FLAG_EOS, 8);

	sz += put(to + sz, FOOTER, 1);
	return sz + put(to + sz, section_id, 4);
}
