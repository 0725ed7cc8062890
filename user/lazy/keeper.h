/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* keeper: a small process that holds the userfaultfd and the record of a guest, and
 * outlives the server.
 *
 * When the last descriptor of a userfaultfd closes, the kernel answers every fault with
 * a zero page.  So the keeper is there before the door is open, it alone takes what
 * comes to the door, and it holds that until all is placed:
 *
 *     VMM --message--> DOOR ---> keeper, at the socket DOOR.keeper, with DOOR.lock
 *                                  |  record, descriptors
 *     server <---------------------'
 *        X  killed                    the guest waits in its faults
 *     next server <--------------- the same
 *        '------"all placed"------> ends
 *
 * Before a VMM came the keeper ends with its server, and nothing is left.  Later it ends
 * when the VMM's address space has, which it asks of the userfaultfd; and of a VMM
 * that a server refused it only holds the descriptor until then.  With a fault timeout
 * it ends the VMM (SIGKILL) if a fault was not answered for so long, with a server or
 * without.  It ignores the signals by which services are stopped.
 *
 * Threads: one, and the keeper allocates no memory after the fork.
 */
#ifndef LAZY_KEEPER_H
#define LAZY_KEEPER_H

#include "lazy/door.h"

/* pt_lazy_kept: the keeper as a server has it. */
struct pt_lazy_kept {
	int connection;			/* readable: the keeper ended */
	int record_fd, lock_fd;
	struct pt_lazy_handed handed;	/* once a VMM came */
};

#define PT_LAZY_KEPT_NONE ((struct pt_lazy_kept){ .connection = -1,	\
	.record_fd = -1, .lock_fd = -1, .handed = PT_LAZY_HANDED_NONE })

struct pt_lazy_keeper_cfg {
	const char *door;
	bool has_door;			/* false: the server fetches the VMM's descriptor
					 * itself, and door is the name before .keeper
					 * alone */
	__u64 page_max;			/* of the image */
	const char *image_id;
	bool is_free;			/* no filter of the keeper's system calls */
};

/* pt_lazy_keeper_meet joins the keeper at a door, or starts one, which opens it.
 * *started: it did.
 *   -EBUSY   another server serves the guest, or waits for it
 *   -EPERM   the keeper is another user's
 *   -EPROTO  it is of another version
 *   or as pt_lazy_bind, fork(2) */
int pt_lazy_keeper_meet(struct pt_lazy_kept *kept,
			const struct pt_lazy_keeper_cfg *cfg, bool *started,
			struct pt_error *err);

/* pt_lazy_keeper_join is meet where none is to be started: -ENOENT. */
int pt_lazy_keeper_join(struct pt_lazy_kept *kept, const char *door,
			struct pt_error *err);

/* pt_lazy_keeper_give gives the descriptors of a VMM, which stay the caller's, to a keeper
 * that was started without a door; pt_lazy_keeper_await follows.  -errno. */
int pt_lazy_keeper_give(const struct pt_lazy_kept *kept, int uffd, int pidfd, pid_t vmm);

/* pt_lazy_keeper_await waits until a VMM has handed its memory over.  nothing: a
 * connection brought no message.
 *   -ECANCELED  stop_fd is readable
 *   -EPIPE      the keeper ended */
int pt_lazy_keeper_await(struct pt_lazy_kept *kept, int stop_fd,
			 void (*nothing)(void *arg), void *arg, struct pt_error *err);

/* pt_lazy_keeper_timeout sets that of a fault; 0: none. */
void pt_lazy_keeper_timeout(const struct pt_lazy_kept *kept, __u64 timeout_ms);

/* pt_lazy_keeper_part: this server ends, for a reason, and the keeper has removed the
 * sockets unless it waits for the next one. */
enum pt_lazy_part {
	PT_LAZY_PART_NEXT,	/* the guest is for the next server, if it came */
	PT_LAZY_PART_REFUSED,	/* nobody serves it */
	PT_LAZY_PART_END,	/* all is placed, or the VMM has ended */
};

void pt_lazy_keeper_part(struct pt_lazy_kept *kept, enum pt_lazy_part why);

/* pt_lazy_kept_close closes all descriptors. */
void pt_lazy_kept_close(struct pt_lazy_kept *kept);

#endif
