/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "sink/sink_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink/sink_ops.h"
#include "sink/sink_parts.h"

#define ZERO_SZ	(16u << 10)

struct process {
	struct pt_sink sink;		/* first */
	pid_t pid;
	int mem;			/* its /proc/PID/mem */
	struct pt_region *table;
	__u32 cnt;
	struct pt_sink_parts parts;
};

static const struct process *process_of(const struct pt_sink *s)
{
	return (const struct process *)s;
}

/* failed sets the error of a call that moved only `done` bytes at `at`. */
static int failed(const struct process *p, const char *what, __u64 at,
		  ssize_t done, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EIO, "process %d: its memory at "
			    "0x%llx cannot be %s: %s", p->pid, at, what,
			    done < 0 ? strerror(errno) : "it went away");
}

static int process_fit(struct pt_sink *s, const struct pt_layout *l,
		       struct pt_error *err)
{
	struct process *p = (struct process *)s;
	int ret;

	if (p->parts.parts)	/* a failed transfer left data */
		s->starts_zero = false;
	ret = pt_sink_parts_fit(&p->parts, p->table, p->cnt, l, err);
	s->sz = p->parts.sz;
	return ret;
}

/* write_some writes the next bytes, up to sz, of the pieces, at most to the end
 * of the first; returns their number, or -errno. */
static ssize_t write_some(const struct process *p, __u64 off,
			  const struct iovec *pieces, __u32 cnt, __u64 sz,
			  struct pt_error *err)
{
	ssize_t done;
	__u64 at;
	__u64 run = pt_sink_parts_find(&p->parts, off, &at);

	do {
		if (run >= sz)	/* one part holds all of it */
			done = pwritev(p->mem, pieces, cnt, at);
		else
			done = pwrite(p->mem, pieces->iov_base,
				      pieces->iov_len < run ? pieces->iov_len
							    : run, at);
	} while (done < 0 && errno == EINTR);
	return done > 0 ? done : failed(p, "written", at, done, err);
}

static int process_place(struct pt_sink *s, __u64 off, struct iovec *pieces,
			 __u32 cnt, __u64 sz, struct pt_error *err)
{
	while (sz) {
		ssize_t done = write_some(process_of(s), off, pieces, cnt, sz,
					  err);

		if (done < 0)
			return done;
		pt_pieces_advance(&pieces, &cnt, done);
		off += done;
		sz -= done;
	}
	return 0;
}

static int process_zero(struct pt_sink *s, __u64 off, __u64 sz,
			struct pt_error *err)
{
	static const __u8 zeroes[ZERO_SZ];
	int ret = 0;

	while (!ret && sz) {
		__u64 part = sz < ZERO_SZ ? sz : ZERO_SZ;
		struct iovec piece = { (void *)zeroes, part };

		ret = process_place(s, off, &piece, 1, part, err);
		off += part;
		sz -= part;
	}
	return ret;
}

static int process_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
			struct pt_error *err)
{
	const struct process *p = process_of(s);
	__u8 *into = to;

	while (sz) {
		__u64 at;
		__u64 run = pt_sink_parts_find(&p->parts, off, &at);
		ssize_t done = pread(p->mem, into, run < sz ? run : sz, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failed(p, "read", at, done, err);
		into += done;
		off += done;
		sz -= done;
	}
	return 0;
}

static void process_close(struct pt_sink *s)
{
	struct process *p = (struct process *)s;

	if (p->mem >= 0)
		close(p->mem);
	pt_sink_parts_free(&p->parts);
	free(p->table);
	free(p);
}

static const struct pt_sink_ops process_ops = {
	.fit = process_fit,
	.place = process_place,
	.zero = process_zero,
	.read = process_read,
	.close = process_close,
};

static int open_mem(struct process *p, struct pt_error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", p->pid);
	p->mem = open(path, O_RDWR | O_CLOEXEC);
	if (p->mem >= 0)
		return 0;
	if (errno == ENOENT || errno == ESRCH)
		return pt_error_set(err, PT_EXIT_HOST, -ESRCH,
				    "process %d: no such process", p->pid);
	return pt_error_set(err, PT_EXIT_HOST, -errno, "process %d: cannot open "
			    "its memory: %s (run as root, or with "
			    "CAP_SYS_PTRACE)", p->pid, strerror(errno));
}

int pt_sink_open_process(struct pt_sink **out, pid_t pid,
			 const struct pt_region *regions, __u32 cnt,
			 bool is_zero, struct pt_error *err)
{
	struct process *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "process %d: no memory", pid);
	p->sink.ops = &process_ops;
	p->sink.starts_zero = is_zero;
	p->sink.may_wait = true;	/* the memory may be a mapping of a
					 * file */
	p->pid = pid;
	p->mem = -1;
	p->cnt = cnt;
	ret = pt_regions_sort(&p->table, regions, cnt, err);
	if (!ret)
		ret = open_mem(p, err);
	if (ret) {
		process_close(&p->sink);
		return ret;
	}
	*out = &p->sink;
	return 0;
}
