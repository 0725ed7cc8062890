// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "wire_queue.h"

#include <errno.h>
#include <pagetrim/check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <xdp/xsk.h>

/* Newer than the headers of Debian 12. */
#ifndef XDP_USE_SG
#define XDP_USE_SG	(1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD	(1 << 0)
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET	9
#endif

#define TX_RING_CNT	2048
#define TX_BUDGET	1024	/* descriptors sent by one system call */
#define BIND_TRIES	100	/* of 10 ms: a queue that another socket just */
				/* left is busy for some of them */

struct port {
	struct xsk_socket *xsk;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons comp;
	__u32 posted_cnt;	/* chunks in the FILL ring, or in use since */
	__u64 tx_lost;
};

struct wire_queue {
	struct xsk_umem *umem;
	__u8 *base;
	size_t map_sz;
	struct port ports[2];
	__u32 posted_cnt;	/* the fill level of each FILL ring */
	__u32 chunk_cnt;
	__u32 free_cnt;
	__u32 *free_idx;
	__u8 *refs;		/* by chunk */
};

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int sockets_create(struct wire_queue *q, const char *const devs[2],
			  __u32 queue, __u16 pieces)
{
	const struct xsk_umem_config umem_cfg = {
		/* Twice: the kernel shows a frame on the RX ring before it
		 * shows that it took the chunk off the FILL ring. */
		.fill_size = 2 * q->posted_cnt,
		.comp_size = 2 * TX_RING_CNT,
		.frame_size = WIRE_CHUNK_SZ,
	};
	/* The second socket takes its flags from the first. */
	struct xsk_socket_config cfg = {
		.rx_size = q->posted_cnt,
		.tx_size = TX_RING_CNT,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | pieces,
	};
	struct port *x = &q->ports[0], *y = &q->ports[1];
	int err;

	err = xsk_umem__create(&q->umem, q->base, q->map_sz, &x->fill,
			       &x->comp, &umem_cfg);
	if (err)
		return err;
	err = xsk_socket__create(&x->xsk, devs[0], queue, q->umem, &x->rx,
				 &x->tx, &cfg);
	if (err)
		return err;
	return xsk_socket__create_shared(&y->xsk, devs[1], queue, q->umem,
					 &y->rx, &y->tx, &y->fill, &y->comp,
					 &cfg);
}

static void sockets_delete(struct wire_queue *q)
{
	for (int side = 1; side >= 0; side--)
		if (q->ports[side].xsk)
			xsk_socket__delete(q->ports[side].xsk);
	if (q->umem)
		xsk_umem__delete(q->umem);
	q->umem = NULL;
	q->ports[0] = q->ports[1] = (struct port){ 0 };
}

static void budget_raise(const struct port *p)
{
	const __u32 budget = TX_BUDGET;

	/* Fewer system calls where the kernel knows it (6.17); else 32. */
	(void)setsockopt(xsk_socket__fd(p->xsk), SOL_XDP,
			 XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

int wire_queue_open(struct wire_queue **out, const char *const devs[2],
		    __u32 queue, __u32 posted_cnt)
{
	__u16 pieces = XDP_USE_SG;
	struct wire_queue *q;
	int err, tries;

	if (posted_cnt < 64 || posted_cnt > 32768 ||
	    posted_cnt & (posted_cnt - 1))
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->posted_cnt = posted_cnt;
	/* posted on either side, and as many again held back or on TX */
	q->chunk_cnt = 3 * posted_cnt;
	q->map_sz = (size_t)q->chunk_cnt * WIRE_CHUNK_SZ;
	err = -ENOMEM;
	q->free_idx = calloc(q->chunk_cnt, sizeof(*q->free_idx));
	q->refs = calloc(q->chunk_cnt, 1);
	if (!q->free_idx || !q->refs)
		goto free_queue;
	q->base = mmap(NULL, q->map_sz, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (q->base == MAP_FAILED)
		goto free_queue;

	for (tries = 0; tries < BIND_TRIES; tries++) {
		err = sockets_create(q, devs, queue, pieces);
		if (!err)
			break;
		sockets_delete(q);
		if (err == -EINVAL && pieces)
			pieces = 0;	/* a kernel before 6.6 */
		else if (err == -EBUSY)
			pause_ms(10);
		else
			break;
	}
	if (err)
		goto unmap;
	for (__u32 i = 0; i < q->chunk_cnt; i++)
		q->free_idx[q->free_cnt++] = i;
	for (unsigned side = 0; side < 2; side++) {
		budget_raise(&q->ports[side]);
		wire_queue_work(q, side);
	}
	*out = q;
	return 0;

unmap:
	munmap(q->base, q->map_sz);
free_queue:
	free(q->refs);
	free(q->free_idx);
	free(q);
	return err;
}

void wire_queue_close(struct wire_queue *q)
{
	sockets_delete(q);
	munmap(q->base, q->map_sz);
	free(q->refs);
	free(q->free_idx);
	free(q);
}

int wire_queue_fd(const struct wire_queue *q, unsigned side)
{
	return xsk_socket__fd(q->ports[side].xsk);
}

static __u32 chunk_of(const struct wire_queue *q, __u64 addr)
{
	__u32 idx = addr / WIRE_CHUNK_SZ;

	pt_check(idx < q->chunk_cnt);
	return idx;
}

static void chunk_put(struct wire_queue *q, __u32 idx)
{
	pt_check(q->refs[idx] > 0);
	if (--q->refs[idx] == 0)
		q->free_idx[q->free_cnt++] = idx;
}

unsigned wire_queue_recv(struct wire_queue *q, unsigned side,
			 struct wire_frame *frames, unsigned max)
{
	struct port *p = &q->ports[side];
	__u32 at, cnt = xsk_ring_cons__peek(&p->rx, max * WIRE_DESCS_MAX, &at);
	__u32 taken = 0;
	unsigned got = 0;
	struct wire_frame *f = &frames[0];

	/* The kernel shows whole frames only; the peek may cut the last. */
	f->desc_cnt = f->sz = 0;
	for (__u32 i = 0; i < cnt && got < max; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&p->rx, at + i);

		pt_check(f->desc_cnt < WIRE_DESCS_MAX);
		f->descs[f->desc_cnt++] = *d;
		f->sz += d->len;
		if (d->options & XDP_PKT_CONTD)
			continue;
		taken = i + 1;
		if (++got == max)
			break;
		f++;
		f->desc_cnt = f->sz = 0;
	}
	if (cnt > taken)
		xsk_ring_cons__cancel(&p->rx, cnt - taken);
	xsk_ring_cons__release(&p->rx, taken);
	p->posted_cnt -= taken;
	return got;
}

const void *wire_queue_data(const struct wire_queue *q,
			    const struct wire_frame *f)
{
	return q->base + f->descs[0].addr;
}

unsigned wire_queue_room(struct wire_queue *q, unsigned side)
{
	return xsk_prod_nb_free(&q->ports[side].tx, TX_RING_CNT) /
	       WIRE_DESCS_MAX;
}

void wire_queue_send(struct wire_queue *q, unsigned side,
		     const struct wire_frame *f)
{
	struct port *p = &q->ports[side];
	__u32 at;

	pt_check(xsk_ring_prod__reserve(&p->tx, f->desc_cnt, &at) ==
		 f->desc_cnt);
	for (__u32 i = 0; i < f->desc_cnt; i++)
		*xsk_ring_prod__tx_desc(&p->tx, at + i) = f->descs[i];
	xsk_ring_prod__submit(&p->tx, f->desc_cnt);
}

void wire_queue_get(struct wire_queue *q, const struct wire_frame *f)
{
	for (__u32 i = 0; i < f->desc_cnt; i++)
		q->refs[chunk_of(q, f->descs[i].addr)]++;
}

void wire_queue_put(struct wire_queue *q, const struct wire_frame *f)
{
	for (__u32 i = 0; i < f->desc_cnt; i++)
		chunk_put(q, chunk_of(q, f->descs[i].addr));
}

bool wire_queue_own(struct wire_queue *q, struct wire_frame *f)
{
	struct wire_frame own = *f;

	if (q->free_cnt < f->desc_cnt)
		return false;
	for (__u32 i = 0; i < f->desc_cnt; i++) {
		__u32 idx = q->free_idx[--q->free_cnt];
		__u64 in_chunk = f->descs[i].addr % WIRE_CHUNK_SZ;

		q->refs[idx] = 1;
		own.descs[i].addr = (__u64)idx * WIRE_CHUNK_SZ + in_chunk;
		memcpy(q->base + own.descs[i].addr, q->base + f->descs[i].addr,
		       f->descs[i].len);
	}
	wire_queue_put(q, f);
	*f = own;
	return true;
}

void wire_queue_cut(struct wire_queue *q, struct wire_frame *f, __u32 sz)
{
	struct xdp_desc *last;

	pt_check(sz > 0);
	pt_check(sz < f->sz);
	while (f->sz - (last = &f->descs[f->desc_cnt - 1])->len >= sz) {
		f->sz -= last->len;
		f->desc_cnt--;
		chunk_put(q, chunk_of(q, last->addr));
	}
	last->len -= f->sz - sz;
	last->options &= ~XDP_PKT_CONTD;
	f->sz = sz;
}

void wire_queue_flip(struct wire_queue *q, const struct wire_frame *f,
		     __u32 bit)
{
	__u32 at = bit / 8, i = 0;

	pt_check(at < f->sz);
	while (at >= f->descs[i].len)
		at -= f->descs[i++].len;
	q->base[f->descs[i].addr + at] ^= 0x80 >> bit % 8;
}

static __u32 tx_waiting(const struct port *p)
{
	return *p->tx.producer -
	       __atomic_load_n(p->tx.consumer, __ATOMIC_ACQUIRE);
}

/* tx_push calls the kernel until it took all, or takes no more. */
static int tx_push(struct port *p)
{
	__u32 waiting, before = 0;

	while ((waiting = tx_waiting(p)) && waiting != before) {
		before = waiting;
		if (sendto(xsk_socket__fd(p->xsk), NULL, 0, MSG_DONTWAIT, NULL,
			   0) >= 0)
			continue;
		if (errno == EBUSY)	/* the device dropped one */
			p->tx_lost++;
		else if (errno != EAGAIN && errno != ENETDOWN &&
			 errno != ENOBUFS)
			return -errno;
	}
	return waiting > 0;
}

static void tx_reap(struct wire_queue *q, struct port *p)
{
	__u32 at, cnt = xsk_ring_cons__peek(&p->comp, 2 * TX_RING_CNT, &at);

	for (__u32 i = 0; i < cnt; i++)
		chunk_put(q, chunk_of(q, *xsk_ring_cons__comp_addr(&p->comp,
								   at + i)));
	xsk_ring_cons__release(&p->comp, cnt);
}

static void rx_post(struct wire_queue *q, struct port *p)
{
	__u32 at, cnt = q->posted_cnt - p->posted_cnt;

	if (cnt > q->free_cnt)
		cnt = q->free_cnt;
	if (!cnt)
		return;
	pt_check(xsk_ring_prod__reserve(&p->fill, cnt, &at) == cnt);
	for (__u32 i = 0; i < cnt; i++) {
		__u32 idx = q->free_idx[--q->free_cnt];

		q->refs[idx] = 1;
		*xsk_ring_prod__fill_addr(&p->fill, at + i) =
			(__u64)idx * WIRE_CHUNK_SZ;
	}
	xsk_ring_prod__submit(&p->fill, cnt);
	p->posted_cnt += cnt;
}

int wire_queue_work(struct wire_queue *q, unsigned side)
{
	struct port *p = &q->ports[side];
	int waiting = tx_push(p);

	tx_reap(q, p);
	rx_post(q, p);
	return waiting;
}

__u64 wire_queue_tx_lost(const struct wire_queue *q, unsigned side)
{
	const struct port *p = &q->ports[side];
	struct xdp_statistics stats = { 0 };
	socklen_t stats_sz = sizeof(stats);

	(void)getsockopt(xsk_socket__fd(p->xsk), SOL_XDP, XDP_STATISTICS,
			 &stats, &stats_sz);
	return p->tx_lost + stats.tx_invalid_descs;
}
