// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* attack: a hostile host on the network of two others.
 *
 *     attack [OPTION]... DEV
 *
 * It listens on DEV until it has heard some frames of a transfer, then sends
 * variants of them (attack_kinds.h), each kind in turn, and prints as JSON the
 * number of each it sent and the expected counts:
 *
 *     kinds       sent, by kind
 *     verdicts    sent, by the verdict that XDP must find
 *     counted     of those steered, by how the agent must count them
 *     heard       probes and data frames heard
 *     failed      that DEV did not take
 *
 * Frames go out by AF_PACKET, past the queueing discipline: DEV drops frames
 * that its peer has no space for and counts them (failed, and its tx_dropped).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "attack_kinds.h"

#define HEARD_CNT	32	/* frames kept, the latest */
#define SALVO		64	/* frames of one system call */
#define LISTEN_MS	30000	/* for a transfer to begin */
#define RCVBUF_SZ	(64 << 20)

static const char *const kind_names[] = {
#define X(SYMBOL, name, ...) #name,
	ATTACK_KINDS(X)
#undef X
};

static const char *const verdict_names[] = {
#define X(SYMBOL, name, text) #name,
	PT_VERDICTS(X)
#undef X
};

static const char *const counted_names[] = {
#define X(SYMBOL, name, sealed, clear, counted) #counted,
	ATTACK_KINDS(X)
#undef X
};

static const enum pt_verdict verdicts[][2] = {
#define X(SYMBOL, name, sealed, clear, counted)				\
	{ PT_VERDICT_##clear, PT_VERDICT_##sealed },
	ATTACK_KINDS(X)
#undef X
};

struct attack {
	int sock;
	__u16 port;
	__u64 cnt;		/* frames to send; 0: until told to stop */
	__u32 pause_us;		/* after each salvo */
	__u32 after;		/* data frames to hear first */
	__u32 kinds;		/* bits of those to send */
	struct random random;

	struct heard data[HEARD_CNT], probe;
	__u64 data_cnt, probe_cnt;	/* heard */

	struct heard salvo[SALVO];
	enum attack_kind salvo_kinds[SALVO];
	__u64 sent[ATTACK_KIND_CNT], failed;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static __attribute__((noreturn, format(printf, 1, 2))) void
die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("attack: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void open_socket(struct attack *a, const char *dev)
{
	const int rcvbuf = RCVBUF_SZ, one = 1;
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(dev),
	};
	struct packet_mreq all = {
		.mr_ifindex = ll.sll_ifindex, .mr_type = PACKET_MR_PROMISC,
	};

	a->sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->sock < 0 || !ll.sll_ifindex)
		die("%s: %s", dev, strerror(errno));
	if (setsockopt(a->sock, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf,
		       sizeof(rcvbuf)) ||
	    setsockopt(a->sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    setsockopt(a->sock, SOL_PACKET, PACKET_QDISC_BYPASS, &one,
		       sizeof(one)) ||
	    setsockopt(a->sock, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all,
		       sizeof(all)) ||
	    bind(a->sock, (struct sockaddr *)&ll, sizeof(ll)))
		die("%s: %s", dev, strerror(errno));
}

/* is_rich: the last record brings a block, and the blocks are plain, so that each
 * kind can be made; nobody can tell of a sealed frame, and nobody needs to. */
static bool is_rich(struct heard *h)
{
	const struct pt_record *last = heard_record(h);

	return last->mask && h->sz > h->data_off &&
	       (h->is_sealed || (last->kind == PT_RECORD_BLOCKS &&
				 !heard_hdr(h)->compression));
}

/* hear takes the arrived frames, at most max. */
static void hear(struct attack *a, unsigned max)
{
	static struct heard h;
	static __u8 bytes[HEARD_SZ_MAX];
	ssize_t sz;

	while (max-- && (sz = recv(a->sock, bytes, sizeof(bytes),
				   MSG_DONTWAIT)) > 0)
		switch (heard_from(&h, bytes, sz, a->port)) {
		case PT_FRAME_DATA:
			if (is_rich(&h))
				a->data[a->data_cnt++ % HEARD_CNT] = h;
			break;
		case PT_FRAME_PROBE:
			a->probe = h;
			a->probe_cnt++;
			break;
		}
}

static void listen_first(struct attack *a)
{
	struct pollfd fd = { a->sock, POLLIN, 0 };

	while (a->data_cnt < a->after || !a->probe_cnt) {
		if (stop || poll(&fd, 1, LISTEN_MS) <= 0)
			die("heard %llu data frames and %llu probes, then none",
			    a->data_cnt, a->probe_cnt);
		hear(a, SALVO);
	}
}

/* load makes the salvo's frame i of some kind. */
static void load(struct attack *a, unsigned i, enum attack_kind kind)
{
	__u64 have = a->data_cnt < HEARD_CNT ? a->data_cnt : HEARD_CNT;
	const struct heard *from = kind == ATTACK_PROBE ? &a->probe
		: &a->data[random_below(&a->random, have)];
	struct heard *to = &a->salvo[i];

	memcpy(to, from, offsetof(struct heard, bytes) + from->sz);
	attack_make(to, kind, &a->random);
	a->salvo_kinds[i] = kind;
}

static void load_all(struct attack *a)
{
	static enum attack_kind kind;

	for (unsigned i = 0; i < SALVO; i++) {
		do
			kind = (kind + 1) % ATTACK_KIND_CNT;
		while (!(a->kinds >> kind & 1));
		load(a, i, kind);
	}
}

/* fire sends up to cnt frames of the salvo. */
static void fire(struct attack *a, unsigned cnt)
{
	static struct mmsghdr msgs[SALVO];
	static struct iovec parts[SALVO];
	int ret;

	for (unsigned i = 0; i < cnt; i++) {
		parts[i] = (struct iovec){ a->salvo[i].bytes, a->salvo[i].sz };
		msgs[i].msg_hdr.msg_iov = &parts[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned at = 0; at < cnt; ) {
		ret = sendmmsg(a->sock, msgs + at, cnt - at, 0);
		for (int i = 0; i < ret; i++)
			a->sent[a->salvo_kinds[at++]]++;
		if (ret > 0)
			continue;
		if (errno != ENOBUFS && errno != EINTR)
			die("cannot send: %s", strerror(errno));
		a->failed += errno == ENOBUFS;	/* that one is lost */
		at += errno == ENOBUFS;
	}
}

static __u64 total(const struct attack *a)
{
	__u64 sum = a->failed;

	for (int kind = 0; kind < ATTACK_KIND_CNT; kind++)
		sum += a->sent[kind];
	return sum;
}

/* hop continues on the next CPU: with several queues, a frame's queues follow
 * from the CPU that sends it. */
static void hop(void)
{
	static unsigned cpu;
	cpu_set_t next;

	CPU_ZERO(&next);
	CPU_SET(cpu++ % sysconf(_SC_NPROCESSORS_ONLN), &next);
	sched_setaffinity(0, sizeof(next), &next);
}

static void run(struct attack *a)
{
	const struct timespec pause = { .tv_nsec = a->pause_us * 1000L };
	__u64 done;

	load_all(a);
	while (!stop && (!a->cnt || total(a) < a->cnt)) {
		done = total(a);
		fire(a, a->cnt && a->cnt - done < SALVO ? a->cnt - done
							: SALVO);
		if (!a->pause_us)
			continue;	/* at full rate the same ones again */
		nanosleep(&pause, NULL);
		hop();
		hear(a, SALVO);
		load_all(a);
	}
}

static void add(json_t *object, const char *name, __u64 cnt)
{
	json_t *was = json_object_get(object, name);

	json_object_set_new(object, name,
			    json_integer(cnt + json_integer_value(was)));
}

static void print(const struct attack *a)
{
	json_t *kinds = json_object(), *by_verdict = json_object();
	json_t *counted = json_object(), *object;
	bool sealed = a->data[0].is_sealed;

	for (int v = 0; v < PT_VERDICT_CNT; v++)
		add(by_verdict, verdict_names[v], 0);
	for (int kind = 0; kind < ATTACK_KIND_CNT; kind++) {
		enum pt_verdict verdict = verdicts[kind][sealed];

		add(kinds, kind_names[kind], a->sent[kind]);
		add(by_verdict, verdict_names[verdict], a->sent[kind]);
		if (verdict == PT_VERDICT_STEERED)
			add(counted, counted_names[kind], a->sent[kind]);
	}
	object = json_pack("{s:b, s:o, s:o, s:o, s:{s:I, s:I}, s:I, s:I}",
			   "sealed", sealed, "kinds", kinds,
			   "verdicts", by_verdict, "counted", counted, "heard",
			   "data", (json_int_t)a->data_cnt,
			   "probes", (json_int_t)a->probe_cnt,
			   "sent", (json_int_t)(total(a) - a->failed),
			   "failed", (json_int_t)a->failed);
	pt_check(object);
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

static const char usage[] =
	"Usage: attack [OPTION]... DEV\n"
	"  --port N     UDP port of the receiver (default 16644)\n"
	"  --after N    data frames to hear first (default 32)\n"
	"  --count N    frames to send (default: until SIGTERM)\n"
	"  --pause US   after each 64 frames, and hear anew (default 0: full rate)\n"
	"  --kind KIND  only this; may be repeated (default: all)\n"
	"  --seed N     of what is random (default 1)\n";

static enum attack_kind kind_of(const char *name)
{
	for (int kind = 0; kind < ATTACK_KIND_CNT; kind++)
		if (!strcmp(name, kind_names[kind]))
			return kind;
	die("%s: no such kind", name);
}

static const char *parse(struct attack *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "after", required_argument, NULL, 'a' },
		{ "count", required_argument, NULL, 'c' },
		{ "pause", required_argument, NULL, 'u' },
		{ "kind", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 'r' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'p': a->port = strtoul(optarg, NULL, 10); break;
		case 'a': a->after = strtoul(optarg, NULL, 10); break;
		case 'c': a->cnt = strtoull(optarg, NULL, 10); break;
		case 'u': a->pause_us = strtoul(optarg, NULL, 10); break;
		case 'k': a->kinds |= 1u << kind_of(optarg); break;
		case 'r': a->random.state = strtoull(optarg, NULL, 10); break;
		default: exit(2);
		}
	if (optind != argc - 1 || !a->after || a->pause_us > 900000) {
		fputs(usage, stderr);
		exit(2);
	}
	if (!a->kinds)
		a->kinds = (1u << ATTACK_KIND_CNT) - 1;
	return argv[optind];
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };
	static struct attack a = {
		.port = PT_UDP_PORT, .after = HEARD_CNT, .random = { 1 },
	};

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	open_socket(&a, parse(&a, argc, argv));
	fputs("attack: ready\n", stderr);
	listen_first(&a);
	fputs("attack: begins\n", stderr);
	run(&a);
	print(&a);
	close(a.sock);
	return 0;
}
