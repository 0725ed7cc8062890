/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "postcopy/postcopy_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/files.h"

/* ---- open ---- */

static int check_pages(const struct pt_lazy_qemu *found, struct pt_error *err)
{
	for (__u32 i = 0; i < found->region_cnt; i++)
		if (found->regions[i].page_sz != PT_PAGE_SZ)
			return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "the memory "
					    "at 0x%llx of QEMU is in large pages of "
					    "hugetlbfs, which cannot come page by page "
					    "(put it on tmpfs, as /dev/shm)",
					    (unsigned long long)found->regions[i].addr);
	return 0;
}

static __u64 page_cnt_of(const struct pt_lazy_qemu *found)
{
	const struct pt_lazy_region *last = &found->regions[found->region_cnt - 1];

	return last->first + last->sz / PT_PAGE_SZ;
}

/* meet starts the keeper, while this process has one thread. */
static int meet(struct pt_postcopy *p, const char *qmp, struct pt_error *err)
{
	const struct pt_lazy_keeper_cfg cfg = {
		.door = qmp, .page_max = page_cnt_of(&p->found), .image_id = PT_POSTCOPY_IMAGE_ID,
	};
	bool started = false;
	int code = pt_lazy_keeper_meet(&p->kept, &cfg, &started, err);

	p->is_nobodys = started;
	if (!code && !started)
		code = pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s.keeper: a guest of an "
				    "earlier command is kept there (end its QEMU)", qmp);
	if (!code)
		code = pt_lazy_record_open(&p->r, p->kept.record_fd, PT_POSTCOPY_IMAGE_ID,
					   err);
	if (!code)
		pt_postcopy_note_open(p);
	return code;
}

struct pt_postcopy *pt_postcopy_new(const struct pt_postcopy_cfg *cfg)
{
	struct pt_postcopy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->cfg = *cfg;
	p->kept = PT_LAZY_KEPT_NONE;
	p->uffd = p->pidfd = p->stop_fd = p->wake_fd = -1;
	p->may_be_there = PT_POSTCOPY_NONE;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->ask_lock, NULL);
	pthread_mutex_init(&p->look_lock, NULL);
	return p;
}

int pt_postcopy_lookout_start(struct pt_postcopy *p, struct pt_error *err)
{
	int code = pt_lookout_start(&p->lookout, p->pid, p->found.regions,
				    p->found.region_cnt);

	return code ? pt_error_set(err, PT_EXIT_HOST, code, "no process to look who maps "
				   "the guest's memory: %s%s", strerror(-code),
				   pt_files_remedy(code)) : 0;
}

/* name_all notes the names of the regions: those of QEMU's memories, by address. */
static void name_all(struct pt_postcopy *p)
{
	for (__u32 i = 0; i < p->found.region_cnt; i++)
		memcpy(p->note->names[i], p->found.names[i], sizeof(p->note->names[i]));
}

int pt_postcopy_open(struct pt_postcopy **out, struct pt_qemu *q,
		     const struct pt_postcopy_cfg *cfg, __u32 *unseen_cnt,
		     struct pt_error *err)
{
	struct pt_postcopy *p = pt_postcopy_new(cfg);
	int code;

	if (!p)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	p->pid = pt_qemu_pid(q);
	code = pt_qemu_check_shared(q, err);
	if (!code)
		code = pt_lazy_qemu_find(&p->found, q, NULL, err);
	if (!code)
		code = check_pages(&p->found, err);
	if (!code)
		code = p->uffd = pt_lazy_qemu_enter(q, err);
	if (code >= 0) {
		p->pidfd = syscall(SYS_pidfd_open, p->pid, 0);
		code = meet(p, cfg->qmp, err);
	}
	if (!code)
		code = pt_postcopy_lookout_start(p, err);
	if (code) {
		pt_postcopy_close(p);
		return code;
	}
	name_all(p);
	*unseen_cnt = p->found.sight.unseen_cnt;
	*out = p;
	return 0;
}

/* ---- arm ---- */

static void nothing(void *arg)
{
	(void)arg;
}

/* give has the keeper hold the descriptor before it is used. */
static int give(struct pt_postcopy *p, struct pt_error *err)
{
	int code = pt_lazy_keeper_give(&p->kept, p->uffd, p->pidfd, p->pid);

	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "the keeper of the guest's "
				    "descriptor: %s", strerror(-code));
	return pt_lazy_keeper_await(&p->kept, -1, nothing, NULL, err);
}

/* punch takes the lacking pages of a region away. */
static int punch(const struct pt_postcopy *p, __u32 idx, const __u64 *lacks,
		 struct pt_error *err)
{
	const struct pt_lazy_region *region = &p->found.regions[idx];
	__u64 first = region->off / PT_PAGE_SZ, cnt = region->sz / PT_PAGE_SZ, at = 0;
	int code = 0;

	while (!code && at < cnt) {
		__u64 end = at;

		while (end < cnt && pt_postcopy_bit(lacks, first + end))
			end++;
		if (end > at)
			code = pt_lazy_qemu_punch(&p->found, idx, at * PT_PAGE_SZ,
						  (end - at) * PT_PAGE_SZ, err);
		at = end + 1;
	}
	return code;
}

int pt_postcopy_arm(struct pt_postcopy *p, const __u64 *lacks, __u64 page_cnt,
		    struct pt_error *err)
{
	int code;

	if (page_cnt != page_cnt_of(&p->found))
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL, "the memory that comes "
				    "has %llu pages, and that of QEMU %llu",
				    (unsigned long long)page_cnt,
				    (unsigned long long)page_cnt_of(&p->found));
	code = give(p, err);
	if (code)
		return code;
	p->is_armed = true;
	code = pt_lazy_qemu_register(&p->found, p->uffd, UFFDIO_REGISTER_MODE_MISSING,
				     err);
	for (__u32 i = 0; !code && i < p->found.region_cnt; i++)
		code = punch(p, i, lacks, err);
	if (code)
		return code;
	pt_postcopy_note_begin(p, lacks);
	return pt_postcopy_serve(p, err);
}

/* ---- the end ---- */

/* judge: the memory is whole; whether it is right. */
static int judge(const struct pt_postcopy *p, struct pt_error *err)
{
	const struct pt_lazy_region *region;
	__u64 page = 0;

	if (p->note->wrong[0])
		return pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "all pages have come, but "
				    "an earlier session found: %s (the guest runs on)",
				    p->note->wrong);
	if (!p->note->foreign_cnt)
		return 0;
	pt_lazy_page_find(p->r, p->note->foreign_page, &page);
	region = pt_lazy_region_of(p->r, page);
	return pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "%llu pages of the guest were "
			    "there before they came, page %llu of memory '%s' the first: "
			    "another process that maps it has filled them, with zeroes or "
			    "more, and the guest may have read that (the guest runs on)",
			    (unsigned long long)p->note->foreign_cnt,
			    (unsigned long long)(page - region->first),
			    p->note->names[region - p->r->regions]);
}

static __u64 left_cnt(struct pt_postcopy *p)
{
	__u64 left;

	pthread_mutex_lock(&p->lock);
	left = p->r->pending_cnt;
	pthread_mutex_unlock(&p->lock);
	return left;
}

static void make_whole(struct pt_postcopy *p)
{
	pt_postcopy_faults_end(p);
	pt_postcopy_release(p);
	pt_lazy_keeper_part(&p->kept, PT_LAZY_PART_END);
	p->is_whole = true;
}

void pt_postcopy_wrong(struct pt_postcopy *p, const char *text)
{
	if (p->is_whole)
		return;
	if (!p->note->wrong[0])
		snprintf(p->note->wrong, sizeof(p->note->wrong), "%s", text);
	if (!left_cnt(p))
		make_whole(p);
}

int pt_postcopy_whole(struct pt_postcopy *p, struct pt_error *err)
{
	__u64 left = left_cnt(p);

	if (p->is_whole)
		return judge(p, err);
	if (left)
		return pt_error_set(err, PT_EXIT_MISMATCH, -EIO, "%llu pages of the guest "
				    "never came", (unsigned long long)left);
	make_whole(p);
	return judge(p, err);
}

bool pt_postcopy_is_whole(const struct pt_postcopy *p)
{
	return p->is_whole;
}

/* Control asks, too, so nobody waits for the lock: then it is as it was told last. */
void pt_postcopy_counts(struct pt_postcopy *p, struct pt_postcopy_counts *out)
{
	pthread_mutex_lock(&p->ask_lock);
	if (!pthread_mutex_trylock(&p->lock)) {
		p->shown = p->counts;
		p->shown.pending = p->is_armed ? p->r->pending_cnt : 0;
		p->shown.foreign = p->is_armed ? p->note->foreign_cnt : 0;
		pthread_mutex_unlock(&p->lock);
	}
	*out = p->shown;
	memcpy(out->late_mapper, p->late_mapper, sizeof(out->late_mapper));
	pthread_mutex_unlock(&p->ask_lock);
}

/* leave: a guest that never ran goes on at its source, and its memory here is no
 * guest's; one that runs waits for the next receiver.  A keeper of others, or of a guest
 * that could not be taken, may hold the last descriptor, and is left alone. */
static void leave(struct pt_postcopy *p)
{
	if (p->is_whole || p->kept.connection < 0)
		return;
	if (!p->is_nobodys || (p->is_armed && p->r->has_run)) {
		pt_lazy_keeper_part(&p->kept, PT_LAZY_PART_NEXT);
		return;
	}
	if (p->is_armed)
		pt_postcopy_release(p);
	pt_lazy_keeper_part(&p->kept, PT_LAZY_PART_END);
}

void pt_postcopy_close(struct pt_postcopy *p)
{
	if (!p)
		return;
	pt_postcopy_faults_end(p);
	pt_lookout_end(&p->lookout);
	leave(p);
	pt_lazy_kept_close(&p->kept);
	pt_lazy_record_close(p->r);
	pt_lazy_qemu_close(&p->found);
	if (p->uffd >= 0)
		close(p->uffd);
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p->waits);
	free(p->unlisted);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->ask_lock);
	pthread_mutex_destroy(&p->look_lock);
	free(p);
}
