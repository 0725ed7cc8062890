// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/process_left.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/pagemap.h"
#include "source/process_maps.h"
#include "source/source_impl.h"

#define BLOCK_SZ	512	/* of st_blocks */

struct reading {
	struct pt_source_left *out;
	int pagemap;
	pid_t pid;
	__u64 largest_sz;	/* of the shared mappings */
	__u64 start, end;	/* of the mapping whose lines follow */
	bool is_sent;		/* it is in the image */
};

/* shared_take counts a shared mapping that can be written.  Rings of the kernel
 * and devices are no memory of the process.  A file that cannot be seen counts
 * whole. */
static void shared_take(struct reading *r, const struct pt_maps_line *line)
{
	__u64 sz = line->end - line->start;
	struct pt_segment named;
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
	if (!sz)
		return;
	r->out->shared_sz += sz;
	r->out->shared_cnt++;
	if (sz <= r->largest_sz)
		return;
	r->largest_sz = sz;
	pt_segment_set_name(&named, line->path);
	memcpy(r->out->shared_name, named.name, sizeof(named.name));
}

static void mapping_take(struct reading *r, const struct pt_maps_line *line)
{
	r->start = line->start;
	r->end = line->end;
	r->is_sent = line->is_private && line->is_writable;
	if (line->is_private && !line->is_writable && line->path[0] == '/')
		r->out->files_sz += line->end - line->start;
	else if (!line->is_private && line->is_writable)
		shared_take(r, line);
}

/* has_flag: "VmFlags: rd wr um ". */
static bool has_flag(const char *flags, const char *flag)
{
	for (; (flags = strchr(flags, ' ')); flags++)
		if (!strncmp(flags + 1, flag, 2))
			return true;
	return false;
}

static void flags_take(struct reading *r, const char *flags)
{
	__u64 sz;

	if (!r->is_sent || !has_flag(flags, "um"))
		return;
	sz = pt_pagemap_missing(r->pagemap, r->start, r->end);
	r->out->userfault_sz += sz;
	r->out->userfault_cnt += sz > 0;
}

int pt_process_left_read(struct pt_source_left *out, int smaps, int pagemap,
			 pid_t pid, struct pt_error *err)
{
	struct reading r = { .out = out, .pagemap = pagemap, .pid = pid };
	int own = dup(smaps);	/* the stream's, of one position */
	FILE *in = own < 0 ? NULL : fdopen(own, "r");
	struct pt_maps_line line;
	bool is_there = false;
	char *text = NULL;
	size_t room = 0;

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
		is_there = true;
		if (!strncmp(text, "VmFlags:", 8))
			flags_take(&r, text);
		else if ((text[0] < 'A' || text[0] > 'Z') &&
			 pt_maps_line_parse(&line, text))
			mapping_take(&r, &line);
	}
	free(text);
	fclose(in);
	return is_there ? 0 : pt_error_set(err, PT_EXIT_FAILED, -ESRCH,
					   "process %d: it went away while it "
					   "was read", pid);
}
