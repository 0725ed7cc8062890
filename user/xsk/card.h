/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* card: prepares a device for zero-copy sockets, if it can and may, and else
 * notes the reason.  The requirements beyond binding are checked step by step;
 * when one fails, --zero-copy auto falls back to copy mode.  Threads:
 * control's.
 */
#ifndef XSK_CARD_H
#define XSK_CARD_H

#include "xdp/lease.h"
#include "xsk/pass.h"
#include "xsk/xsk.h"
#include "xsk/zero_copy.h"

struct pt_card_cfg {
	enum pt_zero_copy wish;
	bool generic;		/* XDP mode */
	bool sends;		/* its sockets send; else they receive */
	int stop_fd;		/* readable: -ECANCELED in place of a wait; -1:
				 * never */
};

struct pt_card {
	struct pt_device *device;	/* the caller's; reread after a reset */
	struct pt_card_cfg cfg;
	bool zero_copy;		/* open sockets in zero-copy mode */
	struct pt_pass *pass;	/* a sender's; NULL: none is needed */
	struct pt_error why;	/* the reason for copy mode; text "": not worth
				 * reporting */
};

/* pt_card_judge fills the card from the kernel's facts about the device.
 * -errno: --zero-copy on is not possible. */
int pt_card_judge(struct pt_card *card, struct pt_device *device,
		  const struct pt_card_cfg *cfg, struct pt_error *err);

/* pt_card_wait waits for the carrier, which many cards lose while a program is
 * attached, and rereads the device.  -ENETDOWN: it did not come back. */
int pt_card_wait(struct pt_card *card, struct pt_error *err);

/* pt_card_attach, for a sender, ensures that the device has the XDP program
 * that drivers require for a zero-copy socket, provided that such a socket
 * opens at all.  It needs privileges, and does not wait for the carrier, which
 * pt_card_wait_attached does. */
int pt_card_attach(struct pt_card *card, struct pt_leases *leases,
		   struct pt_error *err);

/* pt_card_wait_attached waits for the carrier after pt_card_attach.  If it does
 * not come back, the program is removed, and the card chooses copy mode or
 * fails. */
int pt_card_wait_attached(struct pt_card *card, struct pt_error *err);

/* pt_card_bind binds a made socket by cfg, with zero_copy as the card allows.
 * A socket that sends proves it by a frame to ourselves; if that fails, *spare
 * (a socket made alike, not NULL) replaces it and becomes NULL. */
int pt_card_bind(struct pt_card *card, struct pt_xsk **x, struct pt_xsk **spare,
		 struct pt_xsk_cfg *cfg, struct pt_error *err);

/* pt_card_settle is told whether any open socket uses zero copy.  If none does,
 * it removes the program. */
void pt_card_settle(struct pt_card *card, bool any);

void pt_card_close(struct pt_card *card);

/* pt_card_is_ready returns false once the program that its sockets need is
 * gone. */
bool pt_card_is_ready(const struct pt_card *card);

#endif
