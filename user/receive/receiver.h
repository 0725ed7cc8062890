/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room receive: the receiving end: all transfers of one agent.
 *
 *   knows         sessions and their states, quotas, jobs that wait for storage,
 *                 kept images
 *   may use       base peers seal net xdp xsk tls channel memory sink image rebuild
 *                 session rxq
 *   must not know the sending end, the command line
 */
/* receiver: accepts transfers and rebuilds their memory.
 *
 *     pt_receiver_open     opens device, queues, XDP program, sockets and TCP port:
 *                          everything that requires a privilege; starts no thread
 *                          and does not block
 *     pt_receiver_start    checks the image's path, starts threads
 *     pt_receiver_step     is called whenever pt_receiver_fd is readable, until it
 *                          returns 0 or less: one transfer has ended, or the
 *                          receiver was cancelled
 *     pt_receiver_close    detaches and frees; removes uncommitted data
 *
 * Threads: one thread, called control, calls open, start, step and close.  Any
 * thread may call cancel and status, until close.  The receiver starts one
 * thread per queue, and some for storage.
 */
#ifndef RECEIVE_RECEIVER_H
#define RECEIVE_RECEIVER_H

#include "base/cpus.h"
#include "base/stages.h"
#include "image/ptrim_sink.h"
#include "memory/page_ranges.h"
#include "net/address.h"
#include "peers/peers.h"
#include "receive/admission.h"
#include "receive/guest.h"
#include "seal/cipher.h"
#include "sink/sink.h"
#include "sink/sink_large.h"
#include "tls/tls.h"
#include "xsk/xsk.h"
#include "xsk/zero_copy.h"
#include <pagetrim/error.h>
#include <pagetrim/ledger.h>
#include <pagetrim/wire.h>

/* pt_large_pages: which 2 MiB of a memory are to be large pages. */
enum pt_large_pages {
	PT_LARGE_PAGES_KEEP,	/* those that are at the source */
	PT_LARGE_PAGES_ALL,
	PT_LARGE_PAGES_OFF,
};

/* pt_receive_large: how that went, once the memory is committed. */
struct pt_receive_large {
	bool is_told;		/* the source knows its large pages */
	__u64 source_cnt;
	__u64 apart_cnt;	/* of these, those that begin at no multiple of 2 MiB
				 * of the image */
	__u64 wanted_cnt;
	bool is_built;		/* the sink makes large pages */
	struct pt_sink_large_count count;
	char why[200];		/* why not all are large; "": all are */
};

/* pt_receive_report: the state of one transfer, or its outcome. */
struct pt_receive_report {
	int result;		/* 0: committed; else -errno */
	struct pt_error error;	/* if result is not 0 */
	char name[129];
	char path[512];		/* of the image */
	char peer[PT_ADDRESS_TEXT_SZ];
	char identity[PT_TLS_NAME_SZ];	/* see pt_conn_peer_identity */
	__u64 transfer_id;
	__u64 session_id;
	enum pt_cipher cipher;	/* of the frames; NONE: not sealed */
	__u64 memory_sz;	/* bytes */
	__u64 placed_sz;	/* bytes of blocks placed */
	bool is_resumed;	/* it resumed an earlier transfer */
	bool is_kept;		/* it failed, and its data is kept for a
				 * resumption */
	__u64 bytes_per_s;	/* of the sender's section in peers: limit of its
				 * Ethernet bytes; 0: none */
	__u64 quota_sz;		/* likewise: of the memory and files of all its
				 * transfers; 0: none */
	__u32 answers_ms;	/* time for which the receiver stays, since the
				 * sender may not know the outcome; 0: it ends */
	__u64 held_page_cnt;	/* nonzero pages of the kept data */
	__u64 files_sz;
	__u64 state_sz;		/* of a guest's devices, both ways */
	__u32 segment_cnt;
	__u32 lane_cnt;
	__u32 queue_cnt;	/* of the receiver */
	__u16 queues[PT_LANES_MAX];
	bool zero_copy[PT_LANES_MAX];	/* of their sockets; else copy mode */
	enum pt_hugepages hugepages;	/* ON: for all queues */
	__u64 total_ns;		/* from OPEN to the end */
	__u64 commit_ns;	/* duration of sync and rename */
	__u64 waited_ns;	/* duration of the last wait for storage */
	struct pt_receive_large large;
	bool has_ledger;
	struct pt_ledger ledger;
	__u64 sent;		/* frames, as the sender counted them */
	__u64 unaccounted;
	struct pt_page_names unreadable;	/* pages that could not be read at
				 * the source, by gfn; once all has come */
	bool has_profile;
	struct pt_profile profile;	/* of the queues' threads, including
					 * their work for other transfers */
	struct pt_profile placers;	/* of the placers' threads, if any */
};

/* pt_receive_events: callbacks for a user interface, called by step; any may be
 * NULL. */
struct pt_receive_events {
	void (*opened)(const struct pt_receive_report *report, void *arg);
	void (*progress)(const struct pt_receive_report *report, void *arg);
	void (*waiting)(const struct pt_receive_report *report, bool begins,
			void *arg);	/* a wait for storage of more than a
					 * second begins or ends */
	void (*ended)(const struct pt_receive_report *report, void *arg);
	void (*stranger)(const struct pt_error *err, void *arg);
	void *arg;
};

#define PT_RECEIVER_MEMORY_SZ		(16ULL << 40)
#define PT_RECEIVER_FILES_SZ		(1ULL << 40)
#define PT_RECEIVER_PEER_TRANSFERS	48

/* pt_receiver_cfg: zero means the default in every field.  The caller owns all
 * that pointers refer to, and keeps it unchanged until close. */
struct pt_receiver_cfg {
	const char *dev;
	const char *listen;	/* "ADDR[:PORT]" */
	const char *path;	/* of the image; serve: of a folder */
	struct pt_sink *sink;	/* instead of path: the caller's sink, before
				 * pt_sink_fit; it outlives the receiver.  Not
				 * with serve, resume or prealloc_sz */
	const struct pt_receive_guest *guest;	/* the guest whose memory sink
				 * is: takes that alone; or NULL.  With sink */
	bool serve;		/* accept transfers until cancelled, several at
				 * once */
	bool resume;		/* keep the data of a failed transfer, and resume
				 * from it */
	enum pt_large_pages large_pages;
	struct pt_ptrim_sink_how at_rest;	/* if path is an image at rest */
	__u64 prealloc_sz;	/* bytes of the image that start allocates; 0:
				 * none.  Not with serve or resume */
	bool generic;		/* XDP mode */
	enum pt_zero_copy zero_copy;
	enum pt_hugepages hugepages;	/* for the queues' memory */
	bool profile;		/* see has_profile */
	struct pt_cpus cpus;	/* of the queues' threads */
	__u32 queue_cnt;	/* 1..PT_LANES_MAX; 0, PT_QUEUES_AUTO: all free
				 * ones, at most one per CPU */
	struct pt_peer_limits peer;	/* transfers 0: PT_RECEIVER_PEER_TRANSFERS */
	__u64 files_sz_max;	/* bytes of one transfer's files; see
				 * pt_quota_file_sz.  0: PT_RECEIVER_FILES_SZ */
	__u64 memory_sz_max;	/* bytes of memory that all transfers together
				 * may announce; 0: PT_RECEIVER_MEMORY_SZ */
	__u32 peer_timeout_ms;	/* 0: PT_PEER_TIMEOUT_MS */
	__u32 wait_ms;		/* from start until a sender opens a transfer;
				 * 0: any.  Not with serve */
	struct pt_tls *tls;	/* NULL: insecure */
	const struct pt_peers *peers;	/* the senders that are taken, and what
				 * each may do; NULL: any sender.  With serve
				 * and tls */
	__u16 ciphers;		/* PT_CIPHER_BIT of each accepted one; 0: any */
	struct pt_receive_events events;
};

struct pt_receiver_info {
	char listen[PT_ADDRESS_TEXT_SZ];	/* with the bound port */
	char other_dev[IF_NAMESIZE];	/* the device that has this address, if it
					 * is not cfg->dev; "": it is, or is not
					 * known */
	bool generic;
	bool pinned;		/* uses the program of pagetrim attach */
	bool zero_copy[PT_LANES_MAX];	/* by queue; else copy mode */
	struct pt_error copy_why;	/* reason for copy mode, if it is not
					 * obvious; else text is "" */
	bool multi_buffer;
	enum pt_hugepages hugepages;	/* ON: for all queues */
	__u32 program_id;
	__u32 queue_cnt;
	__u16 queues[PT_LANES_MAX];
};

struct pt_receiver;

/* pt_receiver_open opens a receiver, which the caller closes.  Errors name
 * device, queue, address or path.  After a failure nothing stays open. */
int pt_receiver_open(struct pt_receiver **out, const struct pt_receiver_cfg *cfg,
		     struct pt_error *err);

/* pt_receiver_info fills *info, which describes the started receiver, also
 * after its end.  Control calls it, after start and before close. */
void pt_receiver_info(const struct pt_receiver *r,
		      struct pt_receiver_info *info);

/* pt_receiver_start checks that the image can be created with the current
 * credentials, allocates prealloc_sz, binds the sockets, and starts the queues'
 * threads.  It waits for the allocation, and for the carrier of a card that was
 * reset; -ECANCELED: it was cancelled meanwhile.  It is called once; -EINVAL:
 * it was called before, even if that call failed. */
int pt_receiver_start(struct pt_receiver *r, struct pt_error *err);

/* pt_receiver_fd returns a descriptor for poll and epoll, POLLIN only: step has
 * work.  It is valid until close. */
int pt_receiver_fd(const struct pt_receiver *r);

/* pt_receiver_step does all present work without blocking, and returns 1 while
 * the receiver runs.  Then it returns the result of the one transfer, or, with
 * serve, 0 after a cancel; further calls return the same.  -ETIMEDOUT: no
 * transfer was opened within wait_ms.  -ECANCELED: the
 * receiver was cancelled before a transfer was done; PT_EXIT_UNKNOWN: during
 * its commit. */
int pt_receiver_step(struct pt_receiver *r, struct pt_error *err);

/* pt_receiver_secure: senders that connect from now on are authenticated by tls,
 * which the receiver holds; those that are connected stay.  Control; the
 * receiver was opened with keys, too. */
void pt_receiver_secure(struct pt_receiver *r, struct pt_tls *tls);

/* pt_receiver_allow: transfers that are opened from now on are judged by peers,
 * in place of cfg's, which may be freed.  Control. */
void pt_receiver_allow(struct pt_receiver *r, const struct pt_peers *peers);

/* pt_receiver_drain: no further transfer is opened, whose sender is told so; once
 * those that run have ended, the receiver ends as after a cancel.  With serve.
 * Any thread may call it, and a signal handler. */
void pt_receiver_drain(struct pt_receiver *r);
bool pt_receiver_is_draining(const struct pt_receiver *r);

/* pt_receiver_cancel ends the receiver.  After the first call, step continues
 * until begun commits are done and the data of failed transfers is removed.
 * After the second one, it abandons commits, and gives the removal 10 s; after
 * the third one, it ends at once.  Any thread may call it, and a signal
 * handler. */
void pt_receiver_cancel(struct pt_receiver *r);

/* pt_receiver_cancel_transfer ends one transfer, whose sender is told so.  Control,
 * between steps.
 *   -ENOENT  no transfer with that id is open
 *   -EBUSY   its commit has begun */
int pt_receiver_cancel_transfer(struct pt_receiver *r, __u64 transfer_id,
				struct pt_error *err);

/* pt_receiver_status writes the reports of up to max transfers that have not
 * ended, and returns the number of these transfers.  Any thread may call it. */
__u32 pt_receiver_status(struct pt_receiver *r,
			 struct pt_receive_report *reports, __u32 max);

/* pt_receiver_close cancels a receiver that has not ended, waits for its end,
 * and frees it.  NULL is allowed.  False: after several cancels it did not wait
 * for storage; threads may still use everything that cfg points to, which must
 * stay. */
bool pt_receiver_close(struct pt_receiver *r);

#endif
