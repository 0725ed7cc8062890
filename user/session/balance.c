/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "session/balance.h"

static __u64 distance(__u64 a, __u64 b)
{
	return a > b ? a - b : b - a;
}

__u64 pt_balance(const struct pt_ledger *ledger, __u64 sent)
{
	__u64 refused = ledger->refused_auth + ledger->refused_record +
			ledger->refused_window + ledger->refused_unit;

	return distance(sent, ledger->accepted + ledger->missing) +
	       distance(ledger->received,
			ledger->accepted + ledger->duplicate + refused) +
	       distance(ledger->records, ledger->placed + ledger->stale +
					 ledger->refused_version) +
	       distance(ledger->steered, ledger->received + ledger->probes +
					 ledger->socket_dropped) +
	       ledger->queue_unaccounted;
}
