/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room source: memory that is sent.
 *
 *   knows         image files, processes and the caller's memory, viewed region by
 *                 region
 *   may use       base trim memory
 *   must not know frames, connections, what was sent already
 */
/* source: memory that is to be sent, viewed in regions of 2 MiB.
 *
 * Files (an image, a memfd by its /proc/PID/fd/N, /dev/shm, hugetlbfs) are
 * mapped and read in place.  A process is read through /proc/PID/mem into the
 * view's own buffer, 64 pages at a time.  The buffer also serves a hugetlbfs
 * file with holes, since a read through a mapping would take a huge page from
 * the pool; the last region of a file that ends within a page, since bytes past
 * the end are not the file's; and regions of the caller's own.
 *
 * Threads: any number of threads may view a source, each with a view of its
 * own.  One thread opens and closes it, and stays alive in between: the kernel
 * resumes a stopped process when the thread that stopped it ends.
 * Memory: at most 2 bits per page of a file, and 1 with PT_UNREADABLE_ZERO.
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <pagetrim/error.h>
#include "memory/layout.h"
#include "memory/regions.h"

struct pt_source;

/* pt_source_open_files opens 1..PT_SOURCE_FILES_MAX regular files as the
 * segments of one memory, in the order given: each named by the last part of
 * its path, each starting at the next gfn that is a multiple of 512.  On
 * success returns 0 and *out is the caller's, to pt_source_close.  Else:
 *   -ENOENT, -EACCES, ...  as open(2) says, text with the path
 *   -EINVAL  a directory, device, pipe or socket; an empty file; cnt
 *   -E2BIG   larger than the wire can number
 *   -ENOMEM  no memory, or no address space to map it */
#define PT_SOURCE_FILES_MAX 256
int pt_source_open_files(struct pt_source **out, const char *const *paths,
			 unsigned int cnt, struct pt_error *err);

/* pt_source_open_files_as opens files that may change or must not be mapped;
 * pt_source_open_files passes PT_FILES_STILL. */
enum pt_files {
	PT_FILES_STILL,		/* mapped where possible: nobody writes the
				 * files */
	PT_FILES_BY_CALL,	/* read by system call: a truncated file is an
				 * error, never a SIGBUS */
	PT_FILES_LIVE,		/* likewise; others write the files meanwhile */
};

int pt_source_open_files_as(struct pt_source **out, enum pt_files how,
			    const char *const *paths, unsigned int cnt,
			    struct pt_error *err);

/* pt_source_open_pid opens the private memory of a process, its mappings each a
 * segment with gfn = address / 4096, named as in /proc/PID/maps ("[heap]",
 * "[stack]", the file's last part) or "anon".  It leaves out shared mappings,
 * code and constants that no page was written of, and devices; a file under /dev that
 * is none is not left out.  It stops all threads
 * of the process until pt_source_close; they resume when the calling thread
 * dies, however it dies.  With keep_running they are not stopped, and the copy
 * is not a consistent snapshot.
 *   -ESRCH   no such process, or it has ended; a zombie or kernel thread
 *   -EINVAL  pid is a thread of another process, or ourselves
 *   -EPERM, -EACCES   not allowed; traced by another (named)
 *   -ENODATA it has none
 *   -ETIMEDOUT  a thread did not stop within 5 s
 *   -ENOMEM */
int pt_source_open_pid(struct pt_source **out, pid_t pid, bool keep_running,
		       struct pt_error *err);

/* pt_source_open_live opens a process likewise, but stops it only while its
 * mappings are read, and while the caller says so.  Around its mappings there are
 * segments PT_ROOM_NAME of up to room_sz bytes, a multiple of 4096, for memory that
 * it maps meanwhile; see source/process_rooms.h.  Memory that is not mapped, or that
 * it unmaps while it is read, reads as zero.  Errors as pt_source_open_pid. */
int pt_source_open_live(struct pt_source **out, pid_t pid, __u64 room_sz,
			struct pt_error *err);

/* pt_source_stop stops the live process, until the same thread calls
 * pt_source_resume, or ends.  pt_source_resume is also called for one that runs.
 *   -ESRCH, -EPERM, -ETIMEDOUT, -ENOMEM   as pt_source_open_pid */
int pt_source_stop(struct pt_source *src, struct pt_error *err);
void pt_source_resume(struct pt_source *src);

/* pt_source_review reads the mappings of a live process anew; other sources have
 * none.  No other thread uses the source meanwhile.
 *   -ESTALE  it is stopped, and one of them is in no segment
 *   -ESRCH   the process ended, or called execve(2) */
int pt_source_review(struct pt_source *src, struct pt_error *err);

/* pt_source_mapping returns whether the live process had a mapping idx, counted from
 * 0, at the last review; they ascend, and need not be in a segment.
 * pt_source_has_mappings: it is a live process. */
bool pt_source_has_mappings(const struct pt_source *src);
bool pt_source_mapping(const struct pt_source *src, __u32 idx, __u64 *gfn,
		       __u64 *page_cnt);

/* pt_source_left: the memory of a process that is not in its image. */
struct pt_source_left {
	__u64 files_sz;		/* text and constants: never written, and from files
				 * that have a name */
	__u64 beyond_sz;	/* beyond the end of a mapped file: no content */
	__u64 shared_sz;	/* shared, as far as it is allocated; of a file on a
				 * disk only if the process may write it */
	__u64 userfault_sz;	/* not there, and a userfaultfd is to supply it */
	__u64 unreadable_sz;	/* taken for zero; 0 before a page was read */
	__u32 shared_cnt, userfault_cnt;	/* mappings */
	char shared_name[PT_SEGMENT_NAME_SZ];	/* of the largest */
};

/* PT_SOURCE_LEFT(X): X(field, its key in JSON, its meaning behind a size). */
#define PT_SOURCE_LEFT(X)						\
	X(files_sz, "files", "of text and constants from files")	\
	X(beyond_sz, "beyond-end", "beyond the end of files")		\
	X(shared_sz, "shared", "of shared memory")			\
	X(userfault_sz, "userfault", "that a userfaultfd has yet to supply") \
	X(unreadable_sz, "unreadable", "unreadable")

/* pt_source_find_left sets all of out; to zero for other sources.  The time is
 * that of a walk through the process's page tables.
 *   -ESRCH  the process ended */
int pt_source_find_left(const struct pt_source *src, struct pt_source_left *out,
			struct pt_error *err);

/* pt_on_unreadable: the treatment of pages that cannot be read, since the read meets
 * an I/O or memory error. */
enum pt_on_unreadable {
	PT_UNREADABLE_DEFAULT,	/* the caller's to replace; as FAIL */
	PT_UNREADABLE_FAIL,	/* -EIO */
	PT_UNREADABLE_MARK,	/* they are unreadable in the view */
	PT_UNREADABLE_ZERO,	/* they are taken for zero, and counted */
};

/* pt_source_on_unreadable: for the thread that opened it, before the first view.
 * Pages that an image's list names are unreadable in any case but ZERO. */
void pt_source_on_unreadable(struct pt_source *src, enum pt_on_unreadable how);

/* pt_source_mapped_by: process pid has segment i mapped as a whole, shared, at
 * addrs[i].  Pages that it cannot read there (UFFDIO_POISON) are unreadable in all
 * views to come, as on_unreadable says; with FAIL a view of one is -EIO.  It takes
 * CAP_SYS_ADMIN, without which none is found but in pages of hugetlbfs.
 *   -ESRCH, -EACCES, -EPERM, -ENOMEM, -EMFILE */
int pt_source_mapped_by(struct pt_source *src, pid_t pid, const __u64 *addrs,
			struct pt_error *err);

/* pt_source_zeroed_cnt returns how many pages were taken for zero so far. */
__u64 pt_source_zeroed_cnt(const struct pt_source *src);

/* pt_source_open_regions opens the caller's own memory, each region a segment.
 * The caller may write it while it is sent, and keeps it mapped until
 * pt_source_close.  Errors as pt_regions_sort. */
int pt_source_open_regions(struct pt_source **out,
			   const struct pt_region *regions, __u32 cnt,
			   struct pt_error *err);

/* pt_source_may_change: others may write the memory while it is read, so two
 * reads of a page may differ. */
bool pt_source_may_change(const struct pt_source *src);

/* pt_source_close resumes a stopped process.  NULL is allowed. */
void pt_source_close(struct pt_source *src);

/* pt_source_segments returns the table for pt_layout_create and OPEN, which the
 * source owns. */
const struct pt_segment *pt_source_segments(const struct pt_source *src,
					    __u32 *cnt);

/* pt_source_set_name renames segment idx, before a layout is made of them. */
void pt_source_set_name(struct pt_source *src, __u32 idx, const char *name);

/* pt_piece: the part of a segment that a view shows. */
struct pt_piece {
	__u32 seg;		/* index of the segment */
	__u32 sz;		/* bytes, 1..2 MiB; under 2 MiB: up to its
				 * end */
	__u64 off;		/* bytes into it, a multiple of 2 MiB */
};

/* pt_view: one region of a source.  One thread owns it, for one source. */
struct pt_view {
	const __u8 *pages;	/* page_cnt * 4096 bytes, bytes past the end of
				 * the segment zero; readable once loaded,
				 * except holes */
	__u32 page_cnt;		/* 1..512 */
	bool is_stable;		/* pages stays valid until pt_source_close; else
				 * as long as pt_view_keeps allows */
	__u64 holes[8];		/* bit i % 64 of [i / 64]: page i is known to be
				 * zero and was not read; 0 from page_cnt on */
	__u64 unreadable[8];	/* likewise: page i cannot be read, and is no
				 * hole; more may turn out so in a load */
	bool is_fresh;		/* the caller's, after init: data that was
				 * punched since the source was opened is a
				 * hole, too, which takes longer to find */
	/* The following fields are the source's. */
	struct pt_piece piece;	/* the shown part */
	__u64 first_page;	/* its first page, by the layout */
	__u8 *staged;		/* its pages in buffer; NULL: in place */
	__u8 *buffer;		/* 2 MiB, or NULL while none was needed */
	__u32 kept_cnt;		/* pages of the buffer that were shown */
	__u32 extent_seg;	/* segment whose data extent is known */
	__u64 data_off;		/* the extent: [data_off, data_end) is data, */
	__u64 data_end;		/* all between known_off and data_off a hole */
	__u64 known_off;
};

void pt_view_init(struct pt_view *v);
void pt_view_free(struct pt_view *v);	/* as after init; a second call does
					 * nothing */

/* pt_view_keeps: all pages that v showed since it was made, or since
 * pt_view_drop, stay valid when it next shows a region of page_cnt pages.
 * Small regions share the buffer.  A view with a full buffer drops them by
 * itself. */
static inline bool pt_view_keeps(const struct pt_view *v, __u32 page_cnt)
{
	return v->kept_cnt + page_cnt <= PT_REGION_PAGES;
}

static inline void pt_view_drop(struct pt_view *v)
{
	v->kept_cnt = 0;
}

/* pt_view_forget: holes that v knows may have been filled since; they are looked for
 * again. */
static inline void pt_view_forget(struct pt_view *v)
{
	v->extent_seg = ~0u;
}

/* pt_view_word returns the existing pages among the 64 from first on. */
static inline __u64 pt_view_word(const struct pt_view *v, __u32 first)
{
	__u32 cnt = v->page_cnt - first;

	return cnt >= 64 ? ~0ULL : (1ULL << cnt) - 1;
}

static inline bool pt_view_is_hole(const struct pt_view *v, __u32 page)
{
	return v->holes[page / 64] >> (page % 64) & 1;
}

static inline bool pt_view_is_unreadable(const struct pt_view *v, __u32 page)
{
	return v->unreadable[page / 64] >> (page % 64) & 1;
}

/* pt_view_is_hole_whole: all its pages are known to be zero. */
static inline bool pt_view_is_hole_whole(const struct pt_view *v)
{
	__u32 cnt = 0;

	for (__u32 i = 0; i < 8; i++)
		cnt += __builtin_popcountll(v->holes[i]);
	return cnt == v->page_cnt;
}

/* pt_source_view makes v show region region_idx of l, which was made from this
 * source's segments.  It needs some system calls for each region, none for a
 * page.  Returns 0 or
 *   -EIO     cut short, grown or failing while it is read; a mapping that went
 *            away (only with keep_running)
 *   -ESRCH   the process has ended
 *   -ENOMEM
 * A file that is cut short after this call raises SIGBUS where v->pages is
 * read: read it inside of a pt_guard, and give pt_source_fault the address. */
int pt_source_view(struct pt_source *src, struct pt_view *v,
		   const struct pt_layout *l, __u64 region_idx,
		   struct pt_error *err);

/* pt_view_load makes pages of the view readable: those in bits that are no
 * holes, among the 64 from first on, a multiple of 64.  Where a source may
 * change this is the only read of these pages: masks, digests and frames all
 * use these bytes.  One batch at a time keeps them in the cache meanwhile.
 * Errors as pt_source_view. */
int pt_view_load(struct pt_source *src, struct pt_view *v, __u32 first,
		 __u64 bits, struct pt_error *err);

/* pt_source_page returns the 4096 bytes of page page_idx of l, bytes past the
 * end of its segment zero.  It rereads a page in which a view showed data,
 * since a read of a hole may fill it.  For a mapped file it returns the
 * mapping: no system call, valid until pt_source_close, to be read inside of a
 * pt_guard, as v->pages is.  Else, and where the file ends within the page, one
 * system call reads the bytes into buffer, 4096 bytes of the caller's.  NULL:
 * they cannot be read any more; pt_source_view would give the cause. */
const __u8 *pt_source_page(const struct pt_source *src,
			   const struct pt_layout *l, __u64 page_idx,
			   void *buffer);

/* pt_source_fault sets the error for a SIGBUS at addr.  Returns -EIO and fills
 * err if addr is in a mapping of this source; 0 if it is not. */
int pt_source_fault(const struct pt_source *src, const void *addr,
		    struct pt_error *err);

/* pt_source_faulted: the same for a fault while this source was read: always
 * -EIO. */
int pt_source_faulted(const struct pt_source *src, const void *addr,
		      struct pt_error *err);

/* pt_source_lose: a SIGBUS at addr, while pages of v were read.  Returns 0 if the
 * page is unreadable in v from here on, or a hole; -EIO, with err, if it must not be,
 * or the fault has another cause. */
int pt_source_lose(struct pt_source *src, struct pt_view *v, const void *addr,
		   struct pt_error *err);

#endif
