// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* usage: run a command and write what it used to FILE, as one JSON object.
 *
 *	usage FILE COMMAND [ARG...]
 *
 *     wall_s            from its start to its end
 *     user_s, sys_s     CPU time of all its threads, set-up and all
 *     ready_s           of that, what it had used when FILE.ready appeared, as
 *                       far as SAMPLE_MS tells
 *     anon_kib          most memory of its own seen: RssAnon + HugetlbPages;
 *                       UMEM is among it, mapped files and tmpfs are not
 *     resident_kib      VmHWM: with what it has mapped of the guest
 *
 * Memory is looked at every SAMPLE_MS, which costs about a thousandth of a CPU.
 * Exits as the command did; when this dies, so does the command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_MS	10

struct seen {
	unsigned long anon_kib, resident_kib;	/* the most of each */
	double ready_s;
};

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "usage: %s: %s\n", what, strerror(errno));
	exit(125);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return t.tv_sec + t.tv_usec / 1e6;
}

/* One look; nothing is seen of a process that has just ended. */
static void look(const char *status_path, struct seen *m)
{
	unsigned long anon = 0, huge = 0, peak = 0;
	FILE *status = fopen(status_path, "re");
	char line[128];

	if (!status)
		return;
	while (fgets(line, sizeof(line), status)) {
		(void)sscanf(line, "RssAnon: %lu", &anon);
		(void)sscanf(line, "HugetlbPages: %lu", &huge);
		(void)sscanf(line, "VmHWM: %lu", &peak);
	}
	fclose(status);
	if (anon + huge > m->anon_kib)
		m->anon_kib = anon + huge;
	if (peak > m->resident_kib)
		m->resident_kib = peak;
}

/* CPU time of all threads so far, or 0. */
static double cpu_s(const char *stat_path)
{
	unsigned long user = 0, sys = 0;
	FILE *stat = fopen(stat_path, "re");
	char line[512] = "", *tail;

	if (!stat)
		return 0;
	if (!fgets(line, sizeof(line), stat))
		line[0] = 0;
	fclose(stat);
	tail = strrchr(line, ')');	/* the name may hold anything */
	if (!tail || sscanf(tail + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u "
			    "%*u %*u %lu %lu", &user, &sys) != 2)
		return 0;
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static void watch(pid_t pid, const char *ready_path, struct seen *m)
{
	struct pollfd ended = {
		.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN,
	};
	char path[64], stat_path[64];
	int is_ready = 0;

	if (ended.fd < 0)
		die("pidfd_open");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	snprintf(stat_path, sizeof(stat_path), "/proc/%d/stat", (int)pid);
	while (poll(&ended, 1, SAMPLE_MS) == 0) {
		look(path, m);
		if (!is_ready && !access(ready_path, F_OK)) {
			is_ready = 1;
			m->ready_s = cpu_s(stat_path);
		}
	}
	close(ended.fd);
}

static void write_usage(const char *path, double wall_s,
			const struct rusage *r, const struct seen *m)
{
	FILE *out = fopen(path, "we");

	if (!out)
		die(path);
	fprintf(out, "{\"wall_s\": %.6f, \"user_s\": %.6f, \"sys_s\": %.6f, "
		"\"ready_s\": %.2f, \"anon_kib\": %lu, "
		"\"resident_kib\": %lu}\n", wall_s, seconds(r->ru_utime),
		seconds(r->ru_stime), m->ready_s, m->anon_kib,
		m->resident_kib);
	if (fclose(out))
		die(path);
}

int main(int argc, char **argv)
{
	struct seen m = { 0 };
	char ready_path[4096];
	struct rusage r;
	double start;
	int status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "Usage: usage FILE COMMAND [ARG...]\n");
		return 125;
	}
	start = now_s();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execvp(argv[2], argv + 2);
		die(argv[2]);
	}
	snprintf(ready_path, sizeof(ready_path), "%s.ready", argv[1]);
	watch(pid, ready_path, &m);
	if (wait4(pid, &status, 0, &r) != pid)
		die("wait");
	write_usage(argv[1], now_s() - start, &r, &m);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
