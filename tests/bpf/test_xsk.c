// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sockets on a real veth pair.  The XDP program here is six instructions that
 * redirect every frame, so that any bytes of any length can be sent. */
#include "veth.h"

#include <errno.h>
#include <linux/if_link.h>
#include <pthread.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "xdp/cause.h"
#include "xsk/xsk.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

#define QUEUES 2

struct rig {
	struct veth veth;
	int link_fd, map_fd;
	bool generic;
	struct pt_xsk *rx, *tx;
};

static void redirect_all(struct rig *rig)
{
	LIBBPF_OPTS(bpf_prog_load_opts, load, .prog_flags =
		    BPF_F_XDP_HAS_FRAGS);
	LIBBPF_OPTS(bpf_link_create_opts, link, .flags = rig->generic ?
		    XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int prog;

	rig->map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, QUEUES,
				     NULL);
	assert_true(rig->map_fd >= 0);

	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = rig->map_fd },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3,
		  .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "all", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), &load);
	assert_true(prog >= 0);
	rig->link_fd = bpf_link_create(prog, rig->veth.far.ifindex, BPF_XDP,
				       &link);
	assert_true(rig->link_fd >= 0);
	close(prog);
}

static struct pt_xsk *must_open(const struct pt_xsk_cfg *cfg)
{
	struct pt_xsk *x = NULL;
	struct pt_error err;

	if (pt_xsk_open(&x, cfg, &err))
		fail_msg("%s", err.text);
	return x;
}

static void rig_make(struct rig *rig, unsigned int mtu, bool generic,
		     __u32 rx_chunk_cnt)
{
	__u32 queue = 0;
	int fd;

	memset(rig, 0, sizeof(*rig));
	rig->generic = generic;
	veth_make(&rig->veth, QUEUES, mtu);
	redirect_all(rig);
	rig->rx = must_open(&(struct pt_xsk_cfg){
		.device = &rig->veth.far, .rx_chunk_cnt = rx_chunk_cnt });
	rig->tx = must_open(&(struct pt_xsk_cfg){
		.device = &rig->veth.near, .tx_chunk_cnt = 512,
		.tx_frame_sz_max = mtu + PT_ETH_SZ });
	fd = pt_xsk_fd(rig->rx);
	assert_int_equal(bpf_map_update_elem(rig->map_fd, &queue, &fd, 0), 0);
}

static void rig_break(struct rig *rig)
{
	pt_xsk_close(rig->rx);
	pt_xsk_close(rig->tx);
	close(rig->link_fd);
	close(rig->map_fd);
}

/* The byte at off of frame n: no two chunks or frames look alike. */
static __u8 pattern(__u32 n, __u32 off)
{
	return n * 31 + off * 7 + (off >> 8) * 13;
}

static void write_frame(struct rig *rig, __u8 *frame, __u32 n, __u32 sz)
{
	for (__u32 off = 0; off < sz; off++)
		frame[off] = pattern(n, off);
	memcpy(frame, rig->veth.far.mac, 6);
	memcpy(frame + 6, rig->veth.near.mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;	/* local experiments */
}

/* send_one queues frame n, and waits for a buffer if necessary. */
static void send_one(struct rig *rig, __u32 n, __u32 sz)
{
	__u8 *frame;

	while (!(frame = pt_xsk_tx_frame(rig->tx)))
		assert_true(pt_xsk_tx_wait(rig->tx, 2000) == 1);
	write_frame(rig, frame, n, sz);
	pt_xsk_tx_submit(rig->tx, frame, sz);
	if (n % 8 == 7)
		assert_true(pt_xsk_tx_kick(rig->tx) >= 0);
}

static void check_frame(const struct pt_rx_frame *frame, __u32 n, __u32 sz)
{
	__u32 off = 0;

	assert_int_equal(frame->sz, sz);
	for (__u32 s = 0; s < frame->span_cnt; s++) {
		const __u8 *bytes = frame->spans[s].base;

		for (__u32 i = 0; i < frame->spans[s].sz; i++, off++)
			if (off >= 14 && bytes[i] != pattern(n, off))
				fail_msg("frame %u byte %u", n, off);
	}
	assert_int_equal(off, sz);
}

static const struct sz_row {
	const char *name;
	unsigned int mtu;
	__u32 sz;
	__u32 span_cnt;
	bool generic;
} sz_rows[] = {
	{ "native 60",		1500,	60,	1,  false },
	{ "native 1514",	1500,	1514,	1,  false },
	{ "native 3840: one descriptor, full", 9000, 3840, 1, false },
	{ "native 3841: two descriptors", 9000,	3841,	2,  false },
	{ "native 4096: one on TX, two on RX", 9000, 4096, 2, false },
	{ "native 4097: two on TX", 9000, 4097,	2,  false },
	{ "native 9014",	9000,	9014,	3,  false },
	{ "native 65549: 17 on TX, 18 on RX", 65535, 65549, 18, false },
	{ "generic 60",		1500,	60,	1,  true },
	{ "generic 1514",	1500,	1514,	1,  true },
	{ "generic 3841",	9000,	3841,	2,  true },
	{ "generic 9014",	9000,	9014,	3,  true },
	{ "generic 65549",	65535,	65549,	18, true },
};

static void test_bytes_arrive(void **state)
{
	enum { FRAMES = 300 };
	const struct sz_row *row = *state;
	struct pt_rx_frame frames[PT_XSK_BATCH_MAX];
	struct pt_xsk_stats stats;
	struct rig rig;
	__u32 got = 0;

	rig_make(&rig, row->mtu, row->generic, 2048);
	for (__u32 n = 0; n < FRAMES; n++) {
		send_one(&rig, n, row->sz);
		if (n % 16 != 15)
			continue;
		flushed(rig.tx);
		for (int i = 0; i < 100 && got <= n; i++) {
			__u32 cnt;

			assert_true(pt_xsk_wait(rig.rx, 2000, -1) == 1);
			cnt = pt_xsk_recv(rig.rx, frames, 5);
			for (__u32 f = 0; f < cnt; f++) {
				assert_int_equal(frames[f].span_cnt,
						 row->span_cnt);
				check_frame(&frames[f], got++, row->sz);
			}
			pt_xsk_recycle(rig.rx, frames, cnt);
		}
		assert_int_equal(got, n + 1);
	}
	assert_int_equal(pt_xsk_stats(rig.rx, &stats), 0);
	assert_int_equal(stats.received, got);
	assert_int_equal(pt_xsk_dropped(&stats), 0);
	rig_break(&rig);
}

static const struct sz_row starve_rows[] = {
	{ "starved, native 1514",  1500,  1514,  1,  false },
	{ "starved, native 9014",  9000,  9014,  3,  false },
	{ "starved, native 65549", 65535, 65549, 18, false },
	{ "starved, generic 1514", 1500,  1514,  1,  true },
	{ "starved, generic 9014", 9000,  9014,  3,  true },
	{ "starved, generic 65549", 65535, 65549, 18, true },
};

/* No thread reads: 64 chunks hold a part.  Every frame beyond is dropped and
 * counted, in frames. */
static void test_starved(void **state)
{
	enum { FRAMES = 250, CHUNKS = 64 };
	const struct sz_row *row = *state;
	struct pt_rx_frame frames[PT_XSK_BATCH_MAX];
	struct pt_xsk_stats stats;
	__u32 got = 0, cnt;
	struct rig rig;

	rig_make(&rig, row->mtu, row->generic, CHUNKS);
	for (int round = 0; round < 3; round++) {
		for (__u32 n = 0; n < FRAMES; n++)
			send_one(&rig, n, row->sz);
		flushed(rig.tx);
		for (cnt = 1; cnt; got += cnt) {
			cnt = pt_xsk_recv(rig.rx, frames, PT_XSK_BATCH_MAX);
			for (__u32 f = 0; f < cnt; f++)
				check_frame(&frames[f], got % (CHUNKS /
					    row->span_cnt) + f, row->sz);
			pt_xsk_recycle(rig.rx, frames, cnt);
		}
		assert_int_equal(got, (round + 1) * (CHUNKS / row->span_cnt));
		assert_int_equal(pt_xsk_stats(rig.rx, &stats), 0);
		assert_int_equal(stats.received + pt_xsk_dropped(&stats),
				 FRAMES * (round + 1));
	}
	rig_break(&rig);
}

enum { STREAM = 60000 };

static void *stream(void *arg)
{
	struct rig *rig = arg;

	for (__u32 n = 0; n < STREAM; n++)
		send_one(rig, n, 60);
	flushed(rig->tx);
	return NULL;
}

/* One thread sends and another reads, with few chunks, so that they go round
 * and round; each frame arrives at most once, and in order. */
static void test_stream(void **state)
{
	struct pt_rx_frame frames[PT_XSK_BATCH_MAX];
	struct pt_xsk_stats stats = { 0 };
	pthread_t thread;
	struct rig rig;
	__u32 cnt, n = 0;

	(void)state;
	rig_make(&rig, 1500, false, 64);
	assert_int_equal(pthread_create(&thread, NULL, stream, &rig), 0);
	while (stats.received + pt_xsk_dropped(&stats) < STREAM) {
		assert_true(pt_xsk_wait(rig.rx, 5000, -1) >= 0);
		while ((cnt = pt_xsk_recv(rig.rx, frames, 7))) {
			for (__u32 f = 0; f < cnt; f++, n++) {
				const __u8 *bytes = frames[f].spans[0].base;

				while (n < STREAM &&
				       bytes[20] != pattern(n, 20))
					n++;	/* dropped */
				check_frame(&frames[f], n, 60);
			}
			pt_xsk_recycle(rig.rx, frames, cnt);
		}
		assert_int_equal(pt_xsk_stats(rig.rx, &stats), 0);
	}
	pthread_join(thread, NULL);
	assert_true(n <= STREAM);
	assert_int_equal(stats.received + pt_xsk_dropped(&stats), STREAM);
	rig_break(&rig);
}

static void test_tx_buffers_run_out(void **state)
{
	struct pt_xsk_info info;
	__u32 cnt = 0;
	struct rig rig;
	__u8 *frame;

	(void)state;
	rig_make(&rig, 9000, false, 2048);
	pt_xsk_info(rig.tx, &info);
	assert_int_equal(info.tx_frame_cnt, 512 / 3);
	while ((frame = pt_xsk_tx_frame(rig.tx))) {
		write_frame(&rig, frame, cnt, 9014);
		pt_xsk_tx_submit(rig.tx, frame, 9014);
		cnt++;
	}
	assert_int_equal(cnt, info.tx_frame_cnt);
	assert_int_equal(in_flight(rig.tx), cnt);
	flushed(rig.tx);
	frame = pt_xsk_tx_frame(rig.tx);
	assert_non_null(frame);
	pt_xsk_tx_give_back(rig.tx, frame);
	assert_ptr_equal(pt_xsk_tx_frame(rig.tx), frame);
	rig_break(&rig);
}

/* The device goes down: queued frames stay, and leave when it is up. */
static void test_device_down(void **state)
{
	struct pt_rx_frame frames[4];
	struct rig rig;

	(void)state;
	rig_make(&rig, 1500, false, 64);
	run("ip link set %s down", rig.veth.near.name);
	send_one(&rig, 0, 1514);
	assert_int_equal(pt_xsk_tx_kick(rig.tx), -ENETDOWN);
	assert_int_equal(pt_xsk_tx_wait(rig.tx, 100), -ENETDOWN);
	assert_int_equal(pt_xsk_recv(rig.rx, frames, 4), 0);
	run("ip link set %s up", rig.veth.near.name);
	flushed(rig.tx);
	assert_int_equal(pt_xsk_wait(rig.rx, 2000, -1), 1);
	assert_int_equal(pt_xsk_recv(rig.rx, frames, 4), 1);
	check_frame(&frames[0], 0, 1514);
	rig_break(&rig);
}

static void test_device_gone(void **state)
{
	struct rig rig;

	(void)state;
	rig_make(&rig, 1500, false, 64);
	run("ip link del %s", rig.veth.near.name);
	send_one(&rig, 0, 1514);
	assert_true(pt_xsk_tx_kick(rig.tx) < 0);
	assert_true(pt_xsk_tx_wait(rig.tx, 2000) < 0);
	assert_true(pt_xsk_wait(rig.rx, 10, -1) < 0);
	assert_true(pt_xsk_wait(rig.rx, 10, -1) < 0);	/* and stays gone */
	rig_break(&rig);
}

static void test_wait(void **state)
{
	struct rig rig;
	int pipe_fd[2];

	(void)state;
	rig_make(&rig, 1500, false, 64);
	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(pt_xsk_wait(rig.rx, 1, pipe_fd[0]), 0);
	assert_int_equal(write(pipe_fd[1], "x", 1), 1);
	assert_int_equal(pt_xsk_wait(rig.rx, -1, pipe_fd[0]), 2);
	send_one(&rig, 0, 60);
	flushed(rig.tx);
	assert_int_equal(pt_xsk_wait(rig.rx, -1, pipe_fd[0]), 3);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	rig_break(&rig);
}

#define ROWS(rows) (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_tx_buffers_run_out),
		cmocka_unit_test(test_device_down),
		cmocka_unit_test(test_device_gone),
		cmocka_unit_test(test_wait),
	};
	struct CMUnitTest tests[ROWS(plain) + ROWS(sz_rows) +
				ROWS(starve_rows)];
	size_t cnt = 0;

	pt_cause_begin();
	for (size_t i = 0; i < ROWS(sz_rows); i++)
		tests[cnt++] = (struct CMUnitTest){ sz_rows[i].name,
			test_bytes_arrive, NULL, NULL, (void *)&sz_rows[i] };
	for (size_t i = 0; i < ROWS(starve_rows); i++)
		tests[cnt++] = (struct CMUnitTest){ starve_rows[i].name,
			test_starved, NULL, NULL, (void *)&starve_rows[i] };
	memcpy(&tests[cnt], plain, sizeof(plain));
	return cmocka_run_group_tests_name("xsk", tests, NULL, NULL);
}
