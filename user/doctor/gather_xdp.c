// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Everything that is tried here is released at once, and by the kernel if the
 * process dies:
 *
 * - A socket is bound to a free queue in copy mode.  Without its XDP program it
 *   gets no frame, and the driver is not involved.  It takes no lease: a
 *   transfer that begins meanwhile retries on the kernel's EBUSY, but would give
 *   up at a foreign lease.
 * - The program is attached on a veth only, by an unpinned bpf_link, and only if
 *   the device has no program: only the kernel knows how many queues the peer
 *   has.  Many NICs restart their rings for an attempt, so no NIC is tried.
 */
#include "doctor/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <xdp/libxdp.h>

#include "xdp/cause.h"
#include "xdp/lockfile.h"
#include "xdp/program.h"
#include "xsk/netdev.h"
#include "xsk/xsk.h"

#define RX_CHUNKS	2048	/* as in a transfer: 8 MiB are locked */
#define TX_CHUNKS	64	/* the minimum */

/* name_called lists the programs that the dispatcher calls. */
static bool name_called(struct pt_facts_xdp *x, __u32 ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *called = NULL;
	size_t used = 0;

	if (libxdp_get_error(mp))
		return false;
	if (xdp_multiprog__is_legacy(mp)) {
		xdp_multiprog__close(mp);
		return false;
	}
	while ((called = xdp_multiprog__next_prog(called, mp)) &&
	       used < sizeof(x->prog_name))
		used += snprintf(x->prog_name + used,
				 sizeof(x->prog_name) - used, "%s%s",
				 used ? ", " : "", xdp_program__name(called));
	xdp_multiprog__close(mp);
	return true;
}

static bool name_program(struct pt_facts_xdp *x)
{
	struct bpf_prog_info info = { 0 };
	__u32 info_sz = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(x->prog_id), ret;

	if (fd < 0)
		return false;
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_sz);
	close(fd);
	snprintf(x->prog_name, sizeof(x->prog_name), "%s",
		 info.name[0] ? info.name : "?");
	return !ret;
}

/* gather_holder finds the device's program and its owner. */
static void gather_holder(struct pt_facts_xdp *x, const struct pt_device *dev)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	char path[PT_PIN_PATH_SZ];
	struct pt_program_info info;
	struct pt_program *program;
	struct pt_error err = { 0 };
	int ret = bpf_xdp_query(dev->ifindex, 0, &query);

	if (ret)
		pt_error_set(&err, PT_EXIT_HOST, ret, "%s", strerror(-ret));
	gather_try(&x->query, ret, &err);
	pt_program_pin_path(path, dev, NULL);
	x->has_pins = !access(path, F_OK);
	x->generic = query.skb_prog_id;
	x->prog_id = query.prog_id ? query.prog_id : query.drv_prog_id ?
		     query.drv_prog_id : query.skb_prog_id;
	if (!x->prog_id)
		return;
	x->named = name_program(x);
	if (!pt_program_peek(&program, dev, NULL)) {
		pt_program_info(program, &info);
		pt_program_close(program);
		x->ours = x->named = true;
		x->pinned = info.pinned;
	} else {
		x->dispatcher = name_called(x, dev->ifindex);
	}
}

/* gather_grant: pagetrim attach --user gives the file of leases. */
static void gather_grant(struct pt_facts_xdp *x, const struct pt_device *dev)
{
	char path[96];

	pt_lockfile_path(path, dev, "queues");
	x->is_given = !faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS);
}

static void gather_queues(struct pt_facts_xdp *x, const struct pt_device *dev)
{
	__u32 cnt = dev->rx_queue_cnt > dev->tx_queue_cnt ?
		    dev->rx_queue_cnt : dev->tx_queue_cnt;
	__u64 bound[PT_QUEUES_MAX / 64] = { 0 };

	pt_netdev_bound_queues(dev->ifindex, bound);
	for (__u32 q = 0; q < cnt && q < PT_QUEUES_MAX; q++) {
		struct pt_facts_queue *taken = &x->taken[x->taken_cnt];

		memset(taken, 0, sizeof(*taken));
		taken->queue = q;
		if (pt_lease_owner(dev, q, &taken->owner) > 0 ||
		    bound[q / 64] >> q % 64 & 1)
			x->taken_cnt++;
	}
}

/* free_queue returns the lowest free queue, -1: none. */
static int free_queue(const struct pt_facts_xdp *x, __u32 cnt)
{
	for (__u32 q = 0; q < cnt && q < PT_QUEUES_MAX; q++) {
		bool taken = false;

		for (__u32 i = 0; i < x->taken_cnt; i++)
			taken |= x->taken[i].queue == q;
		if (!taken)
			return q;
	}
	return -1;
}

/* try_open opens and closes a socket. */
static int try_open(const struct pt_xsk_cfg *cfg, struct pt_error *err)
{
	struct pt_xsk *xsk;
	int ret = pt_xsk_open(&xsk, cfg, err);

	if (!ret)
		pt_xsk_close(xsk);
	return ret;
}

static void try_bind(struct pt_facts *facts, __u32 queue)
{
	struct pt_facts_xdp *x = &facts->xdp;
	struct pt_xsk_cfg cfg = {
		.device = &facts->device.dev,
		.queue = queue,
		.rx_chunk_cnt = RX_CHUNKS,
		/* Zero copy involves the driver, so it is tried only if the
		 * kernel cannot report it. */
		.zero_copy = !facts->device.features_known,
	};
	struct pt_error err;

	x->bind_zero_copy = cfg.zero_copy && !try_open(&cfg, &err);
	cfg.zero_copy = false;
	gather_try(&x->bind, try_open(&cfg, &err), &err);
	if (x->bind.ret)
		return;
	cfg.rx_chunk_cnt = 0;
	cfg.tx_chunk_cnt = TX_CHUNKS;
	cfg.tx_frame_sz_max = 2 * PT_XSK_CHUNK_SZ;
	gather_try(&x->bind_large, try_open(&cfg, &err), &err);
}

static void gather_bind(struct pt_facts *facts, bool receiving)
{
	const struct pt_device *dev = &facts->device.dev;
	struct pt_facts_xdp *x = &facts->xdp;
	int queue = free_queue(x, receiving ? dev->rx_queue_cnt :
			       dev->tx_queue_cnt);

	gather_not_tried(&x->bind_large, "%s", "");
	if (!gather_has_cap(&facts->host, CAP_NET_RAW))
		gather_not_tried(&x->bind, "lacks CAP_NET_RAW");
	else if (facts->host.bars_sockets)
		gather_not_tried(&x->bind, "CAP_NET_RAW is not of this network "
				 "namespace's owner");
	else if (!dev->is_up)
		gather_not_tried(&x->bind, "the device is down");
	else if (queue < 0)
		gather_not_tried(&x->bind, "no queue is free");
	else
		try_bind(facts, x->bind_queue = queue);
}

static void gather_attach(struct pt_facts *facts, bool receiving)
{
	const struct pt_device *dev = &facts->device.dev;
	const struct pt_program_cfg cfg = { .device = dev };
	struct pt_facts_xdp *x = &facts->xdp;
	struct pt_program_info info;
	struct pt_program *program;
	struct pt_error err;

	gather_not_tried(&x->attach, "%s", "");
	if (!receiving || strcmp(dev->driver, "veth") || !dev->is_up ||
	    x->query.ret || x->prog_id || x->taken_cnt ||
	    facts->host.program.ret)
		return;
	gather_try(&x->attach, pt_program_open(&program, &cfg, &err), &err);
	if (x->attach.ret)
		return;
	pt_program_info(program, &info);
	pt_program_close(program);
	x->attach_multi_buffer = info.multi_buffer;
}

void gather_xdp(struct pt_facts *facts, bool receiving)
{
	struct pt_facts_xdp *x = &facts->xdp;
	const struct pt_device *dev = &facts->device.dev;

	if (facts->device.found.ret)
		return;
	pt_cause_begin();	/* keeps libbpf and libxdp from printing */
	gather_holder(x, dev);
	gather_grant(x, dev);
	gather_queues(x, dev);
	gather_bind(facts, receiving);
	gather_attach(facts, receiving);
}
