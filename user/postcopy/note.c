/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The record of a guest that runs and lacks pages, and the way to go on with it. */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"

_Static_assert(sizeof(struct pt_postcopy_note) <= PT_LAZY_MESSAGE_MAX &&
	       offsetof(struct pt_lazy_record, message) % sizeof(__u64) == 0, "room");

/* ---- what is written ---- */

void pt_postcopy_note_open(struct pt_postcopy *p)
{
	p->note = (struct pt_postcopy_note *)p->r->message;
}

/* The record's own begin says that all pages lack. */
void pt_postcopy_note_begin(struct pt_postcopy *p, const __u64 *lacks)
{
	pt_lazy_record_begin(p->r, p->found.regions, p->found.region_cnt);
	for (__u64 page = 0; page < p->r->page_cnt; page++) {
		const struct pt_lazy_region *region = pt_lazy_region_of(p->r, page);

		if (!pt_postcopy_bit(lacks, region->off / PT_PAGE_SZ + page -
				     region->first))
			pt_lazy_settle(p->r, page, 1);
	}
	p->r->vmm_pid = p->pid;
	p->r->server_cnt++;
	p->r->message_sz = sizeof(*p->note);
	p->counts.lacking = p->r->pending_cnt;
}

void pt_postcopy_running(struct pt_postcopy *p, __u64 guest_id)
{
	if (!p->is_armed)
		return;
	if (!guest_id)
		__atomic_store_n(&p->r->has_run, 0, __ATOMIC_RELEASE);
	p->note->guest_id = guest_id;
	p->note->does_run = 0;
	if (guest_id)
		__atomic_store_n(&p->r->has_run, 1, __ATOMIC_RELEASE);
}

void pt_postcopy_does_run(struct pt_postcopy *p)
{
	p->note->does_run = 1;
}

bool pt_postcopy_may_stand(const struct pt_postcopy *p)
{
	return p->is_armed && p->r->has_run && !p->note->does_run;
}

bool pt_postcopy_lacks_none(const struct pt_postcopy *p)
{
	return p->is_armed && !p->r->pending_cnt && !pt_postcopy_may_stand(p);
}

/* ---- what it tells ---- */

pid_t pt_postcopy_pid(const struct pt_postcopy *p)
{
	return p->pid;
}

__u64 pt_postcopy_guest_id(const struct pt_postcopy *p)
{
	return p->note->guest_id;
}

/* region_from returns the region that begins at an offset of the image; NULL: none. */
static const struct pt_lazy_region *region_from(const struct pt_postcopy *p, __u64 off)
{
	for (__u32 i = 0; i < p->found.region_cnt; i++)
		if (p->found.regions[i].off == off)
			return &p->found.regions[i];
	return NULL;
}

bool pt_postcopy_memory(const struct pt_postcopy *p, __u32 idx, const char **name,
			__u64 *sz)
{
	const struct pt_lazy_region *region = region_from(p, 0);

	for (; idx && region; idx--)
		region = region_from(p, region->off + region->sz);
	if (!region)
		return false;
	*name = p->note->names[region - p->found.regions];
	*sz = region->sz;
	return true;
}

/* Control calls it, so it takes no lock: a bit that is cleared meanwhile is told as
 * lacking, and its page comes in vain. */
__u64 pt_postcopy_lacks(const struct pt_postcopy *p, __u64 *image_page)
{
	__u64 page;

	while (pt_lazy_page_find(p->r, *image_page, &page)) {
		const struct pt_lazy_region *region = pt_lazy_region_of(p->r, page);
		__u64 end = region->first + region->sz / PT_PAGE_SZ, cnt = 0;

		page = pt_lazy_next_pending(p->r, page);
		if (page > end)
			page = end;
		*image_page = region->off / PT_PAGE_SZ + page - region->first;
		while (page + cnt < end && pt_lazy_is_pending(p->r, page + cnt))
			cnt++;
		if (cnt)
			return cnt;
	}
	return 0;
}

/* ---- to go on ---- */

static void nothing(void *arg)
{
	(void)arg;
}

/* take takes what the keeper has. */
static int take(struct pt_postcopy *p, struct pt_error *err)
{
	int code = pt_lazy_keeper_await(&p->kept, -1, nothing, NULL, err);

	if (code)
		return code;
	p->uffd = dup(p->kept.handed.fds[0]);
	if (p->uffd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "the keeper's descriptor "
				    "of the guest: %s%s", strerror(errno),
				    pt_files_remedy(-errno));
	p->pid = p->r->vmm_pid;
	p->found.region_cnt = p->r->region_cnt;
	memcpy(p->found.regions, p->r->regions,
	       p->r->region_cnt * sizeof(*p->r->regions));
	for (__u32 i = 0; i < p->r->region_cnt; i++)
		p->found.files[i].fd = -1;
	for (__u32 i = 0; i < PT_LAZY_REGIONS_MAX; i++)
		p->note->names[i][sizeof(p->note->names[i]) - 1] = '\0';
	p->note->wrong[sizeof(p->note->wrong) - 1] = '\0';
	p->is_armed = true;
	return 0;
}

/* go_on takes the guest; one that never ran is released: its source has it. */
static int go_on(struct pt_postcopy *p, struct pt_error *err)
{
	int code = p->r->is_qemu ? take(p, err) : 0;

	if (code)
		return code;
	if (!p->is_armed || !p->r->is_begun || !p->r->has_run || !p->note->guest_id) {
		p->is_nobodys = true;
		return -ENOENT;
	}
	p->r->server_cnt++;
	p->counts.lacking = p->r->pending_cnt;
	return 0;
}

int pt_postcopy_join(struct pt_postcopy **out, const struct pt_postcopy_cfg *cfg,
		     struct pt_error *err)
{
	struct pt_postcopy *p = pt_postcopy_new(cfg);
	int code;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	code = pt_lazy_keeper_join(&p->kept, cfg->qmp, err);
	if (!code)
		code = pt_lazy_record_open(&p->r, p->kept.record_fd,
					   PT_POSTCOPY_IMAGE_ID, err);
	if (!code) {
		pt_postcopy_note_open(p);
		code = go_on(p, err);
	}
	if (!code)
		code = pt_postcopy_lookout_start(p, err);
	if (code) {
		pt_postcopy_close(p);
		return code;
	}
	*out = p;
	return 0;
}
