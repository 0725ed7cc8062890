/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* refuse sets err: "OPTION PATH: why". */
static int refuse(struct pt_error *err, int exit, int code, const char *option,
		  const char *path, const char *why)
{
	char own[PT_ERROR_OWN_SZ];

	return pt_error_set(err, exit, code, "%s %s: %s",
			    pt_error_own(own, option), path, why);
}

/* fill reads text from fd; returns its size, at most PT_CONFIG_SZ_MAX + 1, or
 * -errno. */
static ssize_t fill(char *text, int fd)
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

/* load returns 0, or -errno and *why, if strerror(3) does not say it. */
static int load(char *text, int fd, const char **why)
{
	struct stat st;
	ssize_t sz;

	*why = "not a regular file";
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -EINVAL;
	sz = fill(text, fd);
	*why = NULL;
	if (sz < 0)
		return sz;
	if (sz > PT_CONFIG_SZ_MAX)
		*why = "longer than 64 KiB";
	else if (strlen(text) != (size_t)sz)
		*why = "not a text: it has a byte 0";
	return *why ? -EINVAL : 0;
}

int pt_config_open(struct pt_config *c, const char *option, const char *path,
		   struct pt_error *err)
{
	char system[128];
	const char *why;
	int fd, ret;

	*c = (struct pt_config){ .text = malloc(PT_CONFIG_SZ_MAX + 2) };
	if (!c->text)
		return refuse(err, PT_EXIT_HOST, -ENOMEM, option, path,
			      "no memory to read it");
	c->next = c->text;
	/* O_NONBLOCK: a FIFO without a writer must not be waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	why = NULL;
	ret = fd < 0 ? -errno : load(c->text, fd, &why);
	if (fd >= 0)
		close(fd);
	if (!ret)
		return 0;
	pt_config_close(c);
	if (why)
		return refuse(err, PT_EXIT_USAGE, ret, option, path, why);
	snprintf(system, sizeof(system), "cannot read it: %s", strerror(-ret));
	return refuse(err, PT_EXIT_HOST, ret, option, path, system);
}

void pt_config_close(struct pt_config *c)
{
	free(c->text);
	*c = (struct pt_config){ 0 };
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
		c->is_section = c->name[0] == '[' &&
				c->name[strlen(c->name) - 1] == ']';
		if (c->is_section) {
			*strrchr(c->name, ']') = 0;
			c->name++;
		}
		equals = c->is_section ? NULL : strchr(c->name, '=');
		c->value = equals ? trim(equals + 1) : NULL;
		if (equals)
			*equals = 0;
		c->name = trim(c->name);
		return true;
	}
	return false;
}
