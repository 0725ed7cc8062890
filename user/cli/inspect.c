// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <pagetrim/clock.h>
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/leftout.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/svg.h"
#include "image/ptrim_source.h"
#include "session/compression.h"
#include "source/source.h"
#include "survey/survey.h"
#include "trim/scan.h"

/* Progress is shown after so many regions, 1 GiB, or so long. */
#define SHOWN_REGIONS	512
#define SHOWN_NS	250000000ULL

struct inspect {
	pid_t pid;
	bool keep_running;
	bool json;
	bool no_compress;
	__u32 mtu;
	__u64 rate_mbit;
	const char *svg;
	char title[256];
	__u64 shown_ns;			/* the progress, last */
	struct pt_source_left left;
};

static const struct pt_option options[] = {
	{ "pid", "PID",
	  "inspect the private memory of a process; it is stopped "
	  "meanwhile.  Layout: pagetrim-inspect(8)",
	  PT_OPTION(NUMBER, struct inspect, pid), .min = 1, .max = 1 << 22,
	  .offers = "pid" },
	{ "keep-running", NULL,
	  "do not stop the process: the figures are not a consistent snapshot",
	  PT_OPTION(FLAG, struct inspect, keep_running) },
	{ "mtu", "N",
	  "frames for an MTU of N bytes, 1280..65535 (default 1500)",
	  PT_OPTION(NUMBER, struct inspect, mtu), .min = PT_MTU_MIN,
	  .max = PT_MTU_MAX, .initial = 1500, .offers = "=1500 9000 65535" },
	{ "rate-mbit", "N",
	  "times for a link of N Mbit/s, 1..10000000 (default 10000)",
	  PT_OPTION(NUMBER, struct inspect, rate_mbit), .min = 1,
	  .max = 10000000, .initial = 10000 },
	{ "no-compress", NULL,
	  "do not compress the pages to measure what --compress would send, "
	  "which takes some 4 s per GiB of data",
	  PT_OPTION(FLAG, struct inspect, no_compress) },
	{ "svg", "FILE",
	  "write a picture to FILE: the memory as a map of 2 MiB regions, "
	  "shaded by what they hold",
	  PT_OPTION(TEXT, struct inspect, svg), .offers = "file" },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-inspect(8)",
	  PT_OPTION(FLAG, struct inspect, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_inspect = {
	.name = "inspect",
	.usage =
	"Usage: pagetrim inspect SOURCE... [options]\n"
	"       pagetrim inspect --pid PID [options]\n"
	"\n"
	"Reports the savings of trimming before anything is sent: zero pages, zero\n"
	"blocks of 64 bytes in the others, pages that are copies of another, and the\n"
	"bytes and frames that 'pagetrim send' would put on the wire, with and without\n"
	"--copies, and with copies and --compress lz4 or zstd, by its own packing, for\n"
	"one lane, IPv4 and no loss.\n"
	"\n"
	"SOURCE is a raw memory image, a memfd (/proc/PID/fd/N), /dev/shm or hugetlbfs\n"
	"file, or a block device; several are segments of one memory, in the order\n"
	"given.  A single NAME.ptrim is an image at rest: pagetrim-image(8).\n",
	.groups = groups,
	.notes =
	"Exit: 0 done, 1 the source changed or failed while it was read, 2 wrong\n"
	"      usage, 3 source missing, unreadable or empty, no such process, no\n"
	"      privilege, picture cannot be written.\n"
	"Example: pagetrim inspect --mtu 9000 --svg ram.svg /dev/shm/vm.ram\n",
	.arguments = { "file" },
};

/* is_source: the picture's path leads to a source, which it would overwrite. */
static bool is_source(const char *svg, char *const *sources)
{
	struct stat picture, source;

	if (stat(svg, &picture))
		return false;
	for (; *sources; sources++)
		if (!stat(*sources, &source) &&
		    source.st_dev == picture.st_dev &&
		    source.st_ino == picture.st_ino)
			return true;
	return false;
}

/* parse returns -1 to go on, or an exit code. */
static int parse(struct inspect *in, int argc, char **argv)
{
	int code = pt_options_parse(&pt_command_inspect, in, argc, argv);

	if (code >= 0)
		return code;
	if (in->pid && optind < argc)
		return pt_out_usage("inspect",
				    "either SOURCE or --pid, not both");
	if (!in->pid && optind == argc)
		return pt_out_usage("inspect", "no SOURCE, and no --pid");
	if (in->svg && is_source(in->svg, argv + optind))
		return pt_out_usage("inspect", "--svg '%s': is a SOURCE, and "
				    "would be overwritten", in->svg);
	if (in->keep_running && !in->pid)
		return pt_out_usage("inspect", "--keep-running needs --pid");
	return -1;
}

/* open_process: an unreadable page is reported, and does not end the report. */
static int open_process(struct inspect *in, struct pt_source **src,
			struct pt_error *err)
{
	int code = pt_source_open_pid(src, in->pid, in->keep_running, err);

	if (code)
		return code;
	pt_source_on_unreadable(*src, PT_UNREADABLE_ZERO);
	code = pt_source_find_left(*src, &in->left, err);
	if (code)
		pt_source_close(*src);
	return code;
}

static int open_source(struct inspect *in, struct pt_source **src, int argc,
		       char **argv, struct pt_error *err)
{
	int left = argc - optind;

	if (in->pid) {
		snprintf(in->title, sizeof(in->title), "process %d", in->pid);
		return open_process(in, src, err);
	}
	if (left == 1)
		snprintf(in->title, sizeof(in->title), "%s", argv[optind]);
	else
		snprintf(in->title, sizeof(in->title), "%.200s and %d more",
			 argv[optind], left - 1);
	return pt_ptrim_source_open_any(src, (const char *const *)argv + optind,
					left, err);
}

static void on_progress(void *arg, __u64 done, __u64 cnt)
{
	struct inspect *in = arg;
	__u64 now_ns = pt_clock_ns();

	/* Regions with data take long, small mappings and holes do not. */
	if (done % SHOWN_REGIONS && now_ns - in->shown_ns < SHOWN_NS)
		return;
	in->shown_ns = now_ns;
	pt_out_progress("%3.0f %%", 100.0 * done / cnt);
}

/* --- the report ------------------------------------------------------ */

static double percent(__u64 part, __u64 whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static json_t *share_json(__u64 blocks, const struct pt_survey *s)
{
	return json_pack("{s:I, s:f}", "bytes",
			 (json_int_t)(blocks * PT_BLOCK_SZ), "percent",
			 percent(blocks, s->data_cnt * PT_PAGE_BLOCKS));
}

static json_t *segments_json(const struct pt_layout *l)
{
	json_t *rows = json_array();
	const struct pt_segment *segs;
	__u32 cnt;

	segs = pt_layout_segments(l, &cnt);
	for (__u32 i = 0; i < cnt; i++)
		json_array_append_new(rows, json_pack(
			"{s:o, s:I, s:I}", "name",
			pt_json_clean(segs[i].name), "gfn",
			(json_int_t)segs[i].gfn, "bytes",
			(json_int_t)segs[i].sz));
	return rows;
}

static json_t *copies_json(const struct inspect *in, const struct pt_survey *s)
{
	const struct pt_survey_cost *cost = &s->with_copies;

	return json_pack("{s:I, s:f, s:I, s:I, s:I, s:f}",
			 "pages", (json_int_t)s->copy_cnt,
			 "percent", percent(s->copy_cnt, s->data_cnt),
			 "sample", (json_int_t)s->copy_sample,
			 "wire-bytes", (json_int_t)cost->wire_bytes,
			 "frames", (json_int_t)cost->frames,
			 "seconds", pt_survey_seconds(cost, in->rate_mbit));
}

static json_t *costs_json(const struct inspect *in, const struct pt_survey *s)
{
	json_t *rows = json_object();

	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++) {
		const struct pt_survey_cost *cost = &s->costs[t];

		json_object_set_new(rows, pt_trim_name(t), json_pack(
			"{s:I, s:I, s:f}", "wire-bytes",
			(json_int_t)cost->wire_bytes, "frames",
			(json_int_t)cost->frames, "seconds",
			pt_survey_seconds(cost, in->rate_mbit)));
	}
	return rows;
}

/* compress_json: one object for each method that was measured. */
static json_t *compress_json(const struct inspect *in, const struct pt_survey *s)
{
	json_t *rows = json_object();

	for (int m = 0; m < PT_COMPRESSION_CNT; m++) {
		const struct pt_survey_cost *cost = &s->compressed[m];

		if (!cost->frames)
			continue;
		json_object_set_new(rows, pt_compression_name(m), json_pack(
			"{s:I, s:I, s:f, s:f}", "wire-bytes",
			(json_int_t)cost->wire_bytes, "frames",
			(json_int_t)cost->frames, "compress-seconds",
			cost->compress_ns / 1e9, "seconds",
			pt_survey_seconds(cost, in->rate_mbit)));
	}
	return rows;
}

static void print_json(const struct inspect *in, const struct pt_survey *s,
		       const struct pt_layout *l)
{
	pt_out_json(json_pack(
		"{s:I, s:i, s:I, s:I, s:I, s:I, s:o,"
		" s:{s:o, s:o, s:o}, s:i, s:I, s:o, s:o, s:s, s:o, s:o}",
		"total", (json_int_t)s->memory_sz,
		"page-size", PT_PAGE_SZ,
		"pages", (json_int_t)s->page_cnt,
		"zero-pages", (json_int_t)s->zero_cnt,
		"hole-pages", (json_int_t)s->hole_cnt,
		"data-pages", (json_int_t)s->data_cnt,
		"copies", copies_json(in, s),
		"zero-blocks", "head", share_json(s->head_cnt, s),
			"tail", share_json(s->tail_cnt, s),
			"interior", share_json(s->interior_cnt, s),
		"mtu", (int)in->mtu,
		"rate-mbit", (json_int_t)in->rate_mbit,
		"trim", costs_json(in, s),
		"compress", compress_json(in, s),
		"scan", pt_scan_name(),
		"segments", segments_json(l),
		"left-out", pt_leftout_json(&in->left)));
}

static void print_cost(const struct inspect *in, const struct pt_survey *s,
		       const char *name, const struct pt_survey_cost *cost)
{
	printf("  %-6s %16llu %12llu %8.2f %% %7.2f s\n", name,
	       cost->wire_bytes, cost->frames,
	       percent(cost->wire_bytes, s->memory_sz),
	       pt_survey_seconds(cost, in->rate_mbit));
}

static void print_costs(const struct inspect *in, const struct pt_survey *s)
{
	printf("\nOn the wire, MTU %u, IPv4, no loss; time at %llu Mbit/s\n"
	       "  --trim %16s %12s %10s %9s\n", in->mtu, in->rate_mbit,
	       "bytes", "frames", "of memory", "time");
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++)
		print_cost(in, s, pt_trim_name(t), &s->costs[t]);
	print_cost(in, s, "copies", &s->with_copies);
	for (int m = 0; m < PT_COMPRESSION_CNT; m++)
		if (s->compressed[m].frames)
			print_cost(in, s, pt_compression_name(m),
				   &s->compressed[m]);
	printf("  copies: --trim blocks --compress off, at best%s\n",
	       s->copy_sample > 1 ? ", estimated" : "");
	if (!in->no_compress)
		printf("  lz4, zstd: --trim blocks --compress, with copies%s; at "
		       "least the time that one CPU\n  of this host compressed "
		       "for\n", in->keep_running ? " off" : "");
}

static void print_text(const struct inspect *in, const struct pt_survey *s,
		       const struct pt_layout *l)
{
	__u64 blocks = s->data_cnt * PT_PAGE_BLOCKS;
	char human[16], sample[64] = "";
	__u32 seg_cnt;

	pt_layout_segments(l, &seg_cnt);
	printf("%s: %s, %llu pages, %u segment%s\n\n", in->title,
	       pt_out_human(s->memory_sz, human), s->page_cnt, seg_cnt,
	       seg_cnt == 1 ? "" : "s");
	printf("Zero pages     %12llu  %6.2f %%   %llu of them holes, not "
	       "read\n", s->zero_cnt, percent(s->zero_cnt, s->page_cnt),
	       s->hole_cnt);
	printf("Data pages     %12llu  %6.2f %%\n", s->data_cnt,
	       percent(s->data_cnt, s->page_cnt));
	printf("  zero blocks of their bytes:\n"
	       "    head                     %6.2f %%   before the first data\n"
	       "    tail                     %6.2f %%   after the last\n"
	       "    interior                 %6.2f %%   between\n",
	       percent(s->head_cnt, blocks), percent(s->tail_cnt, blocks),
	       percent(s->interior_cnt, blocks));
	if (s->copy_sample > 1)
		snprintf(sample, sizeof(sample),
			 " (estimated from 1 content in %llu)",
			 s->copy_sample);
	printf("  copies       %12llu  %6.2f %%   equal to an earlier "
	       "page%s\n", s->copy_cnt, percent(s->copy_cnt, s->data_cnt),
	       sample);
	print_costs(in, s);
	if (in->pid)
		putchar('\n');
	pt_leftout_text(&in->left);
	if (in->svg)
		printf("\nPicture: %s\n", in->svg);
}

static int inspect(struct inspect *in, struct pt_source *src,
		   struct pt_error *err)
{
	const struct pt_segment *segs;
	struct pt_survey survey;
	struct pt_layout *l;
	__u32 seg_cnt;
	int code;

	segs = pt_source_segments(src, &seg_cnt);
	code = pt_layout_create(&l, segs, seg_cnt, err);
	if (code)
		return code;
	code = pt_survey_take(&survey, src, l, in->mtu,
			      in->no_compress ? 0 : pt_compressions_of(
					pt_compression_caps()),
			      on_progress, in, err);
	pt_out_progress("%s", "");
	if (code)
		goto free_layout;
	in->left.unreadable_sz = PT_PAGE_SZ * pt_source_zeroed_cnt(src);
	if (in->svg)
		code = pt_svg_write(in->svg, in->title, &survey, l, err);
	if (!code && in->json)
		print_json(in, &survey, l);
	else if (!code)
		print_text(in, &survey, l);
	pt_survey_free(&survey);
free_layout:
	pt_layout_free(l);
	return code;
}

int pt_cmd_inspect(int argc, char **argv)
{
	struct inspect in = { 0 };
	struct pt_source *src;
	struct pt_error err;
	int code = parse(&in, argc, argv);

	if (code >= 0)
		return code;
	code = open_source(&in, &src, argc, argv, &err);
	if (code)
		return pt_out_fail("inspect", &err);
	code = inspect(&in, src, &err);
	pt_source_close(src);
	return code ? pt_out_fail("inspect", &err) : PT_EXIT_OK;
}
