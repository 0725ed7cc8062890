// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/source_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "memory/freeze.h"
#include "memory/proc.h"

/* Bits of a word of /proc/PID/pagemap (Documentation/admin-guide/mm). */
#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_SWAPPED	(1ULL << 62)
#define PAGEMAP_GUARD	(1ULL << 58)	/* MADV_GUARD_INSTALL: no content */

struct process {
	struct pt_source src;
	pid_t pid;
	int mem;		/* /proc/PID/mem */
	int pagemap;		/* /proc/PID/pagemap */
	struct pt_freeze *freeze;	/* NULL: it runs on */
	bool *is_anonymous;	/* per segment: a page that was never written
				 * reads as zero, not as a file's content */
	__u32 capacity;		/* capacity of the segments' table */
};

static int gone(const struct process *p, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ESRCH,
			    "process %d: it went away while it was read",
			    p->pid);
}

static int no_memory(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
			    "process %d: no memory to read it", pid);
}

/* --- the mappings ---------------------------------------------------- */

static int segment_add(struct process *p, __u64 start, __u64 end,
		       const char *path)
{
	__u32 capacity = p->capacity ? 2 * p->capacity : 64;
	struct pt_segment *seg;

	if (p->src.seg_cnt == p->capacity) {
		void *segs, *anonymous;

		segs = realloc(p->src.segs, capacity * sizeof(*seg));
		if (segs)
			p->src.segs = segs;
		anonymous = realloc(p->is_anonymous, capacity * sizeof(bool));
		if (anonymous)
			p->is_anonymous = anonymous;
		if (!segs || !anonymous)
			return -ENOMEM;
		p->capacity = capacity;
	}
	/* Huge pages of a private mapping have a file of their own. */
	p->is_anonymous[p->src.seg_cnt] = path[0] != '/' ||
				!strncmp(path, "/anon_hugepage", 14);
	seg = &p->src.segs[p->src.seg_cnt++];
	pt_segment_set_name(seg, path[0] ? path : "anon");
	seg->gfn = start / PT_PAGE_SZ;
	seg->sz = end - start;
	return 0;
}

/* is_device: its pages are not memory, and a read may have side effects. */
static bool is_device(const char *path)
{
	return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9) &&
	       strcmp(path, "/dev/zero");
}

static int mappings_read(struct process *p, FILE *maps, struct pt_error *err)
{
	size_t room = 0;
	char *line = NULL;
	int code = 0;

	while (!code && getline(&line, &room, maps) > 0) {
		unsigned long long start, end;
		int path_at = 0;
		char perms[5];

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%llx-%llx %4s %*x %*x:%*x %*u %n", &start,
			   &end, perms, &path_at) != 3 || !path_at)
			continue;
		if (perms[1] != 'w' || perms[3] != 'p' ||
		    is_device(line + path_at))
			continue;
		if (p->src.seg_cnt == PT_SEGMENTS_MAX)
			code = pt_error_set(err, PT_EXIT_HOST, -E2BIG,
					    "process %d: more than %u private "
					    "writable mappings", p->pid,
					    PT_SEGMENTS_MAX);
		else if (segment_add(p, start, end, line + path_at))
			code = no_memory(p->pid, err);
	}
	free(line);
	return code;
}

/* --- a region -------------------------------------------------------- */

/* holes_find marks the pages that the process never touched. */
static int holes_find(const struct process *p, struct pt_view *v, __u64 start,
		      struct pt_error *err)
{
	__u64 words[PT_REGION_PAGES];
	__u32 want = v->page_cnt * sizeof(words[0]);
	ssize_t got = pread(p->pagemap, words, want,
			    start / PT_PAGE_SZ * sizeof(words[0]));

	if (got != (ssize_t)want)
		return gone(p, err);
	for (__u32 i = 0; i < v->page_cnt; i++)
		if (!(words[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) ||
		    words[i] & PAGEMAP_GUARD)
			pt_view_set_holes(v, i, i + 1);
	return 0;
}

static int run_read(const struct process *p, const char *name, __u8 *to,
		    __u64 start, __u64 sz, struct pt_error *err)
{
	while (sz) {
		ssize_t got = pread(p->mem, to, sz, start);

		if (got < 0 && errno == EINTR)
			continue;
		if (!got)
			return gone(p, err);
		if (got < 0)
			return pt_error_set(err, PT_EXIT_FAILED, -EIO,
					    "process %d: cannot read %s at "
					    "0x%llx: %s%s", p->pid, name, start,
					    strerror(errno), p->freeze ? "" :
					    " (it runs: did it unmap it?)");
		to += got;
		start += got;
		sz -= got;
	}
	return 0;
}

static int process_view(struct pt_source *src, struct pt_view *v,
			const struct pt_piece *piece, struct pt_error *err)
{
	const struct process *p = (const struct process *)src;
	__u64 gfn = src->segs[piece->seg].gfn;

	return !p->is_anonymous[piece->seg] ? 0
		: holes_find(p, v, gfn * PT_PAGE_SZ + piece->off, err);
}

static int process_load(const struct pt_source *src,
			const struct pt_piece *piece, __u32 first, __u32 end,
			__u8 *to, struct pt_error *err)
{
	const struct process *p = (const struct process *)src;
	const struct pt_segment *seg = &src->segs[piece->seg];

	return run_read(p, seg->name, to, seg->gfn * PT_PAGE_SZ + piece->off +
			(__u64)first * PT_PAGE_SZ,
			(__u64)(end - first) * PT_PAGE_SZ, err);
}

static const __u8 *process_page(const struct pt_source *src, __u32 seg,
				__u64 off, __u32 sz, void *buffer)
{
	const struct process *p = (const struct process *)src;

	return pt_source_pread(p->mem, buffer, sz,
			       src->segs[seg].gfn * PT_PAGE_SZ + off)
		? buffer : NULL;
}

static int process_fault(const struct pt_source *src, const void *addr,
			 struct pt_error *err)
{
	(void)src;
	(void)addr;
	(void)err;
	return 0;	/* it has no mapping */
}

/* --- open and close -------------------------------------------------- */

static void process_close(struct pt_source *src)
{
	struct process *p = (struct process *)src;

	pt_freeze_release(p->freeze);
	if (p->mem >= 0)
		close(p->mem);
	if (p->pagemap >= 0)
		close(p->pagemap);
	free(p->is_anonymous);
	free(p);
}

static const struct pt_source_ops process_ops = {
	.view = process_view,
	.load = process_load,
	.page = process_page,
	.fault = process_fault,
	.close = process_close,
};

/* pid_check refuses a number that names no process with memory. */
static int pid_check(pid_t pid, struct pt_error *err)
{
	long leader = pt_proc_number(pid, "Tgid:");

	if (pid <= 0 || leader < 0)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: no such process", pid);
	if (leader != pid)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "process %d: it is a thread of process %ld "
				    "(give that number)", pid, leader);
	if (pid == getpid())
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "process %d: pagetrim itself", pid);
	if (pid == 2 || pt_proc_number(pid, "PPid:") == 2)
		return pt_error_set(err, PT_EXIT_HOST, -ENODATA,
				    "process %d: a thread of the kernel, it "
				    "has no memory of its own", pid);
	return 0;
}

static int tid_find(void *arg, pid_t tid)
{
	pid_t *pid = arg;

	if (!pt_proc_thread_lives(*pid, tid))
		return 0;
	*pid = tid;
	return 1;
}

static int task_open(pid_t pid, pid_t tid, const char *name,
		     struct pt_error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: it went away", pid);
	return pt_error_set(err, PT_EXIT_HOST, -errno,
			    "process %d: cannot open its %s: %s (run as root, "
			    "or with CAP_SYS_PTRACE)", pid, name,
			    strerror(errno));
}

/* process_map opens its files in /proc, by the thread number of a living
 * thread: the first thread may have ended before the others. */
static int process_map(struct process *p, struct pt_error *err)
{
	pid_t tid = p->pid;
	FILE *maps;
	int code;

	if (pt_proc_threads(p->pid, tid_find, &tid) != 1)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: it has ended", p->pid);
	p->mem = task_open(p->pid, tid, "mem", err);
	if (p->mem < 0)
		return p->mem;
	p->pagemap = task_open(p->pid, tid, "pagemap", err);
	if (p->pagemap < 0)
		return p->pagemap;
	code = task_open(p->pid, tid, "maps", err);
	if (code < 0)
		return code;
	maps = fdopen(code, "r");
	if (!maps) {
		close(code);
		return no_memory(p->pid, err);
	}
	code = mappings_read(p, maps, err);
	fclose(maps);
	if (!code && !p->src.seg_cnt)
		return pt_error_set(err, PT_EXIT_HOST, -ENODATA,
				    "process %d: it has no private writable "
				    "memory", p->pid);
	return code;
}

int pt_source_open_pid(struct pt_source **out, pid_t pid, bool keep_running,
		       struct pt_error *err)
{
	struct process *p;
	int code;

	code = pid_check(pid, err);
	if (code)
		return code;
	p = calloc(1, sizeof(*p));
	if (!p)
		return no_memory(pid, err);
	p->src.ops = &process_ops;
	p->src.may_change = keep_running;
	p->pid = pid;
	p->mem = p->pagemap = -1;
	if (!keep_running)
		code = pt_freeze_take(&p->freeze, pid, err);
	if (!code)
		code = process_map(p, err);
	if (code) {
		pt_source_close(&p->src);
		return code;
	}
	*out = &p->src;
	return 0;
}
