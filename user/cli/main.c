/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "confine/confine.h"
#include <pagetrim/error.h>
#include "seal/aead.h"
#include "service/notify.h"
#include "session/compression.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
	const struct pt_command *options;
} commands[] = {
#define X(name, text) { #name, pt_cmd_##name, text, &pt_command_##name },
	PT_COMMANDS(X)
#undef X
};

static const size_t command_cnt = sizeof(commands) / sizeof(commands[0]);

static void print_help(FILE *out)
{
	fputs("Usage: pagetrim COMMAND [options]\n\n"
	      "Moves memory to another host as trimmed pages over AF_XDP.\n\n"
	      "Commands:\n", out);
	for (size_t i = 0; i < command_cnt; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].text);
	fputs("\n'pagetrim COMMAND --help', or 'pagetrim help COMMAND', tells its "
	      "options;\n'pagetrim --version' the version.\n\n"
	      "Exit: 0 done, 1 failed (nothing committed), 2 wrong usage, "
	      "3 this host\n"
	      "      lacks what was asked, 4 the peer is absent, silent or "
	      "gave up,\n"
	      "      5 copy or ledger wrong, 6 outcome unknown: ask the "
	      "receiver.\n\n"
	      "AF_XDP bypasses the firewall (netfilter) and traffic control "
	      "(tc) of both\nhosts: see pagetrim(8).\n", out);
}

static void print_version(void)
{
	const struct pt_aead_lib *const *libs;
	unsigned int cnt;

	puts("pagetrim " PT_VERSION_TEXT);
	libs = pt_aead_libs(&cnt);
	for (unsigned int i = 0; i < cnt; i++)
		printf("%s%s %s", i ? ", " : "seals with ", libs[i]->name,
		       libs[i]->version());
	printf("\ncompresses by %s\n", pt_compressions_built());
	puts(pt_notify_is_built() ? "notifies systemd" :
	     "notifies nobody (built without libsystemd)");
	if (pt_confine_version())
		printf("filters its system calls with libseccomp %s\n",
		       pt_confine_version());
	else
		puts("filters no system calls (built without libseccomp)");
}

/* finish reports output that could not be printed.  The exit code of a transfer
 * stays that of its result. */
static int finish(const char *name, int code)
{
	if (pt_out_close(name))
		return code;
	if (code || !strcmp(name, "send") || !strcmp(name, "receive"))
		return code;
	return PT_EXIT_FAILED;
}

static int no_command(const char *name)
{
	fprintf(stderr, "pagetrim: no command '%s' (try 'pagetrim --help')\n",
		name);
	return PT_EXIT_USAGE;
}

/* help_of prints what the command's --help does. */
static int help_of(char *name)
{
	char help[] = "--help";
	char *argv[] = { name, help, NULL };

	for (size_t i = 0; i < command_cnt; i++)
		if (!strcmp(name, commands[i].name))
			return finish("help", commands[i].run(2, argv));
	if (strcmp(name, "help") && strcmp(name, "version"))
		return no_command(name);
	print_help(stdout);
	return finish("help", PT_EXIT_OK);
}

/* print_completion prints the commands, or the options of one, for
 * scripts/completion.bash. */
static int print_completion(const char *name)
{
	for (size_t i = 0; i < command_cnt; i++) {
		if (!name) {
			puts(commands[i].name);
		} else if (!strcmp(name, commands[i].name)) {
			pt_options_completion(commands[i].options, stdout);
			return PT_EXIT_OK;
		}
	}
	if (name)
		return no_command(name);
	puts("help\n--help\n--version");
	return PT_EXIT_OK;
}

/* hold_standard: if descriptor 0, 1 or 2 is closed, the next open(2) would get
 * it, and output would go to that file.  hold_standard occupies it so that
 * reads and writes fail as before. */
static void hold_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

int main(int argc, char **argv)
{
	hold_standard();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* EFBIG is an error like others */
	pt_error_with_dashes(true);
	if (argc < 2) {
		fputs("pagetrim: no command (try 'pagetrim --help')\n", stderr);
		return PT_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2)
		return help_of(argv[2]);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_help(stdout);
		return finish("help", PT_EXIT_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") ||
	    !strcmp(argv[1], "version")) {
		print_version();
		return finish("version", PT_EXIT_OK);
	}
	if (!strcmp(argv[1], "completion"))
		return print_completion(argv[2]);
	for (size_t i = 0; i < command_cnt; i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(argv[1],
				      commands[i].run(argc - 1, argv + 1));
	return no_command(argv[1]);
}
