/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The QEMU at which a guest arrives. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "vmm/qemu_impl.h"

#define RUN_MS		10000	/* for a loaded guest to run */
#define RETRY_MS	20

/* check_state, unlike a look at the memory, needs no privilege. */
static int check_state(struct pt_qemu *q, struct pt_error *err)
{
	struct pt_qemu_state s;
	int code = pt_qemu_look(q, &s, err);

	if (code)
		return code;
	if (strcmp(s.run, "inmigrate"))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: QEMU does "
				    "not wait for a guest, its guest's state is "
				    "'%s' (start it with -incoming defer)",
				    q->name, s.run);
	if (!strcmp(s.migration, "active"))
		return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: a guest is "
				    "on its way to this QEMU already (wait for "
				    "it, or start another QEMU)", q->name);
	/* QEMU 7.2 gives no state while it listens. */
	if (s.listens || pt_qemu_is_moving(s.migration))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: QEMU waits "
				    "for a guest at an address of its own "
				    "(start it with -incoming defer)",
				    q->name);
	return 0;
}

int pt_qemu_dest_check(struct pt_qemu *q, struct pt_error *err)
{
	struct pt_qemu_range *ranges;
	__u32 cnt;
	int code = check_state(q, err);

	if (!code)
		code = pt_qemu_ram(q, &ranges, &cnt, err);
	if (!code)
		free(ranges);
	return code;
}

/* incoming: from the file, or from a new stream if that is -1.  QEMU refuses it if it
 * waits by an -incoming that cannot be told from defer (fd:, exec:), or did wait for
 * another guest. */
static int incoming(struct pt_qemu *q, int file, int *stream, struct pt_error *err)
{
	struct pt_error why = { 0 };
	int code = file < 0 ? pt_qemu_start(q, "migrate-incoming", stream, &why)
			    : pt_qemu_start_at(q, "migrate-incoming", file, &why);

	if (code == -EREMOTEIO)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s (start QEMU "
				    "anew, with -incoming defer)", why.text);
	if (code && err)
		*err = why;
	return code;
}

static int begin(struct pt_qemu *q, int file, int *stream, struct pt_error *err)
{
	int code = check_state(q, err);

	if (!code)
		code = pt_qemu_set_caps(q, false, err);
	if (code)
		return code;
	/* While it is inmigrate, this only has it stay paused when loaded. */
	code = pt_qemu_do(q, "stop", NULL, NULL, err);
	if (!code)
		code = incoming(q, file, stream, err);
	if (code) {
		pt_qemu_do(q, "cont", NULL, NULL, NULL);
		pt_qemu_reset_caps(q);
	}
	return code;
}

int pt_qemu_dest_begin(struct pt_qemu *q, int *fd, struct pt_error *err)
{
	return begin(q, -1, fd, err);
}

int pt_qemu_restore_begin(struct pt_qemu *q, int fd, struct pt_error *err)
{
	return begin(q, fd, NULL, err);
}

/* is_loaded: the guest is, and was not run. */
static bool is_loaded(const struct pt_qemu_state *s)
{
	return !s->is_running && !strcmp(s->migration, "completed") &&
	       (!strcmp(s->run, "paused") || !strcmp(s->run, "prelaunch"));
}

int pt_qemu_restore_look(struct pt_qemu *q, enum pt_qemu_restore *state,
			 struct pt_error *err)
{
	struct pt_qemu_state s;
	int code = pt_qemu_look(q, &s, err);

	if (code)
		return code;
	*state = PT_QEMU_RUNS;
	if (!strcmp(s.run, "inmigrate"))
		*state = !s.listens && pt_qemu_is_moving(s.migration) ? PT_QEMU_LOADS
								       : PT_QEMU_WAITS;
	else if (is_loaded(&s))
		*state = PT_QEMU_LOADED;
	if (*state != PT_QEMU_WAITS)
		return 0;
	code = check_state(q, err);
	return code ? code : pt_qemu_check_dma(q, err);
}

int pt_qemu_restore_loaded(struct pt_qemu *q, int timeout_ms, struct pt_error *err)
{
	return pt_qemu_wait(q, "completed", timeout_ms, err);
}

void pt_qemu_restore_done(struct pt_qemu *q, bool is_ours)
{
	json_t *row;
	size_t i;

	json_array_foreach(q->caps, i, row)
		if (!is_ours)
			json_object_set_new(row, "state", json_false());
	pt_qemu_reset_caps(q);
}

/* stop_early stops a guest that another client let run. */
static int stop_early(struct pt_qemu *q, struct pt_error *err)
{
	struct pt_qemu_state s = { .is_running = true };

	pt_qemu_do(q, "stop", NULL, NULL, NULL);
	if (!pt_qemu_look(q, &s, NULL) && !s.is_running)
		return pt_error_set(err, PT_EXIT_HOST, -EALREADY, "%s: another "
				    "client let the guest run before the "
				    "source gave it up; it was stopped",
				    q->name);
	return pt_error_set(err, PT_EXIT_UNKNOWN, -EINPROGRESS, "%s: another "
			    "client let the guest run before the source gave "
			    "it up, and QEMU does not stop it", q->name);
}

int pt_qemu_dest_loaded(struct pt_qemu *q, int timeout_ms,
			struct pt_error *err)
{
	struct pt_qemu_state s = { 0 };
	int code = pt_qemu_wait(q, "completed", timeout_ms, err);

	if (!code)
		code = pt_qemu_look(q, &s, err);
	return code || !s.is_running ? code : stop_early(q, err);
}

/* announce has the guest's network cards tell the switches where it is now. */
static void announce(struct pt_qemu *q)
{
	pt_qemu_do(q, "announce-self",
		   json_pack("{s:i, s:i, s:i, s:i}", "initial", 50, "max", 550,
			     "rounds", 5, "step", 100), NULL, NULL);
}

int pt_qemu_run(struct pt_qemu *q, struct pt_error *err)
{
	__u64 deadline_ns = pt_deadline_ns(RUN_MS);
	struct pt_qemu_state s;
	int code = pt_qemu_do(q, "cont", NULL, NULL, err);

	while (!code) {
		json_t *event;

		code = pt_qemu_look(q, &s, err);
		if (code == -EREMOTEIO)	/* that would mean: it does not run */
			code = -EPROTO;
		if (code || s.is_running)
			break;
		if (!pt_left_ms(deadline_ns))
			return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT,
					    "%s: the guest does not run after "
					    "%d s, its state is '%s' (see "
					    "QEMU's log)", q->name,
					    RUN_MS / 1000, s.run);
		if (!pt_qmp_event(q->qmp, RETRY_MS, &event, NULL))
			json_decref(event);
	}
	if (code)
		return code;
	announce(q);
	pt_qemu_reset_caps(q);
	return 0;
}

int pt_qemu_run_again(struct pt_qemu *q, bool *was_loaded, struct pt_error *err)
{
	struct pt_qemu_state s;
	int code = pt_qemu_look(q, &s, err);

	*was_loaded = !code && is_loaded(&s);
	return *was_loaded ? pt_qemu_run(q, err) : code;
}
