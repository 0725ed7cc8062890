// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Opening a socket: the refusals, and how long a taken queue is tried. */
#include "veth.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "xdp/cause.h"
#include "xsk/xsk.h"

#define QUEUES 2

static const struct cfg_row {
	const char *name;
	__u32 queue, rx, tx, frame_sz;
	int want;
} cfg_rows[] = {
	{ "neither receives nor sends", 0, 0, 0, 1514, -EINVAL },
	{ "63 RX chunks", 0, 63, 0, 0, -EINVAL },
	{ "96 RX chunks, no power of two", 0, 96, 0, 0, -EINVAL },
	{ "131072 RX chunks", 0, 131072, 0, 0, -EINVAL },
	{ "63 TX chunks", 0, 0, 63, 1514, -EINVAL },
	{ "TX frames of 63 bytes", 0, 0, 64, 63, -EINVAL },
	{ "TX frames of 19 chunks", 0, 0, 64, 18 * 4096 + 1, -EINVAL },
	{ "TX frames of 18 chunks", 0, 0, 64, 18 * 4096, 0 },
	{ "64 RX chunks", 0, 64, 0, 0, 0 },
	{ "both ways", 1, 64, 64, 1514, 0 },
	{ "queue 2 of 2", 2, 64, 0, 0, -ECHRNG },
};

static void test_cfg(void **state)
{
	const struct cfg_row *row = *state;
	struct pt_error err = { 0 };
	struct pt_xsk *x = NULL;
	struct veth veth;

	veth_make(&veth, QUEUES, 1500);
	assert_int_equal(pt_xsk_open(&x, &(struct pt_xsk_cfg){
		.device = &veth.far, .queue = row->queue,
		.rx_chunk_cnt = row->rx, .tx_chunk_cnt = row->tx,
		.tx_frame_sz_max = row->frame_sz }, &err), row->want);
	if (row->want) {
		assert_null(x);
		assert_non_null(strstr(err.text, veth.far.name));
		assert_int_equal(err.exit, PT_EXIT_HOST);
	}
	pt_xsk_close(x);
}

/* must_open opens queue 0 for receiving. */
static struct pt_xsk *must_open(const struct pt_device *device)
{
	struct pt_xsk *x = NULL;
	struct pt_error err;

	if (pt_xsk_open(&x, &(struct pt_xsk_cfg){ .device = device,
						  .rx_chunk_cnt = 64 }, &err))
		fail_msg("%s", err.text);
	return x;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void test_taken(void **state)
{
	struct pt_xsk *first, *second = NULL;
	struct pt_error err;
	struct veth veth;
	double began;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	first = must_open(&veth.far);
	began = now();
	assert_int_equal(pt_xsk_open(&second, &(struct pt_xsk_cfg){
		.device = &veth.far, .rx_chunk_cnt = 64 }, &err), -EBUSY);
	assert_true(now() - began > 0.9 && now() - began < 10);
	assert_non_null(strstr(err.text, "queue 0"));
	assert_null(second);
	pt_xsk_close(first);
}

/* A stopped program does not retry either. */
static void test_taken_stops(void **state)
{
	struct pt_xsk *first, *second = NULL;
	int stop_fd = eventfd(1, EFD_CLOEXEC);
	struct pt_error err;
	struct veth veth;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	first = must_open(&veth.far);
	assert_int_equal(pt_xsk_open(&second, &(struct pt_xsk_cfg){
		.device = &veth.far, .rx_chunk_cnt = 64,
		.stop_fd = stop_fd }, &err), -ECANCELED);
	assert_non_null(strstr(err.text, "interrupted"));
	assert_null(second);
	pt_xsk_close(first);
	close(stop_fd);
}

static struct pt_xsk *in_the_way;	/* closed once somebody waits */

/* Instead of libc's. */
int poll(struct pollfd *fds, nfds_t cnt, int timeout_ms)
{
	const struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};

	pt_xsk_close(in_the_way);
	in_the_way = NULL;
	return ppoll(fds, cnt, timeout_ms < 0 ? NULL : &timeout, NULL);
}

static void test_taken_for_a_moment(void **state)
{
	struct pt_xsk *first;
	struct veth veth;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	first = must_open(&veth.far);
	in_the_way = first;
	pt_xsk_close(must_open(&veth.far));
	assert_null(in_the_way);
}

/* The device loses queue 1 between its opening and the bind: both kinds of queues, or
 * those alone that the socket needs. */
static void test_gone(void **state)
{
	static const char *const how[] = { "rx 1 tx 1", "rx 1", "tx 1" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		const bool sends = i == 2;
		struct pt_xsk *x = NULL;
		struct pt_error err;
		struct veth veth;

		veth_make(&veth, QUEUES, 1500);
		run("ethtool -L %s %s", veth.far.name, how[i]);
		assert_int_equal(pt_xsk_open(&x, &(struct pt_xsk_cfg){
			.device = &veth.far, .queue = 1,
			.rx_chunk_cnt = sends ? 0 : 64,
			.tx_chunk_cnt = sends ? 64 : 0,
			.tx_frame_sz_max = 1514 }, &err), -ECHRNG);
		assert_true(pt_xsk_is_queue_fault(-ECHRNG));
		assert_non_null(strstr(err.text, "ethtool -L took it away"));
		assert_null(x);
		pt_xsk_close(must_open(&veth.far));	/* queue 0 */
	}
}

static int open_without(const struct pt_device *device, int capability)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct caps[2];
	struct pt_xsk *x;

	syscall(SYS_capget, &head, caps);
	caps[0].effective &= ~(1u << capability);
	syscall(SYS_capset, &head, caps);
	return -pt_xsk_open(&x, &(struct pt_xsk_cfg){
		.device = device, .rx_chunk_cnt = 64 }, NULL);
}

static void test_no_privilege(void **state)
{
	struct veth veth;
	int status;
	pid_t pid;

	(void)state;
	veth_make(&veth, QUEUES, 1500);
	pid = fork();
	if (!pid)
		_exit(open_without(&veth.far, CAP_NET_RAW));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

#define ROWS (sizeof(cfg_rows) / sizeof(cfg_rows[0]))

int main(void)
{
	struct CMUnitTest tests[ROWS + 5] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_taken_stops),
		cmocka_unit_test(test_taken_for_a_moment),
		cmocka_unit_test(test_no_privilege),
		cmocka_unit_test(test_gone),
	};

	pt_cause_begin();
	for (size_t i = 0; i < ROWS; i++)
		tests[5 + i] = (struct CMUnitTest){ cfg_rows[i].name,
			test_cfg, NULL, NULL, (void *)&cfg_rows[i] };
	return cmocka_run_group_tests_name("xsk_open", tests, NULL, NULL);
}
