/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "run/run.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

#define FIGURE_MAX	1e18	/* more is no figure of a run */

static double figure(const json_t *o, const char *key)
{
	double value = json_number_value(json_object_get(o, key));

	return value > 0 ? value < FIGURE_MAX ? value : FIGURE_MAX : 0;
}

static void text(char to[PT_RUN_TEXT_SZ], const json_t *o, const char *key)
{
	const char *value = json_string_value(json_object_get(o, key));

	if (value)
		pt_text_clean(to, PT_RUN_TEXT_SZ, value);
}

static void take_round(struct pt_run *run, const json_t *o)
{
	if (run->round_cnt == PT_RUN_ROUNDS_MAX)
		return;
	run->rounds[run->round_cnt++] = (struct pt_run_round){
		.at_ms = figure(o, "at"),
		.time_ms = figure(o, "time"),
		.pause_ms = figure(o, "pause-time"),
		.look_ms = figure(o, "look-time"),
		.pages = figure(o, "pages"),
		.bytes = figure(o, "transferred"),
		.dirty_pages = figure(o, "dirty-pages"),
		.dirty_per_s = figure(o, "dirty-pages-rate"),
		.expected_ms = figure(o, "expected-downtime"),
	};
}

static void take_end(struct pt_run *run, const json_t *o)
{
	static const char *const parts[] = {
#define X(key, text) key,
		PT_RUN_PARTS(X)
#undef X
	};
	const json_t *ram = json_object_get(o, "ram");
	const json_t *live = json_object_get(o, "live");

	text(run->status, o, "status");
	text(run->error, o, "error-desc");
	text(run->transfer_id, o, "transfer-id");
	text(run->tracker, live, "tracker");
	run->total_ms = figure(o, "total-time");
	run->memory_sz = figure(ram, "total");
	run->bytes = figure(ram, "transferred");
	run->frames = figure(o, "frames");
	run->frames_lost = figure(o, "frames-lost");
	run->last_pages = figure(live, "last-pages");
	run->downtime_ms = figure(live, "downtime");
	run->stop_ms = figure(live, "stop-time");
	for (int i = 0; i < PT_RUN_PART_CNT; i++)
		run->part_ms[i] = figure(json_object_get(live, "downtime-parts"),
					 parts[i]);
}

/* take returns false for an object that is no event. */
static bool take(struct pt_run *run, const json_t *o)
{
	const char *event = json_string_value(json_object_get(o, "event"));

	if (!event)
		return false;
	if (!strcmp(event, "started")) {
		text(run->transfer_id, o, "transfer-id");
		text(run->tracker, o, "tracker");
		run->memory_sz = figure(o, "total");
		run->limit_ms = figure(o, "downtime-limit");
	} else if (!strcmp(event, "round")) {
		take_round(run, o);
	} else if (!strcmp(event, "stop")) {
		run->stop_at_ms = figure(o, "at");
	} else if (!strcmp(event, "finished") || !strcmp(event, "failed")) {
		take_end(run, o);
	}
	return true;
}

/* take_all returns the count of events, or -EINVAL: it is no JSON.  An object
 * that the end of the file cuts is none, and all before it count. */
static int take_all(struct pt_run *run, FILE *in)
{
	int cnt = 0, c;

	while ((c = fgetc(in)) != EOF) {
		json_t *o;

		if (strchr(" \t\r\n", c))
			continue;
		ungetc(c, in);
		o = json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL);
		run->is_cut = !o && cnt && c == '{' && feof(in);
		if (run->is_cut)
			break;
		if (!o)
			return -EINVAL;
		cnt += take(run, o);
		json_decref(o);
	}
	return cnt;
}

static int read_from(struct pt_run *run, FILE *in, const char *path,
		     struct pt_error *err)
{
	struct stat st;
	int cnt;

	if (fstat(fileno(in), &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode) || st.st_size > PT_RUN_FILE_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: want a "
				    "regular file of at most %u bytes", path,
				    PT_RUN_FILE_MAX);
	cnt = take_all(run, in);
	if (cnt < 0)
		return pt_error_set(err, PT_EXIT_HOST, cnt, "%s: is no JSON (give "
				    "the output of 'pagetrim migrate {json}')",
				    path);
	if (!cnt)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL, "%s: has no "
				    "events (give the output of 'pagetrim "
				    "migrate {json}')", path);
	return 0;
}

int pt_run_read(struct pt_run **out, const char *path, struct pt_error *err)
{
	struct pt_run *run = calloc(1, sizeof(*run));
	FILE *in = run ? fopen(path, "re") : NULL;
	int ret;

	if (!in) {
		ret = pt_error_set(err, PT_EXIT_HOST, run ? -errno : -ENOMEM,
				   "%s: %m", path);
		free(run);
		return ret;
	}
	ret = read_from(run, in, path, err);
	fclose(in);
	if (ret)
		free(run);
	else
		*out = run;
	return ret;
}
