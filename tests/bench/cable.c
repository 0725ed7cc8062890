// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* cable: a long cable between two devices of a namespace, as a process.
 *
 *     DEV-A -- FIFO, each frame N us later --> DEV-B, through its qdisc
 *     DEV-A <------- the same, back ---------- DEV-B
 *
 *     cable DELAY-US LOSS-PM DEV-A DEV-B
 *
 * From A to B it drops LOSS-PM of 1000 frames, at random but the same in each
 * run.  Frames are whole, whatever they are, so devices behind it must not hand
 * over segments larger than their MTU.  What DEV-B's qdisc drops is lost.  Ends
 * with SIGTERM; exit 1 if a FIFO or a socket's buffer was full, which is a loss
 * of its own.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS		32768u		/* frames of a FIFO; a power of two */
#define FRAME_SZ_MAX	9216
#define BUFFER_SZ	(64 << 20)	/* of a socket, each way */
#define BATCH		64

struct slot {
	uint64_t due_ns;
	uint32_t sz;
	uint8_t bytes[FRAME_SZ_MAX];
};

/* The slot that was emptied last is filled next: it is still in the cache. */
struct way {
	int from, to;
	uint32_t loss_pm;
	struct slot *fifo[SLOTS];	/* first..next - 1, modulo SLOTS */
	uint64_t first, next;
	struct slot *empty[SLOTS];
	uint32_t empty_cnt;
};

static volatile sig_atomic_t stopped;
static uint64_t delay_ns, random_state = 1, overflows;

static void stop(int signo)
{
	(void)signo;
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "cable: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int device_open(const char *dev)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(dev),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	int on = 1, sz = BUFFER_SZ;

	if (fd < 0 || !addr.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		       sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &sz, sizeof(sz)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sz, sizeof(sz)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(dev);
	return fd;
}

static void way_open(struct way *w, int from, int to, uint32_t loss_pm)
{
	struct slot *slots = mmap(NULL, SLOTS * sizeof(*slots),
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (slots == MAP_FAILED)
		die("memory");
	w->from = from;
	w->to = to;
	w->loss_pm = loss_pm;
	while (w->empty_cnt < SLOTS)
		w->empty[w->empty_cnt++] = slots++;
}

static int is_lost(const struct way *w)
{
	random_state = random_state * 6364136223846793005ULL +
		       1442695040888963407ULL;
	return (random_state >> 33) % 1000 < w->loss_pm;
}

static int way_in(struct way *w)
{
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec parts[BATCH];
	struct slot *slots[BATCH];
	int cnt = 0, got;
	uint64_t due_ns;

	for (; cnt < BATCH && w->empty_cnt; cnt++) {
		slots[cnt] = w->empty[--w->empty_cnt];
		parts[cnt] = (struct iovec){ slots[cnt]->bytes, FRAME_SZ_MAX };
		msgs[cnt].msg_hdr = (struct msghdr){
			.msg_iov = &parts[cnt], .msg_iovlen = 1,
		};
	}
	got = recvmmsg(w->from, msgs, cnt, 0, NULL);
	due_ns = now_ns() + delay_ns;
	for (int i = 0; i < got; i++) {
		bool is_cut = msgs[i].msg_hdr.msg_flags & MSG_TRUNC;

		overflows += is_cut;
		if (is_cut || (w->loss_pm && is_lost(w))) {
			w->empty[w->empty_cnt++] = slots[i];
			continue;
		}
		slots[i]->sz = msgs[i].msg_len;
		slots[i]->due_ns = due_ns;
		w->fifo[w->next++ % SLOTS] = slots[i];
	}
	while (cnt > (got > 0 ? got : 0))
		w->empty[w->empty_cnt++] = slots[--cnt];
	return cnt;
}

/* send_some: cnt frames, the oldest.  ENOBUFS: the qdisc dropped one, as it
 * should.  EAGAIN: the socket is full, which its buffer's size should prevent. */
static void send_some(struct way *w, int cnt)
{
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec parts[BATCH];

	for (int i = 0; i < cnt; i++) {
		struct slot *s = w->fifo[(w->first + i) % SLOTS];

		parts[i] = (struct iovec){ s->bytes, s->sz };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_iov = &parts[i], .msg_iovlen = 1,
		};
	}
	for (int done = 0; done < cnt;) {
		int got = sendmmsg(w->to, msgs + done, cnt - done, 0);

		if (got < 0 && errno == EAGAIN)
			overflows++;
		done += got > 0 ? got : 1;
	}
	while (cnt--)
		w->empty[w->empty_cnt++] = w->fifo[w->first++ % SLOTS];
}

static void way_out(struct way *w, uint64_t now)
{
	int cnt = 0;

	while (cnt < BATCH && w->first + cnt < w->next &&
	       w->fifo[(w->first + cnt) % SLOTS]->due_ns <= now)
		cnt++;
	if (cnt)
		send_some(w, cnt);
}

static uint64_t dropped(int fd)
{
	struct tpacket_stats stats;
	socklen_t sz = sizeof(stats);

	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &sz)
		? 0 : stats.tp_drops;
}

static void forward(struct way ways[2])
{
	while (!stopped) {
		struct pollfd fds[2] = { { ways[0].from, POLLIN, 0 },
					 { ways[1].from, POLLIN, 0 } };
		uint64_t now = now_ns(), next = now + 100000000;
		struct timespec pause = { 0 };
		int cnt = 0;

		for (int i = 0; i < 2; i++) {
			cnt += way_in(&ways[i]);
			way_out(&ways[i], now_ns());
			if (ways[i].first < ways[i].next &&
			    ways[i].fifo[ways[i].first % SLOTS]->due_ns < next)
				next = ways[i].fifo[ways[i].first % SLOTS]
					->due_ns;
		}
		now = now_ns();
		if (cnt || next <= now)
			continue;
		pause.tv_nsec = next - now;
		ppoll(fds, 2, &pause, NULL);
	}
}

int main(int argc, char **argv)
{
	static struct way ways[2];
	int a, b;

	if (argc != 5) {
		fputs("Usage: cable DELAY-US LOSS-PM DEV-A DEV-B\n", stderr);
		return 2;
	}
	delay_ns = strtoull(argv[1], NULL, 10) * 1000;
	a = device_open(argv[3]);
	b = device_open(argv[4]);
	way_open(&ways[0], a, b, strtoul(argv[2], NULL, 10));
	way_open(&ways[1], b, a, 0);
	signal(SIGTERM, stop);
	/* Frames must not wait for a CPU.  Without the right to this policy some do. */
	sched_setscheduler(0, SCHED_FIFO,
			   &(struct sched_param){ .sched_priority = 1 });
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	fputs("cable: ready\n", stderr);
	forward(ways);
	overflows += dropped(a) + dropped(b);
	if (overflows)
		fprintf(stderr, "cable: lost %llu frames itself\n",
			(unsigned long long)overflows);
	return overflows > 0;
}
