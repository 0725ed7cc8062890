/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The sender. */
#include <stdlib.h>

#include "api/live_send.h"
#include "api/objects.h"
#include "api/opts.h"
#include "api/status.h"
#include "base/name.h"
#include "lane/rate.h"
#include "send/sender.h"

struct send {
	struct pt_sender *inner;
	struct pt_tls *tls;
	const void *source;		/* its handle, held */
	struct api_source_object *read;	/* its object, counted; NULL: not yet */
	struct api_live_send *live;	/* NULL: the memory stands still */
	struct api_strings strings;
	const char **files;
	void (*warn)(const char *text, void *arg);
	void *arg;
	bool is_started;
};

_Static_assert((int)PT_CHOICE_AUTO == PT_SEND_COPIES_AUTO &&
	       (int)PT_CHOICE_ON == PT_SEND_COPIES_ON &&
	       (int)PT_CHOICE_OFF == PT_SEND_COPIES_OFF, "copies");
_Static_assert((int)PT_COMPRESS_AUTO == PT_SEND_COMPRESS_AUTO &&
	       (int)PT_COMPRESS_OFF == PT_SEND_COMPRESS_OFF &&
	       (int)PT_COMPRESS_LZ4 == PT_SEND_COMPRESS_LZ4 &&
	       (int)PT_COMPRESS_ZSTD == PT_SEND_COMPRESS_ZSTD &&
	       PT_DELTA_CACHE_NONE == PT_SEND_DELTA_OFF, "compression, deltas");
_Static_assert((int)PT_PHASE_CONNECT == PT_SEND_CONNECT &&
	       (int)PT_PHASE_SETUP == PT_SEND_SETUP &&
	       (int)PT_PHASE_PROBE == PT_SEND_PROBE &&
	       (int)PT_PHASE_COMPARE == PT_SEND_COMPARE &&
	       (int)PT_PHASE_ACTIVE == PT_SEND_SEND &&
	       (int)PT_PHASE_VERIFY == PT_SEND_VERIFY &&
	       (int)PT_PHASE_COMMIT == PT_SEND_COMMIT &&
	       (int)PT_PHASE_DONE == PT_SEND_DONE, "phases");

static void on_warning(const char *text, void *arg)
{
	const struct send *s = arg;

	s->warn(text, s->arg);
}

static void free_send(struct send *s)
{
	pt_sender_close(s->inner);
	api_live_send_close(s->live);
	pt_tls_close(s->tls);
	api_strings_free(&s->strings);
	free(s->files);
	if (s->read)
		api_source_unread(s->read);
	if (s->source)
		api_release(s->source);
	free(s);
}

static int check_files(const struct pt_send_opts *o, struct api_error *err)
{
	if (o->with_cnt && !o->with)
		return api_mistake(err, "with is NULL, and with_cnt %u",
				   o->with_cnt);
	if (o->with_cnt > PT_FILES_MAX)
		return api_mistake(err, "with: %u files, want 0..%d", o->with_cnt,
				   PT_FILES_MAX);
	for (uint32_t i = 0; i < o->with_cnt; i++) {
		const char *slash = o->with[i] ? strrchr(o->with[i], '/') : "";
		const char *name = slash ? slash + 1 : o->with[i];

		if (!o->with[i])
			return api_mistake(err, "with: file %u is NULL", i);
		if (pt_name_file_fault(name))
			return api_mistake(err, "with: %s: no receiver stores a "
					   "file of that name: %s", o->with[i],
					   pt_name_file_fault(name));
	}
	return 0;
}

static int check_rate(uint64_t rate, struct api_error *err)
{
	if (!rate || (rate >= PT_RATE_MIN && rate <= PT_RATE_MAX))
		return 0;
	return api_mistake(err, "max_bandwidth: %llu, want %llu..%llu, or 0",
			   (unsigned long long)rate, PT_RATE_MIN, PT_RATE_MAX);
}

static int check_compress(const struct pt_send_opts *o, struct api_error *err)
{
	if ((unsigned)o->compress > PT_COMPRESS_ZSTD)
		return api_mistake(err, "compress: %d is no pt_compress",
				   o->compress);
	if (o->compress_level > PT_COMPRESS_LEVEL_MAX ||
	    (o->compress_level && o->compress != PT_COMPRESS_ZSTD))
		return api_mistake(err, "compress_level: %u, want 0..%d, with "
				   "zstd alone", o->compress_level,
				   PT_COMPRESS_LEVEL_MAX);
	if (o->pad && o->compress > PT_COMPRESS_OFF)
		return api_mistake(err, "compress: not with pad, since sizes tell "
				   "of the content");
	if (o->delta_cache && !o->live)
		return api_mistake(err, "delta_cache: only with live");
	if (o->delta_cache > PT_SEND_DELTA_CACHE_MAX &&
	    o->delta_cache != PT_DELTA_CACHE_NONE)
		return api_mistake(err, "delta_cache: %llu, want 0..%llu, or "
				   "PT_DELTA_CACHE_NONE",
				   (unsigned long long)o->delta_cache,
				   PT_SEND_DELTA_CACHE_MAX);
	return 0;
}

static int check(const struct pt_send_opts *o, struct api_error *err)
{
	const struct api_common common = API_COMMON(o);
	int ret = api_common_check(&common, err);

	if (ret)
		return ret;
	if (o->mtu && (o->mtu < PT_MTU_MIN || o->mtu > PT_MTU_MAX))
		return api_mistake(err, "mtu: %u, want 0 or %d..%d", o->mtu,
				   PT_MTU_MIN, PT_MTU_MAX);
	if (o->lanes > PT_LANES_MAX)
		return api_mistake(err, "lanes: %u, want 0..%d", o->lanes,
				   PT_LANES_MAX);
	if ((unsigned)o->on_unreadable > PT_UNREADABLE_PAGES_ZERO)
		return api_mistake(err, "on_unreadable: %d is no "
				   "pt_unreadable_pages", o->on_unreadable);
	if ((unsigned)o->copies > PT_CHOICE_OFF)
		return api_mistake(err, "copies: %d is no pt_choice", o->copies);
	if (o->pad && o->copies == PT_CHOICE_ON)
		return api_mistake(err, "copies: not with pad, since copies show "
				   "which pages are equal");
	ret = check_rate(o->max_bandwidth, err);
	if (ret)
		return ret;
	if (o->name && pt_name_image_fault(o->name))
		return api_mistake(err, "name: no receiver stores an image of "
				   "that name: %s", pt_name_image_fault(o->name));
	if (o->live && (o->resume || o->recheck || o->with_cnt))
		return api_mistake(err, "live: not with resume, recheck or "
				   "with");
	ret = check_compress(o, err);
	return ret ? ret : check_files(o, err);
}

/* fill makes a cfg of the options; its pointers are into s. */
static int fill(struct send *s, struct pt_sender_cfg *cfg,
		const struct pt_send_opts *o, struct api_error *err)
{
	const struct api_common common = API_COMMON(o);
	int ret = api_cpus(&cfg->cpus, o->cpus, err);

	if (ret)
		return ret;
	API_COMMON_FILL(cfg, &common);
	cfg->mtu = o->mtu;
	cfg->lane_cnt = o->lanes;
	cfg->pad = o->pad;
	cfg->resume = o->resume;
	cfg->recheck = o->recheck;
	cfg->copies = (enum pt_send_copies)o->copies;
	cfg->compress = (enum pt_send_compress)o->compress;
	cfg->compress_level = o->compress_level;
	cfg->delta_cache_sz = o->delta_cache;
	cfg->bytes_per_s = o->max_bandwidth;
	cfg->name = api_strings_add(&s->strings, o->name);
	s->files = calloc(o->with_cnt + 1, sizeof(s->files[0]));
	for (uint32_t i = 0; s->files && i < o->with_cnt; i++)
		s->files[i] = api_strings_add(&s->strings, o->with[i]);
	cfg->files = s->files;
	cfg->file_cnt = o->with_cnt;
	s->warn = o->warn;
	s->arg = o->arg;
	cfg->warn = o->warn ? on_warning : NULL;
	cfg->arg = s;
	ret = api_tls_open(&s->tls, o->security, PT_ROLE_SENDER, err);
	cfg->tls = s->tls;
	if (!ret && cfg->pad && !cfg->tls)
		return api_mistake(err, "pad: not with insecure, since frames are "
				   "in clear");
	return ret;
}

static int open_sender(struct send *s, struct pt_sender_cfg *cfg,
		       struct api_error *err)
{
	struct pt_error why;
	int ret;

	if (s->strings.failed || !s->files)
		return api_no_memory(err);
	api_enter();
	ret = pt_sender_open(&s->inner, cfg, &why);
	api_leave();
	return api_fail(err, ret, &why);
}

static int use_live(struct send *s, struct pt_sender_cfg *cfg,
		    const struct api_source_object *src,
		    const struct pt_send_opts *o, struct api_error *err)
{
	int ret;

	if (!o->live)
		return 0;
	if (!src->table)
		return api_mistake(err, "live: the source has no regions: only "
				   "memory of pt_source_regions can be written "
				   "while it is sent");
	ret = api_live_send_open(&s->live, o->live, src->table, src->region_cnt,
				 err);
	if (!ret)
		cfg->live = api_live_send_cfg(s->live);
	return ret;
}

static int use_source(struct send *s, struct pt_sender_cfg *cfg,
		      struct api_source_object *src, const struct pt_send_opts *o,
		      struct api_error *err)
{
	static const enum pt_on_unreadable how[] = {
		[PT_UNREADABLE_PAGES_FAIL] = PT_UNREADABLE_FAIL,
		[PT_UNREADABLE_PAGES_MARK] = PT_UNREADABLE_MARK,
		[PT_UNREADABLE_PAGES_ZERO] = PT_UNREADABLE_ZERO,
	};
	int ret = api_source_read(src, how[o->on_unreadable], err);

	if (ret)
		return ret;
	s->read = src;
	cfg->source = src->inner;
	return use_live(s, cfg, src, o, err);
}

/* open_all: the source is held already. */
static int open_all(struct send *s, const struct api_source *source,
		    const char *dev, const char *to,
		    const struct pt_send_opts *o, struct api_error *err)
{
	struct api_source_object *src = api_take(API_SOURCE, source, err);
	struct pt_sender_cfg cfg = { 0 };
	int ret = src ? fill(s, &cfg, o, err) : -EINVAL;

	if (!ret)
		ret = use_source(s, &cfg, src, o, err);
	if (!ret) {
		cfg.dev = api_strings_add(&s->strings, dev);
		cfg.to = api_strings_add(&s->strings, to);
		ret = open_sender(s, &cfg, err);
	}
	if (src)
		api_give(source);
	return ret;
}

int pt_send_open(struct pt_send **out, struct api_source *source,
		 const char *dev, const char *to, const struct pt_send_opts *opts,
		 struct api_error *err)
{
	struct pt_send_opts o;
	struct send *s;
	int ret;

	if (!out || !dev || !to || !opts)
		return api_mistake(err, "out, dev, to or opts is NULL");
	ret = api_opts_copy(&o, sizeof(o), opts, "pt_send_opts", err);
	if (!ret)
		ret = check(&o, err);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return api_no_memory(err);
	if (api_hold(API_SOURCE, source, err))
		s->source = source;
	ret = s->source ? open_all(s, source, dev, to, &o, err) : -EINVAL;
	if (!ret) {
		*out = api_handle_new(API_SEND, s, err);
		ret = *out ? 0 : -EINVAL;
	}
	if (ret)
		free_send(s);
	return ret;
}

int pt_send_start(struct pt_send *send, struct api_error *err)
{
	struct send *s = api_take_own(API_SEND, send, err);
	struct pt_error why;
	int ret;

	if (!s)
		return -EINVAL;
	api_enter();
	ret = api_fail(err, pt_sender_start(s->inner, &why), &why);
	api_leave();
	s->is_started |= !ret;
	api_give_own(send);
	return ret;
}

int pt_send_fd(struct pt_send *send, struct api_error *err)
{
	const struct send *s = api_take(API_SEND, send, err);
	int fd;

	if (!s)
		return -EINVAL;
	fd = pt_sender_fd(s->inner);
	api_give(send);
	return fd;
}

int pt_send_step(struct pt_send *send, struct api_error *err)
{
	struct send *s = api_take_own(API_SEND, send, err);
	struct pt_error why;
	int ret;

	if (!s)
		return -EINVAL;
	if (!s->is_started) {
		ret = api_mistake(err, "the sender was not started, or its "
				  "start failed");
	} else {
		api_enter();
		ret = pt_sender_step(s->inner, &why);
		api_leave();
		if (ret < 0)
			api_fail(err, ret, &why);
	}
	api_give_own(send);
	return ret;
}

int pt_send_set_max_bandwidth(struct pt_send *send, uint64_t max_bandwidth,
			      struct api_error *err)
{
	int ret = check_rate(max_bandwidth, err);
	struct pt_error why;
	struct send *s;

	if (ret)
		return ret;
	s = api_take(API_SEND, send, err);
	if (!s)
		return -EINVAL;
	ret = api_fail(err, pt_sender_set_rate(s->inner, max_bandwidth, &why),
		       &why);
	api_give(send);
	return ret;
}

int pt_send_cancel(struct pt_send *send, struct api_error *err)
{
	struct send *s = api_take(API_SEND, send, err);

	if (!s)
		return -EINVAL;
	pt_sender_cancel(s->inner);
	api_give(send);
	return 0;
}

int pt_send_status(struct pt_send *send, struct pt_status *status,
		   struct api_error *err)
{
	int ret = api_status_check(status, err);
	struct pt_send_report r;
	struct send *s;

	if (ret)
		return ret;
	s = api_take(API_SEND, send, err);
	if (!s)
		return -EINVAL;
	pt_sender_status(s->inner, &r);
	api_give(send);
	api_status_give(status, &(struct pt_status){
		.transfer_id = r.transfer_id,
		.phase = (enum pt_phase)r.phase,
		.memory_sz = r.memory_sz,
		.left_sz = pt_send_left_sz(&r),
		.data_sz = r.block_bytes,
		.wire_sz = r.wire_bytes,
		.frames = r.frames,
		.frames_lost = r.frames_lost,
		.max_bandwidth = r.bytes_per_s,
		.total_ns = r.total_ns,
		.unreadable_pages = r.unreadable.page_cnt,
		.zeroed_pages = r.zeroed_pages,
	});
	return 0;
}

int pt_send_close(struct pt_send *send, struct api_error *err)
{
	struct send *s;

	if (!send)
		return 0;
	s = api_end(API_SEND, send, false, err);
	if (!s)
		return -EINVAL;
	api_enter();
	free_send(s);
	api_leave();
	return 0;
}
