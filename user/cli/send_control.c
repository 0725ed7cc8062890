/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/send_control.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/clock.h>
#include "cli/report_live.h"
#include "lane/rate.h"

#define REQUESTS_MAX	16		/* answered per call, so that the sender
					 * has its turn */
#define LOOK_NS		500000000ULL	/* bandwidth is averaged over this time
					 * at least */

static json_t *status(const struct pt_send_control *c)
{
	const struct pt_send_look *look = &c->looks[0];
	__u64 now_ns = pt_clock_ns();
	struct pt_send_report r;
	json_t *o;

	pt_sender_status(c->sender, &r);
	o = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:I, s:f}",
		"status", pt_send_phase_name(r.phase),
		"transfer-id", json_sprintf("%016llx", (unsigned long long)
					    r.transfer_id),
		"total-time", (json_int_t)(r.total_ns / 1000000),
		"total", (json_int_t)r.memory_sz,
		"remaining", (json_int_t)pt_send_left_sz(&r),
		"transferred", (json_int_t)r.wire_bytes,
		"files-total", (json_int_t)r.files_sz,
		"files-remaining", (json_int_t)(r.files_sz - r.files_sent_sz),
		"frames", (json_int_t)r.frames,
		"frames-lost", (json_int_t)r.frames_lost,
		"bandwidth", (json_int_t)((r.wire_bytes - look->wire_bytes) *
			1e9 / (now_ns - look->ns + 1)),
		"max-bandwidth", (json_int_t)r.bytes_per_s,
		"path-rate", (json_int_t)r.path.bytes_per_s,
		"path-window", (json_int_t)r.path.window,
		"path-rtt", r.path.rtt_ns / 1e6);
	if (r.live.step)
		json_object_set_new(o, "live", pt_report_live_json(&r.live));
	return o;
}

static json_t *refuse(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

/* set_bandwidth: text is a whole number of bytes, digits only, or auto. */
static json_t *set_bandwidth(const struct pt_send_control *c, const char *text)
{
	struct pt_send_report now;
	__u64 rate = PT_RATE_AUTO;
	struct pt_error err;

	errno = 0;
	if (strcmp(text, "auto")) {
		rate = strtoull(text, NULL, 10);
		if (!*text || strspn(text, "0123456789") != strlen(text) ||
		    errno || rate > PT_RATE_MAX)
			return refuse("max-bandwidth: want 0..1099511627776 "
				      "bytes a second, 0 for no limit, or "
				      "auto");
	}
	if (pt_sender_set_rate(c->sender, rate, &err))
		return refuse(err.text);
	pt_sender_status(c->sender, &now);
	return json_pack("{s:I}", "max-bandwidth", (json_int_t)now.bytes_per_s);
}

static json_t *answer_to(const struct pt_send_control *c, const char *line)
{
	static const char set[] = "set max-bandwidth ";

	if (!strcmp(line, "status"))
		return status(c);
	if (!strncmp(line, set, sizeof(set) - 1))
		return set_bandwidth(c, line + sizeof(set) - 1);
	return refuse("want 'status' or 'set max-bandwidth N'");
}

/* look: the reported bandwidth is that of the last half to whole second. */
static void look(struct pt_send_control *c)
{
	__u64 now_ns = pt_clock_ns();
	struct pt_send_report r;

	if (now_ns - c->looks[1].ns < LOOK_NS)
		return;
	pt_sender_status(c->sender, &r);
	c->looks[0] = c->looks[1];
	c->looks[1] = (struct pt_send_look){ now_ns, r.wire_bytes };
}

int pt_send_control_open(struct pt_send_control *c, const char *path,
			 struct pt_sender *sender, struct pt_error *err)
{
	memset(c, 0, sizeof(*c));
	c->sender = sender;
	return path ? pt_ctl_open(&c->ctl, path, err) : 0;
}

void pt_send_control_close(struct pt_send_control *c)
{
	pt_ctl_close(c->ctl);
	c->ctl = NULL;
}

void pt_send_control_answer(struct pt_send_control *c)
{
	char line[PT_CTL_LINE_SZ], text[PT_CTL_ANSWER_SZ];

	if (!c->ctl)
		return;
	look(c);
	for (unsigned i = 0;
	     i < REQUESTS_MAX && pt_ctl_take(c->ctl, line); i++) {
		json_t *answer = answer_to(c, line);
		size_t sz = json_dumpb(answer, text, sizeof(text) - 1, 0);

		json_decref(answer);
		if (!sz || sz >= sizeof(text))
			sz = sprintf(text, "{\"error\": \"no memory\"}");
		text[sz] = '\0';
		pt_ctl_answer(c->ctl, text);
	}
}
