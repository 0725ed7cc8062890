/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The receiver. */
#include <errno.h>
#include <stdlib.h>

#include "api/live_recv.h"
#include "api/objects.h"
#include "api/opts.h"
#include "api/status.h"
#include "receive/receiver.h"

struct recv {
	struct pt_receiver *inner;
	struct pt_tls *tls;
	const void *sink;		/* its handle, held */
	struct api_live_recv *live;	/* NULL: memory alone */
	struct api_strings strings;
	void (*event)(const struct pt_event *event, void *arg);
	void *arg;
	bool is_started;
};

static struct pt_status status_of(const struct pt_receive_report *r,
				  enum pt_phase phase)
{
	return (struct pt_status){
		.sz = sizeof(struct pt_status),
		.transfer_id = r->transfer_id,
		.phase = phase,
		.memory_sz = r->memory_sz,
		.data_sz = r->placed_sz,
		.total_ns = r->total_ns,
		.unreadable_pages = r->unreadable.page_cnt,
	};
}

static void tell(const struct recv *r, enum pt_event_kind kind,
		 const struct pt_receive_report *report)
{
	const struct pt_status status = status_of(report,
		kind == PT_EVENT_OPENED ? PT_PHASE_ACTIVE : PT_PHASE_DONE);
	struct api_error error;

	api_fail(&error, report->result, &report->error);
	r->event(&(struct pt_event){
		.sz = sizeof(struct pt_event),
		.kind = kind,
		.name = report->name,
		.path = report->path,
		.peer = report->peer,
		.status = &status,
		.error = kind == PT_EVENT_FAILED ? &error : NULL,
	}, r->arg);
}

static void on_opened(const struct pt_receive_report *report, void *arg)
{
	tell(arg, PT_EVENT_OPENED, report);
}

static void on_ended(const struct pt_receive_report *report, void *arg)
{
	tell(arg, report->result ? PT_EVENT_FAILED : PT_EVENT_COMMITTED, report);
}

static void on_stranger(const struct pt_error *why, void *arg)
{
	const struct recv *r = arg;
	struct api_error error;

	api_fail(&error, -EPROTO, why);
	r->event(&(struct pt_event){
		.sz = sizeof(struct pt_event),
		.kind = PT_EVENT_TURNED_AWAY,
		.name = "", .path = "", .peer = "",
		.error = &error,
	}, r->arg);
}

/* free_recv leaves all of it to threads that still wait for storage; the sink
 * stays held then. */
static void free_recv(struct recv *r)
{
	if (!pt_receiver_close(r->inner))
		return;
	api_live_recv_close(r->live);
	pt_tls_close(r->tls);
	api_strings_free(&r->strings);
	if (r->sink)
		api_release(r->sink);
	free(r);
}

/* fill makes a cfg of the options; its pointers are into r. */
static int fill(struct recv *r, struct pt_receiver_cfg *cfg,
		const struct pt_recv_opts *o, struct api_error *err)
{
	const struct api_common common = API_COMMON(o);
	int ret = api_common_check(&common, err);

	if (!ret)
		ret = api_cpus(&cfg->cpus, o->cpus, err);
	if (ret)
		return ret;
	API_COMMON_FILL(cfg, &common);
	cfg->memory_sz_max = o->max_memory;
	cfg->files_sz_max = o->max_files;
	r->event = o->event;
	r->arg = o->arg;
	if (o->event)
		cfg->events = (struct pt_receive_events){
			.opened = on_opened, .ended = on_ended,
			.stranger = on_stranger, .arg = r,
		};
	ret = api_tls_open(&r->tls, o->security, PT_ROLE_RECEIVER, err);
	cfg->tls = r->tls;
	return ret;
}

static int use_sink(struct recv *r, struct pt_receiver_cfg *cfg,
		    struct api_sink_object *sink, struct api_error *err)
{
	if (sink->inner && sink->is_used)
		return api_mistake(err, "another receiver has used the sink: "
				   "one that is no file takes one transfer");
	cfg->sink = sink->inner;
	cfg->path = api_strings_add(&r->strings, sink->path);
	cfg->serve = sink->serve;
	cfg->resume = sink->resume;
	cfg->prealloc_sz = sink->prealloc_sz;
	return 0;
}

static int use_live(struct recv *r, struct pt_receiver_cfg *cfg,
		    const struct pt_recv_opts *o, struct api_error *err)
{
	int ret;

	if (!o->live)
		return 0;
	if (!cfg->sink)
		return api_mistake(err, "live: the sink is a file: a program "
				   "arrives in memory of pt_sink_regions and "
				   "the like alone");
	ret = api_live_recv_open(&r->live, o->live, err);
	if (!ret)
		cfg->guest = api_live_recv_guest(r->live);
	return ret;
}

static int open_receiver(struct recv *r, const struct pt_receiver_cfg *cfg,
			 struct api_error *err)
{
	struct pt_error why;
	int ret;

	if (r->strings.failed)
		return api_no_memory(err);
	api_enter();
	ret = pt_receiver_open(&r->inner, cfg, &why);
	api_leave();
	return api_fail(err, ret, &why);
}

/* open_all: the sink is held already. */
static int open_all(struct recv *r, const struct api_sink *handle,
		    const char *dev, const char *listen,
		    const struct pt_recv_opts *o, struct api_error *err)
{
	struct api_sink_object *sink = api_take(API_SINK, handle, err);
	struct pt_receiver_cfg cfg = { 0 };
	int ret = sink ? use_sink(r, &cfg, sink, err) : -EINVAL;

	if (!ret)
		ret = fill(r, &cfg, o, err);
	if (!ret)
		ret = use_live(r, &cfg, o, err);
	if (!ret) {
		cfg.dev = api_strings_add(&r->strings, dev);
		cfg.listen = api_strings_add(&r->strings, listen);
		ret = open_receiver(r, &cfg, err);
	}
	if (sink) {
		sink->is_used |= !ret;
		api_give(handle);
	}
	return ret;
}

int pt_recv_open(struct pt_recv **out, struct api_sink *sink, const char *dev,
		 const char *listen, const struct pt_recv_opts *opts,
		 struct api_error *err)
{
	struct pt_recv_opts o;
	struct recv *r;
	int ret;

	if (!out || !dev || !listen || !opts)
		return api_mistake(err, "out, dev, listen or opts is NULL");
	ret = api_opts_copy(&o, sizeof(o), opts, "pt_recv_opts", err);
	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return api_no_memory(err);
	if (api_hold_alone(API_SINK, sink, err))
		r->sink = sink;
	ret = r->sink ? open_all(r, sink, dev, listen, &o, err) : -EINVAL;
	if (!ret) {
		*out = api_handle_new(API_RECV, r, err);
		ret = *out ? 0 : -EINVAL;
	}
	if (ret)
		free_recv(r);
	return ret;
}

int pt_recv_start(struct pt_recv *recv, struct api_error *err)
{
	struct recv *r = api_take_own(API_RECV, recv, err);
	struct pt_error why;
	int ret;

	if (!r)
		return -EINVAL;
	api_enter();
	ret = api_fail(err, pt_receiver_start(r->inner, &why), &why);
	api_leave();
	r->is_started |= !ret;
	api_give_own(recv);
	return ret;
}

int pt_recv_fd(struct pt_recv *recv, struct api_error *err)
{
	const struct recv *r = api_take(API_RECV, recv, err);
	int fd;

	if (!r)
		return -EINVAL;
	fd = pt_receiver_fd(r->inner);
	api_give(recv);
	return fd;
}

int pt_recv_step(struct pt_recv *recv, struct api_error *err)
{
	struct recv *r = api_take_own(API_RECV, recv, err);
	struct pt_error why;
	int ret;

	if (!r)
		return -EINVAL;
	if (!r->is_started) {
		ret = api_mistake(err, "the receiver was not started, or its "
				  "start failed");
	} else {
		api_enter();
		ret = pt_receiver_step(r->inner, &why);
		api_leave();
		if (ret < 0)
			api_fail(err, ret, &why);
	}
	api_give_own(recv);
	return ret;
}

int pt_recv_cancel(struct pt_recv *recv, struct api_error *err)
{
	struct recv *r = api_take(API_RECV, recv, err);

	if (!r)
		return -EINVAL;
	pt_receiver_cancel(r->inner);
	api_give(recv);
	return 0;
}

int pt_recv_status(struct pt_recv *recv, uint32_t idx, struct pt_status *status,
		   struct api_error *err)
{
	struct pt_receive_report *reports;
	int ret = api_status_check(status, err);
	struct pt_status now;
	struct recv *r;

	if (ret)
		return ret;
	r = api_take(API_RECV, recv, err);
	if (!r)
		return -EINVAL;
	ret = -ENOENT;
	reports = idx < PT_ADMISSION_MAX ? calloc(idx + 1, sizeof(*reports))
					 : NULL;
	if (reports && pt_receiver_status(r->inner, reports, idx + 1) > idx) {
		now = status_of(&reports[idx], PT_PHASE_ACTIVE);
		api_status_give(status, &now);
		ret = 0;
	}
	api_give(recv);
	free(reports);
	return ret;
}

int pt_recv_close(struct pt_recv *recv, struct api_error *err)
{
	struct recv *r;

	if (!recv)
		return 0;
	r = api_end(API_RECV, recv, false, err);
	if (!r)
		return -EINVAL;
	api_enter();
	free_recv(r);
	api_leave();
	return 0;
}
