// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Pages that a process cannot read, though the file that it has mapped there can be
 * read: a mark of userfaultfd(2) is in its page tables alone. */
#include "source/source_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/pagemap.h"

/* proc_open opens a file of the process in /proc; -errno. */
static int proc_open(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

int pt_source_mapped_by(struct pt_source *src, pid_t pid, const __u64 *addrs,
			struct pt_error *err)
{
	int code;

	src->addrs = calloc(src->seg_cnt, sizeof(*src->addrs));
	if (!src->addrs)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	memcpy(src->addrs, addrs, src->seg_cnt * sizeof(*addrs));
	src->pagemap = proc_open(pid, "pagemap");
	src->mem = src->pagemap < 0 ? -1 : proc_open(pid, "mem");
	code = src->pagemap < 0 ? src->pagemap : src->mem;
	if (code >= 0)
		return 0;
	pt_source_marks_close(src);
	src->addrs = NULL;
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: its pagemap "
			    "or mem in /proc cannot be opened: %s", pid, strerror(-code));
}

void pt_source_marks_close(struct pt_source *src)
{
	if (src->addrs && src->pagemap >= 0)
		close(src->pagemap);
	if (src->addrs && src->mem >= 0)
		close(src->mem);
	free(src->addrs);
}

static int refuse(const struct pt_source *src, const struct pt_view *v,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -EIO, "memory '%s': pages cannot "
			    "be read in the 2 MiB at %llu: memory errors "
			    "({on-unreadable} mark sends such pages as unreadable, "
			    "zero as zeroes)", src->segs[v->piece.seg].name,
			    v->piece.off);
}

int pt_source_marks_view(const struct pt_source *src, struct pt_view *v,
			 struct pt_error *err)
{
	__u64 start, marks[8], any = 0;
	int code;

	if (!src->addrs)
		return 0;
	start = src->addrs[v->piece.seg] + v->piece.off;
	code = pt_pagemap_poisoned(src->pagemap, src->mem, start, start +
				   (__u64)v->page_cnt * PT_PAGE_SZ, marks);
	if (code == -ENOTTY)	/* nor has such a kernel any marks */
		return 0;
	if (code == -ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, code, "memory '%s': its process "
				    "has ended", src->segs[v->piece.seg].name);
	if (code)
		return pt_error_set(err, PT_EXIT_FAILED, -EIO, "memory '%s': the "
				    "page tables cannot be looked at: %s",
				    src->segs[v->piece.seg].name, strerror(-code));
	for (int i = 0; i < 8; i++) {
		v->unreadable[i] |= marks[i];
		any |= marks[i];
	}
	return any && (src->on_unreadable == PT_UNREADABLE_FAIL ||
		       src->on_unreadable == PT_UNREADABLE_DEFAULT)
		? refuse(src, v, err) : 0;
}
