/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rxq/intake.h"

/* by: the identification of a peer. */
enum by {
	BY_ADDRESS,
	BY_NAME,
	BY_CNT,			/* that a->limits are of */
	BY_SHARE = BY_CNT,
};

static const char *const of_one[] = {
	[BY_ADDRESS] = "one address",
	[BY_NAME] = "one certificate name, from any address",
	[BY_SHARE] = "one section, memory and files",
};

/* sum: the totals of a peer's transfers. */
struct sum {
	__u32	cnt;
	__u64	memory_sz;
	__u64	files_sz;
};

static bool is_of(const struct pt_admitted *t, const struct pt_admitted *peer,
		  enum by by)
{
	if (by == BY_SHARE)
		return peer->share[0] && !strcmp(t->share, peer->share);
	if (by == BY_NAME)
		return peer->name[0] && !strcmp(t->name, peer->name);
	return !memcmp(t->ip, peer->ip, sizeof(t->ip));
}

static struct sum sum_of(const struct pt_admission *a,
			 const struct pt_admitted *peer, enum by by)
{
	struct sum sum = { 0 };

	for (__u32 i = 0; i < PT_ADMISSION_MAX; i++) {
		const struct pt_admitted *t = &a->all[i];

		if (!t->is_in || !is_of(t, peer, by))
			continue;
		sum.cnt++;
		sum.memory_sz += t->memory_sz;
		sum.files_sz += t->files_sz;
	}
	return sum;
}

/* subject of a message: the peer whose limit it is. */
static const char *subject(const struct pt_admitted *t, enum by by,
			   char text[PT_TLS_NAME_SZ + PT_ADDRESS_TEXT_SZ])
{
	struct pt_address address = { .port = 0 };

	memcpy(address.ip, t->ip, sizeof(address.ip));
	if (by == BY_ADDRESS)
		return pt_address_print(&address, text);
	sprintf(text, by == BY_NAME ? "certificate '%s'" : "identity '%s'",
		by == BY_NAME ? t->name : t->share);
	return text;
}

/* check_sz: the peer has had_sz of max_sz already, and sz more bytes are
 * requested. */
static int check_sz(const struct pt_admitted *t, enum by by, __u64 had_sz,
		    __u64 sz, __u64 max_sz, const char *what,
		    const char *option, struct pt_error *err)
{
	char text[PT_TLS_NAME_SZ + PT_ADDRESS_TEXT_SZ], own[PT_ERROR_OWN_SZ];

	if (!max_sz || (had_sz <= max_sz && sz <= max_sz - had_sz))
		return 0;
	max_sz = max_sz > had_sz ? max_sz : had_sz;	/* it was made less */
	return pt_error_set(err, PT_EXIT_HOST, -EDQUOT, "%s: %s of %llu bytes, "
			    "and %llu are left of %llu for %s (receive %s)",
			    subject(t, by, text), what, sz, max_sz - had_sz,
			    max_sz, of_one[by], pt_error_own(own, option));
}

int pt_admission_check(const struct pt_admission *a, __u64 transfer_id,
		       struct pt_error *err)
{
	for (__u32 i = 0; i < PT_ADMISSION_MAX; i++)
		if (a->all[i].is_in && a->all[i].transfer_id == transfer_id)
			return pt_error_set(err, PT_EXIT_PEER, -EEXIST,
					    "transfer %016llx is running already "
					    "(an id is of one transfer: start "
					    "the sender again)", transfer_id);
	return 0;
}

int pt_admission_enter(struct pt_admission *a, struct pt_admitted **out,
		       const struct pt_address *peer, const char *name,
		       __u64 transfer_id, struct pt_error *err)
{
	char text[PT_TLS_NAME_SZ + PT_ADDRESS_TEXT_SZ];
	struct pt_admitted one = { .is_in = true, .transfer_id = transfer_id };
	struct pt_admitted *place = NULL;

	memcpy(one.ip, peer->ip, sizeof(one.ip));
	snprintf(one.name, sizeof(one.name), "%s", name);
	for (enum by by = 0; by < BY_CNT; by++) {
		struct sum sum = sum_of(a, &one, by);

		if (a->limits.transfers && sum.cnt >= a->limits.transfers)
			return pt_error_set(err, PT_EXIT_HOST, -EDQUOT, "%s: "
					    "has %u transfers already, the "
					    "most of %s (receive "
					    "{max-transfers})",
					    subject(&one, by, text), sum.cnt,
					    of_one[by]);
	}
	for (__u32 i = 0; !place && i < PT_ADMISSION_MAX; i++)
		if (!a->all[i].is_in)
			place = &a->all[i];
	if (!place)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC, "%u transfers "
				    "have not ended yet (wait for one to end)",
				    PT_ADMISSION_MAX);
	*place = one;
	*out = place;
	return 0;
}

void pt_admission_share(struct pt_admitted *t, const char *share, __u64 sz)
{
	snprintf(t->share, sizeof(t->share), "%s", share);
	t->share_sz = sz;
}

/* check_share: its share has room for sz bytes more of memory or files. */
static int check_share(const struct pt_admission *a, const struct pt_admitted *t,
		       __u64 sz, const char *what, struct pt_error *err)
{
	struct sum sum = sum_of(a, t, BY_SHARE);

	return check_sz(t, BY_SHARE, sum.memory_sz + sum.files_sz, sz,
			t->share_sz, what, "{peers}", err);
}

int pt_admission_memory(const struct pt_admission *a, struct pt_admitted *t,
			__u64 sz, struct pt_error *err)
{
	int ret = 0;

	for (enum by by = 0; !ret && by < BY_CNT; by++)
		ret = check_sz(t, by, sum_of(a, t, by).memory_sz, sz,
			       a->limits.memory_sz, "memory",
			       "{max-peer-memory}", err);
	if (!ret)
		ret = check_share(a, t, sz, "memory", err);
	t->memory_sz += ret ? 0 : sz;
	return ret;
}

int pt_admission_file(const struct pt_admission *a, struct pt_admitted *t,
		      __u64 sz, const char *what, struct pt_error *err)
{
	char file[PT_TLS_NAME_SZ + 8];
	int ret = 0;

	snprintf(file, sizeof(file), "file '%s'", what);
	for (enum by by = 0; !ret && by < BY_CNT; by++)
		ret = check_sz(t, by, sum_of(a, t, by).files_sz, sz,
			       a->limits.files_sz, file, "{max-peer-files}",
			       err);
	if (!ret)
		ret = check_share(a, t, sz, file, err);
	t->files_sz += ret ? 0 : sz;
	return ret;
}

void pt_admission_leave(struct pt_admitted *t)
{
	if (t)
		memset(t, 0, sizeof(*t));
}

__u32 pt_admission_lane_cnt(const struct pt_intake *i,
			    struct pt_intake *const *all, __u32 all_cnt,
			    __u16 queue)
{
	const struct pt_address *peer = pt_conn_peer(i->conn);
	const char *name = pt_conn_peer_name(i->conn);
	__u32 by_address = 0, by_name = 0;

	for (__u32 n = 0; n < all_cnt; n++) {
		const struct pt_conn *conn = all[n]->conn;
		__u32 cnt = 0;

		if (!conn)
			continue;
		for (__u16 lane = 0; lane < all[n]->lane_cnt; lane++)
			cnt += all[n]->lanes[lane].queue == queue;
		if (!memcmp(pt_conn_peer(conn)->ip, peer->ip,
			    sizeof(peer->ip)))
			by_address += cnt;
		if (*name && !strcmp(pt_conn_peer_name(conn), name))
			by_name += cnt;
	}
	return by_address > by_name ? by_address : by_name;
}
