/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/stop.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/output.h"
#include "image/ptrim.h"
#include "image/ptrim_source.h"
#include "sink/image.h"
#include "template/fill.h"
#include "template/make.h"

#define USERS_MAX	64	/* that are named */

struct template {
	const char *folder;
	const char *out;
	enum pt_template_large large;
	bool force, json;
	struct files {
		const char *paths[PT_TEMPLATE_FILES_MAX];
		unsigned cnt;
	} files;
};

static int take_file(const char *command, void *to, const char *text)
{
	struct files *files = to;

	if (files->cnt == PT_TEMPLATE_FILES_MAX)
		return pt_out_usage(command, "--with: at most %d files",
				    PT_TEMPLATE_FILES_MAX);
	files->paths[files->cnt++] = text;
	return -1;
}

static const struct pt_option_word larges[] = {
	{ "data", PT_TEMPLATE_LARGE_DATA }, { "all", PT_TEMPLATE_LARGE_ALL },
	{ "off", PT_TEMPLATE_LARGE_OFF }, { }
};

static const struct pt_option options[] = {
	{ "folder", "PATH",
	  "folder of the templates (default /run/pagetrim/templates); it is made if "
	  "it is missing",
	  PT_OPTION(TEXT, struct template, folder), .offers = "file" },
	{ "with", "FILE",
	  "put: keep the small FILE, too, such as the state of a guest's devices; may "
	  "be repeated",
	  PT_OPTION_AT(struct template, files), .kind = PT_OPTION_OWN,
	  .take = take_file, .repeats = true, .offers = "file" },
	{ "large-pages", "WHICH",
	  "put: large pages for each 2 MiB with data (data, the default), for all, or "
	  "off",
	  PT_OPTION(WORD, struct template, large), .words = larges },
	{ "out", "FILE", "get: write the memory to FILE, and its files to FILE.with/",
	  PT_OPTION(TEXT, struct template, out), .offers = "file" },
	{ "force", NULL, "rm: also while processes use it, which keep their memory",
	  PT_OPTION(FLAG, struct template, force) },
	{ "json", NULL,
	  "ls, get: one JSON object on stdout; keys: pagetrim-template(8)",
	  PT_OPTION(FLAG, struct template, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_template = {
	.name = "template",
	.usage =
	"Usage: pagetrim template put NAME IMAGE... [options]\n"
	"       pagetrim template ls [options]\n"
	"       pagetrim template get|rm NAME [options]\n"
	"\n"
	"Keeps memories from which many processes start: each maps the memory privately,\n"
	"and has pages of its own only where it writes.\n"
	"  put NAME IMAGE...  make a template of raw images, or of one image at rest, and\n"
	"                     of the files of IMAGE.with/; a process of its own holds it\n"
	"  ls                 all templates: bytes, large pages, children, age\n"
	"  get NAME           the path that a VMM opens, and those of the small files\n"
	"  rm NAME            end it; refused while processes use it\n",
	.groups = groups,
	.notes =
	"Exit: 0 done, 1 in use, or a page or file of the image cannot be read, 2 wrong\n"
	"      usage, 3 there is no such template, or one already, or a file, memory or\n"
	"      right is missing, 5 the image is damaged.\n"
	"Example: pagetrim template put web web.ram --with web.state\n",
	.arguments = { "=put ls get rm", NULL, "file" },
};

/* ---- put ---- */

static int layout_of(struct pt_layout **layout, const struct pt_source *src,
		     struct pt_error *err)
{
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_source_segments(src, &cnt);
	return pt_layout_create(layout, segs, cnt, err);
}

static int fill(struct pt_template_make *m, struct pt_source *src, int cnt,
		char **paths, const struct files *files, struct pt_error *err)
{
	struct pt_sink *sink = pt_template_make_sink(m);
	struct pt_layout *layout = NULL;
	int code = layout_of(&layout, src, err);

	if (!code)
		code = pt_sink_fit(sink, layout, err);
	if (!code)
		code = pt_template_fill(sink, src, layout, NULL, err);
	if (!code && cnt == 1 && pt_ptrim_is_name(paths[0]))
		code = pt_template_fill_stored(sink, paths[0], err);
	for (int i = 0; !code && i < cnt && !pt_ptrim_is_name(paths[i]); i++)
		code = pt_template_fill_folder(sink, paths[i], err);
	for (unsigned i = 0; !code && i < files->cnt; i++)
		code = pt_template_fill_file(sink, files->paths[i], err);
	if (!code)
		code = pt_sink_commit(sink, err);
	pt_layout_free(layout);
	return code;
}

static int put(const struct template *t, const char *name, int cnt, char **paths,
	       struct pt_error *err)
{
	struct pt_template_make *m;
	struct pt_template made;
	struct pt_source *src;
	int code = pt_template_make_begin(&m, t->folder, name, t->large, err);

	if (code)
		return code;
	code = pt_ptrim_source_open_any(&src, (const char *const *)paths, cnt,
					err);
	if (!code) {
		code = fill(m, src, cnt, paths, &t->files, err);
		pt_source_close(src);
	}
	if (!code)
		made = *pt_template_make_made(m);
	pt_template_make_end(m);
	/* Without its path nobody knows of it; main says that it was not written. */
	if (!code && (puts(made.path) < 0 || fflush(stdout)))
		code = pt_template_remove(t->folder, &made, err);
	return code;
}

/* ---- ls ---- */

static double age_of(const struct pt_template *t)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec + now.tv_nsec / 1e9 - t->made_ns / 1e9;
}

/* known: a number that may be unknown, which is negative. */
static json_t *known(__s64 cnt)
{
	return cnt < 0 ? json_null() : json_integer(cnt);
}

static json_t *json_of(const struct pt_template *t, int children)
{
	struct pt_template_use use = { .large_cnt = -1 };
	struct pt_error err;
	bool is_known;

	if (t->is_dead)
		return json_pack("{s:o, s:b}", "name", pt_json_clean(t->name),
				 "dead", true);
	is_known = !pt_template_measure(t, &use, &err);
	return json_pack("{s:o, s:i, s:s, s:I, s:o, s:o, s:o, s:f}",
			 "name", pt_json_clean(t->name), "pid", t->pid,
			 "path", t->path, "bytes", (json_int_t)t->sz,
			 "allocated-bytes", known(is_known ? (__s64)use.allocated_sz
							   : -1),
			 "children", known(children),
			 "large-pages", known(use.large_cnt), "age", age_of(t));
}

/* shown: a number that may be unknown. */
static const char *shown(char text[24], __s64 cnt)
{
	snprintf(text, 24, cnt < 0 ? "?" : "%lld", cnt);
	return text;
}

static void print_line(const struct pt_template *t, int children)
{
	struct pt_template_use use = { .large_cnt = -1 };
	char sz[16], large[24], users[24], name[PT_TEXT_CLEAN_SZ(
						PT_NAME_IMAGE_MAX + 1)];
	struct pt_error err;

	pt_text_clean(name, sizeof(name), t->name);
	if (t->is_dead) {
		printf("%-10s%-8s%-10s%-10s%s\n", "dead", "-", "-", "-", name);
		return;
	}
	pt_template_measure(t, &use, &err);
	printf("%-10s%-8s%-10s%-10.0f%s\n", pt_out_human(t->sz, sz),
	       shown(large, use.large_cnt), shown(users, children), age_of(t), name);
}

static void print_all(const struct template *t, const struct pt_template *all,
		      const int *children, unsigned cnt)
{
	json_t *rows = json_array();

	if (!t->json && cnt)
		printf("%-10s%-8s%-10s%-10s%s\n", "BYTES", "LARGE", "CHILDREN",
		       "AGE/S", "NAME");
	else if (!t->json)
		puts("no templates");
	for (unsigned i = 0; i < cnt; i++)
		if (t->json)
			json_array_append_new(rows, json_of(&all[i], children[i]));
		else
			print_line(&all[i], children[i]);
	if (t->json)
		pt_out_json(json_pack("{s:O}", "templates", rows));
	json_decref(rows);
}

static int ls(const struct template *t, struct pt_error *err)
{
	static int children[PT_TEMPLATES_MAX];
	struct pt_template *all;
	unsigned cnt;
	int code = pt_template_list(&all, &cnt, t->folder, err);

	if (!code && cnt)
		code = pt_template_count(all, cnt, children, err);
	if (!code)
		print_all(t, all, children, cnt);
	free(all);
	return code;
}

/* ---- get ---- */

/* write_out copies it to an image. */
static int write_out(const struct pt_template *t, const char *out, char **files,
		     unsigned cnt, struct pt_error *err)
{
	struct pt_layout *layout = NULL;
	struct pt_sink *sink = NULL;
	struct pt_source *src;
	int code = pt_template_source(&src, t, err);

	if (code)
		return code;
	code = layout_of(&layout, src, err);
	if (!code)
		code = pt_image_create(&sink, out, layout, err);
	if (!code)
		code = pt_template_fill(sink, src, layout, pt_stop_is_wanted,
					err);
	for (unsigned i = 0; !code && i < cnt; i++)
		code = pt_template_fill_file(sink, files[i], err);
	if (!code)
		code = pt_sink_sync(sink, err);
	if (!code)
		code = pt_sink_commit(sink, err);
	pt_sink_close(sink);
	pt_source_close(src);
	pt_layout_free(layout);
	return code;
}

static int get(const struct template *t, const char *name, struct pt_error *err)
{
	struct pt_template found;
	char **files = NULL;
	int children = -1;
	unsigned cnt;
	json_t *o;
	int code = pt_template_find(&found, t->folder, name, err);

	if (!code)
		code = pt_template_files(&files, &cnt, t->folder, &found, err);
	if (!code && t->out) {
		code = write_out(&found, t->out, files, cnt, err);
	} else if (!code && t->json) {
		pt_template_count(&found, 1, &children, err);
		o = json_of(&found, children);
		json_object_set_new(o, "files", json_array());
		for (unsigned i = 0; i < cnt; i++)
			json_array_append_new(json_object_get(o, "files"),
					      pt_json_clean(files[i]));
		pt_out_json(o);
	} else if (!code) {
		puts(found.path);
		for (unsigned i = 0; i < cnt; i++)
			puts(files[i]);
	}
	free(files);
	return code;
}

/* ---- rm ---- */

static int in_use(const struct pt_template *t, const struct pt_template_user *users,
		  int cnt, struct pt_error *err)
{
	char named[256] = "";

	for (int i = 0; i < cnt && i < USERS_MAX && strlen(named) < 200; i++)
		snprintf(named + strlen(named), sizeof(named) - strlen(named),
			 "%s%d %s", i ? ", " : "", users[i].pid, users[i].name);
	return pt_error_set(err, PT_EXIT_FAILED, -EBUSY, "%s: %d process%s use%s it: "
			    "%s (end them; or {force}: they keep their memory)",
			    t->name, cnt, cnt == 1 ? "" : "es", cnt == 1 ? "s" : "",
			    named);
}

static int rm(const struct template *t, const char *name, struct pt_error *err)
{
	struct pt_template_user users[USERS_MAX];
	struct pt_template found;
	int cnt = 0, code = pt_template_find(&found, t->folder, name, err);

	if (!code && !t->force)
		cnt = pt_template_users(&found, users, USERS_MAX, err);
	if (cnt)
		return cnt < 0 ? cnt : in_use(&found, users, cnt, err);
	return code ? code : pt_template_remove(t->folder, &found, err);
}

/* ---- the command ---- */

/* check_words returns -1 to go on, or an exit code. */
static int check_words(const struct template *t, int argc, char **argv)
{
	const char *verb = argc ? argv[0] : "";
	bool puts_one = !strcmp(verb, "put"), gets = !strcmp(verb, "get");
	bool lists = !strcmp(verb, "ls"), removes = !strcmp(verb, "rm");

	if (!puts_one && !gets && !lists && !removes)
		return pt_out_usage("template", "'%s': want put, ls, get or rm", verb);
	if (puts_one && argc < 3)
		return pt_out_usage("template", "put: want NAME and IMAGE");
	for (int i = 2; puts_one && argc > 3 && i < argc; i++)
		if (pt_ptrim_is_name(argv[i]))
			return pt_out_usage("template", "put: %s is an image at rest, "
					    "which no other goes with", argv[i]);
	if (lists && argc > 1)
		return pt_out_usage("template", "ls: takes no NAME");
	if ((gets || removes) && argc != 2)
		return pt_out_usage("template", "%s: want one NAME", verb);
	if ((t->files.cnt || t->large) && !puts_one)
		return pt_out_usage("template", "--with and --large-pages go with put");
	if (t->out && !gets)
		return pt_out_usage("template", "--out goes with get");
	if (t->force && !removes)
		return pt_out_usage("template", "--force goes with rm");
	if (t->json && (t->out || (!lists && !gets)))
		return pt_out_usage("template", "--json goes with ls and get");
	return -1;
}

int pt_cmd_template(int argc, char **argv)
{
	static struct template t;
	struct pt_error err;
	int code;

	t = (struct template){ 0 };
	code = pt_options_parse(&pt_command_template, &t, argc, argv);
	if (code < 0)
		code = check_words(&t, argc - optind, argv + optind);
	if (code >= 0)
		return code;
	argc -= optind;
	argv += optind;
	if (t.out && pt_stop_watch(&err))
		return pt_out_fail("template", &err);
	if (!strcmp(argv[0], "put"))
		code = put(&t, argv[1], argc - 2, argv + 2, &err);
	else if (!strcmp(argv[0], "ls"))
		code = ls(&t, &err);
	else if (!strcmp(argv[0], "get"))
		code = get(&t, argv[1], &err);
	else
		code = rm(&t, argv[1], &err);
	pt_stop_end();
	return code ? pt_out_fail("template", &err) : PT_EXIT_OK;
}
