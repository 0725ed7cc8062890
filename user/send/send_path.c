/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "send/send_path.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "net/route.h"
#include "session/queues.h"

#define TX_CHUNKS	2048		/* 8 MiB stay in the cache */
#define SRC_PORT	49152		/* first of the dynamic ports */
#define ADDRESS_NS	5000000000ULL	/* for a lost address to come back */

/* find_link looks up source, route and next hop; *link's ports stay. */
static int find_link(const struct pt_send_path *path, struct pt_link *link,
		     struct pt_error *err)
{
	const struct pt_device *device = &path->device;
	const struct pt_address *dst = &path->dst;
	struct pt_route route;
	int ret = path->src_is_local ? pt_route_is_local(&path->src, err) : 0;

	if (!ret)
		ret = pt_route_find(&route, dst, err);
	if (ret)
		return ret;
	if (route.ifindex != device->ifindex) {
		char text[PT_ADDRESS_TEXT_SZ];

		return pt_error_set(err, PT_EXIT_HOST, -EXDEV,
				    "%s: the route to %s uses %s (use {dev} "
				    "%s, or change the route)", device->name,
				    pt_address_print(dst, text), route.ifname,
				    route.ifname);
	}
	memcpy(link->src_mac, device->mac, sizeof(link->src_mac));
	memcpy(link->src_addr, path->src.ip, sizeof(link->src_addr));
	memcpy(link->dst_addr, dst->ip, sizeof(link->dst_addr));
	link->ipv6 = !pt_address_is_v4(dst);
	return pt_neighbour_find(device->ifindex, &route.next_hop,
				 link->dst_mac, err);
}

static __u32 min_u32(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* choose_queues: AUTO chooses at most auto_max. */
static int choose_queues(const struct pt_send_path *path, __u32 auto_max,
			 __u32 *cnt, struct pt_error *err)
{
	const struct pt_queues_wish wish = {
		.cnt = path->queue_wish,
		.auto_max = path->lane_wish ? min_u32(auto_max, path->lane_wish)
					    : auto_max,
		.kind = "TX",
		.have_cnt = path->device.tx_queue_cnt,
	};

	return pt_queues_choose(cnt, &wish, &path->device,
				path->device_leases, err);
}

/* lease_queues prefers queue numbers that the receiver has, too, since on a
 * veth frames arrive on the queue with the number of their TX queue. */
static int lease_queues(struct pt_send_path *path,
			const struct pt_send_path_cfg *cfg,
			struct pt_error *err)
{
	const struct pt_msg_offer *offer = cfg->offer;
	__u32 cnt;
	int ret;

	/* Lanes beyond the receiver's number of queues would share queues. */
	ret = choose_queues(path, min_u32(offer->queue_cnt, path->made_cnt),
			    &cnt, err);
	if (ret)
		return ret;
	for (__u32 i = 0; i < offer->queue_cnt && path->queue_cnt < cnt; i++) {
		if (offer->queue[i] >= path->device.tx_queue_cnt)
			continue;
		ret = pt_lease_take(&path->leases[path->queue_cnt],
				    path->device_leases, offer->queue[i],
				    "send", err);
		if (!ret)
			path->queue_cnt++;
		else if (ret != -EBUSY)
			return ret;
	}
	if (path->queue_cnt == cnt)
		return 0;
	ret = pt_lease_take_free(&path->leases[path->queue_cnt],
				 cnt - path->queue_cnt,
				 path->device_leases, "send", err);
	if (!ret)
		path->queue_cnt = cnt;
	return ret;
}

static int bind_socket(struct pt_send_path *path, __u32 i, struct pt_error *err)
{
	struct pt_xsk_cfg xsk = {
		.device = &path->device,
		.queue = pt_lease_queue(path->leases[i]),
		.tx_chunk_cnt = TX_CHUNKS,
		.tx_frame_sz_max = path->frame_sz_max,
		.hugepages = path->hugepages,
	};
	int ret = pt_card_bind(&path->card, &path->xsks[i], &path->spare, &xsk,
			       err);

	if (ret != -EMSGSIZE)
		return ret;
	/* The device has no multi-buffer support: frames of one chunk. */
	path->frame_sz_max = PT_XSK_CHUNK_SZ;
	xsk.tx_frame_sz_max = path->frame_sz_max;
	return pt_card_bind(&path->card, &path->xsks[i], &path->spare, &xsk,
			    err);
}

static bool any_zero_copy(const struct pt_send_path *path)
{
	struct pt_xsk_info info;

	for (__u32 i = 0; i < path->queue_cnt; i++) {
		pt_xsk_info(path->xsks[i], &info);
		if (info.zero_copy)
			return true;
	}
	return false;
}

/* close_unbound closes the sockets that are not needed. */
static void close_unbound(struct pt_send_path *path)
{
	for (; path->made_cnt > path->queue_cnt; path->made_cnt--) {
		pt_xsk_close(path->xsks[path->made_cnt - 1]);
		path->xsks[path->made_cnt - 1] = NULL;
	}
	pt_xsk_close(path->spare);
	path->spare = NULL;
}

static int bind_sockets(struct pt_send_path *path, struct pt_error *err)
{
	for (__u32 i = 0; i < path->queue_cnt; ) {
		int ret = bind_socket(path, i, err);

		if (pt_xsk_is_queue_fault(ret) &&
		    path->queue_wish == PT_QUEUES_AUTO &&
		    pt_queues_pass_over(path->leases, &path->queue_cnt, i))
			continue;
		if (ret)
			return ret;
		i++;
	}
	path->lane_cnt = path->lane_wish ? path->lane_wish : path->queue_cnt;
	close_unbound(path);
	pt_card_settle(&path->card, any_zero_copy(path));
	return 0;
}

int pt_send_path_check_mtu(const struct pt_send_path *path, __u32 mtu,
			   __u32 frame_sz, const char *what,
			   struct pt_error *err)
{
	__u32 works = frame_sz - pt_link_frame_sz_max(&path->link, 0);

	if (works >= mtu)
		return 0;
	return pt_error_set(err, PT_EXIT_PEER, -EMSGSIZE, "%s: %s take frames "
			    "for an MTU of %u, {mtu} asks for %u ({mtu} %u "
			    "works, or {mtu auto})", path->device.name, what,
			    works, mtu, works);
}

int pt_send_path_init(struct pt_send_path *path, const char *dev, __u32 mtu,
		      struct pt_error *err)
{
	int ret;

	memset(path, 0, sizeof(*path));
	ret = pt_device_open(&path->device, dev, err);
	if (!ret)
		ret = pt_device_check(&path->device, err);
	if (!ret && mtu > path->device.mtu)
		ret = pt_error_set(err, PT_EXIT_HOST, -EMSGSIZE, "%s: its MTU "
				   "is %u, {mtu} asks for %u ({mtu} %u works, "
				   "or {mtu auto}, or ip link set %s mtu %u)",
				   dev, path->device.mtu, mtu,
				   path->device.mtu, dev, mtu);
	return ret ? ret : pt_leases_open(&path->device_leases, &path->device,
					  err);
}

static int make_socket(struct pt_send_path *path, struct pt_xsk **out,
		       struct pt_error *err)
{
	const struct pt_xsk_cfg xsk = {
		.device = &path->device,
		.queue = path->made_cnt,	/* a guess before bind */
		.tx_chunk_cnt = TX_CHUNKS,
		.tx_frame_sz_max = PT_XSK_CHUNK_SZ,
		.zero_copy = path->card.zero_copy,
		.hugepages = path->hugepages,
	};

	return pt_xsk_make(out, &xsk, err);
}

static int make_sockets(struct pt_send_path *path, __u32 cnt,
			struct pt_error *err)
{
	int ret = 0;

	if (path->card.zero_copy)
		ret = make_socket(path, &path->spare, err);
	while (!ret && path->made_cnt < cnt) {
		ret = make_socket(path, &path->xsks[path->made_cnt], err);
		if (ret && path->made_cnt && path->queue_wish == PT_QUEUES_AUTO)
			return 0;	/* memory is lacking for more */
		path->made_cnt += !ret;
	}
	return ret;
}

/* most_queues returns how many queues pt_send_path_bind may lease, which checks
 * then whether they are free. */
static __u32 most_queues(const struct pt_send_path *path)
{
	__u32 cnt;

	if (path->queue_wish != PT_QUEUES_AUTO)
		return min_u32(path->queue_wish, path->device.tx_queue_cnt);
	return choose_queues(path, pt_queues_cpu_cnt(), &cnt, NULL) ? 1 : cnt;
}

int pt_send_path_prepare(struct pt_send_path *path,
			 const struct pt_card_cfg *cfg, __u32 queue_cnt,
			 __u32 lane_cnt, enum pt_hugepages hugepages,
			 struct pt_error *err)
{
	int ret;

	path->queue_wish = queue_cnt;
	path->lane_wish = lane_cnt;
	path->hugepages = hugepages;
	if (lane_cnt && lane_cnt < queue_cnt)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "{lanes} %u: "
				    "fewer than the %u {queues}, each of which "
				    "has one at least", lane_cnt, queue_cnt);
	ret = pt_card_judge(&path->card, &path->device, cfg, err);
	if (!ret)
		ret = pt_card_attach(&path->card, path->device_leases, err);
	return ret ? ret : make_sockets(path, most_queues(path), err);
}

int pt_send_path_begin(struct pt_send_path *path,
		       const struct pt_send_path_cfg *cfg,
		       struct pt_error *err)
{
	path->src = *cfg->src;
	path->src_is_local = !pt_route_is_local(&path->src, NULL);
	path->dst = *cfg->dst;
	path->link.dst_port = cfg->offer->udp_port;
	path->link.src_port = SRC_PORT;
	return pt_monitor_open(&path->monitor, path->device.ifindex, err);
}

int pt_send_path_find(struct pt_send_path *path, struct pt_error *err)
{
	pt_monitor_read(path->monitor, NULL);
	return find_link(path, &path->link, err);
}

int pt_send_path_bind(struct pt_send_path *path,
		      const struct pt_send_path_cfg *cfg, struct pt_error *err)
{
	__u32 mtu = cfg->mtu ? cfg->mtu : path->device.mtu;
	int ret;

	path->frame_sz_max = pt_link_frame_sz_max(&path->link,
		min_u32(mtu, cfg->offer->mtu));
	path->frame_sz_max = min_u32(path->frame_sz_max,
				     cfg->offer->frame_sz_max);
	if (path->frame_sz_max < pt_link_frame_sz_max(&path->link, PT_MTU_MIN))
		return pt_error_set(err, PT_EXIT_PEER, -EMSGSIZE, "the receiver "
				    "takes frames of %u bytes at most, too few "
				    "for an MTU of %u (another version of "
				    "pagetrim?)", path->frame_sz_max,
				    PT_MTU_MIN);
	ret = lease_queues(path, cfg, err);
	if (!ret)
		ret = bind_sockets(path, err);
	return ret ? ret : pt_send_path_check_mtu(path, cfg->mtu,
						  path->frame_sz_max,
						  "sockets and receiver", err);
}

void pt_send_path_close(struct pt_send_path *path)
{
	for (__u32 i = 0; i < path->made_cnt; i++)
		pt_xsk_close(path->xsks[i]);
	for (__u32 i = 0; i < path->queue_cnt; i++)
		pt_lease_release(path->leases[i]);
	pt_xsk_close(path->spare);
	path->spare = NULL;
	path->made_cnt = path->queue_cnt = 0;
	pt_card_close(&path->card);
	pt_leases_close(path->device_leases);
	path->device_leases = NULL;
	pt_monitor_close(path->monitor);
	path->monitor = NULL;
}

void pt_send_path_shut(struct pt_send_path *path,
		       const bool is_unused[PT_LANES_MAX])
{
	for (__u32 i = 0; i < path->queue_cnt; i++) {
		if (!is_unused[i])
			continue;
		pt_xsk_shut(path->xsks[i]);
		pt_lease_release(path->leases[i]);
		path->leases[i] = NULL;
	}
	pt_card_close(&path->card);
}

int pt_send_path_refresh(struct pt_send_path *path, int change)
{
	struct pt_link link = path->link;
	int ret = 0;

	if (change & PT_CHANGE_LINK)
		ret = pt_device_open_index(&path->device, path->device.ifindex,
					   &path->trouble);
	if (!ret)
		ret = find_link(path, &link, &path->trouble);
	if (ret == -EAGAIN)
		ret = 0;	/* not resolved now: keep the old address */
	if (ret) {
		if (!path->trouble_code)
			path->trouble_ns = pt_clock_ns();
		path->trouble_code = ret;
		return 0;
	}
	path->trouble_code = 0;
	if (!memcmp(&link, &path->link, sizeof(link)))
		return 0;
	path->link = link;
	return 1;
}

int pt_send_path_judge(const struct pt_send_path *path, struct pt_error *err)
{
	/* A device that is down may lack its addresses for any time. */
	if (path->trouble_code != -EADDRNOTAVAIL || !path->device.is_up ||
	    pt_clock_ns() - path->trouble_ns < ADDRESS_NS)
		return 0;
	*err = path->trouble;
	return path->trouble_code;
}

void pt_send_path_explain(const struct pt_send_path *path, int code,
			  struct pt_error *err)
{
	struct pt_error said = *err;

	if (code == -ETIMEDOUT && path->trouble_code)
		pt_error_set(err, said.exit, code, "%.200s: %.250s",
			     path->trouble.text, said.text);
}
