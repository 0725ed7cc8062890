// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* template: children of a template, all alive at once.
 *
 *     template FOLDER NAME COUNT WRITES
 *
 * Each child finds and maps the template, reads a word of each page, and writes WRITES
 * pages that are spread evenly.  Prints one JSON object: times in ms (start: find and
 * map, and the first page read), and KiB in a child beyond those before it mapped:
 * anonymous memory and page tables after the start, after the reading, after the
 * writing; the means of all children.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "sink/large_map.h"
#include "template/template.h"

#define STEPS		3	/* start, read, write */
#define CHILDREN_MAX	1000
#define PAGE		4096

struct told {
	double ms[STEPS];
	double kib[STEPS];	/* Anonymous + VmPTE */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* kib_of adds up the numbers behind a key of a file in /proc/self. */
static double kib_of(const char *file, const char *key)
{
	FILE *in = fopen(file, "re");
	char line[256];
	double all = 0;

	if (!in)
		die(file);
	while (fgets(line, sizeof(line), in))
		if (!strncmp(line, key, strlen(key)))
			all += atof(line + strlen(key));
	fclose(in);
	return all;
}

static double own_kib(void)
{
	return kib_of("/proc/self/smaps", "Anonymous:") +
	       kib_of("/proc/self/status", "VmPTE:");
}

static __u8 *map(const char *folder, const char *name, __u64 *sz)
{
	struct pt_template t;
	struct pt_error err;
	void *at;
	int fd;

	if (pt_template_find(&t, folder, name, &err) ||
	    (fd = pt_template_open(&t, &err)) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	at = pt_large_map_private(fd, t.sz);
	if (at == MAP_FAILED)
		die("mmap");
	close(fd);
	*sz = t.sz;
	return at;
}

static void work(struct told *t, char **argv)
{
	__u64 since_ns, sz, writes = strtoull(argv[4], NULL, 10);
	volatile __u8 *at;
	double own;
	__u8 sum = 0;

	own_kib();	/* what stdio takes */
	own = own_kib();
	since_ns = pt_clock_ns();
	at = map(argv[1], argv[2], &sz);
	sum += at[0];
	t->ms[0] = (pt_clock_ns() - since_ns) / 1e6;
	t->kib[0] = own_kib() - own;
	since_ns = pt_clock_ns();
	for (__u64 i = 0; i < sz; i += PAGE)
		sum += at[i];
	t->ms[1] = (pt_clock_ns() - since_ns) / 1e6;
	t->kib[1] = own_kib() - own;
	since_ns = pt_clock_ns();
	for (__u64 i = 0; i < writes; i++)
		at[sz / writes * i / PAGE * PAGE] = sum;
	t->ms[2] = (pt_clock_ns() - since_ns) / 1e6;
	t->kib[2] = own_kib() - own;
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, two = *(const double *)b;

	return (one > two) - (one < two);
}

static void print(const struct told *told, int cnt)
{
	static const char *const steps[STEPS] = { "start", "read", "write" };

	printf("{\"children\": %d", cnt);
	for (int step = 0; step < STEPS; step++) {
		double ms[CHILDREN_MAX] = { 0 }, kib = 0;

		for (int i = 0; i < cnt; i++) {
			ms[i] = told[i].ms[step];
			kib += told[i].kib[step] / cnt;
		}
		qsort(ms, cnt, sizeof(*ms), compare);
		printf(", \"%s\": {\"median_ms\": %.3f, \"max_ms\": %.3f, "
		       "\"kib\": %.1f}", steps[step], ms[cnt / 2], ms[cnt - 1], kib);
	}
	puts("}");
}

int main(int argc, char **argv)
{
	int cnt = argc == 5 ? atoi(argv[3]) : 0, told[2], stay[2];
	static struct told all[CHILDREN_MAX];
	char end;

	if (cnt < 1 || cnt > CHILDREN_MAX) {
		fputs("usage: template FOLDER NAME COUNT WRITES\n", stderr);
		return 2;
	}
	if (pipe(told) || pipe(stay))
		die("pipe");
	for (int i = 0; i < cnt; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(stay[1]);
			work(&all[i], argv);
			if (write(told[1], &all[i], sizeof(all[i])) !=
			    sizeof(all[i]))
				die("write");
			/* Alive, with its memory, until all have told. */
			_exit(read(stay[0], &end, 1) != 0);
		}
		if (read(told[0], &all[i], sizeof(all[i])) != sizeof(all[i]))
			die("read");
	}
	print(all, cnt);
	close(stay[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
