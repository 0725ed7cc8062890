/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sink_guest_kit: the memory of a guest, here a child with two memfds, as a
 * sink. */
#ifndef SINK_GUEST_KIT_H
#define SINK_GUEST_KIT_H

#include <sys/mman.h>
#include <sys/wait.h>

#include "rebuild_kit.h"

#include "guard_again.h"
#include "paused_child.h"
#include "sink/sink_guest.h"

#define FIRST_CNT	1100		/* pages: two regions and a part */
#define SECOND_CNT	600
#define CNT		(FIRST_CNT + SECOND_CNT)
#define SECOND_OFF	(3 * PT_PAGE_SZ)	/* of the second, in its file */

static const struct pt_segment segments[] = {
	{ "first", 0, FIRST_CNT * (__u64)PT_PAGE_SZ },
	{ "second", 5000, SECOND_CNT * (__u64)PT_PAGE_SZ },
};

/* memory: one of the guest's. */
static struct memory {
	int fd;
	__u8 *at;		/* shared with the child */
	__u64 sz, off;
	char path[64];
} memories[2];

static struct pt_sink_guest_range ranges[2];
static pid_t child;
static struct pt_error err;
static __u32 run_cnt;
static int run_ret;

static inline int run_guest(void *arg, struct pt_error *error)
{
	assert_ptr_equal(arg, &run_cnt);
	run_cnt++;
	return run_ret ? pt_error_set(error, PT_EXIT_HOST, run_ret, "no") : 0;
}

static inline struct pt_sink_guest_cfg cfg_of(void)
{
	return (struct pt_sink_guest_cfg){
		.pid = child, .ranges = ranges, .cnt = 2,
		.run = run_guest, .arg = &run_cnt,
	};
}

static inline void make_memory(struct memory *m, __u64 sz, __u64 off)
{
	m->sz = sz;
	m->off = off;
	m->fd = memfd_create("ram", MFD_CLOEXEC |
					  MFD_ALLOW_SEALING);
	assert_true(m->fd >= 0);
	assert_int_equal(ftruncate(m->fd, off + sz), 0);
	m->at = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, off);
	assert_ptr_not_equal(m->at, MAP_FAILED);
}

/* start_guest: the child has the memory at the same addresses. */
static inline void start_guest(void)
{
	make_memory(&memories[0], segments[0].sz, 0);
	make_memory(&memories[1], segments[1].sz, SECOND_OFF);
	child = paused_child();
	for (int i = 0; i < 2; i++) {
		snprintf(memories[i].path, sizeof(memories[i].path),
			 "/proc/%d/fd/%d", child, memories[i].fd);
		ranges[i] = (struct pt_sink_guest_range){
			.name = segments[i].name, .sz = segments[i].sz,
			.addr = (uintptr_t)memories[i].at,
			.path = memories[i].path, .off = memories[i].off,
		};
	}
	run_cnt = 0;
	run_ret = 0;
}

static inline void start_sink(void)
{
	const struct pt_sink_guest_cfg cfg = cfg_of();

	assert_int_equal(pt_layout_create(&layout, segments, 2, &err), 0);
	if (pt_sink_open_guest(&sink, &cfg, &err) ||
	    pt_sink_fit(sink, layout, &err))
		fail_msg("%s", err.text);
	assert_false(pt_sink_starts_zero(sink));
	assert_int_equal(pt_rebuild_create(&rebuild, layout, sink, KEY), 0);
	memset(&counts, 0, sizeof(counts));
	memset(&sum, 0, sizeof(sum));
	memset(&run, 0, sizeof(run));
}

static inline void stop_sink(void)
{
	pt_rebuild_destroy(rebuild);
	pt_sink_close(sink);
	pt_layout_free(layout);
}

static inline void stop_guest(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		munmap(memories[i].at, memories[i].sz);
		close(memories[i].fd);
	}
}

static inline __u64 gfn_of(__u32 page)
{
	return page < FIRST_CNT ? page
				: segments[1].gfn + page - FIRST_CNT;
}

static inline const struct memory *memory_of(__u32 *page)
{
	if (*page < FIRST_CNT)
		return &memories[0];
	*page -= FIRST_CNT;
	return &memories[1];
}

/* read_file reads a page of the file: a look at the mapping would fill a
 * hole. */
static inline void read_file(__u32 page, __u8 *to)
{
	const struct memory *m = memory_of(&page);

	assert_int_equal(pread(m->fd, to, PT_PAGE_SZ,
			       m->off + page * PT_PAGE_SZ), PT_PAGE_SZ);
}

static inline void write_file(__u32 page, const __u8 *from)
{
	const struct memory *m = memory_of(&page);

	assert_int_equal(pwrite(m->fd, from, PT_PAGE_SZ,
				m->off + page * PT_PAGE_SZ), PT_PAGE_SZ);
}

static inline bool is_hole(__u32 page)
{
	const struct memory *m = memory_of(&page);
	off_t off = m->off + page * PT_PAGE_SZ;
	off_t data = lseek(m->fd, off, SEEK_DATA);

	return data < 0 || data >= off + PT_PAGE_SZ;
}

static __u8 image[CNT][PT_PAGE_SZ];	/* the wanted content */
static bool had_data[CNT];		/* at the start, or ever since */

/* fill_front: the second file's bytes before the memory. */
static inline void fill_front(void)
{
	__u8 bytes[SECOND_OFF];

	memset(bytes, 0x77, sizeof(bytes));
	assert_int_equal(pwrite(memories[1].fd, bytes, SECOND_OFF, 0),
			 SECOND_OFF);
}

static inline void send_data(__u32 page, __u32 generation, __u64 *random)
{
	__u64 mask = kit_random(random) | 1;
	__u8 bytes[PT_PAGE_SZ];

	kit_fill(bytes, sizeof(bytes), random);
	for (int b = 0; b < 64; b++)
		if (!(mask >> b & 1))
			memset(bytes + b * 64, 0, 64);
	memcpy(image[page], bytes, PT_PAGE_SZ);
	had_data[page] = true;
	place_page(gfn_of(page), mask, image[page], generation);
}

static inline void send_zeroes(__u32 page, __u32 cnt, __u32 generation)
{
	memset(image[page], 0, (size_t)cnt * PT_PAGE_SZ);
	place_zero_run(gfn_of(page), cnt, generation);
}

#endif
