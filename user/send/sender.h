/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room send: the sending end of a transfer.
 *
 *   knows         its phases from OPEN to COMMITTED, its lanes, files that come along,
 *                 resuming
 *   may use       base trim seal wire net xdp xsk tls channel memory source
 *                 session lane
 *   must not know the receiving end, the command line
 */
/* sender: sends a memory to a receiver, from connecting to commit.
 *
 *     pt_sender_open     files, memory, device, sockets: all that takes a privilege;
 *                        starts no thread, speaks to nobody, waits for nobody
 *     pt_sender_start    from here on there is something to do
 *     pt_sender_step     whenever pt_sender_fd is readable, until it returns 0 or less:
 *
 *         connect > set up > probe > compare > send > verify > commit > done
 *
 *     pt_sender_close
 *
 * compare: with what the receiver holds; over at once if that is nothing.
 *
 * Threads: open, start, step and close by one, which is control; cancel, set and
 * status by any, until close.  It starts a thread for each lane, and some for reading.
 */
#ifndef SEND_SENDER_H
#define SEND_SENDER_H

#include "base/cpus.h"
#include "base/stages.h"
#include "lane/regulator.h"
#include "seal/cipher.h"
#include "source/source.h"
#include "tls/tls.h"
#include "trim/adaptive.h"
#include "trim/trim.h"
#include "xsk/umem.h"
#include "xsk/zero_copy.h"
#include <pagetrim/error.h>
#include <pagetrim/ledger.h>
#include <pagetrim/wire.h>

/* PT_SEND_PHASES: X(symbol, name), in the order in which a transfer passes
 * them.  name is what people and JSON are told.  The tests read this list, and
 * kill a sender in each of these. */
#define PT_SEND_PHASES(X)		\
	X(CONNECT, "connect")		\
	X(SETUP, "setup")		\
	X(PROBE, "probe")		\
	X(COMPARE, "compare")		\
	X(SEND, "active")		\
	X(VERIFY, "verify")		\
	X(COMMIT, "commit")		\
	X(DONE, "completed")

enum pt_send_phase {
#define X(symbol, name) PT_SEND_##symbol,
	PT_SEND_PHASES(X)
#undef X
};

/* pt_send_trim: which blocks of a page travel, see trim.h. */
enum pt_send_trim {
	PT_SEND_TRIM_DEFAULT,	/* BLOCKS */
	PT_SEND_TRIM_NONE,
	PT_SEND_TRIM_ENDS,
	PT_SEND_TRIM_BLOCKS,
};

/* pt_send_copies: whether a page that equals another may go as a copy of it. */
enum pt_send_copies {
	PT_SEND_COPIES_AUTO,	/* where the receiver takes them and frames are
				 * not sealed: records stand in clear */
	PT_SEND_COPIES_ON,	/* else the transfer fails; never with pad */
	PT_SEND_COPIES_OFF,
};

/* pt_send_lane_report: one lane's part. */
struct pt_send_lane_report {
	__u16 tx_queue;
	__u16 rx_queue;		/* of the receiver, where it arrives */
	__u32 frame_sz;		/* Ethernet bytes of its largest frame */
	enum pt_hugepages hugepages;	/* its memory's */
	bool zero_copy;		/* its socket; else copy mode */
	__u64 frames;
};

struct pt_send_report {
	enum pt_send_phase phase;	/* reached */
	__u64 memory_sz;	/* bytes of all segments */
	__u64 page_cnt;
	__u64 files_sz;		/* bytes of the --with files */
	__u64 files_sent_sz;	/* of them */
	bool is_resumed;	/* the receiver holds something of it */
	__u64 held_page_cnt;	/* it has them: not zero, and not sent */
	__u64 held_block_bytes;	/* of blocks not sent therefore */
	bool uses_copies;	/* both ends have them, and they are wanted */
	__u64 pages_left;	/* still dirty */
	__u64 pages_sent;	/* non-zero pages, sent again ones too */
	__u64 copies;		/* of them, as copies of others */
	__u64 put_off;		/* pages that waited, once, to go as copies */
	__u64 zero_pages_sent;
	__u64 frames;		/* data frames */
	__u64 frames_lost;	/* reported missing at some time */
	__u64 probes;
	__u64 wire_bytes;	/* Ethernet bytes of data frames, no FCS */
	__u64 block_bytes;	/* bytes of blocks in them */
	__u64 credit_waits;
	__u64 path_waits;	/* times a lane waited for the path */
	bool has_path;		/* the receiver tells when frames arrive */
	struct pt_regulator_look path;	/* what its controller has found */
	bool observes;		/* the governor decides nothing */
	struct pt_adaptive_counts governor;	/* of all lanes */
	__u32 generations;	/* highest of any lane */
	__u64 setup_ns;		/* connect to first data frame */
	__u64 compare_ns;	/* part of it */
	__u64 send_ns;		/* to the last acknowledgement */
	__u64 verify_ns;	/* to when both ends are sure */
	__u64 recheck_ns;	/* part of it: reading the source again */
	__u64 commit_ns;
	__u64 total_ns;		/* from open */
	__u64 bytes_per_s;	/* the limit; 0: none */
	__u64 transfer_id;
	__u64 session_id;
	enum pt_cipher cipher;	/* of the frames; NONE: not sealed */
	bool has_ledger;
	struct pt_ledger ledger;	/* the receiver's */
	__u64 unaccounted;
	__u32 lane_cnt;
	struct pt_send_lane_report lanes[PT_LANES_MAX];
	bool has_profile;
	struct pt_profile profile;	/* of the lanes' threads */
	struct pt_profile control;	/* and of the one beside them */
};

/* pt_send_left_sz: bytes of the memory still to be sent, never more than it has:
 * a segment may end within a page.  Lanes count from SEND on. */
static inline __u64 pt_send_left_sz(const struct pt_send_report *r)
{
	__u64 left = r->pages_left * PT_PAGE_SZ;

	return r->phase < PT_SEND_SEND || left > r->memory_sz ? r->memory_sz
							      : left;
}

/* pt_sender_cfg: zero means the default, everywhere.  What is pointed to is the
 * caller's, and stays as it is until close. */
struct pt_sender_cfg {
	const char *dev;
	const char *to;			/* "HOST[:PORT]" */
	struct pt_source *source;
	const char *name;		/* for a receiver that serves */
	const char *const *files;	/* paths of the --with files */
	__u32 file_cnt;
	enum pt_send_trim trim;
	struct pt_cpus cpus;		/* of the lanes */
	bool observe;			/* trim as if there were no governor */
	struct pt_tls *tls;		/* NULL: insecure */
	__u16 ciphers;			/* PT_CIPHER_BIT of those that will do;
					 * 0: any */
	__u8 rekey_log2;		/* frames sealed with one key; 0:
					 * PT_REKEY_LOG2_MAX */
	bool pad;			/* hide which pages and blocks are zero;
					 * only with tls */
	enum pt_send_copies copies;
	bool resume;			/* take up what the receiver holds */
	bool recheck;			/* read the source again before commit:
					 * no change may go unseen */
	__u32 queue_cnt;		/* 1..PT_LANES_MAX; 0, PT_QUEUES_AUTO: as
					 * many as are free and of use */
	enum pt_hugepages hugepages;	/* for the lanes' memory */
	bool profile;			/* see has_profile */
	bool generic;			/* copy mode */
	enum pt_zero_copy zero_copy;
	__u32 mtu;			/* 0: as large as passes */
	__u64 bytes_per_s;		/* of Ethernet bytes: as pt_rate_choose
					 * takes it; 0: no limit */
	__u32 peer_timeout_ms;		/* 0: PT_PEER_TIMEOUT_MS */
	/* warn: what does not end the transfer.  Called by step; may be NULL. */
	void (*warn)(const char *text, void *arg);
	void *arg;
};

struct pt_sender;

/* pt_sender_open.  Errors name device, file or what is missing.  On failure nothing is
 * held. */
int pt_sender_open(struct pt_sender **out, const struct pt_sender_cfg *cfg,
		   struct pt_error *err);

/* pt_sender_start, once. */
int pt_sender_start(struct pt_sender *s, struct pt_error *err);

/* pt_sender_fd: for poll and epoll, POLLIN only: step has something to do.  Valid
 * until close. */
int pt_sender_fd(const struct pt_sender *s);

/* pt_sender_step does what is to be done now.  1: go on; 0: the receiver has
 * committed; else -errno, err says why and how to exit; PT_EXIT_UNKNOWN when the commit
 * may or may not have happened.  Once it has returned 0 or less, it returns that.
 * It waits for nothing, but for a card that zero copy resets: seconds. */
int pt_sender_step(struct pt_sender *s, struct pt_error *err);

/* pt_sender_is_held_up: step has returned 0 or less, the receiver was told, and
 * connection, sockets and program are closed; but a thread still waits for the
 * source's storage, and close would wait for it. */
bool pt_sender_is_held_up(const struct pt_sender *s);

/* pt_sender_cancel ends the transfer, with -ECANCELED; a commit that has begun is given
 * a moment.  Any thread; also in a signal handler. */
void pt_sender_cancel(struct pt_sender *s);

/* pt_sender_set_rate changes the limit, as bytes_per_s of the cfg: errors as
 * pt_rate_choose.  Any thread. */
int pt_sender_set_rate(struct pt_sender *s, __u64 bytes_per_s,
		       struct pt_error *err);

/* pt_sender_status: as far as it got.  Any thread. */
void pt_sender_status(struct pt_sender *s, struct pt_send_report *report);

/* pt_sender_close ends what has not ended, as cancel, and frees.  NULL is fine. */
void pt_sender_close(struct pt_sender *s);

const char *pt_send_phase_name(enum pt_send_phase phase);

#endif
