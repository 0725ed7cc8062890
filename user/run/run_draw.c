/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Draws a run as HTML: figures, and one SVG per chart. */
#include "run/run.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chart: the plot is the rectangle from LEFT, TOP to RIGHT, BOTTOM. */
#define WIDTH	640
#define HEIGHT	260
#define LEFT	84.0
#define TOP	16.0
#define RIGHT	612.0
#define BOTTOM	216.0
#define TICKS	4
#define LABELS	12	/* at most, on the axis of rounds */

/* scale: how a figure becomes a height. */
struct scale {
	double factor;		/* from tick to tick; 0: linear */
	int tick_cnt;		/* above that of min */
	double min, max;	/* of the axis */
	const char *unit;	/* "B", "B/s": as powers of 1024; else as is */
};

static const char style[] =
"body{font:15px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;"
"color:#1c2430}\n"
"main{max-width:1360px;margin:0 auto;padding:32px 24px}\n"
"h1{font-size:24px;margin:0}h2{font-size:16px;margin:0 0 2px}\n"
"p{margin:0 0 10px;color:#5b6675;font-size:13px}\n"
".tiles,.grid{display:grid;gap:16px;margin-top:20px}\n"
".tiles{grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}\n"
".grid{grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr))}\n"
"section,.tile{background:#fff;border:1px solid #dfe3e9;border-radius:10px;"
"padding:16px 18px}\n"
".tile b{display:block;font-size:21px}.tile{color:#5b6675;font-size:13px}\n"
".tile b{color:#1c2430}.bad{color:#b3261e}\n"
"svg{width:100%;height:auto;display:block}\n"
"text{font:12px system-ui,sans-serif;fill:#5b6675}\n"
".grid-line{stroke:#e5e8ed}.axis{stroke:#aab2bd}\n"
".a{fill:#2563c9}.a-line{stroke:#2563c9}.b{fill:#d9660a}"
".b-line{stroke:#d9660a}\n"
".line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
".stem{stroke-width:1.5;opacity:.35}.stop{fill:#b3261e;opacity:.16}\n"
".stop-line{stroke:#b3261e;stroke-dasharray:5 4}\n"
".p0{fill:#2563c9}.p1{fill:#d9660a}.p2{fill:#12806a}.p3{fill:#8a4fbf}"
".p4{fill:#7c8794}\n";

static const char dark_style[] =
"@media (prefers-color-scheme:dark){body{background:#12161c;color:#e6eaf0}\n"
"section,.tile{background:#1a2029;border-color:#2c3542}"
".tile b{color:#e6eaf0}\n"
"p,.tile{color:#9aa6b6}text{fill:#9aa6b6}.bad{color:#ff8a80}\n"
".grid-line{stroke:#28313d}.axis{stroke:#4a5666}\n"
".a{fill:#6ea8ff}.a-line{stroke:#6ea8ff}.b{fill:#ffa04d}"
".b-line{stroke:#ffa04d}\n"
".stop{fill:#ff8a80}.stop-line{stroke:#ff8a80}\n"
".p0{fill:#6ea8ff}.p1{fill:#ffa04d}.p2{fill:#3fc7a8}.p3{fill:#c08bf0}"
".p4{fill:#94a0ae}}\n";

/* put_text prints text of the file, which may be anything. */
static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':	fputs("&lt;", out); break;
		case '>':	fputs("&gt;", out); break;
		case '&':	fputs("&amp;", out); break;
		case '"':	fputs("&quot;", out); break;
		case '\'':	fputs("&#39;", out); break;
		default:	fputc(*text, out);
		}
	}
}

/* label writes a figure, for people. */
static const char *label(char to[32], double value, const char *unit)
{
	static const char *const bytes[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi" };
	static const char *const plain[] = { "", "k", "M", "G", "T", "P" };
	bool is_bytes = unit[0] == 'B';
	double base = is_bytes ? 1024 : 1000, least = is_bytes ? 1024 : 10000;
	unsigned i = 0;

	while ((is_bytes || !*unit) && value >= least && i < 5) {
		value /= base;
		least = base;
		i++;
	}
	snprintf(to, 32, value < 1000 ? "%.3g%s%s%s" : "%.0f%s%s%s", value,
		 *unit ? " " : "",
		 (is_bytes ? bytes : plain)[i], unit);
	return to;
}

/* fit makes a scale whose ticks are round: for logarithms powers of 10, or 32 for
 * bytes; else 1, 2 or 5 of one. */
static struct scale fit(double max, const char *unit, bool is_log)
{
	struct scale s = { .unit = unit };
	double step, base = 1;

	if (is_log) {
		s.factor = unit[0] == 'B' ? 32 : 10;
		s.min = unit[0] == 'B' ? 1024 : unit[0] ? 0.1 : 1;
		for (s.max = s.min * s.factor; s.max < max; s.max *= s.factor)
			s.tick_cnt++;
		s.tick_cnt++;
		return s;
	}
	s.tick_cnt = TICKS;
	if (unit[0] == 'B')
		while (max / base >= 1024)
			base *= 1024;
	step = max > 0 ? max / base / TICKS : 1;
	base *= pow(10, floor(log10(step)));
	step = max > 0 ? max / base / TICKS : 1;
	s.max = base * TICKS * (step <= 1 ? 1 : step <= 2 ? 2 : step <= 5 ? 5 : 10);
	return s;
}

static double height(const struct scale *s, double value)
{
	double share = s->factor
		? value <= s->min ? 0 : log(value / s->min) / log(s->max / s->min)
		: value / s->max;

	return BOTTOM - (share > 1 ? 1 : share) * (BOTTOM - TOP);
}

static void chart_begin(FILE *out, const char *title, const char *text)
{
	fprintf(out, "<section><h2>%s</h2><p>%s</p>\n<svg xmlns=\"http://"
		"www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s\">\n", title, text, WIDTH, HEIGHT, title);
}

static void chart_end(FILE *out)
{
	fputs("</svg></section>\n", out);
}

static void axis(FILE *out, const struct scale *s)
{
	int every = s->tick_cnt > 8 ? 2 : 1;
	char text[32];

	for (int i = 0; i <= s->tick_cnt; i += every) {
		double value = s->factor ? s->min * pow(s->factor, i)
					 : s->max * i / s->tick_cnt;
		double y = height(s, value);

		fprintf(out, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" "
			"y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
			"text-anchor=\"end\">%s</text>\n", i ? "grid-line"
			: "axis", LEFT, RIGHT, y, y, LEFT - 8, y + 4,
			label(text, value, s->unit));
	}
}

static double round_x(const struct pt_run *run, __u32 i)
{
	return LEFT + (RIGHT - LEFT) * (i + 0.5) / run->round_cnt;
}

static void round_axis(FILE *out, const struct pt_run *run)
{
	__u32 every = (run->round_cnt + LABELS - 1) / LABELS;

	for (__u32 i = 0; i < run->round_cnt; i += every)
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor="
			"\"middle\">%u</text>\n", round_x(run, i), BOTTOM + 18,
			i + 1);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">round"
		"</text>\n", (LEFT + RIGHT) / 2, BOTTOM + 38);
}

/* dot draws one figure of a round; colour: "a" or "b". */
static void dot(FILE *out, const struct scale *s, double x, double value,
		const char *colour, const char *what)
{
	char text[32];

	fprintf(out, "<line class=\"stem %s-line\" x1=\"%.1f\" x2=\"%.1f\" "
		"y1=\"%.1f\" y2=\"%.1f\"/><circle class=\"%s\" cx=\"%.1f\" "
		"cy=\"%.1f\" r=\"4\"><title>%s: %s</title></circle>\n", colour,
		x, x, BOTTOM, height(s, value), colour, x, height(s, value),
		what, label(text, value, s->unit));
}

/* largest returns the largest of a field of all rounds. */
static double largest(const struct pt_run *run, size_t off)
{
	double max = 0;

	for (__u32 i = 0; i < run->round_cnt; i++) {
		const void *field = (const char *)&run->rounds[i] + off;
		double value = *(const double *)field;

		max = value > max ? value : max;
	}
	return max;
}

#define LARGEST(run, field) \
	largest(run, offsetof(struct pt_run_round, field))

static void draw_pages(FILE *out, const struct pt_run *run)
{
	struct scale s = fit(fmax(LARGEST(run, pages), LARGEST(run, dirty_pages)),
			     "", true);

	chart_begin(out, "Pages by round", "Blue: sent. Orange: written again "
		    "meanwhile. Logarithmic.");
	axis(out, &s);
	for (__u32 i = 0; i < run->round_cnt; i++) {
		double x = round_x(run, i), by = run->round_cnt > 60 ? 0 : 5;

		dot(out, &s, x - by, run->rounds[i].pages, "a", "sent");
		dot(out, &s, x + by, run->rounds[i].dirty_pages, "b", "dirty");
	}
	round_axis(out, run);
	chart_end(out);
}

static void draw_bytes(FILE *out, const struct pt_run *run)
{
	struct scale s = fit(LARGEST(run, bytes), "B", true);

	chart_begin(out, "Bytes by round", "Ethernet bytes of the frames that "
		    "were sent. Logarithmic.");
	axis(out, &s);
	for (__u32 i = 0; i < run->round_cnt; i++)
		dot(out, &s, round_x(run, i), run->rounds[i].bytes, "a", "sent");
	round_axis(out, run);
	chart_end(out);
}

static void draw_expected(FILE *out, const struct pt_run *run)
{
	struct scale s = fit(fmax(LARGEST(run, expected_ms), run->limit_ms), "ms",
			     true);
	char text[32];

	chart_begin(out, "Expected downtime by round", "If the guest had been "
		    "stopped then. Dashed: the limit. Logarithmic.");
	axis(out, &s);
	for (__u32 i = 0; i < run->round_cnt; i++)
		dot(out, &s, round_x(run, i), run->rounds[i].expected_ms, "a",
		    "expected");
	if (run->limit_ms > 0)
		fprintf(out, "<line class=\"stop-line\" x1=\"%.1f\" x2=\"%.1f\" "
			"y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\" "
			"text-anchor=\"end\">limit %s</text>\n", LEFT, RIGHT,
			height(&s, run->limit_ms), height(&s, run->limit_ms),
			RIGHT, height(&s, run->limit_ms) - 5,
			label(text, run->limit_ms, "ms"));
	round_axis(out, run);
	chart_end(out);
}

/* --- rates over time ------------------------------------------------- */

static double sent_per_s(const struct pt_run_round *r)
{
	return r->time_ms > 0 ? r->bytes * 1000 / r->time_ms : 0;
}

/* end_ms returns the end of the axis: that of the run, or the last event. */
static double end_ms(const struct pt_run *run)
{
	double last = run->round_cnt ? run->rounds[run->round_cnt - 1].at_ms : 0;

	return fmax(fmax(run->total_ms, last), fmax(run->stop_at_ms, 1));
}

static double time_x(const struct pt_run *run, double ms)
{
	return LEFT + (RIGHT - LEFT) * fmin(fmax(ms, 0) / end_ms(run), 1);
}

/* put_rates prints the points of one line: each round is level.  It is sent first,
 * then come its pause and its look. */
static void put_rates(FILE *out, const struct pt_run *run,
		      const struct scale *s, bool is_dirty)
{
	fprintf(out, "<polyline class=\"line %s-line\" points=\"",
		is_dirty ? "b" : "a");
	for (__u32 i = 0; i < run->round_cnt; i++) {
		const struct pt_run_round *r = &run->rounds[i];
		double begin = r->at_ms - r->look_ms - r->pause_ms - r->time_ms;
		double end = is_dirty ? r->at_ms : begin + r->time_ms;
		double y = height(s, is_dirty ? r->dirty_per_s * 4096
					      : sent_per_s(r));

		fprintf(out, "%.1f,%.1f %.1f,%.1f ", time_x(run, begin), y,
			time_x(run, end), y);
	}
	fputs("\"/>\n", out);
}

static void draw_rates(FILE *out, const struct pt_run *run)
{
	double max = LARGEST(run, dirty_per_s) * 4096;
	double still = run->stop_at_ms + run->stop_ms;
	struct scale s;
	char text[32];

	for (__u32 i = 0; i < run->round_cnt; i++)
		max = fmax(max, sent_per_s(&run->rounds[i]));
	s = fit(max, "B/s", false);
	chart_begin(out, "Rates over time", "Blue: sent on the wire. Orange: "
		    "memory that the guest wrote. Red: the guest stands still.");
	axis(out, &s);
	if (run->stop_at_ms > 0 && run->downtime_ms > 0)
		fprintf(out, "<rect class=\"stop\" x=\"%.1f\" y=\"%.1f\" "
			"width=\"%.1f\" height=\"%.1f\"/>\n",
			time_x(run, still), TOP,
			fmax(time_x(run, still + run->downtime_ms) -
			     time_x(run, still), 2), BOTTOM - TOP);
	put_rates(out, run, &s, false);
	put_rates(out, run, &s, true);
	for (int i = 0; i <= TICKS; i++)
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">"
			"%s</text>\n", LEFT + (RIGHT - LEFT) * i / TICKS,
			BOTTOM + 18, label(text, end_ms(run) / 1000 * i / TICKS,
					   "s"));
	chart_end(out);
}

/* --- the downtime ---------------------------------------------------- */

static void draw_downtime(FILE *out, const struct pt_run *run)
{
	static const char *const names[] = {
#define X(key, text) text,
		PT_RUN_PARTS(X)
#undef X
	};
	double sum = 0, x = 16, whole = WIDTH - 32;

	for (int i = 0; i < PT_RUN_PART_CNT; i++)
		sum += run->part_ms[i];
	if (sum <= 0)
		return;
	chart_begin(out, "Downtime by part", "From the stop of the guest until it "
		    "was started at the other host.");
	for (int i = 0; i < PT_RUN_PART_CNT; i++) {
		double w = whole * run->part_ms[i] / sum, y = 94 + i * 32;

		fprintf(out, "<rect class=\"p%d\" x=\"%.1f\" y=\"16\" width="
			"\"%.1f\" height=\"44\"><title>%s</title></rect>\n", i, x,
			fmax(w - 1, 0.5), names[i]);
		fprintf(out, "<rect class=\"p%d\" x=\"16\" y=\"%.0f\" width="
			"\"14\" height=\"14\" "
			"rx=\"3\"/><text x=\"40\" y=\"%.0f\">"
			"%s</text><text x=\"300\" y=\"%.0f\" text-anchor=\"end\">"
			"%.1f ms</text><text x=\"370\" y=\"%.0f\" text-anchor="
			"\"end\">%.0f %%</text>\n", i, y, y + 12, names[i],
			y + 12, run->part_ms[i], y + 12,
			100 * run->part_ms[i] / sum);
		x += w;
	}
	chart_end(out);
}

/* --- the page -------------------------------------------------------- */

static void tile(FILE *out, const char *what, double value, const char *unit)
{
	char text[32];

	fprintf(out, "<div class=\"tile\"><b>%s</b>%s</div>\n",
		label(text, value, unit), what);
}

static void print_head(FILE *out, const struct pt_run *run)
{
	bool is_done = !strcmp(run->status, "completed");

	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width\">"
	      "<meta name=\"color-scheme\" content=\"light dark\">"
	      "<title>pagetrim: transfer ", out);
	put_text(out, run->transfer_id);
	fprintf(out, "</title>\n<style>\n%s%s</style></head>\n<body><main>\n<h1>"
		"Transfer ", style, dark_style);
	put_text(out, run->transfer_id);
	fprintf(out, "</h1>\n<p%s>", is_done ? "" : " class=\"bad\"");
	put_text(out, run->status[0] ? run->status : "its end is not recorded");
	if (run->is_cut)
		fputs("; the last event is cut, and left out", out);
	if (run->error[0]) {
		fputs(": ", out);
		put_text(out, run->error);
	}
	if (run->tracker[0]) {
		fputs("; written pages were found by ", out);
		put_text(out, run->tracker);
	}
	fputs("</p>\n", out);
}

static void print_page(FILE *out, const struct pt_run *run)
{
	print_head(out, run);
	fputs("<div class=\"tiles\">\n", out);
	tile(out, "memory", run->memory_sz, "B");
	tile(out, "on the wire", run->bytes, "B");
	tile(out, "in all", run->total_ms / 1000, "s");
	tile(out, "rounds", run->round_cnt, "");
	tile(out, "pages after the stop", run->last_pages, "");
	tile(out, "downtime", run->downtime_ms, "ms");
	tile(out, "frames lost", run->frames_lost, "");
	fputs("</div>\n<div class=\"grid\">\n", out);
	if (run->round_cnt) {
		draw_rates(out, run);
		draw_pages(out, run);
		draw_bytes(out, run);
		draw_expected(out, run);
	}
	draw_downtime(out, run);
	fputs("</div></main></body></html>\n", out);
}

int pt_run_draw(const struct pt_run *run, const char *path,
		struct pt_error *err)
{
	FILE *out = fopen(path, "we");
	bool is_bad;

	if (!out)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", path);
	print_page(out, run);
	is_bad = fflush(out) || ferror(out);
	if (is_bad)
		pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot be "
			     "written: %m", path);
	fclose(out);
	if (is_bad)
		return -EIO;
	return 0;
}
