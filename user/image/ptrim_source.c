// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/ptrim_source.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include "source/source_impl.h"

struct ptrim_source {
	struct pt_source src;
	struct pt_ptrim *image;
	pthread_mutex_t lock;		/* of the readers that are free */
	pthread_cond_t given;
	struct pt_ptrim_reader *readers[PT_PTRIM_READERS];
	unsigned int free_cnt, made_cnt;
};

/* ---- readers ---- */

static struct pt_ptrim_reader *reader_take(struct ptrim_source *s)
{
	struct pt_ptrim_reader *r;

	pthread_mutex_lock(&s->lock);
	/* The first was made at opening, so without memory there is one to wait for. */
	if (!s->free_cnt && s->made_cnt < PT_PTRIM_READERS &&
	    !pt_ptrim_reader_create(&s->readers[0], s->image)) {
		s->made_cnt++;
		s->free_cnt = 1;
	}
	while (!s->free_cnt)
		pthread_cond_wait(&s->given, &s->lock);
	r = s->readers[--s->free_cnt];
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void reader_give(struct ptrim_source *s, struct pt_ptrim_reader *r)
{
	pthread_mutex_lock(&s->lock);
	s->readers[s->free_cnt++] = r;
	pthread_cond_signal(&s->given);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the operations ---- */

/* state_of returns the page's state in the image or parent that has it. */
static enum pt_ptrim_state state_of(const struct pt_ptrim *p, __u64 page_idx)
{
	enum pt_ptrim_state state = pt_ptrim_look(p, page_idx).state;

	/* At most PT_PTRIM_CHAIN_MAX images. */
	while (state == PT_PTRIM_PARENT) {
		__u64 gfn = pt_layout_gfn(pt_ptrim_layout(p), page_idx);

		p = pt_ptrim_parent(p);
		if (!p || !pt_layout_find(pt_ptrim_layout(p), gfn, &page_idx))
			return PT_PTRIM_LOST;
		state = pt_ptrim_look(p, page_idx).state;
	}
	return state;
}

/* index_of returns the page's index in the image's layout. */
static __u64 index_of(const struct ptrim_source *s, __u32 seg, __u64 off)
{
	__u64 idx;

	pt_check(pt_layout_find(pt_ptrim_layout(s->image),
				s->src.segs[seg].gfn + off / PT_PAGE_SZ, &idx));
	return idx;
}

static int unreadable(const struct ptrim_source *s, const struct pt_ptrim_reader *r,
		      __u64 page_idx, enum pt_ptrim_state state,
		      struct pt_error *err)
{
	__u64 gfn = pt_layout_gfn(pt_ptrim_layout(s->image), page_idx);
	int code = pt_ptrim_failure(r, err);

	if (code)
		return code;
	if (state == PT_PTRIM_LOST)
		return pt_error_set(err, PT_EXIT_FAILED, -EIO, "%s: page 0x%llx is "
				    "damaged (pagetrim image verify names all that "
				    "are)", pt_ptrim_path(s->image), gfn);
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "%s: page 0x%llx has no "
			    "content: it could not be read when the image was made "
			    "(pagetrim image unpack makes zeroes of such pages)",
			    pt_ptrim_path(s->image), gfn);
}

static int ptrim_view(struct pt_source *src, struct pt_view *v,
		      const struct pt_piece *piece, struct pt_error *err)
{
	const struct ptrim_source *s = (const struct ptrim_source *)src;
	__u64 idx = index_of(s, piece->seg, piece->off);

	(void)err;
	for (__u32 i = 0; i < v->page_cnt; i++) {
		enum pt_ptrim_state state = state_of(s->image, idx + i);

		if (state == PT_PTRIM_ABSENT || state == PT_PTRIM_ZERO)
			pt_view_set_holes(v, i, i + 1);
		else if (state == PT_PTRIM_UNREADABLE)
			v->unreadable[i / 64] |= 1ULL << (i % 64);
	}
	return 0;
}

static int ptrim_load(struct pt_source *src, struct pt_view *v, __u32 first,
		      __u32 end, struct pt_error *err)
{
	struct ptrim_source *s = (struct ptrim_source *)src;
	__u64 idx = index_of(s, v->piece.seg, v->piece.off);
	__u8 *to = v->staged + (__u64)first * PT_PAGE_SZ;
	struct pt_ptrim_reader *r = reader_take(s);
	int code = 0;

	for (__u32 i = first; !code && i < end; i++, to += PT_PAGE_SZ) {
		enum pt_ptrim_state state = pt_ptrim_read(r, idx + i, to);

		if (state == PT_PTRIM_ABSENT || state == PT_PTRIM_ZERO)
			memset(to, 0, PT_PAGE_SZ);	/* the parent says so */
		else if (state != PT_PTRIM_DATA)
			code = unreadable(s, r, idx + i, state, err);
	}
	reader_give(s, r);
	return code;
}

static const __u8 *ptrim_page(const struct pt_source *src, __u32 seg, __u64 off,
			      __u32 sz, void *buffer)
{
	struct ptrim_source *s = (struct ptrim_source *)src;
	struct pt_ptrim_reader *r = reader_take(s);
	enum pt_ptrim_state state = pt_ptrim_read(r, index_of(s, seg, off), buffer);

	reader_give(s, r);
	if (state == PT_PTRIM_ABSENT || state == PT_PTRIM_ZERO)
		memset(buffer, 0, PT_PAGE_SZ);
	else if (state != PT_PTRIM_DATA)
		return NULL;
	memset((__u8 *)buffer + sz, 0, PT_PAGE_SZ - sz);
	return buffer;
}

/* A fault is never this source's: pt_ptrim_read guards its reads. */
static int ptrim_fault(const struct pt_source *src, const void *addr,
		       struct pt_error *err)
{
	(void)src;
	(void)addr;
	(void)err;
	return 0;
}

static void ptrim_close(struct pt_source *src)
{
	struct ptrim_source *s = (struct ptrim_source *)src;

	for (unsigned int i = 0; i < s->free_cnt; i++)
		pt_ptrim_reader_destroy(s->readers[i]);
	pt_ptrim_close(s->image);
	pthread_cond_destroy(&s->given);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct pt_source_ops ptrim_ops = {
	.view = ptrim_view,
	.load = ptrim_load,
	.page = ptrim_page,
	.fault = ptrim_fault,
	.close = ptrim_close,
};

/* ---- opening ---- */

static int segments_take(struct ptrim_source *s)
{
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(pt_ptrim_layout(s->image), &cnt);
	s->src.segs = calloc(cnt, sizeof(*segs));
	if (!s->src.segs)
		return -ENOMEM;
	memcpy(s->src.segs, segs, cnt * sizeof(*segs));
	s->src.seg_cnt = cnt;
	if (pt_ptrim_reader_create(&s->readers[0], s->image))
		return -ENOMEM;
	s->free_cnt = s->made_cnt = 1;
	return 0;
}

int pt_ptrim_source_open(struct pt_source **out, const char *path,
			 struct pt_error *err)
{
	struct ptrim_source *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it", path);
	s->src.ops = &ptrim_ops;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->given, NULL);
	code = pt_ptrim_open(&s->image, path, NULL, err);
	if (!code && segments_take(s))
		code = pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory to read it", path);
	if (code) {
		pt_source_close(&s->src);
		return code;
	}
	*out = &s->src;
	return 0;
}

int pt_ptrim_source_open_any(struct pt_source **out, const char *const *paths,
			     unsigned int cnt, struct pt_error *err)
{
	if (cnt == 1 && pt_ptrim_is_name(paths[0]))
		return pt_ptrim_source_open(out, paths[0], err);
	return pt_source_open_files(out, paths, cnt, err);
}

const struct pt_ptrim *pt_ptrim_source_image(const struct pt_source *src)
{
	return src->ops == &ptrim_ops
		? ((const struct ptrim_source *)src)->image : NULL;
}
