/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room xdp: the XDP program and its users.
 *
 *   knows         attaching and pinning the program, its maps, leases of queues,
 *                 devices
 *   may use       base
 *   must not know sockets of AF_XDP, sessions, memory
 */
/* program: the XDP receive program on a device, and its maps.
 *
 *     attach   pin ------------------------------> unpin       (persistent)
 *     receive  open, sessions, sockets, close                  (a process)
 *     stats    peek, read, close                               (read only)
 *
 * pt_program_open uses the pinned program when there is one; several processes
 * may share it, on different queues.  Else it attaches one of its own by an
 * unpinned bpf_link, which the kernel detaches when the process ends.
 *
 * A locked directory beside pinned maps ties their sessions to a process; the
 * next process that opens or adds removes the sessions of a dead one.
 *
 * Threads: every function may be called by any thread.  Only open, pin and
 * unpin wait for another process, and close does for a tenth of a second.
 */
#ifndef XDP_PROGRAM_H
#define XDP_PROGRAM_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include <pagetrim/maps.h>
#include "xdp/device.h"
#include "xdp/grant.h"

#define PT_PROGRAM_NAME	"pagetrim"	/* as bpftool prog shows it */
#define PT_PIN_ROOT "/sys/fs/bpf/pagetrim"	/* DEV/{prog,link,pt_xsks,...};
						 * a dot in DEV becomes a colon,
						 * bpffs allows no dots */

struct pt_program;

struct pt_program_cfg {
	const struct pt_device *device;
	bool	generic;	/* in the network stack, not in the driver */
	bool	single_buffer;	/* do not try frames of several buffers; else
				 * this is the fallback for a driver that
				 * refuses them */
	struct pt_grant grant;	/* of pt_program_pin */
};

struct pt_program_info {
	__u32	id;		/* of the program, as bpftool prog shows */
	bool	generic;	/* mode in which it is attached */
	bool	pinned;		/* by pagetrim attach */
	bool	dispatcher;	/* called by libxdp's dispatcher */
	bool	multi_buffer;	/* frames may have several buffers */
};

/* pt_program_device opens the device of that name, or the one that had the name
 * when pagetrim attach pinned a program for it.  If only the pins are left
 * here, the ifindex is 0, which pt_program_unpin accepts.  Otherwise as
 * pt_device_open. */
int pt_program_device(struct pt_device *out, const char *name,
		      struct pt_error *err);

/* pt_program_open opens the pinned program, or attaches an own one.  On success
 * returns 0 and *out is the caller's, to pt_program_close.  Else:
 *   -EBUSY       another XDP program holds the device; the text names it
 *   -EOPNOTSUPP  the driver has no native XDP (generic was not asked for)
 *   -EPERM       no CAP_NET_ADMIN, CAP_BPF, and no pins of this user
 *   -EINTR       signals interrupted the kernel's check each time
 *   -EINVAL      the pinned program is in the other mode
 *   -ESTALE      the program is of another version of pagetrim
 *   -ENOENT      the program is pinned, but its pins are not visible here
 *   -ENOSPC, -ERANGE  a veth with too few queues, or too large an MTU */
int pt_program_open(struct pt_program **out, const struct pt_program_cfg *cfg,
		    struct pt_error *err);

/* pt_program_peek opens the program on the device, pinned or another process's,
 * for reading counters and sessions.  -ENOENT: none of ours; -ESTALE: one of
 * another version; -ENODEV: the device is no longer here. */
int pt_program_peek(struct pt_program **out, const struct pt_device *device,
		    struct pt_error *err);

/* pt_program_try loads the program, so that the verifier checks it, and unloads
 * it without attaching.  -EPERM, or the kernel's error. */
int pt_program_try(struct pt_error *err);

/* pt_program_close removes this process's sessions, and detaches an own
 * program.  NULL is allowed. */
void pt_program_close(struct pt_program *p);

void pt_program_info(const struct pt_program *p, struct pt_program_info *info);

/* pt_program_is_attached returns false once the program was removed from its
 * device or its dispatcher, or was replaced.  It needs no privilege. */
bool pt_program_is_attached(const struct pt_program *p);

/* pt_program_pin loads, attaches and pins program and maps under
 * PT_PIN_ROOT/DEV, beside other programs by libxdp's dispatcher if kernel and
 * libxdp support it.  Errors of pt_program_open, and
 *   -EEXIST      it is pinned already
 *   -ESTALE      the pins of that name are of a device that has another name
 *                now, or is in another network namespace
 *   -ENOENT      no BPF file system at /sys/fs/bpf */
int pt_program_pin(const struct pt_program_cfg *cfg,
		   struct pt_program_info *info, struct pt_error *err);

#define PT_PIN_PATH_SZ 96

/* pt_program_pin_path writes PT_PIN_ROOT/DEV, or PT_PIN_ROOT/DEV/name for a
 * name that is not NULL ("pt_queue_counters"). */
void pt_program_pin_path(char path[PT_PIN_PATH_SZ],
			 const struct pt_device *device, const char *name);

/* pt_program_unpin detaches the program and removes the pins of pt_program_pin,
 * also those of one that was killed half-way.  -ENOENT: nothing is attached, or
 * its pins are not visible here; -EBUSY: the program on the device is a
 * receiver's own.  Without force also: -EBUSY: a process receives by the program
 * (the text names it), or has its maps locked; -EMFILE, ...: the receivers cannot
 * be read; -ESTALE: as pt_program_pin. */
int pt_program_unpin(const struct pt_device *device, bool force,
		     struct pt_error *err);

/* pt_program_session_add makes frames to session->endpoint ours, and those
 * of session_id steered.
 *   -EAGAIN  another process changes the pinned maps: nothing was done
 *   -EEXIST  session_id is open
 *   -E2BIG   PT_SESSIONS_MAX are open */
int pt_program_session_add(struct pt_program *p, __u64 session_id,
			   const struct pt_session *session,
			   struct pt_error *err);

/* pt_program_session_close stops the steering of the session's frames and
 * releases its endpoint as pt_program_session_remove does, but its counters
 * stay until that. */
void pt_program_session_close(struct pt_program *p, __u64 session_id);

/* pt_program_session_remove removes the session; its endpoint stays ours while
 * another session has it.  Its counters stay readable until another session
 * needs their slot. */
void pt_program_session_remove(struct pt_program *p, __u64 session_id);

/* pt_program_settle finishes the work that the two functions postponed because
 * another process was changing the pinned maps.  Until then the kernel does not
 * get the endpoint's frames, and a removed session keeps its slot.  False: the
 * maps are still locked. */
bool pt_program_settle(struct pt_program *p);

/* pt_program_lane_queue sets the queue on which the lane's data frames must
 * arrive; PT_QUEUE_ANY: only probes pass.  lane < lane_cnt.  -ENOENT: no
 * session. */
int pt_program_lane_queue(struct pt_program *p, __u64 session_id, __u32 lane,
			  __u16 queue);

/* pt_program_socket_set gives the queue's frames to an AF_XDP socket; closing
 * the socket removes it again.  fd -1 removes it now. */
int pt_program_socket_set(struct pt_program *p, __u32 queue, int xsk_fd,
			  struct pt_error *err);

/* pt_program_sockets writes for each queue whether a receiver's socket takes its
 * frames, also the socket of a process whose leases are not visible here.  A
 * receiver that begins has one on the last queue.  -errno: not known. */
int pt_program_sockets(const struct pt_program *p, bool has[PT_QUEUES_MAX]);

/* pt_program_*_counters write sums over all CPUs.  Return 0, or -ENOENT: no
 * such queue or session. */
int pt_program_queue_counters(const struct pt_program *p, __u32 queue,
			      struct pt_counters *sum);
int pt_program_session_counters(const struct pt_program *p, __u64 session_id,
				struct pt_counters *sum);

/* pt_program_sessions writes up to max session ids and returns their count. */
__u32 pt_program_sessions(const struct pt_program *p, __u64 *ids, __u32 max);

/* pt_program_session_pid returns the process that opened the session, 0:
 * unknown (for an unpinned program), or ended. */
pid_t pt_program_session_pid(const struct pt_program *p, __u64 session_id);

#endif
