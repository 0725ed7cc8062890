/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xsk/card.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "xsk/netdev.h"

#define CARRIER_MS	10000	/* a card has it back that long after a reset */
#define CARRIER_STEP_MS	20
#define SETTLE_MS	100	/* until a reset takes the carrier away */
#define PROVE_MS	3000	/* for sending a frame to ourselves */
#define TRIAL_CHUNKS	64

/* give_up chooses copy mode, unless zero copy is required or the process
 * stops. */
static int give_up(struct pt_card *card, const struct pt_error *why, int code,
		   struct pt_error *err)
{
	card->zero_copy = false;
	if (code == -ECANCELED || card->cfg.wish == PT_ZERO_COPY_ON) {
		*err = *why;
		return code;
	}
	if (!card->why.text[0])
		card->why = *why;
	return 0;
}

int pt_card_judge(struct pt_card *card, struct pt_device *device,
		  const struct pt_card_cfg *cfg, struct pt_error *err)
{
	struct pt_zero_copy_facts facts = {
		.wish = cfg->wish,
		.generic = cfg->generic,
		.garbles = cfg->sends && pt_netdev_garbles(device),
		.mtu = device->mtu,
	};
	enum pt_zero_copy_answer answer;
	struct pt_error why;

	memset(card, 0, sizeof(*card));
	card->device = device;
	card->cfg = *cfg;
	if (cfg->wish != PT_ZERO_COPY_OFF && !cfg->generic)
		pt_netdev_ask(&facts.netdev, device->ifindex);
	answer = pt_zero_copy_judge(&facts);
	card->zero_copy = answer == PT_ZERO_COPY_TRY;
	if (card->zero_copy || (cfg->wish != PT_ZERO_COPY_ON &&
				!pt_zero_copy_is_said(answer)))
		return 0;
	pt_zero_copy_explain(&why, answer, device, &facts.netdev);
	return give_up(card, &why, -EOPNOTSUPP, err);
}

int pt_card_wait(struct pt_card *card, struct pt_error *err)
{
	__u64 end_ns = pt_clock_ns() + CARRIER_MS * 1000000ULL;
	struct pt_device now;
	int ret;

	if (!card->device->has_carrier)
		return 0;	/* it had no carrier before, either */
	if (pt_stop_wait(card->cfg.stop_fd, SETTLE_MS))
		return pt_stop_error(err);
	do {
		ret = pt_device_open_index(&now, card->device->ifindex, err);
		if (ret)
			return ret;
		if (now.has_carrier) {
			*card->device = now;
			return 0;
		}
		if (pt_stop_wait(card->cfg.stop_fd, CARRIER_STEP_MS))
			return pt_stop_error(err);
	} while (pt_clock_ns() < end_ns);
	return pt_error_set(err, PT_EXIT_HOST, -ENETDOWN, "%s: no carrier for "
			    "%u s since an XDP program was attached, which "
			    "zero copy needs ({zero-copy} off does without)",
			    card->device->name, CARRIER_MS / 1000);
}

/* try_bind checks on the first free queue that a zero-copy socket opens at all,
 * before attaching a program resets the card.  If no queue is free, the check
 * is made later. */
static int try_bind(const struct pt_card *card, struct pt_leases *leases,
		    struct pt_error *err)
{
	struct pt_xsk_cfg cfg = {
		.device = card->device,
		.tx_chunk_cnt = TRIAL_CHUNKS,
		.tx_frame_sz_max = PT_XSK_CHUNK_SZ,
		.zero_copy = true,
		.stop_fd = card->cfg.stop_fd,
	};
	struct pt_lease *lease;
	struct pt_xsk *xsk;
	int ret = pt_lease_take_free(&lease, 1, leases, "send", err);

	if (ret)
		return ret == -EBUSY ? 0 : ret;
	cfg.queue = pt_lease_queue(lease);
	ret = pt_xsk_open(&xsk, &cfg, err);
	if (!ret)
		pt_xsk_close(xsk);
	pt_lease_release(lease);
	return pt_xsk_is_queue_fault(ret) ? 0 : ret;
}

/* detach removes the program, and chooses copy mode or fails. */
static int detach(struct pt_card *card, const struct pt_error *why, int code,
		  struct pt_error *err)
{
	pt_card_settle(card, false);
	return give_up(card, why, code, err);
}

int pt_card_attach(struct pt_card *card, struct pt_leases *leases,
		   struct pt_error *err)
{
	struct pt_error why;
	int ret;

	if (!card->zero_copy)
		return 0;
	ret = try_bind(card, leases, &why);
	if (!ret)
		ret = pt_pass_open(&card->pass, card->device, &why);
	return ret ? detach(card, &why, ret, err) : 0;
}

int pt_card_wait_attached(struct pt_card *card, struct pt_error *err)
{
	struct pt_error why;
	int ret = card->zero_copy ? pt_card_wait(card, &why) : 0;

	return ret ? detach(card, &why, ret, err) : 0;
}

/* prove tests a socket that sends. */
static int prove(const struct pt_card *card, struct pt_xsk *x,
		 const struct pt_xsk_cfg *cfg, struct pt_error *err)
{
	int ret = pt_xsk_tx_prove(x, card->device->mac, PROVE_MS,
				  card->cfg.stop_fd);

	if (!ret)
		return 0;
	if (ret == -ECANCELED)
		return pt_stop_error(err);
	return pt_error_set(err, PT_EXIT_HOST, ret, "%s queue %u: driver %s "
			    "sends nothing with zero copy: %s ({zero-copy} "
			    "auto does without)", card->device->name,
			    cfg->queue, card->device->driver,
			    ret == -ETIMEDOUT ? "no frame was completed" :
			    strerror(-ret));
}

int pt_card_bind(struct pt_card *card, struct pt_xsk **x, struct pt_xsk **spare,
		 struct pt_xsk_cfg *cfg, struct pt_error *err)
{
	struct pt_error why;
	int ret;

	cfg->stop_fd = card->cfg.stop_fd;
	cfg->zero_copy = card->zero_copy;
	if (!cfg->zero_copy)
		return pt_xsk_bind(*x, cfg, err);
	ret = pt_xsk_bind(*x, cfg, &why);
	if (pt_xsk_is_queue_fault(ret)) {
		*err = why;
		return ret;
	}
	if (!ret && cfg->tx_chunk_cnt) {
		ret = prove(card, *x, cfg, &why);
		if (ret) {
			pt_xsk_close(*x);
			*x = *spare;
			*spare = NULL;
		}
	}
	if (!ret)
		return 0;
	ret = give_up(card, &why, ret, err);
	cfg->zero_copy = false;
	return ret ? ret : pt_xsk_bind(*x, cfg, err);
}

void pt_card_settle(struct pt_card *card, bool any)
{
	if (any || !card->pass)
		return;
	pt_pass_close(card->pass);
	card->pass = NULL;
	pt_card_wait(card, NULL);
}

void pt_card_close(struct pt_card *card)
{
	pt_pass_close(card->pass);
	card->pass = NULL;
}

bool pt_card_is_ready(const struct pt_card *card)
{
	return !card->pass || pt_pass_is_there(card->pass);
}
