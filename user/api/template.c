// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Templates. */
#include <errno.h>
#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "api/opts.h"
#include "sink/large_map.h"
#include "template/template.h"

static int map(void **addr, uint64_t *sz, const struct pt_template *t,
	       struct pt_error *why)
{
	int fd = pt_template_open(t, why);
	void *map;
	int code;

	if (fd < 0)
		return fd;
	map = pt_large_map_private(fd, t->sz);
	code = -errno;
	close(fd);
	if (map == MAP_FAILED)
		return pt_error_set(why, PT_EXIT_HOST, code, "%s: cannot be mapped: "
				    "%s", t->name, strerror(-code));
	*addr = map;
	*sz = t->sz;
	return 0;
}

int pt_template_map(void **addr, uint64_t *sz, const char *name,
		    const struct pt_template_opts *opts, struct api_error *err)
{
	struct pt_template_opts o;
	struct pt_template t;
	struct pt_error why;
	int ret = api_opts_copy(&o, sizeof(o), opts, "pt_template_opts", err);

	if (ret)
		return ret;
	if (!addr || !sz || !name)
		return api_mistake(err, "%s is NULL", !addr ? "addr" : !sz ? "sz"
						      : "name");
	api_enter();
	ret = pt_template_find(&t, o.folder, name, &why);
	if (!ret)
		ret = map(addr, sz, &t, &why);
	api_leave();
	return api_fail(err, ret, &why);
}
