// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/fill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/along.h"
#include "image/ptrim.h"
#include "memory/guard.h"
#include "sink/sink_run.h"
#include "source/scan_batch.h"

#define CHUNK_SZ	(64 << 10)	/* of a file */

struct fill {
	struct pt_sink *sink;
	struct pt_source *src;
	const struct pt_layout *layout;
	struct pt_view view;
	struct pt_sink_run run;
};

static int place(struct fill *f, const struct pt_scan_batch *batch, __u64 off,
		 struct pt_error *err)
{
	__u64 data = pt_scan_batch_data(batch);
	int code = 0;

	for (; !code && data; data &= data - 1) {
		unsigned i = __builtin_ctzll(data);

		code = pt_sink_run_add(&f->run, f->sink, off + i * PT_PAGE_SZ,
				       batch->pages + (__u64)i * PT_PAGE_SZ,
				       PT_PAGE_SZ, err);
	}
	return code ? code : pt_sink_run_flush(&f->run, err);
}

/* place_guarded: a run that fails leaves bytes of the view behind, which nobody
 * reads. */
static int place_guarded(struct fill *f, const struct pt_scan_batch *batch,
			 __u64 off, struct pt_error *err)
{
	struct pt_guard guard;
	int code;

	if (pt_guard_enter(&guard)) {
		code = pt_sink_fault(f->sink, guard.addr, err);
		return code ? code : pt_source_faulted(f->src, guard.addr, err);
	}
	code = place(f, batch, off, err);
	pt_guard_leave(&guard);
	return code;
}

static int scan(struct fill *f, struct pt_scan_batch *batch, struct pt_error *err)
{
	struct pt_guard guard;
	int code;

	if (pt_guard_enter(&guard))
		return pt_source_faulted(f->src, guard.addr, err);
	code = pt_scan_batch_read(batch, f->src, 0, err);
	pt_guard_leave(&guard);
	return code;
}

static int region_fill(struct fill *f, __u64 region_idx, struct pt_error *err)
{
	__u64 off = pt_layout_image_off(f->layout, region_idx * PT_REGION_PAGES);
	int code = pt_source_view(f->src, &f->view, f->layout, region_idx, err);

	if (code || pt_view_is_hole_whole(&f->view))
		return code;
	for (__u32 first = 0; !code && first < f->view.page_cnt; first += 64) {
		struct pt_scan_batch batch = pt_scan_batch_of(&f->view,
						f->layout, region_idx, first);

		code = scan(f, &batch, err);
		if (!code && batch.unreadable)
			return pt_error_set(err, PT_EXIT_FAILED, -EIO, "page 0x%llx "
					    "has no content: it could not be read "
					    "when the image was made, and a child "
					    "would take it for zero",
					    batch.gfn +
					    __builtin_ctzll(batch.unreadable));
		if (!code)
			code = place_guarded(f, &batch, off + first *
					     (__u64)PT_PAGE_SZ, err);
	}
	return code;
}

int pt_template_fill(struct pt_sink *sink, struct pt_source *src,
		     const struct pt_layout *layout, bool (*is_ended)(void),
		     struct pt_error *err)
{
	struct fill *f = calloc(1, sizeof(*f));
	int code = 0;

	if (!f)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory to copy "
				    "pages");
	*f = (struct fill){ .sink = sink, .src = src, .layout = layout };
	pt_view_init(&f->view);
	for (__u64 i = 0; !code && i < pt_layout_region_cnt(layout); i++)
		code = is_ended && is_ended()
			? pt_error_set(err, PT_EXIT_FAILED, -ECANCELED,
				       "interrupted; nothing is left of it")
			: region_fill(f, i, err);
	pt_view_free(&f->view);
	free(f);
	return code;
}

/* ---- files ---- */

static int file_fail(const char *path, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s", path,
			    strerror(errno));
}

static int file_copy(struct pt_sink *sink, int fd, const char *path, __u64 sz,
		     struct pt_error *err)
{
	static __u8 chunk[CHUNK_SZ];
	int code = 0;

	while (!code && sz) {
		ssize_t got = read(fd, chunk, sz < CHUNK_SZ ? sz : CHUNK_SZ);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_fail(path, err);
		if (!got)
			return pt_error_set(err, PT_EXIT_FAILED, -EIO, "%s: became "
					    "shorter while it was read", path);
		code = pt_sink_file_write(sink, chunk, got, err);
		sz -= got;
	}
	return code;
}

int pt_template_fill_file(struct pt_sink *sink, const char *path,
			  struct pt_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code;
	struct stat st;

	if (fd < 0)
		return file_fail(path, err);
	if (fstat(fd, &st))
		code = file_fail(path, err);
	else if (!S_ISREG(st.st_mode))
		code = pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not a regular "
				    "file", path);
	else
		code = pt_sink_file_begin(sink, pt_along_name(path), st.st_size, err);
	if (!code)
		code = file_copy(sink, fd, path, st.st_size, err);
	close(fd);
	return code;
}

/* any_fault: no file is left out silently; one that cannot be stored fails later. */
static const char *any_fault(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return NULL;
}

int pt_template_fill_folder(struct pt_sink *sink, const char *image,
			    struct pt_error *err)
{
	struct pt_along along = { 0 };
	int code = pt_along_add(&along, image, any_fault, NULL, NULL, err);

	for (__u32 i = 0; !code && i < along.cnt; i++)
		code = pt_template_fill_file(sink, along.paths[i], err);
	pt_along_free(&along);
	return code;
}

int pt_template_fill_stored(struct pt_sink *sink, const char *path,
			    struct pt_error *err)
{
	struct pt_ptrim *image;
	int code = pt_ptrim_open(&image, path, NULL, err);

	if (code)
		return code;
	for (__u32 i = 0; !code && i < pt_ptrim_file_cnt(image); i++) {
		struct pt_ptrim_bytes f = { 0 };

		if (!pt_ptrim_file(image, i, &f) || !f.bytes)
			code = pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "%s: its "
					    "file '%s' is damaged (use another copy "
					    "of the image)", path, f.name);
		if (!code)
			code = pt_sink_file_begin(sink, f.name, f.sz, err);
		if (!code)
			code = pt_sink_file_write(sink, f.bytes, f.sz, err);
	}
	pt_ptrim_close(image);
	return code;
}
