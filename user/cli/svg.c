// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/svg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "cli/output.h"
#include "memory/path.h"

/* Lengths are in pixels. */
#define WIDTH		912
#define LEFT		96	/* of the cells, right of their addresses */
#define PITCH		12	/* from cell to cell */
#define CELL		10
#define ROW_CELLS	64
#define MAP_W		(ROW_CELLS * PITCH - (PITCH - CELL))
#define HEAD_H		212	/* title, shares, costs */
#define BAND_HEAD_H	30	/* name of a segment */
#define FOOT_H		40

#define BAND_PART_MIN	256	/* a band of its own: 1/256 of the memory */

/* share: the content of a stretch of memory, in blocks. */
struct share {
	__u64 data, trimmed, zero;
};

/* band: the cells of one segment, or of all that share the last band. */
struct band {
	__u32 seg;		/* or ~0u: several */
	__u64 region_first, region_cnt;
	__u32 y;		/* of its first row */
};

struct picture {
	FILE *out;
	const struct pt_survey *survey;
	const struct pt_layout *layout;
	struct band bands[PT_SVG_BANDS_MAX];
	__u32 band_cnt;
	__u64 *rest;		/* regions of the segments without a band */
	__u64 rest_cnt;
	__u32 rest_seg_cnt;
	__u64 scale;		/* regions in a cell, a power of two */
	__u32 height;
};

/* --- layout ---------------------------------------------------------- */

static __u64 div_up(__u64 a, __u64 b)
{
	return (a + b - 1) / b;
}

static int seg_is_larger(const void *a, const void *b)
{
	const struct band *left = a, *right = b;

	if (left->region_cnt != right->region_cnt)
		return left->region_cnt < right->region_cnt ? 1 : -1;
	return left->seg < right->seg ? -1 : 1;
}

static int seg_is_lower(const void *a, const void *b)
{
	const struct band *left = a, *right = b;

	return left->region_first < right->region_first ? -1 : 1;
}

/* bands_choose gives the largest segments one band each, in order of address,
 * and the regions of all others to the last band. */
static int bands_choose(struct picture *p)
{
	const struct pt_segment *segs;
	struct band *all, *rest;
	__u64 region = 0;
	__u32 cnt;

	segs = pt_layout_segments(p->layout, &cnt);
	all = calloc(cnt, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (__u32 i = 0; i < cnt; i++) {
		all[i].seg = i;
		all[i].region_first = region;
		all[i].region_cnt = div_up(segs[i].sz, PT_REGION_SZ);
		region += all[i].region_cnt;
	}
	qsort(all, cnt, sizeof(*all), seg_is_larger);
	while (p->band_cnt < cnt && p->band_cnt < PT_SVG_BANDS_MAX - 1 &&
	       all[p->band_cnt].region_cnt * BAND_PART_MIN >= region)
		p->band_cnt++;
	if (cnt - p->band_cnt == 1)	/* alone, it needs no shared band */
		p->band_cnt++;
	qsort(all, p->band_cnt, sizeof(*all), seg_is_lower);
	memcpy(p->bands, all, p->band_cnt * sizeof(*all));

	p->rest_seg_cnt = cnt - p->band_cnt;
	rest = all + p->band_cnt;
	for (__u32 i = 0; i < p->rest_seg_cnt; i++)
		p->rest_cnt += rest[i].region_cnt;
	if (p->rest_cnt) {
		p->rest = malloc(p->rest_cnt * sizeof(p->rest[0]));
		if (!p->rest) {
			free(all);
			return -ENOMEM;
		}
		qsort(rest, p->rest_seg_cnt, sizeof(*rest), seg_is_lower);
		for (__u64 i = 0, n = 0; i < p->rest_seg_cnt; i++)
			for (__u64 r = 0; r < rest[i].region_cnt; r++)
				p->rest[n++] = rest[i].region_first + r;
		p->bands[p->band_cnt++] = (struct band){
			.seg = ~0u, .region_cnt = p->rest_cnt,
		};
	}
	free(all);
	return 0;
}

static __u64 cell_cnt(const struct picture *p)
{
	__u64 cnt = 0;

	for (__u32 i = 0; i < p->band_cnt; i++)
		cnt += div_up(p->bands[i].region_cnt, p->scale);
	return cnt;
}

static void bands_place(struct picture *p)
{
	p->scale = 1;
	while (cell_cnt(p) > PT_SVG_CELLS_MAX)
		p->scale *= 2;
	p->height = HEAD_H;
	for (__u32 i = 0; i < p->band_cnt; i++) {
		__u64 cells = div_up(p->bands[i].region_cnt, p->scale);

		p->bands[i].y = p->height + BAND_HEAD_H;
		p->height = p->bands[i].y + div_up(cells, ROW_CELLS) * PITCH;
	}
	p->height += FOOT_H;
}

static struct share cell_share(const struct picture *p, const struct band *b,
			       __u64 cell)
{
	__u64 end = (cell + 1) * p->scale;
	struct share share = { 0 };

	for (__u64 i = cell * p->scale; i < end && i < b->region_cnt; i++) {
		const struct pt_survey_region *r;
		__u64 data;

		r = &p->survey->regions[b->seg == ~0u ? p->rest[i] :
							b->region_first + i];
		data = (__u64)(r->page_cnt - r->zero_cnt) * PT_PAGE_BLOCKS;
		share.zero += (__u64)r->zero_cnt * PT_PAGE_BLOCKS;
		share.trimmed += r->trimmed_cnt;
		share.data += data - r->trimmed_cnt;
	}
	return share;
}

/* --- drawing --------------------------------------------------------- */

/* These colours are distinct in both schemes, and without red or green. */
static const char style[] =
"<style>\n"
"text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,"
"'DejaVu Sans',sans-serif;font-size:12px;fill:#1f2933}\n"
".t{font-size:20px;font-weight:600}\n"
".s{fill:#64717f}\n"
".n{text-anchor:end}\n"
".b{font-weight:600}\n"
".bg,.w{fill:#fff}\n"
".z{fill:#e3e8ee}\n"
".m{fill:#f0a81c}\n"
".d{fill:#2468ad}\n"
"@media (prefers-color-scheme:dark){\n"
"text{fill:#e6ebf0}\n"
".s{fill:#94a3b3}\n"
".bg,.w{fill:#11161c}\n"
".z{fill:#28323d}\n"
".m{fill:#f2b53a}\n"
".d{fill:#4f97e0}\n"
"}\n"
"</style>\n";

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:	/* UTF-8 of a path may be broken: ASCII only */
			fputc(*text < ' ' || *text > '~' ? '?' : *text, out);
		}
	}
}

static void put_rect(FILE *out, const char *class, double x, double y,
		     double w, double h)
{
	if (w > 0)
		fprintf(out, "<rect class=\"%s\" x=\"%.6g\" y=\"%.6g\" "
			"width=\"%.6g\" height=\"%.6g\"/>\n", class, x, y, w,
			h);
}

static double percent(__u64 part, __u64 whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static struct share total_share(const struct pt_survey *s)
{
	__u64 trimmed = s->head_cnt + s->tail_cnt + s->interior_cnt;

	return (struct share){
		.data = s->data_cnt * PT_PAGE_BLOCKS - trimmed,
		.trimmed = trimmed,
		.zero = s->zero_cnt * PT_PAGE_BLOCKS,
	};
}

/* put_shares draws the legend, and the whole memory as one bar. */
static void put_shares(const struct picture *p)
{
	struct share share = total_share(p->survey);
	__u64 all = share.data + share.trimmed + share.zero;
	const struct {
		const char *class, *text;
		__u64 part;
	} parts[] = {
		{ "d", "data", share.data },
		{ "m", "zero blocks of data pages, trimmed", share.trimmed },
		{ "z", "zero pages", share.zero },
	};
	double x = LEFT;
	int text_x = LEFT;

	for (int i = 0; i < 3; i++) {
		double w = (double)MAP_W * parts[i].part / (all ? all : 1);

		put_rect(p->out, parts[i].class, x, 76, w, 14);
		x += w;
		put_rect(p->out, parts[i].class, text_x, 103, CELL, CELL);
		fprintf(p->out, "<text x=\"%d\" y=\"112\"><tspan class=\"b\">"
			"%.1f %%</tspan> %s</text>\n", text_x + 16,
			percent(parts[i].part, all), parts[i].text);
		text_x += i == 0 ? 120 : 300;
	}
	fprintf(p->out, "<text class=\"s n\" x=\"%d\" y=\"88\">memory</text>\n",
		LEFT - 12);
}

/* put_costs draws one bar for each way to trim, in the scale of the memory's
 * bar. */
static void put_costs(const struct picture *p)
{
	const struct pt_survey *s = p->survey;
	char human[16];

	fprintf(p->out, "<text class=\"s\" x=\"%d\" y=\"140\">on the wire, at "
		"an MTU of %u</text>\n", LEFT, s->mtu);
	for (enum pt_trim t = 0; t < PT_TRIM_CNT; t++) {
		int y = 150 + 18 * t;
		double w = (double)MAP_W * s->costs[t].wire_bytes /
			   (s->page_cnt * (double)PT_PAGE_SZ);

		/* Packed full pages are a little larger than the memory. */
		w = w > MAP_W ? MAP_W : w;
		fprintf(p->out, "<text class=\"s n\" x=\"%d\" y=\"%d\">%s"
			"</text>\n", LEFT - 12, y + 10, pt_trim_name(t));
		put_rect(p->out, "z", LEFT, y, MAP_W, 12);
		put_rect(p->out, "d", LEFT, y, w, 12);
		/* The figure is located right of the bar, or inside its end. */
		fprintf(p->out, "<text class=\"b%s\" x=\"%.6g\" y=\"%d\">%s"
			"</text>\n", w > MAP_W - 80 ? " n w" : "",
			w > MAP_W - 80 ? LEFT + w - 8 : LEFT + w + 8, y + 10,
			pt_out_human(s->costs[t].wire_bytes, human));
	}
}

static void put_heading(const struct picture *p, const char *title)
{
	char human[16], cell[16];

	fprintf(p->out, "<text class=\"t\" x=\"%d\" y=\"38\">", LEFT);
	put_escaped(p->out, title);
	fprintf(p->out, "</text>\n<text class=\"s\" x=\"%d\" y=\"60\">%s of "
		"memory; a cell is %s, filled from below by what it holds"
		"</text>\n", LEFT, pt_out_human(p->survey->memory_sz, human),
		pt_out_human(p->scale * PT_REGION_SZ, cell));
}

/* put_layer draws one kind of content of a band as one path: one rectangle per
 * cell, on top of the kinds below it. */
static void put_layer(const struct picture *p, const struct band *b,
		      const char *class)
{
	__u64 cells = div_up(b->region_cnt, p->scale);

	fprintf(p->out, "<path class=\"%s\" d=\"", class);
	for (__u64 cell = 0; cell < cells; cell++) {
		struct share share = cell_share(p, b, cell);
		__u64 all = share.data + share.trimmed + share.zero;
		__u64 below = 0, part = all;
		double h, bottom;

		if (*class == 'd') {
			part = share.data;
		} else if (*class == 'm') {
			part = share.trimmed;
			below = share.data;
		}
		if (!part || !all)
			continue;
		h = (double)CELL * part / all;
		h = h < 0.25 ? 0.25 : h;	/* a trace stays visible */
		bottom = CELL - (double)CELL * below / all;
		if (h > bottom)
			bottom = h;
		fprintf(p->out, "M%llu %.6gh%dv%.3gh-%dz",
			LEFT + cell % ROW_CELLS * PITCH,
			b->y + cell / ROW_CELLS * PITCH + bottom - h, CELL, h,
			CELL);
	}
	fputs("\"/>\n", p->out);
}

static void put_band(const struct picture *p, const struct band *b)
{
	__u64 cells = div_up(b->region_cnt, p->scale);
	const struct pt_segment *segs, *seg;
	char human[16];
	__u32 cnt;

	segs = pt_layout_segments(p->layout, &cnt);
	fprintf(p->out, "<text x=\"%d\" y=\"%u\"><tspan class=\"b\">", LEFT,
		b->y - 9);
	if (b->seg == ~0u) {
		fprintf(p->out, "%u %ssegments</tspan>", p->rest_seg_cnt,
			p->band_cnt > 1 ? "smaller " : "");
	} else {
		seg = &segs[b->seg];
		put_escaped(p->out, seg->name[0] ? seg->name : "(no name)");
		fprintf(p->out, "</tspan> <tspan class=\"s\">%s from 0x%llx"
			"</tspan>", pt_out_human(seg->sz, human),
			seg->gfn * PT_PAGE_SZ);
	}
	fputs("</text>\n", p->out);
	for (__u64 row = 8; row * ROW_CELLS < cells; row += 8)
		fprintf(p->out, "<text class=\"s n\" x=\"%d\" y=\"%llu\">%s"
			"</text>\n", LEFT - 12, b->y + row * PITCH + 9,
			pt_out_human(row * ROW_CELLS * p->scale * PT_REGION_SZ,
				     human));
	put_layer(p, b, "z");
	put_layer(p, b, "m");
	put_layer(p, b, "d");
}

static void put_picture(const struct picture *p, const char *title)
{
	fprintf(p->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" "
		"viewBox=\"0 0 %d %u\" width=\"%d\" height=\"%u\" "
		"role=\"img\">\n<title>What the memory of ", WIDTH, p->height,
		WIDTH, p->height);
	put_escaped(p->out, title);
	fputs(" holds</title>\n", p->out);
	fputs(style, p->out);
	fprintf(p->out, "<rect class=\"bg\" width=\"%d\" height=\"%u\"/>\n",
		WIDTH, p->height);
	put_heading(p, title);
	put_shares(p);
	put_costs(p);
	for (__u32 i = 0; i < p->band_cnt; i++)
		put_band(p, &p->bands[i]);
	fputs("</svg>\n", p->out);
}

int pt_svg_write(const char *path, const char *title,
		 const struct pt_survey *s, const struct pt_layout *l,
		 struct pt_error *err)
{
	struct picture p = { .survey = s, .layout = l };
	int code = bands_choose(&p);
	struct stat st;
	bool is_file;
	int fd;

	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: no memory",
				    path);
	bands_place(&p);
	fd = pt_path_rewrite(path, 0666);
	p.out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!p.out) {
		code = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		goto fail;
	}
	is_file = !fstat(fileno(p.out), &st) && S_ISREG(st.st_mode);
	errno = 0;		/* stdio records that an error occurred, but not
				 * which; nothing below clears errno */
	put_picture(&p, title);
	code = ferror(p.out) ? -1 : 0;
	if (fclose(p.out) || code)
		code = errno ? -errno : -EIO;
	if (code && is_file)
		unlink(path);	/* half a picture; never a device */
fail:
	free(p.rest);
	if (code)
		pt_error_set(err, PT_EXIT_HOST, code, "%s: cannot write the "
			     "picture: %s%s", path, code == -ENXIO
			     ? "a pipe that nobody reads" : strerror(-code),
			     pt_limit_remedy(code));
	return code;
}
