// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* How an image at rest that is received begins and ends. */
#include "image/ptrim_sink_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <pagetrim/check.h>

#include "sink/sink_whole.h"

static int ptrim_check_marks(const struct pt_sink *sink, struct pt_error *err)
{
	(void)sink;
	(void)err;
	return 0;
}

static int ptrim_commit(struct pt_sink *sink, struct pt_error *err)
{
	return pt_sink_commit(pt_ptrim_sink_of(sink)->w->sink, err);
}

static bool ptrim_is_kept(const struct pt_sink *sink)
{
	return pt_sink_is_kept(pt_ptrim_sink_of_const(sink)->w->sink);
}

static void ptrim_invalidate(struct pt_sink *sink)
{
	pt_sink_invalidate(pt_ptrim_sink_of(sink)->w->sink);
}

static void *table_map(__u64 sz)
{
	void *map = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

int pt_ptrim_sink_check(const struct pt_ptrim_sink_how *how, struct pt_error *err)
{
	if (pt_compression_is_built(how->method))
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "this build does not "
			    "compress by %s ({compress} off)",
			    pt_compression_name(how->method));
}

static struct pt_ptrim_sink_how how_of(const struct pt_ptrim_sink_how *how)
{
	return how->is_chosen ? *how : (struct pt_ptrim_sink_how){
		.method = pt_compression_is_built(PT_COMPRESSION_ZSTD)
			? PT_COMPRESSION_ZSTD : PT_COMPRESSION_NONE,
		.level = PT_COMPRESS_LEVEL,
	};
}

static int part_init(const struct pt_ptrim_sink *s, struct part *p)
{
	int code = pt_unit_maker_init(&p->maker, s->how.method, s->how.level);

	pthread_mutex_init(&p->lock, NULL);
	return code ? code : pt_decompressor_create(&p->decompressor);
}

static int ptrim_fit(struct pt_sink *sink, const struct pt_layout *l,
		     struct pt_error *err)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);
	int code = 0;

	s->page_cnt = (pt_layout_image_sz(l) + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	sink->sz = s->page_cnt * PT_PAGE_SZ;
	s->entries = table_map(s->page_cnt * sizeof(*s->entries));
	s->contents = table_map(s->page_cnt * sizeof(*s->contents));
	s->parts = calloc(PARTS, sizeof(*s->parts));
	if (!s->entries || !s->contents || !s->parts)
		code = -ENOMEM;
	for (int i = 0; !code && i < PARTS; i++)
		code = part_init(s, &s->parts[i]);
	if (!code)
		code = pt_copies_init(&s->copies, s->page_cnt, 1);
	return code ? pt_error_set(err, PT_EXIT_HOST, code,
				   "%s: no memory to make it", s->w->path) : 0;
}

static void parts_free(struct pt_ptrim_sink *s)
{
	struct pt_error err;

	for (int i = 0; s->parts && i < PARTS; i++) {
		struct part *p = &s->parts[i];

		/* A later transfer is to find as much as possible. */
		if (pt_sink_is_kept(s->w->sink) && !s->is_synced)
			pt_ptrim_sink_flush(s, p, &err);
		pt_unit_maker_free(&p->maker);
		pt_decompressor_destroy(p->decompressor);
		pthread_mutex_destroy(&p->lock);
	}
	free(s->parts);
}

static void ptrim_close(struct pt_sink *sink)
{
	struct pt_ptrim_sink *s = pt_ptrim_sink_of(sink);

	parts_free(s);
	if (s->entries)
		munmap((void *)s->entries, s->page_cnt * sizeof(*s->entries));
	if (s->contents)
		munmap(s->contents, s->page_cnt * sizeof(*s->contents));
	pt_copies_free(&s->copies);
	pthread_mutex_destroy(&s->copies_lock);
	pt_ptrim_writer_close(s->w);
	free(s);
}

static const struct pt_sink_ops ptrim_ops = {
	.fit = ptrim_fit,
	.place = pt_sink_whole_place,
	.complete = pt_ptrim_sink_complete,
	.zero = pt_ptrim_sink_zero,
	.read = pt_ptrim_sink_read,
	.data = pt_ptrim_sink_data,
	.check_marks = ptrim_check_marks,
	.sync = pt_ptrim_sink_sync,
	.commit = ptrim_commit,
	.file_begin = pt_ptrim_sink_file_begin,
	.file_write = pt_ptrim_sink_file_write,
	.is_kept = ptrim_is_kept,
	.invalidate = ptrim_invalidate,
	.close = ptrim_close,
};

struct pt_ptrim_sink *pt_ptrim_sink_of(struct pt_sink *sink)
{
	pt_check(sink->ops == &ptrim_ops);
	return (struct pt_ptrim_sink *)sink;
}

const struct pt_ptrim_sink *pt_ptrim_sink_of_const(const struct pt_sink *sink)
{
	pt_check(sink->ops == &ptrim_ops);
	return (const struct pt_ptrim_sink *)sink;
}

/* make: file gives the sink its file. */
static int make(struct pt_sink **out, const char *path, const struct pt_layout *l,
		const struct pt_ptrim_sink_how *how,
		int (*file)(struct pt_sink **file, const char *path,
			    struct pt_error *err), struct pt_error *err)
{
	const struct pt_ptrim_writer_cfg cfg = {
		.layout = l, .method = PT_COMPRESSION_NONE,
		.unit_pages = UNIT_PAGES,
	};
	struct pt_ptrim_sink *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to make it", path);
	s->sink = (struct pt_sink){ .ops = &ptrim_ops, .starts_zero = true,
				    .may_wait = true };
	s->how = how_of(how);
	pthread_mutex_init(&s->copies_lock, NULL);
	code = pt_ptrim_writer_make(&s->w, path, &cfg, err);
	if (code) {
		free(s);
		return code;
	}
	code = file(&s->w->sink, path, err);
	if (!code) {
		s->w->fd = pt_image_fd(s->w->sink);
		s->at = s->w->at;
		code = pt_sink_fit(&s->sink, l, err);
	}
	if (code) {
		pt_sink_close(&s->sink);
		return code;
	}
	*out = &s->sink;
	return 0;
}

static int reopen_plain(struct pt_sink **file, const char *path,
			struct pt_error *err)
{
	return pt_image_reopen(file, path, NULL, err);
}

int pt_ptrim_sink_create(struct pt_sink **out, const char *path,
			 const struct pt_layout *l,
			 const struct pt_ptrim_sink_how *how, struct pt_error *err)
{
	return make(out, path, l, how, pt_image_create_plain, err);
}

int pt_ptrim_sink_reopen(struct pt_sink **out, const char *path,
			 const struct pt_layout *l,
			 const struct pt_ptrim_sink_how *how, struct pt_error *err)
{
	return make(out, path, l, how, reopen_plain, err);
}

struct pt_sink *pt_ptrim_sink_file(struct pt_sink *sink)
{
	return pt_ptrim_sink_of(sink)->w->sink;
}
