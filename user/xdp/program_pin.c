/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/program_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <xdp/libxdp.h>

#include "xdp/cause.h"
#include "xdp/lease.h"
#include "xdp/lockfile.h"
#include "xdp/occupant.h"

#define BPFFS "/sys/fs/bpf"

static int pin(const struct pt_device *device, const char *name, int fd)
{
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, device, name);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static int make_pins(const struct pt_program *p)
{
	char path[PT_PIN_PATH_SZ];
	struct stat st;
	int ret = 0;

	if (mkdir(PT_PIN_ROOT, 0700) && errno != EEXIST)
		return -errno;
	/* The pins in it are trusted, so nobody else may write it. */
	if (lstat(PT_PIN_ROOT, &st) || !S_ISDIR(st.st_mode) ||
	    st.st_mode & (S_IWGRP | S_IWOTH) ||
	    (st.st_uid && st.st_uid != geteuid()))
		return -EPERM;
	pt_program_pin_path(path, &p->device, NULL);
	if (mkdir(path, 0700))
		return -errno;
	for (int i = 0; i < MAP_CNT && !ret; i++)
		ret = pin(&p->device, program_map_name(i),
			  p->map_fd[i]);
	if (!ret)
		ret = pin(&p->device, "prog", p->prog_fd);
	if (!ret)
		ret = program_pin_constants(p);
	if (!ret && p->link_fd >= 0)
		ret = pin(&p->device, "link", p->link_fd);
	return ret;
}

/* keep_pinned makes the pins, and gives them to the grant's user. */
static int keep_pinned(const struct pt_program *p, const struct pt_grant *grant,
		       struct pt_error *err)
{
	int ret = make_pins(p);

	if (!ret && grant->is_set)
		ret = program_grant(p, grant);
	if (!ret)
		return grant->is_set ?
		       pt_leases_grant(&p->device, grant, err) : 0;
	return pt_error_set(err, PT_EXIT_HOST, ret, "%s: cannot pin the "
			    "program under %s: %s", p->device.name,
			    PT_PIN_ROOT, strerror(-ret));
}

/* try_beside: frags tells whether our program takes frames of several buffers.
 * libxdp does not use the section's name; its dispatcher takes such frames if
 * all programs behind it do. */
static int try_beside(struct pt_program *p, const struct pt_program_cfg *cfg,
		      bool frags)
{
	enum xdp_attach_mode mode = cfg->generic ? XDP_MODE_SKB :
						   XDP_MODE_NATIVE;
	struct pagetrim_bpf *skel = pagetrim_bpf__open();
	struct xdp_program *xp;
	int ret;

	if (!skel)
		return -errno;
	program_set_constants(skel, &p->constants);
	xp = xdp_program__from_bpf_obj(skel->obj, NULL);
	ret = libxdp_get_error(xp);
	if (ret)
		goto destroy;
	ret = xdp_program__set_xdp_frags_support(xp, frags);
	if (!ret)
		ret = xdp_program__attach(xp, p->device.ifindex, mode, 0);
	if (!ret) {
		ret = program_find(p);
		if (ret)
			xdp_program__detach(xp, p->device.ifindex, mode, 0);
	}
	xdp_program__close(xp);
destroy:
	pagetrim_bpf__destroy(skel);
	return ret;
}

/* attach_beside attaches by libxdp's dispatcher, which needs a kernel that
 * loads extension programs.  -ENOTSUP: not supported, nothing was done. */
static int attach_beside(struct pt_program *p, const struct pt_program_cfg *cfg)
{
	int ret;

	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) != 1)
		return -ENOTSUP;
	ret = try_beside(p, cfg, !cfg->single_buffer);
	/* A driver without multi-buffer XDP returns one of these. */
	if ((ret == -EOPNOTSUPP || ret == -EINVAL) && !cfg->single_buffer)
		ret = try_beside(p, cfg, false);
	return ret;
}

static int detach_component(const struct pt_device *device, __u32 id)
{
	struct xdp_multiprog *mp =
		xdp_multiprog__get_from_ifindex(device->ifindex);
	struct xdp_program *component = NULL;
	int ret = -ENOENT;

	if (libxdp_get_error(mp))
		return -ENOENT;
	while ((component = xdp_multiprog__next_prog(component, mp)))
		if (xdp_program__id(component) == id)
			break;
	if (component)
		ret = xdp_program__detach(component, device->ifindex,
					  xdp_multiprog__attach_mode(mp), 0);
	xdp_multiprog__close(mp);
	return ret;
}

/* detach removes p's program, which program_find found, from the device.
 * -EBUSY: a process holds it by a link of its own. */
static int detach(const struct pt_program *p)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = p->prog_fd);
	char path[PT_PIN_PATH_SZ];
	int fd, ret;

	if (p->info.dispatcher)
		return detach_component(&p->device, p->info.id);
	snprintf(path, sizeof(path), "%.63s/link", p->pins);
	fd = p->info.pinned ? bpf_obj_get(path) : -1;
	if (fd >= 0) {
		ret = bpf_link_detach(fd) ? -errno : 0;
		close(fd);
		return ret;
	}
	return bpf_xdp_detach(p->device.ifindex, p->info.generic ?
			      XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, &opts);
}

static int check_bpffs(struct pt_error *err)
{
	struct statfs fs;

	if (!statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -ENOENT,
		"%s: no BPF file system here (mount -t bpf bpf %s; 'ip netns "
		"exec' hides it: use nsenter --net=/run/netns/NAME)", BPFFS,
		BPFFS);
}

int program_refuse_pins(const struct pt_device *device, struct pt_error *err)
{
	char path[PT_PIN_PATH_SZ];
	struct pt_device owner;

	pt_program_pin_path(path, device, NULL);
	switch (program_judge_pins(path, &owner)) {
	case PINS_HERE:
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: %s is of "
			"%s, which had that name (pagetrim detach {--dev} %s)",
			device->name, path, owner.name, owner.name);
	case PINS_ELSEWHERE:
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: %s is of "
			"a device in another network namespace, which has or "
			"had that name (detach it there; if that is gone: "
			"pagetrim detach {--dev} %s {--force})", device->name, path,
			device->name);
	case PINS_UNREAD:
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: %s cannot "
			"be read, so it may be in use (run as the host's root, "
			"and with descriptors to spare)", device->name, path);
	default:
		return 0;
	}
}

static int attach_and_pin(struct pt_program *p,
			  const struct pt_program_cfg *cfg,
			  struct pt_error *err)
{
	int ret = attach_beside(p, cfg);
	char path[PT_PIN_PATH_SZ];

	if (ret == -ENOTSUP)
		ret = program_attach(p, cfg, err);
	else if (ret)
		ret = program_fail(err, cfg, ret);
	if (ret)
		return ret;
	ret = keep_pinned(p, &cfg->grant, err);
	if (!ret) {
		program_keep(p);
		return 0;
	}
	if (p->link_fd < 0)
		detach(p);
	pt_program_pin_path(path, &p->device, NULL);
	program_remove_pins(path);
	return ret;
}

/* refuse_attached returns -EEXIST if the device runs the program that is pinned
 * for it, under any name. */
static int refuse_attached(const struct pt_program_cfg *cfg,
			   struct pt_error *err)
{
	const struct pt_device *device = cfg->device;
	struct pt_program *found = program_new(device);
	bool here, other_version;

	if (!found)
		return program_fail(err, cfg, -ENOMEM);
	other_version = program_find(found) == -EPROTO;
	here = !program_find_pins(found);
	program_free(found);
	if (!here)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
		"%s: attached already%s (pagetrim detach {--dev} %s first)",
		device->name, other_version ?
		", by another version of pagetrim" : "", device->name);
}

/* pin_now runs in our turn. */
static int pin_now(const struct pt_program_cfg *cfg,
		   struct pt_program_info *info, struct pt_error *err)
{
	const struct pt_device *device = cfg->device;
	char path[PT_PIN_PATH_SZ];
	struct pt_program *p;
	int ret = refuse_attached(cfg, err);

	if (!ret)
		ret = program_refuse_pins(device, err);
	if (ret)
		return ret;
	pt_program_pin_path(path, device, NULL);
	program_remove_pins(path);	/* of a dead device, if any */
	p = program_new(device);
	if (!p)
		return program_fail(err, cfg, -ENOMEM);
	p->constants.ifindex = device->ifindex;
	p->constants.netns_cookie = device->netns_cookie;
	ret = attach_and_pin(p, cfg, err);
	if (!ret) {
		p->info.pinned = true;
		*info = p->info;
	}
	program_free(p);
	return ret;
}

int pt_program_pin(const struct pt_program_cfg *cfg,
		   struct pt_program_info *info, struct pt_error *err)
{
	int ret = check_bpffs(err), turn;

	if (!ret)
		ret = program_begin_turn(&turn, cfg->device->name, err);
	if (ret)
		return ret;
	pt_cause_begin();
	ret = pin_now(cfg, info, err);
	program_end_turn(turn);
	return ret;
}

static int fail_used(struct pt_error *err, const struct pt_program *p,
		     pid_t pid, const char *role)
{
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY,
			    "%s: in use by pid %d, pagetrim %s (stop it, or "
			    "use {force})", p->device.name, pid, role);
}

static int fail_unknown(struct pt_error *err, const struct pt_program *p,
			const char *where, int code)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot tell who uses "
			    "it: %s: %s (try again; {force} does not ask)",
			    p->device.name, where, strerror(-code));
}

/* refuse_users returns -EBUSY if a living process uses the program or its maps;
 * -errno if that cannot be determined. */
static int refuse_users(const struct pt_program *p, struct pt_error *err)
{
	struct program_holders holders;
	struct pt_lease_owner lease;
	int ret = program_holders(p, &holders);

	if (holders.cnt)
		return fail_used(err, p, holders.holders[0].pid, "receive");
	if (ret)
		return fail_unknown(err, p, p->pins, ret);
	for (__u32 q = 0; q < PT_QUEUES_MAX; q++) {
		ret = pt_lease_owner(&p->device, q, &lease);
		if (ret < 0)
			return fail_unknown(err, p, PT_LOCKFILE_DIR, ret);
		if (ret && !strcmp(lease.role, "receive"))
			return fail_used(err, p, lease.pid, lease.role);
	}
	return 0;
}

static int take_off(struct pt_program *p, struct pt_error *err)
{
	const struct pt_program_cfg cfg = { .device = &p->device };
	int ret = detach(p);

	if (ret)
		return program_fail(err, &cfg, ret);
	if (p->info.pinned)
		program_remove_pins(p->pins);
	return 0;
}

/* fail_own: only the receiver itself can detach a receiver's own link. */
static int fail_own(struct pt_error *err, const struct pt_program *p)
{
	struct pt_occupant occupant;
	char who[160];

	pt_occupant_find(&occupant, &p->device);
	pt_occupant_print(&occupant, who, sizeof(who));
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: nothing is pinned "
			    "for it, but a receiver's own is on it: %s (it "
			    "goes with that receiver)", p->device.name, who);
}

/* unpin_running unpins the program that program_find found.  The maps are
 * locked from the check of their users to the end, so that none begins in
 * between. */
static int unpin_running(struct pt_program *p, bool force, struct pt_error *err)
{
	int ret;

	p->info.pinned = !program_find_pins(p);
	if (!p->info.pinned && p->constants.netns_cookie)
		return program_fail_hidden(err, p);
	if (!p->info.pinned && p->constants.rules)	/* else it is not known */
		return fail_own(err, p);
	if (force)
		return take_off(p, err);
	ret = program_lock_maps(p, err);
	if (ret)
		return ret;
	ret = refuse_users(p, err);
	if (!ret)
		ret = take_off(p, err);
	program_unlock_maps(p);
	return ret;
}

/* unpin_left removes the pins of a device that is gone or has no program of
 * ours. */
static int unpin_left(const struct pt_device *device, bool force,
		      struct pt_error *err)
{
	char path[PT_PIN_PATH_SZ];
	struct pt_device owner;
	enum program_pins pins;

	pt_program_pin_path(path, device, NULL);
	pins = program_judge_pins(path, &owner);
	if (pins == PINS_NONE)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: nothing "
				    "is attached (pagetrim attach {--dev} %s "
				    "does)", device->name, device->name);
	if (pins == PINS_HERE || (pins != PINS_DEAD && !force))
		return program_refuse_pins(device, err);
	program_remove_pins(path);
	return 0;
}

/* unpin_now runs in our turn. */
static int unpin_now(const struct pt_device *device, bool force,
		     struct pt_error *err)
{
	struct pt_program_cfg cfg = { .device = device };
	struct pt_program *p = program_new(device);
	int ret;

	if (!p)
		return program_fail(err, &cfg, -ENOMEM);
	ret = device->ifindex ? program_find(p) : -ENOENT;
	/* Another version's program may be removed, too. */
	if (!ret || ret == -EPROTO)
		ret = unpin_running(p, force, err);
	else if (ret == -ENOENT)
		ret = unpin_left(device, force, err);
	else
		program_fail(err, &cfg, ret);
	program_free(p);
	return ret;
}

int pt_program_unpin(const struct pt_device *device, bool force,
		     struct pt_error *err)
{
	int ret = check_bpffs(err), turn;

	if (!ret)
		ret = program_begin_turn(&turn, device->name, err);
	if (ret)
		return ret;
	pt_cause_begin();
	ret = unpin_now(device, force, err);
	program_end_turn(turn);
	return ret;
}
