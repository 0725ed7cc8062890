/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ends: a sender and a receiver, both in this process, driven by one loop in one
 * thread.
 *
 *    here                      there
 *    +------------------+      +-------------------+
 *    | n<pid> 10.9.0.1 ========= f<pid> 10.9.0.2   |
 *    +------------------+      +-------------------+
 *
 * The thread is in the namespace of the end that it calls.
 */
#ifndef TESTS_BPF_ENDS_H
#define TESTS_BPF_ENDS_H

#include "veth.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

static inline void in(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static inline void make_image(void)
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

static inline int set_up(void **state)
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
	snprintf(dir, sizeof(dir), "/dev/shm/pagetrim-ends.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	make_image();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	run("rm -r %s", dir);
	return 0;
}

/* no_threads: a joined thread is counted for a moment more. */
static inline void no_threads(void)
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

/* open_sender takes one queue, and leaves one for another sender.  It completes
 * cfg. */
static inline struct pt_sender *open_sender(struct pt_source *source,
					    struct pt_sender_cfg cfg)
{
	struct pt_sender *sender;
	struct pt_error err;

	cfg.dev = near;
	cfg.to = "10.9.0.2";
	cfg.source = source;
	cfg.queue_cnt = 1;
	if (!cfg.name)
		cfg.name = "copy";
	in(here);
	if (pt_sender_open(&sender, &cfg, &err))
		fail_msg("%s", err.text);
	return sender;
}

/* opened_with opens both ends.  It starts no thread. */
static inline struct ends opened_with(struct pt_sender_cfg cfg, bool serve)
{
	const char *paths[] = { image };
	struct ends e = {
		.sent = 1, .received = 1,
		.end_ns = pt_deadline_ns(PATIENCE_MS),
	};
	struct pt_error err;

	unlink(copy);
	if (pt_source_open_files_as(&e.source, cfg.live ? PT_FILES_LIVE
				    : PT_FILES_STILL, paths, 1, &err))
		fail_msg("%s", err.text);
	in(there);
	if (pt_receiver_open(&e.receiver, &(struct pt_receiver_cfg){
			.dev = far, .listen = "10.9.0.2", .serve = serve,
			.peer_timeout_ms = cfg.peer_timeout_ms,
			.path = serve ? dir : copy }, &err))
		fail_msg("%s", err.text);
	e.sender = open_sender(e.source, cfg);
	assert_int_equal(pt_proc_number(getpid(), "Threads:"), 1);
	return e;
}

static inline struct ends opened(__u64 bytes_per_s)
{
	return opened_with((struct pt_sender_cfg){ .bytes_per_s = bytes_per_s },
			   false);
}

static inline void start(struct ends *e)
{
	struct pt_error err;

	in(there);
	if (pt_receiver_start(e->receiver, &err))
		fail_msg("%s", err.text);
	in(here);
	if (pt_sender_start(e->sender, &err))
		fail_msg("%s", err.text);
}

static inline void close_all(struct ends *e)
{
	in(here);
	pt_sender_close(e->sender);
	pt_source_close(e->source);
	in(there);
	pt_receiver_close(e->receiver);
	no_threads();
}

/* turn waits for one event, and steps the end that it belongs to. */
static inline void turn(struct ends *e)
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

static inline void until_both_end(struct ends *e)
{
	while (e->sent > 0 || e->received > 0)
		turn(e);
}

static inline struct pt_send_report status(const struct ends *e)
{
	struct pt_send_report report;

	pt_sender_status(e->sender, &report);
	return report;
}

static inline void until_it_sends(struct ends *e)
{
	while (!status(e).wire_bytes) {
		assert_int_equal(e->sent, 1);
		assert_int_equal(e->received, 1);
		turn(e);
	}
}

#endif
