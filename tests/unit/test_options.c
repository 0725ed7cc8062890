/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The parser of options, one kind per test: stored values, refused values and
 * their messages; defaults, abbreviations, repetition; help's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <getopt.h>

#include <cmocka.h>

#include <pagetrim/error.h>
#include "cli/options.h"
#include "cli/output.h"

#define GO_ON		-1
#define ARGS_MAX	8

struct inner {
	bool quiet;
};

struct all {
	const char *dev;
	bool flag;
	__u32 small;
	__u64 large;
	__u32 ms, exponent, bare;
	enum { RED = 1, GREEN } colour;
	__u16 tastes;
	unsigned int own_cnt;
	struct inner inner;
};

static const struct pt_option_word colours[] = {
	{ "red", RED }, { "green", GREEN }, { }
};

static const struct pt_option_word tastes[] = {
	{ "sweet", 1 << 1 }, { "sour", 1 << 2 }, { "salty", 1 << 3 }, { }
};

static int take_own(const char *command, void *to, const char *text)
{
	if (!strcmp(text, "good")) {
		++*(unsigned int *)to;
		return -1;
	}
	return pt_out_usage(command, "own words about '%s'", text);
}

static const struct pt_option required[] = {
	{ "dev", "DEV", "a device", PT_OPTION(TEXT, struct all, dev),
	  .required = true, .offers = "device" },
	{ }
};

static const struct pt_option options[] = {
	{ "flag", NULL, "a flag.  It has a text that is longer than what a line "
	  "of eighty columns has room for, so that it takes three of them",
	  PT_OPTION(FLAG, struct all, flag) },
	{ "small", "N", "of 4 bytes", PT_OPTION(NUMBER, struct all, small),
	  .min = 2, .max = 64, .initial = 7, .has_auto = true,
	  .auto_value = ~0U, .offers = "=2 3" },
	{ "large-number-of", "SIZE[:N]", "of 8 bytes",
	  PT_OPTION(NUMBER, struct all, large), .min = 4096, .max = 1ULL << 48,
	  .suffix = true, .initial = 1 << 20, .want = "4096..256T" },
	{ "seconds", "S", "scaled", PT_OPTION(NUMBER, struct all, ms),
	  .min = 1, .max = 60, .scale = 1000, .initial = 20 },
	{ "power", "N", "of two", PT_OPTION(NUMBER, struct all, exponent),
	  .min = 8, .max = 256, .log2 = true, .initial = 256 },
	{ "bare", "N", "or not", PT_OPTION(NUMBER, struct all, bare),
	  .min = 1, .max = 5, .bare = "3" },
	{ "colour", "HOW", "one", PT_OPTION(WORD, struct all, colour),
	  .words = colours, .initial = GREEN },
	{ "taste", "HOW", "some", PT_OPTION(WORDS, struct all, tastes),
	  .words = tastes, .repeats = true },
	{ "own", "X", "own", PT_OPTION(OWN, struct all, own_cnt),
	  .take = take_own },
	{ }
};

static const struct pt_option inner[] = {
	{ "quiet", NULL, "shared", PT_OPTION(FLAG, struct inner, quiet) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "Options:", options, 0 },
	{ NULL, inner, offsetof(struct all, inner) },
	{ }
};

static const struct pt_command command = {
	.name = "try",
	.usage = "Usage: pagetrim try\n",
	.groups = groups,
	.notes = "Exit: 0 done.\n",
};

static const struct pt_command with_arguments = {
	.name = "try", .usage = "", .groups = groups, .notes = "",
	.arguments = { "file", "=one two" },
};

static struct all got;
static char *out, *err;		/* the output of the last call */

static int parse_words(const struct pt_command *c, char **argv)
{
	FILE *out_before = stdout, *err_before = stderr;
	size_t out_sz, err_sz;
	int argc = 0, code;

	while (argv[argc])
		argc++;
	free(out);
	free(err);
	stdout = open_memstream(&out, &out_sz);
	stderr = open_memstream(&err, &err_sz);
	memset(&got, 0, sizeof(got));
	code = pt_options_parse(c, &got, argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out_before;
	stderr = err_before;
	return code;
}

/* parse_by: line's words are the arguments. */
static int parse_by(const struct pt_command *c, const char *line)
{
	static char words[256];
	char *argv[ARGS_MAX + 2] = { "try" };
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	return parse_words(c, argv);
}

static void accept(const char *line)
{
	char all[256];

	snprintf(all, sizeof(all), "--dev eth1 %s", line);
	assert_int_equal(parse_by(&command, all), GO_ON);
	assert_string_equal(err, "");
	assert_string_equal(out, "");
	assert_string_equal(got.dev, "eth1");
}

static void refuse(const char *line, const char *complaint)
{
	char all[256], want[256];

	snprintf(all, sizeof(all), "--dev eth1 %s", line);
	assert_int_equal(parse_by(&command, all), PT_EXIT_USAGE);
	snprintf(want, sizeof(want), "pagetrim try: %s\n"
		 "Try 'pagetrim try --help'.\n", complaint);
	assert_string_equal(err, want);
	assert_string_equal(out, "");
}

#define WRONG	"wrong option, or its value is missing"

static void defaults(void **state)
{
	(void)state;
	accept("");
	assert_int_equal(got.small, 7);
	assert_int_equal(got.large, 1 << 20);
	assert_int_equal(got.ms, 20000);
	assert_int_equal(got.exponent, 8);
	assert_int_equal(got.colour, GREEN);
	assert_int_equal(got.bare, 0);
	assert_int_equal(got.tastes, 0);
	assert_false(got.flag);
	assert_false(got.inner.quiet);
}

static void flags(void **state)
{
	(void)state;
	accept("--flag");
	assert_true(got.flag);
	assert_false(got.inner.quiet);
	accept("--quiet --quiet");
	assert_true(got.inner.quiet);
	assert_false(got.flag);
	refuse("--flag=yes", "'--flag=yes': " WRONG);
}

static void texts(void **state)
{
	(void)state;
	accept("--dev=eth0 --dev eth1");	/* the last one */
	refuse("--dev=", "--dev '': is empty, want DEV");
	assert_int_equal(parse_by(&command, "--dev"), PT_EXIT_USAGE);
	assert_non_null(strstr(err, "'--dev': " WRONG));
}

static void numbers(void **state)
{
	(void)state;
	accept("--small 2 --seconds 60");
	assert_int_equal(got.small, 2);
	assert_int_equal(got.ms, 60000);
	accept("--small=64");
	assert_int_equal(got.small, 64);
	accept("--small auto");
	assert_int_equal(got.small, ~0U);
	assert_int_equal(got.large, 1 << 20);	/* its neighbour is whole */
	refuse("--small 1", "--small '1': want 2..64, or auto");
	refuse("--small 65", "--small '65': want 2..64, or auto");
	refuse("--small=", "--small '': want 2..64, or auto");
	refuse("--small -3", "--small '-3': want 2..64, or auto");
	refuse("--small 3x", "--small '3x': want 2..64, or auto");
	refuse("--small 1K", "--small '1K': want 2..64, or auto");
	refuse("--seconds auto", "--seconds 'auto': want 1..60");
	refuse("--seconds 61", "--seconds '61': want 1..60");
	refuse("--small", "'--small': " WRONG);
}

/* Short options, which there are none of: the word itself is named. */
static void wrong_words(void **state)
{
	(void)state;
	refuse("-dev 3", "'-dev': " WRONG);
	refuse("--small 3 -d", "'-d': " WRONG);
	refuse("-d -small", "'-d': " WRONG);
	refuse("--smell", "'--smell': " WRONG);
}

static void sizes(void **state)
{
	(void)state;
	accept("--large-number-of 256T");
	assert_true(got.large == 1ULL << 48);
	accept("--large-number-of 4K");
	assert_int_equal(got.large, 4096);
	refuse("--large-number-of 4095",
	       "--large-number-of '4095': want 4096..256T");
	refuse("--large-number-of 257T",
	       "--large-number-of '257T': want 4096..256T");
}

static void powers(void **state)
{
	(void)state;
	accept("--power 64");
	assert_int_equal(got.exponent, 6);
	refuse("--power 100", "--power '100': want a power of two, such as 64");
	refuse("--power 512", "--power '512': want 8..256");
}

static void optional_value(void **state)
{
	(void)state;
	accept("--bare");
	assert_int_equal(got.bare, 3);
	accept("--bare=5");
	assert_int_equal(got.bare, 5);
	refuse("--bare=6", "--bare '6': want 1..5");
	refuse("--bare 5", "'5': no such argument (--bare=5?)");
}

static void words(void **state)
{
	(void)state;
	accept("--colour red");
	assert_int_equal(got.colour, RED);
	accept("--taste sweet --taste salty --taste sweet");
	assert_int_equal(got.tastes, 1 << 1 | 1 << 3);
	assert_int_equal(got.own_cnt, 0);
	refuse("--colour blue", "--colour 'blue': want red or green");
	refuse("--colour re", "--colour 're': want red or green");
	refuse("--taste umami",
	       "--taste 'umami': want sweet, sour or salty");
}

static void own(void **state)
{
	(void)state;
	accept("--own good --own=good");
	assert_int_equal(got.own_cnt, 2);
	refuse("--own bad", "own words about 'bad'");
	refuse("--own=", "--own '': is empty, want X");
}

/* As getopt_long reads them. */
static void abbreviations(void **state)
{
	(void)state;
	accept("--fl --sm=3 --sec 2");
	assert_true(got.flag);
	assert_int_equal(got.small, 3);
	assert_int_equal(got.ms, 2000);
	refuse("--s 3", "'--s': " WRONG);	/* small, seconds */
}

static void unknown(void **state)
{
	(void)state;
	refuse("--bogus", "'--bogus': " WRONG);
	refuse("-x", "'-x': " WRONG);
	refuse("more", "'more': no such argument");
	assert_int_equal(parse_by(&command, "--flag"), PT_EXIT_USAGE);
	assert_non_null(strstr(err, ": --dev is missing\n"));
}

static void arguments(void **state)
{
	(void)state;
	assert_int_equal(parse_by(&with_arguments,
				  "one --dev eth1 two -- --flag"), GO_ON);
	assert_int_equal(optind, 4);	/* the options come first now */
	assert_false(got.flag);
	assert_int_equal(parse_by(&with_arguments, "one"), PT_EXIT_USAGE);
	assert_non_null(strstr(err, ": --dev is missing\n"));
	assert_int_equal(parse_words(&with_arguments, (char *[]){ "try",
				     "--dev", "d", "one", "", NULL }),
			 PT_EXIT_USAGE);
	assert_non_null(strstr(err, "try: '': argument 2 is empty\n"));
}

/* Where no option takes a value, none can be missing. */
static void without_values(void **state)
{
	static const struct pt_option_group none[] = {
		{ "Options:", NULL, 0 }, { }
	};
	static const struct pt_command bare = {
		.name = "try", .usage = "", .groups = none, .notes = "",
	};

	(void)state;
	assert_int_equal(parse_by(&bare, "--bogus"), PT_EXIT_USAGE);
	assert_string_equal(err, "pagetrim try: '--bogus': wrong option\n"
			    "Try 'pagetrim try --help'.\n");
	assert_int_equal(parse_by(&bare, ""), GO_ON);
}

static void help(void **state)
{
	static const char want[] =
"Usage: pagetrim try\n"
"\n"
"Required:\n"
"      --dev DEV            a device\n"
"Options:\n"
"      --flag               a flag.  It has a text that is longer than what a\n"
"                           line of eighty columns has room for, so that it takes\n"
"                           three of them\n"
"      --small N            of 4 bytes\n"
"      --large-number-of SIZE[:N]  of 8 bytes\n"
"      --seconds S          scaled\n"
"      --power N            of two\n"
"      --bare[=N]           or not\n"
"      --colour HOW         one\n"
"      --taste HOW          some\n"
"      --own X              own\n"
"      --quiet              shared\n"
"  -h, --help               this text, on stdout, exit 0\n"
"\n"
"Exit: 0 done.\n";

	(void)state;
	assert_int_equal(parse_by(&command, "--flag --help --bogus"),
			 PT_EXIT_OK);
	assert_string_equal(out, want);
	assert_string_equal(err, "");
	assert_int_equal(parse_by(&command, "-h"), PT_EXIT_OK);
	assert_string_equal(out, want);
}

static void completion(void **state)
{
	size_t sz;
	char *text;
	FILE *f = open_memstream(&text, &sz);

	(void)state;
	pt_options_completion(&with_arguments, f);
	fclose(f);
	assert_string_equal(text,
		"file\n=one two\n--dev device\n--flag\n--small =auto 2 3\n"
		"--large-number-of text\n--seconds text\n--power text\n"
		"--bare= text\n--colour =red green\n--taste+ =sweet sour salty\n"
		"--own text\n--quiet\n--help\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(flags),
		cmocka_unit_test(texts),
		cmocka_unit_test(numbers),
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(sizes),
		cmocka_unit_test(powers),
		cmocka_unit_test(optional_value),
		cmocka_unit_test(words),
		cmocka_unit_test(own),
		cmocka_unit_test(abbreviations),
		cmocka_unit_test(unknown),
		cmocka_unit_test(arguments),
		cmocka_unit_test(without_values),
		cmocka_unit_test(help),
		cmocka_unit_test(completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
