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
} rows[] = {
#define GOOD(name, text, id, key_sz)	{ name, text, NULL, id, key_sz }
#define BAD(name, text, why)		{ name, text, why, "", 0 }
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
	BAD("two lines", "a:" KEY_A "\nb:" KEY_B "\n", "more than one line"),
	BAD("an empty second line", "a:" KEY_A "\n\n", "more than one line"),
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
	struct pt_psk psk;
	int ret = pt_psk_parse(&psk, "FILE", row->text, strlen(row->text),
			       &err);

	if (!row->why) {
		assert_int_equal(ret, 0);
		assert_string_equal(psk.identity, row->identity);
		assert_int_equal(psk.key_sz, row->key_sz);
		for (int i = 0; i < 31; i++)
			assert_int_equal(psk.key[i], i);
		return;
	}
	assert_int_equal(ret, -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_USAGE);
	if (!strstr(err.text, row->why))
		fail_msg("'%s' lacks '%s'", err.text, row->why);
	assert_null(strstr(err.text, "0a0b0c0d"));	/* never the key */
	assert_int_equal(strncmp(err.text, "FILE: ", 6), 0);
	for (size_t i = 0; i < sizeof(psk.key); i++)
		assert_int_equal(psk.key[i], 0);
}

static void test_nul(void **state)
{
	static const char text[] = "a\0b:" KEY_A "\n";
	struct pt_psk psk;

	(void)state;
	assert_int_equal(pt_psk_parse(&psk, "FILE", text, sizeof(text) - 1,
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
	struct pt_psk psk;
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_file(path, "a:" KEY_A "\n", modes[i].mode);
		assert_int_equal(pt_psk_load(&psk, path, &err), modes[i].want);
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
	struct pt_psk psk;
	char path[64];

	(void)state;
	write_file(path, "a:" KEY_A "\n", 0640);
	assert_int_equal(chown(path, -1, theirs), 0);
	assert_int_equal(setgroups(1, groups), 0);
	assert_int_equal(pt_psk_load(&psk, path, &err), -EPERM);
	assert_non_null(strstr(err.text, "its group 4242 may read the key"));
	assert_int_equal(setgroups(2, groups), 0);
	assert_int_equal(pt_psk_load(&psk, path, &err), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(pt_psk_load(&psk, path, &err), -EPERM);
	assert_int_equal(setegid(theirs), 0);
	assert_int_equal(pt_psk_load(&psk, path, &err), 0);
	assert_int_equal(setegid(before), 0);
	unlink(path);
}

static void test_load(void **state)
{
	char path[64], text[600];
	struct pt_psk psk;

	(void)state;
	assert_int_equal(pt_psk_load(&psk, "/nonexistent/key", &err), -ENOENT);
	assert_int_equal(pt_psk_load(&psk, "/tmp", &err), -EINVAL);
	assert_non_null(strstr(err.text, "/tmp: not a regular file"));
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	write_file(path, text, 0600);
	assert_int_equal(pt_psk_load(&psk, path, &err), -EINVAL);
	assert_non_null(strstr(err.text, "it is too long"));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);	/* does not wait */
	assert_int_equal(pt_psk_load(&psk, path, &err), -EINVAL);
	unlink(path);
}

static void test_make_and_save(void **state)
{
	struct pt_psk made, again, other;
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
	assert_memory_equal(&made, &again, sizeof(made));

	assert_int_equal(pt_psk_save(&other, path, &err), -EEXIST);
	assert_non_null(strstr(err.text, "never overwritten"));
	snprintf(link, sizeof(link), "%s.link", path);	/* dangling */
	snprintf(nowhere, sizeof(nowhere), "%s.nowhere", path);
	assert_int_equal(symlink(nowhere, link), 0);
	assert_int_equal(pt_psk_save(&other, link, &err), -EEXIST);
	assert_int_equal(stat(nowhere, &st), -1);
	unlink(link);
	assert_int_equal(pt_psk_load(&again, path, &err), 0);
	assert_memory_equal(&made, &again, sizeof(made));
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
