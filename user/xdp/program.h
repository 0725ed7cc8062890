/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room xdp: the XDP program and who shares it.
 *
 *   knows         attaching and pinning the program, its maps, leases of queues,
 *                 devices
 *   may use       no other
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
 * A session in pinned maps is tied to its process by a locked directory beside
 * them; one whose process died is removed by the next one that opens or adds.
 *
 * Threads: every function may be called by any thread.  None but open, pin and
 * unpin waits for another process; close does for a tenth of a second.
 */
#ifndef PT_XDP_PROGRAM_H
#define PT_XDP_PROGRAM_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include <pagetrim/maps.h>
#include "xdp/device.h"

#define PT_PROGRAM_NAME	"pagetrim"	/* as bpftool prog shows it */
#define PT_PIN_ROOT "/sys/fs/bpf/pagetrim"	/* DEV/{prog,link,pt_xsks,...};
						 * a dot in DEV becomes a colon,
						 * bpffs allows no dots */

struct pt_program;

struct pt_program_cfg {
	const struct pt_device *device;
	bool	generic;	/* in the network stack, not in the driver */
	bool	single_buffer;	/* do not even try for frames of several
				 * buffers; else a driver that refuses them gets
				 * this by itself */
};

struct pt_program_info {
	__u32	id;		/* of the program, as bpftool prog shows */
	bool	generic;	/* mode in which it is attached */
	bool	pinned;		/* by pagetrim attach */
	bool	dispatcher;	/* called by libxdp's dispatcher */
	bool	multi_buffer;	/* frames may have several buffers */
};

/* pt_program_device opens the device of that name, or the one that had it when
 * pagetrim attach pinned a program for it.  If only its pins are left here, it
 * has an ifindex of 0, which pt_program_unpin takes.  Else as pt_device_open. */
int pt_program_device(struct pt_device *out, const char *name,
		      struct pt_error *err);

/* pt_program_open: the pinned program, or an own one.  On success returns 0
 * and *out is the caller's, to pt_program_close.  Else:
 *   -EBUSY       another XDP program holds the device; the text names it
 *   -EOPNOTSUPP  the driver has no native XDP (generic was not asked for)
 *   -EPERM       no CAP_NET_ADMIN, CAP_BPF
 *   -EINVAL      what is pinned is in the other mode
 *   -ESTALE      the program is of another version of pagetrim
 *   -ENOENT      the program is pinned, and its pins are not seen here
 *   -ENOSPC, -ERANGE  a veth with too few queues, or too large an MTU */
int pt_program_open(struct pt_program **out, const struct pt_program_cfg *cfg,
		    struct pt_error *err);

/* pt_program_peek: the program that runs on the device, pinned or another
 * process's, for reading counters and sessions.  -ENOENT: none of ours;
 * -ENODEV: the device is not here any more. */
int pt_program_peek(struct pt_program **out, const struct pt_device *device,
		    struct pt_error *err);

/* pt_program_try loads the program, as far as the verifier, and lets go of it:
 * nothing is attached.  -EPERM, or what the kernel says. */
int pt_program_try(struct pt_error *err);

/* pt_program_close removes this process's sessions, and detaches an own
 * program.  NULL is fine. */
void pt_program_close(struct pt_program *p);

void pt_program_info(const struct pt_program *p, struct pt_program_info *info);

/* pt_program_is_attached: false once somebody has taken the program off its
 * device or out of its dispatcher, or put another in its place.  Needs no
 * privilege. */
bool pt_program_is_attached(const struct pt_program *p);

/* pt_program_pin loads, attaches and pins program and maps under
 * PT_PIN_ROOT/DEV, beside other programs by libxdp's dispatcher where kernel
 * and libxdp can.  Errors of pt_program_open, and
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

/* pt_program_unpin detaches and removes what pt_program_pin made, and what it
 * left when it was killed half-way.  -ENOENT: nothing is attached, or its pins
 * are not seen here.  -EBUSY: a process receives by it (the text names it), or
 * has its maps locked, and force is not set; -EMFILE, ...: who receives by it
 * cannot be read, and force is not set.  -ESTALE: as pt_program_pin, and force
 * is not set. */
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

/* pt_program_session_close: no more frames of it are steered, and its endpoint is
 * as after pt_program_session_remove, but its counters stay until that. */
void pt_program_session_close(struct pt_program *p, __u64 session_id);

/* pt_program_session_remove forgets it; its endpoint stays ours while another
 * session has it.  Its counters stay to be read, until the place is needed for
 * another session's. */
void pt_program_session_remove(struct pt_program *p, __u64 session_id);

/* pt_program_settle does what the two could not do at once, because another
 * process was changing the pinned maps: until then the kernel does not get the
 * endpoint's frames, and a removed session keeps its place.  False: it still
 * is. */
bool pt_program_settle(struct pt_program *p);

/* pt_program_lane_queue: the lane's data frames must arrive on queue, or
 * PT_QUEUE_ANY: only probes pass.  lane < lane_cnt.  -ENOENT: no session. */
int pt_program_lane_queue(struct pt_program *p, __u64 session_id, __u32 lane,
			  __u16 queue);

/* pt_program_socket_set gives the queue's frames to an AF_XDP socket; closing
 * the socket takes it out again.  fd -1 takes it out now. */
int pt_program_socket_set(struct pt_program *p, __u32 queue, int xsk_fd,
			  struct pt_error *err);

/* pt_program_*_counters: sums over all CPUs.  Returns 0, or -ENOENT: no such
 * queue or session. */
int pt_program_queue_counters(const struct pt_program *p, __u32 queue,
			      struct pt_counters *sum);
int pt_program_session_counters(const struct pt_program *p, __u64 session_id,
				struct pt_counters *sum);

/* pt_program_sessions writes up to max session ids, and returns how many. */
__u32 pt_program_sessions(const struct pt_program *p, __u64 *ids, __u32 max);

/* pt_program_session_pid returns the process that opened the session, 0: not
 * known (an unpinned program's), or gone. */
pid_t pt_program_session_pid(const struct pt_program *p, __u64 session_id);

#endif
