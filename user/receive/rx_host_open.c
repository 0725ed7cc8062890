/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Opens, starts and closes a host. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "receive/detour.h"
#include "receive/rx_host.h"
#include "rxq/credit.h"
#include "session/queues.h"

#define RX_CHUNKS	2048		/* 8 MiB per queue stay in the cache */
#define RX_CREDIT	1536		/* granted; the rest absorbs
					 * duplicates */

static struct pt_xsk_cfg xsk_cfg(const struct pt_rx_host *h, __u32 i)
{
	return (struct pt_xsk_cfg){
		.device = &h->device,
		.queue = pt_lease_queue(h->leases[i]),
		.rx_chunk_cnt = RX_CHUNKS,
		.zero_copy = h->card.zero_copy,
		.hugepages = h->wish.hugepages,
	};
}

static int make_sockets(struct pt_rx_host *h, struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < h->queue_cnt; i++) {
		const struct pt_xsk_cfg cfg = xsk_cfg(h, i);

		ret = pt_xsk_make(&h->xsks[i], &cfg, err);
	}
	return ret;
}

static int bind_queue(struct pt_rx_host *h, __u32 i, struct pt_error *err)
{
	struct pt_xsk_cfg cfg = xsk_cfg(h, i);
	struct pt_xsk_info info;
	int ret = pt_card_bind(&h->card, &h->xsks[i], NULL, &cfg, err);

	if (ret)
		return ret;
	pt_xsk_info(h->xsks[i], &info);
	if (!i || info.hugepages != PT_HUGEPAGES_ON)
		h->hugepages = info.hugepages;
	if (!h->desc_sz || info.rx_desc_sz < h->desc_sz)
		h->desc_sz = info.rx_desc_sz;
	if (!h->frame_sz_max || info.rx_frame_sz_max < h->frame_sz_max)
		h->frame_sz_max = info.rx_frame_sz_max;
	pt_program_queue_counters(h->program, cfg.queue, &h->before[i]);
	return pt_program_socket_set(h->program, cfg.queue,
				     pt_xsk_fd(h->xsks[i]), err);
}

/* pass_over moves the sockets up; the last, unbound one is not needed. */
static bool pass_over(struct pt_rx_host *h, __u32 i)
{
	if (h->wish.queue_cnt != PT_QUEUES_AUTO ||
	    !pt_queues_pass_over(h->leases, &h->queue_cnt, i))
		return false;
	pt_xsk_close(h->xsks[h->queue_cnt]);
	h->xsks[h->queue_cnt] = NULL;
	return true;
}

static int bind_queues(struct pt_rx_host *h, struct pt_error *err)
{
	for (__u32 i = 0; i < h->queue_cnt; ) {
		int ret = bind_queue(h, i, err);

		if (pt_xsk_is_queue_fault(ret) && pass_over(h, i))
			continue;
		if (ret)
			return ret;
		i++;
	}
	return 0;
}

static int lease_queues(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
			struct pt_error *err)
{
	const struct pt_queues_wish wish = {
		.cnt = cfg->queue_cnt,
		.auto_max = pt_queues_cpu_cnt(),
		.kind = "RX",
		.have_cnt = h->device.rx_queue_cnt,
	};
	__u32 cnt;
	int ret = pt_queues_choose(&cnt, &wish, &h->device, h->device_leases,
				   err);

	if (!ret)
		ret = pt_lease_take_free(h->leases, cnt, h->device_leases,
					 "receive", err);
	if (!ret)
		h->queue_cnt = cnt;
	return ret;
}

int pt_rx_host_open(struct pt_rx_host *h, const struct pt_rx_host_cfg *cfg,
		    struct pt_error *err)
{
	const struct pt_program_cfg program = {
		.device = &h->device,
		.generic = cfg->generic,
	};
	const struct pt_card_cfg card = {
		.wish = cfg->zero_copy,
		.generic = cfg->generic,
		.stop_fd = cfg->stop_fd,
	};
	int ret;

	memset(h, 0, sizeof(*h));
	h->detour_fd = -1;
	ret = pt_device_open(&h->device, cfg->dev, err);
	if (!ret)
		ret = pt_device_check(&h->device, err);
	if (!ret)
		ret = pt_card_judge(&h->card, &h->device, &card, err);
	if (!ret)
		ret = pt_leases_open(&h->device_leases, &h->device, err);
	if (ret)
		return ret;
	ret = lease_queues(h, cfg, err);
	if (ret) {
		pt_leases_close(h->device_leases);
		return ret;
	}
	h->wish.queue_cnt = cfg->queue_cnt;
	h->wish.hugepages = cfg->hugepages;
	h->memory_sz_max = cfg->memory_sz_max;
	h->admission.limits = cfg->peer;
	h->profile = cfg->profile;
	h->cpus = cfg->cpus;
	ret = pt_program_open(&h->program, &program, err);
	if (!ret)
		ret = make_sockets(h, err);
	if (ret)
		pt_rx_host_free(h);
	return ret;
}

int pt_rx_host_start(struct pt_rx_host *h, struct pt_error *err)
{
	int ret = h->card.zero_copy ? pt_card_wait(&h->card, err) : 0;

	if (!ret)
		ret = bind_queues(h, err);
	for (__u32 i = 0; !ret && i < h->queue_cnt; i++) {
		const struct pt_rx_queue_cfg cfg = {
			.xsk = h->xsks[i],
			.queue = pt_lease_queue(h->leases[i]),
			.desc_sz = h->desc_sz,
			.credit = RX_CREDIT,
			.idle_ns = PT_CREDIT_IDLE_NS,
			.ring_cnt = RX_CHUNKS,
			.cpus = &h->cpus,
			.thread_idx = i,
			.clock = h->profile ? &h->clocks[i] : NULL,
		};

		ret = pt_rx_queue_start(&h->queues[i], &cfg, err);
	}
	return ret;
}

void pt_rx_host_listen(struct pt_rx_host *h, const struct pt_address *listen)
{
	int fd = pt_detour_open(listen);

	h->detour_fd = fd < 0 ? -1 : fd;
}

void pt_rx_host_close(struct pt_rx_host *h)
{
	if (!h->device_leases)
		return;
	if (h->detour_fd >= 0)
		close(h->detour_fd);
	h->detour_fd = -1;
	for (__u32 i = 0; i < h->queue_cnt; i++)
		pt_rx_queue_stop(h->queues[i]);
	pt_program_close(h->program);
	h->program = NULL;
	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_xsk_shut(h->xsks[i]);
		pt_lease_release(h->leases[i]);
	}
	pt_leases_close(h->device_leases);
	h->device_leases = NULL;
}

void pt_rx_host_free(struct pt_rx_host *h)
{
	pt_rx_host_close(h);
	for (__u32 i = 0; i < h->queue_cnt; i++) {
		pt_rx_queue_free(h->queues[i]);
		pt_xsk_close(h->xsks[i]);
	}
	memset(h, 0, sizeof(*h));
}
