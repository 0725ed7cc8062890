// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Streams that the test makes, whole and in single bytes: pages are found, anything
 * unknown is strange, and no token crosses the bytes that are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pagetrim/wire.h>
#include "qstream/qstream.h"

#define STREAM_SZ	(256u << 10)

static __u8 stream[STREAM_SZ];
static size_t stream_sz;
static __u8 pages[4][PT_PAGE_SZ];

static void number(__u64 value, size_t sz)
{
	for (size_t i = 0; i < sz; i++)
		stream[stream_sz + i] = value >> 8 * (sz - 1 - i);
	stream_sz += sz;
}

static void bytes(const void *from, size_t sz)
{
	memcpy(stream + stream_sz, from, sz);
	stream_sz += sz;
}

static void name(const char *text)
{
	number(strlen(text), 1);
	bytes(text, strlen(text));
}

static void begin(void)
{
	stream_sz = 0;
	number(0x5145564d, 4);
	number(3, 4);
}

static void configuration(void)
{
	number(7, 1);
	number(10, 4);
	bytes("pc-q35-7.2", 10);
}

static void capability(const char *text)
{
	number(5, 1);
	name("configuration/capabilities");
	number(1, 4);
	number(1, 4);
	name(text);
}

static void command(__u16 cmd, __u16 sz)
{
	number(8, 1);
	number(cmd, 2);
	number(sz, 2);
	for (__u16 i = 0; i < sz; i++)
		number(0, 1);
}

static void start_list(__u64 total_sz)
{
	number(1, 1);
	number(2, 4);
	name("ram");
	number(0, 4);
	number(4, 4);
	number(total_sz | 4, 8);
}

static void block(const char *text, __u64 sz)
{
	name(text);
	number(sz, 8);
}

static void close_section(void)
{
	number(0x10, 8);
	number(0x7e, 1);
	number(2, 4);
}

/* head: two blocks of 4 and 2 pages. */
static void head(void)
{
	begin();
	configuration();
	command(1, 0);
	command(2, 4);
	start_list(6 * PT_PAGE_SZ);
	block("ram", 4 * PT_PAGE_SZ);
	block("vga", 2 * PT_PAGE_SZ);
	close_section();
}

static void section(__u8 type)
{
	number(type, 1);
	number(2, 4);
}

static void page(__u64 off, const char *text, int i)
{
	number(off | 8 | (text ? 0 : 0x20), 8);
	if (text)
		name(text);
	bytes(pages[i], PT_PAGE_SZ);
}

static void zero(__u64 off, const char *text, __u8 fill)
{
	number(off | 2 | (text ? 0 : 0x20), 8);
	if (text)
		name(text);
	number(fill, 1);
}

/* parse appends a letter for each token but OTHER: Ready, Held, Page, Zero, End,
 * Strange; MORE at the end is -.  step: bytes that are there are more by so many
 * at each MORE. */
static struct pt_qstream q;
static char said[256];
static struct pt_qstream_token last;
static size_t parsed_sz;

static void parse(size_t step)
{
	static const char letters[] = "-.RHPZES";
	size_t there = step < stream_sz ? step : stream_sz;
	struct pt_qstream_token t;
	int cnt = 0;

	memset(&q, 0, sizeof(q));
	parsed_sz = 0;
	for (;;) {
		/* A copy of what is there, so that a read behind is seen. */
		size_t sz = there - parsed_sz;
		__u8 *copy = malloc(sz + !sz);

		memcpy(copy, stream + parsed_sz, sz);
		pt_qstream_next(&q, copy, sz, &t);
		if (t.page)
			assert_memory_equal(t.page, pages[t.page[0]],
					    PT_PAGE_SZ);
		free(copy);
		if (t.kind == PT_QSTREAM_MORE && there < stream_sz) {
			there += stream_sz - there < step ? stream_sz - there
							  : step;
			continue;
		}
		assert_in_range(t.sz, 0, sz);
		if (t.kind != PT_QSTREAM_OTHER)
			said[cnt++] = letters[t.kind];
		if (t.kind == PT_QSTREAM_PAGE || t.kind == PT_QSTREAM_ZERO)
			last = t;
		if (t.kind == PT_QSTREAM_MORE || t.kind == PT_QSTREAM_STRANGE ||
		    t.kind == PT_QSTREAM_END)
			break;
		parsed_sz += t.sz;
	}
	said[cnt] = 0;
}

static void expect(const char *want)
{
	static const size_t steps[] = { STREAM_SZ, 1, 7, 4096 };

	for (int i = 0; i < 4; i++) {
		parse(steps[i]);
		assert_string_equal(said, want);
	}
}

static void whole(void **state)
{
	(void)state;
	head();
	section(2);
	page(0, "ram", 0);
	zero(PT_PAGE_SZ, NULL, 0);
	page(PT_PAGE_SZ, "vga", 1);
	close_section();
	command(11, 0);
	section(2);
	page(0, NULL, 2);	/* still of vga */
	close_section();
	section(3);
	zero(3 * PT_PAGE_SZ, "ram", 0);
	close_section();
	expect("RPZPHPZE");
	assert_int_equal(q.block_cnt, 2);
	assert_int_equal(q.section_id, 2);
	assert_string_equal(q.blocks[1].name, "vga");
	assert_int_equal(q.blocks[1].sz, 2 * PT_PAGE_SZ);
	assert_int_equal(last.block, 0);
	assert_int_equal(last.off, 3 * PT_PAGE_SZ);
}

static void continued(void **state)
{
	(void)state;
	head();
	section(2);
	page(PT_PAGE_SZ, "vga", 1);
	close_section();
	section(2);
	page(0, NULL, 2);
	expect("RPP-");
	assert_int_equal(last.block, 1);
	assert_int_equal(last.off, 0);
}

static void with_addresses(void **state)
{
	(void)state;
	begin();
	configuration();
	capability("x-ignore-shared");
	start_list(PT_PAGE_SZ);
	block("ram", PT_PAGE_SZ);
	number(0x100000, 8);
	close_section();
	expect("R-");
	assert_true(q.has_addresses);
}

/* Each row breaks one thing. */
static void wrong_magic(void) { head(); stream[0] ^= 1; }
static void wrong_version(void) { head(); stream[7] = 2; }
static void postcopy_command(void) { head(); command(4, 0); }
static void packaged(void) { begin(); command(8, 4); }
static void page_bits(void)
{
	begin();
	configuration();
	number(5, 1);
	name("configuration/target-page-bits");
	number(1, 4);
	number(13, 4);
}
static void other_device(void)
{
	begin();
	number(1, 1);
	number(7, 4);
	name("vfio");
	number(0, 4);
	number(1, 4);
}
static void list_too_long(void)
{
	begin();
	start_list(PT_PAGE_SZ);
	block("ram", 2 * PT_PAGE_SZ);
}
static void list_uneven(void)
{
	begin();
	start_list(PT_PAGE_SZ);
	block("ram", 100);
}
static void list_twice(void)
{
	begin();
	start_list(2 * PT_PAGE_SZ);
	block("ram", PT_PAGE_SZ);
	block("ram", PT_PAGE_SZ);
}
static void list_no_end(void)
{
	begin();
	start_list(PT_PAGE_SZ);
	block("ram", PT_PAGE_SZ);
	number(0x200, 8);
}
static void wrong_footer(void) { head(); stream[stream_sz - 1] ^= 1; }
static void xbzrle(void) { head(); section(2); number(0x40, 8); }
static void unknown_block(void) { head(); section(2); page(0, "rom", 0); }
static void no_block_yet(void) { head(); section(2); page(0, NULL, 0); }
static void behind_the_end(void)
{
	head();
	section(2);
	page(4 * PT_PAGE_SZ, "ram", 0);
}
static void filled(void) { head(); section(2); zero(0, "ram", 1); }
static void full_section(void) { head(); number(4, 1); }
static void other_section(void) { head(); number(2, 1); number(3, 4); }

static const struct strange {
	const char *name;
	void (*make)(void);
	const char *want;
	__u8 section;
} strange[] = {
	{ "magic", wrong_magic, "S", 0 },
	{ "version", wrong_version, "S", 0 },
	{ "a postcopy command", postcopy_command, "RS", 0 },
	{ "a package", packaged, "S", 0 },
	{ "pages of another size", page_bits, "S", 0 },
	{ "another device in the head", other_device, "S", 0 },
	{ "a block longer than all", list_too_long, "S", 0 },
	{ "a block of no whole pages", list_uneven, "S", 0 },
	{ "a block twice", list_twice, "S", 0 },
	{ "another flag behind the list", list_no_end, "S", 0 },
	{ "another section's footer", wrong_footer, "S", 0 },
	{ "XBZRLE", xbzrle, "RS", 2 },
	{ "a block that is not in the list", unknown_block, "RS", 2 },
	{ "CONTINUE of nothing", no_block_yet, "RS", 2 },
	{ "a page behind its block", behind_the_end, "RS", 2 },
	{ "a page of another byte", filled, "RS", 2 },
	{ "a device's section", full_section, "RS", 0 },
	{ "a part of another section", other_section, "RS", 0 },
};

static void strangeness(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		strange[i].make();
		parse(STREAM_SZ);
		if (strcmp(said, strange[i].want) ||
		    q.section != strange[i].section)
			fail_msg("%s: %s, section %u", strange[i].name, said,
				 q.section);
	}
}

/* too_many: of blocks; and the largest tokens. */
static void too_many(void **state)
{
	char text[16];

	(void)state;
	begin();
	start_list((PT_QSTREAM_BLOCKS_MAX + 1) * (__u64)PT_PAGE_SZ);
	for (int i = 0; i <= PT_QSTREAM_BLOCKS_MAX; i++) {
		snprintf(text, sizeof(text), "b%d", i);
		block(text, PT_PAGE_SZ);
	}
	parse(STREAM_SZ);
	assert_string_equal(said, "S");
	begin();
	command(2, 0xffff);
	command(2, 0xffff);
	expect("-");
	assert_int_equal(parsed_sz, stream_sz);
}

/* written: the parser reads what the writer wrote. */
static void written(void **state)
{
	(void)state;
	head();
	stream_sz += pt_qstream_put_section(stream + stream_sz,
					    PT_QSTREAM_SECTION_PART, 2);
	stream_sz += pt_qstream_put_record(stream + stream_sz, "vga", PT_PAGE_SZ,
					   false);
	bytes(pages[3], PT_PAGE_SZ);
	stream_sz += pt_qstream_put_record(stream + stream_sz, NULL, 0, true);
	stream_sz += pt_qstream_put_close(stream + stream_sz, 2);
	stream_sz += pt_qstream_put_section(stream + stream_sz,
					    PT_QSTREAM_SECTION_END, 2);
	stream_sz += pt_qstream_put_close(stream + stream_sz, 2);
	expect("RPZE");
	assert_int_equal(last.block, 1);
	assert_int_equal(last.off, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(continued),
		cmocka_unit_test(with_addresses),
		cmocka_unit_test(strangeness),
		cmocka_unit_test(too_many),
		cmocka_unit_test(written),
	};

	for (int i = 0; i < 4; i++)
		for (int k = 0; k < (int)PT_PAGE_SZ; k++)
			pages[i][k] = k ? i * 7 + k * 13 : i;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
