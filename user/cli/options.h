/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* options: what a command takes, stated once as a table.
 *
 *     struct pt_command --parse------> the command's own struct
 *      groups of struct --help-------> pagetrim COMMAND --help
 *      pt_option        --completion-> pagetrim completion COMMAND
 *
 * Tables are constants and may be shared: a group says where in the command's
 * struct its options' values go.  tests/unit/test_options.c holds the tables to
 * help, completion and man pages.  One thread.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#define PT_OPTIONS_MAX		64	/* of a command */
#define PT_ARGUMENTS_MAX	3	/* that completion tells apart */

enum pt_option_kind {
	PT_OPTION_FLAG,		/* bool: true */
	PT_OPTION_TEXT,		/* const char *: the value as it stands */
	PT_OPTION_NUMBER,	/* of 1, 2, 4 or 8 bytes, unsigned */
	PT_OPTION_WORD,		/* an enum: the value of one of the words */
	PT_OPTION_WORDS,	/* __u16: the same as bits, each time one more */
	PT_OPTION_OWN,		/* what take makes of it */
};

struct pt_option_word {
	const char *name;	/* NULL: the end */
	__u32 value;
};

struct pt_option {
	const char *name;	/* without dashes; NULL: the end */
	const char *value;	/* what it takes, as help calls it: N, HOST[:PORT];
				 * NULL: nothing */
	const char *help;	/* one line, however long */
	enum pt_option_kind kind;
	size_t off;		/* bytes into the group's struct */
	size_t sz;		/* bytes of the field */
	bool required;
	bool repeats;		/* may be given again, and means one more */
	const char *offers;	/* for completion, see there; with words and
				 * auto beside these; NULL: nothing known */

	/* NUMBER */
	__u64 min, max;
	bool suffix;		/* K, M, G, T are taken */
	bool log2;		/* a power of two; the field gets the exponent */
	bool has_auto;		/* the word auto stands for auto_value */
	__u64 auto_value;
	__u32 scale;		/* field = number * scale; 0: as it is */
	const char *want;	/* for the complaint; NULL: min..max */
	const char *bare;	/* what it is without a value, which is optional
				 * then; NULL: a value is needed */

	/* NUMBER, WORD: the default, as the user would give it or as its value;
	 * 0: the field stays as the caller has it. */
	__u64 initial;

	const struct pt_option_word *words;	/* WORD, WORDS */

	/* OWN: -1 to go on, or the exit code of a complaint that it printed.
	 * to: the field. */
	int (*take)(const char *command, void *to, const char *text);
};

#define PT_OPTION_AT(type, field) \
	.off = offsetof(type, field), .sz = sizeof(((type *)NULL)->field)
#define PT_OPTION(KIND, type, field) \
	.kind = PT_OPTION_##KIND, PT_OPTION_AT(type, field)

struct pt_option_group {
	const char *heading;	/* NULL: goes on under the one before */
	const struct pt_option *options;	/* NULL: none */
	size_t off;		/* bytes into the command's struct */
};

struct pt_command {
	const char *name;
	const char *usage;	/* what help begins with */
	const struct pt_option_group *groups;	/* up to one that is all NULL */
	const char *notes;	/* what help ends with */
	/* What completion offers for arguments, in their order, and for more of
	 * them the last; the first is NULL: there are no arguments. */
	const char *arguments[PT_ARGUMENTS_MAX];
};

/* pt_options_parse stores defaults and then what argv says into to, the
 * command's struct; texts stay argv's.  Arguments follow at optind.  Returns -1
 * to go on, or an exit code: help was printed, or a complaint. */
int pt_options_parse(const struct pt_command *c, void *to, int argc,
		     char **argv);

/* pt_options_help prints what --help says. */
void pt_options_help(const struct pt_command *c, FILE *out);

/* pt_options_completion prints what completion needs to know, a line each:
 * what arguments offer, and "--OPTION OFFER"; without OFFER it takes nothing,
 * as "--OPTION= OFFER" it need not, as "--OPTION+ OFFER" it may be repeated.
 * OFFER: a kind of scripts/completion.bash, or "=" and words. */
void pt_options_completion(const struct pt_command *c, FILE *out);

#endif
