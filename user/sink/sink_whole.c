/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_whole.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pagetrim/check.h>

/* buffer: a page in pieces. */
struct buffer {
	__u64 have;		/* one bit per block that has arrived */
	struct buffer *next;	/* of the free buffers */
	__u8 bytes[PT_PAGE_SZ];
};

struct pt_sink_whole {
	__u64 page_cnt;
	struct buffer **pages;	/* NULL: no piece of it waits */
	pthread_mutex_t lock;	/* of the next: */
	struct buffer *free;
};

int pt_sink_whole_create(struct pt_sink_whole **out, __u64 sz)
{
	struct pt_sink_whole *w = calloc(1, sizeof(*w));
	void *pages;

	pt_check(sz % PT_PAGE_SZ == 0);
	if (!w)
		return -ENOMEM;
	w->page_cnt = sz / PT_PAGE_SZ;
	pages = mmap(NULL, w->page_cnt * sizeof(*w->pages),
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pages == MAP_FAILED) {
		free(w);
		return -ENOMEM;
	}
	w->pages = pages;
	pthread_mutex_init(&w->lock, NULL);
	*out = w;
	return 0;
}

static struct buffer *take(struct pt_sink_whole *w)
{
	struct buffer *b;

	pthread_mutex_lock(&w->lock);
	b = w->free;
	if (b)
		w->free = b->next;
	pthread_mutex_unlock(&w->lock);
	if (!b)
		b = malloc(sizeof(*b));
	if (b)
		b->have = 0;
	return b;
}

static void drop(struct pt_sink_whole *w, __u64 page)
{
	struct buffer *b = w->pages[page];

	if (!b)
		return;
	w->pages[page] = NULL;
	pthread_mutex_lock(&w->lock);
	b->next = w->free;
	w->free = b;
	pthread_mutex_unlock(&w->lock);
}

void pt_sink_whole_free(struct pt_sink_whole *w)
{
	if (!w)
		return;
	for (__u64 i = 0; i < w->page_cnt; i++)
		drop(w, i);
	for (struct buffer *next, *b = w->free; b; b = next) {
		next = b->next;
		free(b);
	}
	munmap(w->pages, w->page_cnt * sizeof(*w->pages));
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void pt_sink_whole_drop(struct pt_sink_whole *w, __u64 off, __u64 sz)
{
	for (__u64 i = 0; i < sz / PT_PAGE_SZ; i++)
		drop(w, off / PT_PAGE_SZ + i);
}

/* gather copies the first sz bytes of the pieces, and drops them. */
static void gather(__u8 *to, struct iovec **pieces, __u32 *cnt, __u64 sz)
{
	while (sz) {
		size_t len = (*pieces)->iov_len;
		__u64 part = len < sz ? len : sz;

		memcpy(to, (*pieces)->iov_base, part);
		pt_pieces_advance(pieces, cnt, part);
		to += part;
		sz -= part;
	}
}

/* complete passes a whole page on. */
static int complete(struct pt_sink *s, __u64 off, const void *page, struct pt_error *err)
{
	if (s->completed)
		s->completed(s->completed_arg, off / PT_PAGE_SZ, page);
	return s->ops->complete(s, off, page, err);
}

/* add_whole completes the page at off, whose bytes come first. */
static int add_whole(struct pt_sink *s, __u64 off, struct iovec **pieces,
		     __u32 *cnt, struct pt_error *err)
{
	const void *page = (*pieces)->iov_base;
	__u8 bytes[PT_PAGE_SZ];

	drop(s->whole, off / PT_PAGE_SZ);
	if ((*pieces)->iov_len >= PT_PAGE_SZ) {
		pt_pieces_advance(pieces, cnt, PT_PAGE_SZ);
		return complete(s, off, page, err);
	}
	gather(bytes, pieces, cnt, PT_PAGE_SZ);
	return complete(s, off, bytes, err);
}

/* add_piece keeps sz bytes at off, of one page; the last piece completes it. */
static int add_piece(struct pt_sink *s, __u64 off, struct iovec **pieces,
		     __u32 *cnt, __u64 sz, struct pt_error *err)
{
	__u64 page = off / PT_PAGE_SZ, first = off % PT_PAGE_SZ / PT_BLOCK_SZ;
	struct buffer **at = &s->whole->pages[page];
	int ret;

	if (!*at)
		*at = take(s->whole);
	if (!*at)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "no memory for a page in pieces");
	gather((*at)->bytes + off % PT_PAGE_SZ, pieces, cnt, sz);
	(*at)->have |= (~0ULL >> (64 - sz / PT_BLOCK_SZ)) << first;
	if (~(*at)->have)
		return 0;
	ret = complete(s, page * PT_PAGE_SZ, (*at)->bytes, err);
	drop(s->whole, page);
	return ret;
}

int pt_sink_whole_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
			__u32 cnt, __u64 sz, struct pt_error *err)
{
	int ret = 0;

	pt_check(off % PT_BLOCK_SZ == 0);
	pt_check(sz % PT_BLOCK_SZ == 0);
	while (!ret && sz) {
		__u64 part = PT_PAGE_SZ - off % PT_PAGE_SZ;

		part = part < sz ? part : sz;
		ret = part == PT_PAGE_SZ
			? add_whole(s, off, &pieces, &cnt, err)
			: add_piece(s, off, &pieces, &cnt, part, err);
		off += part;
		sz -= part;
	}
	return ret;
}
