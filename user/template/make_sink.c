// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The operations of the sink. */
#include "template/make_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/files.h"
#include "memory/headroom.h"
#include "memory/large.h"
#include "sink/large_map.h"
#include "sink/sink_large.h"

#define LOOK_UNITS	16	/* with data, between two looks at the headroom */

static struct pt_template_make *make_of(struct pt_sink *s)
{
	return (struct pt_template_make *)s;
}

static const struct pt_template_make *make_of_const(const struct pt_sink *s)
{
	return (const struct pt_template_make *)s;
}

static int fail(const struct pt_template_make *m, const char *what,
		struct pt_error *err)
{
	int code = -errno;

	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s: %s%s", m->made.name,
			    what, strerror(-code), pt_limit_remedy(code));
}

void pt_template_make_unmap(struct pt_template_make *m)
{
	if (m->map)
		munmap(m->map, m->parts.sz);
	m->map = NULL;
}

/* ---- memory ---- */

/* check_room: memory is taken until the OOM killer acts, so the headroom is looked at
 * first, for the sz bytes that are placed until the next look. */
static int check_room(const struct pt_template_make *m, __u64 sz,
		      struct pt_error *err)
{
	struct pt_headroom room;

	pt_headroom_look(&room, "");
	if (room.sz >= sz)
		return 0;
	if (!*room.limit)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: %llu MiB of "
				    "the host's memory are free, which is too little "
				    "for it (free some)", m->made.name, room.sz >> 20);
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: %llu MiB are free of the "
			    "%llu that %.300s allows, which is too little for it "
			    "(raise the limit)", m->made.name, room.sz >> 20,
			    room.limit_sz >> 20, room.limit);
}

static bool is_begun(const struct pt_template_make *m, __u64 unit)
{
	return atomic_load(&m->begun[unit / 64]) >> (unit % 64) & 1;
}

/* begin_unit: a large page that cannot be had is no failure. */
static int begin_unit(struct pt_template_make *m, __u64 unit, struct pt_error *err)
{
	__u64 off = unit * PT_LARGE_SZ;
	int code = 0;

	pthread_mutex_lock(&m->lock);
	if (!is_begun(m, unit)) {
		if (m->begun_cnt % LOOK_UNITS == 0)
			code = check_room(m, LOOK_UNITS * PT_LARGE_SZ, err);
		if (!code && m->large != PT_TEMPLATE_LARGE_OFF &&
		    off + PT_LARGE_SZ <= m->parts.sz)
			pt_large_map_build((__u8 *)m->map + off, PT_LARGE_SZ, true);
		if (!code) {
			m->begun_cnt++;
			atomic_fetch_or(&m->begun[unit / 64], 1ULL << (unit % 64));
		}
	}
	pthread_mutex_unlock(&m->lock);
	return code;
}

static int begin_units(struct pt_template_make *m, __u64 off, __u64 sz,
		       struct pt_error *err)
{
	int code = 0;

	for (__u64 i = off / PT_LARGE_SZ; !code && i <= (off + sz - 1) / PT_LARGE_SZ;
	     i++)
		if (!is_begun(m, i))
			code = begin_unit(m, i, err);
	return code;
}

static int make_fit(struct pt_sink *s, const struct pt_layout *l,
		    struct pt_error *err)
{
	struct pt_template_make *m = make_of(s);
	__u64 sz = pt_layout_image_sz(l), unit_cnt;
	void *map;

	sz = (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ * PT_PAGE_SZ;
	unit_cnt = sz / PT_LARGE_SZ + 1;
	pt_template_make_unmap(m);
	if (ftruncate(m->memory, sz))
		return fail(m, "its memory cannot be made as large as that", err);
	free(m->begun);
	m->begun = calloc(unit_cnt / 64 + 1, sizeof(*m->begun));
	map = m->begun ? pt_large_map(m->memory, sz) : MAP_FAILED;
	if (map == MAP_FAILED)
		return fail(m, "its memory cannot be mapped", err);
	m->map = map;
	m->part = (struct pt_sink_part){ .sz = sz, .at = (uintptr_t)map };
	m->parts = (struct pt_sink_parts){ .parts = &m->part, .cnt = 1, .sz = sz };
	m->made.sz = s->sz = sz;
	s->starts_zero = true;
	return m->large == PT_TEMPLATE_LARGE_ALL ? begin_units(m, 0, sz, err) : 0;
}

static int make_place(struct pt_sink *s, __u64 off, struct iovec *pieces, __u32 cnt,
		      __u64 sz, struct pt_error *err)
{
	int code = begin_units(make_of(s), off, sz, err);

	if (!code)
		pt_sink_parts_place(&make_of(s)->parts, off, pieces, cnt, sz);
	return code;
}

/* make_zero: a hole would take a large page apart. */
static int make_zero(struct pt_sink *s, __u64 off, __u64 sz, struct pt_error *err)
{
	(void)err;
	pt_sink_parts_zero(&make_of(s)->parts, off, sz);
	return 0;
}

static int make_read(const struct pt_sink *s, __u64 off, void *to, __u64 sz,
		     struct pt_error *err)
{
	const struct pt_template_make *m = make_of_const(s);

	if (pt_sink_parts_read(&m->parts, off, to, sz))
		return 0;
	errno = EIO;
	return fail(m, "its memory cannot be read", err);
}

static const __u8 *make_see(const struct pt_sink *s, __u64 off)
{
	return (const __u8 *)make_of_const(s)->map + off;
}

static int make_fault(const struct pt_sink *s, const void *addr, struct pt_error *err)
{
	const struct pt_template_make *m = make_of_const(s);

	errno = ENOMEM;
	return pt_sink_parts_has(&m->parts, addr)
		? fail(m, "its memory cannot be written", err) : 0;
}

/* ---- small files ---- */

int pt_template_make_files_end(struct pt_template_make *m, struct pt_error *err)
{
	int code = 0;

	if (m->file >= 0) {
		if (m->file_left)
			code = pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "%s: its "
					    "file %s lacks %llu bytes", m->made.name,
					    m->file_name, m->file_left);
		close(m->file);
	}
	if (m->with >= 0)
		close(m->with);
	m->file = m->with = -1;
	return code;
}

/* files_begin: the state of devices holds a guest's secrets. */
static int files_begin(struct pt_template_make *m, struct pt_error *err)
{
	if (m->with >= 0)
		return 0;
	if (mkdirat(m->entry.dir, PT_TEMPLATE_WITH, 0700) && errno != EEXIST)
		return fail(m, "the folder of its files cannot be made", err);
	m->with = openat(m->entry.dir, PT_TEMPLATE_WITH, O_RDONLY | O_DIRECTORY |
			 O_NOFOLLOW | O_CLOEXEC);
	return m->with < 0 ? fail(m, "the folder of its files cannot be opened", err)
			   : 0;
}

/* check_file_room: /run is memory. */
static int check_file_room(const struct pt_template_make *m, __u64 sz,
			   struct pt_error *err)
{
	struct statfs fs;

	if (fstatfs(m->with, &fs) ||
	    (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC))
		return 0;
	return check_room(m, sz, err);
}

static int make_file_begin(struct pt_sink *s, const char *name, __u64 sz,
			   struct pt_error *err)
{
	struct pt_template_make *m = make_of(s);
	const char *fault = pt_name_file_fault(name);
	int code;

	if (fault)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "%s: a file of it "
				    "cannot be stored by its name: %s", m->made.name,
				    fault);
	if (m->file_cnt == PT_TEMPLATE_FILES_MAX)
		return pt_error_set(err, PT_EXIT_FAILED, -E2BIG, "%s: it has more than "
				    "%d small files (move some out of its folder)",
				    m->made.name, PT_TEMPLATE_FILES_MAX);
	code = pt_template_make_files_end(m, err);
	if (!code)
		code = files_begin(m, err);
	if (!code)
		code = check_file_room(m, sz, err);
	if (code)
		return code;
	m->file = openat(m->with, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
			 O_CLOEXEC, 0600);
	if (m->file < 0 && errno == EEXIST)
		return pt_error_set(err, PT_EXIT_FAILED, -EEXIST, "%s: two files of "
				    "it have the name %s", m->made.name, name);
	if (m->file < 0)
		return fail(m, "a file of it cannot be created", err);
	snprintf(m->file_name, sizeof(m->file_name), "%s", name);
	m->file_left = sz;
	m->file_cnt++;
	return 0;
}

static int make_file_write(struct pt_sink *s, const void *bytes, __u64 sz,
			   struct pt_error *err)
{
	struct pt_template_make *m = make_of(s);
	const __u8 *from = bytes;

	if (m->file < 0 || sz > m->file_left)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "%s: more bytes "
				    "came for a file than were announced",
				    m->made.name);
	while (sz) {
		ssize_t done = write(m->file, from, sz);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return fail(m, "a file of it cannot be written", err);
		from += done;
		sz -= done;
		m->file_left -= done;
	}
	return 0;
}

/* ---- the whole ---- */

static int make_commit(struct pt_sink *s, struct pt_error *err)
{
	return pt_template_make_commit(make_of(s), err);
}

static void make_close(struct pt_sink *s)
{
	(void)s;	/* pt_template_make_end frees it */
}

const struct pt_sink_ops pt_template_make_ops = {
	.fit = make_fit,
	.place = make_place,
	.zero = make_zero,
	.read = make_read,
	.see = make_see,
	.fault = make_fault,
	.commit = make_commit,
	.file_begin = make_file_begin,
	.file_write = make_file_write,
	.close = make_close,
};
