/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program: the real receive program under BPF_PROG_TEST_RUN, on the queues of a
 * device in a network namespace of the test's own.  Every run checks the
 * invariants of any frame: its bytes are unchanged, one verdict of one queue
 * was counted once and `seen` with it, the action fits the verdict, and a
 * session's counters moved with it or not at all.
 */
#ifndef BPF_PROGRAM_H
#define BPF_PROGRAM_H

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <endian.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <pagetrim/maps.h>

#include "../frames/judge.h"
#include "pagetrim.skel.h"

#ifndef AF_XDP
#define AF_XDP	44
#endif

#define PROGRAM_DEV	"ptbpf0"
#define PROGRAM_PEER	"ptbpf1"
#define PROGRAM_QUEUES	"300"	/* more than the maps have: PT_QUEUES_MAX */
#define PROGRAM_CPUS	1024	/* possible CPUs of the host, at most */
#define PROGRAM_PIECE_SZ 3520	/* a test run's first piece, at least */

struct program {
	struct pagetrim_bpf *skel;
	int	fd;
	__u32	ifindex;
	int	cpu_cnt;
	bool	takes_pieces;	/* this kernel's AF_XDP does, since 6.6 */
	int	xsks[PT_QUEUES_MAX];	/* AF_XDP sockets, 0: none */
};

/* outcome: a run's result, after the check of its invariants.  A frame in
 * pieces that a kernel before 6.6 would lose counts as steered, as on all
 * others. */
struct outcome {
	enum pt_verdict verdict;
	bool	session_counted;
	bool	in_pieces;	/* the verdict that was counted */
};

static const char *const verdict_names[] = {
#define X(SYMBOL, name, text) #name,
	PT_VERDICTS(X)
#undef X
};

static inline void counters_add(struct pt_counters *sum,
				const struct pt_counters *one)
{
	const __u64 *from = (const void *)one;
	__u64 *to = (void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* counters_read returns the sum over the CPUs; zeroes for an unknown key. */
static inline struct pt_counters counters_read(const struct program *p,
					       const struct bpf_map *map,
					       const void *key)
{
	static struct pt_counters cpus[PROGRAM_CPUS];
	struct pt_counters sum = { 0 };

	assert_true(p->cpu_cnt <= PROGRAM_CPUS);
	if (bpf_map_lookup_elem(bpf_map__fd(map), key, cpus))
		return sum;
	for (int i = 0; i < p->cpu_cnt; i++)
		counters_add(&sum, &cpus[i]);
	return sum;
}

static inline struct pt_counters queue_counters(const struct program *p,
						__u32 queue)
{
	return counters_read(p, p->skel->maps.pt_queue_counters, &queue);
}

static inline struct pt_counters session_counters(const struct program *p,
						  __u64 session_id)
{
	return counters_read(p, p->skel->maps.pt_session_counters, &session_id);
}

static inline __u64 counters_of(const struct pt_counters *c,
				enum pt_verdict verdict)
{
	switch (verdict) {
#define X(SYMBOL, name, text)						\
	case PT_VERDICT_##SYMBOL:					\
		return c->name;
	PT_VERDICTS(X)
#undef X
	default:
		abort();
	}
}

/* counters_moved asserts that between a and b one frame of sz bytes was
 * counted, under one verdict, and returns that; PT_VERDICT_CNT if no counter
 * moved. */
static inline enum pt_verdict counters_moved(const struct pt_counters *a,
					     const struct pt_counters *b,
					     __u32 sz)
{
	enum pt_verdict found = PT_VERDICT_CNT;

	if (!memcmp(a, b, sizeof(*a)))
		return PT_VERDICT_CNT;
	assert_int_equal(b->seen - a->seen, 1);
	assert_int_equal(b->seen_bytes - a->seen_bytes, sz);
	for (int v = 0; v < PT_VERDICT_CNT; v++) {
		__u64 grew = counters_of(b, v) - counters_of(a, v);

		if (!grew)
			continue;
		assert_int_equal(grew, 1);
		assert_int_equal(found, PT_VERDICT_CNT);
		found = v;
	}
	assert_int_not_equal(found, PT_VERDICT_CNT);
	return found;
}

/* program_raw_run runs the program once and returns its action, or -errno.
 * linear_sz: bytes in the first fragment, 0 for as many as the kernel puts
 * there; other values need Linux 6.18. */
static inline int program_raw_run(const struct program *p,
				  const struct frame *f, __u32 queue,
				  __u32 linear_sz)
{
	static __u8 out[sizeof(f->bytes)];
	struct xdp_md md = {
		.data_end = linear_sz ? linear_sz : f->sz,
		.ingress_ifindex = p->ifindex,
		.rx_queue_index = queue,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		.data_in = f->bytes,
		.data_size_in = f->sz,
		.data_out = out,
		.data_size_out = sizeof(out),
		.ctx_in = &md,
		.ctx_size_in = sizeof(md),
		.repeat = 1,
	);

	if (bpf_prog_test_run_opts(p->fd, &opts))
		return -errno;
	assert_int_equal(opts.data_size_out, f->sz);
	assert_memory_equal(out, f->bytes, f->sz);
	return opts.retval;
}

/* program_run_linear: as program_run, the first linear_sz bytes direct. */
static inline struct outcome program_run_linear(const struct program *p,
						const struct frame *f,
						__u32 queue, __u32 linear_sz)
{
	const __u64 session_id =
		frame_load(f->bytes + f->hdr_off +
			   offsetof(struct pt_frame_hdr, session_id), 8);
	const __u32 other_queue = queue ? 0 : 1;
	struct pt_counters queue_was = queue_counters(p, queue);
	struct pt_counters other_was = queue_counters(p, other_queue);
	struct pt_counters session_was = session_counters(p, session_id);
	struct pt_counters queue_is, other_is, session_is;
	enum pt_verdict session_verdict;
	struct outcome o;
	int action;

	action = program_raw_run(p, f, queue, linear_sz);
	if (action < 0)
		fail_msg("test run: %s", strerror(-action));
	queue_is = queue_counters(p, queue);
	other_is = queue_counters(p, other_queue);
	session_is = session_counters(p, session_id);

	o.verdict = counters_moved(&queue_was, &queue_is, f->sz);
	assert_int_not_equal(o.verdict, PT_VERDICT_CNT);
	assert_memory_equal(&other_was, &other_is, sizeof(other_is));
	session_verdict = counters_moved(&session_was, &session_is, f->sz);
	o.session_counted = session_verdict != PT_VERDICT_CNT;
	if (o.session_counted)
		assert_int_equal(session_verdict, o.verdict);

	if (o.verdict == PT_VERDICT_PASSED)
		assert_int_equal(action, XDP_PASS);
	else if (o.verdict == PT_VERDICT_STEERED)
		assert_int_equal(action, XDP_REDIRECT);
	else
		assert_int_equal(action, XDP_DROP);
	o.in_pieces = o.verdict == PT_VERDICT_IN_PIECES;
	if (o.in_pieces) {
		assert_false(p->takes_pieces);
		assert_true(f->sz > PROGRAM_PIECE_SZ);
		o.verdict = PT_VERDICT_STEERED;
	}
	return o;
}

/* program_run runs the program on the frame, as received on that queue. */
static inline struct outcome program_run(const struct program *p,
					 const struct frame *f, __u32 queue)
{
	return program_run_linear(p, f, queue, 0);
}

static inline void assert_verdict(const char *what, enum pt_verdict is,
				  enum pt_verdict want)
{
	if (is != want)
		fail_msg("%s: %s, want %s", what, verdict_names[is],
			 verdict_names[want]);
}

/* program_open_session: lanes 0..lane_cnt - 1, each on queue 0.  The session
 * FRAME_SESSION_SEALED is sealed. */
static inline void program_open_session(struct program *p, __u64 session_id,
					const struct pt_endpoint *endpoint,
					__u16 lane_cnt)
{
	struct pt_session s = { .endpoint = *endpoint, .lane_cnt = lane_cnt };
	struct pt_counters *zero = calloc(p->cpu_cnt, sizeof(*zero));
	const __u32 one = 1;

	assert_non_null(zero);
	if (session_id == FRAME_SESSION_SEALED) {
		s.is_sealed = 1;
		s.header_key[0] = mac_word(frame_header_key, 8);
		s.header_key[1] = mac_word(frame_header_key + 8, 8);
	}
	assert_int_equal(0, bpf_map_update_elem(
		bpf_map__fd(p->skel->maps.pt_endpoints), endpoint, &one, 0));
	assert_int_equal(0, bpf_map_update_elem(
		bpf_map__fd(p->skel->maps.pt_sessions), &session_id, &s, 0));
	assert_int_equal(0, bpf_map_update_elem(
		bpf_map__fd(p->skel->maps.pt_session_counters), &session_id,
		zero, 0));
	free(zero);
}

static inline void program_set_lane_queue(struct program *p, __u64 session_id,
					  __u16 lane, __u16 queue)
{
	int fd = bpf_map__fd(p->skel->maps.pt_sessions);
	struct pt_session s;

	assert_int_equal(0, bpf_map_lookup_elem(fd, &session_id, &s));
	s.lane_queue[lane] = queue;
	assert_int_equal(0, bpf_map_update_elem(fd, &session_id, &s, 0));
}

static inline void program_set_socket(struct program *p, __u32 queue)
{
	p->xsks[queue] = socket(AF_XDP, SOCK_RAW, 0);
	assert_true(p->xsks[queue] > 0);
	assert_int_equal(0, bpf_map_update_elem(
		bpf_map__fd(p->skel->maps.pt_xsks), &queue, &p->xsks[queue],
		0));
}

static inline int program_quiet(enum libbpf_print_level level, const char *fmt,
				va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

/* kernel_takes_pieces: the kernel's AF_XDP socket has the field that states
 * it. */
static inline bool kernel_takes_pieces(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *type;
	bool found = false;
	__s32 id;

	assert_int_equal(libbpf_get_error(btf), 0);
	id = btf__find_by_name_kind(btf, "xdp_sock", BTF_KIND_STRUCT);
	assert_true(id > 0);
	type = btf__type_by_id(btf, id);
	for (__u32 i = 0; i < btf_vlen(type) && !found; i++)
		found = !strcmp("sg", btf__name_by_offset(btf,
				btf_members(type)[i].name_off));
	btf__free(btf);
	return found;
}

/* program_open loads the program and makes a device with many queues, in a
 * network namespace that ends with the process.  It fails the test if it
 * cannot: no test is skipped. */
static inline int program_open(struct program *p)
{
	memset(p, 0, sizeof(*p));
	libbpf_set_print(program_quiet);
	if (unshare(CLONE_NEWNET)) {
		perror("network namespace (these tests need root)");
		return -1;
	}
	if (system("ip link add " PROGRAM_DEV " numrxqueues " PROGRAM_QUEUES
		   " type veth peer name " PROGRAM_PEER))
		return -1;
	p->ifindex = if_nametoindex(PROGRAM_DEV);
	p->cpu_cnt = libbpf_num_possible_cpus();
	p->takes_pieces = kernel_takes_pieces();
	p->skel = pagetrim_bpf__open_and_load();
	if (!p->skel)
		return -1;
	p->fd = bpf_program__fd(p->skel->progs.pagetrim);
	return 0;
}

static inline void program_close(struct program *p)
{
	for (int i = 0; i < PT_QUEUES_MAX; i++)
		if (p->xsks[i])
			close(p->xsks[i]);
	pagetrim_bpf__destroy(p->skel);
}

/* program_open_usual opens the sessions that the rows need: one over IPv4, one
 * over IPv6 and a sealed one, each with all lanes on queue 0, and a socket
 * there. */
static inline int program_open_usual(struct program *p)
{
	const struct pt_endpoint v4 = frame_endpoint_ipv4();
	const struct pt_endpoint v6 = frame_endpoint_ipv6();

	if (program_open(p))
		return -1;
	program_open_session(p, FRAME_SESSION, &v4, PT_LANES_MAX);
	program_open_session(p, FRAME_SESSION_IPV6, &v6, PT_LANES_MAX);
	program_open_session(p, FRAME_SESSION_SEALED, &v4, PT_LANES_MAX);
	program_set_socket(p, 0);
	return 0;
}

#endif
