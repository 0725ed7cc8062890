/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "vmm/throttle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include <pagetrim/check.h>

#define PERIOD_US	100000	/* the kernel's default */
#define QUOTA_MIN_US	1000	/* the kernel takes no less */

struct pt_throttle {
	struct pt_cgroup group;
	pid_t pid;
	int fd;				/* of the limit */
	long period_us;
	char undo[PT_THROTTLE_TEXT_SZ];	/* the limit at the open */
	unsigned percent;
	__u64 opened_ns;
	__u64 cpu_ns;			/* used by the process until then */
	double share;			/* of a CPU that it used, see above; 0:
					 * it was not throttled yet */
};

/* cpu_ns returns the CPU time of a process; 0: it has ended. */
static __u64 cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		return 0;
	return used.tv_sec * 1000000000ULL + used.tv_nsec;
}

/* read_text reads the file of the cgroup, without its end of line. */
static int read_text(const struct pt_cgroup *c, const char *file,
		     char text[PT_THROTTLE_TEXT_SZ])
{
	char name[PATH_MAX + 32];
	ssize_t sz;
	int fd;

	snprintf(name, sizeof(name), "%s/%s", c->path, file);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	sz = read(fd, text, PT_THROTTLE_TEXT_SZ - 1);
	close(fd);
	if (sz <= 0)
		return -EIO;
	text[sz] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* read_limit reads the limit and its period. */
static int read_limit(struct pt_throttle *t)
{
	char period[PT_THROTTLE_TEXT_SZ];
	int ret;

	ret = read_text(&t->group, t->group.is_v2 ? "cpu.max"
						  : "cpu.cfs_quota_us", t->undo);
	if (!ret && !t->group.is_v2)
		ret = read_text(&t->group, "cpu.cfs_period_us", period);
	else if (!ret)
		strcpy(period, strchr(t->undo, ' ') ? strchr(t->undo, ' ') : "");
	if (!ret)
		t->period_us = strtol(period, NULL, 10);
	if (!ret && t->period_us <= 0)
		t->period_us = PERIOD_US;
	return ret;
}

static int open_limit(struct pt_throttle *t, struct pt_error *err)
{
	const char *file = t->group.is_v2 ? "cpu.max" : "cpu.cfs_quota_us";
	char name[PATH_MAX + 32];
	int ret = read_limit(t);

	snprintf(name, sizeof(name), "%s/%s", t->group.path, file);
	if (!ret) {
		t->fd = open(name, O_WRONLY | O_CLOEXEC);
		ret = t->fd < 0 ? -errno : 0;
	}
	if (ret == -ENOENT)
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: the "
				    "cgroup does not limit CPU time%s", name,
				    t->group.is_v2 ? " (enable 'cpu' in its "
				    "parent's cgroup.subtree_control)"
				    : " (a kernel with CONFIG_CFS_BANDWIDTH)");
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "%s: %s", name,
				  strerror(-ret)) : 0;
}

int pt_throttle_open_in(struct pt_throttle **out, const struct pt_cgroup *c,
			pid_t pid, struct pt_error *err)
{
	struct pt_throttle *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	t->group = *c;
	t->pid = pid;
	t->fd = -1;
	ret = pt_cgroup_check_own(&t->group, pid, err);
	if (!ret)
		ret = open_limit(t, err);
	if (ret) {
		free(t);
		return ret;
	}
	t->opened_ns = pt_clock_ns();
	t->cpu_ns = cpu_ns(pid);
	*out = t;
	return 0;
}

int pt_throttle_open(struct pt_throttle **out, pid_t pid, struct pt_error *err)
{
	struct pt_cgroup c;
	int ret = pt_cgroup_find(&c, pid, err);

	return ret ? ret : pt_throttle_open_in(out, &c, pid, err);
}

static int write_limit(const struct pt_throttle *t, const char *text,
		       struct pt_error *err)
{
	ssize_t sz = strlen(text);

	if (pwrite(t->fd, text, sz, 0) == sz)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: the limit of CPU time "
			    "cannot be set to '%s': %m", t->group.path, text);
}

/* measure: before anything is throttled. */
static void measure(struct pt_throttle *t)
{
	__u64 ns = pt_clock_ns() - t->opened_ns;

	t->share = (double)(cpu_ns(t->pid) - t->cpu_ns) / (ns ? ns : 1);
}

int pt_throttle_set(struct pt_throttle *t, unsigned percent,
		    struct pt_error *err)
{
	char text[PT_THROTTLE_TEXT_SZ];
	long quota_us;
	int ret;

	pt_check(percent <= PT_THROTTLE_MAX);
	if (percent == t->percent)
		return 0;
	if (!percent) {
		ret = write_limit(t, t->undo, err);
		t->percent = ret ? t->percent : 0;
		return ret;
	}
	ret = pt_cgroup_check_own(&t->group, t->pid, err);
	if (ret)
		return ret;
	if (t->share <= 0)
		measure(t);
	quota_us = t->share * t->period_us * (100 - percent) / 100;
	if (quota_us < QUOTA_MIN_US)
		quota_us = QUOTA_MIN_US;
	if (t->group.is_v2)
		snprintf(text, sizeof(text), "%ld %ld", quota_us, t->period_us);
	else
		snprintf(text, sizeof(text), "%ld", quota_us);
	ret = write_limit(t, text, err);
	t->percent = ret ? t->percent : percent;
	return ret;
}

void pt_throttle_close(struct pt_throttle *t)
{
	if (!t)
		return;
	pt_throttle_set(t, 0, NULL);
	close(t->fd);
	free(t);
}

int pt_throttle_fd(const struct pt_throttle *t)
{
	return t->fd;
}

const char *pt_throttle_undo(const struct pt_throttle *t)
{
	return t->undo;
}
