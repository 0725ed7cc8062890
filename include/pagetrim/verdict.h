/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* verdict: the XDP program's decision about a frame.  Each frame gets exactly
 * one verdict and adds one to exactly one counter of its queue.  The enum, the
 * counter fields (the names that bpftool prints), `pagetrim stats`, the agent
 * and the docs all come from this list.  Append only.
 *
 * X(SYMBOL, name, "what it means")
 */
#ifndef PAGETRIM_VERDICT_H
#define PAGETRIM_VERDICT_H

#include <linux/types.h>

#define PT_VERDICTS(X)							\
	X(PASSED, passed, "not ours: left to the kernel")		\
	X(STEERED, steered, "sound: given to the queue's AF_XDP socket")	\
	X(NO_SOCKET, no_socket, "sound, but no socket holds the queue")	\
	X(TRUNCATED, truncated, "ends before its lengths say")		\
	X(BAD_MAGIC, bad_magic, "to our port, but not pagetrim")		\
	X(BAD_VERSION, bad_version, "another version of the wire format")	\
	X(BAD_HEADER, bad_header, "frame header out of range")		\
	X(BAD_RECORD, bad_record, "page records not sound")		\
	X(UNKNOWN_SESSION, unknown_session, "no such session is open")	\
	X(WRONG_QUEUE, wrong_queue, "on another queue than agreed")	\
	X(BAD_MAC, bad_mac, "header's keyed check fails: forged")	\
	X(IN_PIECES, in_pieces, "sound, but this kernel gives sockets no pieces")

enum pt_verdict {
#define X(SYMBOL, name, text) PT_VERDICT_##SYMBOL,
	PT_VERDICTS(X)
#undef X
	PT_VERDICT_CNT
};

/* pt_counters: the value of the counter maps, of one CPU.  For a queue, seen =
 * the sum of the verdicts.  For a session, passed, bad_magic, bad_version and
 * unknown_session stay 0, since such frames name no session, and so does
 * bad_mac, since a forger is not of the session. */
struct pt_counters {
	__u64 seen;		/* frames that entered the program */
	__u64 seen_bytes;	/* Ethernet bytes of those frames */
#define X(SYMBOL, name, text) __u64 name;
	PT_VERDICTS(X)
#undef X
};

#endif
