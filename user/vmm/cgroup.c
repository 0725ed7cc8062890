/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/cgroup.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory/proc.h"

#define LINE_SZ		(2 * PATH_MAX)
#define DEPTH_MAX	64	/* of a process below another */

/* has_word: list, of words with commas between, has the word. */
static bool has_word(const char *list, const char *word)
{
	size_t sz = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (!strncmp(list, word, sz) &&
		    (!list[sz] || list[sz] == ',' || list[sz] == '\n'))
			return true;
	return false;
}

/* is_within: the path is base, or below it. */
static bool is_within(const char *path, const char *base)
{
	size_t sz = strlen(base);

	return !strcmp(base, "/") ||
	       (!strncmp(path, base, sz) && (!path[sz] || path[sz] == '/'));
}

/* read_path reads a thread's path in the hierarchy that limits CPU time: that with
 * version 1's controller, or else that of version 2. */
static int read_path(pid_t pid, pid_t tid, bool *is_v2, char path[PATH_MAX])
{
	char name[64], line[LINE_SZ];
	int ret = -EOPNOTSUPP;
	FILE *in;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/cgroup", pid, tid);
	in = fopen(name, "re");
	if (!in)
		return -errno;
	while (fgets(line, sizeof(line), in)) {
		char *controllers = strchr(line, ':');
		char *at = controllers ? strchr(controllers + 1, ':') : NULL;
		bool is_v1;

		if (!at || strlen(at + 1) >= PATH_MAX)
			continue;
		*at++ = '\0';
		at[strcspn(at, "\n")] = '\0';
		is_v1 = has_word(controllers + 1, "cpu");
		if (!is_v1 && (controllers[1] || ret == 0))
			continue;
		*is_v2 = !is_v1;
		strcpy(path, at);
		ret = 0;
		if (is_v1)
			break;
	}
	fclose(in);
	return ret;
}

struct common {
	pid_t pid;
	bool is_v2;
	char path[PATH_MAX];
};

/* join makes the path that of a cgroup that holds this thread, too. */
static int join(void *arg, pid_t tid)
{
	struct common *c = arg;
	char path[PATH_MAX];
	int ret = read_path(c->pid, tid, &c->is_v2, path);

	if (ret)
		return ret == -ENOENT || ret == -ESRCH ? 0 : ret;
	if (!c->path[0])
		strcpy(c->path, path);
	while (!is_within(path, c->path)) {
		char *end = strrchr(c->path, '/');

		end[end == c->path] = '\0';
	}
	return 0;
}

/* find_mount finds the folder of the path; false: none is mounted. */
static bool find_mount(struct pt_cgroup *c, const char *path)
{
	char line[LINE_SZ], root[PATH_MAX], point[PATH_MAX];
	char type[32], super[512];
	FILE *in = fopen("/proc/self/mountinfo", "re");
	bool is_found = false;

	while (in && !is_found && fgets(line, sizeof(line), in)) {
		const char *rest = strstr(line, " - ");

		if (!rest ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) != 2 ||
		    sscanf(rest, " - %31s %*s %511s", type, super) != 2 ||
		    strcmp(type, c->is_v2 ? "cgroup2" : "cgroup") ||
		    (!c->is_v2 && !has_word(super, "cpu")) ||
		    !is_within(path, root))
			continue;
		if (!strcmp(root, "/"))
			root[0] = '\0';
		is_found = snprintf(c->path, sizeof(c->path), "%s%s", point,
				    path + strlen(root)) <
			   (int)sizeof(c->path);
	}
	if (in)
		fclose(in);
	return is_found;
}

int pt_cgroup_find(struct pt_cgroup *c, pid_t pid, struct pt_error *err)
{
	struct common common = { .pid = pid };
	int ret = pt_proc_threads(pid, join, &common);

	if (ret && ret != -EOPNOTSUPP)
		return pt_error_set(err, PT_EXIT_HOST, ret, "process %d: its "
				    "cgroup cannot be read: %s", pid,
				    strerror(-ret));
	c->is_v2 = common.is_v2;
	if (ret || !find_mount(c, common.path))
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "process "
				    "%d: its cgroup '%s' is not mounted here",
				    pid, common.path);
	if (!strcmp(common.path, "/"))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "process %d: is "
				    "in no cgroup of its own, but in the root "
				    "(start it in one, as a systemd scope)",
				    pid);
	return 0;
}

/* is_from: pid started the process, or it is pid. */
static bool is_from(pid_t process, pid_t pid)
{
	for (int i = 0; i < DEPTH_MAX && process > 1 && process != pid; i++)
		process = pt_proc_number(process, "PPid:");
	return process == pid;
}

/* is_strange: the thread is of no process that is from pid; *process becomes that
 * process.  One that ends between two reads looks strange at first, so there is a
 * second look. */
static bool is_strange(pid_t tid, pid_t pid, pid_t *process)
{
	for (int i = 0; i < 2; i++) {
		*process = pt_proc_number(tid, "Tgid:");
		if (*process <= 0 || is_from(*process, pid))
			return false;
	}
	return true;
}

/* check_thread: line is the thread's number, as the kernel lists it. */
static int check_thread(const struct pt_cgroup *c, const char *line, pid_t pid,
			struct pt_error *err)
{
	pid_t tid = atoi(line), process;

	if (!tid)
		return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: also holds "
				    "a process of another PID namespace, which "
				    "would be slowed down, too (give QEMU a "
				    "cgroup of its own)", c->path);
	if (!is_strange(tid, pid, &process))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: also holds process "
			    "%d, which is not of the guest (QEMU %d), and would "
			    "be slowed down, too (give QEMU a cgroup of its "
			    "own)", c->path, process, pid);
}

static int check_folder(const struct pt_cgroup *c, const char *path, pid_t pid,
			struct pt_error *err)
{
	char name[PATH_MAX + 16], line[32];
	int ret = 0;
	FILE *in;

	snprintf(name, sizeof(name), "%s/%s", path,
		 c->is_v2 ? "cgroup.threads" : "tasks");
	in = fopen(name, "re");
	if (!in)	/* a cgroup that is gone holds nobody */
		return errno == ENOENT ? 0 : pt_error_set(err, PT_EXIT_HOST,
			-errno, "%s: %m", name);
	while (!ret && fgets(line, sizeof(line), in))
		ret = check_thread(c, line, pid, err);
	if (!ret && ferror(in) && errno != ENODEV)	/* ENODEV: gone */
		ret = pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: its processes "
				   "are not known: %m (give QEMU a cgroup of its "
				   "own)", name);
	fclose(in);
	return ret;
}

int pt_cgroup_check_own(const struct pt_cgroup *c, pid_t pid,
			struct pt_error *err)
{
	char *const paths[] = { (char *)c->path, NULL };
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int ret = 0;

	if (!tree)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", c->path);
	while (!ret && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_D)
			ret = check_folder(c, entry->fts_path, pid, err);
	fts_close(tree);
	return ret;
}
