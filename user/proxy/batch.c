// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "proxy/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/thread.h"
#include "memory/dirty.h"

#define ROOM_MIN_SZ	(2ULL << 20)
#define ROOM_MAX_SZ	(64ULL << 20)
#define SENT_MIN_NS	25000000ULL	/* a full batch that took less: larger */
#define SENT_MAX_NS	75000000ULL	/* one that took longer: smaller */
#define GATHER_NS	5000000ULL	/* for more pages of a small batch */
#define LOOK_NS		20000000ULL	/* between two looks for a cancel */
#define ZERO_SZ		64		/* a zero page counts as so many */

struct block {
	const char *name;
	int fd;
	__u8 *map;
	__u64 sz;
	__u64 region_first;	/* in the layout */
};

/* region: the pages of 2 MiB; bits. */
struct region {
	__u64 next[PT_REGION_WORDS];	/* of the next batch */
	__u64 held[PT_REGION_WORDS];	/* the memfd has data of them */
	__u32 next_cnt, held_cnt;
};

struct pt_batch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct block *blocks;
	__u32 block_cnt;
	struct region *regions;
	__u64 region_cnt;
	__u64 room_sz;		/* of a batch */
	__u64 next_sz;		/* of the next one */
	__u64 next_cnt;		/* pages */
	__u64 first_ns;		/* its first page came */
	__u64 collected_ns;	/* the last one was collected, ... */
	bool was_full;		/* ... and was full */
	bool has_ended, is_last;
	int failure;
	struct pt_error failed;
	int room_fd;
};

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for the "
			    "pages on their way");
}

static int open_block(struct block *at, const struct pt_qstream_block *block,
		      struct pt_error *err)
{
	int code;

	at->name = block->name;
	at->sz = block->sz;
	at->fd = memfd_create("pagetrim-stream", MFD_CLOEXEC);
	if (at->fd >= 0 && !ftruncate(at->fd, at->sz)) {
		at->map = mmap(NULL, at->sz, PROT_READ | PROT_WRITE, MAP_SHARED,
			       at->fd, 0);
		if (at->map != MAP_FAILED)
			return 0;
	}
	code = -errno;
	at->map = NULL;
	return pt_error_set(err, PT_EXIT_HOST, code, "memory for RAM block "
			    "'%s', %llu bytes: %s%s", block->name,
			    (unsigned long long)block->sz, strerror(-code),
			    pt_files_remedy(code));
}

int pt_batch_open(struct pt_batch **out, const struct pt_qstream_block *blocks,
		  __u32 cnt, int room_fd, struct pt_error *err)
{
	struct pt_batch *b = calloc(1, sizeof(*b));
	int ret = 0;

	if (!b)
		return no_memory(err);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->room_fd = room_fd;
	b->room_sz = ROOM_MIN_SZ;
	b->blocks = calloc(cnt, sizeof(*b->blocks));
	for (__u32 i = 0; b->blocks && !ret && i < cnt; i++) {
		b->block_cnt++;
		b->blocks[i].region_first = b->region_cnt;
		b->region_cnt += (blocks[i].sz + PT_REGION_SZ - 1) /
				 PT_REGION_SZ;
		ret = open_block(&b->blocks[i], &blocks[i], err);
	}
	b->regions = calloc(b->region_cnt, sizeof(*b->regions));
	if (!ret && (!b->blocks || !b->regions))
		ret = no_memory(err);
	if (ret) {
		pt_batch_close(b);
		return ret;
	}
	*out = b;
	return 0;
}

void pt_batch_close(struct pt_batch *b)
{
	if (!b)
		return;
	for (__u32 i = 0; i < b->block_cnt; i++) {
		if (b->blocks[i].map)
			munmap(b->blocks[i].map, b->blocks[i].sz);
		if (b->blocks[i].fd >= 0)
			close(b->blocks[i].fd);
	}
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->changed);
	free(b->blocks);
	free(b->regions);
	free(b);
}

int pt_batch_fd(const struct pt_batch *b, __u32 block)
{
	return b->blocks[block].fd;
}

/* ---- adding ---- */

void pt_batch_begin(struct pt_batch *b)
{
	pthread_mutex_lock(&b->lock);
}

void pt_batch_done(struct pt_batch *b)
{
	if (b->next_cnt)
		pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

bool pt_batch_add(struct pt_batch *b, __u32 block, __u64 off,
		  const __u8 *page)
{
	struct block *at = &b->blocks[block];
	struct region *r = &b->regions[at->region_first + off / PT_REGION_SZ];
	__u32 i = off % PT_REGION_SZ / PT_PAGE_SZ;
	__u64 *next = &r->next[i / 64], *held = &r->held[i / 64];
	__u64 bit = 1ULL << (i % 64);

	if (b->next_sz >= b->room_sz)
		return false;
	if (!b->next_cnt)
		b->first_ns = pt_clock_ns();
	if (page)
		memcpy(at->map + off, page, PT_PAGE_SZ);
	else if (*held & bit)
		memset(at->map + off, 0, PT_PAGE_SZ);
	if (page && !(*held & bit)) {
		*held |= bit;
		r->held_cnt++;
	}
	if (!(*next & bit)) {
		*next |= bit;
		r->next_cnt++;
		b->next_cnt++;
	}
	b->next_sz += page ? PT_PAGE_SZ : ZERO_SZ;
	return true;
}

void pt_batch_end(struct pt_batch *b)
{
	pthread_mutex_lock(&b->lock);
	b->has_ended = true;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

void pt_batch_fail(struct pt_batch *b, int code, const struct pt_error *err)
{
	pthread_mutex_lock(&b->lock);
	if (!b->failure) {
		b->failed = *err;
		b->failure = code;
	}
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* ---- collecting ---- */

/* is_ready: 1: there is something to report; 0: not yet; -errno. */
static int is_ready(const struct pt_batch *b, const atomic_bool *is_cancelled)
{
	if (b->failure)
		return b->failure;
	if (atomic_load(is_cancelled))
		return -ECANCELED;
	return b->has_ended || b->next_sz >= b->room_sz ||
	       (b->next_cnt && pt_clock_ns() - b->first_ns > GATHER_NS);
}

static void wait_a_moment(struct pt_batch *b)
{
	pt_thread_wait(&b->changed, &b->lock, pt_clock_ns() +
		       (b->next_cnt ? GATHER_NS : LOOK_NS));
}

/* punch frees pages first to end - 1 of a region. */
static void punch(const struct block *at, __u64 region_off, __u32 first,
		  __u32 end)
{
	fallocate(at->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  region_off + (__u64)first * PT_PAGE_SZ,
		  (__u64)(end - first) * PT_PAGE_SZ);
}

static bool is_spent(const struct region *r, __u32 i)
{
	return (r->held[i / 64] & ~r->next[i / 64]) >> (i % 64) & 1;
}

/* check_region compares the pages to be freed with what was sent of them. */
static int check_region(const struct block *at, const struct region *r,
			__u64 region_off, const struct pt_track_to *to,
			struct pt_error *err)
{
	__u64 page_idx = (at->region_first + region_off / PT_REGION_SZ) *
			 PT_REGION_PAGES;

	for (__u32 i = 0; i < PT_REGION_PAGES; i++) {
		__u64 off = region_off + (__u64)i * PT_PAGE_SZ;

		if (is_spent(r, i) &&
		    !to->is_sent(to->arg, page_idx + i, at->map + off))
			return pt_error_set(err, PT_EXIT_FAILED, -EIO, "RAM "
					    "block '%s': the page at %#llx was "
					    "not sent as it came, an error of "
					    "pagetrim (use another way to "
					    "migrate, and report it)", at->name,
					    (unsigned long long)off);
	}
	return 0;
}

/* free_region frees the pages that were sent, and did not come again. */
static void free_region(const struct block *at, struct region *r,
			__u64 region_off)
{
	__u32 first, end;

	if (!r->next_cnt) {
		__u64 left = at->sz - region_off;

		punch(at, region_off, 0, left < PT_REGION_SZ
		      ? left / PT_PAGE_SZ : PT_REGION_PAGES);
		memset(r->held, 0, sizeof(r->held));
		r->held_cnt = 0;
		return;
	}
	for (first = 0; first < PT_REGION_PAGES; first = end) {
		end = first + 1;
		if (!is_spent(r, first))
			continue;
		while (end < PT_REGION_PAGES && is_spent(r, end))
			end++;
		punch(at, region_off, first, end);
		for (__u32 i = first; i < end; i++)
			r->held[i / 64] &= ~(1ULL << (i % 64));
		r->held_cnt -= end - first;
	}
}

static int free_sent(struct pt_batch *b, const struct pt_track_to *to,
		     struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; i < b->block_cnt; i++) {
		const struct block *at = &b->blocks[i];

		for (__u64 off = 0; off < at->sz; off += PT_REGION_SZ) {
			struct region *r = &b->regions[at->region_first +
						       off / PT_REGION_SZ];

			if (!r->held_cnt)
				continue;
			ret = check_region(at, r, off, to, err);
			if (ret)
				return ret;
			free_region(at, r, off);
		}
	}
	return 0;
}

/* report reports the runs of a region's next pages. */
static void report(struct region *r, __u64 page_idx,
		   const struct pt_track_to *to)
{
	for (__u32 w = 0; w < PT_REGION_WORDS; w++) {
		for (__u64 bits = r->next[w]; bits; ) {
			unsigned first = __builtin_ctzll(bits);
			__u64 rest = ~(bits >> first);
			unsigned cnt = rest ? __builtin_ctzll(rest) : 64;

			to->dirty(to->arg, page_idx + w * 64 + first, cnt);
			bits &= first + cnt < 64 ? ~0ULL << (first + cnt) : 0;
		}
	}
	memset(r->next, 0, sizeof(r->next));
	r->next_cnt = 0;
}

/* adapt judges the batch that was sent since the last collect. */
static void adapt(struct pt_batch *b)
{
	__u64 took_ns = pt_clock_ns() - b->collected_ns;

	if (took_ns > SENT_MAX_NS && b->room_sz > ROOM_MIN_SZ)
		b->room_sz /= 2;
	else if (b->was_full && took_ns < SENT_MIN_NS &&
		 b->room_sz < ROOM_MAX_SZ)
		b->room_sz *= 2;
}

/* wait waits for a batch.  Returns 0, or -errno. */
static int wait(struct pt_batch *b, const atomic_bool *is_cancelled,
		struct pt_error *err)
{
	int ret;

	while (!(ret = is_ready(b, is_cancelled)))
		wait_a_moment(b);
	if (ret < 0 && ret == b->failure && err)
		*err = b->failed;
	return ret < 0 ? ret : 0;
}

/* report_all: the next batch is on its way. */
static void report_all(struct pt_batch *b, const struct pt_track_to *to)
{
	for (__u64 r = 0; b->next_cnt && r < b->region_cnt; r++)
		if (b->regions[r].next_cnt)
			report(&b->regions[r], r * PT_REGION_PAGES, to);
	b->was_full = b->next_sz >= b->room_sz;
	b->is_last = b->has_ended;
	b->next_sz = b->next_cnt = 0;
	b->collected_ns = pt_clock_ns();
}

int pt_batch_collect(struct pt_batch *b, const struct pt_track_to *to,
		     const atomic_bool *is_cancelled, struct pt_error *err)
{
	int ret;

	pthread_mutex_lock(&b->lock);
	if (b->is_last) {	/* the last batch may still be to be sent */
		pthread_mutex_unlock(&b->lock);
		return 0;
	}
	ret = free_sent(b, to, err);
	if (!ret && b->collected_ns)
		adapt(b);
	if (!ret)
		ret = wait(b, is_cancelled, err);
	if (!ret)
		report_all(b, to);
	pthread_mutex_unlock(&b->lock);
	eventfd_write(b->room_fd, 1);
	return ret;
}

bool pt_batch_is_last(struct pt_batch *b)
{
	bool is_last;

	pthread_mutex_lock(&b->lock);
	is_last = b->is_last;
	pthread_mutex_unlock(&b->lock);
	return is_last;
}
