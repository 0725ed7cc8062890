/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* proxy_kit: a stream goes through a splitter and a joiner, with the test between
 * them: it carries batches of pages by hand, and the rest by two threads.
 *
 *     test: stream --> splitter ==pages==> sink, joiner --> test: what came
 *                         \----- the rest -----/
 */
#ifndef TEST_PROXY_KIT_H
#define TEST_PROXY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memory/layout.h"
#include "proxy/door.h"
#include "proxy/joiner.h"
#include "proxy/splitter.h"
#include "qstream/qstream.h"
#include "sink/sink_ops.h"

#define FROM		"/tmp/pagetrim-test-proxy-from"
#define INTO		"/tmp/pagetrim-test-proxy-into"
#define PAGES		700	/* of block 0, 5 of block 1 */
#define PAGE_CNT	(PAGES + 5)
#define STREAM_SZ	(16u << 20)
#define BACK		"pong"

static __u8 ram[PAGE_CNT][PT_PAGE_SZ];	/* as the stream has it in the end */
static __u8 got[PAGE_CNT][PT_PAGE_SZ];
static __u8 *stream, *came;
static size_t stream_sz, head_sz, came_sz;
static __u64 random_state;

/* ---- the stream that goes in ---- */

static __u64 next_random(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return random_state >> 33;
}

static void number(__u64 value, size_t sz)
{
	for (size_t i = 0; i < sz; i++)
		stream[stream_sz + i] = value >> 8 * (sz - 1 - i);
	stream_sz += sz;
}

static void text(const char *from)
{
	memcpy(stream + stream_sz, from, strlen(from));
	stream_sz += strlen(from);
}

static void name(const char *from)
{
	number(strlen(from), 1);
	text(from);
}

static void open_section(__u8 type)
{
	stream_sz += pt_qstream_put_section(stream + stream_sz, type, 2);
}

static void close_section(void)
{
	stream_sz += pt_qstream_put_close(stream + stream_sz, 2);
}

static void begin(void)
{
	stream_sz = 0;
	memset(ram, 0, sizeof(ram));
	number(0x5145564d, 4);
	number(3, 4);
	number(1, 1);
	number(2, 4);
	name("ram");
	number(0, 4);
	number(4, 4);
	number(PAGE_CNT * (__u64)PT_PAGE_SZ | 4, 8);
	name("pc.ram");
	number(PAGES * (__u64)PT_PAGE_SZ, 8);
	name("vga");
	number((PAGE_CNT - PAGES) * (__u64)PT_PAGE_SZ, 8);
	close_section();
	head_sz = stream_sz;
}

/* page writes new content, or zeroes, to page i. */
static void page(__u32 i, bool is_zero)
{
	__u32 off = i < PAGES ? i : i - PAGES;

	memset(ram[i], 0, PT_PAGE_SZ);
	for (int k = 0; !is_zero && k < 40; k++)
		ram[i][next_random() % PT_PAGE_SZ] = 1 + next_random() % 255;
	stream_sz += pt_qstream_put_record(stream + stream_sz, i < PAGES
					   ? "pc.ram" : "vga",
					   (__u64)off * PT_PAGE_SZ, is_zero);
	if (is_zero)
		return;
	memcpy(stream + stream_sz, ram[i], PT_PAGE_SZ);
	stream_sz += PT_PAGE_SZ;
}

static void rounds(void)
{
	open_section(2);
	for (__u32 i = 0; i < PAGE_CNT; i++)
		page(i, next_random() % 3 == 0);
	close_section();
	for (int round = 0; round < 3; round++) {
		open_section(2);
		for (int n = 0; n < 300; n++)
			page(next_random() % PAGE_CNT, next_random() % 4 == 0);
		close_section();
	}
}

/* ---- both QEMUs, and the threads that carry the rest ---- */

static int qemu_fd, listen_fd;
static char answer[16];
static bool answers;		/* the QEMU at the destination, */
static bool is_slow;		/* which reads only once the tail flows */
static atomic_bool flows;

static void block(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void write_all(int fd, const __u8 *bytes, size_t sz)
{
	while (sz) {
		ssize_t part = send(fd, bytes, sz, MSG_NOSIGNAL);

		if (part <= 0)
			return;
		bytes += part;
		sz -= part;
	}
}

/* source_main: QEMU ends its stream when it has heard all of the answer. */
static void *source_main(void *arg)
{
	ssize_t sz, at = 0;

	(void)arg;
	write_all(qemu_fd, stream, stream_sz);
	shutdown(qemu_fd, SHUT_WR);
	while ((sz = read(qemu_fd, answer + at, sizeof(answer) - 1 - at)) > 0)
		at += sz;
	return NULL;
}

static void *dest_main(void *arg)
{
	int fd = accept(listen_fd, NULL, NULL);
	ssize_t sz;

	(void)arg;
	block(fd);
	while (is_slow && !atomic_load(&flows))
		usleep(1000);
	if (answers)
		write_all(fd, (const __u8 *)BACK, strlen(BACK));
	while ((sz = read(fd, came + came_sz, STREAM_SZ - came_sz)) > 0)
		came_sz += sz;
	close(fd);
	return NULL;
}

struct ways { int from, to; };

static void *carry_main(void *arg)
{
	const struct ways *w = arg;
	__u8 bytes[4096];
	ssize_t sz;

	while ((sz = read(w->from, bytes, sizeof(bytes))) > 0)
		write_all(w->to, bytes, sz);
	shutdown(w->to, SHUT_WR);
	return NULL;
}

/* ---- the pages ---- */

static struct pt_splitter *splitter;
static struct pt_joiner *joiner;
static struct pt_layout *layout;
static atomic_bool is_cancelled;
static __u32 reported_cnt;

/* place: -errno once the joiner has failed. */
static int place(__u64 page_idx)
{
	__u32 block = page_idx >= 2 * PT_REGION_PAGES;
	__u64 off = (page_idx - (block ? 2 * PT_REGION_PAGES : 0)) * PT_PAGE_SZ;
	__u64 image_off = off + (block ? PAGES * PT_PAGE_SZ : 0);
	struct pt_sink *sink = pt_joiner_sink(joiner);
	static const __u8 zero_page[PT_PAGE_SZ];
	__u8 bytes[PT_PAGE_SZ];
	struct iovec halves[] = { { bytes, 1000 }, { bytes + 1000, 3096 } };
	struct pt_error err;
	int ret = 0;

	assert_int_equal(pread(pt_splitter_fd(splitter, block), bytes,
			       PT_PAGE_SZ, off), PT_PAGE_SZ);
	if (!memcmp(bytes, zero_page, PT_PAGE_SZ))
		return sink->ops->zero(sink, image_off, PT_PAGE_SZ, &err);
	for (int i = 0; !ret && i < 2; i++)
		ret = sink->ops->place(sink, image_off + i * 1000, &halves[i],
				       1, i ? 3096 : 1000, &err);
	return ret;
}

struct batch {
	__u32 cnt;
	__u64 pages[8192];
};

static void report(void *arg, __u64 page_idx, __u32 cnt)
{
	struct batch *b = arg;

	for (__u32 i = 0; i < cnt; i++)
		b->pages[b->cnt++] = page_idx + i;
	reported_cnt += cnt;
}

static __u64 not_sent = ~0ULL;	/* the page that gets lost */

static bool is_sent(void *arg, __u64 page_idx, const void *page)
{
	(void)arg;
	(void)page;
	return page_idx != not_sent;
}

static int carry_pages(struct pt_error *err)
{
	static struct batch b;
	const struct pt_track_to to = { .dirty = report, .is_sent = is_sent,
					.arg = &b };
	int ret;

	do {
		b.cnt = 0;
		ret = pt_splitter_collect(splitter, &to, &is_cancelled, err);
		for (__u32 i = 0; !ret && i < b.cnt && !place(b.pages[i]); i++)
			;
	} while (!ret && !pt_splitter_is_last(splitter));
	return ret;
}

static void open_layout(void)
{
	const struct pt_qstream_block *blocks;
	struct pt_segment segs[2] = { 0 };
	struct pt_error err;
	__u32 cnt;

	blocks = pt_splitter_blocks(splitter, &cnt);
	assert_in_range(cnt, 1, 2);
	for (__u32 i = 0; i < cnt; i++) {
		segs[i].gfn = i * 2 * PT_REGION_PAGES;
		segs[i].sz = blocks[i].sz;
	}
	assert_int_equal(pt_layout_create(&layout, segs, cnt, &err), 0);
	assert_int_equal(pt_sink_fit(pt_joiner_sink(joiner), layout, &err), 0);
}

static pthread_t source_thread;

static int open_ends(void)
{
	struct pt_error err;
	int ret;

	came_sz = reported_cnt = 0;
	memset(answer, 0, sizeof(answer));
	assert_int_equal(pt_splitter_open(&splitter, FROM, &err), 0);
	assert_int_equal(pt_joiner_open(&joiner, INTO, &err), 0);
	assert_int_equal(pt_door_listen(&listen_fd, INTO, &err), 0);
	block(listen_fd);
	assert_int_equal(pt_door_connect(&qemu_fd, FROM, 5000, &err), 0);
	block(qemu_fd);
	pthread_create(&source_thread, NULL, source_main, NULL);
	ret = pt_splitter_accept(splitter, -1, &err);
	if (!ret)
		open_layout();
	return ret;
}

static void close_ends(void)
{
	pt_splitter_close(splitter);
	pthread_join(source_thread, NULL);
	pt_joiner_close(joiner);
	pt_layout_free(layout);
	layout = NULL;
	pt_door_leave(listen_fd, INTO);
	close(qemu_fd);
}

/* pass moves the stream; the result is that of the pages, or of the end. */
static int pass(struct pt_error *err)
{
	pthread_t dest, ways[2];
	struct ways there, back;
	int s_fd, j_fd, ret;

	assert_int_equal(open_ends(), 0);
	pthread_create(&dest, NULL, dest_main, NULL);
	assert_int_equal(pt_splitter_begin(splitter, &s_fd, err), 0);
	assert_int_equal(pt_joiner_begin(joiner, &j_fd, err), 0);
	block(s_fd);
	block(j_fd);
	there = (struct ways){ s_fd, j_fd };
	back = (struct ways){ j_fd, s_fd };
	pthread_create(&ways[0], NULL, carry_main, &there);
	pthread_create(&ways[1], NULL, carry_main, &back);
	atomic_store(&flows, false);
	ret = carry_pages(err);
	if (!ret && is_slow)
		pt_splitter_hand_over(splitter, 200, err);
	atomic_store(&flows, true);
	while (!ret && (ret = pt_splitter_hand_over(splitter, 100, err)) ==
	       -ETIMEDOUT)
		ret = 0;
	if (!ret)
		ret = pt_joiner_loaded(joiner, err);
	if (ret && pt_joiner_failure(joiner))
		print_message("joiner: %s\n", pt_joiner_failure(joiner)->text);
	if (ret) {
		pt_splitter_drop(splitter, NULL);
		shutdown(s_fd, SHUT_RDWR);
		shutdown(j_fd, SHUT_RDWR);
	}
	pthread_join(ways[0], NULL);
	pthread_join(ways[1], NULL);
	pthread_join(dest, NULL);
	close(s_fd);
	close(j_fd);
	close_ends();
	return ret;
}

#endif
