/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room peers: the rights of each sender at a receiver, by its identity.
 *
 *   knows         the file of --peers: folders, names, quotas, rates
 *   may use       base
 *   must not know connections, sessions, the command line
 */
/* peers: the sections of a file, each for one sender; see pagetrim.conf(5).
 *
 *	[host-one]			its identity
 *	folder = one			of its images; no other section has it
 *	name = vm-*			names that it may use
 *	quota = 64G			bytes of its transfers at once
 *	bandwidth = 1Gbit/s
 *
 * Since no two sections have one folder, a sender resumes and replaces only data
 * that it has sent itself.
 *
 * Constant once read.  Threads: any.
 */
#ifndef PEERS_PEERS_H
#define PEERS_PEERS_H

#include <stdbool.h>

#include <linux/types.h>

#include <pagetrim/error.h>

#define PT_PEERS_MAX		256	/* sections */
#define PT_PEERS_IDENTITY_SZ	256	/* with NUL */
#define PT_PEERS_IDENTITIES	4	/* of a section */
#define PT_PEERS_NAME_SZ	129	/* with NUL */
#define PT_PEERS_NAMES		16	/* of a section */
#define PT_PEERS_FOLDER_SZ	384	/* with NUL */

struct pt_peer {
	char identities[PT_PEERS_IDENTITIES][PT_PEERS_IDENTITY_SZ];
	__u32 identity_cnt;		/* the first is the section's */
	char folder[PT_PEERS_FOLDER_SZ];
	char names[PT_PEERS_NAMES][PT_PEERS_NAME_SZ];	/* patterns */
	__u32 name_cnt;			/* 0: any name */
	__u64 quota_sz;			/* bytes of memory and files; 0: any */
	__u64 bytes_per_s;		/* of Ethernet; 0: any */
	unsigned int line;		/* of the section */
};

struct pt_peers {
	__u32 cnt;
	struct pt_peer *all;
};

/* pt_peers_open reads path.  A relative folder is one of base.  On success returns
 * 0 and *out is the caller's, to pt_peers_close.  Errors name file and line.
 *   -EINVAL  not in the form above, or two sections with one identity or folder
 *   or as pt_config_open, stat(2) and access(2) say of the file and the folders */
int pt_peers_open(struct pt_peers **out, const char *path, const char *base,
		  struct pt_error *err);

/* pt_peers_find returns the peer with that identity; NULL: none. */
const struct pt_peer *pt_peers_find(const struct pt_peers *p,
				    const char *identity);

/* pt_peer_may_name: the peer may send an image of that name. */
bool pt_peer_may_name(const struct pt_peer *peer, const char *name);

/* pt_peers_close frees.  NULL is allowed. */
void pt_peers_close(struct pt_peers *p);

#endif
