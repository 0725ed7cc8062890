/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include <pagetrim/maps.h>
#include "xdp/lockfile.h"

_Static_assert(PT_LEASE_ROLE_SZ == PT_LOCKFILE_ROLE_SZ, "a role fits a file");

struct pt_lease {
	struct pt_lockfile lock;
	__u32 queue;
};

static __u32 queue_cnt(const struct pt_device *dev)
{
	__u32 cnt = dev->rx_queue_cnt > dev->tx_queue_cnt ?
		    dev->rx_queue_cnt : dev->tx_queue_cnt;

	return cnt < PT_QUEUES_MAX ? cnt : PT_QUEUES_MAX;
}

static void queue_path(char path[96], const struct pt_device *dev, __u32 queue)
{
	char tail[16];

	snprintf(tail, sizeof(tail), "q%u", queue);
	pt_lockfile_path(path, dev, tail);
}

static int fail_taken(struct pt_error *err, const struct pt_device *dev,
		      __u32 queue, const struct pt_lockfile_owner *owner)
{
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s queue %u: taken by pid %d, pagetrim %s "
			    "(use another queue or wait for it)", dev->name,
			    queue, owner->pid, owner->role);
}

int pt_lease_take(struct pt_lease **out, const struct pt_device *dev,
		  __u32 queue, const char *role, struct pt_error *err)
{
	struct pt_lockfile_owner owner;
	struct pt_lease *lease;
	char path[96];
	int ret;

	pt_check(role[0] && strlen(role) < PT_LEASE_ROLE_SZ);
	pt_check(!role[strspn(role, "abcdefghijklmnopqrstuvwxyz0123456789_-")]);
	if (queue >= queue_cnt(dev))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s queue %u: no such queue (it has 0..%u; "
				    "ethtool -L %s changes that)", dev->name,
				    queue, queue_cnt(dev) - 1, dev->name);
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	queue_path(path, dev, queue);
	ret = pt_lockfile_take(&lease->lock, path, role, &owner, err);
	if (ret) {
		free(lease);
		return ret == -EBUSY ? fail_taken(err, dev, queue, &owner) :
				       ret;
	}
	lease->queue = queue;
	pt_lockfile_sweep();
	*out = lease;
	return 0;
}

int pt_lease_take_free(struct pt_lease **out, __u32 cnt,
		       const struct pt_device *dev, const char *role,
		       struct pt_error *err)
{
	struct pt_error taken = { 0 };
	__u32 have = 0;
	int ret = 0;

	pt_check(cnt >= 1 && cnt <= PT_QUEUES_MAX);
	if (cnt > queue_cnt(dev))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: %u queues asked for, it has %u "
				    "(ask for fewer; ethtool -L %s makes more)",
				    dev->name, cnt, queue_cnt(dev), dev->name);
	for (__u32 q = 0; q < queue_cnt(dev) && have < cnt; q++) {
		ret = pt_lease_take(&out[have], dev, q, role, &taken);
		if (!ret)
			have++;
		else if (ret != -EBUSY)
			break;
	}
	if (have == cnt)
		return 0;
	for (__u32 i = 0; i < have; i++)
		pt_lease_release(out[i]);
	if (ret && ret != -EBUSY) {
		if (err)
			*err = taken;
		return ret;
	}
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s: %u queues asked for, %u of %u are free; "
			    "%.200s", dev->name, cnt, have, queue_cnt(dev),
			    taken.text);
}

__u32 pt_lease_queue(const struct pt_lease *lease)
{
	return lease->queue;
}

void pt_lease_release(struct pt_lease *lease)
{
	if (!lease)
		return;
	pt_lockfile_release(&lease->lock);
	free(lease);
}

bool pt_lease_owner(const struct pt_device *dev, __u32 queue,
		    struct pt_lease_owner *owner)
{
	struct pt_lockfile_owner file;
	char path[96];

	queue_path(path, dev, queue);
	if (!pt_lockfile_is_held(path, &file))
		return false;
	owner->pid = file.pid;
	memcpy(owner->role, file.role, sizeof(owner->role));
	return true;
}
