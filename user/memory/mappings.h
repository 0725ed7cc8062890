/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* mappings: those of a process, from /proc/PID/maps and smaps.  Threads: no state. */
#ifndef MEMORY_MAPPINGS_H
#define MEMORY_MAPPINGS_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct pt_mapping {
	__u64 start, end;	/* addresses */
	__u64 off;		/* bytes into the file */
	__u64 dev;		/* major << 32 | minor */
	__u64 ino;		/* 0: anonymous and private */
	bool is_writable, is_shared;
	bool is_file;		/* its pages, if they are dropped, come from a file
				 * again; not so those of anonymous memory, of large
				 * pages or not */
	const char *path;	/* valid during the call; empty: none; NULL: of
				 * pt_mappings_writable */
};

/* pt_mapping_is_of returns whether both show the same file. */
static inline bool pt_mapping_is_of(const struct pt_mapping *a,
				    const struct pt_mapping *b)
{
	return a->ino && a->ino == b->ino && a->dev == b->dev;
}

/* pt_mapping_link names the file of a mapping, whatever its path is now.  To follow it
 * takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. */
#define PT_MAPPING_LINK_SZ	96
void pt_mapping_link(char link[PT_MAPPING_LINK_SZ], const struct pt_mapping *m,
		     pid_t pid);

/* pt_mapping_stat looks at the file, by the link or else the path; false: it cannot be
 * seen. */
bool pt_mapping_stat(const struct pt_mapping *m, pid_t pid, struct stat *st);

/* pt_mapping_is_device judges by the path, for a file that cannot be seen. */
bool pt_mapping_is_device(const struct pt_mapping *m);

/* pt_mapping_is_deleted: its file has no name any more, or never had one. */
bool pt_mapping_is_deleted(const struct pt_mapping *m);

/* pt_mappings_open opens /proc/PID/maps, pt_smaps_open smaps.  The descriptor shows
 * the address space of now: none once the process has ended or called execve(2).
 * -errno. */
int pt_mappings_open(pid_t pid);
int pt_smaps_open(pid_t pid);

/* pt_mappings_each calls fn for each mapping in ascending order until fn returns
 * nonzero, and returns that value; 0 at the end.  -ESRCH: there is no mapping
 * any more.  -ENOMEM, or what read(2) says. */
int pt_mappings_each(int maps, int (*fn)(void *arg, const struct pt_mapping *m),
		     void *arg);

/* pt_smaps_each calls fn for each line of each mapping, such as "Anonymous:  8 kB".
 * Returns as pt_mappings_each. */
int pt_smaps_each(int smaps,
		  int (*fn)(void *arg, const struct pt_mapping *m, const char *line),
		  void *arg);

/* pt_mappings_writable calls fn for the writable mappings of files only, private ones
 * too if has_private; where the kernel offers that (Linux 6.11) in a small part of the
 * time.  Returns as pt_mappings_each, but 0 if there is no mapping any more, and -EIO
 * if there are more than PT_MAPPINGS_MAX of these. */
#define PT_MAPPINGS_MAX	(1u << 20)
int pt_mappings_writable(int maps, bool has_private,
			 int (*fn)(void *arg, const struct pt_mapping *m),
			 void *arg);

/* pt_mappings_page_sz returns the size of the pages of the mapping at an
 * address, in bytes: 4096, or that of hugetlbfs; 0: not known (before Linux
 * 6.11). */
__u64 pt_mappings_page_sz(int maps, __u64 addr);

#endif
