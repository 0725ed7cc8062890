// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The images of tests/vectors/ptrim.txt, which no code of ours wrote. */
#include "ptrim_kit.h"

#define VECTORS	"tests/vectors/ptrim.txt"

/* vector: the image that is read now, as kit_bytes has it, and what it means. */
static struct {
	char name[64];
	bool opens;
	struct pt_ptrim *p;		/* opened, once its first page is told */
	struct pt_ptrim_reader *reader;
	__u32 file_idx;
	__u32 page_cnt;			/* that were told */
} v;

static __u32 vector_cnt;

static const char *const states[] = {
	"absent", "zero", "unreadable", "parent", "data", "lost",
};

/* begin opens the image, once all its bytes are known. */
static void begin(void)
{
	int code;

	if (v.p || !v.name[0])
		return;
	kit_write(KIT_IMAGE, kit_bytes, kit_sz);
	code = pt_ptrim_open(&v.p, KIT_IMAGE, NULL, NULL);
	if (!code != v.opens)
		fail_msg("%s: %s", v.name, code ? "not opened" : "opened");
	if (!code)
		assert_int_equal(pt_ptrim_reader_create(&v.reader, v.p), 0);
}

static void end(void)
{
	begin();
	if (v.p) {
		__u32 cnt = 0;

		for (__u64 i = 0; i < pt_layout_region_cnt(pt_ptrim_layout(v.p)); i++)
			cnt += pt_layout_region(pt_ptrim_layout(v.p), i, NULL);
		assert_int_equal(cnt, v.page_cnt);
		assert_int_equal(v.file_idx, pt_ptrim_file_cnt(v.p));
	}
	pt_ptrim_reader_destroy(v.reader);
	pt_ptrim_close(v.p);
	memset(&v, 0, sizeof(v));
	kit_sz = 0;
}

/* is_foreign: a page that this build, without some library, cannot decompress, is said
 * to be so, and not to be damaged. */
static void is_foreign(const char *state, const struct pt_error *err)
{
	assert_false(pt_compression_is_built(PT_COMPRESSION_LZ4) &&
		     pt_compression_is_built(PT_COMPRESSION_ZSTD));
	assert_string_equal(state, "data");
	assert_int_equal(err->exit, PT_EXIT_HOST);
	assert_non_null(strstr(err->text, "this build does not decompress"));
	v.page_cnt++;
}

static void page_is(__u64 gfn, const char *state, const char *hash)
{
	__u8 page[PT_PAGE_SZ];
	enum pt_ptrim_state is;
	struct pt_error err;
	__u64 idx;

	assert_true(pt_layout_find(pt_ptrim_layout(v.p), gfn, &idx));
	is = pt_ptrim_read(v.reader, idx, page);
	if (is == PT_PTRIM_LOST && pt_ptrim_failure(v.reader, &err)) {
		is_foreign(state, &err);
		return;
	}
	if (strcmp(states[is], state))
		fail_msg("%s: page %llu: %s, want %s", v.name, gfn, states[is], state);
	if (hash)
		assert_int_equal(XXH3_64bits(page, sizeof(page)),
				 strtoull(hash, NULL, 16));
	v.page_cnt++;
}

static void file_is(const char *name, const char *hash)
{
	struct pt_ptrim_bytes f = { 0 };
	bool found = pt_ptrim_file(v.p, v.file_idx++, &f);

	if (!strcmp(hash, "lost")) {
		assert_null(f.bytes);
		return;
	}
	assert_true(found);
	assert_string_equal(f.name, name);
	assert_int_equal(XXH3_64bits(f.bytes, f.sz), strtoull(hash, NULL, 16));
}

static void bytes_add(const char *hex, __u64 times)
{
	unsigned byte;

	while (times--)
		for (const char *at = hex; sscanf(at, "%2x", &byte) == 1; at += 2)
			kit_bytes[kit_sz++] = byte;
}

/* line_take takes a key and its values. */
static void line_take(const char *key, char *const word[3])
{
	if (!strcmp(key, "name")) {
		snprintf(v.name, sizeof(v.name), "%s", word[0]);
		vector_cnt++;
	} else if (!strcmp(key, "opens")) {
		v.opens = !strcmp(word[0], "yes");
	} else if (!strcmp(key, "hex")) {
		bytes_add(word[0], 1);
	} else if (!strcmp(key, "fill")) {
		bytes_add(word[0], strtoull(word[1], NULL, 10));
	} else if (!strcmp(key, "page")) {
		begin();
		page_is(strtoull(word[0], NULL, 10), word[1], word[2]);
	} else if (!strcmp(key, "pages")) {
		begin();
		for (__u64 gfn = strtoull(word[0], NULL, 10);
		     gfn <= strtoull(word[1], NULL, 10); gfn++)
			page_is(gfn, word[2], NULL);
	} else if (!strcmp(key, "file")) {
		begin();
		file_is(word[0], word[1]);
	} else if (strcmp(key, "why")) {
		fail_msg("%s: what is %s?", v.name, key);
	}
}

static void test_vectors(void **state)
{
	char line[256], *key, *word[3];
	FILE *f = fopen(VECTORS, "r");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		key = strtok(line, " \n");
		if (!key) {
			end();
			continue;
		}
		for (int i = 0; i < 3; i++)
			word[i] = strtok(NULL, " \n");
		if (key[0] != '#')
			line_take(key, word);
	}
	end();
	fclose(f);
	assert_true(vector_cnt >= 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
	};

	if (scratch_mount())
		return 1;
	kit_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
