/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Pins for a user without privileges, and the program as such a user finds it.
 *
 *     PT_PIN_ROOT/DEV         root's, to be traversed by all, so that nobody
 *                             else can remove or replace a pin
 *         prog                to be read: it is the program on DEV
 *         pt_constants        to be read: the program is for this device
 *         pt_xsks, ...        to be read and written
 *         holders/            to be locked, and written: receive-PID-NUMBER/
 *         link                root's alone, since it detaches the program
 *
 * Linux 5.19 and newer ask for CAP_BPF where a map is made or a program is loaded,
 * whatever kernel.unprivileged_bpf_disabled says, and for a pin's mode where it is
 * opened.  A number is opened with CAP_SYS_ADMIN only, hence the pins. */
#include "xdp/program_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define BPFFS		"/sys/fs/bpf"
#define CONSTANTS_PIN	"pt_constants"

/* ---- root gives ---- */

/* let_pass lets all users traverse a folder. */
static int let_pass(const char *path)
{
	const mode_t pass = S_IXGRP | S_IXOTH;
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if ((st.st_mode & pass) == pass)
		return 0;
	return chmod(path, (st.st_mode & 07777) | pass) ? -errno : 0;
}

static int give(const struct pt_program *p, const struct pt_grant *grant,
		const char *name, mode_t mode)
{
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, &p->device, name);
	if (chown(path, grant->uid, pt_grant_gid(grant)) ||
	    chmod(path, pt_grant_mode(grant, mode)))
		return -errno;
	return 0;
}

int program_pin_constants(const struct pt_program *p)
{
	int fd = program_constants_fd(p->prog_fd), ret;
	char path[PT_PIN_PATH_SZ];

	if (fd < 0)
		return fd;
	pt_program_pin_path(path, &p->device, CONSTANTS_PIN);
	ret = bpf_obj_pin(fd, path) ? -errno : 0;
	close(fd);
	return ret;
}

static int make_holders(const struct pt_program *p,
			const struct pt_grant *grant)
{
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, &p->device, PROGRAM_HOLDERS);
	if (mkdir(path, 0700))
		return -errno;
	return give(p, grant, PROGRAM_HOLDERS, 0700);
}

int program_grant(const struct pt_program *p, const struct pt_grant *grant)
{
	char path[PT_PIN_PATH_SZ];
	int ret = make_holders(p, grant);

	for (int i = 0; i < MAP_CNT && !ret; i++)
		ret = give(p, grant, program_map_name(i), 0600);
	if (!ret)
		ret = give(p, grant, "prog", 0400);
	if (!ret)
		ret = give(p, grant, CONSTANTS_PIN, 0400);
	/* Last, when all has its mode. */
	pt_program_pin_path(path, &p->device, NULL);
	if (!ret)
		ret = let_pass(path);
	if (!ret)
		ret = let_pass(PT_PIN_ROOT);
	return ret ? ret : let_pass(BPFFS);
}

void program_remove_grant(const char *folder)
{
	char path[PT_PIN_PATH_SZ];
	int fd;

	snprintf(path, sizeof(path), "%.63s/%s", folder, PROGRAM_HOLDERS);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		program_empty(fd);
		close(fd);
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%.63s/%s", folder, CONSTANTS_PIN);
	unlink(path);
}

/* ---- a user takes ---- */

int program_open_pin(const char *path, bool writable)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts,
		    .file_flags = writable ? 0 : BPF_F_RDONLY);
	int fd = bpf_obj_get_opts(path, &opts);

	return fd < 0 ? -errno : fd;
}

static int open_pin(const struct pt_program *p, const char *name, bool writable)
{
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, &p->device, name);
	return program_open_pin(path, writable);
}

static int take_constants(struct pt_program *p)
{
	int fd = open_pin(p, CONSTANTS_PIN, false), ret = 0;
	__u32 key = 0;

	if (fd < 0)
		return fd;
	if (bpf_map_lookup_elem(fd, &key, &p->constants))
		ret = -errno;
	close(fd);
	return ret;
}

/* is_beside: the program was attached by a dispatcher, which makes no link. */
static bool is_beside(const struct pt_program *p)
{
	char path[PT_PIN_PATH_SZ];

	pt_program_pin_path(path, &p->device, "link");
	return access(path, F_OK) && errno == ENOENT;
}

/* take_pins: behind a dispatcher the program's number is not the device's, and
 * only the constants tell that the pins are the device's. */
static int take_pins(struct pt_program *p, __u32 device_id)
{
	struct bpf_prog_info info = { 0 };
	__u32 info_sz = sizeof(info);
	int ret;

	p->prog_fd = open_pin(p, "prog", false);
	if (p->prog_fd < 0)
		return p->prog_fd;
	if (bpf_obj_get_info_by_fd(p->prog_fd, &info, &info_sz))
		return -errno;
	ret = take_constants(p);
	if (ret)
		return ret;
	if (p->constants.ifindex != p->device.ifindex ||
	    p->constants.netns_cookie != p->device.netns_cookie ||
	    (info.id != device_id && !is_beside(p)))
		return -ENOENT;
	for (int i = 0; i < MAP_CNT; i++) {
		p->map_fd[i] = open_pin(p, program_map_name(i), true);
		if (p->map_fd[i] < 0)
			return p->map_fd[i];
	}
	p->info.id = info.id;
	p->info.dispatcher = info.id != device_id;
	return p->constants.rules < PT_RULES ? -EPROTO : 0;
}

int program_take_pins(struct pt_program *p, __u32 device_id)
{
	int ret = take_pins(p, device_id);

	if (!ret || ret == -EPROTO)
		return ret;
	for (int i = 0; i < MAP_CNT; i++) {
		if (p->map_fd[i] >= 0)
			close(p->map_fd[i]);
		p->map_fd[i] = -1;
	}
	if (p->prog_fd >= 0)
		close(p->prog_fd);
	p->prog_fd = -1;
	return -EPERM;
}

int program_barred_pin(const struct pt_program *p, char path[PT_PIN_PATH_SZ])
{
	const char *const names[] = {
		"prog", CONSTANTS_PIN, program_map_name(MAP_XSKS),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open_pin(p, names[i], i == 2);

		pt_program_pin_path(path, &p->device, names[i]);
		if (fd < 0)
			return fd;
		close(fd);
	}
	return -ESTALE;		/* of a device that had the name */
}
