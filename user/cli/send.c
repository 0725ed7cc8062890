/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/stop.h"
#include "cli/commands.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/record.h"
#include "cli/send_options.h"
#include "cli/send_process.h"
#include "cli/send_run.h"
#include "image/along.h"
#include "image/ptrim_source.h"
#include "send/send_files.h"
#include "source/private_mapper.h"
#include "template/template.h"

struct send {
	struct pt_send_options o;
	struct pt_send_run run;
	struct pt_send_process process;		/* with --live */
	struct pt_source_left left;		/* with --pid */
	struct pt_send_part *parts;		/* of an image at rest, ... */
	char (*names)[PT_PTRIM_NAME_SZ];	/* ... and their names */
	struct pt_template template;		/* with --template, ... */
	char **template_files;			/* ... and the paths of its files */
	char file_name[PATH_MAX];		/* behind a descriptor */
};

static int open_process(struct send *s)
{
	struct pt_send_options *o = &s->o;
	int ret = o->is_live
		? pt_send_process_open(&s->process, o, &s->run, &s->run.err)
		: pt_source_open_pid(&o->cfg.source, o->pid, o->keep_running,
				     &s->run.err);

	if (ret)
		return ret;
	s->run.left = &s->left;
	return pt_leftout_check(&s->left, o->cfg.source, &o->left, &s->run.err);
}

/* warn_of_mappers: a file whose mapper keeps what it writes is sent as it is. */
static void warn_of_mappers(const struct pt_send_options *o)
{
	struct pt_private_mapper m;
	char sz[16];

	for (int i = 0; i < o->source_cnt; i++) {
		pt_private_mapper_find(&m, o->sources[i]);
		if (m.pid)
			pt_out_warn("warning: process %d has mapped %s "
				   "privately, and %s there are not in the file "
				   "(--pid %d sends them; a guest's RAM needs "
				   "share=on to be in its file)",
				   m.pid, o->sources[i],
				   pt_out_human(m.own_sz, sz), m.pid);
	}
}

/* is_given: --with names a file of that name, which goes in place of the image's. */
static bool is_given(const struct pt_send_options *o, const char *name)
{
	for (__u32 i = 0; i < o->cfg.file_cnt; i++)
		if (!strcmp(pt_along_name(o->files[i]), name))
			return true;
	return false;
}

/* take_parts has the small files of an image at rest go with it. */
static int take_parts(struct send *s, const struct pt_ptrim *image)
{
	struct pt_sender_cfg *cfg = &s->o.cfg;
	__u32 cnt = pt_ptrim_file_cnt(image);
	const char *path = pt_ptrim_path(image);
	struct pt_ptrim_bytes file;

	if (cfg->file_cnt + cnt > PT_SEND_FILES_MAX)
		return pt_error_set(&s->run.err, PT_EXIT_USAGE, -E2BIG, "%s: with "
				    "its %u files there are more than %d (give "
				    "fewer by --with)", path, cnt,
				    PT_SEND_FILES_MAX);
	s->parts = calloc(cnt + 1, sizeof(*s->parts));
	s->names = calloc(cnt + 1, sizeof(*s->names));
	if (!s->parts || !s->names)
		return pt_error_set(&s->run.err, PT_EXIT_HOST, -ENOMEM,
				    "%s: no memory for its files", path);
	cfg->parts = s->parts;
	for (__u32 i = 0; i < cnt; i++) {
		if (!pt_ptrim_file(image, i, &file) || !file.bytes)
			return pt_error_set(&s->run.err, PT_EXIT_FAILED, -EIO,
					    "%s: its file '%s' is damaged (pagetrim "
					    "image unpack gives all that is not)",
					    path, file.name);
		if (is_given(&s->o, file.name)) {
			pt_out_warn("warning: %s: its file '%s' is not sent: --with "
				    "names another of this name", path, file.name);
			continue;
		}
		memcpy(s->names[i], file.name, sizeof(s->names[i]));
		s->parts[cfg->part_cnt++] = (struct pt_send_part){
			path, s->names[i], file.at, file.sz };
	}
	return 0;
}

/* open_template has the template's memory and files sent as if they were named. */
static int open_template(struct send *s)
{
	struct pt_send_options *o = &s->o;
	unsigned cnt;
	int ret = pt_template_find_path(&s->template, o->template,
					&s->template_files, &cnt, &s->run.err);

	if (ret)
		return ret;
	for (unsigned i = 0; i < cnt && o->cfg.file_cnt < PT_SEND_FILES_MAX; i++)
		if (!is_given(o, pt_along_name(s->template_files[i])))
			o->files[o->cfg.file_cnt++] = s->template_files[i];
	if (!o->cfg.name)
		o->cfg.name = s->template.name;
	return pt_template_source(&o->cfg.source, &s->template, &s->run.err);
}

/* file_of writes the path of the file behind /proc/PID/fd/N, of a memfd its name; false:
 * path is none such. */
static bool file_of(const char *path, char file[PATH_MAX])
{
	static const char memfd[] = "/memfd:", gone[] = " (deleted)";
	ssize_t sz = -1, gone_sz = sizeof(gone) - 1;

	if (!strncmp(path, "/proc/", 6) && strstr(path, "/fd/"))
		sz = readlink(path, file, PATH_MAX - 1);
	if (sz <= 0)
		return false;
	file[sz] = '\0';
	if (sz > gone_sz && !strcmp(file + sz - gone_sz, gone))
		file[sz - gone_sz] = '\0';
	if (!strncmp(file, memfd, sizeof(memfd) - 1))
		memmove(file, file + sizeof(memfd) - 1,
			strlen(file) - sizeof(memfd) + 2);
	return *file;
}

/* name_image takes the last part of the first source's path, or of the path of the file
 * behind it, if it is that of a descriptor. */
static int name_image(struct send *s)
{
	const char *path = s->o.sources[0], *slash, *fault;

	if (file_of(path, s->file_name))
		path = s->file_name;
	slash = strrchr(path, '/');
	s->o.cfg.name = slash ? slash + 1 : path;
	fault = pt_name_fault(s->o.cfg.name);
	if (!fault)
		return 0;
	return pt_error_set(&s->run.err, PT_EXIT_USAGE, -EINVAL, "%s: its name is no "
			    "name for an image: %s (give one with --name)",
			    s->o.sources[0], fault);
}

static int open_source(struct send *s)
{
	struct pt_send_options *o = &s->o;
	const struct pt_ptrim *image;
	int ret;

	if (o->pid)
		return open_process(s);
	if (o->template)
		return open_template(s);
	ret = o->cfg.name ? 0 : name_image(s);
	if (ret)
		return ret;
	ret = pt_ptrim_source_open_any(&o->cfg.source, o->sources, o->source_cnt,
				       &s->run.err);
	if (ret)
		return ret;
	warn_of_mappers(o);
	image = pt_ptrim_source_image(o->cfg.source);
	return image ? take_parts(s, image) : 0;
}

int pt_cmd_send(int argc, char **argv)
{
	struct send s = { .run = { .command = "send" } };
	struct pt_send_run *run = &s.run;
	int code = pt_send_options_parse(&s.o, argc, argv);
	int ret;

	if (code >= 0)
		return code;
	s.o.cfg.warn = pt_send_run_warn;
	run->agent = &s.o.agent;
	run->control_path = s.o.control;
	run->tells_events = s.o.is_live;
	run->stop_fd = pt_stop_open();
	pt_limits_raise_files();
	ret = pt_privilege_harden(&run->err);
	if (!ret)
		ret = pt_record_begin(run->control_path, &run->err);
	if (!ret)
		ret = pt_security_open(&s.o.cfg.tls, &s.o.security,
				       PT_ROLE_SENDER, &run->err);
	if (!ret)
		ret = open_source(&s);
	if (!ret)
		pt_send_options_unreadable(&s.o, s.o.is_live);
	run->name = s.o.cfg.name;
	if (!ret)
		ret = pt_send_run(run, &s.o.cfg, s.o.is_live
				  ? pt_send_process_caps() : 0);
	if (s.o.cfg.source)
		s.left.unreadable_sz = PT_PAGE_SZ *
				       pt_source_zeroed_cnt(s.o.cfg.source);
	pt_source_close(s.o.cfg.source);
	free(s.parts);
	free(s.names);
	free(s.template_files);
	pt_tls_close(s.o.cfg.tls);
	return pt_send_run_tell(run, ret);
}
