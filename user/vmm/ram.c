/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The memory backends of a QEMU, and where they are.
 *
 * QMP tells of each backend its id, size and kind, but neither address nor
 * descriptor.  Both come from /proc: the backend's file is mapped, shared and
 * writable.  If several mappings may be it, HMP 'gpa2hva' decides. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "qmp/json.h"
#include "vmm/maps.h"
#include "vmm/qemu_impl.h"

#define SMALL_PAGE	4096

static const char shared_remedy[] =
	"(start QEMU with -object memory-backend-file,id=ram,size=SIZE,"
	"mem-path=/dev/shm/FILE,share=on -machine memory-backend=ram)";

/* backend: one of QEMU's, while its mapping is looked for. */
struct backend {
	char *kind;		/* "memory-backend-file" */
	char *file;		/* its mem-path, or NULL */
	bool has_stat;
	struct stat st;		/* of that file */
	__u64 off;		/* bytes into it */
};

static int not_shared(const struct pt_qemu *q, const char *id,
		      struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: the guest's "
			    "memory '%s' is private to QEMU %s", q->name, id,
			    shared_remedy);
}

/* is_8_1: QEMU is 8.1 or newer: files may be used from an offset on. */
static bool is_8_1(const struct pt_qemu *q)
{
	struct pt_qmp_version v = pt_qmp_version(q->qmp);

	return v.major > 8 || (v.major == 8 && v.minor >= 1);
}

/* sends_itself: since 8.1, x-ignore-shared leaves out named files only. */
static bool sends_itself(const struct pt_qemu *q, const struct backend *b)
{
	return is_8_1(q) && strcmp(b->kind, "memory-backend-file");
}

/* ------------------------------------------------------------ its mapping */

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool shows(const struct pt_map *m, const struct stat *st)
{
	return st->st_ino == m->ino && major(st->st_dev) == m->dev >> 32 &&
	       minor(st->st_dev) == (__u32)m->dev;
}

/* is_file_of: the mapping shows the backend's file, or a nameless file in its
 * folder, as hugetlbfs has them. */
static bool is_file_of(const struct pt_map *m, const struct backend *b)
{
	size_t sz = strlen(b->file);

	if (!strcmp(m->name, b->file) ||
	    (starts_with(m->name, b->file) &&
	     (!strcmp(m->name + sz, " (deleted)") ||
	      starts_with(m->name + sz, "/qemu_back_mem.") ||
	      starts_with(m->name + sz, "qemu_back_mem."))))
		return true;
	/* By another name, e.g. through a symbolic link. */
	return b->has_stat && shows(m, &b->st);
}

static bool may_be(const struct pt_map *m, const struct backend *b, __u64 sz)
{
	if (m->off > b->off || m->off + m->sz < b->off + sz)
		return false;
	if (!strcmp(b->kind, "memory-backend-memfd"))
		return starts_with(m->name, "/memfd:memory-backend-memfd");
	return !b->file || is_file_of(m, b);
}

/* find_map returns the backend's mapping, and its address in *addr. */
static const struct pt_map *find_map(struct pt_qemu *q, const char *id,
				     const struct backend *b, __u64 sz,
				     const struct pt_map *maps, __u32 cnt,
				     __u64 *addr)
{
	const struct pt_map *found = NULL;
	__u32 fit_cnt = 0;

	for (__u32 i = 0; i < cnt; i++) {
		if (!may_be(&maps[i], b, sz))
			continue;
		fit_cnt++;
		found = &maps[i];
		*addr = found->addr + b->off - found->off;
	}
	if (fit_cnt < 2)
		return found;
	if (!pt_qemu_hva(q, id, addr))
		return NULL;
	for (__u32 i = 0; i < cnt; i++)
		if (may_be(&maps[i], b, sz) &&
		    maps[i].addr + b->off - maps[i].off == *addr)
			return &maps[i];
	return NULL;
}

/* --------------------------------------------------------------- its file */

/* find_fd finds a descriptor of QEMU's that is the mapping's file. */
static bool find_fd(pid_t pid, const struct pt_map *m, char *path)
{
	const struct dirent *entry;
	bool found = false;
	struct stat st;
	DIR *dir;

	snprintf(path, PT_QEMU_PATH_SZ, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, PT_QEMU_PATH_SZ, "/proc/%d/fd/%.20s", pid,
			 entry->d_name);
		found = entry->d_name[0] != '.' && !stat(path, &st) &&
			shows(m, &st);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int find_file(const struct pt_qemu *q, const struct pt_map *m,
		     struct pt_qemu_range *r, struct pt_error *err)
{
	struct statfs fs;
	int fd;

	if (!find_fd(q->pid, m, r->path))
		snprintf(r->path, sizeof(r->path),
			 "/proc/%d/map_files/%llx-%llx", q->pid,
			 (unsigned long long)m->addr,
			 (unsigned long long)m->piece_end);
	fd = open(r->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs)) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot open "
				    "the memory '%s' of QEMU: %s: %s%s", q->name,
				    r->id, r->path, strerror(-code),
				    pt_process_remedy(code));
	}
	close(fd);
	r->page_sz = (unsigned long)fs.f_type == HUGETLBFS_MAGIC
		? (__u64)fs.f_bsize : SMALL_PAGE;
	return 0;
}

/* ------------------------------------------------------------- the backends */

static void backend_free(struct backend *b)
{
	free(b->kind);
	free(b->file);
}

/* file_read reads what only file backends have. */
static void file_read(struct pt_qemu *q, const char *path, struct backend *b)
{
	json_t *off = NULL;
	char *there;

	b->file = pt_qemu_property(q, path, "mem-path");
	/* As QEMU sees it, which may have a root of its own. */
	if (b->file && asprintf(&there, "/proc/%d/%s/%s", q->pid,
				*b->file == '/' ? "root" : "cwd",
				b->file) >= 0) {
		b->has_stat = !stat(there, &b->st);
		free(there);
	}
	if (!is_8_1(q))
		return;
	pt_qemu_do(q, "qom-get", json_pack("{s:s, s:s}", "path", path,
					   "property", "offset"), &off, NULL);
	b->off = json_integer_value(off);
	json_decref(off);
}

static int backend_read(struct pt_qemu *q, const char *id, struct backend *b,
			struct pt_error *err)
{
	char path[PT_SEGMENT_NAME_SZ + 16];

	snprintf(path, sizeof(path), "/objects/%s", id);
	*b = (struct backend){ .kind = pt_qemu_property(q, path, "type") };
	if (!b->kind)
		return pt_error_set(err, PT_EXIT_HOST, -EPROTO, "%s: QEMU does "
				    "not tell the kind of the memory '%s'",
				    q->name, id);
	if (!strcmp(b->kind, "memory-backend-file"))
		file_read(q, path, b);
	return 0;
}

static int locate(struct pt_qemu *q, struct pt_qemu_range *r,
		  const struct pt_map *maps, __u32 map_cnt,
		  struct pt_error *err)
{
	const struct pt_map *m;
	struct backend b;
	int code = backend_read(q, r->id, &b, err);

	if (!code && sends_itself(q, &b))
		code = pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: this "
				    "QEMU (8.1 or newer) sends the memory '%s' "
				    "itself, since it is a %s %s", q->name,
				    r->id, b.kind, shared_remedy);
	if (!code) {
		m = find_map(q, r->id, &b, r->sz, maps, map_cnt, &r->addr);
		if (m)
			r->off = b.off;
		code = m ? find_file(q, m, r, err) :
			pt_error_set(err, PT_EXIT_HOST, -ESRCH, "%s: process "
				     "%d does not have the memory '%s' mapped: "
				     "is it the QEMU of this monitor? (give the "
				     "PID of QEMU with {pid})", q->name,
				     q->pid, r->id);
	}
	backend_free(&b);
	return code;
}

static int range_read(struct pt_qemu *q, const json_t *row,
		      struct pt_qemu_range *r, struct pt_error *err)
{
	const char *id = pt_json_text(row, "id");
	json_int_t sz = json_integer_value(json_object_get(row, "size"));

	if (!*id || strlen(id) >= sizeof(r->id) ||
	    !pt_text_is_clean(id, strlen(id)) || sz <= 0)
		return pt_error_set(err, PT_EXIT_HOST, -EPROTO, "%s: a memory "
				    "backend of QEMU has no usable id or size "
				    "(give it an id of 1..%zu characters)",
				    q->name, sizeof(r->id) - 1);
	if (!json_is_true(json_object_get(row, "share")))
		return not_shared(q, id, err);
	strcpy(r->id, id);
	r->sz = sz;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct pt_qemu_range *)a)->id,
		      ((const struct pt_qemu_range *)b)->id);
}

/* ranges_read fills cnt ranges from the rows of query-memdev. */
static int ranges_read(struct pt_qemu *q, const json_t *rows,
		       struct pt_qemu_range *ranges, __u32 cnt,
		       struct pt_error *err)
{
	struct pt_map *maps = NULL;
	__u32 map_cnt;
	int code = 0;

	for (__u32 i = 0; !code && i < cnt; i++)
		code = range_read(q, json_array_get(rows, i), &ranges[i], err);
	if (code)
		return code;
	code = pt_maps_read(q->pid, &maps, &map_cnt);
	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot look "
				    "at process %d, QEMU: %s%s", q->name, q->pid,
				    strerror(-code), pt_process_remedy(code));
	for (__u32 i = 0; !code && i < cnt; i++)
		code = locate(q, &ranges[i], maps, map_cnt, err);
	free(maps);
	if (!code)
		qsort(ranges, cnt, sizeof(*ranges), by_id);
	return code;
}

int pt_qemu_ram(struct pt_qemu *q, struct pt_qemu_range **out, __u32 *cnt,
		struct pt_error *err)
{
	struct pt_qemu_range *ranges = NULL;
	json_t *rows = NULL;
	int code = pt_qemu_do(q, "query-memdev", NULL, &rows, err);
	size_t row_cnt = json_array_size(rows);

	if (!code && !row_cnt)
		code = pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: the "
				    "guest's memory has no memory backend %s",
				    q->name, shared_remedy);
	if (!code && row_cnt > PT_QEMU_RANGES_MAX)
		code = pt_error_set(err, PT_EXIT_HOST, -E2BIG, "%s: %zu memory "
				    "backends, more than %d", q->name, row_cnt,
				    PT_QEMU_RANGES_MAX);
	if (!code) {
		ranges = calloc(row_cnt, sizeof(*ranges));
		code = ranges ? ranges_read(q, rows, ranges, row_cnt, err) :
			pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no "
				     "memory", q->name);
	}
	json_decref(rows);
	if (code) {
		free(ranges);
		return code;
	}
	*out = ranges;
	*cnt = row_cnt;
	return 0;
}
