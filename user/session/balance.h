/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* balance: checks the ledger's identities, each from independent counters.
 *
 *     sent      = accepted + missing                       sender, receiver
 *     received  = accepted + duplicate + refused           agent
 *     records   = placed + stale + refused_version         agent
 *     steered   = received + probes + dropped at sockets   XDP, agent
 *     seen      = passed + steered + dropped               XDP, by queue
 *
 * Pure.
 */
#ifndef SESSION_BALANCE_H
#define SESSION_BALANCE_H

#include <pagetrim/ledger.h>

/* pt_balance returns the count of frames and records that are unaccounted for:
 * 0 if all identities hold. */
__u64 pt_balance(const struct pt_ledger *ledger, __u64 sent);

#endif
