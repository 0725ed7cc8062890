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
	struct pt_maps_line mapping;	/* whose flags follow */
};

/* is_sent: the mapping is in the image. */
static bool is_sent(const struct reading *r)
{
	__u64 gfn = r->mapping.start / PT_PAGE_SZ;
	__u32 i = pt_process_maps_find(r->sent, gfn);

	return i < r->sent->cnt && r->sent->all[i].seg.gfn <= gfn;
}

static void shared_add(struct reading *r, __u64 sz)
{
	struct pt_segment named;

	if (!sz)
		return;
	r->out->shared_sz += sz;
	r->out->shared_cnt++;
	if (sz <= r->largest_sz)
		return;
	r->largest_sz = sz;
	pt_segment_set_name(&named, r->mapping.path);
	memcpy(r->out->shared_name, named.name, sizeof(named.name));
}

/* is_in_memory: the file of a mapping is on no disk. */
static bool is_in_memory(const struct pt_maps_line *line, pid_t pid)
{
	struct statfs fs;
	char link[96];

	snprintf(link, sizeof(link), "/proc/%d/map_files/%llx-%llx", pid,
		 line->start, line->end);
	return pt_maps_line_is_deleted(line) || line->path[0] == '[' ||
	       ((!statfs(link, &fs) || !statfs(line->path, &fs)) &&
		(fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC));
}

/* shared_take counts a shared mapping.  Rings of the kernel and devices are no memory
 * of the process.  A file that cannot be seen counts whole.  can_write: now, or after
 * mprotect(2); else a file on a disk is as constant for the process as its text. */
static void shared_take(struct reading *r, bool can_write)
{
	const struct pt_maps_line *line = &r->mapping;
	__u64 sz = line->end - line->start;
	struct stat st;

	if (line->path[0] != '/' && line->path[0] != '[')
		return;
	if (!pt_maps_line_file(line, r->pid, &st)) {
		if (pt_maps_line_is_device(line))
			return;
	} else if (!S_ISREG(st.st_mode)) {
		return;
	} else if ((__u64)st.st_blocks * BLOCK_SZ < sz) {
		sz = (__u64)st.st_blocks * BLOCK_SZ;
	}
	if (can_write || is_in_memory(line, r->pid))
		shared_add(r, sz);
	else
		r->out->files_sz += line->end - line->start;
}

/* has_flag: "VmFlags: rd wr um ". */
static bool has_flag(const char *flags, const char *flag)
{
	for (; (flags = strchr(flags, ' ')); flags++)
		if (!strncmp(flags + 1, flag, 2))
			return true;
	return false;
}

/* mapping_take counts a mapping by its flags. */
static void mapping_take(struct reading *r, const char *flags)
{
	const struct pt_maps_line *line = &r->mapping;
	__u64 sz;

	if (!line->path)
		return;
	if (!line->is_private) {
		shared_take(r, has_flag(flags, "mw"));
	} else if (!is_sent(r)) {
		if (!line->is_writable && line->path[0] == '/')
			r->out->files_sz += line->end - line->start;
	} else if (has_flag(flags, "um")) {
		sz = pt_pagemap_missing(r->pagemap, line->start, line->end);
		r->out->userfault_sz += sz;
		r->out->userfault_cnt += sz > 0;
	}
}

int pt_process_left_read(struct pt_source_left *out,
			 const struct pt_process_maps *sent, int smaps,
			 int pagemap, pid_t pid, struct pt_error *err)
{
	struct reading r = {
		.out = out, .sent = sent, .pagemap = pagemap, .pid = pid,
	};
	int own = dup(smaps);	/* the stream's, of one position */
	FILE *in = own < 0 ? NULL : fdopen(own, "r");
	char *text = NULL, *header = NULL;	/* r.mapping's path is in header */
	size_t room = 0;
	bool is_there = false;

	if (!in) {
		int code = -errno;

		if (own >= 0)
			close(own);
		return pt_error_set(err, PT_EXIT_HOST, code, "process %d: cannot "
				    "look at its mappings: %s%s", pid,
				    strerror(-code), pt_files_remedy(code));
	}
	rewind(in);
	while (getline(&text, &room, in) > 0) {
		struct pt_maps_line line;

		is_there = true;
		if (!strncmp(text, "VmFlags:", 8)) {
			mapping_take(&r, text);
		} else if ((text[0] < 'A' || text[0] > 'Z') &&
			   pt_maps_line_parse(&line, text)) {
			free(header);
			header = text;
			text = NULL;
			room = 0;
			r.mapping = line;
		}
	}
	free(text);
	free(header);
	fclose(in);
	return is_there ? 0 : pt_error_set(err, PT_EXIT_FAILED, -ESRCH,
					   "process %d: it went away while it "
					   "was read", pid);
}
