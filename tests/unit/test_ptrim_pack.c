// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Raw images, packed, with a parent or without, and unpacked again. */
#include "ptrim_kit.h"

#include "image/pack.h"
#include "image/ptrim_source.h"
#include "image/table.h"
#include "image/unpack.h"

#define RAW	SCRATCH "/raw"
#define OUT	SCRATCH "/out"
#define CHILD	SCRATCH "/child.ptrim"
#define DEEP(n)	SCRATCH "/deep-" n
#define PAGES	1100

/* raw_put writes a page that no other has, but for those of the same seed. */
static void raw_put(int fd, __u64 idx, __u32 seed)
{
	__u32 words[PT_PAGE_SZ / 4];

	for (unsigned i = 0; i < PT_PAGE_SZ / 4; i++)
		words[i] = i < 16 + idx % 900 ? seed * 2654435761u + i : 0;
	assert_int_equal(pwrite(fd, words, PT_PAGE_SZ, idx * PT_PAGE_SZ),
			 PT_PAGE_SZ);
}

/* raw_make: holes, zero pages, copies, data, and an end within a page. */
static int raw_make(void)
{
	static const __u8 zero[PT_PAGE_SZ];
	int fd = scratch_file(RAW, PAGES * PT_PAGE_SZ - 1000);

	for (__u64 i = 0; i < PAGES - 1; i++)
		if (i % 10 < 5)
			raw_put(fd, i, i);
		else if (i % 10 == 5)
			raw_put(fd, 900 * 3 + i % 3, 7);
	for (__u64 i = 0; i < PAGES - 1; i++)
		if (i % 10 == 6)
			assert_int_equal(pwrite(fd, zero, sizeof(zero),
						i * PT_PAGE_SZ), sizeof(zero));
		else if (i % 10 == 7)
			raw_put(fd, i, i);
	assert_int_equal(ftruncate(fd, PAGES * PT_PAGE_SZ - 1000), 0);
	return fd;
}

static int pack(const char *path, const char *parent, const struct pt_layout *table,
		struct pt_pack_result *r, struct pt_error *err)
{
	static const char *const raw = RAW;
	const struct pt_pack_cfg cfg = {
		.method = PT_COMPRESSION_LZ4, .level = 1, .parent = parent,
	};
	struct pt_source *src;
	int code;

	assert_int_equal(pt_source_open_files(&src, &raw, 1, err), 0);
	code = pt_pack(path, src, table, &cfg, r, err);
	pt_source_close(src);
	return code;
}

static void on_fault(void *arg, __u64 page_idx, __u64 cnt)
{
	(void)arg;
	fail_msg("%llu pages at %llu", cnt, page_idx);
}

static void on_wrong(void *arg, __u64 region_idx)
{
	(void)arg;
	fail_msg("region %llu", region_idx);
}

static void on_name(void *arg, const char *name)
{
	(void)arg;
	fail_msg("%s", name);
}

static const struct pt_walk walk = {
	.lost = on_fault, .unreadable = on_fault, .wrong = on_wrong,
};

/* assert_same unpacks path, which must be RAW again. */
static void assert_same(const char *path)
{
	static __u8 a[PT_PAGE_SZ], b[PT_PAGE_SZ];
	struct pt_walk_result r;
	struct pt_error err;
	struct pt_ptrim *p;
	int raw, out;

	if (pt_ptrim_open(&p, path, NULL, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_verify(p, &walk, on_name, on_name, &r, &err), 0);
	unlink(OUT);
	if (pt_unpack(p, OUT, &walk, on_name, &r, &err))
		fail_msg("%s", err.text);
	pt_ptrim_close(p);
	raw = open(RAW, O_RDONLY);
	out = open(OUT, O_RDONLY);
	for (__u64 off = 0, sz = 1; sz; off += sz) {
		sz = pread(raw, a, sizeof(a), off);
		assert_int_equal(pread(out, b, sizeof(b), off), sz);
		assert_memory_equal(a, b, sz);
	}
	close(raw);
	close(out);
}

static void test_pack(void **state)
{
	struct pt_pack_result r;
	struct pt_error err;
	struct stat raw, out;

	(void)state;
	close(raw_make());
	unlink(KIT_IMAGE);
	if (pack(KIT_IMAGE, NULL, NULL, &r, &err))
		fail_msg("%s", err.text);
	assert_int_equal(r.memory_sz, PAGES * PT_PAGE_SZ - 1000);
	assert_int_equal(r.pages[PT_PTRIM_ZERO], 110);
	assert_int_equal(r.pages[PT_PTRIM_DATA], 550 + 110);
	assert_int_equal(r.pages[PT_PTRIM_ABSENT], PAGES - 770);
	assert_int_equal(r.copy_cnt, 0);
	assert_same(KIT_IMAGE);
	assert_int_equal(stat(RAW, &raw), 0);
	assert_int_equal(stat(OUT, &out), 0);
	assert_int_equal(out.st_blocks, raw.st_blocks - 110 * 8);
	/* It never replaces a file. */
	assert_int_equal(pack(KIT_IMAGE, NULL, NULL, &r, &err), -EEXIST);
}

static void test_copies(void **state)
{
	struct pt_pack_result r;
	struct pt_error err;
	int fd = raw_make();

	(void)state;
	for (__u64 i = 1000; i < 1080; i++) {
		__u8 page[PT_PAGE_SZ];

		if (i < 1040)
			raw_put(fd, i, i);
		assert_int_equal(pread(fd, page, sizeof(page),
				       (i - i / 1040 * 40) * PT_PAGE_SZ),
				 PT_PAGE_SZ);
		assert_int_equal(pwrite(fd, page, sizeof(page), i * PT_PAGE_SZ),
				 PT_PAGE_SZ);
	}
	close(fd);
	unlink(KIT_IMAGE);
	assert_int_equal(pack(KIT_IMAGE, NULL, NULL, &r, &err), 0);
	/* A few of the 40 originals were overwritten in the table. */
	assert_in_range(r.copy_cnt, 32, 40);
	assert_same(KIT_IMAGE);
}

/* Only what changed is in the child, and it needs that very parent. */
static void test_parent(void **state)
{
	static const __u8 zero[PT_PAGE_SZ];
	struct pt_pack_result r;
	struct pt_ptrim *p;
	struct pt_error err;
	__u64 parent_sz;
	int fd = raw_make();

	(void)state;
	unlink(KIT_IMAGE);
	unlink(CHILD);
	assert_int_equal(pack(KIT_IMAGE, NULL, NULL, &r, &err), 0);
	parent_sz = r.image_sz;
	raw_put(fd, 600, 12345);	/* other data */
	raw_put(fd, 8, 12346);		/* was a hole */
	assert_int_equal(pwrite(fd, zero, sizeof(zero), 7 * PT_PAGE_SZ), PT_PAGE_SZ);
	close(fd);
	assert_int_equal(pack(CHILD, KIT_IMAGE, NULL, &r, &err), 0);
	assert_int_equal(r.pages[PT_PTRIM_DATA], 2);
	assert_int_equal(r.pages[PT_PTRIM_ZERO], 1);
	assert_int_equal(r.pages[PT_PTRIM_PARENT], PAGES - 3);
	assert_true(r.image_sz < 16384 && r.image_sz < parent_sz / 4);
	assert_same(CHILD);
	/* Packed again it is another image, although of the same memory. */
	unlink(KIT_IMAGE);
	assert_int_equal(pt_ptrim_open(&p, CHILD, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, KIT_IMAGE ", is not there (parent says"));
	assert_int_equal(pack(KIT_IMAGE, NULL, NULL, &r, &err), 0);
	assert_int_equal(pt_ptrim_open(&p, CHILD, NULL, &err), -ESTALE);
	assert_int_equal(err.exit, PT_EXIT_MISMATCH);
	assert_non_null(strstr(err.text, "(parent names the right one)"));
	assert_int_equal(pt_ptrim_open(&p, KIT_IMAGE, CHILD, &err), -EINVAL);
}

/* said: the option, which names the first parent alone, is not given as the remedy. */
static void said(const struct pt_error *err, const char *text)
{
	if (!strstr(err->text, text) || strstr(err->text, "parent says") ||
	    strstr(err->text, "parent names"))
		fail_msg("'%s', want '%s'", err->text, text);
}

/* The parent of a parent is missing, or another. */
static void test_deeper(void **state)
{
	struct pt_pack_result r;
	struct pt_ptrim *p;
	struct pt_error err;
	int fd = raw_make();

	(void)state;
	assert_int_equal(pack(DEEP("1"), NULL, NULL, &r, &err), 0);
	raw_put(fd, 1, 77);
	assert_int_equal(pack(DEEP("2"), DEEP("1"), NULL, &r, &err), 0);
	raw_put(fd, 1, 78);
	assert_int_equal(pack(DEEP("3"), DEEP("2"), NULL, &r, &err), 0);
	assert_int_equal(unlink(DEEP("1")), 0);
	assert_int_equal(pt_ptrim_open(&p, DEEP("3"), NULL, &err), -ENOENT);
	said(&err, DEEP("2") ": its parent, " DEEP("1") ", is not there (put it there)");
	assert_int_equal(pack(DEEP("1"), NULL, NULL, &r, &err), 0);
	assert_int_equal(pt_ptrim_open(&p, DEEP("3"), NULL, &err), -ESTALE);
	said(&err, DEEP("2") ": its parent is another image than " DEEP("1")
	     " (put the right one there)");
	close(fd);
}

/* A child finds its parent by a name, which must be one that it can store. */
static void test_parent_name(void **state)
{
	static const char name[] = SCRATCH "/a\001b.ptrim";
	struct pt_pack_result r;
	struct pt_error err;

	(void)state;
	close(raw_make());
	assert_int_equal(pack(name, NULL, NULL, &r, &err), 0);
	unlink(CHILD);
	assert_int_equal(pack(CHILD, name, NULL, &r, &err), -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, "cannot be the parent of an image by its "
			       "name: "));
	assert_false(scratch_has(CHILD));
}

static void test_chain(void **state)
{
	char path[64], parent[64] = "";
	struct pt_pack_result r;
	struct pt_ptrim *p;
	struct pt_error err;
	int code = 0, fd = raw_make();

	(void)state;
	for (unsigned i = 0; i < PT_PTRIM_CHAIN_MAX; i++) {
		raw_put(fd, i, 777 + i);
		snprintf(path, sizeof(path), SCRATCH "/chain-%u", i);
		code = pack(path, i ? parent : NULL, NULL, &r, &err);
		assert_int_equal(code, 0);
		memcpy(parent, path, sizeof(parent));
	}
	assert_same(path);
	assert_int_equal(pack(SCRATCH "/chain-too-long", path, NULL, &r, &err),
			 -EINVAL);
	assert_int_equal(pt_ptrim_open(&p, SCRATCH "/chain-too-long", NULL, &err),
			 -ENOENT);
	close(fd);
}

/* Segments back to back in one file: their regions do not begin at its. */
static void test_table(void **state)
{
	static const struct pt_segment segs[] = {
		{ "a", 5, 100 * PT_PAGE_SZ }, { "b", 5000, 3 * PT_PAGE_SZ },
		{ "c", 1 << 20, (PAGES - 103) * PT_PAGE_SZ - 1000 },
	};
	struct pt_ptrim_reader *reader;
	__u8 want[PT_PAGE_SZ], page[PT_PAGE_SZ];
	struct pt_pack_result r;
	struct pt_layout *table;
	struct pt_ptrim *p;
	struct pt_error err;
	int fd = raw_make();
	__u64 idx;

	(void)state;
	assert_int_equal(pt_layout_create(&table, segs, 3, &err), 0);
	unlink(CHILD);
	if (pack(CHILD, NULL, table, &r, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_ptrim_open(&p, CHILD, NULL, &err), 0);
	assert_int_equal(pt_ptrim_reader_create(&reader, p), 0);
	assert_true(pt_layout_find(pt_ptrim_layout(p), (1 << 20) + 550, &idx));
	assert_int_equal(pt_ptrim_read(reader, idx, page), PT_PTRIM_DATA);
	assert_int_equal(pread(fd, want, sizeof(want), 653 * PT_PAGE_SZ), PT_PAGE_SZ);
	assert_memory_equal(page, want, sizeof(want));
	pt_ptrim_reader_destroy(reader);
	pt_ptrim_close(p);
	assert_same(CHILD);
	pt_layout_free(table);
	assert_int_equal(pt_table_read(&table, OUT, &err), 0);	/* of the unpacked */
	assert_non_null(table);
	assert_int_equal(pt_layout_image_sz(table), r.memory_sz);
	assert_int_equal(ftruncate(fd, 4096), 0);
	unlink(KIT_IMAGE);
	assert_int_equal(pack(KIT_IMAGE, NULL, table, &r, &err), -EINVAL);
	pt_layout_free(table);
	close(fd);
}

static void test_bad_tables(void **state)
{
#define HEAD "{\"version\":1,\"segments\":[{\"name\":\"a\",\"gfn\":1,\"bytes\":8192"
	static const char *const texts[] = {
		"", "[]", "{\"version\":2,\"segments\":[]}", "{\"version\":1}",
		HEAD "}]}",				/* no offset */
		HEAD ",\"offset\":4096}]}",
		HEAD ",\"offset\":-1}]}",
		HEAD ",\"offset\":0},{\"name\":\"b\",\"gfn\":2,\"bytes\":1,"
			"\"offset\":8192}]}",		/* they overlap */
		HEAD ",\"offset\":0},7]}",
	};
	struct pt_layout *l;
	struct pt_error err;

	(void)state;
	assert_int_equal(mkdir(SCRATCH "/t.with", 0700), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		kit_write(SCRATCH "/t.with/segments.json", (const __u8 *)texts[i],
			  strlen(texts[i]));
		assert_int_equal(pt_table_read(&l, SCRATCH "/t", &err), -EINVAL);
		assert_null(l);
		assert_int_equal(err.exit, PT_EXIT_HOST);
		assert_ptr_equal(strstr(err.text, SCRATCH "/t.with/segments.json: "),
				 err.text);
	}
	kit_write(SCRATCH "/t.with/segments.json",
		  (const __u8 *)HEAD ",\"offset\":0}]}",
		  strlen(HEAD ",\"offset\":0}]}"));
	assert_int_equal(pt_table_read(&l, SCRATCH "/t", &err), 0);
	pt_layout_free(l);
	assert_int_equal(pt_table_read(&l, SCRATCH "/no", &err), 0);
	assert_null(l);
#undef HEAD
}

static void on_unreadable(void *arg, __u64 page_idx, __u64 cnt)
{
	__u64 *sum = arg;

	*sum += page_idx * cnt;
}

/* list_put lists the pages 8 and 9, and the last, which is read in another way. */
static void list_put(void)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"version\":1,\"bytes\":%u,\"unreadable\":["
		 "{\"offset\":%u,\"bytes\":%u},{\"offset\":%u,\"bytes\":%u}]}",
		 PAGES * PT_PAGE_SZ - 1000, 8 * PT_PAGE_SZ, 2 * PT_PAGE_SZ,
		 (PAGES - 1) * PT_PAGE_SZ, PT_PAGE_SZ);
	mkdir(RAW ".with", 0700);
	kit_write(RAW ".with/unreadable.json", (const __u8 *)text, strlen(text));
}

/* Pages that could not be read are neither zero nor what was read before them, and
 * stay so: packed, unpacked, packed again, and in a child. */
static void test_unreadable(void **state)
{
	__u64 sum = 0;
	const struct pt_walk counting = {
		.lost = on_fault, .unreadable = on_unreadable, .wrong = on_wrong,
		.arg = &sum,
	};
	static const char *const out = SCRATCH "/marked";
	const struct pt_pack_cfg cfg = { .method = PT_COMPRESSION_LZ4, .level = 1 };
	struct pt_view view;
	struct pt_walk_result walked;
	struct pt_pack_result r;
	struct pt_source *src;
	struct pt_layout *l;
	struct pt_ptrim *p;
	struct pt_error err;
	__u32 cnt;

	(void)state;
	close(raw_make());
	list_put();
	unlink(KIT_IMAGE);
	unlink(CHILD);
	assert_int_equal(pack(KIT_IMAGE, NULL, NULL, &r, &err), 0);
	assert_int_equal(r.pages[PT_PTRIM_UNREADABLE], 3);
	assert_int_equal(pt_ptrim_open(&p, KIT_IMAGE, NULL, &err), 0);
	if (pt_unpack(p, out, &counting, on_name, &walked, &err))
		fail_msg("%s", err.text);
	assert_int_equal(sum, 2 * 8 + PAGES - 1);
	pt_ptrim_close(p);

	assert_int_equal(pt_source_open_files(&src, &out, 1, &err), 0);
	assert_int_equal(pt_pack(SCRATCH "/again", src, NULL, &cfg, &r, &err), 0);
	pt_source_close(src);
	assert_int_equal(r.pages[PT_PTRIM_UNREADABLE], 3);

	assert_int_equal(pack(CHILD, KIT_IMAGE, NULL, &r, &err), 0);
	assert_int_equal(r.pages[PT_PTRIM_PARENT], PAGES);
	assert_int_equal(pt_ptrim_source_open(&src, CHILD, &err), 0);
	pt_view_init(&view);
	assert_int_equal(pt_layout_create(&l, pt_source_segments(src, &cnt), 1,
					  &err), 0);
	assert_int_equal(pt_source_view(src, &view, l, 0, &err), 0);
	for (__u32 i = 0; i < 20; i++)
		assert_int_equal(pt_view_is_unreadable(&view, i), i == 8 || i == 9);
	pt_view_free(&view);
	pt_layout_free(l);
	pt_source_close(src);
}

/* A writer that ends without a commit leaves no file. */
static void test_no_commit(void **state)
{
	struct pt_ptrim_writer_cfg cfg = {
		.layout = kit_layout, .unit_pages = 16,
	};
	struct pt_ptrim_writer *w;
	struct pt_error err;

	(void)state;
	unlink(KIT_IMAGE);
	assert_int_equal(pt_ptrim_writer_create(&w, KIT_IMAGE, &cfg, &err), 0);
	assert_int_equal(access(KIT_IMAGE ".partial", F_OK), 0);
	assert_int_equal(pt_ptrim_writer_file(w, SCRATCH "/none", &err), -ENOENT);
	assert_int_equal(pt_ptrim_writer_file(w, SCRATCH, &err), -EINVAL);
	kit_write(KIT_FILE, (const __u8 *)"", 0);
	assert_int_equal(pt_ptrim_writer_file(w, KIT_FILE, &err), 0);
	assert_int_equal(pt_ptrim_writer_file(w, KIT_FILE, &err), -EEXIST);
	pt_ptrim_writer_close(w);
	assert_int_equal(access(KIT_IMAGE ".partial", F_OK), -1);
	assert_int_equal(access(KIT_IMAGE, F_OK), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_deeper),
		cmocka_unit_test(test_parent_name),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_no_commit),
		cmocka_unit_test(test_unreadable),
	};

	if (scratch_mount())
		return 1;
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
