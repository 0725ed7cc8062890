// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The life of a sender and of a receiver, both in this process, driven by one
 * loop in one thread.
 *
 *    here                      there
 *    +------------------+      +-------------------+
 *    | n<pid> 10.9.0.1 ========= f<pid> 10.9.0.2   |
 *    +------------------+      +-------------------+
 *
 * The thread is in the namespace of the end that it calls.
 */
#include "veth.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/random.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"
#include "memory/proc.h"
#include "receive/receiver.h"
#include "send/sender_internal.h"

#define IMAGE_SZ	(8u << 20)	/* at PT_RATE_MIN: two minutes */
#define PATIENCE_MS	60000		/* for an event; then the test has
					 * failed */

static int here, there;			/* namespaces */
static char dir[64], image[96], copy[96], near[16], far[16];

static void in(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static void make_image(void)
{
	__u8 *data = malloc(IMAGE_SZ);
	int fd = open(image, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_non_null(data);
	for (size_t at = 0; at < IMAGE_SZ; at += 1 << 20)
		assert_int_equal(getrandom(data + at, 1 << 20, 0), 1 << 20);
	assert_int_equal(write(fd, data, IMAGE_SZ), IMAGE_SZ);
	close(fd);
	free(data);
}

static int set_up(void **state)
{
	int pid = getpid();

	(void)state;
	bpffs_make();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(near, sizeof(near), "n%d", pid);
	snprintf(far, sizeof(far), "f%d", pid);
	in(here);
	run("ip link add %s numtxqueues 2 numrxqueues 2 type veth peer name %s "
	    "numtxqueues 2 numrxqueues 2 netns /proc/%d/fd/%d", near, far, pid,
	    there);
	run("ip addr add 10.9.0.1/24 dev %s && ip link set %s up", near, near);
	in(there);
	run("ip addr add 10.9.0.2/24 dev %s && ip link set %s up", far, far);
	snprintf(dir, sizeof(dir), "/dev/shm/test_ends.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	make_image();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	run("rm -r %s", dir);
	return 0;
}

/* no_threads: a joined thread is counted for a moment more. */
static void no_threads(void)
{
	__u64 end_ns = pt_deadline_ns(PATIENCE_MS);

	while (pt_proc_number(getpid(), "Threads:") != 1) {
		assert_true(pt_left_ms(end_ns));
		poll(NULL, 0, 1);
	}
}

struct ends {
	struct pt_source *source;
	struct pt_sender *sender;
	struct pt_receiver *receiver;
	int sent, received;		/* the last result of step */
	struct pt_error sender_err, receiver_err;
	__u64 end_ns;			/* both must have ended by then */
};

/* open_sender takes one queue, and leaves one for another sender. */
static struct pt_sender *open_sender(struct pt_source *source,
				     __u64 bytes_per_s, const char *name)
{
	struct pt_sender *sender;
	struct pt_error err;

	in(here);
	if (pt_sender_open(&sender, &(struct pt_sender_cfg){
			.dev = near, .to = "10.9.0.2", .source = source,
			.name = name, .queue_cnt = 1,
			.bytes_per_s = bytes_per_s }, &err))
		fail_msg("%s", err.text);
	return sender;
}

/* opened opens both ends, with only the required options.  It starts no
 * thread. */
static struct ends opened_as(__u64 bytes_per_s, bool serve)
{
	const char *paths[] = { image };
	struct ends e = {
		.sent = 1, .received = 1,
		.end_ns = pt_deadline_ns(PATIENCE_MS),
	};
	struct pt_error err;

	unlink(copy);
	if (pt_source_open_files(&e.source, paths, 1, &err))
		fail_msg("%s", err.text);
	in(there);
	if (pt_receiver_open(&e.receiver, &(struct pt_receiver_cfg){
			.dev = far, .listen = "10.9.0.2", .serve = serve,
			.path = serve ? dir : copy }, &err))
		fail_msg("%s", err.text);
	e.sender = open_sender(e.source, bytes_per_s, "copy");
	assert_int_equal(pt_proc_number(getpid(), "Threads:"), 1);
	return e;
}

static struct ends opened(__u64 bytes_per_s)
{
	return opened_as(bytes_per_s, false);
}

static void start(struct ends *e)
{
	struct pt_error err;

	in(there);
	if (pt_receiver_start(e->receiver, &err))
		fail_msg("%s", err.text);
	in(here);
	if (pt_sender_start(e->sender, &err))
		fail_msg("%s", err.text);
}

static void close_all(struct ends *e)
{
	in(here);
	pt_sender_close(e->sender);
	pt_source_close(e->source);
	in(there);
	pt_receiver_close(e->receiver);
	no_threads();
}

/* turn waits for one event, and steps the end that it belongs to. */
static void turn(struct ends *e)
{
	struct pollfd fds[] = {
		{ .fd = e->sent > 0 ? pt_sender_fd(e->sender) : -1,
		  .events = POLLIN },
		{ .fd = e->received > 0 ? pt_receiver_fd(e->receiver) : -1,
		  .events = POLLIN },
	};

	assert_true(pt_left_ms(e->end_ns));
	assert_true(poll(fds, 2, PATIENCE_MS) > 0);
	if (fds[0].revents) {
		in(here);
		e->sent = pt_sender_step(e->sender, &e->sender_err);
	}
	if (fds[1].revents) {
		in(there);
		e->received = pt_receiver_step(e->receiver, &e->receiver_err);
	}
}

static void until_both_end(struct ends *e)
{
	while (e->sent > 0 || e->received > 0)
		turn(e);
}

static struct pt_send_report status(const struct ends *e)
{
	struct pt_send_report report;

	pt_sender_status(e->sender, &report);
	return report;
}

static void until_it_sends(struct ends *e)
{
	while (!status(e).wire_bytes) {
		assert_int_equal(e->sent, 1);
		assert_int_equal(e->received, 1);
		turn(e);
	}
}

static void test_open_and_close(void **state)
{
	struct ends e = opened(0);

	(void)state;
	assert_int_equal(status(&e).phase, PT_SEND_CONNECT);
	assert_int_equal(status(&e).memory_sz, IMAGE_SZ);
	assert_int_equal(pt_receiver_status(e.receiver, NULL, 0), 0);
	close_all(&e);
	assert_int_equal(access(copy, F_OK), -1);
	/* The first transfer left no resources in use: the same works again. */
	e = opened(0);
	close_all(&e);
	pt_sender_close(NULL);
	pt_receiver_close(NULL);
}

static void test_one_loop(void **state)
{
	struct pt_receive_report reports[2];
	struct pt_receiver_info info;
	struct ends e = opened(0);
	bool was_seen = false;
	int last = 0;

	(void)state;
	start(&e);
	while (e.sent > 0 || e.received > 0) {
		turn(&e);
		was_seen |= pt_receiver_status(e.receiver, reports, 2) == 1 &&
			    reports[0].memory_sz == IMAGE_SZ;
		assert_true((int)status(&e).phase >= last);
		last = status(&e).phase;
	}
	if (e.sent || e.received)
		fail_msg("%s; %s", e.sender_err.text, e.receiver_err.text);
	assert_true(was_seen);
	assert_int_equal(status(&e).phase, PT_SEND_DONE);
	assert_int_equal(status(&e).pages_left, 0);
	assert_int_equal(status(&e).unaccounted, 0);
	assert_false(pt_sender_is_held_up(e.sender));
	/* The state stays as it ended. */
	assert_int_equal(pt_sender_step(e.sender, NULL), 0);
	assert_int_equal(pt_receiver_step(e.receiver, NULL), 0);
	pt_receiver_info(e.receiver, &info);	/* of what was started */
	assert_string_equal(info.listen, "10.9.0.2:16644");
	assert_true(info.queue_cnt);
	close_all(&e);
	run("cmp %s %s", image, copy);
}

/* The report of the memory is written at once, not at the next tick. */
static void test_setup_waits_for_no_tick(void **state)
{
	struct ends e = opened(0);
	struct pollfd fd = { .fd = pt_sender_fd(e.sender), .events = POLLIN };

	(void)state;
	pt_sender_tick_every(e.sender, 3600000);
	start(&e);
	/* The sender is stepped first, so that only its own work wakes it. */
	while (e.sender->setup != PT_SETUP_OPEN) {
		if (poll(&fd, 1, 0) > 0) {
			in(here);
			assert_int_equal(pt_sender_step(e.sender, NULL), 1);
		} else {
			turn(&e);
		}
	}
	if (pt_conn_queued_sz(e.sender->conn))
		assert_int_equal(poll(&fd, 1, 0), 1);
	close_all(&e);
}

/* The loop is not woken without end while there is nothing to do. */
static void test_idle(void **state)
{
	struct ends e = opened(0);
	__u64 end_ns = pt_deadline_ns(1000);
	int turns = 0;

	(void)state;
	e.sent = 0;	/* it is not started */
	in(there);
	assert_int_equal(pt_receiver_start(e.receiver, NULL), 0);
	for (; pt_left_ms(end_ns); turns++)
		turn(&e);
	assert_true(turns <= 20);
	close_all(&e);
}

static void test_misuse(void **state)
{
	struct ends e = opened(0);
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_sender_step(e.sender, &err), -EINVAL);
	assert_non_null(strstr(err.text, "was not started"));
	assert_int_equal(pt_receiver_step(e.receiver, &err), -EINVAL);
	assert_non_null(strstr(err.text, "was not started"));
	start(&e);
	assert_int_equal(pt_sender_start(e.sender, &err), -EINVAL);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EINVAL);
	assert_int_equal(pt_sender_set_rate(e.sender, 1, &err), -ERANGE);
	close_all(&e);
}

/* A failed start is not repeated, so nothing is reserved twice. */
static void test_starts_once(void **state)
{
	struct ends e = opened(0);
	struct pt_error err;

	(void)state;
	run("touch %s", copy);
	in(there);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EEXIST);
	unlink(copy);
	assert_int_equal(pt_receiver_start(e.receiver, &err), -EINVAL);
	assert_non_null(strstr(err.text, "started already"));
	assert_int_equal(pt_receiver_step(e.receiver, &err), -EINVAL);
	close_all(&e);
}

/* A second transfer with the same id is refused, and the first continues. */
static void test_one_id(void **state)
{
	struct ends e = opened_as(PT_RATE_MIN, true), twin = e;

	(void)state;
	twin.sender = open_sender(e.source, PT_RATE_MIN, "twin");
	start(&e);
	until_it_sends(&e);
	twin.sender->report.transfer_id = e.sender->report.transfer_id;
	in(here);
	assert_int_equal(pt_sender_start(twin.sender, NULL), 0);
	while (twin.sent > 0)
		turn(&twin);
	assert_int_equal(twin.sent, -ECONNABORTED);
	if (!strstr(twin.sender_err.text, "is running already"))
		fail_msg("%s", twin.sender_err.text);
	in(here);
	pt_sender_close(twin.sender);
	in(there);
	assert_int_equal(pt_receiver_status(e.receiver, NULL, 0), 1);
	in(here);
	assert_int_equal(pt_sender_step(e.sender, NULL), 1);
	close_all(&e);
}

/* interrupted: the sender reports it, and so does the receiver. */
static void interrupted(const struct ends *e)
{
	assert_int_equal(e->sent, -ECANCELED);
	assert_int_equal(e->sender_err.exit, PT_EXIT_FAILED);
	assert_non_null(strstr(e->sender_err.text, "interrupted"));
	assert_true(e->received < 0);
	assert_non_null(strstr(e->receiver_err.text, "interrupted"));
	assert_int_equal(access(copy, F_OK), -1);
}

static void test_cancel_at_once(void **state)
{
	struct ends e = opened(0);

	(void)state;
	start(&e);
	pt_sender_cancel(e.sender);
	while (e.sent > 0)
		turn(&e);
	pt_receiver_cancel(e.receiver);
	until_both_end(&e);
	interrupted(&e);
	assert_int_equal(e.received, -ECANCELED);
	close_all(&e);
}

/* canceller limits the sender, and cancels it once it sends. */
static void *canceller(void *arg)
{
	const struct ends *e = arg;

	pt_sender_set_rate(e->sender, PT_RATE_MIN, NULL);
	while (!status(e).wire_bytes)
		poll(NULL, 0, 1);
	pt_sender_cancel(e->sender);
	return NULL;
}

static void test_cancel_by_another_thread(void **state)
{
	struct ends e = opened(2 * PT_RATE_MIN);
	pthread_t thread;

	(void)state;
	start(&e);
	assert_int_equal(pthread_create(&thread, NULL, canceller, &e), 0);
	until_both_end(&e);
	pthread_join(thread, NULL);
	interrupted(&e);
	assert_int_equal(status(&e).bytes_per_s, PT_RATE_MIN);
	close_all(&e);
}

static void test_cancelled_receiver(void **state)
{
	struct ends e = opened(PT_RATE_MIN);

	(void)state;
	start(&e);
	until_it_sends(&e);
	pt_receiver_cancel(e.receiver);
	until_both_end(&e);
	assert_int_equal(e.sent, -ECONNABORTED);
	assert_non_null(strstr(e.sender_err.text, "interrupted"));
	assert_int_equal(e.received, -ECANCELED);
	close_all(&e);
}

/* close during a transfer cancels it. */
static void test_close_in_the_midst(void **state)
{
	struct ends e = opened(PT_RATE_MIN);

	(void)state;
	start(&e);
	until_it_sends(&e);
	in(here);
	pt_sender_close(e.sender);
	e.sender = NULL;
	e.sent = 0;
	until_both_end(&e);
	assert_int_equal(e.received, -ECONNABORTED);
	assert_non_null(strstr(e.receiver_err.text, "interrupted"));
	close_all(&e);

	e = opened(PT_RATE_MIN);
	start(&e);
	until_it_sends(&e);
	in(there);
	pt_receiver_close(e.receiver);
	e.receiver = NULL;
	e.received = 0;
	until_both_end(&e);
	assert_int_equal(e.sent, -ECONNABORTED);
	close_all(&e);
}

/* No peer answers: with the default timeout that takes a while. */
static void test_zero_is_the_default(void **state)
{
	struct ends e = opened(0);

	(void)state;
	in(here);
	assert_int_equal(pt_sender_start(e.sender, NULL), 0);
	e.received = 0;	/* it is opened, and takes no step: TCP connects */
	for (__u64 end_ns = pt_deadline_ns(500); pt_left_ms(end_ns); )
		turn(&e);
	assert_int_equal(e.sent, 1);
	close_all(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_one_loop),
		cmocka_unit_test(test_setup_waits_for_no_tick),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_starts_once),
		cmocka_unit_test(test_one_id),
		cmocka_unit_test(test_cancel_at_once),
		cmocka_unit_test(test_cancel_by_another_thread),
		cmocka_unit_test(test_cancelled_receiver),
		cmocka_unit_test(test_close_in_the_midst),
		cmocka_unit_test(test_zero_is_the_default),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
