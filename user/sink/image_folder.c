// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sink/image_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pagetrim/check.h>
#include "base/name.h"

int pt_folder_remove(int parent, const char *name, int own)
{
	const struct dirent *entry;
	struct stat st;
	int fd = openat(parent, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) ||
	    (!pt_is_left(&st) && !pt_name_is(parent, name, own))) {
		close(fd);
		return -EEXIST;
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	return unlinkat(parent, name, AT_REMOVEDIR) ? -errno : 0;
}

void pt_folder_close(struct pt_folder *folder)
{
	if (folder->file >= 0)
		close(folder->file);
	if (folder->fd >= 0)
		close(folder->fd);
	folder->file = folder->fd = -1;
}

/* folder_make makes NAME.with.partial/, unless it exists. */
static int folder_make(struct pt_image *s, struct pt_error *err)
{
	struct stat st;

	if (s->folder.fd >= 0)
		return 0;
	if (mkdirat(s->parent, s->with_partial, PT_MARK | 0700))
		return pt_image_fail(s, "cannot make its .with.partial", err);
	s->folder.fd = openat(s->parent, s->with_partial,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->folder.fd < 0)
		return pt_image_fail(s, "cannot open its .with.partial", err);
	/* Another process that may write in the parent could replace it before
	 * it was opened. */
	if (fstat(s->folder.fd, &st) || st.st_uid != geteuid() ||
	    st.st_mode & 077)
		return pt_error_set(err, PT_EXIT_HOST, -ESTALE,
				    "%s.with.partial: someone replaced it",
				    s->path);
	/* mkdir adds an inherited S_ISGID, which this removes.  It fails on a file
	 * system that cannot store PT_MARK, where the folder does without. */
	fchmod(s->folder.fd, PT_MARK | 0700);
	return 0;
}

/* file_end closes the open file, which must be complete. */
static int file_end(struct pt_image *s, struct pt_error *err)
{
	struct pt_folder *folder = &s->folder;

	if (folder->file < 0)
		return 0;
	if (folder->file_left)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: its file %s lacks %llu bytes", s->path,
				    folder->file_name, folder->file_left);
	if (fsync(folder->file) && errno != EINVAL)
		return pt_image_fail(s, "cannot write a file of it to the disk",
				    err);
	close(folder->file);
	folder->file = -1;
	return 0;
}

int pt_image_op_file_begin(struct pt_sink *sink, const char *name, __u64 sz,
		       struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	struct pt_folder *folder = &s->folder;
	const char *fault = pt_name_file_fault(name);
	int code;

	pt_check(s->state == SINK_OPEN);
	if (fault)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: a file that came with it cannot be "
				    "stored by its name: %s", s->path, fault);
	code = file_end(s, err);
	if (code)
		return code;
	code = folder_make(s, err);
	if (code)
		return code;
	folder->file = openat(folder->fd, name,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
			      O_CLOEXEC, 0600);
	if (folder->file < 0 && errno == EEXIST)
		return pt_error_set(err, PT_EXIT_FAILED, -EEXIST,
				    "%s: two files of the name %s came with it",
				    s->path, name);
	if (folder->file < 0)
		return pt_image_fail(s, "cannot create a file of it", err);
	memcpy(folder->file_name, name, strlen(name) + 1);
	folder->file_left = sz;
	folder->file_cnt++;
	return 0;
}

int pt_image_op_file_write(struct pt_sink *sink, const void *bytes, __u64 sz,
		       struct pt_error *err)
{
	struct pt_image *s = pt_image_of(sink);
	struct pt_folder *folder = &s->folder;
	const __u8 *from = bytes;

	pt_check(s->state == SINK_OPEN);
	if (folder->file < 0 || sz > folder->file_left)
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "%s: more bytes came for a file than were "
				    "announced", s->path);
	while (sz) {
		ssize_t done = write(folder->file, from, sz);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return pt_image_fail(s, "cannot write a file of it",
					    err);
		from += done;
		sz -= done;
		folder->file_left -= done;
	}
	return 0;
}

/* text_make returns a JSON string of bytes from the peer, which need not be
 * UTF-8. */
static json_t *text_make(const char *bytes)
{
	char ascii[PT_SEGMENT_NAME_SZ];
	json_t *text = json_string(bytes);
	size_t i;

	if (text)
		return text;
	for (i = 0; bytes[i]; i++)
		ascii[i] = bytes[i] < ' ' || bytes[i] > '~' ? '?' : bytes[i];
	ascii[i] = '\0';
	return json_string(ascii);
}

static json_t *table_make(const struct pt_image *s)
{
	json_t *rows = json_array();
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(s->sink.layout, &cnt);
	for (__u32 i = 0; i < cnt; i++) {
		__u64 idx;

		pt_check(pt_layout_find(s->sink.layout, segs[i].gfn, &idx));
		json_array_append_new(rows, json_pack(
			"{s:o, s:I, s:I, s:I}", "name", text_make(segs[i].name),
			"gfn", (json_int_t)segs[i].gfn,
			"bytes", (json_int_t)segs[i].sz, "offset",
			(json_int_t)pt_layout_image_off(s->sink.layout, idx)));
	}
	if (json_array_size(rows) != cnt) {
		json_decref(rows);
		return NULL;
	}
	return json_pack("{s:i, s:I, s:o}", "version", 1, "bytes",
			 (json_int_t)pt_layout_image_sz(s->sink.layout),
			 "segments", rows);
}

/* unreadable_make: the pages that the source could not read, in bytes of the
 * image. */
static json_t *unreadable_make(const struct pt_image *s)
{
	const struct pt_page_ranges *marks = &s->sink.marks;
	json_t *rows = json_array();

	for (__u32 i = 0; i < marks->cnt; i++)
		json_array_append_new(rows, json_pack(
			"{s:I, s:I}", "offset",
			(json_int_t)(marks->all[i].first * PT_PAGE_SZ), "bytes",
			(json_int_t)(marks->all[i].cnt * PT_PAGE_SZ)));
	if (json_array_size(rows) != marks->cnt) {
		json_decref(rows);
		return NULL;
	}
	return json_pack("{s:i, s:I, s:o}", "version", 1, "bytes",
			 (json_int_t)pt_layout_image_sz(s->sink.layout),
			 "unreadable", rows);
}

/* json_write writes a file of ours, one of the folder's, and drops its content. */
static int json_write(struct pt_image *s, const char *name, json_t *content,
		      struct pt_error *err)
{
	char *text = content ? json_dumps(content, JSON_INDENT(2)) : NULL;
	int code;

	json_decref(content);
	if (!text)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory for its %s", s->path, name);
	s->folder.file = openat(s->folder.fd, name,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
				O_CLOEXEC, 0600);
	if (s->folder.file < 0) {
		free(text);
		return pt_image_fail(s, "cannot create a table of it", err);
	}
	memcpy(s->folder.file_name, name, strlen(name) + 1);
	s->folder.file_left = strlen(text) + 1;
	text[strlen(text)] = '\n';	/* in place of its NUL */
	code = pt_image_op_file_write(&s->sink, text, s->folder.file_left, err);
	free(text);
	return code ? code : file_end(s, err);
}

static int tables_write(struct pt_image *s, struct pt_error *err)
{
	int code = json_write(s, PT_NAME_TABLE, table_make(s), err);

	if (!code && s->sink.marks.cnt)
		code = json_write(s, PT_NAME_UNREADABLE, unreadable_make(s),
				  err);
	return code;
}

/* pt_image_op_check_marks: its folder has a list of them. */
int pt_image_op_check_marks(const struct pt_sink *sink, struct pt_error *err)
{
	(void)sink;
	(void)err;
	return 0;
}

int pt_folder_sync(struct pt_image *s, struct pt_error *err)
{
	__u32 seg_cnt;
	int code;

	code = file_end(s, err);
	if (code || !s->sink.layout)	/* a plain file has no folder */
		return code;
	pt_layout_segments(s->sink.layout, &seg_cnt);
	if (seg_cnt < 2 && !s->folder.file_cnt && !s->sink.marks.cnt)
		return 0;
	code = folder_make(s, err);
	if (!code)
		code = tables_write(s, err);
	if (!code && fsync(s->folder.fd) && errno != EINVAL)
		code = pt_image_fail(s, "cannot write its .with to the disk",
				    err);
	return code;
}
