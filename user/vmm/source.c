/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The QEMU that a guest leaves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <pagetrim/clock.h>
#include "base/text.h"
#include "qmp/json.h"
#include "vmm/guard.h"
#include "vmm/qemu_impl.h"

#define RETRY_MS	20	/* between looks of a cancel */
#define CANCEL_AGAIN_MS	1000
#define FAIL_MS		10000	/* for a migration without its stream to fail */

static int does_not_run(const struct pt_qemu *q, const char *run,
			struct pt_error *err)
{
	const char *remedy = "continue it first, by QMP 'cont'";

	if (!strcmp(run, "inmigrate"))
		remedy = "it waits for a guest: give this PATH to pagetrim "
			 "receive";
	else if (!strcmp(run, "postmigrate"))
		remedy = "it has left this QEMU already; QMP 'cont' brings it "
			 "back, if it runs nowhere else";
	else if (!strcmp(run, "shutdown") || !strcmp(run, "guest-panicked") ||
		 !strcmp(run, "internal-error"))
		remedy = "it cannot go on: QMP 'system_reset', then 'cont', "
			 "starts it again";
	return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: the guest does not "
			    "run, its state is '%s' (%s)", q->name, run,
			    remedy);
}

static int blocked(const struct pt_qemu *q, const json_t *reasons,
		   struct pt_error *err)
{
	const char *first = json_string_value(json_array_get(reasons, 0));
	size_t cnt = json_array_size(reasons);
	char reason[300], more[40] = "";

	pt_text_clean(reason, sizeof(reason), first ? first :
		      "QEMU does not tell which");
	if (cnt > 1)
		snprintf(more, sizeof(more), ", and %zu more", cnt - 1);
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: a device "
			    "blocks the migration of this guest: %s%s (remove "
			    "that device from the guest, or configure it so "
			    "that it can move)", q->name, reason, more);
}

/* check_blockers: QEMU before 6.0 tells none, and refuses later. */
static int check_blockers(struct pt_qemu *q, struct pt_error *err)
{
	json_t *info = NULL, *reasons;
	int code = pt_qemu_do(q, "query-migrate", NULL, &info, err);

	if (code)
		return code;
	reasons = json_object_get(info, "blocked-reasons");
	if (json_is_true(json_object_get(info, "blocked")) ||
	    json_array_size(reasons))
		code = blocked(q, reasons, err);
	json_decref(info);
	return code;
}

/* check_state, unlike a look at the memory, needs no privilege. */
static int check_state(struct pt_qemu *q, struct pt_error *err)
{
	struct pt_qemu_state s;
	int code = pt_qemu_look(q, &s, err);

	if (code)
		return code;
	if (pt_qemu_is_moving(s.migration) && strcmp(s.run, "inmigrate"))
		return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: a migration "
				    "of this guest is on its way already, in "
				    "state '%s' (wait for it, or cancel it by "
				    "QMP 'migrate_cancel')", q->name,
				    s.migration);
	if (!s.is_running)
		return does_not_run(q, s.run, err);
	return check_blockers(q, err);
}

int pt_qemu_source_check(struct pt_qemu *q, struct pt_error *err)
{
	struct pt_qemu_range *ranges;
	__u32 cnt;
	int code = check_state(q, err);

	if (!code)
		code = pt_qemu_check_dma(q, err);
	if (!code)
		code = pt_qemu_ram(q, &ranges, &cnt, err);
	if (!code)
		free(ranges);
	return code;
}

int pt_qemu_throttle_open(struct pt_qemu *q, struct pt_error *err)
{
	return pt_throttle_open(&q->throttle, q->pid, err);
}

/* The guard hears of a throttle before there is one, and of its end after it. */
int pt_qemu_throttle(struct pt_qemu *q, unsigned percent, struct pt_error *err)
{
	int code;

	if (percent)
		pt_qemu_guard_throttled(q->guard, true);
	code = pt_throttle_set(q->throttle, percent, err);
	if (!code && !percent)
		pt_qemu_guard_throttled(q->guard, false);
	return code;
}

/* may_have_begun: a `migrate` with this outcome was not refused. */
static bool may_have_begun(int code)
{
	return !code || code == -ECONNRESET || code == -EPROTO ||
	       code == -ETIMEDOUT;
}

int pt_qemu_source_begin(struct pt_qemu *q, int *fd, struct pt_error *err)
{
	int code = check_state(q, err);

	if (code)
		return code;
	pt_qemu_guard_tell(q->guard, PT_QEMU_GUARD_PREPARED);
	code = pt_qemu_set_caps(q, true, err);
	if (!code) {
		pt_qemu_guard_tell(q->guard, PT_QEMU_GUARD_BEGUN);
		code = pt_qemu_start(q, "migrate", fd, err);
		q->is_begun = may_have_begun(code);
		if (code)
			pt_qemu_reset_caps(q);
	}
	if (!q->is_begun)
		pt_qemu_guard_tell(q->guard, PT_QEMU_GUARD_IDLE);
	return code;
}

int pt_qemu_wait_stopped(struct pt_qemu *q, int timeout_ms,
			 struct pt_error *err)
{
	return pt_qemu_wait(q, "pre-switchover", timeout_ms, err);
}

int pt_qemu_continue(struct pt_qemu *q, struct pt_error *err)
{
	q->is_continued = true;
	return pt_qemu_do(q, "migrate-continue",
			  json_pack("{s:s}", "state", "pre-switchover"), NULL,
			  err);
}

int pt_qemu_wait_completed(struct pt_qemu *q, int timeout_ms,
			   struct pt_error *err)
{
	int code = pt_qemu_wait(q, "completed", timeout_ms, err);

	q->resets |= !code;
	return code;
}

/* break_stream makes a migration that sends the device state fail.  A cancel at the
 * moment at which it fails can leave disk images inactive in a guest that runs,
 * whose next write then ends QEMU (seen with 7.2); so it is the last resort.
 *
 * It ends QEMU's return path only, and reads on: when both directions
 * end at once, two threads of QEMU clean up, and one may use a file that the
 * other has freed (seen once with 7.2, an assertion of qemu_peek_byte). */
static void break_stream(const struct pt_qemu *q)
{
	char bytes[65536];
	struct stat st;

	if (!q->stream_ino || fstat(q->stream_fd, &st) ||
	    st.st_ino != q->stream_ino)
		return;
	shutdown(q->stream_fd, SHUT_WR);
	while (recv(q->stream_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

/* sends_devices: the migration sends the device state, or is about to. */
static bool sends_devices(const struct pt_qemu *q,
			  const struct pt_qemu_state *s)
{
	return !strcmp(s->migration, "device") ||
	       (q->is_continued && !strcmp(s->migration, "pre-switchover"));
}

/* cancel_again: a cancel that comes just as QEMU begins to wait at pre-switchover
 * does not wake it (seen once with 7.2); a continue from this state does. */
static void cancel_again(struct pt_qemu *q, const struct pt_qemu_state *s)
{
	if (strcmp(s->migration, "cancelling"))
		pt_qemu_do(q, "migrate_cancel", NULL, NULL, NULL);
	else
		pt_qemu_do(q, "migrate-continue",
			   json_pack("{s:s}", "state", "cancelling"), NULL,
			   NULL);
}

int pt_qemu_cancel(struct pt_qemu *q, struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(PT_QEMU_CANCEL_MS);
	__u64 fails_ns = pt_deadline_ns(FAIL_MS), again_ns = 0;
	struct pt_qemu_state s;

	if (!q->is_begun)
		return 0;
	for (;;) {
		int code = pt_qemu_look(q, &s, err);
		bool is_moving = !code && pt_qemu_is_moving(s.migration);
		json_t *event;

		if (code && q->is_late && pt_left_ms(deadline_ns))
			continue;
		if (code)
			return code;
		if (!is_moving && !pt_qemu_is_stopped(s.run))
			break;
		if (!pt_left_ms(deadline_ns))
			return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT,
					    "%s: the guest does not run again "
					    "after %d s: its state is '%s', its "
					    "migration's '%s' (try QMP "
					    "'migrate_cancel', then 'cont')",
					    q->name, PT_QEMU_CANCEL_MS / 1000,
					    s.run, s.migration);
		if (!is_moving) {
			/* It is refused until the migration's thread ended. */
			pt_qemu_do(q, "cont", NULL, NULL, NULL);
		} else if (sends_devices(q, &s) && pt_left_ms(fails_ns)) {
			break_stream(q);
		} else if (pt_clock_ns() >= again_ns) {
			cancel_again(q, &s);
			again_ns = pt_deadline_ns(CANCEL_AGAIN_MS);
		}
		if (!pt_qmp_event(q->qmp, RETRY_MS, &event, NULL))
			json_decref(event);
	}
	/* If it runs already, this makes sure that its disks are active. */
	if (!strcmp(s.run, "running") && *s.migration)
		pt_qemu_do(q, "cont", NULL, NULL, NULL);
	pt_qemu_reset_caps(q);
	return 0;
}
