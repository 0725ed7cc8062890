/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Errors: where the hint begins, how options are named, and that no text of the
 * library contains a word of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include <pagetrim/error.h>
#include "base/option_names.h"

static const char *const names[] = {
#define X(name) name,
	PT_OPTION_NAMES(X)
#undef X
};

enum { NAME_CNT = sizeof(names) / sizeof(names[0]) };

#define set(...) ({ struct pt_error e;						\
	assert_int_equal(pt_error_set(&e, PT_EXIT_HOST, -5, __VA_ARGS__), -5);	\
	assert_int_equal(e.exit, PT_EXIT_HOST); e; })

#define expect_hint(hint, ...) do {					\
	struct pt_error e = set(__VA_ARGS__);				\
	assert_string_equal(e.hint_at ? e.text + e.hint_at : "", hint);	\
} while (0)

static void hint_is_found(void **state)
{
	(void)state;
	expect_hint("", "no hint");
	expect_hint("", "%s", "");
	expect_hint("(use less)", "too much (use less)");
	expect_hint("(use x (y))", "too much (use %s)", "x (y)");
	expect_hint("(remove it)", "%s%s", "in the way", " (remove it)");
	expect_hint("(remove it)", "%s: %.40s", "x", "in the way (remove it)");
	expect_hint("", "%s: %.11s", "x", "in the way (remove it)");
	expect_hint("", "after 200s");
	expect_hint("(b)", "(a) then (b)");
	expect_hint("", "(only this)");
	expect_hint("", "a call f(x)");
	expect_hint("", "unbalanced x))");
	expect_hint("", "%s: cut short", "/tmp/file (1)");
	expect_hint("", "errno %d", 5);
}

static void options_are_named(void **state)
{
	const char *fmt = "%s: {zero-copy} off, {mtu} {other} {mtu (a {queues})";

	(void)state;
	assert_string_equal(set(fmt, "{}").text,
			    "{}: zero_copy off, mtu {other} {mtu (a queues)");
	pt_error_with_dashes(true);
	assert_string_equal(set(fmt, "{}").text,
			    "{}: --zero-copy off, --mtu {other} {mtu (a --queues)");
	expect_hint("(--mtu 9000 works)", "too large ({mtu} 9000 works)");
	pt_error_with_dashes(false);
	expect_hint("(mtu 9000 works)", "too large ({mtu} 9000 works)");
	/* The default has a word on the command line, and none in a struct. */
	assert_string_equal(set("{mtu auto}, or {zero-copy auto}").text,
			    "mtu 0, or zero_copy 0");
	pt_error_with_dashes(true);
	assert_string_equal(set("{mtu auto}, or {mtu auto").text,
			    "--mtu auto, or {mtu auto");
	pt_error_with_dashes(false);
	/* A command is typed the same by everybody. */
	assert_string_equal(set("attach {--dev} {--no-such}").text,
			    "attach --dev {--no-such}");
}

/* A path or a peer's text may read as a marker: it is printed as it is. */
static void operands_stay(void **state)
{
	char text[64], own[PT_ERROR_OWN_SZ];

	(void)state;
	assert_string_equal(set("%s: {mtu}: %s", "/tmp/{with}", "{dev").text,
			    "/tmp/{with}: mtu: {dev");
	assert_string_equal(set("%s}", "{mtu").text, "{mtu}");
	pt_error_print(text, sizeof(text), "{mtu} of %s", "{mtu}");
	assert_string_equal(text, "mtu of {mtu}");
	pt_error_print(text, 6, "{zero-copy}");
	assert_string_equal(text, "zero_");
	pt_error_with_dashes(true);
	assert_string_equal(set("%s: use %s", "{with}",
				pt_error_own(own, "{mtu} 9000")).text,
			    "{with}: use --mtu 9000");
	pt_error_with_dashes(false);
}

static void long_texts_are_cut(void **state)
{
	char operand[600];
	struct pt_error err;

	(void)state;
	memset(operand, 'x', sizeof(operand) - 1);
	operand[sizeof(operand) - 1] = '\0';
	err = set("%s (use {mtu})", operand);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(err.hint_at, 0);
	assert_int_equal(pt_error_set(NULL, PT_EXIT_HOST, -5, "%s", ""), -5);
}

/* --- the texts of the rooms ------------------------------------------------ */

static char *read_file(const char *path)
{
	FILE *in = fopen(path, "r");
	char *bytes = calloc(1, 1 << 20);

	assert_non_null(in);
	assert_non_null(bytes);
	assert_in_range(fread(bytes, 1, 1 << 20, in), 1, (1 << 20) - 1);
	fclose(in);
	return bytes;
}

/* literal_end returns the quote that ends the literal whose first byte is at. */
static char *literal_end(char *at)
{
	for (; *at && *at != '"'; at++)
		at += *at == '\\';
	return at;
}

/* check_words refuses a name with a hyphen that stands among words: the field is
 * spelled otherwise.  A literal that is the name alone is a key of JSON. */
static void check_words(const char *path, const char *text)
{
	size_t sz;

	for (int i = 0; i < NAME_CNT; i++) {
		sz = strlen(names[i]);
		if (!strchr(names[i], '-') || !strcmp(text, names[i]))
			continue;
		for (const char *at = text; (at = strstr(at, names[i])); at++)
			if (!at[sz] || strchr(" :,.)", at[sz]))
				fail_msg("%s: \"%s\": %s has no braces", path,
					 text, names[i]);
	}
}

static void check_literal(const char *path, char *text, unsigned int *used)
{
	size_t sz;

	check_words(path, text);
	/* nsenter's option is no word of the command line. */
	for (char *at = text; (at = strstr(at, "--")); at += 2)
		if (at[2] >= 'a' && at[2] <= 'z' && at[-1] != '{' &&
		    strncmp(at, "--net=/run/netns/", 17))
			fail_msg("%s: \"%s\" names an option as the command "
				 "line does", path, text);
	for (char *at = text; (at = strchr(at, '{')); at++) {
		if (!strncmp(at, "{--", 3))
			at += 2;
		sz = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz-");
		if (!sz || (at[1 + sz] != '}' &&
			    strncmp(at + 1 + sz, " auto}", 6)))
			continue;
		for (int i = 0; i <= NAME_CNT; i++) {
			if (i == NAME_CNT)
				fail_msg("%s: \"%s\": no such option", path,
					 text);
			if (strlen(names[i]) == sz &&
			    !strncmp(at + 1, names[i], sz)) {
				used[i]++;
				break;
			}
		}
	}
}

/* check_file reads a file's literals, and not its comments. */
static void check_file(const char *path, unsigned int *used)
{
	char *bytes = read_file(path);
	char *end;

	for (char *at = bytes; *at; at++) {
		if (!strncmp(at, "/*", 2)) {
			at = strstr(at + 2, "*/") + 1;
		} else if (!strncmp(at, "//", 2)) {
			at += strcspn(at, "\n") - 1;
		} else if (*at == '\'') {
			at += at[1] == '\\' ? 3 : 2;
		} else if (*at == '"') {
			end = literal_end(at + 1);
			*end = '\0';
			check_literal(path, at + 1, used);
			at = end;
		}
	}
	free(bytes);
}

static void texts_are_nobodys_command_line(void **state)
{
	unsigned int used[NAME_CNT] = { 0 };
	unsigned int cnt = 0;
	glob_t files;

	(void)state;
	assert_int_equal(glob("user/*/*.[ch]", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		/* The doctor addresses people, and may name commands. */
		if (strncmp(files.gl_pathv[i], "user/cli/", 9) &&
		    strncmp(files.gl_pathv[i], "user/doctor/", 12) &&
		    strcmp(files.gl_pathv[i], "user/base/option_names.h")) {
			check_file(files.gl_pathv[i], used);
			cnt++;
		}
	}
	globfree(&files);
	assert_true(cnt > 100);
	for (int i = 0; i < NAME_CNT; i++)
		if (!used[i])
			fail_msg("{%s} is in no text", names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hint_is_found),
		cmocka_unit_test(options_are_named),
		cmocka_unit_test(operands_stay),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(texts_are_nobodys_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
