/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room send: the sending end of a transfer.
 *
 *   knows         its phases from OPEN to COMMITTED, its lanes, accompanying files,
 *                 resumption
 *   may use       base trim seal wire net xdp xsk tls channel memory source
 *                 track live session lane
 *   must not know the receiving end, the command line
 */
/* sender: sends a memory to a receiver, from connecting to commit.
 *
 *     pt_sender_open     opens files, memory, device and sockets: everything that
 *                        requires a privilege; starts no thread, does not block,
 *                        and does not contact the receiver
 *     pt_sender_start    makes pt_sender_fd readable
 *     pt_sender_step     is called whenever pt_sender_fd is readable, until it
 *                        returns 0 or less, and passes these phases:
 *
 *         connect > set up > probe > compare > send > verify > commit > done
 *
 *     pt_sender_close    ends and frees the sender
 *
 * In phase compare the source is compared with the pages that the receiver
 * holds; the phase ends at once if it holds none.
 *
 * Threads: one thread, called control, calls open, start, step and close.  Any
 * thread may call cancel, set and status, until close.  The sender starts one
 * thread per lane, and some for reading.
 */
#ifndef SEND_SENDER_H
#define SEND_SENDER_H

#include "base/cpus.h"
#include "base/stages.h"
#include "channel/messages.h"
#include "lane/regulator.h"
#include "live/converge.h"
#include "live/live.h"
#include "memory/page_ranges.h"
#include "seal/cipher.h"
#include "source/source.h"
#include "tls/tls.h"
#include "trim/adaptive.h"
#include "trim/trim.h"
#include "wire/compress.h"
#include "xsk/umem.h"
#include "xsk/zero_copy.h"
#include <pagetrim/error.h>
#include <pagetrim/ledger.h>
#include <pagetrim/wire.h>

/* PT_SEND_PHASES: X(symbol, name), in the order in which a transfer passes
 * them.  name is used in messages and in JSON.  The tests read this list, and
 * kill a sender in each phase. */
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

/* PT_SEND_LIVE_STEPS: X(symbol, name), the steps of memory that changes, in
 * phase active until LAST, HAND_OVER in phase verify; with post-copy LACK and those
 * behind it follow STOP, see sender_postcopy.h.  The tests read this list,
 * too. */
#define PT_SEND_LIVE_STEPS(X)		\
	X(NONE, "")			\
	X(ARM, "arm")			\
	X(ROUND, "round")		\
	X(LOOK, "look")			\
	X(BEGIN, "begin")		\
	X(STOP, "stop")			\
	X(LAST, "last")			\
	X(HAND_OVER, "device")		\
	X(LACK, "lacking")		\
	X(EARLY, "early device")	\
	X(RUN, "run")			\
	X(FILL, "fill")

enum pt_send_live_step {
#define X(symbol, name) PT_SEND_LIVE_##symbol,
	PT_SEND_LIVE_STEPS(X)
#undef X
};

/* pt_send_trim: the method that chooses the blocks of a page to send, see
 * trim.h. */
enum pt_send_trim {
	PT_SEND_TRIM_DEFAULT,	/* BLOCKS */
	PT_SEND_TRIM_NONE,
	PT_SEND_TRIM_ENDS,
	PT_SEND_TRIM_BLOCKS,
};

/* pt_send_copies: whether a page that equals another may be sent as a copy
 * record. */
enum pt_send_copies {
	PT_SEND_COPIES_AUTO,	/* if the receiver accepts copies; not with
				 * pad, since they make frames smaller */
	PT_SEND_COPIES_ON,	/* if the receiver accepts none, the transfer
				 * fails; not with pad */
	PT_SEND_COPIES_OFF,
};

/* pt_send_compress: how frames are compressed. */
enum pt_send_compress {
	PT_SEND_COMPRESS_AUTO,	/* each lane chooses by the rates that it reaches;
				 * off with pad */
	PT_SEND_COMPRESS_OFF,
	PT_SEND_COMPRESS_LZ4,	/* if the receiver lacks the method, the transfer */
	PT_SEND_COMPRESS_ZSTD,	/* fails; not with pad */
};

#define PT_SEND_DELTA_CACHE_SZ	(64ULL << 20)
#define PT_SEND_DELTA_CACHE_MAX	(1ULL << 40)
#define PT_SEND_DELTA_OFF	(~0ULL)

/* pt_send_lane_report: the state of one lane. */
struct pt_send_lane_report {
	__u16 tx_queue;
	__u16 rx_queue;		/* the receiver's, where its frames arrive */
	__u32 frame_sz;		/* Ethernet bytes of its largest frame */
	enum pt_hugepages hugepages;	/* of its memory */
	bool zero_copy;		/* of its socket; else copy mode */
	__u64 frames;
};

/* pt_send_live_report: memory that changes.  Times are 0 before they are
 * known. */
struct pt_send_live_report {
	enum pt_send_live_step step;
	struct pt_live_report tracking;
	struct pt_round round;		/* the present or last one */
	__u32 throttle;			/* percent of its CPU time that the guest
					 * loses at present */
	__u64 downtime_limit_ns;
	__u64 last_pages;		/* sent after the stop */
	bool is_handed;			/* the guest runs at the receiver */
	__u64 lacking_pages;		/* that were to come when it was stopped */
	__u64 wanted_pages;		/* of these, for which it waited */
	__u64 state_sz;			/* bytes of the device state */
	__u64 downtime_ns;		/* from the stop to COMMITTED, or until the
					 * process ran on, of which: */
	__u64 recheck_ns;		/* the last pages were found */
	__u64 last_ns;			/* and sent */
	__u64 verify_ns;
	__u64 state_ns;			/* the device state was handed over */
	__u64 commit_ns;		/* the guest was started */
	__u64 fill_ns;			/* from then on until all was committed */
};

/* pt_send_method: counts of one method of compression. */
struct pt_send_method {
	__u64 frames;
	__u64 raw;		/* bytes of their blocks, before ... */
	__u64 sz;		/* ... and after they were compressed */
};

struct pt_send_report {
	enum pt_send_phase phase;	/* the present or last one */
	__u64 memory_sz;	/* bytes of all segments */
	__u64 page_cnt;
	__u64 files_sz;		/* bytes of the --with files */
	__u64 files_sent_sz;	/* bytes of them that were sent */
	bool is_resumed;	/* the receiver holds a part of the memory */
	__u64 held_page_cnt;	/* nonzero pages that it holds, not sent again */
	__u64 held_block_bytes;	/* bytes of their blocks */
	bool knows_large;	/* large_cnt is known */
	__u64 large_cnt;	/* large pages of 2 MiB in which the memory stands */
	bool uses_deltas;	/* both ends support deltas, cfg allows them, and
				 * the memory changes */
	bool uses_copies;	/* both ends support copies, and cfg allows them */
	__u64 pages_left;	/* still dirty */
	__u64 pages_sent;	/* nonzero pages, including those sent again */
	__u64 copies;		/* pages of pages_sent that were sent as copies */
	__u64 deltas;		/* pages of pages_sent that were sent as deltas */
	__u64 delta_saved;	/* bytes of blocks that were not sent therefore */
	__u64 delta_cache_sz;	/* bytes that remember sent pages */
	__u64 put_off;		/* pages that waited once for their original */
	__u64 zero_pages_sent;	/* pages without data */
	__u64 unreadable_sent;	/* pages of these that could not be read */
	struct pt_page_names unreadable;	/* once all is committed: those
				 * that the receiver has as unreadable, by gfn */
	__u64 zeroed_pages;	/* pages that could not be read, and went as zero */
	__u64 frames;		/* data frames */
	__u64 frames_lost;	/* frames that the receiver reported missing */
	__u64 probes;
	__u64 wire_bytes;	/* Ethernet bytes of data frames, no FCS */
	__u64 block_bytes;	/* bytes of blocks in them, before they were
				 * compressed */
	const char *compression;	/* "none", "lz4", "zstd" or "auto" */
	struct pt_send_method methods[PT_COMPRESSION_CNT];	/* of frames, by the
				 * method of their blocks; if observes: that they would
				 * have had */
	__u64 compress_switches;	/* of the lanes' methods */
	__u64 credit_waits;
	__u64 path_waits;	/* waits of a lane for the congestion window */
	bool has_path;		/* the receiver reports arrivals */
	struct pt_regulator_look path;	/* estimates of the congestion controller */
	bool observes;		/* the adaptive scan and the choice of the
				 * compression only count */
	struct pt_adaptive_counts adaptive;	/* of all lanes */
	__u32 generations;	/* highest of any lane */
	__u64 setup_ns;		/* from open to the first data frame */
	__u64 compare_ns;	/* part of setup_ns */
	__u64 send_ns;		/* until the last acknowledgement */
	__u64 verify_ns;	/* from then until VERIFIED */
	__u64 recheck_ns;	/* part of verify_ns: the source is read again */
	__u64 commit_ns;
	__u64 total_ns;		/* since open */
	bool is_paused;
	__u64 paused_ns;	/* in earlier pauses */
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
	struct pt_profile control;	/* of control's thread */
	struct pt_send_live_report live;
};

/* pt_send_left_sz returns the bytes of the memory still to be sent.  It is at
 * most memory_sz, although a segment may end within a page.  Before SEND,
 * pages_left is not yet counted. */
static inline __u64 pt_send_left_sz(const struct pt_send_report *r)
{
	__u64 left = r->pages_left * PT_PAGE_SZ;

	return r->phase < PT_SEND_SEND || left > r->memory_sz ? r->memory_sz
							      : left;
}

/* pt_send_live_cfg: memory that changes while it is sent. */
struct pt_send_live_cfg {
	enum pt_live_kind kind;		/* ROUNDS or GUEST; or REST, of which guest_id
					 * and look alone are used: the memory stands
					 * still, and the receiver says what it lacks */
	__u64 guest_id;			/* of a GUEST with postcopy, and of a REST: as
					 * pt_qemu_guest_id */
	pid_t pid;			/* the process that writes it, */
	const __u64 *addrs;		/* where each segment is mapped there;
					 * NULL: unknown, digests are used unless
					 * the source has mappings */
	enum pt_live_tracker tracker;
	struct pt_converge_cfg converge;
	bool postcopy;			/* a GUEST is handed over after ... */
	__u32 postcopy_after;		/* ... so many rounds */
	struct pt_live_guest guest;
	const char *description;	/* of a GUEST, for the receiver */
	const char *look;		/* the remedy for an unknown outcome of
					 * a GUEST; NULL: QEMU's */
	/* committing is called before COMMIT is sent: from then on the guest
	 * here must not run again.  step calls it, and round after each round,
	 * and entered on entering a step.  NULL: they are not called. */
	void (*committing)(void *arg);
	void (*round)(const struct pt_round *round, void *arg);
	void (*entered)(enum pt_send_live_step step, void *arg);
	void *arg;
};

struct pt_send_part;	/* see send_files.h */

/* pt_sender_cfg: zero means the default in every field.  The caller owns all
 * that pointers refer to, and keeps it unchanged until close. */
struct pt_sender_cfg {
	const char *dev;
	const char *to;			/* "HOST[:PORT]" */
	struct pt_source *source;
	const char *name;		/* for a receiver that serves */
	const char *const *files;	/* paths of the --with files */
	__u32 file_cnt;
	const struct pt_send_part *parts;	/* that go likewise; of other
						 * names */
	__u32 part_cnt;
	enum pt_send_trim trim;
	struct pt_cpus cpus;		/* of the lanes */
	bool observe;			/* search all pages: the adaptive scan
					 * only counts */
	struct pt_tls *tls;		/* NULL: insecure */
	__u16 ciphers;			/* PT_CIPHER_BIT of each allowed one; 0:
					 * any */
	__u8 rekey_log2;		/* log2 of the frames sealed with one
					 * key; 0: PT_REKEY_LOG2_MAX */
	bool pad;			/* hide which pages and blocks are zero;
					 * only with tls */
	enum pt_send_copies copies;
	__u64 delta_cache_sz;		/* bytes to remember pages of a memory that
					 * changes, so that they may go as deltas;
					 * PT_SEND_DELTA_OFF: none; 0:
					 * PT_SEND_DELTA_CACHE_SZ */
	enum pt_send_compress compress;
	__u8 compress_level;		/* of zstd, 1..PT_COMPRESS_LEVEL_MAX; 0:
					 * PT_COMPRESS_LEVEL */
	bool resume;			/* send only pages that the receiver
					 * does not hold */
	bool recheck;			/* read the source again before the
					 * commit, and fail if it changed */
	__u32 queue_cnt;		/* 1..PT_LANES_MAX; 0, PT_QUEUES_AUTO:
					 * the useful number of free ones */
	__u32 lane_cnt;			/* 1..PT_LANES_MAX, of all queues; 0: one
					 * each */
	enum pt_hugepages hugepages;	/* for the lanes' memory */
	bool profile;			/* see has_profile */
	bool generic;			/* copy mode */
	enum pt_zero_copy zero_copy;
	__u32 mtu;			/* 0: the largest that passes */
	__u64 bytes_per_s;		/* limit of Ethernet bytes, for
					 * pt_rate_choose; 0: none */
	__u32 peer_timeout_ms;		/* 0: PT_PEER_TIMEOUT_MS */
	const struct pt_send_live_cfg *live;	/* NULL: the memory stands
						 * still */
	/* warn reports faults that do not end the transfer.  step calls it; NULL: it
	 * is not called. */
	void (*warn)(const char *text, void *arg);
	void *arg;
};

struct pt_sender;

/* pt_sender_open opens a sender, which the caller closes.  Errors name the
 * device, the file or the missing privilege.  After a failure nothing stays
 * open. */
int pt_sender_open(struct pt_sender **out, const struct pt_sender_cfg *cfg,
		   struct pt_error *err);

/* pt_sender_start starts the transfer, once. */
int pt_sender_start(struct pt_sender *s, struct pt_error *err);

/* pt_sender_fd returns a descriptor for poll and epoll, POLLIN only: step has
 * work.  It is valid until close. */
int pt_sender_fd(const struct pt_sender *s);

/* pt_sender_step does all present work.  1: the transfer continues; 0: the
 * receiver has committed; -errno: it failed, and err has reason and exit code;
 * PT_EXIT_UNKNOWN: the commit may or may not have happened.  After 0 or less,
 * further calls return the same.  It does not block, except for seconds while
 * zero copy resets the card. */
int pt_sender_step(struct pt_sender *s, struct pt_error *err);

/* pt_sender_is_held_up: step has returned 0 or less, and connection, sockets
 * and program are closed, but a thread still waits for the source's storage, so
 * that close would block. */
bool pt_sender_is_held_up(const struct pt_sender *s);

/* pt_sender_cancel ends the transfer with -ECANCELED; a begun commit gets 0.3 s
 * to finish.  Any thread may call it, and a signal handler. */
void pt_sender_cancel(struct pt_sender *s);

/* The next four change a transfer that runs, from open on: -EBUSY: it is ending.
 * Any thread may call them, but no signal handler.
 *
 * pt_sender_set_rate changes the limit, like bytes_per_s of the cfg; the
 * receiver's limit stays, if it has one.  Other errors are those of
 * pt_rate_choose. */
int pt_sender_set_rate(struct pt_sender *s, __u64 bytes_per_s,
		       struct pt_error *err);

/* pt_sender_set_downtime changes the limit of the expected downtime.
 *   -EINVAL  the memory does not change while it is sent
 *   -EBUSY   as above, or the guest is being stopped */
int pt_sender_set_downtime(struct pt_sender *s, __u32 downtime_ms,
			   struct pt_error *err);

/* pt_sender_pause: within PT_PACER_WAIT_NS no frame of data leaves any more, and
 * no round of memory that changes ends, until a resumption.  The session stays
 * alive for as long as the receiver's deadline allows, see due.h.  -EBUSY, too: the
 * guest is being stopped, or all was sent. */
int pt_sender_pause(struct pt_sender *s, bool is_paused, struct pt_error *err);

/* pt_sender_cancel_early is pt_sender_cancel, but -EBUSY, too, once the commit has
 * begun: then the outcome might remain unknown. */
int pt_sender_cancel_early(struct pt_sender *s, struct pt_error *err);

/* pt_sender_status writes the present report.  Any thread may call it. */
void pt_sender_status(struct pt_sender *s, struct pt_send_report *report);

/* pt_sender_close cancels a transfer that has not ended, waits for all threads,
 * and frees the sender.  NULL is allowed. */
void pt_sender_close(struct pt_sender *s);

const char *pt_send_phase_name(enum pt_send_phase phase);
const char *pt_send_live_step_name(enum pt_send_live_step step);

#endif
