/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* program_impl: the internals that program.c and the program_*.c share. */
#ifndef XDP_PROGRAM_IMPL_H
#define XDP_PROGRAM_IMPL_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>

#include "xdp/program.h"
#include "pagetrim.skel.h"	/* needs types of ours */

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

#define HOLDERS_MAX	PT_QUEUES_MAX	/* each has a queue */

/* program_holders: the living processes that use pinned maps. */
struct program_holders {
	__u32	cnt;
	struct program_holder {
		__u64	number;
		pid_t	pid;	/* in its own pid namespace */
	} holders[HOLDERS_MAX];
};

/* program_session: a session that this process opened.  Changes that need the
 * lock of pinned maps, and did not get it at once, are made later: see
 * pt_program_settle. */
struct program_session {
	__u64	id;
	struct pt_endpoint was;	/* its former endpoint, whose users must be
				 * recounted; else 0 */
	bool	is_leaving;	/* it must be removed from the maps */
};

struct pt_program {
	struct pt_device device;
	struct pt_program_info info;
	struct pt_constants constants;	/* of a found program; rules are 0 if it
					 * has none */
	int	prog_fd;
	int	link_fd;	/* of an own program; else -1 */
	int	before_fd;	/* the link's previous program, which a sender
				 * attached; else -1 */
	int	mark_fd;	/* a socket in our own map until it has others,
				 * so that other processes see that we begin;
				 * else -1 */
	int	targets_fd;	/* behind a dispatcher: list of our program's
				 * targets; -1: alone, or not reported by the
				 * kernel */
	int	map_fd[MAP_CNT];
	int	cpu_cnt;	/* slots of a per-CPU value */

	pthread_mutex_t mutex;	/* of all below */
	struct pt_counters *percpu;	/* [cpu_cnt] */
	struct program_session *sessions;	/* [PT_SESSIONS_MAX]; our own */
	__u32	session_cnt;

	char	pins[PT_PIN_PATH_SZ];	/* folder of the pins, "": not found */
	int	pins_fd;	/* that folder, or PROGRAM_HOLDERS in it; locked
				 * to change pinned maps; or -1 */
	int	holder_fd;	/* our directory in it, locked; or -1 */
	__u64	holder;		/* its number */
	char	holder_name[48];
};

/* program_new returns an empty one; program_free closes what it holds.
 * program_free removes no sessions. */
struct pt_program *program_new(const struct pt_device *device);
void program_free(struct pt_program *p);

/* program_fail names the cause of a failed load or attach, the holder among
 * them. */
int program_fail(struct pt_error *err, const struct pt_program_cfg *cfg,
		 int code);

/* program_fail_version converts program_find's -EPROTO, for p, to -ESTALE. */
int program_fail_version(struct pt_error *err, struct pt_program *p);

/* program_fail_hidden: pagetrim attach attached p's program, and its pins are
 * not visible here. */
int program_fail_hidden(struct pt_error *err, const struct pt_program *p);

/* program_set_constants sets the program's device, before the load. */
void program_set_constants(struct pagetrim_bpf *skel,
			   const struct pt_constants *constants);

/* program_attach loads the program, with p's constants, and attaches it by a
 * bpf_link. */
int program_attach(struct pt_program *p, const struct pt_program_cfg *cfg,
		   struct pt_error *err);

/* program_mark puts a socket without a queue into a map that is about to be on
 * the device: so the program is no orphan from the first moment on.
 * program_unmark ends that. */
int program_mark(struct pt_program *p, int map_fd);
void program_unmark(struct pt_program *p);

/* program_take_link replaces a sender's pass program by prog_fd, or a receive
 * program that outlived its receiver because a sender holds the link, too.
 * Returns the link, held, and notes its previous program in p; else -EBUSY: a
 * foreign program is there, or came meanwhile, or -errno. */
int program_take_link(struct pt_program *p, int prog_fd);

/* program_keep forgets the link's previous program.  program_put_back restores
 * it, unless the link has another program than ours by now. */
void program_keep(struct pt_program *p);
void program_put_back(struct pt_program *p);

/* program_is_orphan: p, which program_find found, is a receiver's own program
 * by which no process receives any more. */
bool program_is_orphan(const struct pt_program *p);

/* program_find fills p with the pagetrim program on the device, and its maps.
 * Returns 0, -ENOENT: none, or -EPROTO: another version, some of whose maps may
 * be missing. */
int program_find(struct pt_program *p);

/* program_take fills p if program id is ours; -ENOENT if it is not.  It fills p
 * in part for another version, with -EPROTO. */
int program_take(struct pt_program *p, __u32 id);

/* program_reach_open prepares pt_program_is_attached, which finds out without
 * privilege whether a dispatcher still calls p's program. */
void program_reach_open(struct pt_program *p);

/* ---- pins: program_pins.c ---- */

/* program_map_name returns "pt_xsks", ... */
const char *program_map_name(enum program_map map);

/* program_find_pins looks for p's program, by its number, among the pins of all
 * devices, since its device may have been renamed. -ENOENT: not here. */
int program_find_pins(struct pt_program *p);

/* program_remove_pins removes the folder and all in it. */
void program_remove_pins(const char *path);

/* ---- pins of a user: program_grant.c ---- */

#define PROGRAM_HOLDERS	"holders"

/* program_pin_constants pins the constants of p's program beside it. */
int program_pin_constants(const struct pt_program *p);

/* program_grant gives p's pins to the grant's user.  -errno: a part may have been
 * given. */
int program_grant(const struct pt_program *p, const struct pt_grant *grant);

/* program_remove_grant removes all that program_grant made in a folder of pins. */
void program_remove_grant(const char *folder);

/* program_open_pin returns a descriptor, which the caller closes, or -errno.
 * -EACCES: the pin is another user's. */
int program_open_pin(const char *path, bool writable);

/* program_take_pins fills p as program_take does, by the pins of the device's
 * name; device_id is the number of the program on the device.  -EPERM: there are
 * none for this user. */
int program_take_pins(struct pt_program *p, __u32 device_id);

/* program_barred_pin returns why program_take_pins fails, as -errno, and the path of
 * the pin. */
int program_barred_pin(const struct pt_program *p, char path[PT_PIN_PATH_SZ]);

/* program_constants_fd returns a descriptor, which the caller closes, of the map of
 * the program's constants. */
int program_constants_fd(int prog_fd);

/* The state of the device whose pins are in a folder. */
enum program_pins {
	PINS_NONE,	/* there are none */
	PINS_DEAD,	/* the device is gone, or the pins are incomplete */
	PINS_HERE,	/* the device is in this network namespace */
	PINS_ELSEWHERE,	/* the device is in another one, as far as we know */
	PINS_UNREAD,	/* the pins cannot be read */
};

/* program_judge_pins returns the state; *device is the device if it is HERE. */
enum program_pins program_judge_pins(const char *path,
				     struct pt_device *device);

/* program_refuse_pins returns 0 if the pins of device's name belong to no known
 * device of any name, so that they may be removed; else -ESTALE. */
int program_refuse_pins(const struct pt_device *device, struct pt_error *err);

/* ---- turns of attach and detach: program_turn.c ---- */

/* program_flock takes a flock(2) that others hold briefly; false: not within
 * ms. */
bool program_flock(int fd, __u32 ms);

/* program_begin_turn waits until no other process attaches or detaches.
 * -EBUSY: another one does not finish.  program_end_turn admits the next. */
int program_begin_turn(int *turn, const char *dev, struct pt_error *err);
void program_end_turn(int turn);

/* ---- living processes: program_holder.c ---- */

/* program_hold makes this process a holder of pinned maps; program_unhold ends
 * that.  -EAGAIN: the maps were detached meanwhile. */
int program_hold(struct pt_program *p, struct pt_error *err);
void program_unhold(struct pt_program *p);

/* program_lock_maps: processes change pinned maps one at a time.  Own maps need
 * the mutex only.  It waits up to 5 s, then -EBUSY, so only a process without
 * peers may call it.  program_try_maps does not wait: -EAGAIN. */
int program_lock_maps(struct pt_program *p, struct pt_error *err);
int program_try_maps(struct pt_program *p, struct pt_error *err);
void program_unlock_maps(struct pt_program *p);

/* program_holders lists the living holders.  Returns 0, or -errno if the list
 * may be incomplete: -E2BIG: there are HOLDERS_MAX or more; -EMFILE, ...: it
 * could not be read to its end.  program_holder_pid returns the process of a
 * holder, 0: it is not in the list. */
int program_holders(const struct pt_program *p, struct program_holders *out);
pid_t program_holder_pid(const struct program_holders *holders, __u64 number);

/* program_remove_holders removes the directories of dead holders; with living
 * also those of living ones. */
void program_remove_holders(int pins_fd, bool living);

/* program_empty removes all directories and pins, whoever made them. */
void program_empty(int pins_fd);

/* program_prune removes the sessions of pinned maps whose holder is dead, and
 * the endpoints that no session has.  p is not shared yet. */
void program_prune(struct pt_program *p);

#endif
