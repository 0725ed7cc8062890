/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* keeper_impl: the messages between keeper and server, and the keeper's state. */
#ifndef LAZY_KEEPER_IMPL_H
#define LAZY_KEEPER_IMPL_H

#include "lazy/keeper.h"

#define PT_KEEPER_MAGIC	0x7074726b65657033ULL	/* "ptrkeep3" */

enum pt_keeper_say {
	PT_KEEPER_HERE = 1,	/* with record and lock */
	PT_KEEPER_BUSY,		/* server is there */
	PT_KEEPER_GUEST,	/* handed is there: its descriptors, then the pidfd */
	PT_KEEPER_NOTHING,	/* a connection of the door brought no message */
};

struct pt_keeper_told {
	__u64 magic;
	__u32 say;
	pid_t server;
	struct pt_lazy_handed handed;	/* its descriptors: -1 or not */
};

struct pt_keeper_word {
	__u32 why;		/* enum pt_lazy_part, or */
#define PT_KEEPER_TIMEOUT	100
#define PT_KEEPER_GIVE		101	/* with the userfaultfd, and the pidfd */
	__u64 timeout_ms;
	pid_t vmm;
};

/* pt_keeper_names: the files of a door, in its folder. */
struct pt_keeper_names {
	int folder_fd;
	bool has_door;
	char door[256], keeper[264], lock[264];
};

/* pt_keeper: the process. */
struct pt_keeper {
	struct pt_lazy_record *record;
	int record_fd, lock_fd;
	struct pt_keeper_names names;
	int listen_fd;		/* for servers; -1: the guest was refused */
	int server_fd;		/* -1: there is none */
	int parting_fd;		/* a server that waits until the names are removed;
				 * -1: none */
	pid_t server;
	int door_fd;		/* for the VMM; -1: it came, or nobody waits for it */
	bool is_shut;		/* the door lets nobody in any more */
	int vmm_fd;		/* a connection of the door, without a message; -1 */
	__u64 vmm_until_ns;
	bool has_guest;
	struct pt_lazy_handed handed;
	int uffd;		/* one of handed.fds; -1 */
	bool is_free;		/* in its system calls */
	__u64 timeout_ns;	/* 0: none */
	__u64 waits_since_ns;	/* an event waits for a server; 0: none does */
	__u64 read_cnt;		/* the record's, when that began */
};

/* pt_keeper_confine leaves this process the calls of a keeper: with a userfaultfd and a
 * process it can only ask whether they are there, and end that process. */
int pt_keeper_confine(void);

/* pt_keeper_spawn starts the keeper as a child of init. */
int pt_keeper_spawn(const struct pt_keeper *k);

#endif
