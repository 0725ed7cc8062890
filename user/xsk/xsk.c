/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/xsk_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include "base/rights.h"
#include "base/stop.h"
#include "xdp/cause.h"
#include "xsk/zero_copy.h"

#define BIND_TRIES	100	/* 10 ms apart: the kernel frees the queue of a
				 * closed socket some 10 ms later */
#define BIND_PAUSE_MS	10

/* The kernel's part of an RX chunk: 256 bytes of headroom, and in fragments of
 * zero-copy frames also the tail, rounded to 128. */
#define RX_DESC_SZ		3840
#define RX_DESC_ZC_SG_SZ	3456

static __u32 pow2_at_least(__u32 cnt)
{
	__u32 p = 1;

	while (p < cnt)
		p *= 2;
	return p;
}

static bool cfg_is_valid(const struct pt_xsk_cfg *cfg)
{
	__u32 rx = cfg->rx_chunk_cnt, tx = cfg->tx_chunk_cnt;

	if (!rx && !tx)
		return false;
	if (rx && (rx < XSK_CHUNKS_MIN || rx > XSK_CHUNKS_MAX ||
		   (rx & (rx - 1))))
		return false;
	return !tx || (tx >= XSK_CHUNKS_MIN && tx <= XSK_CHUNKS_MAX &&
		       cfg->tx_frame_sz_max >= 64 &&
		       cfg->tx_frame_sz_max <= PT_SPANS_MAX * PT_XSK_CHUNK_SZ);
}

/* fill_cnt: a zero-copy socket that only sends needs chunks for its queue's RX
 * side, or the host receives nothing on that queue. */
static __u32 fill_cnt(const struct pt_xsk_cfg *cfg)
{
	return cfg->zero_copy && !cfg->rx_chunk_cnt ? XSK_PASS_CHUNKS :
						      cfg->rx_chunk_cnt;
}

/* chunks_sz: RX chunks and TX buffers are one mapping, RX first. */
static size_t chunks_sz(const struct pt_xsk *x)
{
	return ((size_t)x->fill_cnt + x->cfg.tx_chunk_cnt) * PT_XSK_CHUNK_SZ;
}

/* map_chunks adds the queue to the mapping's error. */
static int map_chunks(struct pt_xsk *x, struct pt_error *err)
{
	struct pt_error why;
	int ret = pt_umem_map(&x->memory, chunks_sz(x), x->cfg.hugepages, &why);

	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s queue %u: "
				    "%.400s", x->cfg.device->name,
				    x->cfg.queue, why.text);
	x->base = x->memory.base;
	x->info.hugepages = x->memory.got;
	return 0;
}

static int create_umem(struct pt_xsk *x)
{
	const struct xsk_umem_config cfg = {
		/* Read twice: the kernel publishes a frame on the RX ring
		 * before it publishes the consumption of the fill ring's
		 * chunk. */
		.fill_size = x->fill_cnt ? 2 * x->fill_cnt : 2,
		.comp_size = pow2_at_least(x->cfg.tx_chunk_cnt + 2),
		.frame_size = PT_XSK_CHUNK_SZ,
	};

	return xsk_umem__create(&x->umem, x->base, chunks_sz(x),
				&x->fill, &x->comp, &cfg);
}

/* bind_once: libxdp binds the socket that it made for the UMEM.  After a
 * failure it can be bound again. */
static int bind_once(struct pt_xsk *x, bool multi_buffer)
{
	const struct xsk_socket_config cfg = {
		.rx_size = x->cfg.rx_chunk_cnt,
		.tx_size = x->tx_ring_cnt,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP |
			      (x->cfg.zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
			      (multi_buffer ? XDP_USE_SG : 0),
	};
	int ret = xsk_socket__create(&x->socket, x->cfg.device->name,
				     x->cfg.queue, x->umem,
				     x->cfg.rx_chunk_cnt ? &x->rx : NULL,
				     x->cfg.tx_chunk_cnt ? &x->tx : NULL, &cfg);

	if (ret)
		x->socket = NULL;
	return ret;
}

static int bind_patiently(struct pt_xsk *x, bool multi_buffer)
{
	int stop_fd = x->cfg.stop_fd > 0 ? x->cfg.stop_fd : -1;
	int ret;

	for (int i = 0; i < BIND_TRIES; i++) {
		ret = bind_once(x, multi_buffer);
		if (ret != -EBUSY)
			return ret;
		if (pt_stop_wait(stop_fd, BIND_PAUSE_MS))
			return -ECANCELED;
	}
	return ret;
}

/* needs_several: a frame received or sent takes several descriptors.  The
 * kernel requires a zero-copy socket to have room for the MTU, even if it does
 * not receive. */
static bool needs_several(const struct pt_xsk *x, bool *tx_needs)
{
	const struct pt_device *dev = x->cfg.device;

	*tx_needs = x->cfg.tx_chunk_cnt &&
		    x->cfg.tx_frame_sz_max > PT_XSK_CHUNK_SZ;
	if (x->cfg.zero_copy)
		return *tx_needs || pt_zero_copy_needs_segs(dev->mtu);
	return *tx_needs || (x->cfg.rx_chunk_cnt &&
			     pt_device_frame_sz(dev) + 4 > RX_DESC_SZ);
}

static int bind_queue(struct pt_xsk *x)
{
	bool tx_needs;
	int ret;

	/* Requested only if needed: some drivers have zero copy for frames of
	 * one buffer only. */
	x->info.multi_buffer = needs_several(x, &tx_needs);
	ret = bind_patiently(x, x->info.multi_buffer);
	if (ret != -EINVAL || !x->info.multi_buffer || x->cfg.zero_copy)
		return ret;
	ret = bind_patiently(x, false);	/* a kernel before 6.6 */
	x->info.multi_buffer = false;
	if (!ret && tx_needs)
		return -EMSGSIZE;
	return ret;
}

static int learn(struct pt_xsk *x)
{
	struct xdp_options options = { 0 };
	socklen_t sz = sizeof(options);
	struct pt_xsk_info *info = &x->info;

	if (getsockopt(pt_xsk_fd(x), SOL_XDP, XDP_OPTIONS, &options, &sz))
		return -errno;
	info->zero_copy = options.flags & XDP_OPTIONS_ZEROCOPY;
	info->rx_desc_sz = info->zero_copy && info->multi_buffer ?
			   RX_DESC_ZC_SG_SZ : RX_DESC_SZ;
	if (x->cfg.rx_chunk_cnt)
		info->rx_frame_sz_max = info->rx_desc_sz *
			(info->multi_buffer ? PT_SPANS_MAX : 1);
	return 0;
}

/* is_gone: the device has fewer queues than when the caller opened it. */
static bool is_gone(const struct pt_xsk_cfg *cfg)
{
	struct pt_device now;

	return !pt_device_open_index(&now, cfg->device->ifindex, NULL) &&
	       ((cfg->rx_chunk_cnt && cfg->queue >= now.rx_queue_cnt) ||
		(cfg->tx_chunk_cnt && cfg->queue >= now.tx_queue_cnt));
}

static int fail(struct pt_error *err, const struct pt_xsk_cfg *cfg, int code)
{
	size_t chunk_cnt = (size_t)fill_cnt(cfg) + cfg->tx_chunk_cnt;
	const char *dev = cfg->device->name, *remedy;
	char memlock[96], own[PT_ERROR_OWN_SZ];

	switch (code) {
	case -ECANCELED:
		return pt_stop_error(err);
	case -EBUSY:
		remedy = "an AF_XDP socket holds the queue, another program's "
			 "or that of a pagetrim in a container with a /run of "
			 "its own; {queues auto} passes over it";
		break;
	case -ECHRNG:
		remedy = "there is no such queue, or ethtool -L took it away "
			 "just now; {queues auto} passes over it";
		break;
	case -EINVAL:
		remedy = "the kernel has no AF_XDP copy mode for it";
		break;
	case -EPERM:
		remedy = pt_rights_held() & PT_RIGHT(CAP_NET_RAW) ?
			 "CAP_NET_RAW counts in the network namespace's own "
			 "user namespace only: give this container a network "
			 "namespace of its own" :
			 "run as root, or with CAP_NET_RAW";
		break;
	case -ENOBUFS:
		snprintf(memlock, sizeof(memlock), "raise RLIMIT_MEMLOCK by "
			 "ulimit -l: %zu KiB a queue; or run with CAP_IPC_LOCK",
			 chunk_cnt * PT_XSK_CHUNK_SZ >> 10);
		remedy = memlock;
		break;
	case -ENOMEM:
		remedy = "no memory for its rings";
		break;
	case -EAFNOSUPPORT:
		remedy = "the kernel is built without XDP_SOCKETS";
		break;
	case -EMSGSIZE:
		remedy = "frames above 4096 bytes need Linux 6.6; use a "
			 "smaller MTU";
		break;
	case -EMFILE:
	case -ENFILE:
		remedy = "raise ulimit -n";
		break;
	case -ENETDOWN:
		remedy = "the device is down: ip link set it up";
		break;
	default:
		remedy = "see the kernel log";
	}
	if (cfg->zero_copy && code != -EBUSY && code != -ECHRNG && code != -EPERM &&
	    code != -ENOBUFS && code != -EMFILE && code != -ENFILE)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s queue %u: "
				    "driver %s gives no zero copy: %s "
				    "({zero-copy} auto does without)", dev,
				    cfg->queue, cfg->device->driver[0] ?
				    cfg->device->driver : "?",
				    strerror(-code));
	return pt_error_set(err, PT_EXIT_HOST, code,
			    "%s queue %u: cannot open an AF_XDP socket: %s "
			    "(%s)", dev, cfg->queue, strerror(-code),
			    pt_error_own(own, remedy));
}

static void unbind(struct pt_xsk *x)
{
	if (x->socket)
		xsk_socket__delete(x->socket);
	if (x->umem)
		xsk_umem__delete(x->umem);
	x->socket = NULL;
	x->umem = NULL;
}

int pt_xsk_make(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err)
{
	struct pt_xsk *x;
	int ret;

	pt_cause_begin();
	if (!cfg_is_valid(cfg))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s queue %u: "
				    "bad AF_XDP ring sizes (rx %u, tx %u "
				    "chunks, frames of %u bytes)",
				    cfg->device->name, cfg->queue,
				    cfg->rx_chunk_cnt, cfg->tx_chunk_cnt,
				    cfg->tx_frame_sz_max);
	x = aligned_alloc(64, (sizeof(*x) + 63) & ~63ul);
	if (!x)
		return fail(err, cfg, -ENOMEM);
	memset(x, 0, sizeof(*x));
	x->cfg = *cfg;
	x->fill_cnt = fill_cnt(cfg);
	x->tx_epoll = -1;
	ret = map_chunks(x, err);
	if (ret)
		goto free_socket;
	ret = create_umem(x);
	if (ret) {
		fail(err, cfg, ret);
		goto unmap;
	}
	/* Before the driver has the queue: it takes some at once, and one that
	 * finds none may not look again by itself. */
	xsk_rx_start(x);
	*out = x;
	return 0;

unmap:
	pt_umem_unmap(&x->memory);
free_socket:
	free(x);
	return ret;
}

int pt_xsk_bind(struct pt_xsk *x, const struct pt_xsk_cfg *cfg,
		struct pt_error *err)
{
	int ret;

	pt_check(!x->socket && (!cfg->zero_copy || x->cfg.zero_copy));
	pt_check(cfg->rx_chunk_cnt == x->cfg.rx_chunk_cnt &&
		 cfg->tx_chunk_cnt == x->cfg.tx_chunk_cnt);
	pt_cause_begin();
	x->cfg = *cfg;
	ret = xsk_tx_start(x);
	if (!ret)
		ret = bind_queue(x);
	if (ret == -EINVAL && is_gone(cfg))
		ret = -ECHRNG;
	if (ret)
		goto stop_tx;
	/* The kernel looks at the larger of both numbers of queues. */
	ret = is_gone(cfg) ? -ECHRNG : learn(x);
	if (!ret)
		ret = xsk_tx_bound(x);
	if (!ret)
		return 0;
	unbind(x);	/* a bound socket cannot be bound again */
stop_tx:
	xsk_tx_stop(x);
	return fail(err, cfg, ret);
}

int pt_xsk_open(struct pt_xsk **out, const struct pt_xsk_cfg *cfg,
		struct pt_error *err)
{
	struct pt_xsk *x;
	int ret = pt_xsk_make(&x, cfg, err);

	if (ret)
		return ret;
	ret = pt_xsk_bind(x, cfg, err);
	if (ret) {
		pt_xsk_close(x);
		return ret;
	}
	*out = x;
	return 0;
}

void pt_xsk_shut(struct pt_xsk *x)
{
	if (x)
		unbind(x);
}

void pt_xsk_close(struct pt_xsk *x)
{
	if (!x)
		return;
	unbind(x);
	xsk_tx_stop(x);
	pt_umem_unmap(&x->memory);
	free(x);
}

int pt_xsk_fd(const struct pt_xsk *x)
{
	return xsk_socket__fd(x->socket);
}

void pt_xsk_info(const struct pt_xsk *x, struct pt_xsk_info *info)
{
	*info = x->info;
}

int pt_xsk_stats(const struct pt_xsk *x, struct pt_xsk_stats *stats)
{
	struct xdp_statistics kernel = { 0 };
	socklen_t sz = sizeof(kernel);

	/* Read received first: a frame that arrives in between must be counted
	 * on one side at least. */
	memset(stats, 0, sizeof(*stats));
	stats->received = __atomic_load_n(&x->received, __ATOMIC_RELAXED);
	stats->rx_oversized = __atomic_load_n(&x->oversized, __ATOMIC_RELAXED);
	stats->tx_submitted = __atomic_load_n(&x->tx_submitted,
					      __ATOMIC_RELAXED);
	stats->tx_completed = __atomic_load_n(&x->tx_completed,
					      __ATOMIC_RELAXED);
	stats->tx_refused = __atomic_load_n(&x->tx_refused, __ATOMIC_RELAXED);
	if (getsockopt(pt_xsk_fd(x), SOL_XDP, XDP_STATISTICS, &kernel, &sz))
		return -errno;
	stats->rx_dropped = kernel.rx_dropped;
	stats->rx_ring_full = kernel.rx_ring_full;
	stats->rx_fill_empty = kernel.rx_fill_ring_empty_descs;
	stats->tx_invalid = kernel.tx_invalid_descs;
	return 0;
}
