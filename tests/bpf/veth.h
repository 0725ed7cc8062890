/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* veth: a network namespace of the test's own, and in it a pair
 *
 *     near ===== far
 *
 * A frame sent on queue q of one arrives on queue q of the other.  The
 * namespace ends with the process, however it ends, or with the next veth_make;
 * so do pins, since the test has a BPF file system of its own.
 */
#ifndef TESTS_BPF_VETH_H
#define TESTS_BPF_VETH_H

#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <pagetrim/clock.h>
#include "xdp/device.h"
#include "xsk/xsk.h"

struct veth {
	struct pt_device near, far;
};

__attribute__((format(printf, 1, 2)))
static inline void run(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

/* veth_learn reads both devices anew. */
static inline void veth_learn(struct veth *v)
{
	struct pt_error err;
	char name[IF_NAMESIZE];

	snprintf(name, sizeof(name), "n%d", getpid());
	if (pt_device_open(&v->near, name, &err))
		fail_msg("%s", err.text);
	name[0] = 'f';
	if (pt_device_open(&v->far, name, &err))
		fail_msg("%s", err.text);
}

/* bpffs_make mounts it, once per process. */
static inline void bpffs_make(void)
{
	static bool is_made;

	if (is_made)
		return;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"), 0);
	is_made = true;
}

/* veth_make removes the previous namespace.  The names hold the pid: lock files
 * are by name, for all namespaces of the machine. */
static inline void veth_make(struct veth *v, unsigned int queues,
			     unsigned int mtu)
{
	int pid = getpid();

	bpffs_make();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link add n%d numtxqueues %u numrxqueues %u type veth "
	    "peer name f%d numtxqueues %u numrxqueues %u",
	    pid, queues, queues, pid, queues, queues);
	run("ip link set n%d mtu %u addrgenmode none up", pid, mtu);
	run("ip link set f%d mtu %u addrgenmode none up", pid, mtu);
	veth_learn(v);
}

/* in_flight returns the frames submitted and not yet reaped. */
static inline __u32 in_flight(const struct pt_xsk *tx)
{
	struct pt_xsk_stats stats;

	assert_int_equal(pt_xsk_stats(tx, &stats), 0);
	return stats.tx_submitted - stats.tx_completed;
}

/* flushed waits until all that was submitted is where it goes: in a ring, in the
 * counters, or dropped.  The far device may poll in a thread of the kernel's, and a
 * frame is completed when that copies it, before its XDP program runs; the grace period
 * ends after the poll that does both. */
static inline void flushed(struct pt_xsk *tx)
{
	__u64 deadline_ns = pt_clock_ns() + 50000000000ULL;

	while (in_flight(tx)) {
		assert_true(pt_clock_ns() < deadline_ns);
		assert_int_equal(pt_xsk_tx_wait(tx, 2000), 1);
		sched_yield();
	}
	assert_int_equal(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0),
			 0);
}

#endif
