/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "cli/agent.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/privilege.h"
#include "cli/serve_qemu.h"
#include "cli/serve_report.h"
#include "lazy/keeper.h"
#include "lazy/mappers.h"
#include "lazy/place.h"
#include "lazy/serve.h"
#include "lazy/step.h"

#define STATE_NAME	"state"
#define TIMEOUT_S_MAX	86400
#define WARNINGS_MAX	8

struct serve {
	const char *image_path, *parent, *door;
	struct pt_serve_qemu qemu;
	bool started;			/* the keeper, by us */
	bool on_demand, no_order;
	__u64 timeout_ms;
	struct pt_agent agent;		/* its json and no_seccomp alone */

	struct pt_lazy_image *image;
	struct pt_lazy_kept kept;
	struct pt_lazy_record *record;
	int stop_fd;
	struct pt_lazy_order order, touched;
	__u64 began_ns;
	struct pt_latency latency;
	__u32 warned_cnt;
	const char *warned[WARNINGS_MAX];	/* each once */
};

static const struct pt_option doors[] = {
	{ "uffd-socket", "PATH",
	  "socket to make, at which a VMM hands its memory over as Firecracker does; "
	  "PATH.keeper and PATH.lock beside it are for the next server",
	  PT_OPTION(TEXT, struct serve, door), .offers = "file" },
	{ "qmp", "PATH",
	  "monitor of a QEMU that waits for a guest (-incoming defer): its memory is "
	  "served, and the state of its devices loaded; PATH.keeper and PATH.lock are "
	  "made beside it",
	  PT_OPTION(TEXT, struct serve, qemu.qmp), .offers = "file" },
	{ }
};

static const struct pt_option qemu_options[] = {
	{ "state", "NAME",
	  "small file of the image that has the state of the devices (default state)",
	  PT_OPTION(TEXT, struct serve, qemu.state) },
	{ "paused", NULL, "the guest is not run when it is loaded",
	  PT_OPTION(FLAG, struct serve, qemu.paused) },
	{ "pid", "PID", "of QEMU (default: the process that listens at the monitor)",
	  PT_OPTION(NUMBER, struct serve, qemu.pid), .min = 1, .max = INT_MAX },
	{ }
};

static const struct pt_option options[] = {
	{ "parent", "PATH",
	  "where the image's parent is (default: beside it, by the name that it had)",
	  PT_OPTION(TEXT, struct serve, parent), .offers = "file" },
	{ "on-demand", NULL,
	  "place only what is asked for, until the VMM ends, and record the order anew",
	  PT_OPTION(FLAG, struct serve, on_demand) },
	{ "no-order", NULL,
	  "neither use nor write IMAGE.order",
	  PT_OPTION(FLAG, struct serve, no_order) },
	{ "fault-timeout", "S",
	  "end the VMM (SIGKILL) if it waits for a page for S seconds, 1..86400, with a "
	  "server or without (default: it waits)",
	  PT_OPTION(NUMBER, struct serve, timeout_ms), .min = 1,
	  .max = TIMEOUT_S_MAX, .scale = 1000 },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-serve(8)",
	  PT_OPTION(FLAG, struct serve, agent.json) },
	{ "no-seccomp", NULL,
	  "all system calls stay allowed; else those that are not needed are "
	  "refused, and the log says which",
	  PT_OPTION(FLAG, struct serve, agent.no_seccomp) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "One of:", doors, 0 },
	{ "With --qmp:", qemu_options, 0 },
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_serve = {
	.name = "serve",
	.usage =
	"Usage: pagetrim serve IMAGE --uffd-socket PATH|--qmp PATH [options]\n"
	"\n"
	"Answers the page faults of a guest from the stored image of its memory, so that\n"
	"it runs before all is read: first the page that it waits for, with those that\n"
	"are compressed together with it, then the rest.  IMAGE is NAME.ptrim, or a raw\n"
	"image.  Ends when all is placed, or the VMM ends.\n",
	.groups = groups,
	.notes =
	"If this process dies the guest waits in its faults: the same command, given\n"
	"again, goes on.\n"
	"\n"
	"Exit: 0 all is placed, or the VMM ended, 1 interrupted, 2 wrong usage, 3 this\n"
	"      host lacks something, 4 the VMM's message or memory is wrong,\n"
	"      5 all is placed, but pages of the image are damaged.\n"
	"Example: pagetrim serve vm.ptrim --uffd-socket /run/vm/uffd.sock\n",
	.arguments = { "file" },
};

/* parse returns -1 to go on, or an exit code. */
static int parse(struct serve *s, int argc, char **argv)
{
	int code = pt_options_parse(&pt_command_serve, s, argc, argv);

	if (code >= 0)
		return code;
	if (optind == argc)
		return pt_out_usage("serve", "IMAGE is missing");
	if (optind + 1 < argc)
		return pt_out_usage("serve", "'%s': one IMAGE is enough",
				    argv[optind + 1]);
	if (!s->door == !s->qemu.qmp)
		return pt_out_usage("serve", "want one of --uffd-socket and --qmp");
	if (!s->qemu.qmp && (s->qemu.state || s->qemu.paused || s->qemu.pid))
		return pt_out_usage("serve", "--state, --paused and --pid go with "
				    "--qmp");
	if (!s->qemu.state)
		s->qemu.state = STATE_NAME;
	if (s->qemu.qmp)
		s->door = s->qemu.qmp;
	s->image_path = argv[optind];
	return -1;
}

/* ---- the guest ---- */

static void complain(void *arg, const char *text)
{
	struct serve *s = arg;

	for (__u32 i = 0; i < s->warned_cnt; i++)
		if (!strcmp(s->warned[i], text))
			return;
	if (s->warned_cnt == WARNINGS_MAX)
		return;
	s->warned[s->warned_cnt++] = text;
	pt_out_warn("warning: %s", text);
}

static void on_nothing(void *arg)
{
	complain(arg, "a process connected to the socket, and sent no message");
}

/* look warns of what cannot be known of the memory, and refuses what is known. */
static int look(struct serve *s, const struct pt_lazy_region *regions, __u32 cnt,
		struct pt_lazy_sight *sight, struct pt_error *err)
{
	const struct pt_lazy_handed *h = &s->kept.handed;
	int code = pt_lazy_mappers_look(sight, h->pid, regions, cnt, err);
	__u64 features;

	if (code)
		return code;
	if (!sight->is_owner)
		complain(s, sight->is_seen ? "the process that connected is not the one "
			"whose memory it is: whether another maps it is not known" :
			"the mappings of the VMM cannot be seen: whether another "
			"process maps its memory is not known");
	else if (sight->unseen_cnt)
		complain(s, "the VMM's memory is a file's, and some processes cannot be "
			"seen: whether they map it is not known");
	if (pt_place_features(h->fds[0], &features) &&
	    !(features & UFFD_FEATURE_EVENT_REMOVE))
		complain(s, "the VMM did not ask for UFFD_FEATURE_EVENT_REMOVE: memory "
			"that it gives away before it came comes from the image");
	return 0;
}

/* arm tells the keeper the fault timeout, if we may end the VMM. */
static int arm(struct serve *s, const struct pt_lazy_sight *sight, struct pt_error *err)
{
	const struct pt_lazy_handed *h = &s->kept.handed;
	const char *why = NULL;

	if (s->timeout_ms && h->pidfd < 0)
		why = "its process is not visible here";
	else if (s->timeout_ms && syscall(SYS_pidfd_send_signal, h->pidfd, 0, NULL, 0))
		why = strerror(errno);
	else if (s->timeout_ms && sight->is_seen && !sight->is_owner)
		why = "another process connected";
	if (why)
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "--fault-timeout: the VMM "
				    "could not be ended: %s (start this again without; "
				    "the guest waits)", why);
	pt_lazy_keeper_timeout(&s->kept, s->timeout_ms);
	return 0;
}

/* judge takes what the VMM handed over. */
static int judge(struct serve *s, struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
		 __u32 *cnt, struct pt_error *err)
{
	const struct pt_lazy_record *r = s->record;
	struct pt_lazy_sight sight;
	int code;

	code = pt_lazy_door_judge(&s->kept.handed, r->message, r->message_sz,
				  pt_lazy_image_sz(s->image), regions, cnt, err);
	if (!code)
		code = look(s, regions, *cnt, &sight, err);
	return code ? code : arm(s, &sight, err);
}

/* judge_qemu takes the memory of QEMU, which is touched last. */
static int judge_qemu(struct serve *s,
		      struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX], __u32 *cnt,
		      struct pt_error *err)
{
	pid_t pid = pt_qemu_pid(s->qemu.qemu);
	int code;

	if (pid != s->kept.handed.pid)
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: process %d listens, and "
				    "the keeper there has the memory of process %d (end "
				    "the latter)", s->door, pid, s->kept.handed.pid);
	code = arm(s, &s->qemu.found.sight, err);
	return code ? code : pt_serve_qemu_arm(&s->qemu, s->kept.handed.fds[0], regions,
					       cnt, err);
}

/* begin: pages are pending from then on. */
static int begin(struct serve *s, struct pt_error *err)
{
	static struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX];
	struct pt_lazy_record *r = s->record;
	__u32 cnt;
	int code = s->qemu.qmp ? judge_qemu(s, regions, &cnt, err)
			       : judge(s, regions, &cnt, err);

	if (code)
		return code;
	pt_lazy_enter(s->door, PT_LAZY_JUDGED_STEP);
	r->vmm_pid = s->kept.handed.pid;
	pt_lazy_record_begin(r, regions, cnt);
	pt_lazy_enter(s->door, PT_LAZY_BEGUN_STEP);
	pt_out_log("%s: process %d hands over %llu bytes in %u region%s", s->door,
		   r->vmm_pid, r->page_cnt * PT_PAGE_SZ, cnt, cnt == 1 ? "" : "s");
	return 0;
}

/* resume takes over from a server that was killed. */
static int resume(struct serve *s, struct pt_error *err)
{
	const struct pt_lazy_record *r = s->record;
	struct pt_lazy_sight sight;
	int code;

	if (!pt_place_is_uffd(s->kept.handed.fds[0]))
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "the keeper's descriptor "
				    "is no userfaultfd, and is not trusted");
	code = pt_lazy_mappers_look(&sight, s->kept.handed.pid, r->regions,
				    r->region_cnt, err);
	if (code)
		err->exit = PT_EXIT_HOST;	/* the next server may find it right */
	else
		code = arm(s, &sight, err);
	if (!code)
		pt_out_log("%s: goes on with the guest of process %d: %llu of %llu "
			   "pages are to be placed", s->door, r->vmm_pid,
			   r->pending_cnt, r->page_cnt);
	return code;
}

/* take_guest waits for the VMM, which may be there already. */
static int take_guest(struct serve *s, struct pt_error *err)
{
	int code = 0;

	if (s->started && s->qemu.qmp)
		code = pt_serve_qemu_give(&s->qemu, &s->kept, err);
	if (!code)
		code = pt_lazy_keeper_await(&s->kept, s->stop_fd, on_nothing, s, err);
	if (code)
		return code;
	pt_lazy_enter(s->door, PT_LAZY_HANDED_STEP);
	s->began_ns = pt_clock_ns();
	code = s->record->is_begun ? resume(s, err) : begin(s, err);
	if (!code && s->qemu.qmp)
		code = pt_serve_qemu_load(&s->qemu, err);
	return code;
}

/* open_guest opens all that needs the file system, and then confines itself. */
static int open_guest(struct serve *s, struct pt_error *err)
{
	struct pt_lazy_keeper_cfg cfg = {
		.door = s->door, .has_door = !s->qemu.qmp,
		.is_free = s->agent.no_seccomp,
	};
	int code;

	code = pt_lazy_image_open(&s->image, s->image_path, s->parent, err);
	if (code)
		return code;
	if (!s->no_order && pt_lazy_order_read(&s->order, s->image_path,
					       pt_lazy_image_sz(s->image), err))
		pt_out_warn("warning: %s; goes on in ascending order", err->text);
	pt_lazy_enter(s->door, PT_LAZY_OPENED_STEP);
	cfg.page_max = (pt_lazy_image_sz(s->image) + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	cfg.image_id = pt_lazy_image_id(s->image);
	code = pt_lazy_keeper_meet(&s->kept, &cfg, &s->started, err);
	if (!code)
		code = pt_lazy_record_open(&s->record, s->kept.record_fd,
					   pt_lazy_image_id(s->image), err);
	if (!code && !s->started)
		code = pt_serve_qemu_check(&s->qemu, s->door, s->record, err);
	if (!code && s->qemu.qmp)
		code = pt_serve_qemu_open(&s->qemu, s->image, s->record, s->stop_fd,
					  err);
	if (!code)
		code = s->qemu.qmp ? pt_agent_confine(&s->agent, true, err)
				   : pt_agent_confine_server(&s->agent, err);
	if (code)
		return code;
	pt_lazy_enter(s->door, PT_LAZY_KEPT_STEP);
	if (s->started && !s->qemu.qmp)
		pt_out_log("%s: waits for a VMM", s->door);
	pt_lazy_enter(s->door, PT_LAZY_WAITS_STEP);
	return take_guest(s, err);
}

/* ---- serving ---- */

static void on_damaged(void *arg, __u64 image_page, __u64 cnt, bool is_poisoned)
{
	const struct serve *s = arg;

	pt_out_warn("%s: damaged: %llu page%s from byte %llu on: %s", s->image_path,
		    cnt, cnt == 1 ? "" : "s", image_page * PT_PAGE_SZ, is_poisoned
		    ? "a memory error for the guest"
		    : "this kernel cannot poison it, so a thread that reads it waits");
}

static void save_order(struct serve *s)
{
	__u64 sz = pt_lazy_image_sz(s->image);
	struct pt_lazy_order *o = &s->order;
	struct pt_error err;

	if (s->no_order || !s->touched.cnt)
		return;
	if (s->on_demand)	/* anew */
		pt_lazy_order_free(o);
	if (pt_lazy_order_merge(o, &s->touched, sz))
		return;
	if (pt_lazy_order_write(o, s->image_path, sz, &err))
		pt_out_warn("warning: %s; the next guest goes on without", err.text);
}

static int run(struct serve *s, enum pt_lazy_end *end, struct pt_error *err)
{
	const struct pt_lazy_serve_cfg cfg = {
		.image = s->image, .record = s->record,
		.uffd = s->kept.handed.fds[0], .pidfd = s->kept.handed.pidfd,
		.stop_fd = s->qemu.qmp ? s->qemu.stop_fd : s->stop_fd,
		.keeper_fd = s->kept.connection,
		.on_demand = s->on_demand, .order = &s->order,
		.touched = &s->touched,
		.damaged = on_damaged, .warn = complain, .arg = s,
	};
	struct pt_lazy_serve *serve;
	int code = pt_lazy_serve_create(&serve, &cfg, err);

	if (code)
		return code;
	code = pt_lazy_serve_run(serve, end, err);
	s->latency = *pt_lazy_serve_latency(serve);
	pt_lazy_serve_destroy(serve);
	save_order(s);
	return code;
}

/* ---- the end ---- */

/* finish reports, and releases the keeper or leaves it. */
static int finish(struct serve *s, enum pt_lazy_end end)
{
	struct pt_error err;

	pt_serve_report(&(struct pt_serve_report){
		.image = s->image_path, .record = s->record,
		.latency = &s->latency, .seconds = (pt_clock_ns() - s->began_ns) / 1e9,
		.end = end,
	}, s->agent.json);
	pt_lazy_keeper_part(&s->kept, end == PT_LAZY_STOPPED ? PT_LAZY_PART_NEXT
							   : PT_LAZY_PART_END);
	pt_lazy_enter(s->door, PT_LAZY_TOLD_STEP);
	if (end == PT_LAZY_STOPPED && !s->record->pending_cnt)
		pt_error_set(&err, PT_EXIT_FAILED, -ECANCELED, "interrupted: all is "
			     "placed, and process %d was not left to itself yet (start "
			     "this again)", s->record->vmm_pid);
	else if (end == PT_LAZY_STOPPED)
		pt_error_set(&err, PT_EXIT_FAILED, -ECANCELED, "interrupted: the guest "
			     "waits in its faults (start this again to go on, or end "
			     "process %d)", s->record->vmm_pid);
	else if (end == PT_LAZY_WHOLE && s->record->counts.poisoned)
		pt_error_set(&err, PT_EXIT_MISMATCH, -EIO, "%s: %llu damaged pages: "
			     "the guest gets a memory error there (pagetrim image "
			     "verify names all)", s->image_path,
			     s->record->counts.poisoned);
	else
		return PT_EXIT_OK;
	return pt_out_fail("serve", &err);
}

/* qemu_end returns code, or why QEMU is not restored.  *end: a wait for that was
 * interrupted. */
static int qemu_end(struct serve *s, int code, enum pt_lazy_end *end,
		    struct pt_error *err)
{
	bool is_whole = !code && *end == PT_LAZY_WHOLE;
	struct pt_error why = { 0 };
	int failed = pt_serve_qemu_end(&s->qemu, is_whole, &why);

	if (is_whole && failed == -ECANCELED && !why.exit)
		*end = PT_LAZY_STOPPED;
	if (code || !why.exit)
		return code;
	*err = why;
	return failed;
}

/* part_of: how the keeper goes on after an error.  In doubt it keeps the guest. */
static enum pt_lazy_part part_of(const struct serve *s, enum pt_lazy_end end,
				 const struct pt_error *err)
{
	if (end == PT_LAZY_WHOLE)
		return PT_LAZY_PART_END;
	if (s->qemu.qmp && s->started && !s->qemu.is_loading)
		return PT_LAZY_PART_END;	/* QEMU still waits for a guest */
	return err->exit == PT_EXIT_PEER ? PT_LAZY_PART_REFUSED : PT_LAZY_PART_NEXT;
}

static void close_all(struct serve *s)
{
	pt_serve_qemu_close(&s->qemu);
	pt_lazy_record_close(s->record);
	pt_lazy_image_close(s->image);
	pt_lazy_order_free(&s->order);
	pt_lazy_order_free(&s->touched);
	pt_lazy_kept_close(&s->kept);
}

int pt_cmd_serve(int argc, char **argv)
{
	static struct serve s;
	enum pt_lazy_end end = PT_LAZY_STOPPED;
	struct pt_error err;
	int code;

	s = (struct serve){ .kept = PT_LAZY_KEPT_NONE };
	code = parse(&s, argc, argv);
	if (code >= 0)
		return code;
	pt_limits_raise_files();
	s.stop_fd = pt_stop_open();
	code = pt_privilege_harden(&err);
	if (!code)
		code = open_guest(&s, &err);
	if (!code)
		code = run(&s, &end, &err);
	if (s.qemu.qmp)
		code = qemu_end(&s, code, &end, &err);
	if (code)
		pt_lazy_keeper_part(&s.kept, part_of(&s, end, &err));
	code = code ? pt_out_fail("serve", &err) : finish(&s, end);
	close_all(&s);
	return code;
}
