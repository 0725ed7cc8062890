/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/receive_control.h"

#include <errno.h>
#include <stdlib.h>
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

	json_object_set_new(o, "max-bandwidth", json_integer(r->bytes_per_s));
	json_object_set_new(o, "quota", json_integer(r->quota_sz));
	if (r->has_ledger)
		json_object_set_new(o, "ledger", pt_report_ledger_json(
				    &r->ledger, r->sent, r->unaccounted));
	return o;
}

/* limits_json: those of the options with the same names; 0: none. */
static json_t *limits_json(const struct pt_receiver_cfg *cfg)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}",
		"max-memory", (json_int_t)cfg->memory_sz_max,
		"max-transfers", (json_int_t)cfg->peer.transfers,
		"max-peer-memory", (json_int_t)cfg->peer.memory_sz,
		"max-files", (json_int_t)cfg->files_sz_max,
		"max-peer-files", (json_int_t)cfg->peer.files_sz);
}

static json_t *status(const struct pt_receive_control *c)
{
	struct pt_receive_report shown[PT_RECEIVE_SHOWN_MAX];
	__u32 cnt = pt_receiver_status(c->receiver, shown,
				       PT_RECEIVE_SHOWN_MAX);
	json_t *transfers = json_array(), *o;

	for (__u32 i = 0; i < cnt && i < PT_RECEIVE_SHOWN_MAX; i++)
		json_array_append_new(transfers, transfer_json(&shown[i]));
	o = json_pack("{s:s, s:s, s:i, s:o, s:o}", "role", "receiver",
		      "status", cnt ? "active" : "waiting",
		      "transfer-count", (int)cnt, "limits",
		      limits_json(c->cfg), "transfers", transfers);
	pt_arrival_report(c->arrival, o);
	pt_control_identify(c->at, o);
	return o;
}

/* cancel ends all. */
static json_t *cancel(struct pt_receive_control *c)
{
	if (c->cfg->serve)
		return pt_answer_refuse("a receiver that serves is not ended by "
					"'cancel' ('cancel TRANSFER-ID' ends one "
					"transfer; 'drain' or SIGTERM the "
					"receiver)");
	pt_receiver_cancel(c->receiver);
	return json_pack("{s:s}", "done", "is cancelled");
}

/* cancel_one ends the transfer with that number, hexadecimal. */
static json_t *cancel_one(struct pt_receive_control *c, const char *number)
{
	struct pt_error err;
	__u64 id;

	if (strlen(number) != 16 ||
	    strspn(number, "0123456789abcdef") != 16)
		return pt_answer_refuse("cancel: want a transfer's 16 "
					"hexadecimal digits, as of 'status'");
	id = strtoull(number, NULL, 16);
	if (pt_receiver_cancel_transfer(c->receiver, id, &err))
		return pt_answer_refuse(err.text);
	return json_pack("{s:o}", "done", json_sprintf("transfer %s is "
			 "cancelled", number));
}

static json_t *answer_to(void *arg, const char *line)
{
	static const char one[] = "cancel ";
	struct pt_receive_control *c = arg;

	if (!strcmp(line, "status"))
		return status(c);
	if (!strcmp(line, "cancel"))
		return cancel(c);
	if (!strncmp(line, one, sizeof(one) - 1))
		return cancel_one(c, line + sizeof(one) - 1);
	if (!strcmp(line, "drain") && c->cfg->serve) {
		pt_receiver_drain(c->receiver);
		return json_pack("{s:s}", "done", "takes no new transfer, and "
				 "ends once those that run have ended");
	}
	if (!strcmp(line, "drain"))
		return pt_answer_refuse("a receiver of one transfer takes no "
					"further one and then ends");
	return pt_answer_refuse("a receiver: want 'status', 'cancel' or 'drain' "
				"(the sender has the others)");
}

int pt_receive_control_open(struct pt_receive_control *c, struct pt_control *at,
			    struct pt_receiver *receiver,
			    const struct pt_receiver_cfg *cfg,
			    const struct pt_arrival *arrival, struct pt_error *err)
{
	*c = (struct pt_receive_control){
		.at = at, .receiver = receiver, .cfg = cfg, .arrival = arrival,
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
	if (c->last.total_ns && !c->cfg->serve)
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
