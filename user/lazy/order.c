// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/order.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/layout.h"

#define TAIL	".order"
#define SZ_MAX	(32u * PT_LAZY_RUNS_MAX)	/* bytes of a file */

void pt_lazy_order_free(struct pt_lazy_order *o)
{
	free(o->runs);
	*o = (struct pt_lazy_order){ 0 };
}

void pt_lazy_order_add(struct pt_lazy_order *o, __u64 page, __u64 cnt)
{
	struct pt_lazy_run *last = o->cnt ? &o->runs[o->cnt - 1] : NULL;

	if (last && last->page + last->cnt == page) {
		last->cnt += cnt;
		return;
	}
	if (o->cnt == o->capacity) {
		__u32 capacity = o->capacity ? 2 * o->capacity : 256;
		struct pt_lazy_run *more;

		if (capacity > PT_LAZY_RUNS_MAX)
			return;
		more = realloc(o->runs, capacity * sizeof(*more));
		if (!more)
			return;
		o->runs = more;
		o->capacity = capacity;
	}
	o->runs[o->cnt++] = (struct pt_lazy_run){ .page = page, .cnt = cnt };
}

int pt_lazy_order_merge(struct pt_lazy_order *o, const struct pt_lazy_order *more,
			__u64 image_sz)
{
	__u64 page_cnt = (image_sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ;
	__u64 *known = calloc(page_cnt / 64 + 1, sizeof(*known));

	if (!known)
		return -ENOMEM;
	for (__u32 i = 0; i < o->cnt; i++)
		for (__u64 p = o->runs[i].page; p < o->runs[i].page + o->runs[i].cnt; p++)
			known[p / 64] |= 1ULL << p % 64;
	for (__u32 i = 0; i < more->cnt; i++)
		for (__u64 p = more->runs[i].page;
		     p < more->runs[i].page + more->runs[i].cnt; p++)
			if (!(known[p / 64] >> p % 64 & 1)) {
				known[p / 64] |= 1ULL << p % 64;
				pt_lazy_order_add(o, p, 1);
			}
	free(known);
	return 0;
}

/* ---- reading ---- */

/* run_take: left, pages that the order may have still; none twice, so no more than the
 * image. */
static bool run_take(const json_t *pair, __u64 page_cnt, __u64 *left,
		     struct pt_lazy_order *o)
{
	const json_t *page = json_array_get(pair, 0), *cnt = json_array_get(pair, 1);
	json_int_t at = json_integer_value(page), n = json_integer_value(cnt);

	if (json_array_size(pair) != 2 || !json_is_integer(page) || at < 0 || n <= 0 ||
	    (__u64)at >= page_cnt || (__u64)n > page_cnt - at || (__u64)n > *left)
		return false;
	*left -= n;
	pt_lazy_order_add(o, at, n);
	return true;
}

static bool list_take(const json_t *list, __u64 image_sz, struct pt_lazy_order *o)
{
	const json_t *runs = json_object_get(list, "order");
	__u64 page_cnt = (image_sz + PT_PAGE_SZ - 1) / PT_PAGE_SZ, left = page_cnt;
	size_t cnt = json_array_size(runs);

	if (json_integer_value(json_object_get(list, "version")) != 1 ||
	    json_integer_value(json_object_get(list, "bytes")) !=
	    (json_int_t)image_sz || !json_is_array(runs) || cnt > PT_LAZY_RUNS_MAX)
		return false;
	for (size_t i = 0; i < cnt; i++)
		if (!run_take(json_array_get(runs, i), page_cnt, &left, o))
			return false;
	return true;
}

static bool file_take(int fd, __u64 image_sz, struct pt_lazy_order *o)
{
	struct stat st;
	json_t *list;
	bool is_good;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > SZ_MAX)
		return false;
	list = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	is_good = list_take(list, image_sz, o);
	json_decref(list);
	return is_good;
}

int pt_lazy_order_read(struct pt_lazy_order *o, const char *image, __u64 image_sz,
		       struct pt_error *err)
{
	char *name;
	int fd, code = 0;

	if (asprintf(&name, "%s" TAIL, image) < 0)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno != ENOENT)
		code = pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s", name,
				    strerror(errno));
	if (fd >= 0 && !file_take(fd, image_sz, o)) {
		pt_lazy_order_free(o);
		code = pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: not an order of "
				    "this image's pages (remove it)", name);
	}
	if (fd >= 0)
		close(fd);
	free(name);
	return code;
}

/* ---- writing ---- */

static bool print(FILE *to, const struct pt_lazy_order *o, __u64 image_sz)
{
	fprintf(to, "{\"version\": 1, \"bytes\": %llu, \"order\": [",
		(unsigned long long)image_sz);
	for (__u32 i = 0; i < o->cnt; i++)
		fprintf(to, "%s[%llu, %llu]", i ? ", " : "",
			(unsigned long long)o->runs[i].page,
			(unsigned long long)o->runs[i].cnt);
	fputs("]}\n", to);
	return !fflush(to) && !ferror(to);
}

/* mode_of: all that may read the image may read its order. */
static mode_t mode_of(const char *image)
{
	struct stat st;

	return stat(image, &st) ? 0600 : (st.st_mode & 0444) | 0600;
}

/* write_as fills the file of a name that no other process uses, and gives it its
 * own. */
static int write_as(const struct pt_lazy_order *o, char *draft, const char *name,
		    const char *image, __u64 image_sz)
{
	int fd = mkostemp(draft, O_CLOEXEC), code = fd < 0 ? -errno : 0;
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");

	if (fd < 0)
		return code;
	if (!to)
		close(fd);
	if (!to || !print(to, o, image_sz) || fchmod(fd, mode_of(image)) ||
	    rename(draft, name))
		code = errno ? -errno : -EIO;
	if (to)
		fclose(to);
	if (code)
		unlink(draft);
	return code;
}

int pt_lazy_order_write(const struct pt_lazy_order *o, const char *image,
			__u64 image_sz, struct pt_error *err)
{
	char *name = NULL, *draft = NULL;
	int code = -ENOMEM;

	if (asprintf(&name, "%s" TAIL, image) >= 0 &&
	    asprintf(&draft, "%s" TAIL ".XXXXXX", image) >= 0)
		code = write_as(o, draft, name, image, image_sz);
	if (code)
		pt_error_set(err, PT_EXIT_HOST, code, "%s" TAIL ": cannot be "
			     "written: %s", image, strerror(-code));
	free(name);
	free(draft);
	return code;
}
