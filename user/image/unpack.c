// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/guard.h"
#include "sink/image.h"
#include "sink/sink_run.h"

#define PAGES		256	/* that wait for one write */

struct unpack {
	const struct pt_ptrim *image;
	const struct pt_walk *walk;	/* the caller's */
	struct pt_sink *sink;
	struct pt_sink_run run;
	__u32 page_cnt;			/* in pages */
	struct pt_error mark_err;	/* of the list of unreadable pages, ... */
	int mark_code;			/* ... 0: none */
	__u8 pages[PAGES][PT_PAGE_SZ];
};

static int flush(struct unpack *u, struct pt_error *err)
{
	struct pt_guard guard;
	int code;

	u->page_cnt = 0;
	if (pt_guard_enter(&guard))
		return pt_sink_fault(u->sink, guard.addr, err);
	code = pt_sink_run_flush(&u->run, err);
	pt_guard_leave(&guard);
	return code;
}

static int add(struct unpack *u, __u64 page_idx, struct pt_error *err)
{
	struct pt_guard guard;
	int code;

	if (pt_guard_enter(&guard))
		return pt_sink_fault(u->sink, guard.addr, err);
	code = pt_sink_run_add(&u->run, u->sink,
			       pt_layout_image_off(pt_ptrim_layout(u->image),
						   page_idx),
			       u->pages[u->page_cnt], PT_PAGE_SZ, err);
	pt_guard_leave(&guard);
	u->page_cnt++;
	return code;
}

static int page_put(void *arg, __u64 page_idx, const __u8 *bytes,
		    struct pt_error *err)
{
	struct unpack *u = arg;
	int code = u->page_cnt == PAGES ? flush(u, err) : 0;

	if (code)
		return code;
	memcpy(u->pages[u->page_cnt], bytes, PT_PAGE_SZ);
	return add(u, page_idx, err);
}

/* ---- what the caller is told ---- */

static void lost(void *arg, __u64 page_idx, __u64 cnt)
{
	struct unpack *u = arg;

	u->walk->lost(u->walk->arg, page_idx, cnt);
}

static void unreadable(void *arg, __u64 page_idx, __u64 cnt)
{
	struct unpack *u = arg;

	if (!u->mark_code)
		u->mark_code = pt_sink_mark(
			u->sink, pt_layout_image_off(pt_ptrim_layout(u->image),
						     page_idx),
			cnt * PT_PAGE_SZ, &u->mark_err);
	u->walk->unreadable(u->walk->arg, page_idx, cnt);
}

static void wrong(void *arg, __u64 region_idx)
{
	struct unpack *u = arg;

	u->walk->wrong(u->walk->arg, region_idx);
}

static bool progress(void *arg, __u64 done, __u64 cnt)
{
	struct unpack *u = arg;

	return !u->walk->progress ||
	       u->walk->progress(u->walk->arg, done, cnt);
}

/* ---- files ---- */

/* files_walk calls put for each file that is whole. */
static int files_walk(const struct pt_ptrim *p,
		      int (*put)(struct pt_sink *s, const struct pt_ptrim_bytes *f,
				 struct pt_error *err), struct pt_sink *sink,
		      void (*file_lost)(void *arg, const char *name), void *arg,
		      struct pt_error *err)
{
	int code = 0;

	for (__u32 i = 0; !code && i < pt_ptrim_file_cnt(p); i++) {
		struct pt_ptrim_bytes f = { 0 };

		if (!pt_ptrim_file(p, i, &f) || !f.bytes)
			file_lost(arg, f.name);
		else if (put)
			code = put(sink, &f, err);
	}
	return code;
}

/* file_put: write(2) of a mapping that was cut short fails with EFAULT. */
static int file_put(struct pt_sink *s, const struct pt_ptrim_bytes *f,
		    struct pt_error *err)
{
	int code = pt_sink_file_begin(s, f->name, f->sz, err);

	return code ? code : pt_sink_file_write(s, f->bytes, f->sz, err);
}

/* ---- both ---- */

static int unpack(struct unpack *u, void (*file_lost)(void *, const char *),
		  struct pt_walk_result *out, struct pt_error *err)
{
	const struct pt_walk walk = {
		.page = page_put,
		.lost = lost,
		.unreadable = unreadable,
		.wrong = wrong,
		.progress = progress,
		.arg = u,
	};
	int code = pt_walk(u->image, &walk, out, err);

	if (!code)
		code = flush(u, err);
	if (!code && u->mark_code) {
		*err = u->mark_err;
		code = u->mark_code;
	}
	if (!code)
		code = files_walk(u->image, file_put, u->sink, file_lost,
				  u->walk->arg, err);
	if (!code)
		code = pt_sink_sync(u->sink, err);
	return code ? code : pt_sink_commit(u->sink, err);
}

int pt_unpack(const struct pt_ptrim *p, const char *path,
	      const struct pt_walk *walk,
	      void (*file_lost)(void *arg, const char *name),
	      struct pt_walk_result *out, struct pt_error *err)
{
	struct unpack *u = calloc(1, sizeof(*u));
	int code;

	if (!u)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to unpack", path);
	u->image = p;
	u->walk = walk;
	code = pt_image_create(&u->sink, path, pt_ptrim_layout(p), err);
	if (!code) {
		code = unpack(u, file_lost, out, err);
		pt_sink_close(u->sink);
	}
	free(u);
	return code;
}

int pt_verify(const struct pt_ptrim *p, const struct pt_walk *walk,
	      void (*file_lost)(void *arg, const char *name),
	      void (*id_wrong)(void *arg, const char *path),
	      struct pt_walk_result *out, struct pt_error *err)
{
	int code = pt_walk(p, walk, out, err);

	if (code)
		return code;
	code = files_walk(p, NULL, NULL, file_lost, walk->arg, err);
	for (; code >= 0 && p; p = pt_ptrim_parent(p)) {
		code = pt_ptrim_id_check(p, err);
		if (!code)
			id_wrong(walk->arg, pt_ptrim_path(p));
	}
	return code < 0 ? code : 0;
}
