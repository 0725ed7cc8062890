/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <string.h>

#include "cli/options.h"

#define COLUMN		27	/* where an option's meaning begins */
#define COLUMNS		80

/* print_text continues at column at, and breaks lines between words. */
static void print_text(FILE *out, int at, const char *text)
{
	int len, gap = 0;

	while (*text) {
		len = strcspn(text, " ");
		if (at + gap + len > COLUMNS) {
			at = fprintf(out, "\n%*s", COLUMN, "") - 1;
			gap = 0;
		}
		at += fprintf(out, "%*s%.*s", gap, "", len, text);
		gap = strspn(text + len, " ");
		text += len + gap;
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const char *before,
			 const struct pt_option *o)
{
	const char *value = o->value ? o->value : "";
	int at = fprintf(out, "%s--%s%s%s%s", before, o->name,
			 !o->value ? "" : o->bare ? "[=" : " ", value,
			 o->bare ? "]" : "");

	/* An option that is too long moves its text to the right. */
	at += fprintf(out, "%*s", at < COLUMN ? COLUMN - at : 2, "");
	print_text(out, at, o->help);
}

void pt_options_help(const struct pt_command *c, FILE *out)
{
	static const struct pt_option help = {
		.name = "help", .help = "this text, on stdout, exit 0",
	};
	const struct pt_option_group *g;
	const struct pt_option *o;

	fprintf(out, "%s\n", c->usage);
	for (g = c->groups; g->heading || g->options; g++) {
		if (g->heading)
			fprintf(out, "%s\n", g->heading);
		for (o = g->options; o && o->name; o++)
			print_option(out, "      ", o);
	}
	print_option(out, "  -h, ", &help);
	fprintf(out, "\n%s", c->notes);
}

static void print_offer(FILE *out, const struct pt_option *o)
{
	fprintf(out, "--%s%s%s", o->name, o->repeats ? "+" : "",
		o->bare ? "=" : "");
	if (o->words) {
		for (const struct pt_option_word *w = o->words; w->name; w++)
			fprintf(out, "%s%s", w == o->words ? " =" : " ",
				w->name);
	} else if (o->has_auto) {
		fprintf(out, " =auto%s%s", o->offers ? " " : "",
			o->offers ? o->offers + 1 : "");
	} else if (o->value) {
		fprintf(out, " %s", o->offers ? o->offers : "text");
	}
	fputc('\n', out);
}

void pt_options_completion(const struct pt_command *c, FILE *out)
{
	const struct pt_option_group *g;
	const struct pt_option *o;

	for (int i = 0; i < PT_ARGUMENTS_MAX && c->arguments[i]; i++)
		fprintf(out, "%s\n", c->arguments[i]);
	for (g = c->groups; g->heading || g->options; g++)
		for (o = g->options; o && o->name; o++)
			print_offer(out, o);
	fputs("--help\n", out);
}
