/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* splitter_impl: shared by splitter.c, which has the calls, and splitter_flow.c,
 * the thread. */
#ifndef PROXY_SPLITTER_IMPL_H
#define PROXY_SPLITTER_IMPL_H

#include <pthread.h>
#include <stdbool.h>

#include "proxy/batch.h"
#include "proxy/pipe.h"
#include "proxy/splitter.h"

#define PT_SPLITTER_HEAD_SZ	(1u << 20)	/* of the head, and of held
						 * commands */
#define PT_SPLITTER_IN_SZ	(1u << 20)	/* read, and not yet parted */
#define PT_SPLITTER_BACK_SZ	(64u << 10)
#define PT_SPLITTER_OUT_SZ	(2 * PT_SPLITTER_HEAD_SZ + PT_SPLITTER_IN_SZ + \
				 8192)	/* head, and start of the tail */

enum pt_splitter_phase {
	PT_SPLITTER_PAGES,	/* pages are cut out */
	PT_SPLITTER_WAITS,	/* the tail waits for hand_over */
	PT_SPLITTER_TAIL,	/* all passes whole */
};

struct pt_splitter {
	const char *path;
	int listen_fd;			/* -1: the head has come */
	int qemu_fd;			/* -1: not accepted */
	int other_fd;			/* another connection; -1: none */
	__u64 other_ns;			/* it came */
	int inner_fd;			/* our end of begin's *fd; -1: none */
	int wake_fd;
	struct pt_qstream qstream;
	struct pt_batch *batch;		/* NULL: before accept */
	pthread_t thread;
	bool has_thread;

	/* The thread's; before begin those of accept. */
	enum pt_splitter_phase phase;
	struct pt_pipe in;		/* from QEMU, to be parted */
	struct pt_pipe out;		/* to inner_fd: the head, then the tail */
	struct pt_pipe held;		/* commands that wait for the tail */
	struct pt_pipe back;		/* to QEMU */
	bool has_end;			/* the pages ended with section ram */
	bool has_read_end;		/* of QEMU's stream */
	bool has_sent_end;
	bool has_taken_end;		/* of the back channel */
	bool has_given_end;
	struct pt_qstream_token last;	/* the last record; sz 0: none */
	__u8 last_page[PT_PAGE_SZ];	/* its content, if it has one */

	pthread_mutex_t lock;		/* of the following: */
	pthread_cond_t changed;
	bool is_released;		/* hand_over was called */
	bool is_stopped;		/* the thread is to end */
	bool has_ended;			/* both directions have */
	int failure;
	bool is_qemus;			/* the failure */
	struct pt_error failed;
};

/* pt_splitter_flow is the thread. */
void *pt_splitter_flow(void *splitter);

#endif
