/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "rxq/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <openssl/crypto.h>

#include "rxq/placer.h"

int pt_intake_lanes_make(struct pt_intake *i)
{
	size_t sz = i->lane_cnt * sizeof(*i->lanes);
	int ret = 0;

	/* calloc(3) does not respect their alignment. */
	i->lanes = aligned_alloc(_Alignof(struct pt_rx_lane), sz);
	if (!i->lanes)
		return -ENOMEM;
	memset(i->lanes, 0, sz);
	for (__u16 n = 0; n < i->lane_cnt; n++) {
		i->lanes[n].intake = i;
		i->lanes[n].lane_idx = n;
		i->lanes[n].queue = PT_QUEUE_ANY;
	}
	pthread_mutex_init(&i->probe_lock, NULL);
	pthread_rwlock_init(&i->place_lock, NULL);
	for (__u16 n = 0; !ret && n < i->lane_cnt; n++)
		ret = pt_placer_create(&i->lanes[n].placer, &i->lanes[n],
				       i->places_apart);
	if (ret)
		pt_intake_free(i);
	return ret;
}

bool pt_intake_is_placed(const struct pt_intake *i)
{
	for (__u16 n = 0; n < i->lane_cnt; n++)
		if (!pt_placer_is_idle(i->lanes[n].placer))
			return false;
	return true;
}

__u64 pt_intake_since_ns(const struct pt_intake *i)
{
	__u64 first_ns = 0;

	for (__u16 n = 0; i->lanes && n < i->lane_cnt; n++) {
		__u64 ns = pt_placer_since_ns(i->lanes[n].placer);

		if (ns && (!first_ns || ns < first_ns))
			first_ns = ns;
	}
	return first_ns;
}

void pt_intake_profile(const struct pt_intake *i, struct pt_profile *out)
{
	memset(out, 0, sizeof(*out));
	for (__u16 n = 0; i->lanes && n < i->lane_cnt; n++)
		pt_placer_profile(i->lanes[n].placer, out);
}

void pt_intake_stop(struct pt_intake *i)
{
	for (__u16 n = 0; i->lanes && n < i->lane_cnt; n++)
		pt_placer_stop(i->lanes[n].placer);
}

void pt_intake_free(struct pt_intake *i)
{
	if (!i->lanes)
		return;
	for (__u16 n = 0; n < i->lane_cnt; n++) {
		pt_placer_destroy(i->lanes[n].placer);
		pt_seal_destroy(i->lanes[n].seal);
		pt_seal_destroy(i->lanes[n].probe_seal);
	}
	free(i->lanes);
	i->lanes = NULL;
	pthread_rwlock_destroy(&i->place_lock);
	pthread_mutex_destroy(&i->probe_lock);
	OPENSSL_cleanse(i->header_key, sizeof(i->header_key));
}

void pt_intake_fail(struct pt_intake *i, int code, const struct pt_error *err)
{
	static atomic_flag writing = ATOMIC_FLAG_INIT;

	while (atomic_flag_test_and_set(&writing))
		;	/* two queues failed in the same microsecond */
	if (!atomic_load(&i->failed)) {
		i->error = *err;
		atomic_store(&i->failed, code);
	}
	atomic_flag_clear(&writing);
	eventfd_write(i->wake_fd, 1);
}

void pt_intake_ledger(const struct pt_intake *i, struct pt_ledger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
	for (__u16 n = 0; n < i->lane_cnt; n++) {
		const struct pt_rx_lane *l = &i->lanes[n];
		__u64 no_unit = atomic_load(&l->placed.no_unit);

		ledger->received += l->received;
		ledger->accepted += l->accepted - no_unit;
		ledger->duplicate += l->duplicate;
		ledger->late += l->late;
		ledger->missing += l->missing;
		ledger->refused_auth += l->refused_auth;
		ledger->refused_record += l->refused_record;
		ledger->refused_window += l->refused_window;
		ledger->refused_unit += l->refused_unit + no_unit;
		ledger->placed += atomic_load(&l->placed.placed);
		ledger->stale += atomic_load(&l->placed.stale);
		ledger->refused_version += atomic_load(&l->placed.refused);
		ledger->records += l->records -
				   atomic_load(&l->placed.no_unit_records);
		ledger->probes += l->probes;
	}
	ledger->received += i->strays;
	ledger->refused_window += i->strays;
}

__u64 pt_intake_window_ns(const struct pt_intake *i)
{
	__u64 longest_ns = 0;

	for (__u16 n = 0; n < i->lane_cnt; n++) {
		const struct pt_reorder *r = &i->lanes[n].reorder;
		__u64 ns = r->arrived_end ? pt_reorder_tail_ns(r) : 0;

		if (longest_ns < ns)
			longest_ns = ns;
	}
	return longest_ns;
}
