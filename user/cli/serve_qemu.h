/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* serve_qemu: the QEMU of `pagetrim serve --qmp`, whose state a thread of its own has
 * loaded while its memory is served.
 *
 *     open --> give (the keeper holds it) --> arm --> load --> end
 *     open -------------- resumed ------------------> load --> end
 *
 * Threads: the caller's; pt-restore speaks with QEMU from load until end. */
#ifndef CLI_SERVE_QEMU_H
#define CLI_SERVE_QEMU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lazy/keeper.h"
#include "lazy/qemu.h"

/* pt_serve_qemu: the options are set by the caller, the rest is 0. */
struct pt_serve_qemu {
	const char *qmp;	/* the monitor; NULL: there is no QEMU */
	__u32 pid;		/* of QEMU; 0: that of the monitor */
	const char *state;	/* the small file with the state of its devices */
	bool paused;		/* the guest stays so when it is loaded */

	struct pt_qemu *qemu;
	struct pt_lazy_qemu found;
	enum pt_qemu_restore begins_as;
	int state_fd;		/* -1: there is none; QEMU gets its own */
	struct pt_lazy_record *record;	/* the caller's */
	pthread_t thread;
	bool has_thread;
	atomic_bool is_loading;	/* QEMU was told to load its state */
	int failed_fd;		/* readable: QEMU does not load */
	int stop_fd;		/* readable: failed_fd or the caller's stop_fd is */
	atomic_bool is_over;	/* memory is served no more */
	__u64 began_ns;
	int code;		/* of the thread, and why */
	struct pt_error err;
};

/* pt_serve_qemu_check: the guest of a keeper that was there is of the door that was
 * given. */
int pt_serve_qemu_check(const struct pt_serve_qemu *q, const char *door,
			const struct pt_lazy_record *record, struct pt_error *err);

/* pt_serve_qemu_open finds QEMU, its memory and its state, and touches nothing.  A
 * QEMU that an earlier server has begun is asked nothing: it may wait in a fault, and
 * would not answer before that is served.
 * Errors as pt_qemu_open, pt_qemu_restore_look, pt_lazy_qemu_find,
 * pt_lazy_image_file. */
int pt_serve_qemu_open(struct pt_serve_qemu *q, const struct pt_lazy_image *image,
		       struct pt_lazy_record *record, int stop_fd, struct pt_error *err);

/* pt_serve_qemu_give enters QEMU, which waits for a guest, and gives its descriptor to the
 * keeper. */
int pt_serve_qemu_give(struct pt_serve_qemu *q, const struct pt_lazy_kept *kept,
		       struct pt_error *err);

/* pt_serve_qemu_arm registers and empties the memory, and says which it is. */
int pt_serve_qemu_arm(struct pt_serve_qemu *q, int uffd,
		      struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX], __u32 *cnt,
		      struct pt_error *err);

/* pt_serve_qemu_load loads the state while the memory is served. */
int pt_serve_qemu_load(struct pt_serve_qemu *q, struct pt_error *err);

/* pt_serve_qemu_end waits until the guest is loaded, if is_whole, or gives up, and
 * returns the thread's error.  -ECANCELED: it gave up, and err is as it was. */
int pt_serve_qemu_end(struct pt_serve_qemu *q, bool is_whole, struct pt_error *err);
void pt_serve_qemu_close(struct pt_serve_qemu *q);	/* twice is allowed */

#endif
