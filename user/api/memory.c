/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sources and sinks. */
#include "api/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/opts.h"
#include "sink/sink_memfd.h"
#include "sink/sink_process.h"
#include "sink/sink_regions.h"

_Static_assert(sizeof(struct api_region) == sizeof(struct pt_region) &&
	       offsetof(struct api_region, addr) ==
		       offsetof(struct pt_region, addr) &&
	       offsetof(struct api_region, gfn) ==
		       offsetof(struct pt_region, gfn) &&
	       offsetof(struct api_region, sz) ==
		       offsetof(struct pt_region, sz) &&
	       offsetof(struct api_region, name) ==
		       offsetof(struct pt_region, name), "regions");

static int no_out(const void *out, struct api_error *err)
{
	return out ? 0 : api_mistake(err, "out is NULL");
}

/* --- sources --- */

static void free_source(struct api_source_object *o)
{
	pt_source_close(o->inner);
	free(o->table);
	free(o);
}

/* give_source makes a handle of inner and table, or frees them. */
static int give_source(struct api_source **out, struct pt_source *inner,
		       bool is_process, struct pt_region *table, uint32_t cnt,
		       struct api_error *err)
{
	struct api_source_object *o = calloc(1, sizeof(*o));

	if (!o) {
		pt_source_close(inner);
		free(table);
		return api_no_memory(err);
	}
	o->inner = inner;
	o->is_process = is_process;
	o->table = table;
	o->region_cnt = cnt;
	*out = api_handle_new(API_SOURCE, o, err);
	if (*out)
		return 0;
	free_source(o);
	return -EINVAL;
}

static pthread_mutex_t readers = PTHREAD_MUTEX_INITIALIZER;

int api_source_read(struct api_source_object *o, enum pt_on_unreadable how,
		    struct api_error *err)
{
	bool agrees;

	pthread_mutex_lock(&readers);
	agrees = !o->reader_cnt || o->on_unreadable == how;
	if (agrees && !o->reader_cnt) {
		o->on_unreadable = how;
		pt_source_on_unreadable(o->inner, how);
	}
	o->reader_cnt += agrees;
	pthread_mutex_unlock(&readers);
	return agrees ? 0 : api_mistake(err, "on_unreadable: another sender of the "
					"source has another");
}

void api_source_unread(struct api_source_object *o)
{
	pthread_mutex_lock(&readers);
	o->reader_cnt--;
	pthread_mutex_unlock(&readers);
}

int pt_source_files(struct api_source **out, const char *const *paths,
		    uint32_t cnt, struct api_error *err)
{
	struct pt_source *inner;
	struct pt_error why;
	int ret = no_out(out, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; paths && i < cnt && i < PT_SOURCE_FILES_MAX; i++)
		if (!paths[i])
			return api_mistake(err, "path %u of %u is NULL", i, cnt);
	if (!paths)
		return api_mistake(err, "paths is NULL");
	api_enter();
	ret = pt_source_open_files(&inner, paths, cnt, &why);
	api_leave();
	return ret ? api_fail(err, ret, &why)
		   : give_source(out, inner, false, NULL, 0, err);
}

int pt_source_process(struct api_source **out, pid_t pid,
		      const struct pt_process_opts *opts, struct api_error *err)
{
	struct pt_process_opts o;
	struct pt_source *inner;
	struct pt_error why;
	int ret = no_out(out, err);

	if (!ret)
		ret = api_opts_copy(&o, sizeof(o), opts, "pt_process_opts", err);
	if (ret)
		return ret;
	if (pid <= 0)
		return api_mistake(err, "%d is no process", pid);
	api_enter();
	ret = pt_source_open_pid(&inner, pid, o.keep_running, &why);
	api_leave();
	return ret ? api_fail(err, ret, &why)
		   : give_source(out, inner, true, NULL, 0, err);
}

int pt_source_regions(struct api_source **out, const struct api_region *regions,
		      uint32_t cnt, struct api_error *err)
{
	const struct pt_region *table = (const struct pt_region *)regions;
	struct pt_region *sorted = NULL;
	struct pt_source *inner;
	struct pt_error why;
	int ret = no_out(out, err);

	if (ret)
		return ret;
	if (!regions)
		return api_mistake(err, "regions is NULL");
	ret = pt_source_open_regions(&inner, table, cnt, &why);
	if (ret)
		return api_fail(err, ret, &why);
	ret = pt_regions_sort(&sorted, table, cnt, &why);
	if (ret) {
		pt_source_close(inner);
		return api_fail(err, ret, &why);
	}
	return give_source(out, inner, false, sorted, cnt, err);
}

int pt_source_destroy(struct api_source *source, struct api_error *err)
{
	struct api_source_object *o;
	bool is_process;

	if (!source)
		return 0;
	o = api_take(API_SOURCE, source, err);
	if (!o)
		return -EINVAL;
	is_process = o->is_process;
	api_give(source);
	o = api_end(API_SOURCE, source, !is_process, err);
	if (!o)
		return -EINVAL;
	free_source(o);
	return 0;
}

/* --- sinks --- */

static void free_sink(struct api_sink_object *o)
{
	pt_sink_close(o->inner);
	if (o->fd >= 0)
		close(o->fd);
	free(o->path);
	free(o);
}

static struct api_sink_object *new_sink(void)
{
	struct api_sink_object *o = calloc(1, sizeof(*o));

	if (o)
		o->fd = -1;
	return o;
}

static int give_sink(struct api_sink **out, struct api_sink_object *o,
		     struct api_error *err)
{
	*out = api_handle_new(API_SINK, o, err);
	if (*out)
		return 0;
	free_sink(o);
	return -EINVAL;
}

int pt_sink_file(struct api_sink **out, const char *path,
		 const struct pt_sink_opts *opts, struct api_error *err)
{
	struct api_sink_object *o;
	struct pt_sink_opts given;
	int ret = no_out(out, err);

	if (!ret)
		ret = api_opts_copy(&given, sizeof(given), opts, "pt_sink_opts",
				    err);
	if (ret)
		return ret;
	if (!path || !*path)
		return api_mistake(err, "path is NULL or empty");
	if (given.prealloc && (given.serve || given.resume))
		return api_mistake(err, "prealloc is for one new image, without "
				   "serve or resume");
	o = new_sink();
	if (o)
		o->path = strdup(path);
	if (!o || !o->path) {
		free(o);
		return api_no_memory(err);
	}
	o->serve = given.serve;
	o->resume = given.resume;
	o->prealloc_sz = given.prealloc;
	return give_sink(out, o, err);
}

/* give_opened makes a handle of o, whose sink was opened with the result ret. */
static int give_opened(struct api_sink **out, struct api_sink_object *o, int ret,
		       const struct pt_error *why, struct api_error *err)
{
	if (!ret)
		return give_sink(out, o, err);
	free_sink(o);
	return api_fail(err, ret, why);
}

int pt_sink_regions(struct api_sink **out, const struct api_region *regions,
		    uint32_t cnt, bool is_zero, struct api_error *err)
{
	struct api_sink_object *o;
	struct pt_error why;
	int ret = no_out(out, err);

	if (ret)
		return ret;
	if (!regions)
		return api_mistake(err, "regions is NULL");
	o = new_sink();
	if (!o)
		return api_no_memory(err);
	ret = pt_sink_open_regions(&o->inner, (const struct pt_region *)regions,
				   cnt, is_zero, &why);
	return give_opened(out, o, ret, &why, err);
}

int pt_sink_process(struct api_sink **out, pid_t pid,
		    const struct api_region *regions, uint32_t cnt, bool is_zero,
		    struct api_error *err)
{
	struct api_sink_object *o;
	struct pt_error why;
	int ret = no_out(out, err);

	if (ret)
		return ret;
	if (!regions)
		return api_mistake(err, "regions is NULL");
	if (pid <= 0)
		return api_mistake(err, "%d is no process", pid);
	o = new_sink();
	if (!o)
		return api_no_memory(err);
	ret = pt_sink_open_process(&o->inner, pid,
				   (const struct pt_region *)regions, cnt,
				   is_zero, &why);
	return give_opened(out, o, ret, &why, err);
}

int pt_sink_memfd(struct api_sink **out, int fd, struct api_error *err)
{
	struct api_sink_object *o;
	struct pt_error why;
	int ret = no_out(out, err);

	if (ret)
		return ret;
	o = new_sink();
	if (!o)
		return api_no_memory(err);
	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = o->fd < 0 ? pt_error_set(&why, PT_EXIT_HOST, -errno, "descriptor "
				       "%d: %s", fd, strerror(errno))
			: pt_sink_open_memfd(&o->inner, o->fd, &why);
	return give_opened(out, o, ret, &why, err);
}

int pt_sink_destroy(struct api_sink *sink, struct api_error *err)
{
	struct api_sink_object *o;

	if (!sink)
		return 0;
	o = api_end(API_SINK, sink, true, err);
	if (!o)
		return -EINVAL;
	free_sink(o);
	return 0;
}
