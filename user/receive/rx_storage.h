/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_storage: the jobs of a session's store: everything that may wait for
 * storage.
 *
 *     open --> files, digests --> (mismatch) --> commit --> clear
 *
 * Each function only queues a job; control reads pt_store_is_idle and
 * pt_store_failed when the store has woken it, and does not touch a job's
 * results before.  Threads: control's.
 */
#ifndef RECEIVE_RX_STORAGE_H
#define RECEIVE_RX_STORAGE_H

#include "receive/rx_session.h"

/* pt_rx_storage_open has the sink created or resumed.  -ENOMEM, -EAGAIN. */
int pt_rx_storage_open(struct pt_rx_session *s, struct pt_error *err);

int pt_rx_storage_file(struct pt_rx_session *s, const struct pt_msg_file *m,
		       struct pt_error *err);
int pt_rx_storage_file_data(struct pt_rx_session *s,
			    const struct pt_msg_file_data *m,
			    struct pt_error *err);

/* pt_rx_storage_compare has regions compared with the sender's digests:
 * has_mismatch. */
int pt_rx_storage_compare(struct pt_rx_session *s,
			  const struct pt_msg_digests *m, struct pt_error *err);

/* pt_rx_storage_lack notes pages that come after the hand-over; none: those were all, and
 * the memory is readied for a guest that lacks them.  pt_rx_storage_run has the loaded
 * guest run: fill.has_run. */
int pt_rx_storage_lack(struct pt_rx_session *s, const struct pt_msg_pages_lacking *m,
		       struct pt_error *err);
int pt_rx_storage_run(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_storage_run_rest makes sure that the guest whose rest comes runs. */
int pt_rx_storage_run_rest(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_storage_mismatch has the pages of mismatch_region digested:
 * differing. */
int pt_rx_storage_mismatch(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_storage_commit has memory and files synced and renamed. */
int pt_rx_storage_commit(struct pt_rx_session *s, struct pt_error *err);

/* pt_rx_storage_clear ends the session's threads, removes or keeps uncommitted
 * data, and closes the sink.  It may be called twice. */
void pt_rx_storage_clear(struct pt_rx_session *s);

/* pt_rx_storage_is_clear: clear has finished. */
bool pt_rx_storage_is_clear(const struct pt_rx_session *s);

/* pt_rx_storage_is_idle: no queued job and no accepted frame waits. */
bool pt_rx_storage_is_idle(const struct pt_rx_session *s);

/* pt_rx_storage_since_ns returns since when it has waited for storage; 0: it
 * does not wait. */
__u64 pt_rx_storage_since_ns(const struct pt_rx_session *s);

#endif
