/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* options: the options of a command, stated once as a table.
 *
 *     struct pt_command --parse------> the command's own struct
 *      groups of struct --help-------> pagetrim COMMAND --help
 *      pt_option        --completion-> pagetrim completion COMMAND
 *
 * Tables are constants and may be shared: a group states where its options'
 * values are located in the command's struct.  tests/unit/test_options.c
 * compares the tables with help, completion and man pages.  One thread.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#define PT_OPTIONS_MAX		64	/* of a command */
#define PT_ARGUMENTS_MAX	3	/* the kinds that completion
					 * distinguishes */

enum pt_option_kind {
	PT_OPTION_FLAG,		/* bool: true */
	PT_OPTION_TEXT,		/* const char *: the value as given */
	PT_OPTION_NUMBER,	/* of 1, 2, 4 or 8 bytes, unsigned */
	PT_OPTION_WORD,		/* an enum: the value of one of the words */
	PT_OPTION_WORDS,	/* __u16: bits; each occurrence adds one */
	PT_OPTION_OWN,		/* take parses it */
};

/* PT_RATE_WANT: the values of a rate, 0 or PT_RATE_MIN..PT_RATE_MAX, for error
 * messages. */
#define PT_RATE_WANT	"0 or 64K..1T, such as 64M, 1.5GiB, 10GB/s or 10Gbit/s"

struct pt_option_word {
	const char *name;	/* NULL: the end */
	__u32 value;
};

struct pt_option {
	const char *name;	/* without dashes; NULL: the end */
	const char *value;	/* the value's name in help: N, HOST[:PORT];
				 * NULL: no value */
	const char *help;	/* one line, of any length */
	enum pt_option_kind kind;
	size_t off;		/* bytes into the group's struct */
	size_t sz;		/* bytes of the field */
	bool required;
	bool repeats;		/* each occurrence adds one value */
	bool is_config;		/* TEXT: names a file of options, see config.h;
				 * at most one per command */
	const char *offers;	/* the kind of value for completion, see there;
				 * added to words and auto; NULL: unknown */

	/* NUMBER */
	__u64 min, max;
	bool suffix;		/* a size in bytes: units are allowed, see size.h */
	bool is_rate;		/* with suffix: it is per second, and 0 or at least
				 * PT_RATE_MIN */
	bool log2;		/* a power of two; the field gets the exponent */
	bool has_auto;		/* the word auto is allowed and stores
				 * auto_value */
	__u64 auto_value;
	__u32 scale;		/* field = number * scale; 0: unscaled */
	const char *want;	/* for the error message; NULL: min..max */
	const char *bare;	/* the value if it is omitted, which is allowed
				 * then; NULL: a value is required */

	/* NUMBER, WORD: the default, as the user would give it or as its value;
	 * 0: the field stays as the caller has it. */
	__u64 initial;

	const struct pt_option_word *words;	/* WORD, WORDS */

	/* OWN: returns -1 to go on, or the exit code of an error that it
	 * printed.  to: the field. */
	int (*take)(const char *command, void *to, const char *text);
};

#define PT_OPTION_AT(type, field) \
	.off = offsetof(type, field), .sz = sizeof(((type *)NULL)->field)
#define PT_OPTION(KIND, type, field) \
	.kind = PT_OPTION_##KIND, PT_OPTION_AT(type, field)

struct pt_option_group {
	const char *heading;	/* NULL: continues the previous heading */
	const struct pt_option *options;	/* NULL: none */
	size_t off;		/* bytes into the command's struct */
};

struct pt_command {
	const char *name;
	const char *usage;	/* the text before the options */
	const struct pt_option_group *groups;	/* ends with one that is all
						 * NULL */
	const char *notes;	/* the text behind the options */
	/* The kinds that completion offers for the arguments, in their order;
	 * the last also for further ones.  A first NULL: the command has no
	 * arguments. */
	const char *arguments[PT_ARGUMENTS_MAX];
};

/* pt_options_parse stores the defaults, then the values of the file that
 * --config names for the options that argv lacks, and then argv's values in to,
 * the command's struct; texts stay argv's and the file's, which stays until the
 * next call.  Arguments follow at optind.  Returns -1
 * to go on, or an exit code: help or an error was printed. */
int pt_options_parse(const struct pt_command *c, void *to, int argc,
		     char **argv);

/* pt_options_help prints the text of --help. */
void pt_options_help(const struct pt_command *c, FILE *out);

/* pt_options_completion prints the data of completion, one item per line: the
 * arguments' offers, and "--OPTION OFFER".  Without OFFER the option takes no
 * value, with "--OPTION= OFFER" it may omit it, with "--OPTION+ OFFER" it may
 * be repeated.  OFFER: a kind of scripts/completion.bash, or "=" and words. */
void pt_options_completion(const struct pt_command *c, FILE *out);

#endif
