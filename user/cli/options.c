/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/options.h"

#include <getopt.h>
#include <string.h>

#include "base/config.h"
#include "base/size.h"
#include "cli/output.h"
#include <pagetrim/check.h>
#include <pagetrim/error.h>

#define FIRST	256	/* val of the first row, above all letters */

/* rows: a command's options, and where their values go. */
struct rows {
	unsigned int cnt;
	const struct pt_option *options[PT_OPTIONS_MAX];
	void *fields[PT_OPTIONS_MAX];
	bool in_argv[PT_OPTIONS_MAX];	/* the command line has it */
	bool in_file[PT_OPTIONS_MAX];	/* the lines so far have it */
};

static void collect(struct rows *r, const struct pt_command *c, void *to)
{
	const struct pt_option_group *g;
	const struct pt_option *o;

	memset(r, 0, sizeof(*r));
	for (g = c->groups; g->heading || g->options; g++)
		for (o = g->options; o && o->name; o++) {
			pt_check(r->cnt < PT_OPTIONS_MAX);
			r->options[r->cnt] = o;
			r->fields[r->cnt++] = (char *)to + g->off + o->off;
		}
}

static void store(const struct pt_option *o, void *field, __u64 value)
{
	switch (o->sz) {
	case 1:
		*(__u8 *)field = value;
		break;
	case 2:
		*(__u16 *)field = value;
		break;
	case 4:
		*(__u32 *)field = value;
		break;
	default:
		*(__u64 *)field = value;
	}
}

static void store_number(const struct pt_option *o, void *field, __u64 number)
{
	if (o->log2)
		number = __builtin_ctzll(number);
	store(o, field, o->scale ? number * o->scale : number);
}

static int take_number(const char *command, const struct pt_option *o,
		       void *field, const char *text)
{
	enum pt_size_kind kind = !o->suffix ? PT_SIZE_PLAIN
		: o->is_rate ? PT_SIZE_RATE : PT_SIZE_BYTES;
	char range[48];
	__u64 number;

	if (o->has_auto && !strcmp(text, "auto")) {
		store(o, field, o->auto_value);
		return -1;
	}
	if (!pt_size_parse(text, kind, o->min, o->max, &number) ||
	    (o->is_rate && number && number < PT_RATE_MIN)) {
		snprintf(range, sizeof(range), "%llu..%llu",
			 (unsigned long long)o->min,
			 (unsigned long long)o->max);
		return pt_out_usage(command, "--%s '%s': want %s%s", o->name,
				    text, o->want ? o->want : range,
				    o->has_auto ? ", or auto" : "");
	}
	if (o->log2 && number & (number - 1))
		return pt_out_usage(command, "--%s '%s': want a power of two, "
				    "such as %llu", o->name, text,
				    1ULL << (63 - __builtin_clzll(number)));
	if (o->suffix && !pt_size_is_plain(text))
		fprintf(stderr, "pagetrim %s: --%s %s: %llu bytes%s\n", command,
			o->name, text, (unsigned long long)number,
			o->is_rate ? " a second" : "");
	store_number(o, field, number);
	return -1;
}

/* refuse_word reports that text is none of the words: "want A, B or C". */
static int refuse_word(const char *command, const struct pt_option *o,
		       const char *text)
{
	const struct pt_option_word *w = o->words;
	char list[128] = "";
	size_t at = 0;

	for (; w->name && at < sizeof(list); w++)
		at += snprintf(list + at, sizeof(list) - at, "%s%s",
			       w == o->words ? "" :
			       w[1].name ? ", " : " or ", w->name);
	return pt_out_usage(command, "--%s '%s': want %s", o->name, text, list);
}

static int take_word(const char *command, const struct pt_option *o,
		     void *field, const char *text)
{
	const struct pt_option_word *w = o->words;

	while (w->name && strcmp(w->name, text))
		w++;
	if (!w->name)
		return refuse_word(command, o, text);
	if (o->kind == PT_OPTION_WORD) {
		store(o, field, w->value);
		return -1;
	}
	*(__u16 *)field |= w->value;
	return -1;
}

/* take stores a value.  An empty value is probably an unset variable of a
 * script; numbers and words refuse it by their own rule. */
static int take(const char *command, const struct pt_option *o, void *field,
		const char *text)
{
	if ((o->kind == PT_OPTION_TEXT || o->kind == PT_OPTION_OWN) && !*text)
		return pt_out_usage(command, "--%s '': is empty, want %s",
				    o->name, o->value);
	switch (o->kind) {
	case PT_OPTION_FLAG:
		*(bool *)field = true;
		return -1;
	case PT_OPTION_TEXT:
		*(const char **)field = text;
		return -1;
	case PT_OPTION_NUMBER:
		return take_number(command, o, field, text ? text : o->bare);
	case PT_OPTION_WORD:
	case PT_OPTION_WORDS:
		return take_word(command, o, field, text);
	case PT_OPTION_OWN:
		break;
	}
	return o->take(command, field, text);
}

/* getopt_rows makes getopt_long's table; val is FIRST plus the row.  Returns
 * whether an option takes a value. */
static bool getopt_rows(struct option out[PT_OPTIONS_MAX + 2],
			const struct rows *r)
{
	bool takes = false;
	unsigned int i;

	for (i = 0; i < r->cnt; i++) {
		const struct pt_option *o = r->options[i];

		out[i] = (struct option){ o->name, !o->value ? no_argument :
					  o->bare ? optional_argument :
					  required_argument, NULL, FIRST + i };
		takes |= o->value != NULL;
	}
	out[i++] = (struct option){ "help", no_argument, NULL, 'h' };
	out[i] = (struct option){ 0 };
	return takes;
}

/* check_missing returns -1 if no required option is missing. */
static int check_missing(const struct pt_command *c, const struct rows *r)
{
	for (unsigned int i = 0; i < r->cnt; i++)
		if (r->options[i]->required &&
		    !*(const char *const *)r->fields[i])
			return pt_out_usage(c->name, "--%s is missing",
					    r->options[i]->name);
	return -1;
}

/* bare_option returns the name of an option of argv whose value may be omitted, if text
 * could be meant as it; NULL: there is none. */
static const char *bare_option(const struct rows *r, const char *text)
{
	__u64 number;

	for (unsigned int i = 0; i < r->cnt; i++)
		if (r->in_argv[i] && r->options[i]->bare &&
		    pt_size_parse(text, PT_SIZE_PLAIN, r->options[i]->min,
				  r->options[i]->max, &number))
			return r->options[i]->name;
	return NULL;
}

/* check_arguments returns -1 if the arguments behind the options are
 * allowed. */
static int check_arguments(const struct pt_command *c, const struct rows *r, int argc,
			   char **argv)
{
	const char *bare = optind < argc ? bare_option(r, argv[optind]) : NULL;

	if (bare && !c->arguments[0])
		return pt_out_usage(c->name, "'%s': no such argument (--%s=%s?)",
				    argv[optind], bare, argv[optind]);
	if (optind < argc && !c->arguments[0])
		return pt_out_usage(c->name, "'%s': no such argument",
				    argv[optind]);
	for (int i = optind; i < argc; i++)
		if (!*argv[i])
			return pt_out_usage(c->name, "'': argument %d is empty",
					    i - optind + 1);
	return -1;
}

/* wrong_word returns the argument that getopt_long refused: within a word of short
 * options it has not stepped over the word yet. */
static const char *wrong_word(char **argv)
{
	const char *last = argv[optind - 1];

	if (!optopt || optopt >= FIRST ||
	    (last[0] == '-' && last[1] != '-' && strchr(last, optopt)))
		return last;
	return argv[optind];
}

/* look notes argv's options in r->in_argv, and returns the file of --config;
 * NULL: none, or help is asked for or an option is wrong, which ends all. */
static const char *look(struct rows *r, const struct option *table, int argc,
			char **argv)
{
	const char *path = NULL;
	int opt;

	optind = 0;	/* 0 makes glibc start anew */
	opterr = 0;	/* pt_options_parse reports errors, in one line */
	while ((opt = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		if (opt < FIRST)
			return NULL;
		r->in_argv[opt - FIRST] = true;
		if (r->options[opt - FIRST]->is_config)
			path = optarg;
	}
	return path && *path ? path : NULL;
}

/* take_line stores the value of a file's line, unless argv has the option. */
static int take_line(const struct pt_command *c, struct rows *r,
		     const struct pt_config *file)
{
	const struct pt_option *o;
	unsigned int i = 0;

	if (!file->value)
		return pt_out_usage(c->name, file->is_section ?
				    "'[%s]': want OPTION = VALUE" :
				    "'%s': want OPTION = VALUE", file->name);
	while (i < r->cnt && strcmp(r->options[i]->name, file->name))
		i++;
	if (i == r->cnt || r->options[i]->is_config)
		return pt_out_usage(c->name, "'%s': no such option of a file "
				    "(a long one, without dashes)", file->name);
	o = r->options[i];
	if (r->in_file[i] && !o->repeats)
		return pt_out_usage(c->name, "'%s': a second value, and it has "
				    "one at most", file->name);
	r->in_file[i] = true;
	if (o->kind == PT_OPTION_FLAG && strcmp(file->value, "yes") &&
	    strcmp(file->value, "no"))
		return pt_out_usage(c->name, "%s '%s': want yes or no", o->name,
				    file->value);
	if (r->in_argv[i] ||
	    (o->kind == PT_OPTION_FLAG && !strcmp(file->value, "no")))
		return -1;
	return take(c->name, o, r->fields[i], file->value);
}

/* take_file returns -1 to go on, or the exit code of an error that it
 * printed. */
static int take_file(const struct pt_command *c, struct rows *r,
		     const char *path)
{
	static struct pt_config file;	/* values stay in its text */
	struct pt_error err;
	char place[512];
	int code = -1;

	pt_config_close(&file);
	if (pt_config_open(&file, "--config", path, &err))
		return pt_out_fail(c->name, &err);
	while (code < 0 && pt_config_next(&file)) {
		snprintf(place, sizeof(place), "%.480s:%u", path, file.line);
		pt_out_place(place);
		code = take_line(c, r, &file);
	}
	pt_out_place(NULL);
	return code;
}

int pt_options_parse(const struct pt_command *c, void *to, int argc,
		     char **argv)
{
	struct option table[PT_OPTIONS_MAX + 2];
	struct rows rows;
	const char *path;
	bool takes;
	int opt, code;

	collect(&rows, c, to);
	takes = getopt_rows(table, &rows);
	for (unsigned int i = 0; i < rows.cnt; i++)
		if (rows.options[i]->initial)
			store_number(rows.options[i], rows.fields[i],
				     rows.options[i]->initial);
	path = look(&rows, table, argc, argv);
	code = path ? take_file(c, &rows, path) : -1;
	if (code >= 0)
		return code;
	optind = 0;	/* the second time through argv */
	while ((opt = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		if (opt == 'h') {
			pt_options_help(c, stdout);
			return PT_EXIT_OK;
		}
		if (opt < FIRST)
			return pt_out_usage(c->name, "'%s': wrong option%s",
					    wrong_word(argv), takes ?
					    ", or its value is missing" : "");
		code = take(c->name, rows.options[opt - FIRST],
			    rows.fields[opt - FIRST], optarg);
		if (code >= 0)
			return code;
	}
	code = check_arguments(c, &rows, argc, argv);
	return code < 0 ? check_missing(c, &rows) : code;
}
