/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls_kit.h"

#include <grp.h>

#define ID128	"iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii" \
		"iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"

/* why NULL: a good file. */
static const struct row {
	const char *name, *text, *why;
	const char *identity;
	size_t key_sz;
	__u32 key_idx;		/* of the last */
} rows[] = {
#define GOOD(name, text, id, key_sz)	{ name, text, NULL, id, key_sz, 0 }
#define BAD(name, text, why)		{ name, text, why, "", 0, 0 }
	GOOD("a line", "a:" KEY_A "\n", "a", 32),
	GOOD("without its end", "a:" KEY_A, "a", 32),
	GOOD("with a DOS end", "a:" KEY_A "\r\n", "a", 32),
	GOOD("33 bytes", "a:" KEY_A "ff\n", "a", 33),
	GOOD("64 bytes", "a:" KEY_A KEY_A "\n", "a", 64),
	GOOD("the longest identity", ID128 ":" KEY_A "\n", ID128, 32),
	GOOD("odd characters", "!~;@#:" KEY_A "\n", "!~;@#", 32),
	GOOD("the longest of all", ID128 ":" KEY_A KEY_A "\r\n", ID128, 64),

	BAD("nothing", "", "it is empty"),
	BAD("an empty line", "\n", "it is empty"),
	{ "two lines", "a:" KEY_A "\nb:" KEY_B "ff\n", NULL, "b", 33, 1 },
	{ "three DOS lines", "a:" KEY_A "\r\nb:" KEY_A "\r\nc:" KEY_A, NULL,
	  "c", 32, 2 },
	BAD("an empty second line", "a:" KEY_A "\n\n", "line 2: it is empty"),
	BAD("an identity twice", "a:" KEY_A "\nb:" KEY_A "\na:" KEY_B "\n",
	  "line 3: an earlier line has its identity"),
	BAD("a short key behind a good one", "a:" KEY_A "\nb:0001\n",
	  "line 2: the key is shorter"),
	BAD("no colon", KEY_A "\n", "it has no colon"),
	BAD("no identity", ":" KEY_A "\n", "its identity is not"),
	BAD("a comment", "#a:" KEY_A "\n", "its identity is not"),
	BAD("a blank", "a b:" KEY_A "\n", "its identity is not"),
	BAD("DEL", "a\177:" KEY_A "\n", "its identity is not"),
	BAD("no ASCII", "\xc3\xa4:" KEY_A "\n", "its identity is not"),
	BAD("an identity too long", "i" ID128 ":" KEY_A "\n",
	  "its identity is not"),
	BAD("no key", "a:\n", "shorter than 32 bytes"),
	BAD("31 bytes", "a:0001020304050607080910111213141516171819202122232425"
	  "2627282930\n", "shorter than 32 bytes"),
	BAD("an odd digit", "a:" KEY_A "0\n", "odd number of digits"),
	BAD("65 bytes", "a:" KEY_A KEY_A "00\n", "longer than 64 bytes"),
	BAD("no digit, high", "a:g" "00102030405060708090a0b0c0d0e0f"
	  "101112131415161718191a1b1c1d1e1f\n", "not hexadecimal"),
	BAD("no digit, low", "a:0@" "0102030405060708090a0b0c0d0e0f"
	  "101112131415161718191a1b1c1d1e1f\n", "not hexadecimal"),
	BAD("no digit after a key", "a:" KEY_A "0x\n", "not hexadecimal"),
	BAD("a second colon", "a:b:" KEY_A "\n", "not hexadecimal"),
	BAD("a blank at the end", "a:" KEY_A " \n", "odd number of digits"),
};

static void test_parse(void **state)
{
	const struct row *row = *state;
	static struct pt_psk_file keys;
	const struct pt_psk *psk = &keys.all[row->key_idx];
	int ret = pt_psk_parse(&keys, "FILE", row->text, strlen(row->text),
			       &err);

	if (!row->why) {
		assert_int_equal(ret, 0);
		assert_int_equal(keys.cnt, row->key_idx + 1);
		assert_string_equal(psk->identity, row->identity);
		assert_int_equal(psk->key_sz, row->key_sz);
		for (int i = 0; i < 31; i++)
			assert_int_equal(psk->key[i], i);
		return;
	}
	assert_int_equal(ret, -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_USAGE);
	if (!strstr(err.text, row->why))
		fail_msg("'%s' lacks '%s'", err.text, row->why);
	assert_null(strstr(err.text, "0a0b0c0d"));	/* never the key */
	assert_int_equal(strncmp(err.text, "FILE: ", 6), 0);
	for (size_t i = 0; i < sizeof(keys); i++)
		assert_int_equal(((char *)&keys)[i], 0);
}

static void test_nul(void **state)
{
	static const char text[] = "a\0b:" KEY_A "\n";
	static struct pt_psk_file keys;

	(void)state;
	assert_int_equal(pt_psk_parse(&keys, "FILE", text, sizeof(text) - 1,
				      &err), -EINVAL);
}

static void test_modes(void **state)
{
	static const struct {
		mode_t mode;
		int want;
	} modes[] = {
		{ 0600, 0 }, { 0400, 0 }, { 0700, 0 },
		{ 0640, 0 }, { 0440, 0 },	/* its group is our own */
		{ 0604, -EPERM }, { 0620, -EPERM }, { 0660, -EPERM },
		{ 0602, -EPERM }, { 0601, -EPERM }, { 0610, -EPERM },
		{ 0644, -EPERM },
	};
	static struct pt_psk_file keys;
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_file(path, "a:" KEY_A "\n", modes[i].mode);
		assert_int_equal(pt_psk_load(&keys, path, &err), modes[i].want);
		if (modes[i].want)
			assert_non_null(strstr(err.text, "chmod 600"));
		unlink(path);
	}
}

/* root:pagetrim 0640, as a service has it: whether the process is of the group
 * decides, by its effective group or a supplementary one. */
static void test_group(void **state)
{
	const gid_t theirs = 4242, groups[] = { 4241, 4242 };
	const gid_t before = getegid();
	static struct pt_psk_file keys;
	char path[64];

	(void)state;
	write_file(path, "a:" KEY_A "\n", 0640);
	assert_int_equal(chown(path, -1, theirs), 0);
	assert_int_equal(setgroups(1, groups), 0);
	assert_int_equal(pt_psk_load(&keys, path, &err), -EPERM);
	assert_non_null(strstr(err.text, "its group 4242 may read the key"));
	assert_int_equal(setgroups(2, groups), 0);
	assert_int_equal(pt_psk_load(&keys, path, &err), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(pt_psk_load(&keys, path, &err), -EPERM);
	assert_int_equal(setegid(theirs), 0);
	assert_int_equal(pt_psk_load(&keys, path, &err), 0);
	assert_int_equal(setegid(before), 0);
	unlink(path);
}

static void test_load(void **state)
{
	static char text[PT_PSK_FILE_SZ_MAX + 2];
	char path[64];
	static struct pt_psk_file keys;

	(void)state;
	assert_int_equal(pt_psk_load(&keys, "/nonexistent/key", &err), -ENOENT);
	assert_int_equal(pt_psk_load(&keys, "/tmp", &err), -EINVAL);
	assert_non_null(strstr(err.text, "/tmp: not a regular file"));
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	write_file(path, text, 0600);
	assert_int_equal(pt_psk_load(&keys, path, &err), -EINVAL);
	assert_non_null(strstr(err.text, "it is too long"));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);	/* does not wait */
	assert_int_equal(pt_psk_load(&keys, path, &err), -EINVAL);
	unlink(path);
}

/* The most keys that a file may have, each found; one more is refused. */
static void test_many(void **state)
{
	static char text[PT_PSK_FILE_SZ_MAX + PT_PSK_LINE_SZ_MAX];
	static struct pt_psk_file keys;
	char id[16];
	size_t sz = 0;

	(void)state;
	for (int i = 0; i < PT_PSK_CNT_MAX; i++)
		sz += sprintf(text + sz, "key-%d:" KEY_A "\n", i);
	assert_int_equal(pt_psk_parse(&keys, "FILE", text, sz, &err), 0);
	for (int i = 0; i < PT_PSK_CNT_MAX; i++)
		assert_ptr_equal(pt_psk_find(&keys, id, sprintf(id, "key-%d", i)),
				 &keys.all[i]);
	assert_null(pt_psk_find(&keys, "key-", 4));
	assert_null(pt_psk_find(&keys, "key-64", 6));
	sz += sprintf(text + sz, "more:" KEY_A "\n");
	assert_int_equal(pt_psk_parse(&keys, "FILE", text, sz, &err), -EINVAL);
	assert_non_null(strstr(err.text, "line 65: there are more than 64"));
}

static void test_make_and_save(void **state)
{
	struct pt_psk made, other;
	static struct pt_psk_file again;
	char path[64], link[80], nowhere[80];
	struct stat st;

	(void)state;
	assert_int_equal(pt_psk_make(&made, "host-a", &err), 0);
	assert_int_equal(pt_psk_make(&other, "host-a", &err), 0);
	assert_memory_not_equal(made.key, other.key, PT_PSK_KEY_MIN);
	write_file(path, "", 0600);
	unlink(path);
	umask(0);
	assert_int_equal(pt_psk_save(&made, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(pt_psk_load(&again, path, &err), 0);
	assert_memory_equal(&made, &again.all[0], sizeof(made));

	assert_int_equal(pt_psk_save(&other, path, &err), -EEXIST);
	assert_non_null(strstr(err.text, "never overwritten"));
	snprintf(link, sizeof(link), "%s.link", path);	/* dangling */
	snprintf(nowhere, sizeof(nowhere), "%s.nowhere", path);
	assert_int_equal(symlink(nowhere, link), 0);
	assert_int_equal(pt_psk_save(&other, link, &err), -EEXIST);
	assert_int_equal(stat(nowhere, &st), -1);
	unlink(link);
	assert_int_equal(pt_psk_load(&again, path, &err), 0);
	assert_memory_equal(&made, &again.all[0], sizeof(made));
	unlink(path);

	assert_int_equal(pt_psk_save(&made, "/dev/full/x", &err), -ENOTDIR);
	assert_int_equal(pt_psk_make(&made, "", &err), -EINVAL);
	assert_int_equal(pt_psk_make(&made, "a:b", &err), -EINVAL);
	assert_int_equal(pt_psk_make(&made, "i" ID128, &err), -EINVAL);
	assert_int_equal(pt_psk_make(&made, ID128, &err), 0);
	pt_psk_wipe(&made);
	assert_int_equal(made.key_sz, 0);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_make_and_save),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			rows[i].name, test_parse, NULL, NULL,
			(void *)&rows[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("psk", tests, cnt, NULL, NULL);
}
