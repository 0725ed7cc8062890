/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/stop.h"
#include "cli/commands.h"
#include "cli/compress.h"
#include "cli/json_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "image/along.h"
#include "image/pack.h"
#include "image/table.h"
#include "image/unpack.h"

struct image {
	const char *parent;
	bool json;
	enum pt_compression method;
	int level;
	enum pt_on_unreadable on_unreadable;	/* DEFAULT: fail */
	struct files {
		const char *paths[PT_PTRIM_FILES_MAX];
		__u32 cnt;
	} files;
	struct pt_ptrim *opened;
	__u64 fault_cnt;		/* that were printed */
};

static int take_compress(const char *command, void *to, const char *text)
{
	struct image *im = to;

	if (pt_compress_parse(text, &im->method, &im->level))
		return -1;
	return pt_out_usage(command, "--compress %s: want off, lz4, zstd or "
			    "zstd:LEVEL, 1..%d", text, PT_COMPRESS_LEVEL_MAX);
}

static int take_file(const char *command, void *to, const char *text)
{
	struct files *files = to;

	if (files->cnt == PT_PTRIM_FILES_MAX)
		return pt_out_usage(command, "--with: at most %d files",
				    PT_PTRIM_FILES_MAX);
	files->paths[files->cnt++] = text;
	return -1;
}

static const struct pt_option_word unreadable[] = {
	{ "mark", PT_UNREADABLE_MARK }, { "fail", PT_UNREADABLE_FAIL },
	{ "zero", PT_UNREADABLE_ZERO }, { }
};

static const struct pt_option options[] = {
	{ "parent", "PATH",
	  "pack: store only what differs from the image PATH; else: where the "
	  "parent is (default: beside the image, by the name that it had)",
	  PT_OPTION(TEXT, struct image, parent), .offers = "file" },
	{ "compress", "HOW",
	  "pack: off; lz4; zstd (default), or zstd:LEVEL, 1..19 (default 1)",
	  .kind = PT_OPTION_OWN, .take = take_compress,
	  .offers = "=off lz4 zstd zstd:3" },
	{ "with", "FILE",
	  "pack: store the small FILE, too, beside those of IN.with/; may be repeated",
	  PT_OPTION_AT(struct image, files), .kind = PT_OPTION_OWN,
	  .take = take_file, .repeats = true, .offers = "file" },
	{ "on-unreadable", "HOW",
	  "pack: a page that cannot be read: fail (default); mark: it is unreadable "
	  "in the image; zero: it counts as zero",
	  PT_OPTION(WORD, struct image, on_unreadable), .words = unreadable },
	{ "json", NULL, "info: one JSON object on stdout; keys: pagetrim-image(8)",
	  PT_OPTION(FLAG, struct image, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_image = {
	.name = "image",
	.usage =
	"Usage: pagetrim image pack IN... OUT [options]\n"
	"       pagetrim image unpack|verify|info IMAGE ... [options]\n"
	"\n"
	"Keeps memory at rest, in a file of its non-zero blocks: no page twice,\n"
	"compressed, every part checked, and any page found at once.\n"
	"  pack IN... OUT     make OUT of raw images; with IN.with/segments.json its\n"
	"                     segments, else a segment for each IN\n"
	"  unpack IMAGE OUT   make the raw, sparse image OUT, and OUT.with/ where it is\n"
	"                     needed; pages that are lost are named, and zero\n"
	"  verify IMAGE       read and check all of it, parents too, and name what is\n"
	"                     lost\n"
	"  info IMAGE         what it holds, without reading its pages\n",
	.groups = groups,
	.notes =
	"Exit: 0 done, 1 the source changed or failed while it was read, or a signal\n"
	"      ended it, and nothing is left, 2 wrong usage, 3 a file is missing, cannot\n"
	"      be read or written, or is compressed as this build cannot read it, 5\n"
	"      damaged, or another parent.\n"
	"Example: pagetrim image pack vm.ram vm.ptrim --compress zstd:3\n",
	.arguments = { "=pack unpack verify info", "file" },
};

static bool on_progress(void *arg, __u64 done, __u64 cnt)
{
	(void)arg;
	if (done % 64 == 0)	/* 128 MiB */
		pt_out_progress("%3.0f %%", 100.0 * done / cnt);
	return !pt_stop_is_wanted();
}

/* ---- faults ---- */

static void print_pages(struct image *im, const char *what, __u64 page_idx,
			__u64 cnt)
{
	const struct pt_layout *l = pt_ptrim_layout(im->opened);
	const struct pt_segment *segs;
	__u64 off = pt_layout_image_off(l, page_idx);
	char name[PT_TEXT_CLEAN_SZ(PT_SEGMENT_NAME_SZ)];
	__u32 seg_cnt;

	segs = pt_layout_segments(l, &seg_cnt);
	pt_text_clean(name, sizeof(name), segs[pt_layout_region_segment(
			      l, page_idx / PT_REGION_PAGES, NULL)].name);
	printf("%s: %llu page%s from 0x%llx on (segment '%s', bytes %llu..%llu)\n",
	       what, cnt, cnt == 1 ? "" : "s", pt_layout_gfn(l, page_idx), name,
	       off, off + cnt * PT_PAGE_SZ - 1);
}

static void on_lost(void *arg, __u64 page_idx, __u64 cnt)
{
	struct image *im = arg;

	im->fault_cnt++;
	print_pages(im, "lost", page_idx, cnt);
}

static void on_unreadable(void *arg, __u64 page_idx, __u64 cnt)
{
	print_pages(arg, "unreadable at the source", page_idx, cnt);
}

static void on_wrong(void *arg, __u64 region_idx)
{
	struct image *im = arg;

	im->fault_cnt++;
	print_pages(im, "wrong digest", region_idx * PT_REGION_PAGES,
		    pt_layout_region(pt_ptrim_layout(im->opened), region_idx, NULL));
}

static void on_file_lost(void *arg, const char *name)
{
	struct image *im = arg;

	im->fault_cnt++;
	printf("lost: file '%s'\n", name);
}

static void on_id_wrong(void *arg, const char *path)
{
	struct image *im = arg;

	im->fault_cnt++;
	printf("damaged: %s is not as it was written\n", path);
}

static const struct pt_walk walk = {
	.lost = on_lost,
	.unreadable = on_unreadable,
	.wrong = on_wrong,
	.progress = on_progress,
};

/* finish returns the exit code of a walk. */
static int finish(const struct image *im, const struct pt_walk_result *r,
		  const char *done)
{
	struct pt_error err;

	if (r->failure)
		return pt_out_fail("image", &r->failure_err);
	if (!im->fault_cnt) {
		printf("%s: %s\n", pt_ptrim_path(im->opened), done);
		return PT_EXIT_OK;
	}
	pt_error_set(&err, PT_EXIT_MISMATCH, -1, "%s: damaged: %llu page%s lost; "
		     "in regions without a lost page the others are right, "
		     "but for what is named above",
		     pt_ptrim_path(im->opened), r->lost_cnt,
		     r->lost_cnt == 1 ? "" : "s");
	return pt_out_fail("image", &err);
}

/* ---- the verbs ---- */

static void print_packed(const char *path, const struct pt_pack_result *r)
{
	char memory[16], image[16];

	printf("%s: %s of %s, %.2f %%; pages: %llu with data, %llu of them copies, "
	       "%llu zero, %llu absent, %llu unreadable, %llu as in the parent\n",
	       path,
	       pt_out_human(r->image_sz, image), pt_out_human(r->memory_sz, memory),
	       100.0 * r->image_sz / r->memory_sz, r->pages[PT_PTRIM_DATA],
	       r->copy_cnt, r->pages[PT_PTRIM_ZERO], r->pages[PT_PTRIM_ABSENT],
	       r->pages[PT_PTRIM_UNREADABLE], r->pages[PT_PTRIM_PARENT]);
	if (r->zeroed_cnt)
		pt_out_warn("warning: %s: %llu page%s that could not be read count as "
			    "zero in it", path, r->zeroed_cnt,
			    r->zeroed_cnt == 1 ? "" : "s");
}

static int pack_with(struct image *im, int cnt, char **paths,
		     struct pt_error *err)
{
	const struct pt_pack_cfg cfg = {
		.method = im->method,
		.level = im->level ? im->level : PT_COMPRESS_LEVEL,
		.parent = im->parent,
		.files = im->files.paths,
		.file_cnt = im->files.cnt,
		.progress = on_progress,
	};
	struct pt_layout *table = NULL;
	struct pt_pack_result result;
	struct pt_source *src;
	int code;

	code = pt_source_open_files(&src, (const char *const *)paths, cnt - 1, err);
	if (code)
		return code;
	pt_source_on_unreadable(src, im->on_unreadable ? im->on_unreadable
						       : PT_UNREADABLE_FAIL);
	if (cnt == 2)
		code = pt_table_read(&table, paths[0], err);
	if (!code)
		code = pt_pack(paths[cnt - 1], src, table, &cfg, &result, err);
	pt_out_progress("%s", "");
	if (!code)
		print_packed(paths[cnt - 1], &result);
	pt_layout_free(table);
	pt_source_close(src);
	return code;
}

/* fault_of: a file that --with names goes in place of one beside the memory. */
static const char *fault_of(void *arg, const char *path)
{
	const struct files *files = &((const struct image *)arg)->files;

	for (__u32 i = 0; i < files->cnt; i++)
		if (!strcmp(pt_along_name(files->paths[i]), pt_along_name(path)))
			return "--with names another file of this name";
	return pt_along_fault(path);
}

static void on_left(const char *path, const char *why)
{
	pt_out_warn("warning: %s: left out of the image: %s", path, why);
}

/* along_take adds the small files beside the raw images to those of --with. */
static int along_take(struct image *im, struct pt_along *a, int cnt, char **paths,
		      struct pt_error *err)
{
	int code = 0;

	for (int i = 0; !code && i < cnt; i++)
		code = pt_along_add(a, paths[i], fault_of, on_left, im, err);
	for (__u32 i = 0; !code && i < a->cnt; i++) {
		if (im->files.cnt == PT_PTRIM_FILES_MAX)
			return pt_error_set(err, PT_EXIT_HOST, -E2BIG, "%s: an image "
					    "takes %d files (move the rest out of "
					    "its folder)", a->paths[i],
					    PT_PTRIM_FILES_MAX);
		im->files.paths[im->files.cnt++] = a->paths[i];
	}
	return code;
}

static int pack(struct image *im, int cnt, char **paths, struct pt_error *err)
{
	struct pt_along along = { 0 };
	int code = along_take(im, &along, cnt - 1, paths, err);

	if (!code)
		code = pack_with(im, cnt, paths, err);
	pt_along_free(&along);
	return code;
}
static void print_info(const struct image *im, const struct pt_walk_result *r)
{
	const struct pt_ptrim_header *h = pt_ptrim_header(im->opened);
	char id[2 * PT_PTRIM_ID_SZ + 1], parent[sizeof(id)];
	__u64 memory_sz = pt_layout_image_sz(pt_ptrim_layout(im->opened));

	for (int i = 0; i < PT_PTRIM_ID_SZ; i++) {
		sprintf(id + 2 * i, "%02x", h->id[i]);
		sprintf(parent + 2 * i, "%02x", h->parent_id[i]);
	}
	if (im->json) {
		pt_out_json(json_pack(
			"{s:o, s:i, s:s, s:o, s:I, s:I, s:I, s:i, s:{s:I, s:I, s:I, "
			"s:I, s:I, s:I}}", "image", pt_json_clean(
				pt_ptrim_path(im->opened)),
			"version", PT_PTRIM_VERSION, "id", id, "parent",
			pt_ptrim_parent(im->opened) ? json_string(parent)
						    : json_null(),
			"bytes", (json_int_t)pt_ptrim_sz(im->opened),
			"memory-bytes", (json_int_t)memory_sz, "segments",
			(json_int_t)be32toh(h->segment_cnt), "files",
			pt_ptrim_file_cnt(im->opened), "pages",
			"data", (json_int_t)r->pages[PT_PTRIM_DATA],
			"zero", (json_int_t)r->pages[PT_PTRIM_ZERO],
			"absent", (json_int_t)r->pages[PT_PTRIM_ABSENT],
			"unreadable", (json_int_t)r->pages[PT_PTRIM_UNREADABLE],
			"parent", (json_int_t)r->pages[PT_PTRIM_PARENT],
			"lost", (json_int_t)r->lost_cnt));
		return;
	}
	printf("Image       %s, version %d\nId          %s\n",
	       pt_ptrim_path(im->opened), PT_PTRIM_VERSION, id);
	if (pt_ptrim_parent(im->opened))
		printf("Parent      %s\n            %s\n", parent,
		       pt_ptrim_path(pt_ptrim_parent(im->opened)));
	printf("Bytes       %llu of %llu\n"
	       "Segments    %u\nFiles       %u\n"
	       "Pages       %llu with data, %llu zero, %llu absent, %llu unreadable, "
	       "%llu as in\n            the parent, %llu lost\n",
	       pt_ptrim_sz(im->opened), memory_sz, be32toh(h->segment_cnt),
	       pt_ptrim_file_cnt(im->opened), r->pages[PT_PTRIM_DATA],
	       r->pages[PT_PTRIM_ZERO], r->pages[PT_PTRIM_ABSENT],
	       r->pages[PT_PTRIM_UNREADABLE], r->pages[PT_PTRIM_PARENT],
	       r->lost_cnt);
}

/* read_image does what the verb says with the opened image; returns the exit code. */
static int read_image(struct image *im, char **argv)
{
	struct pt_walk telling = walk;
	struct pt_walk_result r;
	struct pt_error err;
	int code;

	telling.arg = im;
	if (!strcmp(argv[0], "info")) {
		pt_walk_count(im->opened, &r);
		im->fault_cnt = r.lost_cnt;
		print_info(im, &r);
		return r.lost_cnt ? PT_EXIT_MISMATCH : PT_EXIT_OK;
	}
	if (!strcmp(argv[0], "verify"))
		code = pt_verify(im->opened, &telling, on_file_lost, on_id_wrong,
				 &r, &err);
	else
		code = pt_unpack(im->opened, argv[2], &telling, on_file_lost, &r,
				 &err);
	pt_out_progress("%s", "");
	if (code)
		return pt_out_fail("image", &err);
	return finish(im, &r, argv[2] ? "unpacked" : "whole");
}

/* check_words returns -1 to go on, or an exit code. */
static int check_words(const struct image *im, int argc, char **argv)
{
	const char *verb = argc ? argv[0] : "";
	bool packs = !strcmp(verb, "pack"), unpacks = !strcmp(verb, "unpack");
	bool infos = !strcmp(verb, "info");

	if (!argc)
		return pt_out_usage("image", "want pack, unpack, verify or info");
	if (!packs && !unpacks && !infos && strcmp(verb, "verify"))
		return pt_out_usage("image", "'%s': want pack, unpack, verify or "
				    "info", verb);
	if (packs && argc < 3)
		return pt_out_usage("image", "pack: want IN and OUT");
	if (unpacks && argc != 3)
		return pt_out_usage("image", "unpack: want IMAGE and OUT");
	if (!packs && !unpacks && argc != 2)
		return pt_out_usage("image", "%s: want one IMAGE", verb);
	if (im->json && !infos)
		return pt_out_usage("image", "--json goes with info");
	if (im->files.cnt && !packs)
		return pt_out_usage("image", "--with goes with pack");
	if (im->on_unreadable && !packs)
		return pt_out_usage("image", "--on-unreadable goes with pack");
	return -1;
}

/* verb_do does what argv[0] says; returns the exit code. */
static int verb_do(struct image *im, int argc, char **argv)
{
	struct pt_error err;
	int code;

	if (!strcmp(argv[0], "pack"))
		return pack(im, argc - 1, argv + 1, &err) ?
			pt_out_fail("image", &err) : PT_EXIT_OK;
	if (pt_ptrim_open(&im->opened, argv[1], im->parent, &err))
		return pt_out_fail("image", &err);
	code = read_image(im, argv);
	pt_ptrim_close(im->opened);
	return code;
}

int pt_cmd_image(int argc, char **argv)
{
	static struct image im;
	struct pt_error err;
	int code;

	im = (struct image){ .method = pt_compression_is_built(
		PT_COMPRESSION_ZSTD) ? PT_COMPRESSION_ZSTD : PT_COMPRESSION_NONE };
	code = pt_options_parse(&pt_command_image, &im, argc, argv);
	if (code < 0)
		code = check_words(&im, argc - optind, argv + optind);
	if (code >= 0)
		return code;
	argc -= optind;
	argv += optind;
	if ((!strcmp(argv[0], "pack") || !strcmp(argv[0], "unpack")) &&
	    pt_stop_watch(&err))
		return pt_out_fail("image", &err);
	code = verb_do(&im, argc, argv);
	pt_stop_end();
	return code;
}
