/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room receive: the receiving end: all transfers of one agent.
 *
 *   knows         sessions and their states, quotas, storage and who waits for it,
 *                 held images
 *   may use       base seal net xdp xsk tls channel memory sink rebuild session rxq
 *   must not know the sending end, the command line
 */
/* receiver: takes transfers and rebuilds their memory.
 *
 *     pt_receiver_open     device, queues, XDP program, sockets, TCP port: all that
 *                          takes a privilege; starts no thread, waits for nobody
 *     pt_receiver_start    the place of the image, threads
 *     pt_receiver_step     whenever pt_receiver_fd is readable, until it returns 0 or
 *                          less: one transfer has ended, or it was cancelled
 *     pt_receiver_close    detaches, frees; what is not committed is removed
 *
 * Threads: open, start, step and close by one, which is control; cancel and status by
 * any, until close.  It starts a thread for each queue, and some for storage.
 */
#ifndef RECEIVE_RECEIVER_H
#define RECEIVE_RECEIVER_H

#include "base/cpus.h"
#include "base/stages.h"
#include "net/address.h"
#include "receive/admission.h"
#include "seal/cipher.h"
#include "sink/sink.h"
#include "tls/tls.h"
#include "xsk/xsk.h"
#include "xsk/zero_copy.h"
#include <pagetrim/error.h>
#include <pagetrim/ledger.h>
#include <pagetrim/wire.h>

/* pt_receive_report: one transfer, as far as it got. */
struct pt_receive_report {
	int result;		/* 0: committed; else -errno */
	struct pt_error error;	/* if result is not 0 */
	char name[129];
	char path[512];		/* of the image */
	char peer[PT_ADDRESS_TEXT_SZ];
	__u64 transfer_id;
	__u64 session_id;
	enum pt_cipher cipher;	/* of the frames; NONE: not sealed */
	__u64 memory_sz;	/* bytes */
	__u64 placed_sz;	/* bytes of blocks placed */
	bool is_resumed;	/* it took up what another one left */
	bool is_kept;		/* it failed, and left something to take up */
	__u32 answers_ms;	/* so long its sender, which did not hear how it
				 * ended, may ask; 0: we do not wait for that */
	__u64 held_page_cnt;	/* that was in it, and not zero */
	__u64 files_sz;
	__u32 segment_cnt;
	__u32 lane_cnt;
	__u32 queue_cnt;	/* of the receiver */
	__u16 queues[PT_LANES_MAX];
	bool zero_copy[PT_LANES_MAX];	/* their sockets; else copy mode */
	enum pt_hugepages hugepages;	/* ON: of all of them */
	__u64 total_ns;		/* OPEN to the end */
	__u64 commit_ns;	/* to disk and renamed */
	__u64 waited_ns;	/* for storage, when last so */
	bool has_ledger;
	struct pt_ledger ledger;
	__u64 sent;		/* frames, as the sender says */
	__u64 unaccounted;
	bool has_profile;
	struct pt_profile profile;	/* of the queues' threads meanwhile,
					 * whichever transfer they served */
	struct pt_profile placers;	/* of those that place, if queues do not */
};

/* pt_receive_events: what a command line may want to show.  Called by
 * step; any may be NULL. */
struct pt_receive_events {
	void (*opened)(const struct pt_receive_report *report, void *arg);
	void (*progress)(const struct pt_receive_report *report, void *arg);
	void (*waiting)(const struct pt_receive_report *report, bool begins,
			void *arg);	/* for storage, longer than a second */
	void (*ended)(const struct pt_receive_report *report, void *arg);
	void (*stranger)(const struct pt_error *err, void *arg);
	void *arg;
};

#define PT_RECEIVER_MEMORY_SZ		(16ULL << 40)
#define PT_RECEIVER_FILES_SZ		(1ULL << 40)
#define PT_RECEIVER_PEER_TRANSFERS	48

/* pt_receiver_cfg: zero means the default, everywhere.  What is pointed to is the
 * caller's, and stays as it is until close. */
struct pt_receiver_cfg {
	const char *dev;
	const char *listen;	/* "ADDR[:PORT]" */
	const char *path;	/* of the image; serve: of a folder */
	struct pt_sink *sink;	/* instead of path: where the memory goes, the
				 * caller's, not fit yet; it outlives the
				 * receiver.  Not with serve, resume or
				 * prealloc_sz */
	bool serve;		/* keep accepting, several at once */
	bool resume;		/* keep what a failed transfer brought, and
				 * take it up */
	__u64 prealloc_sz;	/* bytes of the image to allocate before a sender
				 * comes; 0: none.  Not with serve or resume */
	bool generic;		/* XDP mode */
	enum pt_zero_copy zero_copy;
	enum pt_hugepages hugepages;	/* for the queues' memory */
	bool profile;		/* see has_profile */
	struct pt_cpus cpus;	/* of the queues' threads */
	__u32 queue_cnt;	/* 1..PT_LANES_MAX; 0, PT_QUEUES_AUTO: as many
				 * as are free and of use */
	struct pt_peer_limits peer;	/* transfers 0: PT_RECEIVER_PEER_TRANSFERS */
	__u64 files_sz_max;	/* bytes of files along, of a transfer; see
				 * pt_quota_file_sz.  0: PT_RECEIVER_FILES_SZ */
	__u64 memory_sz_max;	/* bytes of memory that may be announced, all
				 * transfers together; 0: PT_RECEIVER_MEMORY_SZ */
	__u32 peer_timeout_ms;	/* 0: PT_PEER_TIMEOUT_MS */
	struct pt_tls *tls;	/* NULL: insecure */
	__u16 ciphers;		/* PT_CIPHER_BIT of those taken; 0: any */
	struct pt_receive_events events;
};

struct pt_receiver_info {
	char listen[PT_ADDRESS_TEXT_SZ];	/* with the port it got */
	bool generic;
	bool pinned;		/* uses the program of pagetrim attach */
	bool zero_copy[PT_LANES_MAX];	/* by queue; else copy mode */
	struct pt_error copy_why;	/* if somebody may wonder; text "" else */
	bool multi_buffer;
	enum pt_hugepages hugepages;	/* ON: of all queues */
	__u32 program_id;
	__u32 queue_cnt;
	__u16 queues[PT_LANES_MAX];
};

struct pt_receiver;

/* pt_receiver_open.  Errors name device, queue, address or path.  On failure nothing
 * is held. */
int pt_receiver_open(struct pt_receiver **out, const struct pt_receiver_cfg *cfg,
		     struct pt_error *err);

/* pt_receiver_info, once started, by control, until close.  It describes what was
 * started, also once that has ended. */
void pt_receiver_info(const struct pt_receiver *r,
		      struct pt_receiver_info *info);

/* pt_receiver_start, once, checks that the image can be made, as who the process is
 * now, allocates what is to be, binds the sockets, and starts the queues' threads.  It
 * waits for a carrier that was reset, and for prealloc_sz; -ECANCELED: it was cancelled
 * meanwhile.  -EINVAL: it was started before, even if that failed: close it. */
int pt_receiver_start(struct pt_receiver *r, struct pt_error *err);

/* pt_receiver_fd: for poll and epoll, POLLIN only: step has something to do.  Valid
 * until close. */
int pt_receiver_fd(const struct pt_receiver *r);

/* pt_receiver_step does what is to be done now, and waits for nothing.  1: go on; else
 * the result of the one transfer, or, with serve, 0 once cancelled.  -ECANCELED: it was
 * cancelled before one transfer was done; PT_EXIT_UNKNOWN: within its commit.  Once it
 * has returned 0 or less, it returns that. */
int pt_receiver_step(struct pt_receiver *r, struct pt_error *err);

/* pt_receiver_cancel ends it; a commit that has begun is waited for, and what failed
 * transfers brought is removed.  The second time commits are not waited for, and the
 * removal for 10 s; the third time nothing is.  Any thread; also in a signal handler. */
void pt_receiver_cancel(struct pt_receiver *r);

/* pt_receiver_status writes the reports of up to max transfers that have not ended,
 * and returns how many there are.  Any thread. */
__u32 pt_receiver_status(struct pt_receiver *r,
			 struct pt_receive_report *reports, __u32 max);

/* pt_receiver_close ends what has not ended, as cancel, waits for that, and frees.
 * NULL is fine.  False: it was cancelled several times, and did not wait for storage;
 * threads may still use all that the cfg points to, which must stay. */
bool pt_receiver_close(struct pt_receiver *r);

#endif
