/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_resume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>
#include "image/ptrim.h"
#include "image/ptrim_sink.h"
#include "sink/image.h"
#include "sink/journal.h"

_Static_assert(sizeof(((struct pt_msg_open *)0)->name) == PT_JOURNAL_NAME_SZ,
	       "a journal holds any image's name");

static struct pt_journal journal_of(const struct pt_rx_session *s)
{
	struct pt_journal j = { .transfer_id = s->request.open.transfer_id };

	strcpy(j.name, s->request.open.name);
	j.segments = pt_layout_segments(s->memory.layout, &j.segment_cnt);
	return j;
}

static __u64 image_sz(const struct pt_journal *j)
{
	__u64 sz = 0;

	for (__u32 i = 0; i < j->segment_cnt; i++)
		sz += j->segments[i].sz;
	return sz;
}

static int another_image(const struct pt_rx_session *s,
			 const struct pt_journal *kept,
			 const struct pt_journal *own, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s.journal: the kept "
			    "data is of another image: '%s', segments %u, "
			    "bytes %llu, not '%s', %u, %llu%s (send that one, "
			    "or send without {resume}, which drops it)",
			    s->report.path, kept->name, kept->segment_cnt,
			    (unsigned long long)image_sz(kept), own->name,
			    own->segment_cnt,
			    (unsigned long long)image_sz(own),
			    !strcmp(kept->name, own->name) &&
			    image_sz(kept) == image_sz(own)
			    ? " at other page numbers" : "");
}

/* judge checks that the journal is of the sender's image. */
static int judge(const struct pt_rx_session *s, const void *bytes, size_t sz,
		 struct pt_error *err)
{
	const struct pt_journal own = journal_of(s);
	struct pt_journal kept;
	int ret = pt_journal_parse(&kept, bytes, sz);

	if (ret == -ENOMEM)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s.journal: no "
				    "memory to read it", s->report.path);
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s.journal: %s "
				    "(send without {resume}, which drops the "
				    "kept data)", s->report.path,
				    ret == -EPROTONOSUPPORT
				    ? "of another version of pagetrim"
				    : "damaged, so the transfer cannot be "
				      "resumed");
	if (!pt_journal_is_same(&kept, &own))
		ret = another_image(s, &kept, &own, err);
	pt_journal_free(&kept);
	return ret;
}

/* is_at_rest: a folder of --serve holds raw images, whatever their senders' names. */
static bool is_at_rest(const struct pt_rx_session *s)
{
	return !s->cfg->serve && pt_ptrim_is_name(s->report.path);
}

/* journal_sink: the sink whose journal it is: the image's, or that of its file. */
static struct pt_sink *journal_sink(const struct pt_rx_session *s)
{
	return is_at_rest(s) ? pt_ptrim_sink_file(s->storage.sink)
			     : s->storage.sink;
}

/* resume continues a kept sink; -ENOENT: nothing is kept. */
static int resume(struct pt_rx_session *s, struct pt_error *err)
{
	bool is_ptrim = is_at_rest(s);
	void *bytes;
	size_t sz;
	int ret;

	ret = is_ptrim
		? pt_ptrim_sink_reopen(&s->storage.sink, s->report.path,
				       s->memory.layout, &s->cfg->at_rest, err)
		: pt_image_reopen(&s->storage.sink, s->report.path,
				  s->memory.layout, err);
	if (ret)
		return ret;
	ret = pt_image_journal_read(journal_sink(s), &bytes, &sz, err);
	if (!ret) {
		ret = judge(s, bytes, sz, err);
		free(bytes);
	} else if (ret == -ENOENT) {
		/* A receiver that was killed before it wrote the journal has
		 * placed no page. */
		pt_sink_close(s->storage.sink);
		s->storage.sink = NULL;
		return ret;
	}
	if (!ret)
		ret = (is_ptrim ? pt_ptrim_sink_resume : pt_image_resume)(
			s->storage.sink, err);
	s->report.is_resumed = !ret;
	return ret;
}

static int keep(struct pt_rx_session *s, struct pt_error *err)
{
	const struct pt_journal own = journal_of(s);
	size_t sz = pt_journal_sz(&own);
	void *bytes = malloc(sz);
	int ret;

	if (!bytes)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory "
				    "for its .journal", s->report.path);
	pt_journal_encode(&own, bytes);
	ret = pt_image_journal_write(journal_sink(s), bytes, sz, err);
	free(bytes);
	return ret;
}

int pt_rx_sink_open(struct pt_rx_session *s, struct pt_error *err)
{
	/* Under --serve each image without a name gets a new name, so no later
	 * transfer would find it. */
	bool keeps = s->cfg->resume && (!s->cfg->serve || s->request.open.name[0]);
	int ret = -ENOENT;

	if (s->cfg->sink && !*s->storage.reserved)
		return pt_error_set(err, PT_EXIT_PEER, -EBUSY, "the receiver's "
				    "memory was given to another transfer");
	if (*s->storage.reserved) {	/* not with resume */
		s->storage.sink = *s->storage.reserved;
		*s->storage.reserved = NULL;
		return pt_sink_fit(s->storage.sink, s->memory.layout, err);
	}
	if (keeps && s->request.open.resume)
		ret = resume(s, err);
	if (ret != -ENOENT)
		return ret;
	ret = is_at_rest(s)
		? pt_ptrim_sink_create(&s->storage.sink, s->report.path,
				       s->memory.layout, &s->cfg->at_rest, err)
		: pt_image_create(&s->storage.sink, s->report.path,
				  s->memory.layout, err);
	return ret || !keeps ? ret : keep(s, err);
}

static int check_folders(const struct pt_peers *peers, struct pt_error *err)
{
	int ret = 0;

	for (__u32 i = 0; !ret && i < peers->cnt; i++)
		ret = pt_image_check_folder(peers->all[i].folder, err);
	return ret;
}

int pt_rx_sink_prepare(struct pt_sink **reserved,
		       const struct pt_receiver_cfg *cfg, int stop_fd,
		       struct pt_error *err)
{
	int ret;

	*reserved = cfg->sink;
	if (cfg->sink && (cfg->path || cfg->serve || cfg->resume ||
			  cfg->prealloc_sz || cfg->at_rest.is_chosen))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "a sink of the "
				    "caller's takes one transfer, and no path, "
				    "resumption, reservation or compression");
	pt_check(!cfg->guest || cfg->sink);
	if (cfg->sink)
		return 0;
	pt_check(!cfg->prealloc_sz || !(cfg->serve || cfg->resume));
	if (cfg->prealloc_sz && pt_ptrim_is_name(cfg->path))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: {prealloc} is "
				    "for raw images, and one at rest grows as pages "
				    "come (leave it out)", cfg->path);
	if (cfg->at_rest.is_chosen && (cfg->serve || !pt_ptrim_is_name(cfg->path)))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "{compress} is for "
				    "an image at rest ({out} NAME.ptrim, without "
				    "{serve})");
	ret = pt_ptrim_sink_check(&cfg->at_rest, err);
	if (ret)
		return ret;
	ret = cfg->peers ? check_folders(cfg->peers, err)
		: cfg->serve ? pt_image_check_folder(cfg->path, err)
			     : pt_image_check_path(cfg->path, err);
	return ret || !cfg->prealloc_sz ? ret
		: pt_image_reserve(reserved, cfg->path, cfg->prealloc_sz,
				   stop_fd, err);
}
