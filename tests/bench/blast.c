// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* blast: how much AF_XDP can carry here, with nothing else in the way.
 *
 *     blast send DEV FRAME_SZ BYTES            blast receive DEV
 *       same frames again and again              XDP: redirect all
 *       AF_XDP TX, queue 0   ============>       AF_XDP RX, reads every word
 *
 * No credits, no checks, no page is built or placed: the limit against which
 * a transfer over the same link is held.  Straight on libxdp and not on
 * pagetrim's own sockets, so that what these lose shows.  Each side prints one
 * JSON object; the receiver says "ready" on stderr first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

#include "blast.skel.h"
#include "blast.h"

#ifndef XDP_USE_SG
#define XDP_USE_SG		(1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD		(1 << 0)
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET	9
#endif

#define CHUNK_SZ	4096u
#define CHUNK_CNT	2048u	/* 8 MiB: more falls out of the cache */
#define FRAME_SZ_MIN	64u
#define FRAME_SZ_MAX	(16 * CHUNK_SZ + 64)
#define BATCH		32u	/* frames a system call */
#define END_CNT		32u	/* copies of the frame that ends a blast */
#define SILENCE_MS	10000	/* then the other side is gone */
#define BIND_TRIES	50	/* 20 ms each: a queue just closed is busy */

enum kind { KIND_DATA = 1, KIND_END = 2 };

struct head {
	struct ethhdr eth;
	__u16 kind;	/* host order: both ends are one machine */
} __attribute__((packed));

struct port {
	void *umem_area;
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	int fd;
};

static __attribute__((noreturn)) void die(const char *what, int err)
{
	fprintf(stderr, "blast: %s: %s\n", what, strerror(err));
	exit(1);
}

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* The process is as long-lived as the port: nothing is closed by hand. */
static void port_open(struct port *p, const char *dev, bool receives)
{
	const struct xsk_umem_config umem_cfg = {
		.fill_size = 2 * CHUNK_CNT,
		.comp_size = CHUNK_CNT,
		.frame_size = CHUNK_SZ,
	};
	const struct xsk_socket_config cfg = {
		.rx_size = CHUNK_CNT,
		.tx_size = CHUNK_CNT,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP | XDP_USE_SG,
	};
	size_t sz = (size_t)CHUNK_CNT * CHUNK_SZ;
	int err, tries = 0;

	memset(p, 0, sizeof(*p));
	p->umem_area = mmap(NULL, sz, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p->umem_area == MAP_FAILED)
		die("UMEM", errno);
	err = xsk_umem__create(&p->umem, p->umem_area, sz, &p->fill, &p->comp,
			       &umem_cfg);
	if (err)
		die("UMEM", -err);
	do {
		if (tries)
			usleep(20000);
		err = xsk_socket__create(&p->xsk, dev, 0, p->umem,
					 receives ? &p->rx : NULL,
					 receives ? NULL : &p->tx, &cfg);
	} while (err == -EBUSY && ++tries < BIND_TRIES);
	if (err)
		die(dev, -err);
	p->fd = xsk_socket__fd(p->xsk);
}

static void fill_chunk(struct port *p, __u64 addr)
{
	__u32 idx;

	/* The kernel shows a frame before it shows that it took its chunks:
	 * with twice as many slots as chunks there is always one. */
	if (xsk_ring_prod__reserve(&p->fill, 1, &idx) != 1)
		die("fill ring", ENOSPC);
	*xsk_ring_prod__fill_addr(&p->fill, idx) = addr & ~(CHUNK_SZ - 1ULL);
	xsk_ring_prod__submit(&p->fill, 1);
}

/* ------------------------------------------------------------ receiving */

struct tally {
	__u64 frames, bytes, first_ns, last_ns;
	__u64 sum;	/* of all that was read, so that it is read */
	bool inside;	/* the last descriptor was not its frame's last */
	bool ended;
};

static void read_desc(struct port *p, struct tally *t,
		      const struct xdp_desc *desc)
{
	const __u8 *data = xsk_umem__get_data(p->umem_area, desc->addr);
	const struct head *head = (const void *)data;

	if (!t->inside && head->kind == KIND_END) {
		t->ended = true;
		return;
	}
	for (__u32 i = 0; i + 8 <= desc->len; i += 8) {
		__u64 word;

		memcpy(&word, data + i, sizeof(word));
		t->sum += word;
	}
	t->bytes += desc->len;
	t->inside = desc->options & XDP_PKT_CONTD;
	t->frames += !t->inside;
}

static void receive_batch(struct port *p, struct tally *t)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	__u32 idx, cnt = xsk_ring_cons__peek(&p->rx, 64, &idx);

	if (!cnt) {
		if (poll(&pfd, 1, SILENCE_MS) == 0)
			die("nothing arrives", ETIMEDOUT);
		return;
	}
	if (!t->first_ns)
		t->first_ns = now_ns();
	for (__u32 i = 0; i < cnt; i++) {
		const struct xdp_desc *d =
			xsk_ring_cons__rx_desc(&p->rx, idx + i);

		read_desc(p, t, d);
		fill_chunk(p, d->addr);
	}
	xsk_ring_cons__release(&p->rx, cnt);
	if (!t->ended)
		t->last_ns = now_ns();
}

static int receive(const char *dev)
{
	struct blast_bpf *skel;
	struct bpf_link *link;
	struct tally t = { 0 };
	__u32 queue = 0;
	struct port p;
	double s;
	int fd;

	skel = blast_bpf__open_and_load();
	if (!skel)
		die("XDP program", errno);
	link = bpf_program__attach_xdp(skel->progs.blast_rx,
				       if_nametoindex(dev));
	if (!link)
		die(dev, errno);
	port_open(&p, dev, true);
	for (__u32 i = 0; i < CHUNK_CNT; i++)
		fill_chunk(&p, (__u64)i * CHUNK_SZ);
	fd = p.fd;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.blast_xsks), &queue,
				&fd, BPF_ANY))
		die("XSKMAP", errno);
	fprintf(stderr, "ready\n");

	while (!t.ended)
		receive_batch(&p, &t);
	s = (t.last_ns - t.first_ns) / 1e9;
	printf("{\"frames\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"gbit_per_s\": %.3f, \"cpu_s\": %.3f, \"sum\": %llu}\n",
	       t.frames, t.bytes, s, s ? t.bytes * 8 / s / 1e9 : 0.0, cpu_s(),
	       t.sum);
	xsk_socket__delete(p.xsk);
	bpf_link__destroy(link);
	blast_bpf__destroy(skel);
	return t.frames ? 0 : 1;
}

/* ------------------------------------------------------------- sending */

static __u32 chunks_of(__u32 frame_sz)
{
	return (frame_sz + CHUNK_SZ - 1) / CHUNK_SZ;
}

/* Queue one frame, made of the chunks from first on. */
static void queue_frame(struct port *p, __u32 first, __u32 frame_sz)
{
	__u32 idx, cnt = chunks_of(frame_sz);

	if (xsk_ring_prod__reserve(&p->tx, cnt, &idx) != cnt)
		die("TX ring", ENOSPC);
	for (__u32 i = 0; i < cnt; i++) {
		struct xdp_desc *d = xsk_ring_prod__tx_desc(&p->tx, idx + i);
		__u32 left = frame_sz - i * CHUNK_SZ;

		d->addr = (__u64)(first + i) * CHUNK_SZ;
		d->len = left < CHUNK_SZ ? left : CHUNK_SZ;
		d->options = i + 1 < cnt ? XDP_PKT_CONTD : 0;
	}
	xsk_ring_prod__submit(&p->tx, cnt);
}

static __u32 reap(struct port *p)
{
	__u32 idx, cnt = xsk_ring_cons__peek(&p->comp, CHUNK_CNT, &idx);

	if (cnt)
		xsk_ring_cons__release(&p->comp, cnt);
	return cnt;
}

static void kick(struct port *p)
{
	if (sendto(p->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
	    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
		die("sendto", errno);
}

/* Wait until no descriptor is the kernel's. */
static void drain(struct port *p, __u32 *in_flight)
{
	__u64 end = now_ns() + SILENCE_MS * 1000000ULL;

	while (*in_flight) {
		kick(p);
		*in_flight -= reap(p);
		if (now_ns() > end)
			die("frames stay in the TX ring", ETIMEDOUT);
	}
}

static void write_head(struct port *p, __u32 chunk, enum kind kind)
{
	struct head *head =
		xsk_umem__get_data(p->umem_area, (__u64)chunk * CHUNK_SZ);

	memset(head->eth.h_dest, 0xff, ETH_ALEN);
	memset(head->eth.h_source, 0x02, ETH_ALEN);
	head->eth.h_proto = htons(BLAST_ETHERTYPE);
	head->kind = kind;
}

static void send_end(struct port *p)
{
	__u32 in_flight = 0;

	write_head(p, 0, KIND_END);
	for (__u32 i = 0; i < END_CNT; i++) {
		queue_frame(p, 0, FRAME_SZ_MIN);
		in_flight++;
		drain(p, &in_flight);
		usleep(1000);
	}
}

static int send_blast(const char *dev, __u32 frame_sz, __u64 bytes)
{
	const __u32 per = chunks_of(frame_sz), slots = CHUNK_CNT / per;
	const __u64 want = (bytes + frame_sz - 1) / frame_sz;
	int budget = CHUNK_CNT;
	__u32 in_flight = 0;
	__u64 sent = 0, start;
	struct port p;
	double s;

	port_open(&p, dev, false);
	/* Kernels before 6.17 have no such option: 32 a call, then. */
	(void)setsockopt(p.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget,
			 sizeof(budget));
	memset(p.umem_area, 0xa5, (size_t)CHUNK_CNT * CHUNK_SZ);
	for (__u32 i = 0; i < slots; i++)
		write_head(&p, i * per, KIND_DATA);

	start = now_ns();
	while (sent < want) {
		__u32 batch = 0;

		in_flight -= reap(&p);
		while (batch < BATCH && sent < want &&
		       in_flight + per <= slots * per) {
			queue_frame(&p, (sent % slots) * per, frame_sz);
			in_flight += per;
			sent++;
			batch++;
		}
		kick(&p);
	}
	drain(&p, &in_flight);
	s = (now_ns() - start) / 1e9;
	send_end(&p);
	printf("{\"frames\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"gbit_per_s\": %.3f, \"cpu_s\": %.3f}\n", sent,
	       sent * frame_sz, s, sent * frame_sz * 8 / s / 1e9, cpu_s());
	xsk_socket__delete(p.xsk);
	return 0;
}

int main(int argc, char **argv)
{
	char *end;

	if (argc == 3 && !strcmp(argv[1], "receive"))
		return receive(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "send")) {
		unsigned long frame_sz = strtoul(argv[3], &end, 10);
		unsigned long long bytes = strtoull(argv[4], NULL, 10);

		if (!*end && frame_sz >= FRAME_SZ_MIN &&
		    frame_sz <= FRAME_SZ_MAX && bytes)
			return send_blast(argv[2], frame_sz, bytes);
	}
	fprintf(stderr, "Usage: blast receive DEV\n"
		"       blast send DEV FRAME_SZ(%u..%u) BYTES\n",
		FRAME_SZ_MIN, FRAME_SZ_MAX);
	return 2;
}
