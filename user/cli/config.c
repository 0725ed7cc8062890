/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[PT_CONFIG_SZ_MAX + 2];	/* the last byte ends it */

static int refuse(struct pt_error *err, const char *path, const char *why)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "--config %s: %s", path,
			    why);
}

/* fill reads text from fd; returns its size, at most PT_CONFIG_SZ_MAX + 1, or
 * -errno. */
static ssize_t fill(int fd)
{
	size_t sz = 0;
	ssize_t ret;

	while (sz < PT_CONFIG_SZ_MAX + 1) {
		ret = read(fd, text + sz, PT_CONFIG_SZ_MAX + 1 - sz);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -errno;
		if (!ret)
			break;
		sz += ret;
	}
	text[sz] = 0;
	return sz;
}

int pt_config_open(struct pt_config *c, const char *path, struct pt_error *err)
{
	/* O_NONBLOCK: a FIFO without a writer must not be waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t sz;

	*c = (struct pt_config){ .next = text };
	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "--config %s: "
				    "cannot read it: %m", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return refuse(err, path, "not a regular file");
	}
	sz = fill(fd);
	close(fd);
	if (sz < 0)
		return pt_error_set(err, PT_EXIT_HOST, sz, "--config %s: cannot "
				    "read it: %s", path, strerror(-sz));
	if (sz > PT_CONFIG_SZ_MAX)
		return refuse(err, path, "longer than 64 KiB");
	if (strlen(text) != (size_t)sz)
		return refuse(err, path, "not a text: it has a byte 0");
	return 0;
}

/* trim cuts the blanks around a text, and returns its first other byte. */
static char *trim(char *line)
{
	static const char blanks[] = " \t\r\v\f";
	char *end;

	line += strspn(line, blanks);
	for (end = line + strlen(line); end > line && strchr(blanks, end[-1]);)
		*--end = 0;
	return line;
}

bool pt_config_next(struct pt_config *c)
{
	char *equals;

	while (*c->next) {
		c->name = c->next;
		c->next += strcspn(c->next, "\n");
		if (*c->next)
			*c->next++ = 0;
		c->line++;
		c->name = trim(c->name);
		if (!*c->name || *c->name == '#')
			continue;
		equals = strchr(c->name, '=');
		c->value = equals ? trim(equals + 1) : NULL;
		if (equals)
			*equals = 0;
		c->name = trim(c->name);
		return true;
	}
	return false;
}
