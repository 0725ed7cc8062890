// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The times at which a zero-copy socket's driver is woken.  The test replaces
 * the rings, the clock and sendto, and also poll: it takes no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "xsk/xsk_impl.h"

#define CHUNKS	64
#define RING	128

static struct pt_xsk x;
static __u8 memory[CHUNKS * PT_XSK_CHUNK_SZ];
static struct xdp_desc descs[RING];
static __u64 completed[RING];
static __u32 tx_prod, tx_cons, tx_flags, comp_prod, comp_cons, fill_flags;
static __u64 now_ns;
static int told, answer;	/* calls of sendto; the errno it gives, or 0 */
static bool stops;		/* the stop descriptor is readable */

int clock_gettime(clockid_t id, struct timespec *now)
{
	(void)id;
	now->tv_sec = now_ns / 1000000000;
	now->tv_nsec = now_ns % 1000000000;
	return 0;
}

int poll(struct pollfd *fds, nfds_t cnt, int timeout_ms)
{
	(void)fds;
	(void)cnt;
	if (!stops)
		now_ns += timeout_ms * 1000000ULL;
	return stops;
}

ssize_t sendto(int fd, const void *bytes, size_t sz, int flags,
	       const struct sockaddr *addr, socklen_t addr_sz)
{
	(void)fd;
	(void)bytes;
	(void)sz;
	(void)flags;
	(void)addr;
	(void)addr_sz;
	told++;
	errno = answer;
	return answer ? -1 : 0;
}

int pt_xsk_fd(const struct pt_xsk *socket)
{
	(void)socket;
	return -1;
}

static int set_up(void **state)
{
	(void)state;
	memset(&x, 0, sizeof(x));
	tx_prod = tx_cons = tx_flags = comp_prod = comp_cons = 0;
	told = answer = 0;
	stops = false;
	now_ns = 1000000000;
	x.cfg = (struct pt_xsk_cfg){ .tx_chunk_cnt = CHUNKS,
				     .tx_frame_sz_max = PT_XSK_CHUNK_SZ,
				     .zero_copy = true };
	x.base = memory;
	x.tx_epoll = -1;
	x.tx = (struct xsk_ring_prod){
		.mask = RING - 1, .size = RING, .cached_cons = RING,
		.producer = &tx_prod, .consumer = &tx_cons, .ring = descs,
		.flags = &tx_flags };
	x.comp = (struct xsk_ring_cons){
		.mask = RING - 1, .size = RING, .producer = &comp_prod,
		.consumer = &comp_cons, .ring = completed };
	x.fill.flags = &fill_flags;
	return xsk_tx_start(&x);
}

static int tear_down(void **state)
{
	(void)state;
	xsk_tx_stop(&x);
	return 0;
}

static void submit(void)
{
	void *frame = pt_xsk_tx_frame(&x);

	assert_non_null(frame);
	pt_xsk_tx_submit(&x, frame, 64);
}

/* complete: the driver took the frames of the TX ring, and sent them. */
static void complete(void)
{
	while (tx_cons != tx_prod)
		completed[comp_prod++ % RING] = descs[tx_cons++ % RING].addr;
}

static void kick_after(__u64 ns)
{
	now_ns += ns;
	assert_true(pt_xsk_tx_kick(&x) >= 0);
}

/* The flag states that the driver polls: it is woken all the same for frames
 * that wait for PT_XSK_STALE_NS, and again after as long. */
static void test_stale(void **state)
{
	(void)state;
	submit();
	kick_after(0);
	assert_int_equal(told, 0);
	assert_true(pt_xsk_tx_waits(&x));
	kick_after(PT_XSK_STALE_NS - 1);
	assert_int_equal(told, 0);
	kick_after(1);
	assert_int_equal(told, 1);
	kick_after(PT_XSK_STALE_NS - 1);
	assert_int_equal(told, 1);
	kick_after(1);
	assert_int_equal(told, 2);
	complete();
	kick_after(PT_XSK_STALE_NS);
	assert_false(pt_xsk_tx_waits(&x));
	kick_after(PT_XSK_STALE_NS);
	assert_true(told <= 3);
	assert_int_equal(pt_xsk_tx_kick(&x), 0);
}

/* A moving queue does not wait, however many frames come. */
static void test_moving(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		submit();
		kick_after(0);
		complete();
		kick_after(PT_XSK_STALE_NS / 2);
	}
	assert_int_equal(told, 0);
}

static void test_asked(void **state)
{
	(void)state;
	tx_flags = XDP_RING_NEED_WAKEUP;
	submit();
	kick_after(0);
	assert_int_equal(told, 1);
}

/* No program on the device, the device gone or down: an error for the caller; a
 * busy driver is woken again. */
static void test_answers(void **state)
{
	static const int fatal[] = { EINVAL, ENXIO, ENETDOWN };
	static const int busy[] = { EBUSY, EAGAIN, ENOBUFS, ENOMEM, EINTR };

	(void)state;
	tx_flags = XDP_RING_NEED_WAKEUP;
	submit();
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		answer = fatal[i];
		assert_int_equal(pt_xsk_tx_kick(&x), -fatal[i]);
	}
	for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
		answer = busy[i];
		assert_int_equal(pt_xsk_tx_kick(&x), 1);
	}
}

/* In copy mode only the flag counts. */
static void test_copy_mode(void **state)
{
	(void)state;
	x.cfg.zero_copy = false;
	submit();
	kick_after(0);
	kick_after(10 * PT_XSK_STALE_NS);
	assert_int_equal(told, 0);
	assert_false(pt_xsk_tx_waits(&x));
}

/* An uncompleted frame to the host itself is waited for, but not once a stop is
 * requested. */
static void test_prove(void **state)
{
	static const __u8 mac[6];
	__u64 since_ns = now_ns;

	(void)state;
	assert_int_equal(pt_xsk_tx_prove(&x, mac, 100, 3), -ETIMEDOUT);
	assert_in_range(now_ns - since_ns, 100000000, 110000000);
	since_ns = now_ns;
	stops = true;
	assert_int_equal(pt_xsk_tx_prove(&x, mac, 100, 3), -ECANCELED);
	assert_int_equal(now_ns, since_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(test_stale),
		T(test_moving),
		T(test_asked),
		T(test_answers),
		T(test_copy_mode),
		T(test_prove),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
