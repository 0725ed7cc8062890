/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ledger: the receiver's counts of all frames and records of a session, by
 * their fate.  This list defines the struct, the wire message and the JSON
 * keys.
 *
 * X(name, "what it counts")
 */
#ifndef PAGETRIM_LEDGER_H
#define PAGETRIM_LEDGER_H

#include <linux/types.h>

#define PT_LEDGER_FIELDS(X)						\
	X(received, "data frames that reached the agent")		\
	X(accepted, "frames taken, late ones among them")		\
	X(duplicate, "frames whose sequence number was taken before")	\
	X(late, "accepted frames that had been called missing")	\
	X(missing, "sequence numbers sent that never came")		\
	X(refused_auth, "frames whose checksum or tag is wrong")		\
	X(refused_record, "frames with unsound contents, or unknown pages")	\
	X(refused_window, "frames out of window or on their lane's old queue") \
	X(refused_unit, "frames whose blocks cannot be decompressed")	\
	X(placed, "records placed in memory")				\
	X(stale, "records older than what memory holds")		\
	X(refused_version, "copies and deltas of a version that is not held")	\
	X(records, "records of the accepted frames")			\
	X(probes, "probe frames, apart from all others")		\
	X(steered, "this session's frames steered by XDP")		\
	X(xdp_dropped, "this session's frames dropped by XDP")		\
	X(socket_dropped, "frames steered that the sockets dropped")	\
	X(queue_unaccounted, "frames on the queues that no counter explains")

struct pt_ledger {
#define X(name, text) __u64 name;
	PT_LEDGER_FIELDS(X)
#undef X
};

#endif
