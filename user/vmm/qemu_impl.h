/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* qemu_impl: the inside of struct pt_qemu, for the files of this room. */
#ifndef VMM_QEMU_IMPL_H
#define VMM_QEMU_IMPL_H

#include <jansson.h>
#include <stdbool.h>

#include "qmp/qmp.h"
#include "vmm/qemu.h"
#include "vmm/throttle.h"

#define PT_QEMU_WORD_SZ	40	/* bytes of a state's name, with its NUL */

struct pt_qemu {
	struct pt_qmp *qmp;
	const char *name;	/* the monitor's path */
	pid_t pid;
	json_t *caps;		/* the capabilities as they were at the open, those
				 * that may have to be changed */
	bool resets;		/* at the close they must be set to that again */
	char seen[PT_QEMU_WORD_SZ];	/* the migration's last known state */
	int timeout_ms;		/* of a command; 0: the usual limit */
	bool is_late;		/* QEMU did not answer the last command in time */
	struct pt_qemu_guard *guard;	/* until source_begin; NULL: none */
	struct pt_throttle *throttle;	/* NULL: not opened */
	bool is_begun;		/* a migration of ours, as a source, may exist */
	bool is_continued;	/* the state of the devices may be on its way */
	int stream_fd;		/* the caller's end, which may be closed since, */
	ino_t stream_ino;	/* and the socket that it was; 0: there is none */
};

/* pt_qemu_state: the guest and the migration, in QEMU's words. */
struct pt_qemu_state {
	char run[PT_QEMU_WORD_SZ];
	bool is_running;
	char migration[PT_QEMU_WORD_SZ];	/* "": there was none yet */
	bool listens;				/* for a guest, by itself */
	char why[200];				/* it failed; may be "" */
};

/* pt_qemu_do runs a command, as pt_qmp_run; args is taken over.  QEMU that does not
 * answer in time is -ECONNRESET: its state is unknown from then on. */
int pt_qemu_do(struct pt_qemu *q, const char *name, json_t *args,
	       json_t **ret, struct pt_error *err);

/* pt_qemu_text returns the string that a command gives, for free(3); NULL: it
 * gives none. */
char *pt_qemu_text(struct pt_qemu *q, const char *name, json_t *args);

/* pt_qemu_property reads a property of an object, as pt_qemu_text. */
char *pt_qemu_property(struct pt_qemu *q, const char *path,
		       const char *property);

int pt_qemu_look(struct pt_qemu *q, struct pt_qemu_state *s,
		 struct pt_error *err);

/* pt_qemu_is_moving: a migration in this state is not over. */
bool pt_qemu_is_moving(const char *migration);

/* pt_qemu_is_stopped: the migration stopped a guest in this state. */
bool pt_qemu_is_stopped(const char *run);

/* pt_qemu_set_caps turns on those capabilities that a source, or a destination,
 * needs, and off all others that would change the stream. */
int pt_qemu_set_caps(struct pt_qemu *q, bool is_source, struct pt_error *err);

/* pt_qemu_reset_caps sets all to what they were at the open.  QEMU refuses it
 * while a migration is on its way; that is no error. */
void pt_qemu_reset_caps(struct pt_qemu *q);

/* pt_qemu_start_at has command begin a migration on a descriptor, of which QEMU gets
 * one of its own.  pt_qemu_start makes a stream for that; *fd is our end. */
int pt_qemu_start_at(struct pt_qemu *q, const char *command, int fd,
		     struct pt_error *err);
int pt_qemu_start(struct pt_qemu *q, const char *command, int *fd,
		  struct pt_error *err);

/* pt_qemu_wait waits until the migration is in the state, by events: a question
 * costs a turn of QEMU's main loop, milliseconds while the guest stands still. */
int pt_qemu_wait(struct pt_qemu *q, const char *state, int timeout_ms,
		 struct pt_error *err);

/* pt_qemu_check_dma refuses a guest (-EOPNOTSUPP) whose memory is written by DMA,
 * past page tables: QEMU has a file of such a device open, or a disk with a driver
 * that registers the memory. */
int pt_qemu_check_dma(struct pt_qemu *q, struct pt_error *err);
bool pt_qemu_is_dma_link(const char *link);	/* of /proc/PID/fd/N */
bool pt_qemu_is_dma_driver(const char *driver);	/* of a block node */

/* pt_qemu_hva finds where QEMU has the first byte of a backend, by HMP. */
bool pt_qemu_hva(struct pt_qemu *q, const char *id, __u64 *addr);

#endif
