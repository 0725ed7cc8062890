/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The commands' tables of options: each row is sound, states in its help the
 * accepted values, and is in help, completion and man page with the same
 * value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/option_names.h"
#include "cli/commands.h"
#include "cli/send_options.h"
#include "seal/cipher.h"
#include "trim/trim.h"
#include "xsk/umem.h"

static const struct pt_command *const commands[] = {
#define X(name, text) &pt_command_##name,
	PT_COMMANDS(X)
#undef X
};

static const struct row {
	const struct pt_command *command;
	const struct pt_option *option;
	size_t off;		/* of its field, in the command's struct */
} *rows;
static unsigned int row_cnt;

/* set_up lists the options of all commands. */
static int set_up(void **state)
{
	static struct row all[sizeof(commands) / sizeof(commands[0]) *
			      PT_OPTIONS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		for (const struct pt_option_group *g = commands[i]->groups;
		     g->heading || g->options; g++)
			for (const struct pt_option *o = g->options;
			     o && o->name; o++)
				all[row_cnt++] = (struct row){
					commands[i], o, g->off + o->off };
	rows = all;
	assert_in_range(row_cnt, 60, sizeof(all) / sizeof(all[0]));
	return 0;
}

static char *printed(const struct pt_command *c,
		     void (*print)(const struct pt_command *c, FILE *out))
{
	size_t sz;
	char *text;
	FILE *f = open_memstream(&text, &sz);

	print(c, f);
	fclose(f);
	return text;
}

static void fail_row(const struct row *r, const char *what)
{
	fail_msg("%s --%s: %s", r->command->name, r->option->name, what);
}

#define expect(row, cond) do {						\
	if (!(cond))							\
		fail_row(row, #cond);					\
} while (0)

static void number_is_sound(const struct row *r)
{
	const struct pt_option *o = r->option;
	__u64 limit = o->sz == 8 ? ~0ULL : (1ULL << 8 * o->sz) - 1;
	__u64 max = o->log2 ? 63 : o->max;

	expect(r, o->sz == 1 || o->sz == 2 || o->sz == 4 || o->sz == 8);
	expect(r, o->min < o->max);
	expect(r, o->is_rate == !!strstr(o->help, "bytes a second"));
	expect(r, max <= limit / (o->scale ? o->scale : 1));
	expect(r, o->auto_value <= limit);
	expect(r, !o->initial ||
	       (o->min <= o->initial && o->initial <= o->max));
	expect(r, !o->log2 || !((o->min & (o->min - 1)) |
				(o->max & (o->max - 1))));
}

/* Each kind has the fields that the parser uses, and a value field of its
 * size. */
static void rows_are_sound(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		const struct pt_option *o = r->option;

		expect(r, o->help && strcmp(o->name, "help"));
		expect(r, !o->value == (o->kind == PT_OPTION_FLAG));
		expect(r, !o->words == (o->kind != PT_OPTION_WORD &&
					o->kind != PT_OPTION_WORDS));
		expect(r, !o->take == (o->kind != PT_OPTION_OWN));
		expect(r, !o->required || o->kind == PT_OPTION_TEXT);
		expect(r, o->kind != PT_OPTION_FLAG || o->sz == sizeof(bool));
		expect(r, o->kind != PT_OPTION_TEXT || o->sz == sizeof(char *));
		expect(r, o->kind != PT_OPTION_WORD || o->sz == sizeof(int));
		expect(r, o->kind != PT_OPTION_WORDS || o->sz == sizeof(__u16));
		if (o->kind == PT_OPTION_NUMBER)
			number_is_sound(r);
	}
}

/* The options that the library's errors name belong to some command. */
static void names_in_errors_are_options(void **state)
{
	static const char *const names[] = {
#define X(name) name,
		PT_OPTION_NAMES(X)
#undef X
	};
	unsigned int at;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (at = 0; at < row_cnt; at++)
			if (!strcmp(rows[at].option->name, names[i]))
				break;
		if (at == row_cnt)
			fail_msg("{%s}: no command has it", names[i]);
	}
}

/* Two options of a command have neither name nor field in common. */
static void rows_are_apart(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++)
		for (unsigned int k = 0; k < i; k++) {
			const struct row *r = &rows[i], *s = &rows[k];

			if (r->command != s->command)
				continue;
			expect(r, strcmp(r->option->name, s->option->name));
			expect(r, r->off + r->option->sz <= s->off ||
			       s->off + s->option->sz <= r->off);
		}
}

/* number_after reads a number behind what, with K to T; false: there is
 * none. */
static bool number_after(const char *text, const char *what, __u64 *out)
{
	static const char suffixes[] = "KMGT";
	const char *at = strstr(text, what), *found;
	char *end;

	if (!at)
		return false;
	at += strlen(what);
	*out = strtoull(at, &end, 10);
	if (end == at)
		return false;
	if (*end && (found = strchr(suffixes, *end)))
		*out <<= 10 * (found - suffixes + 1);
	return true;
}

/* Range and default in the help equal those of the parser. */
static void help_tells_limits(void **state)
{
	unsigned int ranges = 0, defaults = 0;
	char range[64];
	__u64 number = 0;

	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		const struct pt_option *o = r->option;

		if (o->kind != PT_OPTION_NUMBER)
			continue;
		if (strstr(o->help, "..")) {
			snprintf(range, sizeof(range), " %llu..%llu", o->min,
				 o->max);
			expect(r, strstr(o->help, range));
			ranges++;
		}
		expect(r, number_after(o->help, "default ", &number) ==
		       (o->initial || o->bare));
		if (!o->initial)
			continue;
		expect(r, number == o->initial);
		defaults++;
	}
	assert_in_range(ranges, 9, row_cnt);
	assert_in_range(defaults, 8, row_cnt);
}

/* says: text has the line, or one that begins with it and a blank. */
static bool says(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!strncmp(text, line, len) &&
		    (!text[len] || strchr(" \n", text[len])))
			return true;
	}
	return false;
}

static void all_are_in_help(void **state)
{
	char want[128], *help;

	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		const char *value = r->option->value;

		snprintf(want, sizeof(want), "      --%s%s%s%s",
			 r->option->name, !value ? "" : r->option->bare ?
			 "[=" : " ", value ? value : "",
			 r->option->bare ? "]" : "");
		help = printed(r->command, pt_options_help);
		expect(r, says(help, want));
		free(help);
	}
}

static void all_are_completed(void **state)
{
	char want[128], *offers;

	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		const struct pt_option *o = r->option;

		snprintf(want, sizeof(want), "--%s%s%s", o->name,
			 o->repeats ? "+" : "", o->bare ? "=" : "");
		offers = printed(r->command, pt_options_completion);
		expect(r, says(offers, want));
		expect(r, says(offers, "--help"));
		free(offers);
	}
}

static char *page_of(const struct pt_command *c)
{
	static char text[1 << 17];
	char path[64];
	size_t sz;
	FILE *f;

	snprintf(path, sizeof(path), "docs/man/pagetrim-%s.8", c->name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("no %s", path);
	sz = fread(text, 1, sizeof(text) - 1, f);
	text[sz] = 0;
	fclose(f);
	return text;
}

/* item_of writes the beginning of an option on a page: HOST[:PORT] is two
 * arguments. */
static void item_of(char item[128], const struct pt_option *o)
{
	int at = snprintf(item, 128, "\n.It Fl -%s", o->name);
	const char *value = o->value, *more = value ? strchr(value, '[') : NULL;

	if (!value)
		snprintf(item + at, 128 - at, "\n");
	else if (more)
		snprintf(item + at, 128 - at, " Ar %.*s Ns Op %c Ns Ar %.*s\n",
			 (int)(more - value), value, more[1],
			 (int)strcspn(more + 2, "]"), more + 2);
	else
		snprintf(item + at, 128 - at, "%s Ar %s\n",
			 o->bare ? " Ns Op = Ns" : "", value);
}

/* Pages contain more than help, with the same ranges: test_documents.sh
 * compares both ways, and defaults. */
static void all_have_a_page(void **state)
{
	char item[128], range[64], *at, *end;

	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		const struct pt_option *o = r->option;

		item_of(item, o);
		at = strstr(page_of(r->command), item);
		expect(r, at);
		end = strstr(at + strlen(item), "\n.It ");
		expect(r, end);
		*end = 0;
		if (o->kind != PT_OPTION_NUMBER || !strstr(o->help, ".."))
			continue;
		snprintf(range, sizeof(range), "%llu..%llu", o->min, o->max);
		expect(r, strstr(at, range));
	}
}

static int send_parse(struct pt_send_options *o, const char *line)
{
	/* The options point into them. */
	static char words[512], *argv[24] = { "send" };
	int argc = 1;

	snprintf(words, sizeof(words), "--insecure --dev d --to h %s src",
		 line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	return pt_send_options_parse(o, argc, argv);
}

/* Options of a command line arrive under the library's names. */
static void send_gets(struct pt_send_options *o, const char *line)
{
	assert_int_equal(send_parse(o, line), -1);
}

/* send_refuses: wrong usage, in a line with word and a line with a hint. */
static void send_refuses(const char *line, const char *word)
{
	static struct pt_send_options o;
	FILE *before = stderr;
	char *text, *end;
	size_t sz;
	int code;

	stderr = open_memstream(&text, &sz);
	code = send_parse(&o, line);
	fclose(stderr);
	stderr = before;
	assert_int_equal(code, PT_EXIT_USAGE);
	end = strchr(text, '\n');
	assert_non_null(end);
	assert_string_equal(end, "\nTry 'pagetrim send --help'.\n");
	if (!strstr(text, word))
		fail_msg("%s: '%s' without '%s'", line, text, word);
	free(text);
}

/* Options that every receiver refuses are refused before it opens anything. */
static void send_names(void **state)
{
	static struct pt_send_options o;
	char line[256];

	(void)state;
	send_gets(&o, "--name vm-1.ram --with dir/.state");
	assert_string_equal(o.cfg.name, "vm-1.ram");
	send_refuses("--name a/b", "--name 'a/b': ");
	send_refuses("--name .b", "begins with a '.'");
	send_refuses("--name a\nb", "'a\\x0ab': not a name for an image: it has a "
		     "control character");
	snprintf(line, sizeof(line), "--name %0129d", 0);
	send_refuses(line, "128 bytes");
	send_refuses("--with x/segments.json", "--with 'x/segments.json': ");
	send_refuses("--with x/", "it is empty");
	send_refuses("--with a/x --with b/x", "have one name");
}

static void words_are_the_librarys(void **state)
{
	static struct pt_send_options o;
	char line[64];

	(void)state;
	for (int i = 0; i < PT_TRIM_CNT; i++) {
		snprintf(line, sizeof(line), "--trim %s", pt_trim_name(i));
		send_gets(&o, line);
		assert_int_equal(o.cfg.trim, PT_SEND_TRIM_NONE + i);
	}
	for (int i = PT_HUGEPAGES_THP; i <= PT_HUGEPAGES_AUTO; i++) {
		snprintf(line, sizeof(line), "--hugepages %s",
			 pt_hugepages_name(i));
		send_gets(&o, line);
		assert_int_equal(o.cfg.hugepages, i);
	}
	for (unsigned int i = 0; i < row_cnt; i++)
		for (const struct pt_option_word *w = rows[i].option->words;
		     w && w->name && rows[i].option->kind == PT_OPTION_WORDS;
		     w++)
			assert_string_equal(w->name, pt_cipher_name(
					    __builtin_ctz(w->value)));
}

static void send_defaults_and_values(void **state)
{
	static struct pt_send_options o;

	(void)state;
	send_gets(&o, "");
	assert_int_equal(o.cfg.trim, PT_SEND_TRIM_BLOCKS);
	assert_int_equal(o.cfg.rekey_log2, 22);
	assert_int_equal(o.cfg.queue_cnt, 1);
	assert_int_equal(o.cfg.peer_timeout_ms, 20000);
	assert_int_equal(o.cfg.mtu, 0);
	assert_int_equal(o.cfg.bytes_per_s, 0);
	assert_int_equal(o.cfg.copies, PT_SEND_COPIES_AUTO);
	assert_int_equal(o.cfg.zero_copy, PT_ZERO_COPY_AUTO);
	assert_true(o.cfg.recheck);
	assert_string_equal(o.cfg.dev, "d");
	assert_string_equal(o.cfg.to, "h");
	assert_int_equal(o.source_cnt, 1);
	assert_string_equal(o.sources[0], "src");

	send_gets(&o, "--queues auto --peer-timeout 3 --mtu 9000 "
		  "--max-bandwidth 5M --profile");
	assert_int_equal(o.cfg.queue_cnt, 0);
	assert_int_equal(o.cfg.peer_timeout_ms, 3000);
	assert_int_equal(o.cfg.mtu, 9000);
	assert_int_equal(o.cfg.bytes_per_s, 5 << 20);
	assert_true(o.cfg.profile);

	send_gets(&o, "--with a --with b --zero-copy off --generic --json");
	assert_int_equal(o.cfg.file_cnt, 2);
	assert_string_equal(o.cfg.files[1], "b");
	assert_int_equal(o.cfg.zero_copy, PT_ZERO_COPY_OFF);
	assert_true(o.cfg.generic);
	assert_true(o.agent.json);
}

/* Each text option of each command refuses an empty text. */
static void empty_is_refused(void **state)
{
	static _Alignas(16) char fields[1 << 16];
	unsigned int texts = 0;
	char option[64], *text;
	FILE *before = stderr;
	size_t sz;
	int code;

	(void)state;
	for (unsigned int i = 0; i < row_cnt; i++) {
		const struct row *r = &rows[i];
		char *argv[] = { "x", option, NULL };

		if (!r->option->value)
			continue;
		snprintf(option, sizeof(option), "--%s=", r->option->name);
		expect(r, r->off + r->option->sz <= sizeof(fields));
		stderr = open_memstream(&text, &sz);
		code = pt_options_parse(r->command, fields, 2, argv);
		fclose(stderr);
		stderr = before;
		expect(r, code == PT_EXIT_USAGE);
		snprintf(option, sizeof(option), ": --%s '': ", r->option->name);
		expect(r, strstr(text, option));
		free(text);
		texts++;
	}
	assert_in_range(texts, 30, row_cnt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_sound),
		cmocka_unit_test(names_in_errors_are_options),
		cmocka_unit_test(rows_are_apart),
		cmocka_unit_test(help_tells_limits),
		cmocka_unit_test(all_are_in_help),
		cmocka_unit_test(all_are_completed),
		cmocka_unit_test(all_have_a_page),
		cmocka_unit_test(words_are_the_librarys),
		cmocka_unit_test(send_defaults_and_values),
		cmocka_unit_test(send_names),
		cmocka_unit_test(empty_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
