// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/ptrim_impl.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/files.h"
#include "base/name.h"
#include "memory/guard.h"

static int damaged(const char *path, const char *what, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_MISMATCH, -EINVAL,
			    "%s: %s is damaged: no page can be read (use "
			    "another copy of it)", path, what);
}

static int no_memory(const char *path, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory to open it",
			    path);
}

static __u64 be64_at(const __u8 *at)
{
	__be64 value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

bool pt_ptrim_is_name(const char *path)
{
	size_t sz = strlen(path), tail_sz = strlen(PT_PTRIM_TAIL);

	return sz > tail_sz && !strcmp(path + sz - tail_sz, PT_PTRIM_TAIL);
}

/* ---- opening ---- */

static int file_map(struct pt_ptrim *p, struct pt_error *err)
{
	struct stat st;

	p->fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (p->fd < 0 || fstat(p->fd, &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s%s", p->path,
				    strerror(errno), pt_files_remedy(-errno));
	if (!S_ISREG(st.st_mode))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: not a regular file", p->path);
	if (st.st_size < (off_t)sizeof(p->header))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not an image "
				    "at rest (pagetrim image pack makes one)",
				    p->path);
	p->map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE,
		      p->fd, 0);
	if (p->map == MAP_FAILED) {
		p->map = NULL;
		return pt_error_set(err, PT_EXIT_HOST, -errno,
				    "%s: cannot be mapped: %s", p->path,
				    strerror(errno));
	}
	p->map_sz = st.st_size;
	return 0;
}

/* header_check also checks that the tables in front have room in the file. */
static int header_check(struct pt_ptrim *p, struct pt_error *err)
{
	struct pt_ptrim_header *h = &p->header;
	__u32 segment_cnt = be32toh(h->segment_cnt);
	__u64 region_cnt = be64toh(h->region_cnt);

	if (be32toh(h->magic) != PT_PTRIM_MAGIC)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not an image "
				    "at rest (pagetrim image pack makes one)",
				    p->path);
	if (be16toh(h->version) != PT_PTRIM_VERSION)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: an image of "
				    "version %u, and this program reads %u (use "
				    "one that reads it)", p->path, be16toh(h->version),
				    PT_PTRIM_VERSION);
	if (be64toh(h->check) != XXH3_64bits_withSeed(
			h, offsetof(typeof(*h), check), 0))
		return damaged(p->path, "its header", err);
	if (!segment_cnt || segment_cnt > PT_SEGMENTS_MAX || !region_cnt ||
	    region_cnt > PT_LAYOUT_PAGES_MAX / PT_REGION_PAGES ||
	    be32toh(h->file_cnt) > PT_PTRIM_FILES_MAX ||
	    h->parent_name[PT_PTRIM_NAME_SZ - 1])
		return damaged(p->path, "its header", err);
	p->data_at = pt_ptrim_data_at(segment_cnt, region_cnt);
	if (p->map_sz < p->data_at)
		return damaged(p->path, "its front, which was cut short,", err);
	return 0;
}

/* has_regions: the segments have as many regions as the header says, for which the
 * file has room.  A layout takes memory for all of them. */
static bool has_regions(const struct pt_ptrim *p, const struct pt_segment *segs,
			__u32 cnt)
{
	__u64 region_cnt = 0;

	for (__u32 i = 0; i < cnt; i++)
		region_cnt += segs[i].sz / PT_REGION_SZ +
			      (segs[i].sz % PT_REGION_SZ != 0);
	return region_cnt == be64toh(p->header.region_cnt);
}

/* segments_take makes the layout of the cnt segments as they are in the file. */
static int segments_take(struct pt_ptrim *p, const struct pt_ptrim_segment *from,
			 __u32 cnt, struct pt_error *err)
{
	struct pt_segment *segs = calloc(cnt, sizeof(*segs));
	int code;

	if (!segs)
		return no_memory(p->path, err);
	for (__u32 i = 0; i < cnt; i++) {
		memcpy(segs[i].name, from[i].name, sizeof(segs[i].name));
		segs[i].gfn = be64toh(from[i].gfn);
		segs[i].sz = be64toh(from[i].sz);
	}
	code = has_regions(p, segs, cnt)
		? pt_layout_create(&p->layout, segs, cnt, NULL) : -EINVAL;
	free(segs);
	if (code == -ENOMEM)
		return no_memory(p->path, err);
	if (code)
		return damaged(p->path, "its table of segments", err);
	return 0;
}

static int segments_read(struct pt_ptrim *p, struct pt_error *err)
{
	__u32 cnt = be32toh(p->header.segment_cnt);
	size_t sz = cnt * sizeof(struct pt_ptrim_segment);
	struct pt_ptrim_segment *from = malloc(sz);
	int code;

	if (!from)
		return no_memory(p->path, err);
	if (pread(p->fd, from, sz, sizeof(p->header)) != (ssize_t)sz ||
	    be64toh(p->header.segments_check) !=
		    XXH3_64bits_withSeed(from, sz, sizeof(p->header)))
		code = damaged(p->path, "its table of segments", err);
	else
		code = segments_take(p, from, cnt, err);
	free(from);
	return code;
}

static int front_read(struct pt_ptrim *p, struct pt_error *err)
{
	int code;

	if (pread(p->fd, &p->header, sizeof(p->header), 0) != sizeof(p->header))
		return damaged(p->path, "its header", err);
	code = header_check(p, err);
	return code ? code : segments_read(p, err);
}

static bool has_parent(const struct pt_ptrim_header *h)
{
	static const __u8 none[PT_PTRIM_ID_SZ];

	return memcmp(h->parent_id, none, sizeof(none));
}

/* beside returns the path of a file of that name in the folder of path; the
 * caller's, to free. */
static char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	size_t sz = slash ? slash - path + 1 : 0;
	char *out = malloc(sz + strlen(name) + 1);

	if (out) {
		memcpy(out, path, sz);
		memcpy(out + sz, name, strlen(name) + 1);
	}
	return out;
}

/* The option names the parent of the image that is read, depth 1, not of one behind
 * it. */
static int parent_nameless(const struct pt_ptrim *p, unsigned int depth,
			   struct pt_error *err)
{
	char own[PT_ERROR_OWN_SZ];

	return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: its parent has no name "
			    "that can be used%s", p->path, depth > 1 ? "" :
			    pt_error_own(own, " ({parent} says where it is)"));
}

static int parent_missing(const struct pt_ptrim *p, const char *path,
			  unsigned int depth, struct pt_error *err)
{
	char own[PT_ERROR_OWN_SZ];

	return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: its parent, %s, is not "
			    "there %s", p->path, path, depth > 1
			    ? "(put it there)"
			    : pt_error_own(own, "({parent} says where it is)"));
}

static int parent_other(const struct pt_ptrim *p, const char *path,
			unsigned int depth, struct pt_error *err)
{
	char own[PT_ERROR_OWN_SZ];

	return pt_error_set(err, PT_EXIT_MISMATCH, -ESTALE, "%s: its parent is "
			    "another image than %s %s", p->path, path, depth > 1
			    ? "(put the right one there)"
			    : pt_error_own(own, "({parent} names the right one)"));
}

static int parent_open(struct pt_ptrim *p, const char *given, unsigned int depth,
		       struct pt_error *err)
{
	const char *name = p->header.parent_name;
	char *path;
	int code;

	if (!given && pt_name_file_fault(name))
		return parent_nameless(p, depth, err);
	if (depth == PT_PTRIM_CHAIN_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: more than %u "
				    "images are parents of each other", p->path,
				    PT_PTRIM_CHAIN_MAX);
	path = given ? strdup(given) : beside(p->path, name);
	if (!path)
		return no_memory(p->path, err);
	if (access(path, F_OK) && errno == ENOENT)
		code = parent_missing(p, path, depth, err);
	else
		code = pt_ptrim_open_at(&p->parent, path, NULL, depth, err);
	if (!code && memcmp(p->header.parent_id, p->parent->header.id,
			    PT_PTRIM_ID_SZ))
		code = parent_other(p, path, depth, err);
	free(path);
	return code;
}

int pt_ptrim_open_at(struct pt_ptrim **out, const char *path, const char *parent,
		     unsigned int depth, struct pt_error *err)
{
	struct pt_ptrim *p = calloc(1, sizeof(*p));
	int code = 0;

	if (!p)
		return no_memory(path, err);
	p->fd = -1;
	p->path = strdup(path);
	if (!p->path)
		code = no_memory(path, err);
	if (!code)
		code = file_map(p, err);
	if (!code)
		code = front_read(p, err);
	if (!code) {
		p->tables = calloc(pt_layout_region_cnt(p->layout),
				   sizeof(p->tables[0]));
		if (!p->tables)
			code = no_memory(path, err);
	}
	if (!code && has_parent(&p->header))
		code = parent_open(p, parent, depth + 1, err);
	else if (!code && parent)
		code = pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "%s: has no parent (leave out {parent})",
				    path);
	if (code) {
		pt_ptrim_close(p);
		return code;
	}
	*out = p;
	return 0;
}

int pt_ptrim_open(struct pt_ptrim **out, const char *path, const char *parent,
		  struct pt_error *err)
{
	return pt_ptrim_open_at(out, path, parent, 0, err);
}

void pt_ptrim_close(struct pt_ptrim *p)
{
	if (!p)
		return;
	pt_ptrim_close(p->parent);
	if (p->map)
		munmap((void *)p->map, p->map_sz);
	if (p->fd >= 0)
		close(p->fd);
	pt_layout_free(p->layout);
	free((void *)p->tables);
	free(p->path);
	free(p);
}

/* ---- what it is ---- */

const struct pt_layout *pt_ptrim_layout(const struct pt_ptrim *p)
{
	return p->layout;
}

const struct pt_ptrim_header *pt_ptrim_header(const struct pt_ptrim *p)
{
	return &p->header;
}

const struct pt_ptrim *pt_ptrim_parent(const struct pt_ptrim *p)
{
	return p->parent;
}

const char *pt_ptrim_path(const struct pt_ptrim *p)
{
	return p->path;
}

__u64 pt_ptrim_sz(const struct pt_ptrim *p)
{
	return p->map_sz;
}

__u32 pt_ptrim_file_cnt(const struct pt_ptrim *p)
{
	return be32toh(p->header.file_cnt);
}

/* name_look: the name of the entry can be used, and no entry before has it. */
static bool name_look(const struct pt_ptrim_file *f, __u32 idx, char *name)
{
	memcpy(name, f[idx].name, sizeof(f[idx].name));
	if (name[sizeof(f[idx].name) - 1] || pt_name_file_fault(name))
		return false;
	for (__u32 i = 0; i < idx; i++)
		if (!memcmp(f[i].name, name, strlen(name) + 1))
			return false;
	return true;
}

/* file_look checks the entries, and then the bytes of the file. */
static bool file_look(const struct pt_ptrim *p, __u32 idx,
		      struct pt_ptrim_bytes *out)
{
	__u64 cnt = pt_ptrim_file_cnt(p), at = be64toh(p->header.files_at);
	const struct pt_ptrim_file *f;
	__u64 off;

	if (!pt_ptrim_has(p, at, cnt * sizeof(*f)))
		return false;
	f = (const void *)(p->map + at);
	if (be64toh(p->header.files_check) !=
		    XXH3_64bits_withSeed(f, cnt * sizeof(*f), at))
		return false;
	if (!name_look(f, idx, out->name)) {
		out->name[0] = '\0';
		return false;
	}
	off = be64_at((const __u8 *)&f[idx].at);
	out->at = off;
	out->sz = be64_at((const __u8 *)&f[idx].sz);
	out->bytes = NULL;
	if (pt_ptrim_has(p, off, out->sz) && be64_at((const __u8 *)&f[idx].check) ==
	    XXH3_64bits_withSeed(p->map + off, out->sz, off))
		out->bytes = p->map + off;
	return true;
}

bool pt_ptrim_file(const struct pt_ptrim *p, __u32 idx, struct pt_ptrim_bytes *out)
{
	struct pt_guard guard;
	bool found;

	if (pt_guard_enter(&guard))
		return false;
	found = file_look(p, idx, out);
	pt_guard_leave(&guard);
	return found;
}
