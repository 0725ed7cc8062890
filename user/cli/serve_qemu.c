/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/serve_qemu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/thread.h"
#include "cli/output.h"
#include "lazy/step.h"

#define LOOK_MS		200	/* between looks whether to give up */
#define JOIN_MS		10
#define GIVE_UP_MS	1000
#define BUSY_TRIES	2	/* before it is said that another has the monitor */

int pt_serve_qemu_check(const struct pt_serve_qemu *q, const char *door,
			const struct pt_lazy_record *record, struct pt_error *err)
{
	if (!record->is_qemu == !q->qmp)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: the guest there was begun "
			    "with %s (use that)", door, q->qmp ? "--uffd-socket"
			    : "--qmp");
}

/* stop_fd_make makes one descriptor of two. */
static int stop_fd_make(struct pt_serve_qemu *q, int stop_fd, struct pt_error *err)
{
	struct epoll_event in = { .events = EPOLLIN };

	q->failed_fd = eventfd(0, EFD_CLOEXEC);
	q->stop_fd = epoll_create1(EPOLL_CLOEXEC);
	if (q->failed_fd < 0 || q->stop_fd < 0 ||
	    epoll_ctl(q->stop_fd, EPOLL_CTL_ADD, q->failed_fd, &in) ||
	    epoll_ctl(q->stop_fd, EPOLL_CTL_ADD, stop_fd, &in))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "epoll: %s%s",
				    strerror(errno), pt_files_remedy(-errno));
	return 0;
}

/* find looks at a QEMU that no server has touched yet. */
static int find(struct pt_serve_qemu *q, const struct pt_lazy_image *image,
		struct pt_error *err)
{
	int code = pt_qemu_open(&q->qemu, q->qmp, q->pid, err);

	if (!code)
		code = pt_qemu_restore_look(q->qemu, &q->begins_as, err);
	if (!code && q->begins_as != PT_QEMU_WAITS)
		code = pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: QEMU does not wait "
				    "for a guest (start it with -incoming defer)",
				    q->qmp);
	if (!code)
		code = pt_lazy_qemu_find(&q->found, q->qemu, image, err);
	if (!code && q->found.sight.unseen_cnt)
		pt_out_warn("warning: some processes may be hidden from this one: one "
			    "that has mapped the guest's memory, too, reads zeroes there");
	return code;
}

int pt_serve_qemu_open(struct pt_serve_qemu *q, const struct pt_lazy_image *image,
		       struct pt_lazy_record *record, int stop_fd, struct pt_error *err)
{
	int code;

	q->began_ns = pt_clock_ns();
	q->record = record;
	q->is_loading = record->is_begun;
	q->failed_fd = q->stop_fd = -1;
	q->state_fd = pt_lazy_image_file(image, q->state, err);
	if (q->state_fd < 0 && !record->is_begun)
		return q->state_fd;
	code = stop_fd_make(q, stop_fd, err);
	return code || record->is_begun ? code : find(q, image, err);
}

int pt_serve_qemu_give(struct pt_serve_qemu *q, const struct pt_lazy_kept *kept,
		       struct pt_error *err)
{
	pid_t pid = pt_qemu_pid(q->qemu);
	int uffd, pidfd, code;

	uffd = pt_lazy_qemu_enter(q->qemu, err);
	if (uffd < 0)
		return uffd;
	pt_lazy_enter(q->qmp, PT_LAZY_QEMU_ENTERED_STEP);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	code = pt_lazy_keeper_give(kept, uffd, pidfd, pid);
	close(uffd);
	if (pidfd >= 0)
		close(pidfd);
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "the keeper of the guest's "
				   "descriptor: %s", strerror(-code)) : 0;
}

int pt_serve_qemu_arm(struct pt_serve_qemu *q, int uffd,
		      struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX], __u32 *cnt,
		      struct pt_error *err)
{
	int code = pt_lazy_qemu_arm(&q->found, uffd, err);

	pt_lazy_enter(q->qmp, PT_LAZY_QEMU_ARMED_STEP);
	memcpy(regions, q->found.regions, sizeof(q->found.regions));
	*cnt = q->found.region_cnt;
	return code;
}

/* ---- the thread ---- */

/* await waits until the state is loaded. */
static int await(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code;

	do
		code = pt_qemu_restore_loaded(q->qemu, LOOK_MS, err);
	while (code == -ETIMEDOUT && !q->is_over);
	return code;
}

/* open_again opens the monitor of a QEMU that an earlier server has begun, once it
 * answers: it may wait in a fault until then. */
static int open_again(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code, tries = 0;

	do {
		code = pt_qemu_open(&q->qemu, q->qmp, q->pid, err);
		if (code == -EBUSY && ++tries == BUSY_TRIES)
			pt_out_warn("warning: %s; its memory is served", err->text);
	} while ((code == -ETIMEDOUT || code == -EBUSY || code == -ECONNRESET) &&
		 !q->is_over);
	return code;
}

/* reopen asks it for its state. */
static int reopen(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code = open_again(q, err);

	if (!code && pt_qemu_pid(q->qemu) != q->record->vmm_pid)
		code = pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: the monitor of "
				    "process %d, and the memory of process %d is "
				    "served", q->qmp, pt_qemu_pid(q->qemu),
				    q->record->vmm_pid);
	if (!code)
		code = pt_qemu_restore_look(q->qemu, &q->begins_as, err);
	if (!code && q->begins_as == PT_QEMU_WAITS && q->state_fd < 0)
		code = pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: the image has no "
				    "small file '%s', the state of the devices", q->qmp,
				    q->state);
	return code;
}

/* load has QEMU begin.  Only a refusal is known to have changed nothing. */
static int load(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code;

	q->is_loading = true;
	code = pt_qemu_restore_begin(q->qemu, q->state_fd, err);
	if (code == -EREMOTEIO || code == -EINVAL || code == -EBUSY ||
	    code == -EOPNOTSUPP)
		q->is_loading = false;
	return code;
}

static int restore(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code = q->qemu ? 0 : reopen(q, err);
	bool is_ours;

	if (code)
		return code;
	is_ours = q->begins_as == PT_QEMU_WAITS;
	if (is_ours)
		code = load(q, err);
	if (!code && q->begins_as <= PT_QEMU_LOADS)
		code = await(q, err);
	if (code)
		return code;
	pt_qemu_restore_done(q->qemu, is_ours);
	/* A guest that ran already stands still for another's reason. */
	if (q->paused || q->record->has_run || q->begins_as == PT_QEMU_RUNS)
		return 0;
	code = pt_qemu_run(q->qemu, err);
	q->record->has_run = !code;
	return code;
}

/* restore_main: the monitor is free for others afterwards. */
static void *restore_main(void *arg)
{
	struct pt_serve_qemu *q = arg;
	__u64 one = 1;

	q->code = restore(q, &q->err);
	pt_qemu_close(q->qemu);
	q->qemu = NULL;
	if (!q->is_loading && write(q->failed_fd, &one, sizeof(one)) < 0)
		pt_out_log("eventfd: %s", strerror(errno));
	if (q->code && q->is_loading && q->err.exit && !q->is_over)
		pt_out_warn("warning: %s; its memory is served", q->err.text);
	if (!q->code && q->begins_as != PT_QEMU_RUNS)
		pt_out_log("%s: the guest %s after %.3f s", q->qmp,
			   q->record->has_run ? "runs" : "is loaded, and paused,",
			   (pt_clock_ns() - q->began_ns) / 1e9);
	return NULL;
}

int pt_serve_qemu_load(struct pt_serve_qemu *q, struct pt_error *err)
{
	int code = pt_thread_start(&q->thread, restore_main, q, "pt-restore");

	q->has_thread = !code;
	pt_lazy_enter(q->qmp, PT_LAZY_QEMU_LOADS_STEP);
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "no thread: %s",
				   strerror(-code)) : 0;
}

/* join waits for the thread, which a QEMU that does not answer may hold up for some
 * seconds, some milliseconds only; the process ends soon. */
static bool join(struct pt_serve_qemu *q, int fd, int ms)
{
	__u64 until = pt_deadline_ns(ms);
	struct pollfd stop = { .fd = fd, .events = POLLIN };

	while (pthread_tryjoin_np(q->thread, NULL))
		if (poll(&stop, 1, JOIN_MS) > 0 || (ms && !pt_left_ms(until)))
			return false;
	q->has_thread = false;
	return true;
}

int pt_serve_qemu_end(struct pt_serve_qemu *q, bool is_whole, struct pt_error *err)
{
	if (!q->has_thread)
		return 0;
	if (!is_whole || !join(q, q->stop_fd, 0)) {
		q->is_over = true;
		if (!join(q, -1, GIVE_UP_MS))
			return -ECANCELED;
	}
	if (q->code && !q->err.exit)
		return -ECANCELED;
	if (q->code)
		*err = q->err;
	return q->code;
}

void pt_serve_qemu_close(struct pt_serve_qemu *q)
{
	if (q->has_thread || !q->qmp)
		return;
	pt_lazy_qemu_close(&q->found);
	pt_qemu_close(q->qemu);
	q->qemu = NULL;
}
