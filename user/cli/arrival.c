/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/arrival.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/record.h"
#include "sink/sink_guest.h"

#define END_MS		1000	/* for a process to end */
#define LOADED_MS	10000	/* for the load to end, of which the source knows already */

static int match(void *arg, const char *theirs, struct pt_error *err)
{
	const struct pt_arrival *a = arg;

	return pt_qemu_match(a->description, theirs, err);
}

static int begin(void *arg, int *fd, struct pt_error *err)
{
	struct pt_arrival *a = arg;
	int ret = pt_qemu_dest_begin(a->qemu, fd, err);

	if (!ret)
		a->state = PT_ARRIVAL_BEGUN;
	return ret;
}

static int loaded(void *arg, struct pt_error *err)
{
	struct pt_arrival *a = arg;
	int ret;

	if (a->state != PT_ARRIVAL_BEGUN)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "%s: the sender "
				    "commits a guest without its state",
				    a->qmp);
	ret = pt_qemu_dest_loaded(a->qemu, LOADED_MS, err);
	if (ret == -ETIMEDOUT)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: the guest is "
				    "not loaded after %d s", a->qmp,
				    LOADED_MS / 1000);
	if (!ret)
		a->state = PT_ARRIVAL_LOADED;
	else if (ret == -EALREADY)
		a->state = PT_ARRIVAL_RAN;
	else if (ret == -EINPROGRESS)
		a->state = PT_ARRIVAL_MAY_RUN;
	return ret;
}

static const char may_run[] =
	"the guest may run in QEMU: ask it by query-status; if it does not, end "
	"this QEMU first, then continue the guest at its source";

/* run: if QEMU refuses, the guest does not run; if it does not answer, nobody
 * knows, and the source must not go on. */
static int run(void *arg, struct pt_error *err)
{
	struct pt_arrival *a = arg;
	int ret;

	pt_record_handing(a->control_path, "receiver", may_run);
	ret = pt_qemu_run(a->qemu, err);
	if (!ret)
		a->state = PT_ARRIVAL_RUNS;
	if (!ret || ret == -EREMOTEIO)
		return ret;
	a->state = PT_ARRIVAL_MAY_RUN;
	if (err)
		err->exit = PT_EXIT_UNKNOWN;
	return ret;
}

static int collapse(void *arg, __u64 addr, __u64 sz)
{
	const struct pt_arrival *a = arg;

	return pt_collapser_do(a->collapser, addr, sz);
}

static int poison(void *arg, const struct pt_sink_guest_mark *marks, __u32 cnt,
		  struct pt_error *err)
{
	const struct pt_arrival *a = arg;
	struct pt_marker_range *ranges = calloc(cnt, sizeof(*ranges));
	int ret;

	if (!ranges)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u ranges", cnt);
	for (__u32 i = 0; i < cnt; i++)
		ranges[i] = (struct pt_marker_range){ marks[i].addr,
						      marks[i].sz };
	ret = pt_marker_do(a->marker, ranges, cnt, err);
	free(ranges);
	return ret;
}

static void unmarked(void *arg, const struct pt_error *err)
{
	(void)arg;
	pt_out_warn("warning: %s; the guest runs, and that process reads zeroes there",
		    err->text);
}

/* ---- a guest that runs before its memory is whole ---- */

static int arm(void *arg, const __u64 *lacks, __u64 page_cnt, struct pt_error *err)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_arm(a->postcopy, lacks, page_cnt, err);
}

static int page(void *arg, __u64 at, const void *bytes, struct pt_error *err)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_page(a->postcopy, at, bytes, err);
}

static int zero(void *arg, __u64 at, __u64 cnt, struct pt_error *err)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_zero(a->postcopy, at, cnt, err);
}

static int lose(void *arg, __u64 at, __u64 cnt, struct pt_error *err)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_lose(a->postcopy, at, cnt, err);
}

/* ask_again runs a guest whose receiver was killed just before QEMU was told to.  The
 * sender of its rest has seen that it stands still at its source. */
static int ask_again(struct pt_arrival *a, struct pt_error *err)
{
	bool was_loaded;
	int ret = 0;

	if (!a->qemu && a->monitor_fd < 0)
		ret = a->monitor_fd = pt_qemu_connect(a->qmp, err);
	if (!a->qemu && ret >= 0) {
		ret = pt_qemu_adopt(&a->qemu, a->monitor_fd, a->qmp, a->pid, err);
		a->monitor_fd = -1;
	}
	if (!ret)
		ret = pt_qemu_run_again(a->qemu, &was_loaded, err);
	if (ret < 0)
		return ret;
	pt_postcopy_does_run(a->postcopy);
	if (was_loaded)
		pt_out_log("%s: the guest was not told to run yet, and runs now", a->qmp);
	return 0;
}

/* run_again is done while pages come: if QEMU cannot be asked, they come all the same. */
static int run_again(void *arg, struct pt_error *err)
{
	struct pt_arrival *a = arg;

	(void)err;
	if (pt_postcopy_may_stand(a->postcopy) && ask_again(a, &a->why))
		pt_out_warn("warning: the guest may stand still: %s", a->why.text);
	return 0;
}

static int whole(void *arg, struct pt_error *err)
{
	struct pt_arrival *a = arg;
	int ret = pt_postcopy_whole(a->postcopy, err);

	if (ret || !pt_postcopy_may_stand(a->postcopy) || !ask_again(a, &a->why))
		return ret;
	return pt_error_set(err, PT_EXIT_UNKNOWN, -EREMOTEIO, "all pages have come, but the "
			    "guest may stand still: %.300s (ask by query-status; if it is "
			    "paused, continue it here)", a->why.text);
}

static void wrong(void *arg, const char *text)
{
	const struct pt_arrival *a = arg;

	pt_postcopy_wrong(a->postcopy, text);
}

static const struct pt_sink_guest_fill fill = {
	.arm = arm, .page = page, .zero = zero, .lose = lose, .whole = whole,
};

static void tell(void *arg, int wake_fd)
{
	const struct pt_arrival *a = arg;

	pt_postcopy_tell(a->postcopy, wake_fd);
}

static __u32 wanted(void *arg, __u64 *pages, __u32 max)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_wanted(a->postcopy, pages, max);
}

/* run_early runs the guest, which lacks some of its memory. */
static int run_early(void *arg, struct pt_error *err)
{
	const struct pt_arrival *a = arg;
	struct pt_postcopy_counts counts;
	int ret;

	ret = run(arg, err);
	if (!ret)
		pt_postcopy_does_run(a->postcopy);
	pt_postcopy_counts(a->postcopy, &counts);
	if (!ret)
		pt_out_log("%s: the guest runs, and %llu pages of its memory are still "
			   "to come", a->qmp, (unsigned long long)counts.pending);
	return ret;
}

void pt_arrival_report(const struct pt_arrival *a, json_t *to)
{
	struct pt_postcopy_counts c;
	json_t *o;

	if (!a->postcopy)
		return;
	pt_postcopy_counts(a->postcopy, &c);
	o = json_pack("{s:I, s:I, s:I, s:I, s:{s:f, s:f, s:f}}",
		"lacking-pages", (json_int_t)c.lacking,
		"pending-pages", (json_int_t)c.pending,
		"foreign-pages", (json_int_t)c.foreign,
		"faults", (json_int_t)c.faults, "fault-us",
		"p50", pt_latency_ns(&c.latency, 500) / 1e3,
		"p99", pt_latency_ns(&c.latency, 990) / 1e3,
		"max", c.latency.max_ns / 1e3);
	if (c.late_mapper[0])
		json_object_set_new(o, "late-mapper", json_string(c.late_mapper));
	json_object_set_new(to, "postcopy", o);
}

static void running(void *arg, __u64 guest_id)
{
	const struct pt_arrival *a = arg;

	pt_postcopy_running(a->postcopy, guest_id);
}

static __u64 lacks(void *arg, __u64 *at)
{
	const struct pt_arrival *a = arg;

	return pt_postcopy_lacks(a->postcopy, at);
}

/* loaded_early: once all is loaded, the guest may run. */
static int loaded_early(void *arg, struct pt_error *err)
{
	const struct pt_arrival *a = arg;
	int ret = loaded(arg, err);

	return ret ? ret : pt_postcopy_check(a->postcopy, err);
}

static void warn_faults(void *arg, const char *text)
{
	const struct pt_arrival *a = arg;

	pt_out_warn("warning: %s: %s", a->qmp, text);
}

static int open_faults(struct pt_arrival *a, struct pt_error *err)
{
	const struct pt_postcopy_cfg cfg = {
		.qmp = a->qmp, .warn = warn_faults, .arg = a,
	};
	int ret = pt_postcopy_open(&a->postcopy, a->qemu, &cfg, &a->unseen_cnt, err);

	a->guest.loaded = loaded_early;
	a->guest.run = run_early;
	a->guest.wrong = wrong;
	a->guest.running = running;
	a->guest.tell = tell;
	a->guest.wanted = wanted;
	return ret;
}

/* open_monitor connects while this process may; QEMU's main thread may wait for a page,
 * and answers once that has come. */
static int open_monitor(struct pt_arrival *a, struct pt_error *err)
{
	if (!pt_postcopy_may_stand(a->postcopy))
		return 0;
	a->monitor_fd = pt_qemu_connect(a->qmp, err);
	return a->monitor_fd < 0 ? a->monitor_fd : 0;
}

static int join_faults(struct pt_arrival *a, struct pt_error *err)
{
	const struct pt_postcopy_cfg cfg = {
		.qmp = a->qmp, .warn = warn_faults, .arg = a,
	};

	return pt_postcopy_join(&a->postcopy, &cfg, err);
}

/* open_rest opens the memory of a guest that runs, and lacks some of it. */
static int open_rest(struct pt_arrival *a, struct pt_error *err)
{
	struct pt_sink_guest_range ranges[PT_QEMU_RANGES_MAX] = { 0 };
	struct pt_sink_guest_cfg own = {
		.ranges = ranges, .fill = &fill, .is_rest = true, .arg = a,
	};
	int ret;

	for (; own.cnt < PT_QEMU_RANGES_MAX &&
	     pt_postcopy_memory(a->postcopy, own.cnt, &ranges[own.cnt].name,
				&ranges[own.cnt].sz); own.cnt++)
		a->memory_sz += ranges[own.cnt].sz;
	a->range_cnt = own.cnt;
	a->pid = pt_postcopy_pid(a->postcopy);
	a->pidfd = syscall(SYS_pidfd_open, a->pid, 0);
	a->state = PT_ARRIVAL_RUNS;
	a->guest.rest_of = pt_postcopy_guest_id(a->postcopy);
	a->guest.run = run_again;
	a->guest.wrong = wrong;
	a->guest.lacks = lacks;
	a->guest.tell = tell;
	a->guest.wanted = wanted;
	ret = open_monitor(a, err);
	return ret ? ret : pt_sink_open_guest(&a->sink, &own, err);
}

static int open_sink(struct pt_arrival *a, const struct pt_qemu_range *ram,
		     __u32 cnt, struct pt_error *err)
{
	struct pt_sink_guest_range *ranges = calloc(cnt, sizeof(*ranges));
	const struct pt_sink_guest_cfg cfg = {
		.pid = pt_qemu_pid(a->qemu), .ranges = ranges, .cnt = cnt,
		.run = run, .collapse = a->collapser ? collapse : NULL,
		.poison = a->marker ? poison : NULL, .unmarked = unmarked,
		.fill = a->postcopy ? &fill : NULL, .arg = a,
	};
	int ret;

	if (!ranges)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for %u ranges", cnt);
	for (__u32 i = 0; i < cnt; i++) {
		ranges[i] = (struct pt_sink_guest_range){
			.name = ram[i].id, .sz = ram[i].sz,
			.addr = ram[i].addr, .path = ram[i].path,
			.off = ram[i].off,
		};
		a->memory_sz += ram[i].sz;
	}
	a->range_cnt = cnt;
	ret = pt_sink_open_guest(&a->sink, &cfg, err);
	free(ranges);
	return ret;
}

int pt_arrival_serve(struct pt_arrival *a, struct pt_error *err)
{
	if (!a->guest.rest_of)
		return 0;
	if (!pt_postcopy_lacks_none(a->postcopy))
		return pt_postcopy_serve(a->postcopy, err);
	pt_out_log("%s: all pages of the guest have come, and its memory is ordinary from now "
		   "on", a->qmp);
	return pt_postcopy_whole(a->postcopy, err);
}

int pt_arrival_open(struct pt_arrival *a, const char *qmp, pid_t pid,
		    struct pt_arrival_with with, struct pt_error *err)
{
	struct pt_qemu_range *ram = NULL;
	__u32 cnt;
	int ret;

	*a = (struct pt_arrival){
		.qmp = qmp,
		.pidfd = -1,
		.monitor_fd = -1,
		.guest = { .name = qmp, .match = match, .begin = begin,
			   .loaded = loaded, .arg = a },
	};
	ret = with.faults ? join_faults(a, err) : -ENOENT;
	if (!ret)
		ret = open_rest(a, err);
	if (ret != -ENOENT) {
		if (ret)
			pt_arrival_close(a);
		return ret;
	}
	ret = pt_qemu_open(&a->qemu, qmp, pid, err);
	if (!ret) {
		a->pid = pt_qemu_pid(a->qemu);
		a->pidfd = syscall(SYS_pidfd_open, pt_qemu_pid(a->qemu), 0);
		ret = pt_qemu_dest_check(a->qemu, err);
	}
	if (!ret)
		ret = pt_qemu_describe(a->qemu, &a->description, err);
	if (!ret)
		ret = pt_qemu_ram(a->qemu, &ram, &cnt, err);
	if (!ret && with.large)
		ret = pt_collapser_open(&a->collapser, pt_qemu_pid(a->qemu),
					err);
	if (!ret)
		ret = pt_marker_open(&a->marker, pt_qemu_pid(a->qemu), err);
	if (!ret && with.faults)
		ret = open_faults(a, err);
	if (!ret)
		ret = open_sink(a, ram, cnt, err);
	free(ram);
	if (ret)
		pt_arrival_close(a);
	return ret;
}

bool pt_arrival_is_whole(const struct pt_arrival *a)
{
	return a->postcopy && pt_postcopy_is_whole(a->postcopy);
}

bool pt_arrival_lacks_none(const struct pt_arrival *a)
{
	return a->guest.rest_of && pt_postcopy_lacks_none(a->postcopy);
}

/* has_ended: a process that ends loses its memory and its sockets first. */
static bool has_ended(const struct pt_arrival *a, int failure)
{
	struct pollfd fd = { .fd = a->pidfd, .events = POLLIN };
	bool may_be_cause = failure == -EIO || failure == -EPIPE ||
			    failure == -ECONNRESET;

	return poll(&fd, 1, may_be_cause ? END_MS : 0) == 1;
}

const char *pt_arrival_left(const struct pt_arrival *a, int failure)
{
	if (has_ended(a, failure))
		return "QEMU has ended (its log tells why)";
	switch (a->state) {
	case PT_ARRIVAL_WAITS:
		return "QEMU still waits for a guest, and its memory is "
		       "undefined until one has arrived";
	case PT_ARRIVAL_BEGUN:
		return "QEMU holds a part of the guest, never ran it, and "
		       "cannot wait for another one: start it anew";
	case PT_ARRIVAL_LOADED:
		return "QEMU holds the guest, paused, which goes on at its "
		       "source: end this QEMU, do not continue it";
	case PT_ARRIVAL_RAN:
		return "the guest ran in QEMU and is paused there, and goes on "
		       "at its source: end this QEMU, do not continue it";
	case PT_ARRIVAL_MAY_RUN:
		return may_run;
	case PT_ARRIVAL_RUNS:
		break;
	}
	return a->postcopy && failure && !pt_postcopy_is_whole(a->postcopy) ?
	       "the guest runs here, and waits when it touches a page that has not come: "
	       "do not end this QEMU, and give the same commands at both ends again" : "";
}

void pt_arrival_close(struct pt_arrival *a)
{
	if (!a->qemu && !a->postcopy)
		return;
	pt_sink_close(a->sink);
	pt_postcopy_close(a->postcopy);
	pt_collapser_close(a->collapser);
	pt_marker_close(a->marker);
	pt_qemu_close(a->qemu);
	if (a->pidfd >= 0)
		close(a->pidfd);
	if (a->monitor_fd >= 0)
		close(a->monitor_fd);
	free(a->description);
	a->sink = NULL;
	a->postcopy = NULL;
	a->collapser = NULL;
	a->marker = NULL;
	a->qemu = NULL;
	a->description = NULL;
}
