/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "session/queues.h"

#include <errno.h>
#include <sched.h>

#include <pagetrim/wire.h>

__u32 pt_queues_cpu_cnt(void)
{
	cpu_set_t cpus;

	/* It fails on a machine with more CPUs than the set holds: 1024. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return PT_LANES_MAX;
	return CPU_COUNT(&cpus);
}

static __u32 min_u32(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

int pt_queues_choose(__u32 *cnt, const struct pt_queues_wish *wish,
		     const struct pt_device *dev,
		     const struct pt_leases *leases, struct pt_error *err)
{
	struct pt_error holder;
	__u32 free_cnt = pt_lease_free_cnt(leases, wish->have_cnt, &holder);

	if (!free_cnt) {
		if (err)
			*err = holder;
		return -EBUSY;
	}
	*cnt = wish->cnt ? wish->cnt :
	       min_u32(min_u32(free_cnt, wish->auto_max), PT_LANES_MAX);
	if (*cnt > wish->have_cnt)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: has %u %s "
				    "queue%s, {queues} asks for %u ({queues} "
				    "%u works, or {queues auto}; ethtool -L %s "
				    "may make more)", dev->name,
				    wish->have_cnt, wish->kind,
				    wish->have_cnt == 1 ? "" : "s", *cnt,
				    free_cnt, dev->name);
	if (*cnt > free_cnt)
		return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: %u of %u "
				    "%s queues are free, {queues} asks for %u "
				    "({queues} %u works, or {queues auto}); "
				    "%.200s", dev->name, free_cnt,
				    wish->have_cnt, wish->kind, *cnt, free_cnt,
				    holder.text);
	return 0;
}

bool pt_queues_pass_over(struct pt_lease **leases, __u32 *cnt, __u32 i)
{
	if (*cnt == 1)
		return false;
	pt_lease_release(leases[i]);
	for (--*cnt; i < *cnt; i++)
		leases[i] = leases[i + 1];
	return true;
}
