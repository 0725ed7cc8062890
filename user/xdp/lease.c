/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/check.h>
#include <pagetrim/maps.h>
#include "xdp/lockfile.h"

_Static_assert(PT_LEASE_ROLE_SZ == PT_LOCKFILE_ROLE_SZ, "a role fits a file");

/* Every process that has the file open holds this byte for reading; a process
 * that removes the file holds all of it for writing. */
#define IN_USE_OFF	((__u64)PT_QUEUES_MAX * PT_LOCKFILE_LINE_SZ)
#define OPEN_TRIES	100	/* the file was removed between our open and our
				 * lock */

struct pt_leases {
	struct pt_device dev;
	int fd;
	char path[96];
	bool is_ours[PT_QUEUES_MAX];	/* locks of one descriptor do not
					 * exclude one another */
};

struct pt_lease {
	struct pt_leases *leases;
	__u32 queue;
};

static struct pt_lockfile_part part_of(__u32 queue)
{
	return (struct pt_lockfile_part){
		.off = (__u64)queue * PT_LOCKFILE_LINE_SZ,
		.sz = PT_LOCKFILE_LINE_SZ,
	};
}

static __u32 queue_cnt(const struct pt_device *dev)
{
	__u32 cnt = dev->rx_queue_cnt > dev->tx_queue_cnt ?
		    dev->rx_queue_cnt : dev->tx_queue_cnt;

	return cnt < PT_QUEUES_MAX ? cnt : PT_QUEUES_MAX;
}

int pt_leases_open(struct pt_leases **out, const struct pt_device *dev,
		   struct pt_error *err)
{
	const struct pt_lockfile_part in_use = { .off = IN_USE_OFF, .sz = 1 };
	struct pt_leases *l = calloc(1, sizeof(*l));

	if (!l)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	l->dev = *dev;
	pt_lockfile_path(l->path, dev, "queues");
	pt_lockfile_sweep();
	for (int i = 0; i < OPEN_TRIES; i++) {
		l->fd = pt_lockfile_open(l->path, err);
		if (l->fd < 0) {
			int ret = l->fd;

			free(l);
			return ret;
		}
		if (pt_lockfile_share_part(l->fd, in_use) &&
		    pt_lockfile_still_there(l->fd, l->path)) {
			*out = l;
			return 0;
		}
		close(l->fd);
	}
	pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: made and removed all the "
		     "time", l->path);
	free(l);
	return -EBUSY;
}

void pt_leases_close(struct pt_leases *l)
{
	if (!l)
		return;
	for (__u32 q = 0; q < PT_QUEUES_MAX; q++)
		pt_check(!l->is_ours[q]);
	pt_lockfile_remove(l->fd, l->path);
	close(l->fd);
	free(l);
}

int pt_leases_grant(const struct pt_device *dev, const struct pt_grant *grant,
		    struct pt_error *err)
{
	struct pt_leases *l;
	int ret = pt_leases_open(&l, dev, err);

	if (ret)
		return ret;
	ret = pt_lockfile_grant(l->fd, grant);
	if (ret)
		pt_error_set(err, PT_EXIT_HOST, ret, "%s: cannot be given to "
			     "another user: %s", l->path, strerror(-ret));
	pt_leases_close(l);
	return ret;
}

void pt_leases_recall(const struct pt_device *dev)
{
	char path[96];
	int fd;

	pt_lockfile_path(path, dev, "queues");
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	pt_lockfile_recall(fd);
	pt_lockfile_remove(fd, path);
	close(fd);
}

static int fail_taken(struct pt_error *err, const struct pt_device *dev,
		      __u32 queue, const struct pt_lockfile_owner *owner)
{
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s queue %u: taken by pid %d, pagetrim %s "
			    "(use another queue or wait for it)", dev->name,
			    queue, owner->pid, owner->role);
}

int pt_lease_take(struct pt_lease **out, struct pt_leases *leases,
		  __u32 queue, const char *role, struct pt_error *err)
{
	const struct pt_device *dev = &leases->dev;
	struct pt_lockfile_owner owner;
	struct pt_lease *lease;
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
	if (leases->is_ours[queue] ||
	    !pt_lockfile_lock_part(leases->fd, part_of(queue))) {
		pt_lockfile_read_owner(leases->fd, part_of(queue), &owner);
		free(lease);
		return fail_taken(err, dev, queue, &owner);
	}
	ret = pt_lockfile_write_owner(leases->fd, part_of(queue), role);
	if (ret) {
		pt_lockfile_unlock_part(leases->fd, part_of(queue));
		free(lease);
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: %s",
				    leases->path, strerror(-ret));
	}
	leases->is_ours[queue] = true;
	lease->leases = leases;
	lease->queue = queue;
	*out = lease;
	return 0;
}

int pt_lease_take_free(struct pt_lease **out, __u32 cnt,
		       struct pt_leases *leases, const char *role,
		       struct pt_error *err)
{
	const struct pt_device *dev = &leases->dev;
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
		ret = pt_lease_take(&out[have], leases, q, role, &taken);
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

__u32 pt_lease_free_cnt(const struct pt_leases *leases, __u32 below,
			struct pt_error *holder)
{
	__u32 cnt = 0;

	if (below > queue_cnt(&leases->dev))
		below = queue_cnt(&leases->dev);
	for (__u32 q = 0; q < below; q++) {
		struct pt_lockfile_owner owner;

		if (!leases->is_ours[q] &&
		    !pt_lockfile_part_is_held(leases->fd, part_of(q))) {
			cnt++;
			continue;
		}
		pt_lockfile_read_owner(leases->fd, part_of(q), &owner);
		fail_taken(holder, &leases->dev, q, &owner);
	}
	return cnt;
}

__u32 pt_lease_queue(const struct pt_lease *lease)
{
	return lease->queue;
}

void pt_lease_release(struct pt_lease *lease)
{
	if (!lease)
		return;
	lease->leases->is_ours[lease->queue] = false;
	pt_lockfile_unlock_part(lease->leases->fd, part_of(lease->queue));
	free(lease);
}

int pt_lease_owner(const struct pt_device *dev, __u32 queue,
		   struct pt_lease_owner *owner)
{
	struct pt_lockfile_owner line;
	char path[96];
	bool is_held;
	int fd;

	pt_lockfile_path(path, dev, "queues");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	is_held = pt_lockfile_part_is_held(fd, part_of(queue));
	if (is_held)
		pt_lockfile_read_owner(fd, part_of(queue), &line);
	close(fd);
	if (!is_held)
		return 0;
	owner->pid = line.pid;
	memcpy(owner->role, line.role, sizeof(owner->role));
	return 1;
}
