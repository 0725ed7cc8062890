/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/receive_control.h"

#include <errno.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/json_text.h"
#include "cli/record.h"
#include "cli/report.h"

#define REQUESTS_MAX	16	/* per call, so that the receiver has its turn */

static json_t *transfer_json(const struct pt_receive_report *r)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:f, s:{s:I, s:I}, s:I, s:b}",
		"transfer-id", json_sprintf("%016llx",
					    (unsigned long long)r->transfer_id),
		"name", pt_json_clean(r->name), "peer", pt_json_clean(r->peer),
		"identity", pt_json_clean(r->identity),
		"total-time", r->total_ns / 1e6,
		"ram", "total", (json_int_t)r->memory_sz,
		"placed", (json_int_t)r->placed_sz,
		"files-total", (json_int_t)r->files_sz,
		"resumed", r->is_resumed);

	if (r->has_ledger)
		json_object_set_new(o, "ledger", pt_report_ledger_json(
				    &r->ledger, r->sent, r->unaccounted));
	return o;
}

static json_t *status(const struct pt_receive_control *c)
{
	struct pt_receive_report shown[PT_RECEIVE_SHOWN_MAX];
	__u32 cnt = pt_receiver_status(c->receiver, shown,
				       PT_RECEIVE_SHOWN_MAX);
	json_t *transfers = json_array(), *o;

	for (__u32 i = 0; i < cnt && i < PT_RECEIVE_SHOWN_MAX; i++)
		json_array_append_new(transfers, transfer_json(&shown[i]));
	o = json_pack("{s:s, s:s, s:i, s:o}", "role", "receiver",
		      "status", cnt ? "active" : "waiting",
		      "transfer-count", (int)cnt, "transfers", transfers);
	pt_control_identify(c->at, o);
	return o;
}

static json_t *answer_to(void *arg, const char *line)
{
	struct pt_receive_control *c = arg;

	if (!strcmp(line, "status"))
		return status(c);
	if (!strcmp(line, "drain") && c->serve) {
		pt_receiver_drain(c->receiver);
		return json_pack("{s:s}", "done", "takes no new transfer, and "
				 "ends once those that run have ended");
	}
	if (!strcmp(line, "drain"))
		return pt_answer_refuse("a receiver of one transfer takes no "
					"further one and then ends");
	if (strcmp(line, "cancel"))
		return pt_answer_refuse("a receiver: want 'status', 'cancel' or "
					"'drain' (the sender has the others)");
	if (c->serve)
		return pt_answer_refuse("a receiver that serves is not ended by "
					"a request ('drain' or SIGTERM ends it; a "
					"sender's 'cancel' ends one transfer)");
	pt_receiver_cancel(c->receiver);
	return json_pack("{s:s}", "done", "is cancelled");
}

int pt_receive_control_open(struct pt_receive_control *c, struct pt_control *at,
			    struct pt_receiver *receiver, bool serve,
			    struct pt_error *err)
{
	*c = (struct pt_receive_control){
		.at = at, .receiver = receiver, .serve = serve,
	};
	return pt_control_open(at, err);
}

void pt_receive_control_ended(struct pt_receive_control *c,
			      const struct pt_receive_report *r)
{
	c->last = *r;
}

void pt_receive_control_end(struct pt_receive_control *c, int ret,
			    const struct pt_error *err, const char *guest)
{
	json_t *o;

	if (!c->at || !c->at->ctl || !c->at->path)
		return;
	o = json_pack("{s:s}", "role", "receiver");
	if (c->last.total_ns && !c->serve)
		json_object_set_new(o, "transfers", json_pack("[o]",
				    transfer_json(&c->last)));
	pt_control_identify(c->at, o);
	pt_record_end(c->at->path, o, ret, err, guest);
}

void pt_receive_control_answer(struct pt_receive_control *c)
{
	if (c->at->ctl)
		pt_answer_all(c->at->ctl, REQUESTS_MAX, answer_to, c);
}
