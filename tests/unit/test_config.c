/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Files of options: each kind of value and line, the command line's options in
 * front of them, and what is refused, by file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <pagetrim/error.h>
#include "base/config.h"
#include "cli/options.h"
#include "cli/output.h"

#define GO_ON	-1

struct all {
	const char *dev, *config_path;
	bool flag;
	__u32 small;
	enum { RED = 1, GREEN } colour;
	__u16 tastes;
	char own[32];
};

static const struct pt_option_word colours[] = {
	{ "red", RED }, { "green", GREEN }, { }
};

static const struct pt_option_word tastes[] = {
	{ "sweet", 1 << 1 }, { "sour", 1 << 2 }, { }
};

static int take_own(const char *command, void *to, const char *text)
{
	if (!strcmp(text, "bad"))
		return pt_out_usage(command, "own words about '%s'", text);
	strncat(to, text, 8);
	return -1;
}

static const struct pt_option options[] = {
	{ "dev", "DEV", "a device", PT_OPTION(TEXT, struct all, dev),
	  .required = true },
	{ "config", "FILE", "a file", PT_OPTION(TEXT, struct all, config_path),
	  .is_config = true },
	{ "flag", NULL, "a flag", PT_OPTION(FLAG, struct all, flag) },
	{ "small", "N", "a number", PT_OPTION(NUMBER, struct all, small),
	  .min = 2, .max = 64, .initial = 7 },
	{ "colour", "HOW", "one", PT_OPTION(WORD, struct all, colour),
	  .words = colours },
	{ "taste", "HOW", "some", PT_OPTION(WORDS, struct all, tastes),
	  .words = tastes, .repeats = true },
	{ "own", "X", "own", PT_OPTION(OWN, struct all, own),
	  .take = take_own, .repeats = true },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 }, { }
};

static const struct pt_command command = {
	.name = "try", .usage = "Usage: pagetrim try\n", .groups = groups,
	.notes = "",
};

static struct all got;
static char path[32], *err;

static void write_config(const char *text, size_t sz)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, sz, f), sz);
	fclose(f);
}

static int parse(const char *line)
{
	/* The options point into them. */
	static char words[256], *argv[12] = { "try" };
	FILE *before = stderr;
	int argc = 1, code;
	size_t sz;

	free(err);
	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	memset(&got, 0, sizeof(got));
	stderr = open_memstream(&err, &sz);
	code = pt_options_parse(&command, &got, argc, argv);
	fclose(stderr);
	stderr = before;
	return code;
}

/* parse_with: the file has text, and the command line names it and has line. */
static int parse_with(const char *text, const char *line)
{
	char all[256];

	write_config(text, strlen(text));
	snprintf(all, sizeof(all), "--config %s %s", path, line);
	return parse(all);
}

static void accept(const char *text, const char *line)
{
	assert_int_equal(parse_with(text, line), GO_ON);
	assert_string_equal(err, "");
}

static void refuse(const char *text, const char *complaint)
{
	char want[256];

	assert_int_equal(parse_with(text, "--dev eth1"), PT_EXIT_USAGE);
	snprintf(want, sizeof(want), "pagetrim try: %s:%s\n"
		 "Try 'pagetrim try --help'.\n", path, complaint);
	assert_string_equal(err, want);
}

static void values(void **state)
{
	(void)state;
	accept("# a receiver's\n\n"
	       "dev = eth1\n"
	       "  \tflag=yes\r\n"
	       "small =9\n"
	       "colour= green\n"
	       "  # its tastes\n"
	       "taste = sour\ntaste = sweet\n"
	       "own = a = b # c", "");
	assert_string_equal(got.dev, "eth1");
	assert_true(got.flag);
	assert_int_equal(got.small, 9);
	assert_int_equal(got.colour, GREEN);
	assert_int_equal(got.tastes, 1 << 1 | 1 << 2);
	assert_string_equal(got.own, "a = b # ");
	assert_string_equal(got.config_path, path);
	accept("flag = no\n", "--dev d");
	assert_false(got.flag);
	assert_int_equal(got.small, 7);
	accept("", "--dev d");
}

/* In any order; a repeated option is replaced as a whole. */
static void command_line_wins(void **state)
{
	static const char text[] = "dev = eth1\nsmall = 9\ncolour = green\n"
		"taste = sour\nown = file\nflag = no\n";

	(void)state;
	accept(text, "--dev eth2 --taste sweet --own argv --flag");
	assert_string_equal(got.dev, "eth2");
	assert_int_equal(got.small, 9);
	assert_int_equal(got.tastes, 1 << 1);
	assert_string_equal(got.own, "argv");
	assert_true(got.flag);
	write_config(text, strlen(text));
	assert_int_equal(parse("--dev eth2 --config nowhere --small=3 "
			       "--config /dev/null"), PT_EXIT_USAGE);
	assert_string_equal(err, "pagetrim try: --config /dev/null: not a "
			    "regular file\n");
}

static void refused_lines(void **state)
{
	(void)state;
	refuse("\n# x\nsmell = 3\n", "3: 'smell': no such option of a file (a "
	       "long one, without dashes)");
	refuse("sma = 3\n", "1: 'sma': no such option of a file (a long one, "
	       "without dashes)");
	refuse("--small = 3\n", "1: '--small': no such option of a file (a "
	       "long one, without dashes)");
	refuse("config = x\n", "1: 'config': no such option of a file (a long "
	       "one, without dashes)");
	refuse("help = yes\n", "1: 'help': no such option of a file (a long "
	       "one, without dashes)");
	refuse("= x\n", "1: '': no such option of a file (a long one, without "
	       "dashes)");
	refuse("flag\n", "1: 'flag': want OPTION = VALUE");
	refuse("flag = 1\n", "1: flag '1': want yes or no");
	refuse("small = 3\n\nsmall = 3", "3: 'small': a second value, and it "
	       "has one at most");
	refuse("dev = a\ndev = b", "2: 'dev': a second value, and it has one "
	       "at most");
	refuse("small = 65\n", "1: --small '65': want 2..64");
	refuse("small =\n", "1: --small '': want 2..64");
	refuse("own =\n", "1: --own '': is empty, want X");
	refuse("colour = blue\n", "1: --colour 'blue': want red or green");
	refuse("own = good\nown = bad\n", "2: own words about 'bad'");
	refuse("a\x1b = b\n", "1: 'a\\x1b': no such option of a file (a long one, "
	       "without dashes)");
	/* The file is left: other errors do not name it. */
	assert_int_equal(parse_with("small = 3\n", "--small 1"), PT_EXIT_USAGE);
	assert_string_equal(err, "pagetrim try: --small '1': want 2..64\n"
			    "Try 'pagetrim try --help'.\n");
	assert_int_equal(parse_with("small = 3\n", ""), PT_EXIT_USAGE);
	assert_string_equal(err, "pagetrim try: --dev is missing\n"
			    "Try 'pagetrim try --help'.\n");
}

static void refused_file(const char *file, int code, const char *complaint)
{
	char line[64], want[128];

	snprintf(line, sizeof(line), "--dev d --config %s", file);
	assert_int_equal(parse(line), code);
	snprintf(want, sizeof(want), "pagetrim try: --config %s: %s\n", file,
		 complaint);
	assert_string_equal(err, want);
}

static void refused_files(void **state)
{
	static char large[PT_CONFIG_SZ_MAX + 1];

	(void)state;
	refused_file("/proc/nonexistent", PT_EXIT_HOST,
		     "cannot read it: No such file or directory");
	refused_file("/", PT_EXIT_USAGE, "not a regular file");
	write_config("dev = a\0b\n", 10);
	refused_file(path, PT_EXIT_USAGE, "not a text: it has a byte 0");
	memset(large, '#', sizeof(large));
	write_config(large, sizeof(large));
	refused_file(path, PT_EXIT_USAGE, "longer than 64 KiB");
	write_config(large, sizeof(large) - 1);
	snprintf(large, sizeof(large), "--dev d --config %s", path);
	assert_int_equal(parse(large), GO_ON);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);	/* is not waited for */
	refused_file(path, PT_EXIT_USAGE, "not a regular file");
	unlink(path);
	assert_int_equal(parse("--dev d --config="), PT_EXIT_USAGE);
	assert_string_equal(err, "pagetrim try: --config '': is empty, want "
			    "FILE\nTry 'pagetrim try --help'.\n");
}

/* Neither help nor a wrong option needs the file. */
static void is_not_read(void **state)
{
	FILE *before = stdout;

	(void)state;
	stdout = fopen("/dev/null", "w");
	assert_int_equal(parse("--config /proc/nonexistent --help"), PT_EXIT_OK);
	fclose(stdout);
	stdout = before;
	assert_int_equal(parse("--config /proc/nonexistent --bogus"),
			 PT_EXIT_USAGE);
	assert_non_null(strstr(err, "'--bogus': wrong option"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(command_line_wins),
		cmocka_unit_test(refused_lines),
		cmocka_unit_test(refused_files),
		cmocka_unit_test(is_not_read),
	};
	int failed, fd;

	snprintf(path, sizeof(path), "/tmp/pt-config.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	free(err);
	return failed;
}
