// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/door.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/files.h"
#include "lazy/place.h"
#include "memory/layout.h"

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

/* ---- its descriptors ---- */

void pt_lazy_handed_close(struct pt_lazy_handed *h)
{
	for (__u32 i = 0; i < PT_LAZY_FDS_MAX; i++)
		if (h->fds[i] >= 0)
			close(h->fds[i]);
	if (h->pidfd >= 0)
		close(h->pidfd);
	*h = PT_LAZY_HANDED_NONE;
}

/* fds_of stores the descriptors of a message; those above the maximum are closed. */
static void fds_of(struct msghdr *m, struct pt_lazy_handed *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		__u32 n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (__u32 i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (h->fd_cnt < PT_LAZY_FDS_MAX)
				h->fds[h->fd_cnt] = fd;
			else
				close(fd);
			h->fd_cnt++;
		}
	}
}

/* peer_find finds the process that connected. */
static void peer_find(int fd, struct pt_lazy_handed *h)
{
	struct ucred who = { .pid = 0 };
	socklen_t sz = sizeof(who);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &sz))
		h->pid = who.pid;
	sz = sizeof(h->pidfd);
	if (h->pid > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &h->pidfd, &sz))
		h->pidfd = syscall(SYS_pidfd_open, h->pid, 0);
}

ssize_t pt_lazy_door_receive(struct pt_lazy_handed *h, int fd, char *text)
{
	char control[CMSG_SPACE(PT_LAZY_FDS_MAX * sizeof(int))];
	struct iovec part = { .iov_base = text, .iov_len = PT_LAZY_MESSAGE_MAX };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0)
		return -errno;
	*h = PT_LAZY_HANDED_NONE;
	h->is_cut = !!(m.msg_flags & MSG_CTRUNC);
	fds_of(&m, h);
	if (got)
		peer_find(fd, h);
	return got;
}

/* refuse_forks: the kernel makes a descriptor for each child, and as long as nobody
 * serves it the child would wait. */
static int refuse_forks(int uffd, struct pt_error *err)
{
	__u64 features;

	if (pt_place_features(uffd, &features) && features & UFFD_FEATURE_EVENT_FORK)
		return refuse_message("its userfaultfd was set up for children, too "
				      "(UFFD_FEATURE_EVENT_FORK), which are not served",
				      err);
	return 0;
}

static int judge_fds(const struct pt_lazy_handed *h, struct pt_error *err)
{
	int fd = h->fds[0], flags;

	if (h->fd_cnt != 1 || h->is_cut)
		return refuse_message(h->fd_cnt || h->is_cut ?
				      "it has more descriptors than one" :
				      "it has no descriptor", err);
	if (!pt_place_is_uffd(fd))
		return refuse_message("its descriptor is no userfaultfd", err);
	flags = fcntl(fd, F_GETFL);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    pt_place_wake(fd, ANY_ADDR, PT_PAGE_SZ) == -EINVAL)
		return refuse_message("its userfaultfd was not set up (UFFDIO_API)", err);
	return refuse_forks(fd, err);
}

int pt_lazy_door_judge(const struct pt_lazy_handed *h, const char *text, size_t sz,
		       __u64 image_sz,
		       struct pt_lazy_region regions[PT_LAZY_REGIONS_MAX],
		       __u32 *cnt, struct pt_error *err)
{
	int code = judge_fds(h, err);

	if (!code)
		code = pt_lazy_message_parse(text, sz, regions, cnt, err);
	return code ? code : pt_lazy_regions_check(regions, *cnt, image_sz, err);
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

int pt_lazy_bind(const char *path, int type, struct pt_error *err)
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
	if (!bind(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	code = -errno;
	close(fd);
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot listen: %s", path,
			    strerror(-code));
}
