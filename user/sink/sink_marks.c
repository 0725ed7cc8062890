// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/sink_marks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "sink/sink_memfd.h"
#include "sink/sink_ops.h"

#define NAP_NS		500000		/* while too many pages are marked */
#define TAKER_NS	60000000000ULL	/* for the taker to take one */

struct pt_sink_marks {
	struct pt_sink sink;		/* first */
	struct pt_sink *inner;		/* the memfd */
	int fd, wake_fd;
	__u64 word_cnt;			/* of both: */
	_Atomic __u64 *marked;		/* bit: to be taken */
	_Atomic __u64 *has_data;	/* bit: placed, and not zeroed since */
	_Atomic __u64 marked_cnt, taken_cnt;
	_Atomic(const struct pt_layout *) layout;	/* NULL: not fit */
	atomic_bool is_awaited;
	atomic_int failure;		/* -errno; set last */
	struct pt_error failed;
};

static struct pt_sink_marks *marks_of(const struct pt_sink *s)
{
	return (struct pt_sink_marks *)s;
}

static void marks_free(struct pt_sink_marks *m)
{
	free(m->marked);
	free(m->has_data);
	m->marked = m->has_data = NULL;
}

static int marks_fit(struct pt_sink *s, const struct pt_layout *l,
		     struct pt_error *err)
{
	struct pt_sink_marks *m = marks_of(s);
	int ret = pt_sink_fit(m->inner, l, err);

	if (ret)
		return ret;
	marks_free(m);
	s->sz = m->inner->sz;
	m->word_cnt = (s->sz / PT_PAGE_SZ + 63) / 64;
	m->marked = calloc(m->word_cnt, sizeof(*m->marked));
	m->has_data = calloc(m->word_cnt, sizeof(*m->has_data));
	if (!m->marked || !m->has_data)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for "
				    "the marks of %llu pages",
				    (unsigned long long)s->sz / PT_PAGE_SZ);
	atomic_store(&m->layout, l);
	return 0;
}

/* wait_for_room: progress is any page that was taken. */
static int wait_for_room(struct pt_sink_marks *m, struct pt_error *err)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	__u64 taken_cnt = ~0ULL, since_ns = 0;
	int failure;

	while (!(failure = atomic_load(&m->failure)) &&
	       atomic_load(&m->marked_cnt) >= PT_SINK_MARKS_MAX) {
		__u64 now_ns = pt_clock_ns(), cnt = atomic_load(&m->taken_cnt);

		if (cnt != taken_cnt)
			since_ns = now_ns;
		taken_cnt = cnt;
		if (now_ns - since_ns > TAKER_NS)
			return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT,
					    "the reader of the received pages "
					    "has taken none for %llu s",
					    TAKER_NS / 1000000000ULL);
		nanosleep(&nap, NULL);
	}
	if (failure && err)
		*err = m->failed;
	return failure;
}

/* mark marks pages first to end - 1, which were written. */
static void mark(struct pt_sink_marks *m, __u64 first, __u64 end)
{
	__u64 cnt = 0;

	for (__u64 i = first; i < end; i++) {
		__u64 bit = 1ULL << (i % 64);

		cnt += !(atomic_fetch_or(&m->marked[i / 64], bit) & bit);
	}
	atomic_fetch_add(&m->marked_cnt, cnt);
	if (cnt && atomic_exchange(&m->is_awaited, false))
		eventfd_write(m->wake_fd, 1);
}

static int marks_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
		       __u32 cnt, __u64 sz, struct pt_error *err)
{
	struct pt_sink_marks *m = marks_of(s);
	__u64 first = off / PT_PAGE_SZ;
	__u64 end = (off + sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	int ret = wait_for_room(m, err);

	if (ret)
		return ret;
	for (__u64 i = first; i < end; i++)
		atomic_fetch_or(&m->has_data[i / 64], 1ULL << (i % 64));
	ret = m->inner->ops->place(m->inner, off, pieces, cnt, sz, err);
	if (!ret)
		mark(m, first, end);
	return ret;
}

static bool has_data(const struct pt_sink_marks *m, __u64 page)
{
	return atomic_load(&m->has_data[page / 64]) >> (page % 64) & 1;
}

/* zero_data makes the next pages from *at on that have data zero. */
static int zero_data(struct pt_sink_marks *m, __u64 *at, __u64 end,
		     struct pt_error *err)
{
	__u64 first;
	int ret;

	while (*at < end && !has_data(m, *at))
		++*at;
	for (first = *at; *at < end && has_data(m, *at); ++*at)
		;
	if (first == *at)
		return 0;
	ret = m->inner->ops->zero(m->inner, first * PT_PAGE_SZ,
				  (*at - first) * PT_PAGE_SZ, err);
	for (__u64 i = first; !ret && i < *at; i++)
		atomic_fetch_and(&m->has_data[i / 64], ~(1ULL << (i % 64)));
	return ret;
}

static int marks_zero(struct pt_sink *s, __u64 off, __u64 sz,
		      struct pt_error *err)
{
	struct pt_sink_marks *m = marks_of(s);
	__u64 first = off / PT_PAGE_SZ;
	__u64 end = (off + sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	int ret = wait_for_room(m, err);

	for (__u64 at = first; !ret && at < end; )
		ret = zero_data(m, &at, end, err);
	if (!ret)
		mark(m, first, end);
	return ret;
}

static int marks_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		      struct pt_error *err)
{
	const struct pt_sink *inner = marks_of(s)->inner;

	return inner->ops->read(inner, off, to, sz, err);
}

static const __u8 *marks_see(const struct pt_sink *s, __u64 off)
{
	const struct pt_sink *inner = marks_of(s)->inner;

	return inner->ops->see(inner, off);
}

static int marks_fault(const struct pt_sink *s, const void *addr,
		       struct pt_error *err)
{
	const struct pt_sink *inner = marks_of(s)->inner;

	return inner->ops->fault(inner, addr, err);
}

static void marks_close(struct pt_sink *s)
{
	struct pt_sink_marks *m = marks_of(s);

	pt_sink_close(m->inner);
	close(m->fd);
	marks_free(m);
	free(m);
}

static const struct pt_sink_ops marks_ops = {
	.fit = marks_fit,
	.place = marks_place,
	.zero = marks_zero,
	.read = marks_read,
	.see = marks_see,
	.fault = marks_fault,
	.close = marks_close,
};

int pt_sink_open_marks(struct pt_sink_marks **out, int wake_fd,
		       struct pt_error *err)
{
	struct pt_sink_marks *m = calloc(1, sizeof(*m));
	int ret;

	if (!m)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	m->fd = memfd_create("pagetrim-received", MFD_CLOEXEC);
	if (m->fd < 0) {
		ret = pt_error_set(err, PT_EXIT_HOST, -errno, "memfd: %s%s",
				   strerror(errno), pt_files_remedy(-errno));
		free(m);
		return ret;
	}
	ret = pt_sink_open_memfd(&m->inner, m->fd, err);
	if (ret) {
		close(m->fd);
		free(m);
		return ret;
	}
	m->sink.ops = &marks_ops;
	m->sink.may_wait = true;
	m->wake_fd = wake_fd;
	*out = m;
	return 0;
}

struct pt_sink *pt_sink_marks_sink(struct pt_sink_marks *m)
{
	return &m->sink;
}

const struct pt_layout *pt_sink_marks_layout(const struct pt_sink_marks *m)
{
	return atomic_load(&m->layout);
}

bool pt_sink_marks_take(struct pt_sink_marks *m, __u64 *off,
			const __u8 **page)
{
	__u64 start = *off / PT_PAGE_SZ / 64;

	if (!atomic_load(&m->layout) || !atomic_load(&m->marked_cnt))
		return false;
	for (__u64 n = 0; n < m->word_cnt; n++) {
		__u64 word = (start + n) % m->word_cnt;
		__u64 bits = atomic_load(&m->marked[word]);
		__u64 i = word * 64 + (bits ? __builtin_ctzll(bits) : 0);

		if (!bits)
			continue;
		atomic_fetch_and(&m->marked[word], ~(1ULL << (i % 64)));
		atomic_fetch_sub(&m->marked_cnt, 1);
		atomic_fetch_add(&m->taken_cnt, 1);
		*off = i * PT_PAGE_SZ;
		*page = has_data(m, i) ? m->inner->ops->see(m->inner, *off)
				       : NULL;
		return true;
	}
	return false;
}

void pt_sink_marks_await(struct pt_sink_marks *m)
{
	atomic_store(&m->is_awaited, true);
	if (atomic_load(&m->marked_cnt) &&
	    atomic_exchange(&m->is_awaited, false))
		eventfd_write(m->wake_fd, 1);
}

void pt_sink_marks_fail(struct pt_sink_marks *m, int code,
			const struct pt_error *err)
{
	m->failed = *err;
	atomic_store(&m->failure, code);
}
