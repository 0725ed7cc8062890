/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program_impl: what program.c, program_pin.c, program_find.c and
 * program_maps.c share. */
#ifndef PT_XDP_PROGRAM_IMPL_H
#define PT_XDP_PROGRAM_IMPL_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>

#include "pagetrim.skel.h"
#include "xdp/lockfile.h"
#include "xdp/program.h"

/* X(SYMBOL, name, type, key bytes, value bytes): the maps of maps.h. */
#define PROGRAM_MAPS(X)							\
	X(ENDPOINTS, pt_endpoints, HASH, sizeof(struct pt_endpoint), 4)	\
	X(SESSIONS, pt_sessions, HASH, 8, sizeof(struct pt_session))	\
	X(XSKS, pt_xsks, XSKMAP, 4, 4)					\
	X(QUEUE_COUNTERS, pt_queue_counters, PERCPU_ARRAY, 4,		\
	  sizeof(struct pt_counters))					\
	X(SESSION_COUNTERS, pt_session_counters, PERCPU_HASH, 8,	\
	  sizeof(struct pt_counters))

enum program_map {
#define X(SYMBOL, name, type, key_sz, value_sz) MAP_##SYMBOL,
	PROGRAM_MAPS(X)
#undef X
	MAP_CNT
};

/* program_living: the sessions of pinned maps whose process lives. */
struct program_living {
	__u32	cnt;
	struct program_owned {
		__u64	id;
		pid_t	pid;	/* as its process sees itself */
	} sessions[PT_SESSIONS_MAX];
};

struct pt_program {
	struct pt_device device;
	struct pt_program_info info;
	__u32	rules;		/* of a found program: PT_RULES when it was
				 * built; 0: it does not say */
	int	prog_fd;
	int	link_fd;	/* of an own program; else -1 */
	int	map_fd[MAP_CNT];
	int	cpu_cnt;	/* slots of a per-CPU value */

	pthread_mutex_t mutex;	/* of all below */
	struct pt_counters *percpu;	/* [cpu_cnt] */
	__u64	*sessions;	/* [PT_SESSIONS_MAX]: ids of our own */
	__u32	session_cnt;
	struct pt_lockfile owner;	/* of pinned maps, names our sessions;
					 * else fd is -1 */
	int	maps_fd;	/* what is locked to change pinned maps, or -1 */
};

/* program_new returns an empty one; program_free closes what it holds.
 * program_free removes no sessions. */
struct pt_program *program_new(const struct pt_device *device);
void program_free(struct pt_program *p);

/* program_fail names the cause of a failed load or attach, the holder among
 * them. */
int program_fail(struct pt_error *err, const struct pt_program_cfg *cfg,
		 int code);

/* program_attach loads the program and attaches it by a bpf_link. */
int program_attach(struct pt_program *p, const struct pt_program_cfg *cfg,
		   struct pt_error *err);

/* program_find fills p with the pagetrim program that the device runs, and
 * its maps.  Returns 0, -ENOENT: none, or -EPROTO: one of another version, of
 * whose maps some may be missing. */
int program_find(struct pt_program *p);

/* program_fail_version: -ESTALE, for program_find's -EPROTO. */
int program_fail_version(struct pt_error *err, const struct pt_device *device);

/* program_pinned_id returns the id of what is pinned for the device's name, 0:
 * nothing is. */
__u32 program_pinned_id(const struct pt_device *device);

/* program_recorded_id returns the id that pagetrim attach wrote down for this
 * device, 0: none.  Unlike pins it is seen under `ip netns exec`. */
__u32 program_recorded_id(const struct pt_device *device);

/* program_record_write writes it down; -errno. */
int program_record_write(const struct pt_device *device, __u32 id);

/* program_record_remove forgets the device's record, others of the program id
 * (0: none), and those of programs that are no more. */
void program_record_remove(const struct pt_device *device, __u32 id);

/* program_record_is_dead: program id, which device does not run, was attached
 * to no other device, or to one of this network namespace that is gone. */
bool program_record_is_dead(const struct pt_device *device, __u32 id);

/* program_prune removes the sessions of pinned maps whose owner is gone.  The
 * mutex is held, or p is not shared yet. */
void program_prune(struct pt_program *p);

/* program_own makes this process an owner of sessions of pinned maps;
 * program_disown ends that.  program_own_sessions writes down p's sessions. */
int program_own(struct pt_program *p, struct pt_error *err);
void program_disown(struct pt_program *p);
int program_own_sessions(struct pt_program *p);

/* program_lock_maps: several processes change pinned maps, one at a time.  Own
 * maps need the mutex only. */
int program_lock_maps(struct pt_program *p, struct pt_error *err);
void program_unlock_maps(struct pt_program *p);

/* program_living asks the lock files; program_living_pid returns the process
 * of a session, 0: none lives. */
void program_living(const struct pt_device *device,
		    struct program_living *living);
pid_t program_living_pid(const struct program_living *living,
			 __u64 session_id);

#endif
