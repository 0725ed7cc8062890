// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages of files that cannot be read: those that the image's list names, and those
 * whose mapping raises SIGBUS. */
#include "guard_again.h"
#include "opened.h"
#include "poison_kit.h"

#include <errno.h>
#include <sys/mman.h>

#include "source/scan_batch.h"
#include "trim/digest.h"

#define FILE_SZ	(REGION + 3 * PAGE - 100)
#define PATH	SCRATCH "/ram"
#define KEY	7

static struct opened o;

static void make(const char *list)
{
	static __u8 ones[FILE_SZ];
	int fd = scratch_file(PATH, FILE_SZ);

	memset(ones, 1, sizeof(ones));
	if (list)	/* its pages are zero */
		memset(ones + PAGE, 0, 2 * PAGE);
	scratch_write(fd, 0, ones, FILE_SZ / 2);	/* then a hole */
	close(fd);
	if (!list)
		return;
	mkdir(PATH ".with", 0700);
	fd = scratch_file(PATH ".with/unreadable.json", 0);
	scratch_write(fd, 0, list, strlen(list));
	close(fd);
}

static void unmake(void)
{
	unlink(PATH ".with/unreadable.json");
	rmdir(PATH ".with");
	unlink(PATH);
}

static struct pt_scan_batch scan(__u64 region, __u32 first)
{
	struct pt_error err = { 0 };
	struct pt_scan_batch batch;

	if (pt_source_view(o.src, &o.view, o.layout, region, &err))
		fail_msg("%s", err.text);
	batch = pt_scan_batch_of(&o.view, o.layout, region, first);
	batch.search = ~0ULL;
	if (pt_scan_batch_read(&batch, o.src, KEY, &err))
		fail_msg("%s", err.text);
	return batch;
}

/* is_lost: page i of the batch has no content, and is no data. */
static void is_lost(const struct pt_scan_batch *batch, unsigned i)
{
	assert_true(batch->unreadable >> i & 1);
	assert_false(batch->holes >> i & 1);
	assert_false(pt_scan_batch_data(batch) >> i & 1);
	assert_int_equal(batch->contents[i], PT_CONTENT_UNREADABLE);
	assert_int_equal(batch->digests[i], pt_digest_unreadable(batch->gfn + i));
}

#define LIST(bytes, ranges) \
	"{\"version\": 1, \"bytes\": " bytes ", \"unreadable\": [" ranges "]}"
#define RANGE(off, sz)	"{\"offset\": " off ", \"bytes\": " sz "}"

/* In data, in a hole, and the last page, which ends early. */
static void test_list(void **state)
{
	struct pt_scan_batch batch;

	(void)state;
	make(LIST("2109340", RANGE("4096", "8192") ", "
		  RANGE("2093056", "4096") ", " RANGE("2105344", "4096")));
	open_one(&o, PATH);
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable, 6);
	is_lost(&batch, 1);
	is_lost(&batch, 2);
	assert_int_equal(pt_scan_batch_data(&batch), ~6ULL);
	batch = scan(0, 448);
	assert_int_equal(batch.unreadable, 1ULL << 63);
	is_lost(&batch, 63);
	batch = scan(1, 0);
	assert_int_equal(batch.unreadable, 4);
	is_lost(&batch, 2);
	pt_source_on_unreadable(o.src, PT_UNREADABLE_ZERO);
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable, 0);
	assert_int_equal(batch.holes, 6);
	assert_int_equal(batch.digests[1], 0);
	assert_int_equal(pt_source_zeroed_cnt(o.src), 3);
	scan(0, 0);
	assert_int_equal(pt_source_zeroed_cnt(o.src), 3);
	close_all(&o);
	unmake();
}

static const struct row {
	const char *name, *list, *text;
} rows[] = {
	{ "not JSON", "{", "no list" },
	{ "another version", "{\"version\": 2, \"bytes\": 2109340, "
	  "\"unreadable\": []}", "no list" },
	{ "no ranges", "{\"version\": 1, \"bytes\": 2109340}", "no list" },
	{ "of another image", LIST("2109341", RANGE("0", "4096")),
	  "another size" },
	{ "within a page", LIST("2109340", RANGE("1", "4096")),
	  "whole pages" },
	{ "half a page", LIST("2109340", RANGE("0", "2048")), "whole pages" },
	{ "of no page", LIST("2109340", RANGE("0", "0")), "whole pages" },
	{ "past the end", LIST("2109340", RANGE("2105344", "8192")),
	  "whole pages" },
	{ "far past the end",
	  LIST("2109340", RANGE("4096", "9223372036854771712")),
	  "whole pages" },
	{ "below 0", LIST("2109340", RANGE("-4096", "4096")), "whole pages" },
	{ "of an earlier image", LIST("2109340", RANGE("4096", "12288")),
	  "of an earlier image: a page that it names has content" },
	{ "a word", LIST("2109340", "\"all\""), "whole pages" },
};

static void test_list_refused(void **state)
{
	const struct row *row = *state;
	const char *path = PATH;
	struct pt_error err = { 0 };

	make(row->list);
	assert_int_equal(pt_source_open_files(&o.src, &path, 1, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, PATH ".with/unreadable.json: "));
	if (!strstr(err.text, row->text))
		fail_msg("%s", err.text);
	unmake();
}

/* poison_page has the source's mapping raise SIGBUS in a page: one that can be
 * poisoned takes its place. */
static bool poison_page(__u32 page)
{
	struct pt_error err = { 0 };
	void *at;

	if (pt_source_view(o.src, &o.view, o.layout, 0, &err))
		fail_msg("%s", err.text);
	at = (void *)(o.view.pages + (__u64)page * PAGE);
	assert_ptr_equal(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			      MAP_ANONYMOUS | MAP_FIXED, -1, 0), at);
	return kit_poison(at, PAGE);
}

static void test_fault(void **state)
{
	struct pt_error err = { 0 };
	struct pt_scan_batch batch;

	(void)state;
	guard_again();
	make(NULL);
	open_one(&o, PATH);
	if (!poison_page(5)) {
		print_message("skipped: userfaultfd has no poison (Linux 6.6)\n");
		skip();
	}
	batch = pt_scan_batch_of(&o.view, o.layout, 0, 0);
	assert_int_equal(pt_scan_batch_read(&batch, o.src, KEY, &err), -EIO);
	assert_null(strstr(err.text, "on_unreadable"));
	pt_source_on_unreadable(o.src, PT_UNREADABLE_FAIL);
	assert_int_equal(pt_scan_batch_read(&batch, o.src, KEY, &err), -EIO);
	if (!strstr(err.text, "on_unreadable mark"))
		fail_msg("%s", err.text);
	pt_source_on_unreadable(o.src, PT_UNREADABLE_MARK);
	batch = scan(0, 0);
	assert_int_equal(batch.unreadable, 1 << 5);
	is_lost(&batch, 5);
	assert_int_equal(pt_scan_batch_data(&batch), ~(1ULL << 5));
	/* It is known from now on, before any read. */
	assert_int_equal(pt_source_view(o.src, &o.view, o.layout, 0, &err), 0);
	assert_true(pt_view_is_unreadable(&o.view, 5));
	/* A file that was cut short is no file with a bad page. */
	assert_int_equal(truncate(PATH, 64 * PAGE), 0);
	batch = pt_scan_batch_of(&o.view, o.layout, 0, 64);
	assert_int_equal(pt_scan_batch_read(&batch, o.src, KEY, &err), -EIO);
	assert_non_null(strstr(err.text, "cut short"));
	close_all(&o);
	unmake();
}

int main(void)
{
	struct CMUnitTest tests[2 + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_fault),	/* first: guard_again */
		cmocka_unit_test(test_list),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[2 + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_list_refused,
			.initial_state = (void *)&rows[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
