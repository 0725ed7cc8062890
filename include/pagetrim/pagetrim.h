/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pagetrim: the API of libpagetrim, which moves memory to another host.  C and
 * C++.
 *
 *     sending host                            receiving host
 *     pt_source_files, _process, _regions     pt_sink_file, _regions, _memfd,
 *                                             _process
 *     pt_send_open                            pt_recv_open
 *     pt_send_start                           pt_recv_start
 *     poll pt_send_fd, pt_send_step           poll pt_recv_fd, pt_recv_step
 *     pt_send_close                           pt_recv_close
 *     pt_source_destroy                       pt_sink_destroy
 *
 * Results: a function returns 0; or it returns -errno and fills *err, which may
 * be NULL.  pt_send_step and pt_recv_step return 1 while the transfer runs.
 *
 * Mistakes of the caller (a handle that was closed, a wrong order of calls, a
 * wrong thread, an options field out of its range) return -EINVAL with a text.
 *
 * Options: a struct begins with sz, its size in bytes as the caller compiled
 * it.  The library accepts a shorter struct, of an older header.  In a longer
 * struct the part that this library does not know must be zero.  Zero means the
 * default in every field.  Strings and tables are copied.
 *
 * Threads: one thread calls pt_send_open, _start, _step and _close of a sender,
 * and one thread those of a receiver.  Any thread may call pt_send_cancel,
 * _status and _set_max_bandwidth, pt_recv_cancel and _status.  No function may
 * be called in a signal handler.  The library's own threads are named pt-...
 * and block all signals.
 *
 * The library prints nothing, does not exit, and leaves the print functions of
 * libbpf and libxdp unchanged.  It handles no signal, except after
 * pt_allow_sigbus.
 */
#ifndef PAGETRIM_H
#define PAGETRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pagetrim/live.h>

#ifdef __cplusplus
extern "C" {
#endif

/* PT_API marks the functions that libpagetrim.so exports.
 * user/api/pagetrim.map has the same list. */
#define PT_API __attribute__((visibility("default")))

/* PT_VERSION_TEXT is the version of this header. */
#define PT_VERSION_TEXT "0.1"

/* pt_version returns the version of the linked library, "0.1".  The string is
 * static.  Any thread may call it. */
PT_API const char *pt_version(void);

/* pt_allow_sigbus allows the library to install a handler of SIGBUS in this
 * process, for good, when it first maps a file.  The handler passes other
 * faults on to the previous one.  The library then maps files, which is faster
 * and required for images on a hugetlbfs; otherwise it reads and writes files
 * by system call.  The call comes before any source or sink.  Any thread may
 * call it. */
PT_API void pt_allow_sigbus(void);

/* --- errors -------------------------------------------------------------- */

/* pt_error_class: the cause of an error. */
enum pt_error_class {
	PT_ERROR_FAILED	  = 1,	/* the transfer failed; nothing was committed */
	PT_ERROR_USAGE	  = 2,	/* the caller made a mistake */
	PT_ERROR_HOST	  = 3,	/* this host lacks something: device, queue,
				 * privilege, kernel, source, sink */
	PT_ERROR_PEER	  = 4,	/* the peer is absent, silent, of another version,
				 * or ended the transfer */
	PT_ERROR_MISMATCH = 5,	/* the copy differs from the source, or the ledger
				 * does not balance */
	PT_ERROR_UNKNOWN  = 6	/* the transfer may or may not be committed:
				 * check at the receiver */
};

/* pt_error: the caller owns it, and a function that fails fills it. */
struct pt_error {
	int code;			/* -errno, as returned */
	enum pt_error_class class_;
	char text[512];			/* operand, then cause */
	char hint[512];			/* the remedy, or ""; options have the
					 * names of the fields below */
};

/* --- sources: memory to be sent ------------------------------------------ */

/* pt_region: the sz bytes of the caller's memory at addr are the pages gfn, gfn
 * + 1, ... of the transfer.  addr and sz are multiples of 4096, sz > 0, gfn is
 * below 2^40; regions overlap neither in pages nor in addresses.  name is used
 * in messages and in the receiver's table of segments; NULL: "region". */
struct pt_region {
	void *addr;
	uint64_t gfn;
	uint64_t sz;
	const char *name;
};

struct pt_source;

/* pt_source_files creates a source of 1..256 regular files (images,
 * /proc/PID/fd/N of a memfd, files on /dev/shm or hugetlbfs), one segment each.
 * They must not change until the sender is closed.  On success the caller owns
 * *out, and frees it by pt_source_destroy.
 *   -EINVAL  cnt; an empty file, a directory, device, pipe or socket
 *   -ENOENT, -EACCES, ...  as open(2) */
PT_API int pt_source_files(struct pt_source **out, const char *const *paths,
			   uint32_t cnt, struct pt_error *err);

/* pt_process_opts: options of pt_source_process. */
struct pt_process_opts {
	size_t sz;
	bool keep_running;	/* do not stop the process: the copy is not a
				 * consistent snapshot */
};

/* pt_source_process creates a source of the private writable mappings of
 * process pid, and stops the process until pt_source_destroy.  The same thread
 * has to call that, and has to live until then.  opts may be NULL.
 *   -ESRCH           no such process
 *   -EINVAL          a thread of another process, or the caller itself
 *   -EPERM, -EACCES  not allowed */
PT_API int pt_source_process(struct pt_source **out, pid_t pid,
			     const struct pt_process_opts *opts,
			     struct pt_error *err);

/* pt_source_regions creates a source of the caller's own memory, which has to
 * stay mapped until the source is destroyed.  The table is copied.
 *   -EINVAL  cnt is 0 or above 65536; a region violates pt_region */
PT_API int pt_source_regions(struct pt_source **out,
			     const struct pt_region *regions, uint32_t cnt,
			     struct pt_error *err);

/* pt_source_destroy frees a source whose senders are closed.  NULL is allowed.
 *   -EINVAL  a sender uses it; it was destroyed already; a process's source of
 *            another thread */
PT_API int pt_source_destroy(struct pt_source *source, struct pt_error *err);

/* --- sinks: storage of received memory ----------------------------------- */

struct pt_sink;

/* pt_sink_opts: options of pt_sink_file. */
struct pt_sink_opts {
	size_t sz;
	bool serve;		/* path is a folder; the receiver accepts transfers
				 * until it is cancelled, several at once */
	bool resume;		/* keep the data of a failed transfer, and resume
				 * from it.  Not with prealloc */
	uint64_t prealloc;	/* bytes of the image that pt_recv_start allocates.
				 * Not with serve */
};

/* pt_sink_file creates a sink for a file.  Its name is path.partial during the
 * transfer, and path after the commit; an existing file is never replaced.
 * opts may be NULL.  pt_recv_start reports errors of the file.
 *   -EINVAL  path is NULL or empty; opts */
PT_API int pt_sink_file(struct pt_sink **out, const char *path,
			const struct pt_sink_opts *opts, struct pt_error *err);

/* pt_sink_regions creates a sink of the caller's own memory, for one transfer.
 * The memory has to stay mapped, and must not be written by others, until the
 * receiver is closed.  Each sent page must be in a region; other pages stay
 * unchanged.  is_zero: all of the memory is zero, so zero pages need no write.
 * After a failure the memory contains a part of the received pages.
 *   -EINVAL  as pt_source_regions */
PT_API int pt_sink_regions(struct pt_sink **out, const struct pt_region *regions,
			   uint32_t cnt, bool is_zero, struct pt_error *err);

/* pt_sink_memfd creates a sink of the memory behind a descriptor, a memfd or a file
 * of a tmpfs or hugetlbfs, for one transfer.  The library uses a duplicate of fd.
 * The segments follow one another from its start.  An empty file gets the size of the
 * memory, any other must be large enough.  Others must not write or shorten it until
 * the receiver is closed.  After a failure it contains a part of the received pages.
 *   -EINVAL  fd is another file's, or is not open for reading and writing
 *   -EBADF, -EMFILE, -ENOMEM */
PT_API int pt_sink_memfd(struct pt_sink **out, int fd, struct pt_error *err);

/* pt_sink_process is like pt_sink_regions for memory of process pid: addr of the
 * regions are addresses there.  The kernel charges new pages to that process and its
 * cgroup.
 *   -EINVAL  as pt_source_regions; pid is no process's number
 *   -ESRCH   no such process
 *   -EPERM, -EACCES  not allowed, as for ptrace(2) */
PT_API int pt_sink_process(struct pt_sink **out, pid_t pid,
			   const struct pt_region *regions, uint32_t cnt,
			   bool is_zero, struct pt_error *err);

/* pt_sink_destroy frees a sink whose receiver is closed.  NULL is allowed.
 *   -EINVAL  a receiver uses it; it was destroyed already */
PT_API int pt_sink_destroy(struct pt_sink *sink, struct pt_error *err);

/* --- options of both ends ------------------------------------------------ */

/* pt_choice: whether a feature is used. */
enum pt_choice {
	PT_CHOICE_AUTO = 0,
	PT_CHOICE_ON = 1,	/* if it is not possible, the call fails */
	PT_CHOICE_OFF = 2
};

/* pt_pages: the page size of the memory of frames. */
enum pt_pages {
	PT_PAGES_THP = 0,	/* huge pages if the kernel has free ones */
	PT_PAGES_SMALL = 1,
	PT_PAGES_HUGE = 2,	/* huge pages of the reserved pool (hugetlb) */
	PT_PAGES_AUTO = 3	/* HUGE, or THP if the pool has too few */
};

/* pt_security: the authentication of the two hosts: psk; or tls_cert, tls_key
 * and tls_ca; or insecure, at both ends, without encryption and authentication.
 * There is no default.  pt_send_open and pt_recv_open read the files. */
struct pt_security {
	size_t sz;
	const char *psk;	/* path of a key, see pagetrim-keygen(8) */
	const char *tls_cert;	/* paths of PEM files */
	const char *tls_key;
	const char *tls_ca;
	const char *tls_hostname;	/* sender: the name in the receiver's
					 * certificate; NULL: the host of `to` */
	const char *const *tls_peer;	/* receiver: names of allowed senders;
					 * NULL: all that tls_ca signed */
	uint32_t tls_peer_cnt;		/* 0..16 */
	bool insecure;
};

/* pt_phase: a transfer passes these phases in this order. */
enum pt_phase {
	PT_PHASE_CONNECT = 0,
	PT_PHASE_SETUP = 1,
	PT_PHASE_PROBE = 2,
	PT_PHASE_COMPARE = 3,	/* the source is compared with the pages that the
				 * receiver holds */
	PT_PHASE_ACTIVE = 4,	/* memory is sent */
	PT_PHASE_VERIFY = 5,
	PT_PHASE_COMMIT = 6,
	PT_PHASE_DONE = 7
};

/* pt_status: a snapshot of one transfer.  The caller sets sz; fields beyond it
 * are not written. */
struct pt_status {
	size_t sz;
	uint64_t transfer_id;
	enum pt_phase phase;	/* receiver: ACTIVE until the end */
	uint64_t memory_sz;	/* bytes of the memory */
	uint64_t left_sz;	/* bytes still to be sent; receiver: 0 */
	uint64_t data_sz;	/* bytes of blocks sent, or placed */
	uint64_t wire_sz;	/* Ethernet bytes of data frames; receiver: 0 */
	uint64_t frames;	/* data frames sent; receiver: 0 */
	uint64_t frames_lost;	/* data frames reported missing; receiver: 0 */
	uint64_t max_bandwidth;	/* bytes per second; 0: no limit */
	uint64_t total_ns;	/* since the start */
	uint64_t unreadable_pages;	/* once all is committed: those that the
					 * receiver has as unreadable */
	uint64_t zeroed_pages;	/* could not be read, and went as zeroes; receiver: 0 */
};

/* --- sender -------------------------------------------------------------- */

/* pt_compress: the compression of the blocks of each frame. */
enum pt_compress {
	PT_COMPRESS_AUTO = 0,	/* where it makes the transfer faster; off with
				 * pad */
	PT_COMPRESS_OFF = 1,
	PT_COMPRESS_LZ4 = 2,	/* if the receiver lacks the method, the transfer */
	PT_COMPRESS_ZSTD = 3	/* fails; not with pad */
};

/* pt_unreadable_pages: the treatment of pages of the source that cannot be read,
 * since the read meets an I/O or memory error. */
enum pt_unreadable_pages {
	PT_UNREADABLE_PAGES_FAIL = 0,	/* the transfer fails with EIO */
	PT_UNREADABLE_PAGES_MARK = 1,	/* the receiver lists them beside its image; a
					 * sink of memory fails */
	PT_UNREADABLE_PAGES_ZERO = 2	/* they go as zeroes; pt_status counts them */
};

/* PT_DELTA_CACHE_NONE: no page goes as its changed blocks. */
#define PT_DELTA_CACHE_NONE	UINT64_MAX

struct pt_send;

struct pt_send_opts {
	size_t sz;
	const struct pt_security *security;
	uint32_t queues;	/* TX queues, 1..64; 0: all useful free ones */
	uint32_t mtu;		/* 1280..65535 bytes; 0: the largest that passes */
	uint32_t peer_timeout;	/* milliseconds of silence, up to 3600000; 0:
				 * 20000 */
	bool generic;		/* AF_XDP in copy mode, with the generic hook */
	bool pad;		/* hide which pages and blocks are zero */
	bool resume;		/* send only pages that the receiver lacks */
	bool recheck;		/* read the source again before the commit, and
				 * fail if it changed */
	enum pt_choice zero_copy;
	enum pt_choice copies;	/* send a page that equals another as a reference
				 * to it; AUTO: unless pad is set */
	enum pt_pages hugepages;
	uint64_t max_bandwidth;	/* Ethernet bytes per second, 65536..2^40; 0: no
				 * limit */
	const char *name;	/* of the image, for a receiver that serves: up to
				 * 128 bytes */
	const char *const *with;	/* paths of small files to send, too */
	uint32_t with_cnt;		/* 0..1024 */
	const char *cpus;	/* "0,2-3": of the sending threads; NULL: any */
	/* pt_send_step calls warn for faults that do not end the transfer.  NULL: it
	 * is not called. */
	void (*warn)(const char *text, void *arg);
	void *arg;
	const struct pt_live_send *live;	/* the memory is written while it
						 * is sent; NULL: it is not.  With
						 * a source of regions, without
						 * resume, recheck and with */
	enum pt_compress compress;
	uint32_t compress_level;	/* of zstd, 1..19; 0: 1 */
	uint64_t delta_cache;	/* with live: bytes that remember sent pages, so that
				 * a page that is written again goes as its changed
				 * blocks, up to 2^40; 0: 64 MiB */
	uint32_t lanes;		/* streams of frames, 1..64, no fewer than queues; 0:
				 * one a queue */
	uint32_t was_padding;	/* not read: older programs may have any bytes here */
	enum pt_unreadable_pages on_unreadable;	/* of the source; senders that read
						 * one source at a time agree.  A
						 * SIGBUS of mapped memory is an
						 * unreadable page only after
						 * pt_allow_sigbus, and else kills */
};

/* pt_send_open opens device, queues, files and keys: everything that requires a
 * privilege (CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK).
 * It starts no thread and does not contact the receiver.  to: "HOST[:PORT]".
 * The source has to outlive the sender; several senders may read one source.
 * On success the caller owns *out, and frees it by pt_send_close.
 *   -EINVAL  a mistake in the arguments
 *   others   a fault of the device, the host or a file, which err names */
PT_API int pt_send_open(struct pt_send **out, struct pt_source *source,
			const char *dev, const char *to,
			const struct pt_send_opts *opts, struct pt_error *err);

/* pt_send_start starts the transfer, once: pt_send_fd becomes readable. */
PT_API int pt_send_start(struct pt_send *send, struct pt_error *err);

/* pt_send_fd returns a descriptor to poll for POLLIN: pt_send_step has work.
 * The sender owns it, and it is valid until pt_send_close. */
PT_API int pt_send_fd(struct pt_send *send, struct pt_error *err);

/* pt_send_step does all present work.  1: call it again when pt_send_fd is
 * readable; 0: the receiver has committed; -errno: the transfer failed.  After
 * 0 or -errno further calls return the same.  It does not block, except for
 * seconds while zero copy resets the card.
 *   -ECANCELED  it was cancelled; PT_ERROR_UNKNOWN: during the commit */
PT_API int pt_send_step(struct pt_send *send, struct pt_error *err);

/* pt_send_set_max_bandwidth: as in pt_send_opts.  Any thread may call it.
 *   -EBUSY   the transfer is ending, or over
 *   -ERANGE  the limit is too low to pace, or above the link's speed */
PT_API int pt_send_set_max_bandwidth(struct pt_send *send, uint64_t max_bandwidth,
				     struct pt_error *err);

/* pt_send_cancel ends the transfer; the following steps return the result.  Any
 * thread may call it. */
PT_API int pt_send_cancel(struct pt_send *send, struct pt_error *err);

/* pt_send_status fills *status, up to status->sz.  Any thread may call it.
 *   -EINVAL  status->sz has no room for any field */
PT_API int pt_send_status(struct pt_send *send, struct pt_status *status,
			  struct pt_error *err);

/* pt_send_close cancels a transfer that has not ended, waits for the sender's
 * threads, also for one that waits for the source's storage, and frees the
 * sender.  NULL is allowed.
 *   -EINVAL  it was closed already; a callback or another thread calls it */
PT_API int pt_send_close(struct pt_send *send, struct pt_error *err);

/* --- receiver ------------------------------------------------------------ */

struct pt_recv;

enum pt_event_kind {
	PT_EVENT_OPENED = 1,	/* a transfer begins */
	PT_EVENT_COMMITTED = 2,
	PT_EVENT_FAILED = 3,
	PT_EVENT_TURNED_AWAY = 4	/* a connection was refused before it
					 * opened a transfer */
};

/* pt_event: the argument of an event callback, valid during the call. */
struct pt_event {
	size_t sz;
	enum pt_event_kind kind;
	const char *name;	/* of the image, from the sender; "": none */
	const char *path;	/* of the image; "" with regions */
	const char *peer;	/* "ADDR:PORT"; "" if TURNED_AWAY */
	const struct pt_status *status;	/* NULL if TURNED_AWAY */
	const struct pt_error *error;	/* if FAILED or TURNED_AWAY; else NULL */
};

struct pt_recv_opts {
	size_t sz;
	const struct pt_security *security;
	uint32_t queues;	/* RX queues, 1..64; 0: all useful free ones */
	uint32_t peer_timeout;	/* as in pt_send_opts */
	bool generic;		/* XDP in generic mode */
	enum pt_choice zero_copy;
	enum pt_pages hugepages;
	uint64_t max_memory;	/* bytes of memory that all transfers together may
				 * announce; 0: 16 TiB */
	uint64_t max_files;	/* bytes of one transfer's files; 0: 1 TiB */
	const char *cpus;	/* "0,2-3": of the queues' threads; NULL: any */
	/* pt_recv_step calls event.  NULL: it is not called. */
	void (*event)(const struct pt_event *event, void *arg);
	void *arg;
	const struct pt_live_recv *live;	/* a program arrives with its
						 * memory, and nothing else is
						 * accepted; NULL: memory alone.
						 * With a sink of regions */
};

/* pt_recv_open opens device, queues, XDP program, TCP port and keys, like
 * pt_send_open.  listen: "ADDR[:PORT]".  The sink has to outlive the receiver,
 * which uses it alone. */
PT_API int pt_recv_open(struct pt_recv **out, struct pt_sink *sink,
			const char *dev, const char *listen,
			const struct pt_recv_opts *opts, struct pt_error *err);

/* pt_recv_start checks that the image can be created with the current
 * credentials, and starts the queues' threads.  Senders may connect from then
 * on.  It is called once; a receiver whose start failed can only be closed.
 *   -EEXIST, -ENOSPC, ...  a fault of the image
 *   -ECANCELED  pt_recv_cancel was called during the allocation */
PT_API int pt_recv_start(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_fd is like pt_send_fd. */
PT_API int pt_recv_fd(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_step does all present work without blocking.  1: call it again when
 * pt_recv_fd is readable; 0: the transfer is committed, or, with serve, the
 * receiver was cancelled; -errno: it failed.  After 0 or -errno further calls
 * return the same.
 *   -ECANCELED  with PT_ERROR_UNKNOWN: a commit was abandoned, see
 *               pt_recv_cancel */
PT_API int pt_recv_step(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_cancel ends the receiver after begun commits.  A second call abandons
 * those, and gives the removal of files 10 s; a third waits for nothing.
 * Threads that still wait for storage may use the sink, which then stays in
 * use.  Any thread may call it. */
PT_API int pt_recv_cancel(struct pt_recv *recv, struct pt_error *err);

/* pt_recv_status fills *status with the idx-th transfer, from 0, that has not
 * ended.  Any thread may call it.
 *   -ENOENT  at most idx transfers have not ended; err is not filled
 *   -EINVAL  status->sz has no room for any field */
PT_API int pt_recv_status(struct pt_recv *recv, uint32_t idx,
			  struct pt_status *status, struct pt_error *err);

/* pt_recv_close is like pt_send_close. */
PT_API int pt_recv_close(struct pt_recv *recv, struct pt_error *err);

/* --- templates: a memory from which many processes start ------------------ */

/* pt_template_opts: options of pt_template_map. */
struct pt_template_opts {
	size_t sz;
	const char *folder;	/* of the templates; NULL:
				 * /run/pagetrim/templates */
};

/* pt_template_map maps the template that `pagetrim template put NAME` made, at a
 * multiple of 2 MiB: privately, so that a page that the caller writes becomes the
 * caller's own (4 KiB of memory, and a page table of 4 KiB for each 2 MiB with a
 * write), and nobody else sees it.  The mapping stays when the template is removed.
 * On success *addr and *sz, in bytes, are the caller's, to munmap(2).  opts may be
 * NULL.  Any thread may call it.
 *   -EINVAL  not a name for a template
 *   -ENOENT  there is none of that name, or its holder has ended
 *   -EACCES  it is another user's
 *   -EPERM   the folder or the memory is not what a template's must be
 *   -ENOMEM  no address space */
PT_API int pt_template_map(void **addr, uint64_t *sz, const char *name,
			   const struct pt_template_opts *opts,
			   struct pt_error *err);

#ifdef __cplusplus
}
#endif

#endif
