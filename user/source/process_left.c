// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_left.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/files.h"
#include "memory/mappings.h"
#include "memory/pagemap.h"
#include "source/process_maps.h"
#include "source/source_impl.h"

#define BLOCK_SZ	512	/* of st_blocks */

struct reading {
	struct pt_source_left *out;
	const struct pt_process_maps *sent;
	int pagemap;
	pid_t pid;
	__u64 largest_sz;		/* of the shared mappings */
};

/* is_sent: the mapping is in the image. */
static bool is_sent(const struct reading *r, const struct pt_mapping *m)
{
	__u64 gfn = m->start / PT_PAGE_SZ;
	__u32 i = pt_process_maps_find(r->sent, gfn);

	return i < r->sent->cnt && r->sent->all[i].seg.gfn <= gfn;
}

static void shared_add(struct reading *r, const struct pt_mapping *m, __u64 sz)
{
	struct pt_segment named;

	if (!sz)
		return;
	r->out->shared_sz += sz;
	r->out->shared_cnt++;
	if (sz <= r->largest_sz)
		return;
	r->largest_sz = sz;
	pt_segment_set_name(&named, m->path);
	memcpy(r->out->shared_name, named.name, sizeof(named.name));
}

/* is_in_memory: the file of a mapping is on no disk. */
static bool is_in_memory(const struct pt_mapping *m, pid_t pid)
{
	char link[PT_MAPPING_LINK_SZ];
	struct statfs fs;

	pt_mapping_link(link, m, pid);
	return pt_mapping_is_deleted(m) || m->path[0] == '[' ||
	       ((!statfs(link, &fs) || !statfs(m->path, &fs)) &&
		(fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC));
}

/* shared_take counts a shared mapping.  Rings of the kernel and devices are no memory
 * of the process.  A file that cannot be seen counts whole.  can_write: now, or after
 * mprotect(2); else a file on a disk is as constant for the process as its text. */
static void shared_take(struct reading *r, const struct pt_mapping *m, bool can_write)
{
	__u64 sz = m->end - m->start;
	struct stat st;

	if (m->path[0] != '/' && m->path[0] != '[')
		return;
	if (!pt_mapping_stat(m, r->pid, &st)) {
		if (pt_mapping_is_device(m))
			return;
	} else if (!S_ISREG(st.st_mode)) {
		return;
	} else if ((__u64)st.st_blocks * BLOCK_SZ < sz) {
		sz = (__u64)st.st_blocks * BLOCK_SZ;
	}
	if (can_write || is_in_memory(m, r->pid))
		shared_add(r, m, sz);
	else
		r->out->files_sz += m->end - m->start;
}

/* has_flag: "VmFlags: rd wr um ". */
static bool has_flag(const char *flags, const char *flag)
{
	for (; (flags = strchr(flags, ' ')); flags++)
		if (!strncmp(flags + 1, flag, 2))
			return true;
	return false;
}

/* line_take counts a mapping by its flags. */
static int line_take(void *arg, const struct pt_mapping *m, const char *line)
{
	struct reading *r = arg;
	__u64 sz;

	if (strncmp(line, "VmFlags:", 8))
		return 0;
	if (m->is_shared) {
		shared_take(r, m, has_flag(line, "mw"));
	} else if (!is_sent(r, m)) {
		if (!m->is_writable && m->path[0] == '/')
			r->out->files_sz += m->end - m->start;
	} else if (has_flag(line, "um")) {
		sz = pt_pagemap_missing(r->pagemap, m->start, m->end);
		r->out->userfault_sz += sz;
		r->out->userfault_cnt += sz > 0;
	}
	return 0;
}

int pt_process_left_read(struct pt_source_left *out,
			 const struct pt_process_maps *sent, int smaps,
			 int pagemap, pid_t pid, struct pt_error *err)
{
	struct reading r = {
		.out = out, .sent = sent, .pagemap = pagemap, .pid = pid,
	};
	int code = pt_smaps_each(smaps, line_take, &r);

	if (code == -ESRCH)
		return pt_error_set(err, PT_EXIT_FAILED, code, "process %d: it went "
				    "away while it was read", pid);
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot look "
				   "at its mappings: %s%s", pid, strerror(-code),
				   pt_files_remedy(code)) : 0;
}
