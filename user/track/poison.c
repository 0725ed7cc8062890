// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "track/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pagetrim/wire.h>
#include "base/files.h"
#include "memory/pagemap.h"
#include "memory/processes.h"
#include "track/enter.h"
#include "memory/mappings.h"
#include "track/wp.h"

#define PASSES_MAX	8	/* over all processes, while new ones appear */
#define FILES_MAX	256	/* that the ranges are of */
#define BUSY_MAX	1000	/* calls that find the mappings changing */

/* Newer than the headers of Linux 6.1. */
struct poison_arg {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};

#define POISON		_IOWR(UFFDIO, 0x08, struct poison_arg)
#define FEATURES	(1 << 14 | 1 << 15)	/* poison, asynchronous write
						 * protection */

/* spans: memory of one process; or places in files, as one process maps them. */
struct spans {
	struct pt_mapping *all;
	__u32 cnt, capacity;
};

struct poisoning {
	pid_t target;
	struct spans places;		/* of the ranges, in the target */
	struct pt_mapping files[FILES_MAX];	/* theirs, each once */
	__u32 file_cnt;
};

static int spans_add(struct spans *s, const struct pt_mapping *m)
{
	__u32 capacity = s->capacity ? 2 * s->capacity : 64;
	struct pt_mapping *all;

	if (s->cnt == s->capacity) {
		all = reallocarray(s->all, capacity, sizeof(*all));
		if (!all)
			return -ENOMEM;
		s->all = all;
		s->capacity = capacity;
	}
	s->all[s->cnt++] = *m;
	return 0;
}

static int fail(pid_t pid, int code, const char *cause, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "process %d: pages that could "
			    "not be read at the source cannot be marked in it: %s",
			    pid, cause);
}

static int no_memory(struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory for the pages "
			    "that cannot be read");
}

/* --- the ranges, in the target ---------------------------------------- */

struct placing {
	struct poisoning *p;
	const struct pt_poison_range *ranges;
	__u32 cnt, next;	/* the first that ends above the last mapping */
	__u64 found_sz;
};

static bool has_file(const struct poisoning *p, const struct pt_mapping *m)
{
	for (__u32 i = 0; i < p->file_cnt; i++)
		if (pt_mapping_is_of(&p->files[i], m))
			return true;
	return false;
}

/* place_add adds the part of the mapping that is in the range. */
static int place_add(struct placing *at, const struct pt_mapping *m,
		     const struct pt_poison_range *r)
{
	struct pt_mapping part = *m;

	part.start = r->addr > m->start ? r->addr : m->start;
	part.end = r->addr + r->sz < m->end ? r->addr + r->sz : m->end;
	if (part.start >= part.end)
		return 0;
	part.off += part.start - m->start;
	at->found_sz += part.end - part.start;
	if (!m->ino || !m->is_shared)
		return -EOPNOTSUPP;
	if (!has_file(at->p, m)) {
		if (at->p->file_cnt == FILES_MAX)
			return -E2BIG;
		at->p->files[at->p->file_cnt++] = *m;
	}
	return spans_add(&at->p->places, &part);
}

static int place(void *arg, const struct pt_mapping *m)
{
	struct placing *at = arg;
	int code = 0;

	while (at->next < at->cnt && at->ranges[at->next].addr +
	       at->ranges[at->next].sz <= m->start)
		at->next++;
	for (__u32 i = at->next; !code && i < at->cnt &&
	     at->ranges[i].addr < m->end; i++)
		code = place_add(at, m, &at->ranges[i]);
	return code;
}

static int places_find(struct poisoning *p, int maps,
		       const struct pt_poison_range *ranges, __u32 cnt,
		       struct pt_error *err)
{
	struct placing at = { .p = p, .ranges = ranges, .cnt = cnt };
	int code = pt_mappings_each(maps, place, &at);
	__u64 sz = 0;

	for (__u32 i = 0; i < cnt; i++)
		sz += ranges[i].sz;
	if (code == -ENOMEM)
		return no_memory(err);
	if (!code && at.found_sz != sz)
		code = -ESRCH;
	return code ? fail(p->target, code, code == -ESRCH
			   ? "it has ended, or does not map that memory any more"
			   : strerror(-code), err) : 0;
}

/* --- one process ------------------------------------------------------ */

/* found: of one process. */
struct found {
	struct spans spans;	/* the places, as it maps them */
	struct spans units;	/* the 2 MiB around them, as far as one mapping goes */
};

struct finding {
	const struct poisoning *p;
	struct found *out;
};

/* unit_add adds the 2 MiB around a part of the mapping. */
static int unit_add(struct spans *units, const struct pt_mapping *m,
		    const struct pt_mapping *part)
{
	__u64 first = part->start & ~(PT_REGION_SZ - 1ULL);
	__u64 end = (part->end + PT_REGION_SZ - 1) & ~(PT_REGION_SZ - 1ULL);
	struct pt_mapping *last = units->cnt ? &units->all[units->cnt - 1] : NULL;
	struct pt_mapping unit = {
		.start = first > m->start ? first : m->start,
		.end = end < m->end ? end : m->end,
	};

	if (!last || unit.start < last->start || unit.start > last->end)
		return spans_add(units, &unit);
	last->end = unit.end > last->end ? unit.end : last->end;
	return 0;
}

/* find adds the parts of the mapping that show the places; also a private mapping
 * does, and one that cannot be written. */
static int find(void *arg, const struct pt_mapping *m)
{
	const struct finding *f = arg;
	const struct spans *places = &f->p->places;
	int code = 0;

	if (!m->ino || !has_file(f->p, m))
		return 0;
	for (__u32 i = 0; !code && i < places->cnt; i++) {
		const struct pt_mapping *at = &places->all[i];
		__u64 end = m->off + (m->end - m->start);
		__u64 stop = at->off + (at->end - at->start);
		struct pt_mapping part = *m;

		part.off = at->off > m->off ? at->off : m->off;
		stop = stop < end ? stop : end;
		if (!pt_mapping_is_of(at, m) || part.off >= stop)
			continue;
		part.start = m->start + (part.off - m->off);
		part.end = part.start + (stop - part.off);
		code = spans_add(&f->out->spans, &part);
		if (!code)
			code = unit_add(&f->out->units, m, &part);
	}
	return code;
}

/* open_pagemap: -ESRCH: the process ended. */
static int open_pagemap(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

static const char *cause_of(int code)
{
	switch (code) {
	case -EEXIST:
		return "it uses one of them";
	case -EBUSY:
		return "another tracker, or its own userfaultfd, has the memory";
	case -EPERM:
		return "it maps them, and must not write there";
	case -EINVAL:
		return "they are in a file that is not on a tmpfs";
	default:
		return strerror(-code);
	}
}

/* span_mark marks the span, which is registered. */
static int span_mark(int uffd, int pagemap, const struct pt_mapping *span)
{
	__u64 at = span->start;
	__u32 busy = 0;

	while (at < span->end) {
		struct poison_arg arg = {
			.range = { .start = at, .len = span->end - at },
		};
		int code = ioctl(uffd, POISON, &arg) ? -errno : 0;

		if (arg.updated > 0)
			at += arg.updated;
		else if (code == -EEXIST &&
			 pt_pagemap_is_marked(pagemap, at, at + PT_PAGE_SZ))
			at += PT_PAGE_SZ;
		else if ((code != -EAGAIN && code != -EINTR) ||
			 ++busy == BUSY_MAX)
			return code ? code : -EIO;
	}
	return 0;
}

/* spans_mark registers the spans of each mapping together: that splits a mapping in at
 * most three.  The close of uffd undoes it. */
static int spans_mark(int uffd, int pagemap, const struct spans *s)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	int code = ioctl(uffd, UFFDIO_API, &api) ? -EOPNOTSUPP : 0;
	__u32 end;

	for (__u32 i = 0; !code && i < s->cnt; i = end) {
		const struct pt_mapping *first = &s->all[i];
		struct uffdio_register reg = {
			.mode = UFFDIO_REGISTER_MODE_WP,
			.range = { .start = first->start },
		};

		/* Those of one mapping have one distance to their file. */
		for (end = i; end < s->cnt && pt_mapping_is_of(first, &s->all[end]) &&
		     s->all[end].start >= first->start &&
		     s->all[end].start - s->all[end].off ==
		     first->start - first->off; end++)
			reg.range.len = s->all[end].end - first->start;
		if (ioctl(uffd, UFFDIO_REGISTER, &reg))
			code = -errno;
		for (__u32 k = i; !code && k < end; k++)
			code = span_mark(uffd, pagemap, &s->all[k]);
	}
	return code;
}

static bool are_marked(int pagemap, const struct spans *s)
{
	for (__u32 i = 0; i < s->cnt; i++)
		if (!pt_pagemap_is_marked(pagemap, s->all[i].start,
					  s->all[i].end))
			return false;
	return true;
}

/* keep_small keeps the kernel from making large pages of the units, in which the marks
 * would be lost without a word.  A kernel without large pages knows no such call. */
static int keep_small(pid_t pid, const struct spans *units, struct pt_error *err)
{
	struct pt_enter_range *ranges = calloc(units->cnt, sizeof(*ranges));
	int code = 0;

	if (!ranges)
		return no_memory(err);
	for (__u32 i = 0; i < units->cnt; i++)
		ranges[i] = (struct pt_enter_range){
			units->all[i].start, units->all[i].end - units->all[i].start,
		};
	if (pid != getpid())
		code = pt_enter_advise(pid, ranges, units->cnt, MADV_NOHUGEPAGE, err);
	for (__u32 i = 0; pid == getpid() && !code && i < units->cnt; i++)
		if (madvise((void *)(unsigned long)ranges[i].addr, ranges[i].sz,
			    MADV_NOHUGEPAGE))
			code = fail(pid, -errno, strerror(errno), err);
	free(ranges);
	return code == -EINVAL ? 0 : code;
}

/* process_mark enters the process, unless all is marked there: in another process of
 * the same address space, or a pass ago.  1: it marked; 0: it had not to. */
static int process_mark(pid_t pid, const struct found *found, struct pt_error *err)
{
	const struct spans *s = &found->spans;
	int pagemap = open_pagemap(pid), uffd, code;

	if (pagemap < 0)
		return fail(pid, pagemap, strerror(-pagemap), err);
	if (are_marked(pagemap, s)) {
		close(pagemap);
		return 0;
	}
	uffd = keep_small(pid, &found->units, err);
	if (!uffd)
		uffd = pid == getpid() ? pt_wp_uffd()
				       : pt_enter(pid, false, NULL, err);
	if (uffd >= 0) {
		code = spans_mark(uffd, pagemap, s);
		if (code)
			fail(pid, code, cause_of(code), err);
		close(uffd);
	} else {
		struct pt_error why = *err;

		code = pt_error_set(err, why.exit, uffd, "memory of process %d "
				    "could not be read at the source, and cannot "
				    "be marked: %.300s", pid, why.text);
	}
	close(pagemap);
	return code ? code : 1;
}

static int nothing(void *arg, const struct pt_mapping *m)
{
	(void)arg;
	(void)m;
	return 1;
}

static int unseen(pid_t pid, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EACCES, "process %d: pages that "
			    "could not be read at the source cannot be marked in "
			    "it: it may map them, and must not be looked at%s", pid,
			    pt_process_remedy(-EACCES));
}

/* process_take marks what the process maps.  One that ends meanwhile maps nothing. */
static int process_take(const struct poisoning *p, pid_t pid, struct pt_error *err)
{
	struct found found = { 0 };
	struct finding f = { .p = p, .out = &found };
	int maps = pt_mappings_open(pid), code;

	if (maps == -ENOENT || maps == -ESRCH)
		return 0;
	if (maps < 0)
		return unseen(pid, err);
	code = pt_mappings_each(maps, find, &f);
	if (code == -ESRCH)
		code = 0;
	else if (code)
		fail(pid, code, strerror(-code), err);
	else if (found.spans.cnt)
		code = process_mark(pid, &found, err);
	if (code < 0 && pid != p->target && pt_mappings_each(maps, nothing, NULL) < 0)
		code = 0;
	close(maps);
	free(found.spans.all);
	free(found.units.all);
	return code;
}

/* --- all -------------------------------------------------------------- */

/* pass returns how many processes were marked in, or -errno. */
static int pass(const struct poisoning *p, struct pt_error *err)
{
	struct pt_processes all = { 0 };
	int code = pt_processes_open(&all, err), marked_cnt = 0;
	pid_t pid;

	while (code >= 0 && (pid = pt_processes_next(&all)) > 0) {
		code = process_take(p, pid, err);
		marked_cnt += code > 0;
	}
	pt_processes_close(&all);
	return code < 0 ? code : marked_cnt;
}

/* mark: a process that is found may have forked a moment before, and its child may
 * have a number that the pass is beyond; the child has no marks. */
static int mark(const struct poisoning *p, struct pt_error *err)
{
	for (int i = 0; i < PASSES_MAX; i++) {
		int code = pass(p, err);

		if (code <= 0)
			return code;
	}
	return fail(p->target, -EAGAIN, "new processes map its memory all the time",
		    err);
}

int pt_poison(pid_t pid, int maps, const struct pt_poison_range *ranges, __u32 cnt,
	      struct pt_error *err)
{
	struct poisoning p = { .target = pid };
	int code;

	if (!pt_poison_is_offered())
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "this kernel "
				    "marks no pages as unreadable (Linux 6.7 or "
				    "newer does)");
	code = places_find(&p, maps, ranges, cnt, err);
	if (!code)
		code = mark(&p, err);
	free(p.places.all);
	return code;
}

bool pt_poison_is_offered(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	int fd = pt_wp_uffd();
	bool is_offered = fd >= 0 && !ioctl(fd, UFFDIO_API, &api);

	if (fd >= 0)
		close(fd);
	return is_offered;
}
