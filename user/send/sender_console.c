/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a sender answers who asks it on this host, and what it lets be changed.
 * Requests are words apart by a blank each; answers are JSON objects. */
#include "send/sender_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "lane/rate.h"

#define REQUESTS_MAX	16		/* answered before frames and messages
					 * are looked after again */
#define LOOK_NS		500000000ULL	/* bandwidth: of so long, at least */

static json_t *status(struct pt_sender *s)
{
	const struct pt_send_report *r = s->report;
	const struct pt_send_look *look = &s->looks[0];
	__u64 now_ns = pt_clock_ns();

	pt_sender_count(s);
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:I, s:f}",
		"status", pt_send_phase_name(r->phase),
		"transfer-id", json_sprintf("%016llx", (unsigned long long)
					    r->transfer_id),
		"total-time", (json_int_t)((now_ns - s->started_ns) / 1000000),
		"total", (json_int_t)r->memory_sz,
		"remaining", (json_int_t)pt_send_left_sz(r),
		"transferred", (json_int_t)r->wire_bytes,
		"files-total", (json_int_t)r->files_sz,
		"files-remaining", (json_int_t)(r->files_sz -
						r->files_sent_sz),
		"frames", (json_int_t)r->frames,
		"frames-lost", (json_int_t)r->frames_lost,
		"bandwidth", (json_int_t)((r->wire_bytes - look->wire_bytes) *
			1e9 / (now_ns - look->ns + 1)),
		"max-bandwidth", (json_int_t)pt_pacer_rate(&s->pacer),
		"path-rate", (json_int_t)r->path.bytes_per_s,
		"path-window", (json_int_t)r->path.window,
		"path-rtt", r->path.rtt_ns / 1e6);
}

static json_t *refuse(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

/* set_bandwidth: text is a whole number of bytes, digits only, or auto. */
static json_t *set_bandwidth(struct pt_sender *s, const char *text)
{
	struct pt_error err;
	__u64 rate = PT_RATE_AUTO;

	errno = 0;
	if (strcmp(text, "auto")) {
		rate = strtoull(text, NULL, 10);
		if (!*text || strspn(text, "0123456789") != strlen(text) ||
		    errno || rate > PT_RATE_MAX)
			return refuse("max-bandwidth: want 0..1099511627776 "
				      "bytes a second, 0 for no limit, or "
				      "auto");
	}
	if (pt_rate_choose(&rate, rate, &s->path.device, &err))
		return refuse(err.text);
	s->report->bytes_per_s = rate;
	pt_pacer_set(&s->pacer, rate, pt_clock_ns());
	return json_pack("{s:I}", "max-bandwidth", (json_int_t)rate);
}

static json_t *answer_to(struct pt_sender *s, const char *line)
{
	static const char set[] = "set max-bandwidth ";

	if (!strcmp(line, "status"))
		return status(s);
	if (!strncmp(line, set, sizeof(set) - 1))
		return set_bandwidth(s, line + sizeof(set) - 1);
	return refuse("want 'status' or 'set max-bandwidth N'");
}

/* look: what bandwidth is told is that of the last half to whole second. */
static void look(struct pt_sender *s)
{
	__u64 now_ns = pt_clock_ns();

	if (now_ns - s->looks[1].ns < LOOK_NS)
		return;
	pt_sender_count(s);
	s->looks[0] = s->looks[1];
	s->looks[1] = (struct pt_send_look){ now_ns, s->report->wire_bytes };
}

void pt_sender_answer(struct pt_sender *s)
{
	char line[PT_CONSOLE_LINE_SZ], text[PT_CONSOLE_ANSWER_SZ];

	if (!s->console)
		return;
	look(s);
	for (unsigned i = 0;
	     i < REQUESTS_MAX && pt_console_take(s->console, line); i++) {
		json_t *answer = answer_to(s, line);
		size_t sz = json_dumpb(answer, text, sizeof(text) - 1, 0);

		json_decref(answer);
		if (!sz || sz >= sizeof(text))
			sz = sprintf(text, "{\"error\": \"no memory\"}");
		text[sz] = '\0';
		pt_console_answer(s->console, text);
	}
}
