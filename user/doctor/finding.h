/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* finding: the doctor's possible findings, and the list of those that it made.
 *
 * A finding has a subject, its id, which people and scripts use; an outcome is
 * one of the possible results for that subject.  Pure. */
#ifndef DOCTOR_FINDING_H
#define DOCTOR_FINDING_H

#include <linux/types.h>
#include <stdbool.h>

/* pt_severity: ordered.  ok: as it should be; info: good to know; warning:
 * works, but less well; error: something will not work. */
#define PT_SEVERITIES(X) \
	X(OK, "ok")	 \
	X(INFO, "info")	 \
	X(WARNING, "warning") \
	X(ERROR, "error")

enum pt_severity {
#define X(symbol, name) PT_SEVERITY_##symbol,
	PT_SEVERITIES(X)
#undef X
};

/* pt_finding_side: the end that it concerns.  A finding about receiving is only
 * a note if a HOST to send to was named; an error of the PEER is none of this
 * host. */
enum pt_finding_side { PT_SIDE_BOTH, PT_SIDE_RECEIVE, PT_SIDE_PEER };

/* X(SYMBOL, id, SEVERITY, SIDE, text, remedy).  In text and remedy {} is the
 * finding's value, {dev} the device, {to} the HOST to send to. */
#define PT_FINDINGS(X)							\
	/* the host */							\
	X(KERNEL, "kernel", OK, BOTH, "Linux {}", "")			\
	X(KERNEL_OLD, "kernel", ERROR, BOTH, "Linux {} is too old",	\
	  "use Linux 6.1 or newer; 6.6 for large frames")		\
	X(BTF, "btf", OK, BOTH, "the kernel describes its types", "")	\
	X(BTF_NONE, "btf", WARNING, RECEIVE,				\
	  "the kernel does not describe its types, so attach cannot join " \
	  "other XDP programs", "a kernel with CONFIG_DEBUG_INFO_BTF")	\
	X(AF_XDP, "af-xdp", OK, BOTH, "the kernel has AF_XDP", "")	\
	X(AF_XDP_NONE, "af-xdp", ERROR, BOTH, "the kernel has no AF_XDP", \
	  "a kernel with CONFIG_XDP_SOCKETS")				\
	X(TX_BUDGET, "tx-budget", INFO, BOTH,				\
	  "Linux {} takes 32 descriptors a system call",		\
	  "Linux 6.17 takes more, which costs fewer calls")		\
	X(CAPS, "capabilities", OK, BOTH, "all that are needed", "")	\
	X(CAPS_NONE, "capabilities", ERROR, BOTH, "lacks {}",		\
	  "run with these: pagetrim(8), PRIVILEGES")	\
	X(CAPS_NETWORK, "capabilities", ERROR, BOTH,			\
	  "CAP_NET_RAW is not of the owner of this network namespace",	\
	  "give the container a network namespace of its own")		\
	X(CAPS_INNER, "capabilities", ERROR, RECEIVE,			\
	  "those of a user namespace, in which no XDP program loads",	\
	  "the host's root: pagetrim attach --dev {dev} --user UID:GID") \
	X(CAPS_RECEIVE, "capabilities", INFO, BOTH,			\
	  "enough to send; to receive it lacks {}", "")			\
	X(CAPS_PID, "capabilities", INFO, BOTH,				\
	  "lacks {}, so --pid takes the user's own processes only", "")	\
	X(LOCKS, "locks", OK, BOTH, "queues can be leased in {}", "")	\
	X(LOCKS_NONE, "locks", ERROR, BOTH,				\
	  "no queue can be leased: {}",					\
	  "root: pagetrim attach --dev {dev} --user NAME; or install -d " \
	  "-m 775 -g GROUP /run/pagetrim, for all devices")		\
	X(LOCKS_READONLY, "locks", ERROR, BOTH,				\
	  "no queue can be leased: {} is on a read-only file system",	\
	  "mount a tmpfs at /run, or the host's /run/pagetrim")		\
	X(MEMLOCK, "memlock", OK, BOTH, "memory may be locked: {}", "")	\
	X(MEMLOCK_FEW, "memlock", WARNING, BOTH,			\
	  "memory that may be locked is enough for {} of the queues",	\
	  "ulimit -l, 8 MiB a queue, or CAP_IPC_LOCK")			\
	X(MEMLOCK_NONE, "memlock", ERROR, BOTH,				\
	  "only {} KiB of memory may be locked, a queue takes 8 MiB",	\
	  "ulimit -l, or run with CAP_IPC_LOCK")			\
	X(BPFFS, "bpffs", OK, BOTH, "attach can pin", "")		\
	X(BPFFS_NONE, "bpffs", INFO, BOTH,				\
	  "no BPF file system at /sys/fs/bpf, so attach cannot pin",	\
	  "mount -t bpf bpf /sys/fs/bpf; 'ip netns exec' hides it: "	\
	  "nsenter --net=/run/netns/NAME")				\
	X(PROGRAM, "program", OK, BOTH,					\
	  "the kernel accepts the receive program", "")			\
	X(PROGRAM_REFUSED, "program", ERROR, RECEIVE,			\
	  "the kernel refuses the receive program: {}",			\
	  "Linux 6.1 or newer, not locked down")			\
	X(PROGRAM_UNSEEN, "program", INFO, BOTH,			\
	  "not tried whether the kernel accepts it: lacks {}",		\
	  "the host's root can try it")					\
	X(DISPATCHER, "dispatcher", OK, BOTH,				\
	  "attach can share a device with other XDP programs", "")	\
	X(DISPATCHER_NONE, "dispatcher", INFO, BOTH,			\
	  "the kernel loads no extension programs, so attach needs a "	\
	  "device without another XDP program", "")			\
	X(HUGE, "hugepages", OK, BOTH, "{} pages of 2 MiB are free", "") \
	X(HUGE_NONE, "hugepages", INFO, BOTH, "no page of 2 MiB is free, " \
	  "which only images on hugetlbfs need",			\
	  "sysctl vm.nr_hugepages=N")					\
	X(THP_NEVER, "hugepages", INFO, BOTH,				\
	  "transparent ones are off, so frame memory is in small pages", \
	  "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled")	\
	X(CPU, "cpu", OK, BOTH, "scans and sums with {}", "")		\
	X(CPU_PORTABLE, "cpu", INFO, BOTH,				\
	  "no AVX2: scans and sums with {}, at half the speed", "")	\
	X(CIPHER, "cipher", OK, BOTH,					\
	  "{}: the processor has AES instructions", "")		\
	X(CIPHER_WIDE, "cipher", OK, BOTH,				\
	  "{}: the processor has AES instructions, and VAES", "")	\
	X(CIPHER_SOFT, "cipher", INFO, BOTH,				\
	  "{}: the processor has no AES instructions", "")		\
	X(COMPRESS, "compression", OK, BOTH,				\
	  "frames can be compressed by {}", "")				\
	X(COMPRESS_NONE, "compression", INFO, BOTH,			\
	  "built without {}, which frames are then not compressed by",	\
	  "install liblz4-dev and libzstd-dev, and build again")	\
	/* the device */						\
	X(DEVICE, "device", OK, BOTH, "{dev}, driver {}", "")		\
	X(DEVICE_NONE, "device", ERROR, BOTH, "{}", "")			\
	X(DEVICE_DOWN, "device", ERROR, BOTH, "{dev} is down",		\
	  "ip link set {dev} up")					\
	X(DEVICE_LOST, "device", ERROR, BOTH, "{dev} has no carrier",	\
	  "connect the cable, or bring the veth's peer up")		\
	X(MODE_NATIVE, "xdp-mode", OK, BOTH, "the driver has native XDP", "") \
	X(MODE_GENERIC, "xdp-mode", WARNING, RECEIVE,			\
	  "driver {} has no native XDP", "--generic works, and is slower") \
	X(MODE_UNSEEN, "xdp-mode", INFO, BOTH,				\
	  "Linux {} does not report whether the driver has native XDP",	\
	  "receive tries it; --generic works with every driver")	\
	X(MODE_REFUSED, "xdp-mode", ERROR, RECEIVE,			\
	  "the driver refuses the program: {}", "try --generic")	\
	X(ZERO_COPY, "zero-copy", OK, BOTH,				\
	  "the driver has it, and --zero-copy auto tries it", "")	\
	X(ZERO_COPY_MTU, "zero-copy", INFO, BOTH,			\
	  "the driver has it for an MTU of {} at most, so --zero-copy "	\
	  "auto copies each frame", "ip link set {dev} mtu {}")		\
	X(ZERO_COPY_GARBLES, "zero-copy", INFO, BOTH,			\
	  "driver {}, as a module, may send garbage as the header of "	\
	  "zero-copy frames, so --zero-copy auto copies sent frames",	\
	  "--zero-copy on tries it")					\
	X(ZERO_COPY_NONE, "zero-copy", INFO, BOTH,			\
	  "driver {} has none: the kernel copies each frame", "")	\
	X(ZERO_COPY_UNSEEN, "zero-copy", INFO, BOTH,			\
	  "Linux {} cannot tell before a queue is bound", "")		\
	X(BUFFERS, "multi-buffer", OK, BOTH,				\
	  "frames of several buffers pass", "")				\
	X(BUFFERS_UNSEEN, "multi-buffer", INFO, BOTH,			\
	  "Linux {} does not report whether the driver can", "")	\
	X(BUFFERS_ENOUGH, "multi-buffer", INFO, BOTH,			\
	  "{} lacks it, and frames of this MTU do not need it", "") \
	X(BUFFERS_NONE, "multi-buffer", WARNING, BOTH,			\
	  "{} lacks it: frames will have 3840 bytes at most",		\
	  "Linux 6.6, and a driver that can; or an MTU of 3800")	\
	X(SOCKET, "socket", OK, BOTH, "an AF_XDP socket opens on queue {}", \
	  "")								\
	X(SOCKET_REFUSED, "socket", ERROR, BOTH, "{}", "")		\
	X(SOCKET_UNSEEN, "socket", INFO, BOTH,				\
	  "not tried whether one opens: {}", "")			\
	X(QUEUES, "queues", OK, BOTH, "{} to receive and send on", "")	\
	X(QUEUES_ONE, "queues", INFO, BOTH,				\
	  "one only: all frames by one thread, one transfer at a time",	\
	  "ethtool -L {dev}; for a veth numrxqueues N numtxqueues N")	\
	X(QUEUES_FEWER, "queues", ERROR, RECEIVE,			\
	  "{} to receive on, fewer than the veth peer sends on",	\
	  "ethtool -L {dev} rx N, or --generic")			\
	X(QUEUE_TAKEN, "queue-owner", INFO, BOTH, "queue {}",		\
	  "it takes another")					\
	X(QUEUES_MORE, "queue-owner", INFO, BOTH, "and {} more of them", "") \
	X(QUEUES_TAKEN, "queue-owner", ERROR, BOTH, "no queue is free of {}", \
	  "end one of their owners, or ethtool -L {dev}")		\
	X(QUEUES_FREE, "queue-owner", OK, BOTH, "no queue is taken", "") \
	X(RSS, "rss", INFO, RECEIVE,					\
	  "a hash spreads frames over {} queues; probes find them",	\
	  "ethtool -N {dev} flow-type udp4 dst-port 16644 action 0")	\
	X(RULE, "rss", OK, BOTH, "a rule steers the port to queue {}", "") \
	X(RULE_DROPS, "rss", ERROR, RECEIVE,				\
	  "rule {} drops frames to the port", "ethtool -N {dev} delete {}") \
	X(OFFLOADS, "offload", OK, BOTH, "none that hurts is on", "")	\
	X(OFFLOAD_GRO, "offload", INFO, RECEIVE,			\
	  "{} is on: it takes time from frames, and merges other ones",	\
	  "ethtool -K {dev} gro off")					\
	X(OFFLOAD_MERGE, "offload", WARNING, RECEIVE,			\
	  "{} is on: with --generic it may merge our frames",		\
	  "ethtool -K {dev} {} off")					\
	X(OFFLOAD_LRO, "offload", WARNING, RECEIVE,			\
	  "{} is on: most drivers refuse native XDP then",		\
	  "ethtool -K {dev} {} off")					\
	X(OFFLOAD_CSUM, "offload", INFO, BOTH,				\
	  "checksum offload is on: where a program forwards frames by "	\
	  "AF_XDP, those of TCP arrive with a wrong one",		\
	  "ethtool -K {dev} {} off, if so")				\
	X(MTU, "mtu", OK, BOTH, "{}", "")				\
	X(MTU_SMALL, "mtu", INFO, BOTH, "{}: larger frames are faster",	\
	  "ip link set {dev} mtu 9000, where all of the network has it") \
	X(MTU_NONE, "mtu", ERROR, BOTH, "{} is too small",		\
	  "ip link set {dev} mtu 1500; 1280 at least")			\
	X(MTU_XDP, "mtu", ERROR, RECEIVE,				\
	  "{}, or the veth peer's, is too large for the driver's XDP",	\
	  "lower it, or --generic")					\
	X(XDP_NONE, "xdp-program", OK, BOTH, "none on {dev}", "")	\
	X(XDP_ATTACHED, "xdp-program", OK, BOTH,			\
	  "attached by pagetrim attach, {}", "")			\
	X(XDP_ATTACHED_GENERIC, "xdp-program", WARNING, RECEIVE,	\
	  "attached by pagetrim attach, {}, in generic mode",		\
	  "receive needs --generic, or detach and attach without")	\
	X(XDP_RECEIVER, "xdp-program", ERROR, RECEIVE,			\
	  "held by {}", "several share a device after pagetrim attach")	\
	X(XDP_SHARED, "xdp-program", OK, BOTH,				\
	  "{}: libxdp's dispatcher, which attach can join", "")		\
	X(XDP_FOREIGN, "xdp-program", ERROR, RECEIVE,			\
	  "held by {}", "use another device, or ask who attached it")		\
	X(XDP_UNNAMED, "xdp-program", WARNING, RECEIVE,			\
	  "held by program {}; only CAP_SYS_ADMIN shows its owner",	\
	  "the host's root can see it")					\
	X(XDP_UNSEEN, "xdp-program", INFO, BOTH,			\
	  "the kernel does not report it: {}", "")			\
	X(LEFTOVER_NONE, "leftover", OK, BOTH, "none of attach", "")	\
	X(LEFTOVER, "leftover", WARNING, RECEIVE,			\
	  "{} is not of the program on {dev}",				\
	  "pagetrim detach --force --dev {dev}, if no other network "	\
	  "namespace has a device of that name")			\
	/* the way to the peer */					\
	X(ROUTE, "route", OK, BOTH, "{to} {}", "")			\
	X(ROUTE_NONE, "route", ERROR, BOTH, "{}", "")			\
	X(ROUTE_OTHER, "route", ERROR, BOTH, "{to} is reached by {}",	\
	  "--dev {}, or change the route")				\
	X(PATH_MTU, "path-mtu", OK, BOTH, "{} bytes reach {to}", "")	\
	X(PATH_SMALLER, "path-mtu", WARNING, BOTH,			\
	  "{} bytes reach {to}, fewer than the device's MTU",		\
	  "frames get that size; raise the MTU of the devices between") \
	X(PATH_HOLE, "path-mtu", WARNING, BOTH,				\
	  "{} bytes reach {to}, and larger packets are dropped silently", \
	  "frames adapt, TCP stalls: lower the MTU of {dev} to that, "	\
	  "or let ICMP 'too big' pass")					\
	X(PATH_NONE, "path-mtu", ERROR, BOTH,				\
	  "{} bytes reach {to}, and 1280 are needed",			\
	  "raise the MTU of the devices between")			\
	X(PATH_UNSEEN, "path-mtu", INFO, BOTH, "not measured: {}",	\
	  "the transfer measures it by itself")				\
	X(RECEIVER, "receiver", OK, BOTH, "{} answers", "")		\
	X(RECEIVER_NONE, "receiver", WARNING, PEER,			\
	  "nothing listens at {}", "start pagetrim receive there")	\
	X(RECEIVER_SILENT, "receiver", ERROR, PEER, "{}", "")		\
	/* all of it */							\
	X(SPEED, "speed", INFO, BOTH, "one core: {}", "")		\
	X(TIME, "time", INFO, BOTH,					\
	  "estimated at {} s per GiB of data and lane, at best", "")	\
	X(FIREWALL, "firewall", INFO, BOTH,				\
	  "frames bypass netfilter and tc on both hosts",		\
	  "send --max-bandwidth limits them")

enum pt_outcome {
#define X(symbol, id, severity, side, text, remedy) PT_FOUND_##symbol,
	PT_FINDINGS(X)
#undef X
	PT_FOUND_CNT
};

#define PT_FINDINGS_MAX		64	/* per examination */
#define PT_FINDING_VALUE_SZ	256	/* bytes of a value, with its NUL */
#define PT_FINDING_TEXT_SZ	512	/* bytes of a text, with its NUL */

struct pt_finding {
	enum pt_outcome outcome;
	enum pt_severity severity;
	bool	is_number;	/* the value is a number, in decimal */
	char	value[PT_FINDING_VALUE_SZ]; /* ASCII, "" if it has none */
};

struct pt_findings {
	const char *dev;	/* the caller's, for {dev} */
	const char *to;		/* for {to}; NULL: the question is about
				 * receiving */
	__u32	cnt;
	struct pt_finding list[PT_FINDINGS_MAX];
};

/* pt_findings_add adds a finding with its value; at most PT_FINDINGS_MAX. */
__attribute__((format(printf, 3, 4)))
void pt_findings_add(struct pt_findings *f, enum pt_outcome outcome,
		     const char *fmt, ...);
void pt_findings_add_number(struct pt_findings *f, enum pt_outcome outcome,
			    double value);
void pt_findings_say(struct pt_findings *f, enum pt_outcome outcome);

/* pt_findings_exit returns 0: fine, or notes only; 1: warnings; PT_EXIT_HOST:
 * errors; PT_EXIT_PEER: errors, all of them the peer's. */
int pt_findings_exit(const struct pt_findings *f);

const char *pt_finding_id(const struct pt_finding *finding);
const char *pt_severity_name(enum pt_severity severity);

/* pt_finding_text and pt_finding_remedy write text and remedy with their parts
 * filled in, and return buf, one line of ASCII; a remedy may be "". */
const char *pt_finding_text(const struct pt_findings *f,
			    const struct pt_finding *finding,
			    char buf[PT_FINDING_TEXT_SZ]);
const char *pt_finding_remedy(const struct pt_findings *f,
			      const struct pt_finding *finding,
			      char buf[PT_FINDING_TEXT_SZ]);

#endif
