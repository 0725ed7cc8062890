// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "source/unreadable_list.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <pagetrim/wire.h>

#include "base/files.h"
#include "base/name.h"
#include "memory/page_ranges.h"

#define SZ_MAX	(16u << 20)	/* bytes of a list */

static int is_no_list(const char *name, const char *cause,
		      struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: %s (remove it, if "
			    "it does not belong to the image)", name, cause);
}

/* number_take returns an unsigned number of an object; false: it has none. */
static bool number_take(const json_t *o, const char *key, __u64 *out)
{
	const json_t *number = json_object_get(o, key);

	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return false;
	*out = json_integer_value(number);
	return true;
}

/* range_take sets the bits of one range of whole pages. */
static bool range_take(const json_t *range, __u64 page_cnt,
		       _Atomic __u64 *bits)
{
	__u64 off, sz, first, cnt;

	if (!number_take(range, "offset", &off) ||
	    !number_take(range, "bytes", &sz) || off % PT_PAGE_SZ ||
	    sz % PT_PAGE_SZ)
		return false;
	first = off / PT_PAGE_SZ;
	cnt = sz / PT_PAGE_SZ;
	if (!cnt || first >= page_cnt || cnt > page_cnt - first)
		return false;
	for (; cnt; first++, cnt--)
		atomic_fetch_or_explicit(&bits[first / 64], 1ULL << (first % 64),
					 memory_order_relaxed);
	return true;
}

/* is_zero: the page of the image has no content.  One that cannot be read has none,
 * either. */
static bool is_zero(int image_fd, __u64 page)
{
	__u8 bytes[PT_PAGE_SZ];
	ssize_t got = pread(image_fd, bytes, sizeof(bytes), page * PT_PAGE_SZ);

	for (ssize_t i = 0; i < got; i++)
		if (bytes[i])
			return false;
	return true;
}

/* are_zero: the list may be left from an earlier image of this name and size. */
static bool are_zero(int image_fd, __u64 page_cnt, const _Atomic __u64 *bits)
{
	for (__u64 i = 0; i < page_cnt; i += 64)
		for (__u64 word = bits[i / 64]; word; word &= word - 1)
			if (!is_zero(image_fd, i + __builtin_ctzll(word)))
				return false;
	return true;
}

static int list_take(const json_t *list, const char *name, int image_fd, __u64 sz,
		     _Atomic __u64 *bits, struct pt_error *err)
{
	__u64 page_cnt = (sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	const json_t *ranges = json_object_get(list, "unreadable");
	__u64 version, image_sz;

	if (!number_take(list, "version", &version) || version != 1 ||
	    !number_take(list, "bytes", &image_sz) || !json_is_array(ranges))
		return is_no_list(name, "no list of unreadable pages", err);
	if (image_sz != sz)
		return is_no_list(name, "of an image of another size", err);
	if (json_array_size(ranges) > PT_PAGE_RANGES_MAX)
		return is_no_list(name, "too many ranges", err);
	for (size_t i = 0; i < json_array_size(ranges); i++)
		if (!range_take(json_array_get(ranges, i), page_cnt, bits))
			return is_no_list(name, "a range is not whole pages of "
					  "the image", err);
	if (!are_zero(image_fd, page_cnt, bits))
		return is_no_list(name, "of an earlier image: a page that it names "
				  "has content", err);
	return 0;
}

/* list_read: the file is regular, and of SZ_MAX bytes at most. */
static int list_read(int fd, const char *name, int image_fd, __u64 sz,
		     _Atomic __u64 *bits, struct pt_error *err)
{
	struct stat st;
	json_t *list;
	int code;

	if (fstat(fd, &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s", name,
				    strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > SZ_MAX)
		return is_no_list(name, "no regular file, or too large", err);
	list = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	code = list_take(list, name, image_fd, sz, bits, err);
	json_decref(list);
	return code;
}

int pt_unreadable_list(const char *path, int image_fd, __u64 sz,
		       _Atomic __u64 *bits, struct pt_error *err)
{
	char *name;
	int fd, code;

	if (asprintf(&name, "%s.with/" PT_NAME_UNREADABLE, path) < 0)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	code = -errno;
	if (fd >= 0) {
		code = list_read(fd, name, image_fd, sz, bits, err);
		close(fd);
	} else if (code == -ENOENT || code == -ENOTDIR ||
		   code == -ENAMETOOLONG) {
		code = 0;
	} else {
		pt_error_set(err, PT_EXIT_HOST, code, "%s: %s%s", name,
			     strerror(-code), pt_files_remedy(code));
	}
	free(name);
	return code;
}
