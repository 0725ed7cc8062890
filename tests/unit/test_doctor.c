// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Findings: facts of a host without a fault, and with one fault. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "doctor/doctor.h"

#define CAP(name) (1ull << CAP_##name)
#define ROUTE_IFINDEX 7

static void fail_try(struct pt_try *try, int ret, const char *why)
{
	try->ret = ret;
	snprintf(try->why, sizeof(try->why), "%s", why);
}

static void take_queue(struct pt_facts *f, __u32 queue, pid_t pid,
		       const char *role)
{
	struct pt_facts_queue *taken = &f->xdp.taken[f->xdp.taken_cnt++];

	taken->queue = queue;
	taken->owner.pid = pid;
	snprintf(taken->owner.role, sizeof(taken->owner.role), "%s", role);
}

static void hold(struct pt_facts *f, const char *name, bool ours)
{
	f->xdp.prog_id = 71;
	f->xdp.named = true;
	f->xdp.ours = ours;
	snprintf(f->xdp.prog_name, sizeof(f->xdp.prog_name), "%s", name);
}

static void good_host(struct pt_facts_host *h)
{
	snprintf(h->release, sizeof(h->release), "6.18.1-test");
	h->kernel = PT_KERNEL(6, 18);
	h->caps = h->memlock_sz = ~0ull;
	h->has_btf = h->has_af_xdp = h->has_bpffs = h->has_aes = true;
	h->huge_free_cnt = 12;
	h->cipher = PT_CIPHER_AES_128_GCM;
	h->cipher_lib = "libcrypto";
	h->scan = h->checksum = "avx2";
	h->compressions = 0xff;
}

static void good_facts(struct pt_facts *f)
{
	memset(f, 0, sizeof(*f));
	good_host(&f->host);
	f->device.dev = (struct pt_device){
		.name = "eth1", .driver = "ice", .ifindex = ROUTE_IFINDEX,
		.mtu = 9000, .is_up = true, .has_carrier = true,
		.rx_queue_cnt = 4, .tx_queue_cnt = 4,
	};
	f->device.features_known = true;
	f->device.xdp_features = PT_XDP_BASIC | PT_XDP_REDIRECT |
				 PT_XDP_ZERO_COPY | PT_XDP_RX_SG;
	f->device.zc_max_segs = 5;
	f->device.rule = -1;
	f->device.link_mbit = 100000;
	fail_try(&f->xdp.attach, PT_NOT_TRIED, "");
	f->path.dst.ip[10] = f->path.dst.ip[11] = 0xff;
	memcpy(f->path.dst.ip + 12, "\x0a\x00\x00\x02", 4);
	f->path.dst.port = 16644;
	f->path.found.ifindex = ROUTE_IFINDEX;
	snprintf(f->path.found.ifname, IF_NAMESIZE, "eth1");
	f->path.mtu_sz = 9000;
	f->speed.scan_sz_s = 10e9;
	f->speed.seal_sz_s = 5e9;
}

/* X(name, the fault, TO, OUTCOME, its severity, exit, words of text or
 * remedy) */
#define ALONE 0
#define PEER 1
#define ROWS(X)								\
	X(old_kernel, f->host.kernel = PT_KERNEL(6, 0), ALONE,		\
	  KERNEL_OLD, ERROR, 3, "6.1 or newer")				\
	X(oldest_kernel, f->host.kernel = PT_KERNEL(6, 1), ALONE,	\
	  KERNEL, OK, 0, "")						\
	X(tx_budget, f->host.kernel = PT_KERNEL(6, 16), ALONE,		\
	  TX_BUDGET, INFO, 0, "32 descriptors")				\
	X(no_btf, f->host.has_btf = false, ALONE,			\
	  BTF_NONE, WARNING, 1, "CONFIG_DEBUG_INFO_BTF")		\
	X(no_btf_sending, f->host.has_btf = false, PEER,		\
	  BTF_NONE, INFO, 0, "")					\
	X(no_af_xdp, f->host.has_af_xdp = false, PEER,			\
	  AF_XDP_NONE, ERROR, 3, "CONFIG_XDP_SOCKETS")			\
	X(no_raw, f->host.caps &= ~CAP(NET_RAW), PEER,			\
	  CAPS_NONE, ERROR, 3, "lacks CAP_NET_RAW")			\
	X(no_bpf, f->host.caps &= ~(CAP(BPF) | CAP(SYS_ADMIN)), ALONE,	\
	  CAPS_NONE, ERROR, 3, "lacks CAP_BPF")				\
	X(no_bpf_but_admin, f->host.caps &= ~CAP(BPF), ALONE,		\
	  CAPS, OK, 0, "")						\
	X(no_bpf_sending, f->host.caps &= ~(CAP(BPF) | CAP(SYS_ADMIN)), \
	  PEER, CAPS_RECEIVE, INFO, 0, "lacks CAP_BPF")			\
	X(no_admin, f->host.caps &= ~CAP(SYS_ADMIN), ALONE,		\
	  CAPS, OK, 0, "")						\
	X(no_admin_held, f->host.caps &= ~CAP(SYS_ADMIN);		\
	  hold(f, "", false); f->xdp.named = false, ALONE,		\
	  CAPS_NONE, ERROR, 3, "CAP_SYS_ADMIN")				\
	X(raw_attached, f->host.caps = CAP(NET_RAW) | CAP(SYS_PTRACE);	\
	  hold(f, "pagetrim", true); f->xdp.pinned = true, ALONE,	\
	  CAPS, OK, 0, "")						\
	X(raw_barred, f->host.bars_sockets = true, PEER,		\
	  CAPS_NETWORK, ERROR, 3, "network namespace of its own")	\
	X(inner, f->host.is_inner = true, ALONE,			\
	  CAPS_INNER, ERROR, 3, "attach --dev eth1 --user UID:GID")	\
	X(inner_sending, f->host.is_inner = true, PEER,			\
	  CAPS_INNER, INFO, 0, "user namespace")			\
	X(inner_attached, f->host.is_inner = true;			\
	  hold(f, "pagetrim", true); f->xdp.pinned = true, ALONE,	\
	  CAPS, OK, 0, "")						\
	X(inner_memlock, f->host.is_inner = true;			\
	  f->host.memlock_sz = 8 << 20, PEER,				\
	  MEMLOCK_FEW, WARNING, 1, "for 1 of the queues")		\
	X(no_ptrace, f->host.caps &= ~CAP(SYS_PTRACE), PEER,		\
	  CAPS_PID, INFO, 0, "--pid")					\
	X(no_locks, f->host.locks = -EACCES, PEER,			\
	  LOCKS_NONE, ERROR, 3, "/run/pagetrim: Permission denied")	\
	X(no_locks_but_given, f->host.locks = -EACCES;			\
	  f->xdp.is_given = true, PEER, LOCKS, OK, 0, "")		\
	X(locks_read_only, f->host.locks = -EROFS, PEER,		\
	  LOCKS_READONLY, ERROR, 3, "mount a tmpfs")			\
	X(memlock_none, f->host.caps &= ~CAP(IPC_LOCK);			\
	  f->host.memlock_sz = (8 << 20) - 1, PEER,			\
	  MEMLOCK_NONE, ERROR, 3, "8191 KiB")				\
	X(memlock_one, f->host.caps &= ~CAP(IPC_LOCK);			\
	  f->host.memlock_sz = 8 << 20, PEER,				\
	  MEMLOCK_FEW, WARNING, 1, "for 1 of the queues")		\
	X(memlock_few, f->host.caps &= ~CAP(IPC_LOCK);			\
	  f->host.memlock_sz = (32 << 20) - 1, PEER,			\
	  MEMLOCK_FEW, WARNING, 1, "for 3 of the queues")		\
	X(memlock_all, f->host.caps &= ~CAP(IPC_LOCK);			\
	  f->host.memlock_sz = 32 << 20, PEER, MEMLOCK, OK, 0, "32 MiB") \
	X(memlock_any, f->host.memlock_sz = 0, PEER,			\
	  MEMLOCK, OK, 0, "CAP_IPC_LOCK")				\
	X(no_bpffs, f->host.has_bpffs = false, ALONE,			\
	  BPFFS_NONE, INFO, 0, "nsenter")				\
	X(refused, fail_try(&f->host.program, -EINVAL, "too clever"),	\
	  ALONE, PROGRAM_REFUSED, ERROR, 3, "receive program: too clever") \
	X(refused_sending, fail_try(&f->host.program, -EINVAL, "no"),	\
	  PEER, PROGRAM_REFUSED, INFO, 0, "")				\
	X(not_tried, fail_try(&f->host.program, PT_NOT_TRIED, "CAP_X"),	\
	  ALONE, PROGRAM_UNSEEN, INFO, 0, "lacks CAP_X")		\
	X(no_dispatcher, f->host.dispatcher.ret = -ENOTSUP, ALONE,	\
	  DISPATCHER_NONE, INFO, 0, "extension")			\
	X(no_huge, f->host.huge_free_cnt = 0, PEER,			\
	  HUGE_NONE, INFO, 0, "vm.nr_hugepages")			\
	X(no_thp, f->host.thp_never = true, PEER,			\
	  THP_NEVER, INFO, 0, "madvise")				\
	X(portable, f->host.scan = f->host.checksum = "portable", PEER,	\
	  CPU_PORTABLE, INFO, 0, "portable, at half")			\
	X(mixed, f->host.scan = "avx512", PEER,				\
	  CPU, OK, 0, "avx512 and avx2")				\
	X(vaes, f->host.has_vaes = true, PEER,				\
	  CIPHER_WIDE, OK, 0, "aes-128-gcm by libcrypto:")		\
	X(no_aes, f->host.has_aes = false;				\
	  f->host.cipher = PT_CIPHER_CHACHA20_POLY1305, PEER,		\
	  CIPHER_SOFT, INFO, 0, "chacha20-poly1305")			\
	X(no_zstd, f->host.compressions = 1 << PT_COMPRESSION_LZ4, PEER,	\
	  COMPRESS_NONE, INFO, 0, "built without zstd")			\
	X(no_device, fail_try(&f->device.found, -ENODEV, "eth1: gone"),	\
	  PEER, DEVICE_NONE, ERROR, 3, "eth1: gone")			\
	X(down, f->device.dev.is_up = false, PEER,			\
	  DEVICE_DOWN, ERROR, 3, "ip link set eth1 up")			\
	X(no_carrier, f->device.dev.has_carrier = false, PEER,		\
	  DEVICE_LOST, ERROR, 3, "cable")				\
	X(no_native, f->device.xdp_features = 0, ALONE,			\
	  MODE_GENERIC, WARNING, 1, "driver ice")			\
	X(no_native_sending, f->device.xdp_features = 0, PEER,		\
	  MODE_GENERIC, INFO, 0, "--generic")				\
	X(mode_unknown, f->device.features_known = false;		\
	  f->device.xdp_features = 0, ALONE,				\
	  MODE_UNSEEN, INFO, 0, "6.18.1-test")				\
	X(mode_tried, f->device.features_known = false;			\
	  f->device.xdp_features = 0; f->xdp.attach.ret = 0;		\
	  f->xdp.attach_multi_buffer = true, ALONE,			\
	  MODE_NATIVE, OK, 0, "")					\
	X(mode_refused, fail_try(&f->xdp.attach, -EINVAL, "a ring"), ALONE, \
	  MODE_REFUSED, ERROR, 3, "refuses the program: a ring")	\
	X(no_zero_copy, f->device.xdp_features &= ~PT_XDP_ZERO_COPY,	\
	  PEER, ZERO_COPY_NONE, INFO, 0, "copies")			\
	X(zero_copy_mtu, f->device.zc_max_segs = 1, PEER,		\
	  ZERO_COPY_MTU, INFO, 0, "for an MTU of 3814 at most")		\
	X(zero_copy_garbles, f->device.garbles = true, PEER,		\
	  ZERO_COPY_GARBLES, INFO, 0, "auto copies sent frames")	\
	X(zero_copy_bound, f->device.features_known = false;		\
	  f->xdp.bind_zero_copy = true, PEER, ZERO_COPY, OK, 0, "")	\
	X(zero_copy_not_bound, f->device.features_known = false, PEER,	\
	  ZERO_COPY_NONE, INFO, 0, "")					\
	X(zero_copy_unknown, f->device.features_known = false;		\
	  fail_try(&f->xdp.bind, PT_NOT_TRIED, ""), PEER,		\
	  ZERO_COPY_UNSEEN, INFO, 0, "6.18.1-test")			\
	X(small_kernel, f->xdp.bind_large.ret = -EMSGSIZE, PEER,	\
	  BUFFERS_NONE, WARNING, 1, "Linux 6.18.1-test lacks it")	\
	X(small_kernel_unbound, f->host.kernel = PT_KERNEL(6, 5);	\
	  f->xdp.bind_large.ret = PT_NOT_TRIED, PEER,			\
	  BUFFERS_NONE, WARNING, 1, "Linux")				\
	X(large_kernel_unbound, f->host.kernel = PT_KERNEL(6, 6);	\
	  f->xdp.bind_large.ret = PT_NOT_TRIED, PEER,			\
	  BUFFERS, OK, 0, "")						\
	X(small_driver, f->device.xdp_features &= ~PT_XDP_RX_SG, ALONE,	\
	  BUFFERS_NONE, WARNING, 1, "driver ice lacks it")		\
	X(small_driver_sending, f->device.xdp_features &= ~PT_XDP_RX_SG, \
	  PEER, BUFFERS, OK, 0, "")					\
	X(small_driver_tried, f->xdp.attach.ret = 0, ALONE,		\
	  BUFFERS_NONE, WARNING, 1, "driver ice lacks it")		\
	X(small_enough, f->device.xdp_features &= ~PT_XDP_RX_SG;	\
	  f->device.dev.mtu = 3822, ALONE,				\
	  BUFFERS_ENOUGH, INFO, 0, "do not need it")				\
	X(just_too_large, f->device.xdp_features &= ~PT_XDP_RX_SG;	\
	  f->device.dev.mtu = 3823, ALONE, BUFFERS_NONE, WARNING, 1, "") \
	X(buffers_unknown, f->device.features_known = false;		\
	  f->device.xdp_features = 0, ALONE,				\
	  BUFFERS_UNSEEN, INFO, 0, "whether the driver can")		\
	X(no_socket, fail_try(&f->xdp.bind, -ENOBUFS, "memory!"), PEER,	\
	  SOCKET_REFUSED, ERROR, 3, "memory!")				\
	X(no_socket_tried, fail_try(&f->xdp.bind, PT_NOT_TRIED, "why"),	\
	  PEER, SOCKET_UNSEEN, INFO, 0, "opens: why")			\
	X(one_queue, f->device.dev.rx_queue_cnt = 1, ALONE,		\
	  QUEUES_ONE, INFO, 0, "one only")				\
	X(one_queue_sending, f->device.dev.tx_queue_cnt = 1, PEER,	\
	  QUEUES_ONE, INFO, 0, "one only")				\
	X(fewer_queues, fail_try(&f->xdp.attach, -ENOSPC, ""), ALONE,	\
	  QUEUES_FEWER, ERROR, 3, "4 to receive on")			\
	X(taken, take_queue(f, 2, 55, "send"), ALONE,			\
	  QUEUE_TAKEN, INFO, 0, "queue 2: pid 55, pagetrim send")	\
	X(taken_by_another, take_queue(f, 2, 0, ""), ALONE,		\
	  QUEUE_TAKEN, INFO, 0, "queue 2: another program")		\
	X(all_taken, for (int i = 0; i < 4; i++) take_queue(f, i, 1, "x"), \
	  ALONE, QUEUES_TAKEN, ERROR, 3, "no queue is free of 4")	\
	X(taken_beyond, f->device.dev.rx_queue_cnt = 2;			\
	  take_queue(f, 2, 1, "send"); take_queue(f, 3, 1, "send"), ALONE, \
	  QUEUE_TAKEN, INFO, 0, "queue 2")				\
	X(many_taken, for (int i = 0; i < 17; i++) take_queue(f, i, 1, "x"); \
	  f->device.dev.rx_queue_cnt = 18, ALONE,			\
	  QUEUES_MORE, INFO, 0, "and 1 more")				\
	X(fewer_queues_mode, fail_try(&f->xdp.attach, -ENOSPC, "");	\
	  f->device.features_known = false; f->device.xdp_features = 0,	\
	  ALONE, MODE_NATIVE, OK, 3, "")				\
	X(hash, f->device.rss_queue_cnt = 4, ALONE,			\
	  RSS, INFO, 0, "over 4 queues")				\
	X(rule, f->device.rule = 9; f->device.rule_queue = 3, ALONE,	\
	  RULE, OK, 0, "to queue 3")					\
	X(rule_drops, f->device.rule = 9; f->device.rule_queue = -1, ALONE, \
	  RULE_DROPS, ERROR, 3, "delete 9")				\
	X(gro, f->device.offloads = 1 << PT_OFFLOAD_GRO, ALONE,		\
	  OFFLOAD_GRO, INFO, 0, "ethtool -K eth1 gro off")		\
	X(lro, f->device.offloads = 1 << PT_OFFLOAD_LRO, ALONE,		\
	  OFFLOAD_LRO, WARNING, 1, "ethtool -K eth1 lro off")		\
	X(gro_hw, f->device.offloads = 1 << PT_OFFLOAD_GRO_HW, ALONE,	\
	  OFFLOAD_LRO, WARNING, 1, "ethtool -K eth1 rx-gro-hw off")	\
	X(gro_list, f->device.offloads = 1 << PT_OFFLOAD_GRO_LIST, ALONE, \
	  OFFLOAD_MERGE, WARNING, 1, "rx-gro-list is on")		\
	X(udp_gro, f->device.offloads = 1 << PT_OFFLOAD_UDP_GRO, ALONE,	\
	  OFFLOAD_MERGE, WARNING, 1, "rx-udp-gro-forwarding is on")	\
	X(lro_sending, f->device.offloads = 1 << PT_OFFLOAD_LRO, PEER,	\
	  OFFLOAD_LRO, INFO, 0, "")					\
	X(csum, f->device.offloads = 1 << PT_OFFLOAD_TX_CSUM;		\
	  strcpy(f->device.dev.driver, "veth"), ALONE,			\
	  OFFLOAD_CSUM, INFO, 0, "ethtool -K eth1 tx off")		\
	X(csum_nic, f->device.offloads = 1 << PT_OFFLOAD_TX_CSUM, ALONE, \
	  OFFLOADS, OK, 0, "")						\
	X(mtu_none, f->device.dev.mtu = 1279, ALONE,			\
	  MTU_NONE, ERROR, 3, "1279 is too small")			\
	X(mtu_small, f->device.dev.mtu = 1280, ALONE,			\
	  MTU_SMALL, INFO, 0, "1280: larger")				\
	X(mtu_xdp, fail_try(&f->xdp.attach, -ERANGE, ""), ALONE,	\
	  MTU_XDP, ERROR, 3, "9000, or")				\
	X(unseen, fail_try(&f->xdp.query, -EIO, "broken"), ALONE,	\
	  XDP_UNSEEN, INFO, 0, "broken")				\
	X(foreign, hold(f, "firewall", false), ALONE,			\
	  XDP_FOREIGN, ERROR, 3, "'firewall' (id 71)")			\
	X(foreign_sending, hold(f, "firewall", false), PEER,		\
	  XDP_FOREIGN, INFO, 0, "firewall")				\
	X(unnamed, hold(f, "", false); f->xdp.named = false, ALONE,	\
	  XDP_UNNAMED, WARNING, 1, "program 71")			\
	X(receiver, hold(f, "pagetrim", true);				\
	  take_queue(f, 1, 77, "receive"), ALONE,			\
	  XDP_RECEIVER, ERROR, 3, "held by pid 77, pagetrim receive")	\
	X(receiver_unknown, hold(f, "pagetrim", true);			\
	  take_queue(f, 1, 77, "send"), ALONE,				\
	  XDP_RECEIVER, ERROR, 3, "(id 71)")				\
	X(attached, hold(f, "pagetrim", true); f->xdp.has_pins = true;	\
	  f->xdp.pinned = true, ALONE, XDP_ATTACHED, OK, 0, "program 71") \
	X(attached_generic, hold(f, "pagetrim", true);			\
	  f->xdp.pinned = f->xdp.generic = true, ALONE,			\
	  XDP_ATTACHED_GENERIC, WARNING, 1, "--generic")		\
	X(shared, hold(f, "one, two", false); f->xdp.dispatcher = true,	\
	  ALONE, XDP_SHARED, OK, 0, "one, two")				\
	X(shared_not_here, hold(f, "one", false);			\
	  f->xdp.dispatcher = true; f->host.dispatcher.ret = -ENOTSUP,	\
	  ALONE, XDP_FOREIGN, ERROR, 3, "")				\
	X(leftover, f->xdp.has_pins = true, ALONE,			\
	  LEFTOVER, WARNING, 1, "/sys/fs/bpf/pagetrim/eth1")		\
	X(no_route, fail_try(&f->path.route, -ENETUNREACH, "no way"),	\
	  PEER, ROUTE_NONE, ERROR, 3, "no way")				\
	X(other_route, f->path.found.ifindex++;				\
	  strcpy(f->path.found.ifname, "eth2"), PEER,			\
	  ROUTE_OTHER, ERROR, 3, "--dev eth2")				\
	X(gateway, f->path.found.gateway = true;			\
	  f->path.found.next_hop = f->path.dst;				\
	  f->path.found.next_hop.port = 0, PEER,			\
	  ROUTE, OK, 0, "by gateway 10.0.0.2")				\
	X(path_smaller, f->path.mtu_sz = 8999, PEER,			\
	  PATH_SMALLER, WARNING, 1, "8999 bytes reach host")		\
	X(path_least, f->path.mtu_sz = 1280, PEER,			\
	  PATH_SMALLER, WARNING, 1, "1280")				\
	X(path_none, f->path.mtu_sz = 1279, PEER,			\
	  PATH_NONE, ERROR, 3, "1280 are needed")			\
	X(path_hole, f->path.mtu_sz = 1492; f->path.mtu_hole = true, PEER, \
	  PATH_HOLE, WARNING, 1, "1492")				\
	X(path_unseen, fail_try(&f->path.mtu, -EACCES, "no ping"), PEER, \
	  PATH_UNSEEN, INFO, 0, "no ping")				\
	X(nobody_listens, fail_try(&f->path.connect, -ECONNREFUSED, ""), \
	  PEER, RECEIVER_NONE, WARNING, 1, "10.0.0.2:16644")		\
	X(silent, fail_try(&f->path.connect, -ETIMEDOUT, "no answer"),	\
	  PEER, RECEIVER_SILENT, ERROR, 4, "no answer")			\
	X(silent_and_down, f->device.dev.is_up = false;			\
	  fail_try(&f->path.connect, -ETIMEDOUT, "no answer"),		\
	  PEER, RECEIVER_SILENT, ERROR, 3, "")				\
	X(link, f->device.link_mbit = 1000, ALONE,			\
	  TIME, INFO, 0, "8.59 s per GiB")				\
	X(lane, f->device.link_mbit = 0, ALONE,				\
	  TIME, INFO, 0, "0.33 s per GiB")

struct row {
	const char *name;
	void (*break_it)(struct pt_facts *f);
	bool to;
	enum pt_outcome outcome;
	enum pt_severity severity;
	int exit;
	const char *words;
};

#define X(name_, code, to_, outcome_, severity_, exit_, words_)		\
	static void break_##name_(struct pt_facts *f) { code; }
ROWS(X)
#undef X

static const struct row all_rows[] = {
#define X(name_, code, to_, outcome_, severity_, exit_, words_)		\
	{ #name_, break_##name_, to_, PT_FOUND_##outcome_,		\
	  PT_SEVERITY_##severity_, exit_, words_ },
	ROWS(X)
#undef X
};

#define ROW_CNT (sizeof(all_rows) / sizeof(all_rows[0]))

static struct pt_facts facts;
static struct pt_findings found;

static const struct pt_finding *find(enum pt_outcome outcome)
{
	for (__u32 i = 0; i < found.cnt; i++)
		if (found.list[i].outcome == outcome)
			return &found.list[i];
	return NULL;
}

static void judge(bool to)
{
	pt_doctor_judge(&found, &facts, "eth1", to ? "host" : NULL);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	char both[2 * PT_FINDING_TEXT_SZ], remedy[PT_FINDING_TEXT_SZ];
	const struct pt_finding *finding;

	good_facts(&facts);
	row->break_it(&facts);
	judge(row->to);
	finding = find(row->outcome);
	assert_non_null(finding);
	assert_int_equal(finding->severity, row->severity);
	pt_finding_text(&found, finding, both);
	strcat(both, " | ");
	strcat(both, pt_finding_remedy(&found, finding, remedy));
	if (!strstr(both, row->words))
		fail_msg("'%s' has no '%s'", both, row->words);
	assert_null(strchr(both, '{'));
	assert_int_equal(pt_findings_exit(&found), row->exit);
}

/* Without a fault no finding is worse than a note, and each check has a
 * finding. */
static void test_good(void **state)
{
	(void)state;
	for (int to = 0; to < 2; to++) {
		good_facts(&facts);
		judge(to);
		for (__u32 i = 0; i < found.cnt; i++)
			assert_in_range(found.list[i].severity,
					PT_SEVERITY_OK, PT_SEVERITY_INFO);
		assert_int_equal(pt_findings_exit(&found), 0);
		assert_non_null(find(PT_FOUND_ZERO_COPY));
		assert_non_null(find(PT_FOUND_XDP_NONE));
		assert_non_null(find(PT_FOUND_QUEUES_FREE));
		assert_int_equal(find(PT_FOUND_RECEIVER) != NULL, to);
		assert_int_equal(find(PT_FOUND_PATH_MTU) != NULL, to);
	}
}

/* Each finding of the list can occur. */
static void test_each_outcome_is_reached(void **state)
{
	bool seen[PT_FOUND_CNT] = { false };

	(void)state;
	for (size_t i = 0; i <= 2 * ROW_CNT; i++) {
		good_facts(&facts);
		if (i)
			all_rows[(i - 1) / 2].break_it(&facts);
		judge(i & 1);
		for (__u32 j = 0; j < found.cnt; j++)
			seen[found.list[j].outcome] = true;
	}
	for (int i = 0; i < PT_FOUND_CNT; i++)
		if (!seen[i])
			fail_msg("outcome %d is never said", i);
}

static void test_value(void **state)
{
	(void)state;
	good_facts(&facts);
	judge(true);
	assert_string_equal(find(PT_FOUND_MTU)->value, "9000");
	assert_true(find(PT_FOUND_MTU)->is_number);
	assert_string_equal(find(PT_FOUND_KERNEL)->value, "6.18.1-test");
	assert_false(find(PT_FOUND_KERNEL)->is_number);
	assert_string_equal(find(PT_FOUND_FIREWALL)->value, "");
	assert_string_equal(pt_finding_id(find(PT_FOUND_QUEUES_FREE)),
			    "queue-owner");
}

/* The longest report: all findings at once, of as many queues as possible. */
static void test_many(void **state)
{
	__u32 named = 0;

	(void)state;
	good_facts(&facts);
	facts.device.dev.rx_queue_cnt = PT_QUEUES_MAX;
	facts.device.offloads = ~0u;
	facts.host.caps = 0;
	facts.host.thp_never = true;
	for (int i = 0; i < PT_QUEUES_MAX; i++)
		take_queue(&facts, i, 1000 + i, "receive");
	judge(false);
	for (__u32 i = 0; i < found.cnt; i++)
		named += found.list[i].outcome == PT_FOUND_QUEUE_TAKEN;
	assert_int_equal(named, 16);
	assert_string_equal(find(PT_FOUND_QUEUES_MORE)->value, "240");
	assert_non_null(find(PT_FOUND_QUEUES_TAKEN));
	assert_non_null(find(PT_FOUND_FIREWALL));
	facts.device.dev.tx_queue_cnt = PT_QUEUES_MAX;
	judge(true);
	assert_non_null(find(PT_FOUND_FIREWALL));
}

int main(void)
{
	struct CMUnitTest tests[ROW_CNT + 4] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_each_outcome_is_reached),
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_many),
	};

	for (size_t i = 0; i < ROW_CNT; i++)
		tests[4 + i] = (struct CMUnitTest){ all_rows[i].name, test_row,
			NULL, NULL, (void *)&all_rows[i] };
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
