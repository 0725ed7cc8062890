// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/door.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/files.h"
#include "base/stop.h"
#include "lazy/place.h"
#include "memory/layout.h"

#define FDS_MAX		4		/* that are looked at */
#define KIB_BELOW	4096		/* a page_size_kib below it is one */
#define ANY_ADDR	(1ULL << 30)	/* of any process, mapped or not */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77		/* newer than glibc's headers */
#endif

/* ---- the message ---- */

static int refuse_message(const char *why, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO, "the VMM's message: %s "
			    "(want that of Firecracker's page fault handler)", why);
}

/* take_number: an address may be above the largest integer of JSON's reader. */
static bool take_number(const json_t *o, const char *key, __u64 *out)
{
	const json_t *number = json_object_get(o, key);

	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return false;
	*out = json_integer_value(number);
	return true;
}

static bool region_take(const json_t *o, struct pt_lazy_region *r)
{
	*r = (struct pt_lazy_region){ .page_sz = PT_PAGE_SZ };
	if (!take_number(o, "base_host_virt_addr", &r->addr) ||
	    !take_number(o, "size", &r->sz) || !take_number(o, "offset", &r->off))
		return false;
	if (json_object_get(o, "page_size"))
		return take_number(o, "page_size", &r->page_sz);
	if (!json_object_get(o, "page_size_kib"))
		return true;
	if (!take_number(o, "page_size_kib", &r->page_sz))
		return false;
	if (r->page_sz < KIB_BELOW)
		r->page_sz *= 1024;
	return true;
}

static int list_take(const json_t *list, struct pt_lazy_region *regions, __u32 *cnt,
		     struct pt_error *err)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return refuse_message("it is no JSON array", err);
	if (n > PT_LAZY_REGIONS_MAX)
		return refuse_message("it has too many regions", err);
	for (size_t i = 0; i < n; i++)
		if (!region_take(json_array_get(list, i), &regions[i]))
			return refuse_message("a region has no base_host_virt_addr, size, "
				       "offset or page_size that is a number", err);
	*cnt = n;
	return 0;
}

int pt_lazy_message_parse(const char *text, size_t sz,
			  struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
			  __u32 *cnt, struct pt_error *err)
{
	json_t *list = json_loadb(text, sz, JSON_REJECT_DUPLICATES, NULL);
	int code = list_take(list, regions, cnt, err);

	json_decref(list);
	return code;
}

/* ---- its descriptor ---- */

/* fds_of stores the descriptors of a message; *cnt counts all, and those above FDS_MAX
 * are closed. */
static void fds_of(struct msghdr *m, int fds[FDS_MAX], __u32 *cnt)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		__u32 n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (__u32 i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (*cnt < FDS_MAX)
				fds[*cnt] = fd;
			else
				close(fd);
			++*cnt;
		}
	}
}

/* receive reads the message; returns its bytes. */
static ssize_t receive(int fd, char *text, int fds[FDS_MAX], __u32 *cnt, bool *is_cut)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec part = { .iov_base = text, .iov_len = PT_LAZY_MESSAGE_MAX };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	if (got < 0)
		return -errno;
	*is_cut = m.msg_flags & MSG_CTRUNC;
	fds_of(&m, fds, cnt);
	return got;
}

static int judge_fds(const int *fds, __u32 cnt, bool is_cut, struct pt_error *err)
{
	int flags;

	if (cnt != 1 || is_cut)
		return refuse_message(cnt || is_cut ? "it has more descriptors than one"
					     : "it has no descriptor", err);
	if (!pt_place_is_uffd(fds[0]))
		return refuse_message("its descriptor is no userfaultfd", err);
	flags = fcntl(fds[0], F_GETFL);
	if (fcntl(fds[0], F_SETFL, flags | O_NONBLOCK) ||
	    pt_place_wake(fds[0], ANY_ADDR, PT_PAGE_SZ) == -EINVAL)
		return refuse_message("its userfaultfd was not set up (UFFDIO_API)", err);
	return 0;
}

/* peer_find finds the VMM's process. */
static void peer_find(int fd, struct pt_lazy_guest *guest)
{
	struct ucred who = { .pid = 0 };
	socklen_t sz = sizeof(who);

	guest->pidfd = -1;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &sz))
		guest->pid = who.pid;
	sz = sizeof(guest->pidfd);
	if (guest->pid > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD,
					 &guest->pidfd, &sz))
		guest->pidfd = syscall(SYS_pidfd_open, guest->pid, 0);
}

/* message_take reads and judges it. */
static int message_take(struct pt_lazy_guest *guest, int fd, __u64 image_sz,
			struct pt_error *err)
{
	static char text[PT_LAZY_MESSAGE_MAX];
	int fds[FDS_MAX], code;
	bool is_cut = false;
	__u32 fd_cnt = 0;
	ssize_t got = receive(fd, text, fds, &fd_cnt, &is_cut);

	if (got < 0)
		return pt_error_set(err, PT_EXIT_PEER, got, "the VMM's message cannot "
				    "be read: %s", strerror(-got));
	code = got ? judge_fds(fds, fd_cnt, is_cut, err)
		   : refuse_message("it is empty", err);
	if (!code)
		code = pt_lazy_message_parse(text, got, guest->regions,
					     &guest->region_cnt, err);
	if (!code)
		code = pt_lazy_regions_check(guest->regions, guest->region_cnt,
					     image_sz, err);
	if (!code) {
		guest->uffd = fds[0];
		peer_find(fd, guest);
		return 0;
	}
	for (__u32 i = 0; i < fd_cnt && i < FDS_MAX; i++)
		close(fds[i]);
	return code;
}

/* ---- the socket ---- */

/* is_left: nobody listens at the socket any more. */
static bool is_left(const struct sockaddr_un *at, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof(*at)) &&
		  errno == ECONNREFUSED;
	struct stat st;

	if (fd >= 0)
		close(fd);
	return is && !stat(at->sun_path, &st) && S_ISSOCK(st.st_mode);
}

int pt_lazy_listen(const char *path, int type, struct pt_error *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, code;

	if (strlen(path) >= sizeof(at.sun_path))
		return pt_error_set(err, PT_EXIT_HOST, -ENAMETOOLONG, "%s: longer "
				    "than a socket's path may be, %zu bytes (take a "
				    "shorter one)", path, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s%s", path,
				    strerror(errno), pt_files_remedy(-errno));
	if (is_left(&at, type))
		unlink(path);
	if (!bind(fd, (struct sockaddr *)&at, sizeof(at)) && !listen(fd, 8))
		return fd;
	code = -errno;
	close(fd);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot listen: %s", path,
			    strerror(-code));
}

/* wait_for: fd is readable; -ETIMEDOUT, -ECANCELED. */
static int wait_for(int fd, int stop_fd, int ms)
{
	__u64 deadline_ns = pt_deadline_ns(ms < 0 ? 0 : ms);
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN },
	};

	for (;;) {
		int left = ms < 0 ? -1 : pt_left_ms(deadline_ns);
		int got = poll(fds, 2, left);

		if (fds[1].revents)
			return -ECANCELED;
		if (got > 0)
			return 0;
		if (!got && left >= 0)
			return -ETIMEDOUT;
	}
}

int pt_lazy_door_take(struct pt_lazy_guest *guest, int listen_fd, int stop_fd,
		      __u64 image_sz, struct pt_error *err)
{
	int fd, code = wait_for(listen_fd, stop_fd, -1);

	if (code)
		return pt_stop_error(err);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "no connection of a "
				    "VMM: %s%s", strerror(errno),
				    pt_files_remedy(-errno));
	code = wait_for(fd, stop_fd, PT_LAZY_MESSAGE_MS);
	if (code == -ECANCELED)
		pt_stop_error(err);
	else if (code)
		pt_error_set(err, PT_EXIT_PEER, code, "the VMM connected, and sent "
			     "nothing for %d s", PT_LAZY_MESSAGE_MS / 1000);
	else
		code = message_take(guest, fd, image_sz, err);
	close(fd);
	return code;
}
