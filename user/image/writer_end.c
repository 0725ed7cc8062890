// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The files of an image, and what stands in front of its units. */
#include "image/writer_impl.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pagetrim/check.h>

#include "base/name.h"

#define PIECE_SZ	(64u << 10)	/* of a file, read at once */

/* ---- files ---- */

static int file_fail(const char *path, int code, const char *cause,
		     struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s", path, cause);
}

static int name_check(const struct pt_ptrim_writer *w, const char *path,
		      const char *name, struct pt_error *err)
{
	const char *fault = pt_name_file_fault(name);

	if (fault)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: %s", path,
				    fault);
	if (w->file_cnt == PT_PTRIM_FILES_MAX)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
				    "%s: an image takes %u files", path,
				    PT_PTRIM_FILES_MAX);
	for (__u32 i = 0; i < w->file_cnt; i++)
		if (!strcmp(w->files[i].name, name))
			return pt_error_set(err, PT_EXIT_USAGE, -EEXIST,
					    "%s: two files of the name %s", path,
					    name);
	return 0;
}

/* file_copy appends the file up to its end. */
static int file_copy(struct pt_ptrim_writer *w, int fd, const char *path,
		     struct pt_error *err)
{
	__u8 piece[PIECE_SZ];
	int code = 0;

	while (!code) {
		ssize_t got = read(fd, piece, sizeof(piece));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_fail(path, -errno, strerror(errno), err);
		if (!got)
			break;
		XXH3_64bits_update(w->check, piece, got);
		code = pt_ptrim_writer_append(w, piece, got, err);
	}
	return code;
}

static int file_add(struct pt_ptrim_writer *w, int fd, const char *path,
		    const char *name, struct pt_error *err)
{
	struct pt_ptrim_file *f = &w->files[w->file_cnt];
	__u64 at = w->at;
	struct stat st;
	int code;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return file_fail(path, -EINVAL, "not a regular file", err);
	XXH3_64bits_reset_withSeed(w->check, at);
	code = file_copy(w, fd, path, err);
	if (code)
		return code;
	*f = (struct pt_ptrim_file){
		.at = htobe64(at),
		.sz = htobe64(w->at - at),
		.check = htobe64(XXH3_64bits_digest(w->check)),
	};
	memcpy(f->name, name, strlen(name));	/* at most 255 bytes */
	w->file_cnt++;
	return 0;
}

int pt_ptrim_writer_file(struct pt_ptrim_writer *w, const char *path,
			 struct pt_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int fd, code = name_check(w, path, name, err);

	if (code)
		return code;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return file_fail(path, -errno, strerror(errno), err);
	code = file_add(w, fd, path, name, err);
	close(fd);
	return code;
}

/* ---- the front ---- */

static int files_write(struct pt_ptrim_writer *w, struct pt_error *err)
{
	__u64 sz = w->file_cnt * sizeof(w->files[0]);

	if (!w->file_cnt)
		return 0;
	w->header.file_cnt = htobe32(w->file_cnt);
	w->header.files_at = htobe64(w->at);
	w->header.files_check = htobe64(XXH3_64bits_withSeed(w->files, sz, w->at));
	return pt_ptrim_writer_append(w, w->files, sz, err);
}

/* segments_write writes the segments and their hashes. */
static int segments_write(struct pt_ptrim_writer *w, struct pt_error *err)
{
	__u64 at = sizeof(struct pt_ptrim_header);
	const struct pt_segment *segs;
	__u32 cnt;
	int code = 0;

	segs = pt_layout_segments(w->layout, &cnt);
	XXH3_64bits_reset_withSeed(w->check, at);
	for (__u32 i = 0; !code && i < cnt; i++) {
		struct pt_ptrim_segment s = {
			.gfn = htobe64(segs[i].gfn),
			.sz = htobe64(segs[i].sz),
		};

		memcpy(s.name, segs[i].name,
		       strnlen(segs[i].name, sizeof(s.name) - 1));
		XXH3_64bits_update(w->check, &s, sizeof(s));
		pt_check(EVP_DigestUpdate(w->hash, &s, sizeof(s)) == 1);
		code = pt_ptrim_writer_put(w, &s, sizeof(s), at, err);
		at += sizeof(s);
	}
	w->header.segments_check = htobe64(XXH3_64bits_digest(w->check));
	return code;
}

static int regions_write(struct pt_ptrim_writer *w, struct pt_error *err)
{
	__u64 sz = pt_layout_region_cnt(w->layout) * sizeof(w->regions[0]);
	__u32 segment_cnt;

	pt_layout_segments(w->layout, &segment_cnt);
	pt_check(EVP_DigestUpdate(w->hash, w->regions, sz) == 1);
	return pt_ptrim_writer_put(w, w->regions, sz,
				   pt_ptrim_regions_at(segment_cnt), err);
}

static int header_write(struct pt_ptrim_writer *w, struct pt_error *err)
{
	struct pt_ptrim_header *h = &w->header;

	h->file_sz = htobe64(w->at);
	pt_check(EVP_DigestUpdate(w->hash, h, offsetof(typeof(*h), id)) == 1);
	pt_check(EVP_DigestFinal_ex(w->hash, h->id, NULL) == 1);
	h->check = htobe64(XXH3_64bits_withSeed(
		h, offsetof(struct pt_ptrim_header, check), 0));
	return pt_ptrim_writer_put(w, h, sizeof(*h), 0, err);
}

int pt_ptrim_writer_end(struct pt_ptrim_writer *w, __u64 *sz,
			struct pt_error *err)
{
	int code = files_write(w, err);

	if (!code)
		code = pt_ptrim_writer_flush(w, err);
	if (!code)
		code = segments_write(w, err);
	if (!code)
		code = regions_write(w, err);
	if (!code)
		code = header_write(w, err);
	*sz = w->at;
	return code;
}

int pt_ptrim_writer_commit(struct pt_ptrim_writer *w, __u64 *sz,
			   struct pt_error *err)
{
	int code = pt_ptrim_writer_end(w, sz, err);

	if (!code)
		code = pt_sink_sync(w->sink, err);
	if (!code)
		code = pt_sink_commit(w->sink, err);
	return code;
}
