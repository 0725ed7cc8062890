// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* wire: the cable between two hosts of a test, as a process.
 *
 *     host a ===== DEV-X  -- wire --  DEV-Y ===== host b
 *
 * It forwards every frame from one device to the other, TX queue = RX queue,
 * whole in any size.  It drops, repeats, holds back and damages data frames of
 * pagetrim by the plan of wire_plan.h; all other frames pass undisturbed,
 * except in a silence, in which no frame passes.  It counts its actions; frames
 * lost by mistake are counted apart, and make it fail.
 *
 * One thread reads each queue and direction in turn and sleeps when none has a
 * frame.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pagetrim/check.h>
#include <pagetrim/wire.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "wire.skel.h"
#include "wire_flow.h"
#include "wire_plan.h"
#include "wire_queue.h"

#define QUEUES_MAX	64
#define DRAIN_NS	50000		/* between looks when it drains */
#define STOP_NS		2000000000ULL	/* to forward frames in flight */

struct wire {
	const char *devs[2];
	struct wire_path path;
	__u32 posted_cnt;
	__u32 queue_cnt;
	struct wire_queue *queues[QUEUES_MAX];
	struct wire_flow *flows[QUEUES_MAX][2];	/* by side of arrival */
	struct wire_bpf *bpf[2];
	struct bpf_link *links[2];
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static __attribute__((noreturn, format(printf, 1, 2))) void
die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("wire: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* turn gives every queue and direction its turn.  Returns when, on the clock
 * of now_ns, the next is needed even if nothing arrives. */
static __u64 turn(struct wire *w)
{
	__u64 now = now_ns(), next = ~0ULL, flow_next;

	for (__u32 queue = 0; queue < w->queue_cnt; queue++)
		for (unsigned from = 0; from < 2; from++) {
			int err = wire_flow_turn(w->flows[queue][from], now,
						 &flow_next);

			if (err)
				die("%s queue %u: cannot send: %s",
				    w->devs[!from], queue, strerror(-err));
			if (flow_next < next)
				next = flow_next;
		}
	return next;
}

static void links_close(struct wire *w)
{
	for (unsigned side = 0; side < 2; side++) {
		bpf_link__destroy(w->links[side]);
		w->links[side] = NULL;
	}
}

/* seen: frames that entered the program of a side. */
static __u64 seen(const struct wire *w, unsigned side)
{
	int cpu_cnt = libbpf_num_possible_cpus();
	__u64 sum = 0, values[cpu_cnt];
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(w->bpf[side]->maps.wire_seen),
				&zero, values))
		die("cannot read the map wire_seen: %s", strerror(errno));
	for (int cpu = 0; cpu < cpu_cnt; cpu++)
		sum += values[cpu];
	return sum;
}

/* counts_sum sums the counts of the direction that comes from that side.  The
 * frames lost between program and sockets are exact once the links are
 * closed. */
static struct wire_counts counts_sum(const struct wire *w, unsigned from)
{
	struct wire_counts sum = { 0 };

	for (__u32 queue = 0; queue < w->queue_cnt; queue++) {
		struct wire_counts c = wire_flow_counts(w->flows[queue][from]);

#define X(name) sum.name += c.name;
		WIRE_COUNTS(X)
#undef X
	}
	if (!w->links[from])
		sum.lost += seen(w, from) - sum.in;
	return sum;
}

static json_t *counts_json(const struct wire_counts *c)
{
	json_t *object = json_object();

#define X(name) json_object_set_new(object, #name, json_integer(c->name));
	WIRE_COUNTS(X)
#undef X
	return object;
}

/* counts_print returns the frames that the wire itself lost. */
static __u64 counts_print(const struct wire *w)
{
	struct wire_counts forth = counts_sum(w, 0), back = counts_sum(w, 1);
	json_t *object = json_pack("{s:o, s:o}", "forth", counts_json(&forth),
				   "back", counts_json(&back));

	pt_check(object);
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	fflush(stdout);
	json_decref(object);
	return forth.lost + back.lost;
}

/* forward runs until SIGTERM or SIGINT. */
static void forward(struct wire *w, int signal_fd)
{
	struct pollfd fds[1 + 2 * QUEUES_MAX] = { { signal_fd, POLLIN, 0 } };
	nfds_t fd_cnt = 1;
	struct signalfd_siginfo info;

	for (__u32 i = 0; i < w->queue_cnt; i++)
		for (unsigned side = 0; side < 2; side++)
			fds[fd_cnt++] = (struct pollfd){
				wire_queue_fd(w->queues[i], side), POLLIN, 0
			};
	for (;;) {
		__u64 now, next = turn(w);
		struct timespec pause = { 0 };

		if (next) {
			now = now_ns();
			next = next > now ? next - now : 0;
			pause.tv_sec = next / 1000000000;
			pause.tv_nsec = next % 1000000000;
		}
		if (ppoll(fds, fd_cnt, next == ~0ULL ? NULL : &pause,
			  NULL) < 0)
			die("ppoll: %s", strerror(errno));
		if (!(fds[0].revents & POLLIN))
			continue;
		pt_check(read(signal_fd, &info, sizeof(info)) == sizeof(info));
		if (info.ssi_signo != SIGUSR1)
			return;
		counts_print(w);
	}
}

/* drain forwards the frames in flight when no new ones can arrive. */
static void drain(struct wire *w)
{
	__u64 next, end = now_ns() + STOP_NS;

	while ((next = turn(w)) != ~0ULL && now_ns() < end)
		if (next)
			nanosleep(&(struct timespec){ .tv_nsec = DRAIN_NS },
				  NULL);
}

/* ---- set-up ---------------------------------------------------------- */

static __u32 dev_queue_cnt(const char *dev)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", dev);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		die("%s: cannot read its queues: %s", dev, strerror(errno));
	close(fd);
	if (channels.rx_count != channels.tx_count || !channels.rx_count ||
	    channels.rx_count > QUEUES_MAX)
		die("%s: %u RX and %u TX queues: needs as many of either, 1 to %d",
		    dev, channels.rx_count, channels.tx_count, QUEUES_MAX);
	return channels.rx_count;
}

static void queues_open(struct wire *w)
{
	w->queue_cnt = dev_queue_cnt(w->devs[0]);
	if (dev_queue_cnt(w->devs[1]) != w->queue_cnt)
		die("%s and %s have different numbers of queues", w->devs[0],
		    w->devs[1]);
	for (__u32 i = 0; i < w->queue_cnt; i++) {
		int err = wire_queue_open(&w->queues[i], w->devs, i,
					  w->posted_cnt);

		if (err)
			die("%s, %s queue %u: cannot open: %s", w->devs[0],
			    w->devs[1], i, strerror(-err));
		for (unsigned from = 0; from < 2; from++) {
			w->flows[i][from] = wire_flow_create(
				&(struct wire_flow_cfg){
					.path = &w->path,
					.queue = w->queues[i],
					.from = from,
				});
			if (!w->flows[i][from])
				die("no memory");
		}
	}
}

/* side_attach loads a program of its own for each device: a queue number
 * means one socket. */
static void side_attach(struct wire *w, unsigned side)
{
	struct wire_bpf *bpf = wire_bpf__open_and_load();
	int ifindex = if_nametoindex(w->devs[side]);

	if (!bpf)
		die("cannot load the program: %s", strerror(errno));
	w->bpf[side] = bpf;
	for (__u32 i = 0; i < w->queue_cnt; i++) {
		int fd = wire_queue_fd(w->queues[i], side);

		if (bpf_map_update_elem(bpf_map__fd(bpf->maps.wire_sockets),
					&i, &fd, BPF_ANY))
			die("%s queue %u: cannot set its socket: %s",
			    w->devs[side], i, strerror(errno));
	}
	w->links[side] = bpf_program__attach_xdp(bpf->progs.wire_rx, ifindex);
	if (!w->links[side])
		die("%s: cannot attach: %s", w->devs[side], strerror(errno));
}

static const char usage[] =
"Usage: wire [options] DEV DEV\n"
"\n"
"Forward every frame between two devices until SIGTERM; disturb pagetrim's\n"
"data frames; then print the counts as JSON (on SIGUSR1 too, going on).\n"
"\n"
"      --seed N         of the plan (default 1)\n"
"                       PM below: per mille of the data frames, 0..1000\n"
"      --drop PM        frames dropped\n"
"      --repeat PM      frames sent twice, or more often:\n"
"      --repeats N      copies that such a frame gets, 1..15 (default 1)\n"
"      --reorder PM     frames held back\n"
"      --span N         frames that overtake a held one, at most 1..1024\n"
"                       (default 32)\n"
"      --hold-us N      a held frame goes after N us anyway (default 2000)\n"
"      --delay PM       frames that come later, by up to\n"
"      --delay-us N     so many us, 1..10000000 (default 1000), and no less than\n"
"      --delay-least-us N  so many (default 1)\n"
"      --cut PM         frames that lose their end\n"
"      --flip PM        frames of which one bit changes, in\n"
"      --flip-part PART outer, header, auth or contents; in a clear frame also\n"
"                       records, pad or blocks (default: in any)\n"
"      --burst N        frames of a lane in a row that fare alike, 1..1024\n"
"                       (default 1)\n"
"      --lane N         disturb only this lane, 0..63 (default: all)\n"
"      --silence-ms N   let nothing pass for N ms, either way, but first\n"
"      --silence-after N  so many data frames (default 0)\n"
"      --eat-above N    pagetrim's frames of more than N bytes vanish, probes\n"
"                       too, 60..65549 (default: none), but first come\n"
"      --eat-after N    so many data frames (default 0)\n"
"      --port N         UDP port of the data frames (default 16644)\n"
"      --posted N       chunks of 4096 bytes ready on each side of a queue, a\n"
"                       power of two, 64..32768 (default 4096)\n"
"  -h, --help           this text\n"
"\n"
"Exit: 0 stopped, nothing lost; 1 failed or lost a frame by itself; 2 usage.\n";

static __u64 number(const char *option, const char *text, __u64 min, __u64 max)
{
	char *end;
	__u64 n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || end == text || n < min || n > max) {
		fprintf(stderr, "wire: --%s %s: must be %llu..%llu\n", option,
			text, min, max);
		exit(2);
	}
	return n;
}

static enum wire_part part_read(const char *text)
{
	static const char *const names[] = {
#define X(symbol, name) #name,
		WIRE_PARTS(X)
#undef X
	};

	for (unsigned i = 0; i < WIRE_PART_CNT; i++)
		if (!strcmp(text, names[i]))
			return i;
	fprintf(stderr, "wire: --flip-part %s: not a part of a frame\n", text);
	exit(2);
}

static void options_read(struct wire *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", 1, 0, 's' }, { "drop", 1, 0, 'd' },
		{ "repeat", 1, 0, 'r' }, { "repeats", 1, 0, 'R' },
		{ "reorder", 1, 0, 'o' },
		{ "span", 1, 0, 'n' }, { "hold-us", 1, 0, 'u' },
		{ "delay", 1, 0, 'y' }, { "delay-us", 1, 0, 'Y' },
		{ "delay-least-us", 1, 0, 'L' },
		{ "cut", 1, 0, 'x' }, { "flip", 1, 0, 'f' },
		{ "flip-part", 1, 0, 'F' }, { "burst", 1, 0, 'b' },
		{ "lane", 1, 0, 'l' }, { "silence-ms", 1, 0, 'q' },
		{ "silence-after", 1, 0, 'Q' }, { "eat-above", 1, 0, 'e' },
		{ "eat-after", 1, 0, 'E' }, { "port", 1, 0, 'p' },
		{ "posted", 1, 0, 'c' }, { "help", 0, 0, 'h' }, { 0 },
	};
	struct wire_plan *plan = &w->path.plan;
	int c, i = 0;

#define NUMBER(min, max) number(options[i].name, optarg, min, max)
	while ((c = getopt_long(argc, argv, "h", options, &i)) != -1)
		switch (c) {
		case 's': plan->seed = NUMBER(0, ~0ULL); break;
		case 'd': plan->drop_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'r': plan->repeat_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'R':
			plan->repeat_cnt = NUMBER(1, WIRE_REPEATS_MAX);
			break;
		case 'o': plan->reorder_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'n': plan->reorder_span = NUMBER(1, WIRE_SPAN_MAX); break;
		case 'u': w->path.hold_ns = NUMBER(1, 10000000) * 1000; break;
		case 'y': plan->delay_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'Y': plan->delay_us = NUMBER(1, 10000000); break;
		case 'L': plan->delay_least_us = NUMBER(1, 10000000); break;
		case 'x': plan->cut_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'f': plan->flip_pm = NUMBER(0, WIRE_PM_MAX); break;
		case 'F': w->path.flip_parts = 1u << part_read(optarg); break;
		case 'b': plan->burst_cnt = NUMBER(1, WIRE_BURST_MAX); break;
		case 'l': plan->only_lane = 1 + NUMBER(0, PT_LANES_MAX - 1); break;
		case 'q': w->path.silence_ns = NUMBER(0, 3600000) * 1000000; break;
		case 'Q': w->path.silence_after = NUMBER(0, ~0ULL); break;
		case 'e': w->path.eat_above = NUMBER(60, 65549); break;
		case 'E': w->path.eat_after = NUMBER(0, ~0ULL); break;
		case 'p': w->path.port = NUMBER(1, 65535); break;
		case 'c': w->posted_cnt = NUMBER(64, 32768); break;
		case 'h': fputs(usage, stdout); exit(0);
		default: exit(2);
		}
#undef NUMBER
	if (plan->delay_us < plan->delay_least_us) {
		fputs("wire: --delay-us is less than --delay-least-us\n",
		      stderr);
		exit(2);
	}
	if (argc - optind != 2) {
		fputs("wire: needs two devices (see --help)\n", stderr);
		exit(2);
	}
	w->devs[0] = argv[optind];
	w->devs[1] = argv[optind + 1];
}

int main(int argc, char **argv)
{
	static struct wire w = {
		.path = {
			.plan = { .seed = 1, .reorder_span = 32,
				  .delay_least_us = 1, .delay_us = 1000,
				  .burst_cnt = 1 },
			.port = PT_UDP_PORT,
			.flip_parts = WIRE_PARTS_ALL,
			.hold_ns = 2000000,
		},
		.posted_cnt = 4096,
	};
	sigset_t signals;
	int signal_fd;
	__u64 lost;

	options_read(&w, argc, argv);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0)
		die("signalfd: %s", strerror(errno));

	queues_open(&w);
	side_attach(&w, 0);
	side_attach(&w, 1);
	fprintf(stderr, "wire: ready: %s and %s, %u queues\n", w.devs[0],
		w.devs[1], w.queue_cnt);
	forward(&w, signal_fd);

	links_close(&w);
	drain(&w);
	lost = counts_print(&w);
	if (lost)
		die("%llu frames were lost by the wire itself", lost);
	return 0;
}
