// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A step on the way to a card's zero copy fails: the result is copy mode with
 * --zero-copy auto, an error with on.  The test replaces the kernel's side, the
 * clock and poll: a wait for a carrier takes no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "xsk/card.h"
#include "xsk/netdev.h"

#define XSK	(1 | 2 | 8)	/* NETDEV_XDP_ACT_BASIC, REDIRECT, XSK_ZEROCOPY */

/* The faults: a step's -errno, or 0. */
static struct faults {
	int	lease;		/* a queue to try the bind on */
	int	bind;		/* of a zero-copy socket */
	int	attach;		/* of the pass program */
	bool	carrier_lost;	/* for good, once the program is attached */
	__u64	carrier_back_ns; /* it is lost for so long */
	bool	removed;	/* the device, once the program is attached */
	int	prove;		/* of a frame to ourselves */
	bool	prove_hangs;	/* until the stop, if there is one */
} faults;

enum { STOP_FD = 7 };
static __u64 stop_ns;		/* when it becomes readable; 0: never */

static int passes, sockets;	/* open now */
static int attached;		/* programs since begin: each resets the card */
static __u64 attached_ns;	/* the last of them */
static bool last_zero_copy;	/* of the socket opened last */
static __u64 now_ns;

int clock_gettime(clockid_t id, struct timespec *now)
{
	(void)id;
	now->tv_sec = now_ns / 1000000000;
	now->tv_nsec = now_ns % 1000000000;
	return 0;
}

int poll(struct pollfd *fds, nfds_t cnt, int timeout_ms)
{
	__u64 end_ns = now_ns + timeout_ms * 1000000ULL;

	assert_int_equal(cnt, 1);
	assert_int_equal(fds->fd, STOP_FD);
	assert_int_equal(fds->events, POLLIN);
	if (!stop_ns || end_ns < stop_ns) {
		now_ns = end_ns;
		return 0;
	}
	if (now_ns < stop_ns)
		now_ns = stop_ns;
	fds->revents = POLLIN;
	return 1;
}

void pt_netdev_ask(struct pt_netdev_facts *facts, __u32 ifindex)
{
	(void)ifindex;
	*facts = (struct pt_netdev_facts){ .known = true, .xdp_features = XSK,
					   .zc_max_segs = 1 };
}

bool pt_netdev_garbles(const struct pt_device *device)
{
	(void)device;
	return false;
}

int pt_device_open_index(struct pt_device *dev, __u32 ifindex,
			 struct pt_error *err)
{
	if (passes && faults.removed)
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "eth7: gone");
	*dev = (struct pt_device){ .name = "eth7", .ifindex = ifindex,
				   .mtu = 1500, .is_up = true };
	dev->has_carrier = !passes || (!faults.carrier_lost &&
				       now_ns >= attached_ns +
						 faults.carrier_back_ns);
	return 0;
}

static int refuse(struct pt_error *err, int code)
{
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "eth7: %d", code)
		    : 0;
}

int pt_lease_take_free(struct pt_lease **out, __u32 cnt,
		       struct pt_leases *leases, const char *role,
		       struct pt_error *err)
{
	(void)cnt;
	(void)leases;
	(void)role;
	*out = NULL;
	return refuse(err, faults.lease);
}

__u32 pt_lease_queue(const struct pt_lease *lease)
{
	(void)lease;
	return 0;
}

void pt_lease_release(struct pt_lease *lease)
{
	(void)lease;
}

/* made: a socket that is not bound. */
static struct pt_xsk *made(void)
{
	sockets++;
	return (struct pt_xsk *)&sockets;
}

int pt_xsk_bind(struct pt_xsk *x, const struct pt_xsk_cfg *cfg,
		struct pt_error *err)
{
	int ret = refuse(err, cfg->zero_copy ? faults.bind : 0);

	assert_non_null(x);
	if (!ret)
		last_zero_copy = cfg->zero_copy;
	return ret;
}

int pt_xsk_open(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err)
{
	int ret = pt_xsk_bind((struct pt_xsk *)&sockets, cfg, err);

	if (!ret)
		*out = made();
	return ret;
}

void pt_xsk_close(struct pt_xsk *x)
{
	sockets -= x != NULL;
}

int pt_xsk_tx_prove(struct pt_xsk *x, const __u8 mac[6], int timeout_ms,
		    int stop_fd)
{
	(void)x;
	(void)mac;
	assert_int_equal(stop_fd, STOP_FD);
	if (!faults.prove_hangs)
		return faults.prove;
	return poll(&(struct pollfd){ .fd = stop_fd, .events = POLLIN }, 1,
		    timeout_ms) ? -ECANCELED : -ETIMEDOUT;
}

int pt_pass_open(struct pt_pass **out, const struct pt_device *device,
		 struct pt_error *err)
{
	int ret = refuse(err, faults.attach);

	(void)device;
	if (ret)
		return ret;
	passes++;
	attached++;
	attached_ns = now_ns;
	*out = (struct pt_pass *)&passes;
	return 0;
}

void pt_pass_close(struct pt_pass *p)
{
	passes -= p != NULL;
}

bool pt_pass_is_there(const struct pt_pass *p)
{
	(void)p;
	return true;
}

static const struct row {
	const char *name;
	struct faults faults;
	bool zero_copy;		/* with auto */
	int on;			/* the error of `on` */
} rows[] = {
	{ "nothing fails", .zero_copy = true },
	{ "no queue free to try", { .lease = -EBUSY }, .zero_copy = true },
	{ "bind: EINVAL", { .bind = -EINVAL }, .on = -EINVAL },
	{ "bind: ENXIO", { .bind = -ENXIO }, .on = -ENXIO },
	{ "bind: ENETDOWN", { .bind = -ENETDOWN }, .on = -ENETDOWN },
	{ "bind: EOPNOTSUPP", { .bind = -EOPNOTSUPP }, .on = -EOPNOTSUPP },
	{ "bind fails where it was not tried", { .lease = -EBUSY,
	  .bind = -EINVAL }, .on = -EINVAL },
	{ "a generic program has the hook", { .attach = -EEXIST },
	  .on = -EEXIST },
	{ "the driver takes no program", { .attach = -EOPNOTSUPP },
	  .on = -EOPNOTSUPP },
	{ "the carrier stays away", { .carrier_lost = true },
	  .on = -ENETDOWN },
	{ "the carrier is back after 9 s", { .carrier_back_ns = 9000000000 },
	  .zero_copy = true },
	{ "the carrier is back too late", { .carrier_back_ns = 11000000000 },
	  .on = -ENETDOWN },
	{ "the device is removed by its reset", { .removed = true },
	  .on = -ENODEV },
	{ "no completions, with a carrier", { .prove = -ETIMEDOUT },
	  .on = -ETIMEDOUT },
	{ "wake-up: EINVAL", { .prove = -EINVAL }, .on = -EINVAL },
	{ "wake-up: ENXIO", { .prove = -ENXIO }, .on = -ENXIO },
	{ "wake-up: ENETDOWN", { .prove = -ENETDOWN }, .on = -ENETDOWN },
};

/* come_up takes a sender's steps, up to its first socket. */
static int come_up(struct pt_card *card, struct pt_device *device,
		   enum pt_zero_copy wish, struct pt_xsk **x)
{
	struct pt_xsk_cfg cfg = { .tx_chunk_cnt = 64 };
	const struct pt_card_cfg card_cfg = {
		.wish = wish,
		.sends = true,
		.stop_fd = STOP_FD,
	};
	struct pt_xsk *spare;
	struct pt_error err;
	int ret = pt_card_judge(card, device, &card_cfg, &err);

	if (!ret)
		ret = pt_card_attach(card, NULL, &err);
	cfg.device = device;
	*x = NULL;
	if (!ret)
		ret = pt_card_wait_attached(card, &err);
	if (!ret) {
		*x = made();
		spare = card->zero_copy ? made() : NULL;
		ret = pt_card_bind(card, x, &spare, &cfg, &err);
		pt_xsk_close(spare);
	}
	if (!ret)
		pt_card_settle(card, last_zero_copy);
	if (ret) {
		pt_xsk_close(*x);
		*x = NULL;
	}
	if (ret)
		assert_ptr_equal(strstr(err.text, ret == -ECANCELED
					? "interrupted" : "eth7"), err.text);
	return ret;
}

static struct pt_device begin(const struct faults *with)
{
	struct pt_device device;

	memset(&faults, 0, sizeof(faults));
	stop_ns = 0;
	attached = 0;
	pt_device_open_index(&device, 7, NULL);
	faults = *with;
	return device;
}

/* With auto there is always a socket; the reason against zero copy is reported,
 * and the program that only zero copy needs is gone. */
static void test_auto(void **state)
{
	const struct row *row = *state;
	struct pt_device device = begin(&row->faults);
	struct pt_card card;
	struct pt_xsk *x;

	assert_int_equal(come_up(&card, &device, PT_ZERO_COPY_AUTO, &x), 0);
	assert_int_equal(sockets, 1);
	assert_int_equal(last_zero_copy, row->zero_copy);
	assert_int_equal(card.zero_copy, row->zero_copy);
	assert_int_equal(!card.why.text[0], row->zero_copy);
	assert_int_equal(passes, row->zero_copy);
	/* No card is reset for sockets that it does not support. */
	if (row->faults.bind && !row->faults.lease)
		assert_int_equal(attached, 0);
	pt_xsk_close(x);
	pt_card_close(&card);
	assert_int_equal(passes, 0);
}

static void test_on(void **state)
{
	const struct row *row = *state;
	struct pt_device device = begin(&row->faults);
	struct pt_card card;
	struct pt_xsk *x;

	assert_int_equal(come_up(&card, &device, PT_ZERO_COPY_ON, &x), row->on);
	assert_int_equal(sockets, !row->on);
	pt_xsk_close(x);
	pt_card_close(&card);
	assert_int_equal(passes, 0);
	assert_int_equal(sockets, 0);
}

/* A queue that another socket holds, or that is gone, proves nothing about zero
 * copy. */
static void test_busy(void **state)
{
	static const int codes[] = { -EBUSY, -ECHRNG };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pt_device device = begin(&(struct faults){
			.bind = codes[i] });
		struct pt_card card;
		struct pt_xsk *x;

		assert_int_equal(come_up(&card, &device, PT_ZERO_COPY_AUTO, &x),
				 codes[i]);
		assert_true(card.zero_copy);
		pt_card_close(&card);
	}
}

/* A stop ends each wait, within a step of it, and is no reason for copy mode.
 * The program and socket are removed, without waiting again. */
static void test_stop(void **state)
{
	const struct faults waits[] = {
		{ 0 },				/* for the reset */
		{ .carrier_lost = true },
		{ .prove_hangs = true },
	};
	const __u64 after_ns[] = { 50000000, 5000000000, 1000000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct pt_device device = begin(&waits[i]);
		struct pt_card card;
		struct pt_xsk *x;

		stop_ns = now_ns + after_ns[i];
		assert_int_equal(come_up(&card, &device, PT_ZERO_COPY_AUTO, &x),
				 -ECANCELED);
		assert_true(now_ns <= stop_ns + 100000000);
		assert_int_equal(sockets, 0);
		pt_card_close(&card);
		assert_int_equal(passes, 0);
	}
}

int main(void)
{
	enum { CNT = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[2 * CNT + 2] = {
		[2 * CNT] = cmocka_unit_test(test_busy),
		cmocka_unit_test(test_stop),
	};

	for (size_t i = 0; i < 2 * CNT; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i / 2].name,
			.test_func = i % 2 ? test_on : test_auto,
			.initial_state = (void *)&rows[i / 2],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
