// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The memory that comes out of a splitter and a joiner is that which went in, and
 * the tail follows all pages. */
#include "proxy_kit.h"

/* read_back parses what came, up to the end of section ram or to what is strange;
 * returns where the rest begins. */
static size_t read_back(enum pt_qstream_kind want)
{
	static struct pt_qstream q;
	struct pt_qstream_token t;
	size_t at = 0;

	memset(&q, 0, sizeof(q));
	memset(got, 0x55, sizeof(got));
	do {
		pt_qstream_next(&q, came + at, came_sz - at, &t);
		if (t.kind == PT_QSTREAM_PAGE || t.kind == PT_QSTREAM_ZERO) {
			__u32 i = t.off / PT_PAGE_SZ + (t.block ? PAGES : 0);

			memset(got[i], 0, PT_PAGE_SZ);
			if (t.page)
				memcpy(got[i], t.page, PT_PAGE_SZ);
		}
		at += t.sz;
	} while (t.kind != PT_QSTREAM_MORE && t.kind != PT_QSTREAM_STRANGE &&
		 t.kind != PT_QSTREAM_END);
	assert_int_equal(t.kind, want);
	return at;
}

static void tail_is(size_t at, const char *want)
{
	assert_int_equal(came_sz - at, strlen(want));
	assert_memory_equal(came + at, want, strlen(want));
}

static void memory_is_right(void)
{
	assert_memory_equal(came, stream, head_sz);
	for (__u32 i = 0; i < PAGE_CNT; i++)
		if (memcmp(got[i], ram[i], PT_PAGE_SZ))
			fail_msg("page %u is not as it was sent", i);
}

static void whole(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	for (random_state = 1; random_state < 4; random_state++) {
		__u64 seed = random_state;

		answers = true;
		is_slow = seed == 2;
		begin();
		rounds();
		open_section(3);
		page(3, false);
		page(PAGES + 1, true);
		close_section();
		text("devices");
		if (pass(&err))
			fail_msg("%s", err.text);
		tail_is(read_back(PT_QSTREAM_END), "devices");
		memory_is_right();
		assert_string_equal(answer, BACK);
		assert_true(reported_cnt >= PAGE_CNT);
		random_state = seed;
	}
}

/* lost: a page that was not sent as it came is an error, and not a zero page. */
static void lost(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	answers = false;
	not_sent = 1;
	begin();
	rounds();
	assert_int_equal(pass(&err), -EIO);
	not_sent = ~0ULL;
	assert_non_null(strstr(err.text, "the page at 0x1000 was not sent"));
}

/* held: a command between parts comes behind all pages. */
static void held(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	is_slow = false;
	answers = false;
	begin();
	open_section(2);
	page(0, false);
	close_section();
	number(8, 1);		/* SWITCHOVER_START */
	number(11, 2);
	number(0, 2);
	open_section(2);
	page(1, false);
	close_section();
	open_section(3);
	close_section();
	text("devices");
	if (pass(&err))
		fail_msg("%s", err.text);
	tail_is(read_back(PT_QSTREAM_END), "devices");
	assert_memory_equal(got[0], ram[0], PT_PAGE_SZ);
	assert_memory_equal(got[1], ram[1], PT_PAGE_SZ);
	/* command, section, its end, "devices" */
	assert_int_equal(came[came_sz - 7 - PT_QSTREAM_CLOSE_SZ -
			      PT_QSTREAM_SECTION_SZ - 5], 8);
}

/* strange_within: from a record on that is not known all passes whole, behind the
 * page that a CONTINUE means. */
static void strange_within(void **state)
{
	struct pt_error err = { 0 };
	size_t at;

	(void)state;
	begin();
	rounds();
	open_section(2);
	page(PAGES + 2, false);
	number(0x1000 | 0x20 | 0x40, 8);	/* XBZRLE, CONTINUE */
	text("delta");
	if (pass(&err))
		fail_msg("%s", err.text);
	at = read_back(PT_QSTREAM_STRANGE);
	memory_is_right();
	assert_int_equal(came_sz - at, 8 + 5);
	assert_memory_equal(came + at, stream + stream_sz - 13, 13);
	/* The last record before is that of the last page, by name. */
	assert_memory_equal(came + at - PT_PAGE_SZ, ram[PAGES + 2], PT_PAGE_SZ);
	assert_memory_equal(came + at - PT_PAGE_SZ - 3, "vga", 3);
}

static void strange_between(void **state)
{
	struct pt_error err = { 0 };
	size_t at;

	(void)state;
	begin();
	rounds();
	number(4, 1);
	text("another device");
	if (pass(&err))
		fail_msg("%s", err.text);
	at = read_back(PT_QSTREAM_STRANGE);
	memory_is_right();
	tail_is(at, "\4another device");
}

static void strange_head(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	begin();
	rounds();
	stream[7] = 9;		/* another version of the file */
	if (pass(&err))
		fail_msg("%s", err.text);
	assert_int_equal(came_sz, stream_sz);
	assert_memory_equal(came, stream, stream_sz);
	assert_int_equal(reported_cnt, 0);
}

/* cut: QEMU gives up within the pages; the destination's stream ends, too. */
static void cut(void **state)
{
	struct pt_error err = { 0 };

	(void)state;
	begin();
	rounds();
	stream_sz -= 100;
	assert_int_equal(pass(&err), -ECONNRESET);
	assert_non_null(strstr(err.text, "QEMU ended its migration before"));
}

static void cut_head(void **state)
{
	(void)state;
	begin();
	stream_sz -= 20;
	assert_int_equal(open_ends(), -ECONNRESET);
	close_ends();
}

/* refused: a second connection while the head comes, which begins with these
 * bytes and stays. */
static void refused(const char *bytes)
{
	struct pt_error err;
	int other;

	begin();
	assert_int_equal(pt_splitter_open(&splitter, FROM, &err), 0);
	assert_int_equal(pt_door_connect(&qemu_fd, FROM, 5000, &err), 0);
	assert_int_equal(write(qemu_fd, stream, head_sz), head_sz);
	assert_int_equal(pt_door_connect(&other, FROM, 5000, &err), 0);
	assert_int_equal(write(other, bytes, strlen(bytes)), strlen(bytes));
	assert_int_equal(pt_splitter_accept(splitter, -1, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "multifd"));
	close(other);
	close(qemu_fd);
	pt_splitter_close(splitter);
}

static void multifd(void **state)
{
	(void)state;
	refused("\x11\x22\x33\x44");
}

/* preempt: a postcopy's second connection is silent at first. */
static void preempt(void **state)
{
	(void)state;
	refused("");
}

/* alone: others that look and go do no harm, and after the head nobody can
 * connect. */
static void alone(void **state)
{
	struct pt_error err;
	int other;

	(void)state;
	begin();
	assert_int_equal(pt_splitter_open(&splitter, FROM, &err), 0);
	assert_int_equal(pt_door_connect(&qemu_fd, FROM, 5000, &err), 0);
	assert_int_equal(write(qemu_fd, stream, head_sz), head_sz);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pt_door_connect(&other, FROM, 0, &err), 0);
		close(other);
	}
	assert_int_equal(pt_splitter_accept(splitter, -1, &err), 0);
	assert_int_equal(pt_door_connect(&other, FROM, 0, &err), -ENOENT);
	close(qemu_fd);
	pt_splitter_close(splitter);
}

/* doors: a dead socket is replaced, another file is not. */
static void doors(void **state)
{
	struct pt_error err;
	int fd, other;

	(void)state;
	assert_int_equal(pt_door_listen(&fd, FROM, &err), 0);
	assert_int_equal(pt_door_listen(&other, FROM, &err), -EADDRINUSE);
	close(fd);		/* as if killed: the path stays */
	assert_int_equal(pt_door_connect(&other, FROM, 0, &err), -ECONNREFUSED);
	assert_int_equal(pt_door_listen(&fd, FROM, &err), 0);
	pt_door_leave(fd, FROM);
	assert_int_equal(access(FROM, F_OK), -1);
	assert_int_equal(pt_door_connect(&other, FROM, 0, &err), -ENOENT);
	fd = open(FROM, O_CREAT | O_RDWR, 0600);
	assert_int_equal(pt_door_listen(&other, FROM, &err), -EADDRINUSE);
	close(fd);
	unlink(FROM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doors),
		cmocka_unit_test(whole),
		cmocka_unit_test(lost),
		cmocka_unit_test(held),
		cmocka_unit_test(strange_within),
		cmocka_unit_test(strange_between),
		cmocka_unit_test(strange_head),
		cmocka_unit_test(cut),
		cmocka_unit_test(cut_head),
		cmocka_unit_test(multifd),
		cmocka_unit_test(preempt),
		cmocka_unit_test(alone),
	};

	stream = malloc(STREAM_SZ);
	came = malloc(STREAM_SZ);
	unlink(FROM);
	unlink(INTO);
	return stream && came ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
