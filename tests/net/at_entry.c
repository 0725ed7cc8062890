// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* at_entry: runs a program, and a command when the program calls a function for
 * the first time with a certain second argument.
 *
 *     at_entry FUNCTION VALUE COMMAND PROGRAM ARG...
 *
 * The program's first thread stands still while the shell runs COMMAND, in whose
 * environment TARGET is the program's process.  The file `entered` is made
 * first.  The exit status is the program's, 128 and the signal's number if that
 * killed it.
 *
 * A debugger would also hold the processes that the program forks; this one
 * traces the first thread only, so FUNCTION must be called by no other.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRAP 0xccUL		/* int3 */

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "at_entry: %s: %s\n", what, strerror(errno));
	exit(99);
}

/* symbol returns the function's address in the program's file. */
static unsigned long symbol(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *map;
	const Elf64_Ehdr *elf;
	const Elf64_Shdr *sections;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		die(path);
	elf = (const void *)map;
	sections = (const void *)(map + elf->e_shoff);
	for (int i = 0; i < elf->e_shnum; i++) {
		const Elf64_Shdr *s = &sections[i];
		const Elf64_Sym *symbols = (const void *)(map + s->sh_offset);
		const char *names = map + sections[s->sh_link].sh_offset;

		if (s->sh_type != SHT_SYMTAB)
			continue;
		for (size_t n = 0; n < s->sh_size / sizeof(*symbols); n++)
			if (!strcmp(names + symbols[n].st_name, name))
				return symbols[n].st_value;
	}
	errno = ENOENT;
	die(name);
}

/* base_of returns the address at which the program was loaded: that of the first
 * mapping, since it is position-independent. */
static unsigned long base_of(pid_t pid)
{
	char path[40];
	unsigned long base;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps || fscanf(maps, "%lx", &base) != 1)
		die(path);
	fclose(maps);
	return base;
}

static void resume(pid_t pid, int request, int sig)
{
	if (ptrace(request, pid, NULL, (void *)(long)sig))
		die("ptrace");
}

/* await returns the signal with which the program stopped; it ends with the
 * program. */
static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			die("waitpid");
	if (WIFSTOPPED(status))
		return WSTOPSIG(status);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void set_word(pid_t pid, unsigned long at, unsigned long word)
{
	if (ptrace(PTRACE_POKETEXT, pid, (void *)at, (void *)word))
		die("ptrace");
}

/* back puts the program before the instruction that the trap replaced. */
static void back(pid_t pid, unsigned long at, unsigned long word)
{
	struct user_regs_struct regs;

	set_word(pid, at, word);
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		die("ptrace");
	regs.rip = at;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs))
		die("ptrace");
}

static unsigned int second_argument(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		die("ptrace");
	return regs.rsi;
}

/* run_until returns when the function is called so; the trap is gone then. */
static void run_until(pid_t pid, unsigned long at, unsigned int value)
{
	unsigned long word;
	int sig = 0;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, (void *)at, NULL);
	if (errno)
		die("ptrace");
	set_word(pid, at, (word & ~0xffUL) | TRAP);
	for (;;) {
		resume(pid, PTRACE_CONT, sig);
		sig = await(pid);
		if (sig != SIGTRAP)
			continue;
		sig = 0;
		back(pid, at, word);
		if (second_argument(pid) == value)
			return;
		resume(pid, PTRACE_SINGLESTEP, 0);
		while (await(pid) != SIGTRAP)
			resume(pid, PTRACE_SINGLESTEP, 0);
		set_word(pid, at, (word & ~0xffUL) | TRAP);
	}
}

int main(int argc, char **argv)
{
	unsigned long at;
	char target[16];
	pid_t pid;
	int fd;

	if (argc < 5) {
		fprintf(stderr, "Usage: at_entry FUNCTION VALUE COMMAND "
			"PROGRAM ARG...\n");
		return 99;
	}
	at = symbol(argv[4], argv[1]);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[4], argv + 4);
		die(argv[4]);
	}
	await(pid);
	run_until(pid, base_of(pid) + at, strtoul(argv[2], NULL, 10));
	fd = open("entered", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	close(fd);
	snprintf(target, sizeof(target), "%d", pid);
	setenv("TARGET", target, 1);
	if (system(argv[3]))
		fprintf(stderr, "at_entry: '%s' failed\n", argv[3]);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);	/* it may be dead */
	for (;;)
		await(pid);
}
