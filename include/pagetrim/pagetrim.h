/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pagetrim: moves memory to another host; the API of libpagetrim.  C and C++.
 *
 *     sending host                            receiving host
 *     pt_source_files, _process, _regions     pt_sink_file, _regions
 *     pt_send_open                            pt_recv_open
 *     pt_send_start                           pt_recv_start
 *     poll pt_send_fd, pt_send_step           poll pt_recv_fd, pt_recv_step
 *     pt_send_close                           pt_recv_close
 *     pt_source_destroy                       pt_sink_destroy
 *
 * Results: a function returns 0, or -errno and fills *err, which may be NULL.
 * pt_send_step and pt_recv_step return 1 while there is more to do.
 *
 * Mistakes of the caller (a handle that was closed, a wrong order of calls, a
 * wrong thread, an options field out of its range) return -EINVAL with a text.
 *
 * Options: a struct begins with sz, its size in bytes as the caller compiled it.
 * A shorter one of an older header is taken; of a longer one the part that this
 * library does not know must be zero.  Zero means the default in every field.
 * Strings and tables are copied.
 *
 * Threads: pt_send_open, _start, _step and _close of one sender are called by one
 * thread, and so are those of a receiver; pt_send_cancel, _set and _status,
 * pt_recv_cancel and _status by any.  No function may be called in a signal
 * handler.  The library has threads of its own, named pt-..., which block all
 * signals.
 *
 * The library prints nothing, does not exit, handles no signal and leaves the
 * printers of libbpf and libxdp as they were, unless it is asked to
 * (pt_allow_sigbus).
 */
#ifndef PAGETRIM_H
#define PAGETRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* PT_API marks what libpagetrim.so exports; user/api/pagetrim.map lists it. */
#define PT_API __attribute__((visibility("default")))

/* PT_VERSION_TEXT is the version of this header. */
#define PT_VERSION_TEXT "0.1"

/* pt_version returns the version of the library that is linked, "0.1".  The
 * string is static.  Any thread. */
PT_API const char *pt_version(void);

/* pt_allow_sigbus lets the library install, for good and when it first maps a file, a
 * handler of SIGBUS in this process.  The handler passes on what is none of its own.
 * From then on files are mapped, which is
 * faster, and images on a hugetlbfs can be received; before, files are read and
 * written by system call.  Before any source or sink.  Any thread. */
PT_API void pt_allow_sigbus(void);

/* --- errors -------------------------------------------------------------- */

/* pt_error_class: whom an error concerns. */
enum pt_error_class {
	PT_ERROR_FAILED	  = 1,	/* the transfer failed; nothing was committed */
	PT_ERROR_USAGE	  = 2,	/* the caller's mistake */
	PT_ERROR_HOST	  = 3,	/* this host lacks what was asked: device, queue,
				 * privilege, kernel, source, sink */
	PT_ERROR_PEER	  = 4,	/* the peer is absent, silent, of another version,
				 * or gave up */
	PT_ERROR_MISMATCH = 5,	/* the copy differs from the source, or the ledger
				 * does not balance */
	PT_ERROR_UNKNOWN  = 6	/* whether it was committed is not known: ask the
				 * receiver */
};

/* pt_error: filled by a function that fails; the caller's memory. */
struct pt_error {
	int code;			/* -errno, as returned */
	enum pt_error_class class_;
	char text[512];			/* operand, then cause */
	char hint[512];			/* the remedy, or ""; it names an option as
					 * the field below */
};

/* --- sources: memory to be sent ------------------------------------------ */

/* pt_region: sz bytes of the caller's memory at addr are the pages gfn, gfn + 1,
 * ... of what is moved.  addr and sz are multiples of 4096, sz > 0, gfn is below
 * 2^40; regions do not overlap, in pages nor in addresses.  name is for messages
 * and the receiver's table of segments; NULL: "region". */
struct pt_region {
	void *addr;
	uint64_t gfn;
	uint64_t sz;
	const char *name;
};

struct pt_source;

/* pt_source_files: 1..256 regular files (images, /proc/PID/fd/N of a memfd,
 * /dev/shm, hugetlbfs), one segment each, unchanged until the sender is closed.
 * On success *out is the caller's, to pt_source_destroy.
 *   -EINVAL  cnt; an empty file, a directory, device, pipe or socket
 *   -ENOENT, -EACCES, ...  as open(2) says */
PT_API int pt_source_files(struct pt_source **out, const char *const *paths,
			   uint32_t cnt, struct pt_error *err);

/* pt_process_opts of pt_source_process. */
struct pt_process_opts {
	size_t sz;
	bool keep_running;	/* do not stop it: the copy is no consistent
				 * snapshot */
};

/* pt_source_process: the private writable mappings of process pid, which is
 * stopped until pt_source_destroy; that has to be called by the same thread, and
 * before that thread ends.  opts may be NULL.
 *   -ESRCH           no such process
 *   -EINVAL          a thread of another process, or the caller itself
 *   -EPERM, -EACCES  not allowed */
PT_API int pt_source_process(struct pt_source **out, pid_t pid,
			     const struct pt_process_opts *opts,
			     struct pt_error *err);

/* pt_source_regions: memory of the caller's own, mapped until the source is
 * destroyed.  The table is copied.
 *   -EINVAL  cnt is 0 or above 65536; a region is not as pt_region says */
PT_API int pt_source_regions(struct pt_source **out,
			     const struct pt_region *regions, uint32_t cnt,
			     struct pt_error *err);

/* pt_source_destroy: after the senders that read it are closed.  NULL is fine.
 *   -EINVAL  a sender reads it; it is destroyed already; another thread's */
PT_API int pt_source_destroy(struct pt_source *source, struct pt_error *err);

/* --- sinks: where memory is received ------------------------------------- */

struct pt_sink;

/* pt_sink_opts of pt_sink_file. */
struct pt_sink_opts {
	size_t sz;
	bool serve;		/* path is a folder; transfers are accepted until
				 * the receiver is cancelled, several at once */
	bool resume;		/* keep what a failed transfer brought, and resume
				 * from it.  Not with prealloc */
	uint64_t prealloc;	/* bytes of the image to allocate at the start.
				 * Not with serve */
};

/* pt_sink_file: a file, path.partial while it is received, path once it is
 * committed; never replaces one.  opts may be NULL.  Errors of the file come from
 * pt_recv_start.
 *   -EINVAL  path is NULL or empty; opts */
PT_API int pt_sink_file(struct pt_sink **out, const char *path,
			const struct pt_sink_opts *opts, struct pt_error *err);

/* pt_sink_regions: memory of the caller's own, for one transfer.  It stays
 * mapped, and nobody else writes it, until the receiver is closed.  Each page
 * that is sent must be in a region; other pages stay unchanged.  is_zero: the
 * caller knows that all of it is zero, so zero pages need no writing.  After a
 * failure the memory holds some of what came.
 *   -EINVAL  as pt_source_regions */
PT_API int pt_sink_regions(struct pt_sink **out, const struct pt_region *regions,
			   uint32_t cnt, bool is_zero, struct pt_error *err);

/* pt_sink_destroy: after the receiver that uses it is closed.  NULL is fine.
 *   -EINVAL  a receiver uses it; it is destroyed already */
PT_API int pt_sink_destroy(struct pt_sink *sink, struct pt_error *err);

/* --- options of both ends ------------------------------------------------ */

/* pt_choice */
enum pt_choice {
	PT_CHOICE_AUTO = 0,
	PT_CHOICE_ON = 1,	/* or it is refused */
	PT_CHOICE_OFF = 2
};

/* pt_pages: the pages of the memory from which frames are sent. */
enum pt_pages {
	PT_PAGES_THP = 0,	/* huge if the kernel has free ones */
	PT_PAGES_SMALL = 1,
	PT_PAGES_HUGE = 2,	/* of the pool that was reserved (hugetlb) */
	PT_PAGES_AUTO = 3	/* HUGE, or THP if the pool has too few */
};

/* pt_security: how the two hosts know each other: psk; or tls_cert, tls_key and
 * tls_ca; or insecure, at both ends, which encrypts and authenticates nothing.
 * There is no default.  Files are read by pt_send_open and pt_recv_open. */
struct pt_security {
	size_t sz;
	const char *psk;	/* path of a key, see pagetrim-keygen(8) */
	const char *tls_cert;	/* paths of PEM files */
	const char *tls_key;
	const char *tls_ca;
	const char *tls_hostname;	/* sender: of the receiver's certificate;
					 * NULL: the host of `to` */
	const char *const *tls_peer;	/* receiver: names of senders; NULL: any
					 * that tls_ca signed */
	uint32_t tls_peer_cnt;		/* 0..16 */
	bool insecure;
};

/* pt_phase: how far a transfer is. */
enum pt_phase {
	PT_PHASE_CONNECT = 0,
	PT_PHASE_SETUP = 1,
	PT_PHASE_PROBE = 2,
	PT_PHASE_COMPARE = 3,	/* with what the receiver holds */
	PT_PHASE_ACTIVE = 4,	/* memory travels */
	PT_PHASE_VERIFY = 5,
	PT_PHASE_COMMIT = 6,
	PT_PHASE_DONE = 7
};

/* pt_status: a snapshot of one transfer.  The caller sets sz; fields behind it are
 * not written. */
struct pt_status {
	size_t sz;
	uint64_t transfer_id;
	enum pt_phase phase;	/* receiver: ACTIVE until it is over */
	uint64_t memory_sz;	/* bytes to be moved */
	uint64_t left_sz;	/* of them still to be sent; receiver: 0 */
	uint64_t data_sz;	/* bytes of blocks sent, or placed */
	uint64_t wire_sz;	/* Ethernet bytes of data frames; receiver: 0 */
	uint64_t frames;	/* of data; receiver: 0 */
	uint64_t frames_lost;	/* of them reported missing; receiver: 0 */
	uint64_t max_bandwidth;	/* bytes a second; 0: no limit */
	uint64_t total_ns;	/* since it began */
};

/* --- sender -------------------------------------------------------------- */

struct pt_send;

struct pt_send_opts {
	size_t sz;
	const struct pt_security *security;
	uint32_t queues;	/* TX queues, 1..64; 0: those that are free */
	uint32_t mtu;		/* 1280..65535 bytes; 0: as large as passes */
	uint32_t peer_timeout;	/* milliseconds of silence, up to 3600000; 0:
				 * 20000 */
	bool generic;		/* AF_XDP in copy mode by the generic hook */
	bool pad;		/* hide which pages and blocks are zero */
	bool resume;		/* send only what the receiver lacks */
	bool recheck;		/* read the source again before the commit */
	enum pt_choice zero_copy;
	enum pt_choice copies;	/* a page that equals another goes as a reference;
				 * AUTO: where frames are not sealed */
	enum pt_pages hugepages;
	uint64_t max_bandwidth;	/* Ethernet bytes a second, 65536..2^40; 0: no
				 * limit */
	const char *name;	/* of the image, for a receiver that serves: up to
				 * 128 bytes */
	const char *const *with;	/* paths of small files to go along */
	uint32_t with_cnt;		/* 0..1024 */
	const char *cpus;	/* "0,2-3": of the threads that send; NULL: any */
	/* warn: pt_send_step calls it for faults that do not end the transfer.
	 * NULL: not called. */
	void (*warn)(const char *text, void *arg);
	void *arg;
};

/* pt_send_open takes device, queues, files and keys: all that needs a privilege
 * (CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK).  It starts no
 * thread and speaks to nobody.  to: "HOST[:PORT]".  The source outlives the sender;
 * several senders may read one.  On success *out is the caller's, to pt_send_close.
 *   -EINVAL  a mistake in the arguments
 *   others   the device, the host or a file: err says which */
PT_API int pt_send_open(struct pt_send **out, struct pt_source *source,
			const char *dev, const char *to,
			const struct pt_send_opts *opts, struct pt_error *err);

/* pt_send_start, once: from here on there is something to do. */
PT_API int pt_send_start(struct pt_send *send, struct pt_error *err);

/* pt_send_fd returns a descriptor to poll for POLLIN: pt_send_step has something to
 * do.  Valid until pt_send_close, and the sender's. */
PT_API int pt_send_fd(struct pt_send *send, struct pt_error *err);

/* pt_send_step does what is to be done now.  1: call it again when pt_send_fd is
 * readable; 0: the receiver has committed; else it failed, and returns the same from
 * now on.  It waits for nothing, but for seconds where zero copy resets the card.
 *   -ECANCELED  pt_send_cancel; PT_ERROR_UNKNOWN: during the commit */
PT_API int pt_send_step(struct pt_send *send, struct pt_error *err);

/* pt_send_set_max_bandwidth changes the limit while it sends; the range is that of
 * pt_send_opts.max_bandwidth.  Any thread.
 *   -ERANGE  too low to pace, or above the link's speed */
PT_API int pt_send_set_max_bandwidth(struct pt_send *send, uint64_t max_bandwidth,
				     struct pt_error *err);

/* pt_send_cancel ends the transfer; the next steps say how.  Any thread. */
PT_API int pt_send_cancel(struct pt_send *send, struct pt_error *err);

/* pt_send_status fills *status, up to status->sz.  Any thread.
 *   -EINVAL  status->sz is too small to hold anything */
PT_API int pt_send_status(struct pt_send *send, struct pt_status *status,
			  struct pt_error *err);

/* pt_send_close cancels what has not ended, waits for the sender's threads and
 * frees.  A thread that waits for a source's storage is waited for, too.  NULL is
 * fine.
 *   -EINVAL  closed already; called by a callback, or by another thread */
PT_API int pt_send_close(struct pt_send *send, struct pt_error *err);

/* --- receiver ------------------------------------------------------------ */

struct pt_recv;

enum pt_event_kind {
	PT_EVENT_OPENED = 1,	/* a transfer begins */
	PT_EVENT_COMMITTED = 2,
	PT_EVENT_FAILED = 3,
	PT_EVENT_TURNED_AWAY = 4	/* a connection, before it was a transfer */
};

/* pt_event: valid during the call. */
struct pt_event {
	size_t sz;
	enum pt_event_kind kind;
	const char *name;	/* of the image, as the sender says; "" */
	const char *path;	/* of the image; "" with regions */
	const char *peer;	/* "ADDR:PORT"; "" if it was turned away */
	const struct pt_status *status;	/* NULL if it was turned away */
	const struct pt_error *error;	/* FAILED, TURNED_AWAY; else NULL */
};

struct pt_recv_opts {
	size_t sz;
	const struct pt_security *security;
	uint32_t queues;	/* RX queues, 1..64; 0: those that are free */
	uint32_t peer_timeout;	/* as of the sender */
	bool generic;		/* XDP in generic mode */
	enum pt_choice zero_copy;
	enum pt_pages hugepages;
	uint64_t max_memory;	/* bytes that may be announced, of all transfers;
				 * 0: 16 TiB */
	uint64_t max_files;	/* bytes of files along, of a transfer; 0: 1 TiB */
	const char *cpus;	/* "0,2-3": of the queues' threads; NULL: any */
	/* event is called by pt_recv_step.  NULL: not called. */
	void (*event)(const struct pt_event *event, void *arg);
	void *arg;
};

/* pt_recv_open takes device, queues, XDP program, TCP port and keys, as
 * pt_send_open does.  listen: "ADDR[:PORT]".  The sink outlives the receiver, and is
 * used by one only. */
PT_API int pt_recv_open(struct pt_recv **out, struct pt_sink *sink,
			const char *dev, const char *listen,
			const struct pt_recv_opts *opts, struct pt_error *err);

/* pt_recv_start, once: checks that the image can be made, with the current
 * credentials, and starts the queues' threads.  A sender may connect from here on.
 *   -EEXIST, -ENOSPC, ...  the image
 *   -ECANCELED  pt_recv_cancel, while it allocated */
PT_API int pt_recv_start(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_fd: as pt_send_fd. */
PT_API int pt_recv_fd(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_step does what is to be done now, and waits for nothing.  1: call it again
 * when pt_recv_fd is readable; 0: the transfer is committed, or with serve: cancelled;
 * else it failed, and returns the same from now on. */
PT_API int pt_recv_step(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_cancel ends the receiver; a commit that has begun is waited for.  Called
 * again, storage that does not answer is waited for no longer: threads may be left
 * that use the sink, which stays in use.  Any thread. */
PT_API int pt_recv_cancel(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_status fills *status with the idx-th transfer that has not ended.  Any
 * thread.
 *   -ENOENT  there are no more than idx; err is not filled
 *   -EINVAL  status->sz is too small to hold anything */
PT_API int pt_recv_status(struct pt_recv *recv, uint32_t idx,
			  struct pt_status *status, struct pt_error *err);

/* pt_recv_close: as pt_send_close. */
PT_API int pt_recv_close(struct pt_recv *recv, struct pt_error *err);

#ifdef __cplusplus
}
#endif

#endif
