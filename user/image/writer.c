// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "image/writer_impl.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include <pagetrim/check.h>

#include "base/files.h"
#include "trim/digest.h"

#define BUFFER_SZ	(1u << 20)

static int no_memory(const char *path, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory to make it",
			    path);
}

static int write_failed(const struct pt_ptrim_writer *w, struct pt_error *err)
{
	int code = errno;

	return pt_error_set(err, PT_EXIT_HOST, -code, "%s: cannot be written: %s%s",
			    w->path, strerror(code), pt_room_remedy(-code));
}

int pt_ptrim_writer_put(struct pt_ptrim_writer *w, const void *bytes, __u64 sz,
			__u64 off, struct pt_error *err)
{
	const __u8 *from = bytes;

	while (sz) {
		ssize_t done = pwrite(w->fd, from, sz, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return write_failed(w, err);
		from += done;
		off += done;
		sz -= done;
	}
	return 0;
}

int pt_ptrim_writer_flush(struct pt_ptrim_writer *w, struct pt_error *err)
{
	__u32 sz = w->buffer_sz;

	w->buffer_sz = 0;
	pt_check(EVP_DigestUpdate(w->hash, w->buffer, sz) == 1);
	return pt_ptrim_writer_put(w, w->buffer, sz, w->at - sz, err);
}

int pt_ptrim_writer_append(struct pt_ptrim_writer *w, const void *bytes,
			   __u64 sz, struct pt_error *err)
{
	const __u8 *from = bytes;
	int code = 0;

	while (!code && sz) {
		__u64 part = BUFFER_SZ - w->buffer_sz;

		part = part < sz ? part : sz;
		memcpy(w->buffer + w->buffer_sz, from, part);
		w->buffer_sz += part;
		w->at += part;
		from += part;
		sz -= part;
		if (w->buffer_sz == BUFFER_SZ)
			code = pt_ptrim_writer_flush(w, err);
	}
	return code;
}

/* ---- units ---- */

/* unit_flush writes the unit that is being filled. */
static int unit_flush(struct pt_ptrim_writer *w, struct pt_error *err)
{
	struct pt_ptrim_unit u;
	const __u8 *stored;
	int code;

	if (!w->unit.page_cnt)
		return 0;
	stored = pt_unit_maker_pack(&w->unit, &u);
	pt_unit_maker_seal(&w->unit, &u, stored, w->at);
	code = pt_ptrim_writer_append(w, &u, sizeof(u), err);
	return code ? code : pt_ptrim_writer_append(w, stored,
						    be32toh(u.stored_sz), err);
}

static void entry_set(struct pt_ptrim_writer *w, __u64 page_idx, __u64 entry,
		      __u64 content)
{
	w->entries[page_idx] = entry;
	w->digests[page_idx % PT_REGION_PAGES] = content ? pt_digest_at(
		content, pt_layout_gfn(w->layout, page_idx)) : 0;
}

int pt_ptrim_writer_data(struct pt_ptrim_writer *w, __u64 page_idx, __u64 mask,
			 const __u8 *page, __u64 content, struct pt_error *err)
{
	int code;

	pt_check(mask);
	if (w->unit.page_cnt == w->unit_pages) {
		code = unit_flush(w, err);
		if (code)
			return code;
	}
	pt_check(w->at <= PT_PTRIM_AT_MASK);
	/* The unit will begin where the file ends now. */
	entry_set(w, page_idx, (__u64)PT_PTRIM_DATA << PT_PTRIM_STATE_SHIFT |
			       (__u64)w->unit.page_cnt << PT_PTRIM_SLOT_SHIFT | w->at,
		  content);
	pt_unit_maker_add(&w->unit, mask, page);
	return 0;
}

void pt_ptrim_writer_same(struct pt_ptrim_writer *w, __u64 page_idx,
			  __u64 original, __u64 content)
{
	pt_check(pt_ptrim_writer_has(w, original));
	entry_set(w, page_idx, w->entries[original], content);
}

bool pt_ptrim_writer_has(const struct pt_ptrim_writer *w, __u64 page_idx)
{
	return w->entries[page_idx] >> PT_PTRIM_STATE_SHIFT == PT_PTRIM_DATA;
}

void pt_ptrim_writer_mark(struct pt_ptrim_writer *w, __u64 page_idx,
			  enum pt_ptrim_state state, __u64 content)
{
	pt_check(state < PT_PTRIM_DATA);
	entry_set(w, page_idx, (__u64)state << PT_PTRIM_STATE_SHIFT,
		  state == PT_PTRIM_PARENT ? content :
		  state == PT_PTRIM_UNREADABLE ? PT_PTRIM_UNREADABLE_CONTENT : 0);
}

/* ---- regions ---- */

/* is_alike: all pages of the region have the state of the first, without data. */
static bool is_alike(const __u64 *entries, __u32 page_cnt)
{
	for (__u32 i = 0; i < page_cnt; i++)
		if (entries[i] != entries[0])
			return false;
	return entries[0] >> PT_PTRIM_STATE_SHIFT != PT_PTRIM_DATA;
}

/* table_write writes the region's page table. */
static int table_write(struct pt_ptrim_writer *w, struct pt_ptrim_region *r,
		       const __u64 *entries, __u32 page_cnt, struct pt_error *err)
{
	__be64 table[PT_REGION_PAGES];

	for (__u32 i = 0; i < page_cnt; i++)
		table[i] = htobe64(entries[i]);
	r->table = htobe64(w->at);
	r->table_check = htobe64(XXH3_64bits_withSeed(
		table, page_cnt * sizeof(table[0]), w->at));
	return pt_ptrim_writer_append(w, table, page_cnt * sizeof(table[0]), err);
}

int pt_ptrim_writer_table(struct pt_ptrim_writer *w, __u64 region_idx,
			  const __u64 *entries, __u64 digest,
			  struct pt_error *err)
{
	__u32 page_cnt = pt_layout_region(w->layout, region_idx, NULL);
	struct pt_ptrim_region *r = &w->regions[region_idx];
	int code = 0;

	*r = (struct pt_ptrim_region){
		.digest = htobe64(digest),
		.table = htobe64(entries[0] >> PT_PTRIM_STATE_SHIFT),
	};
	if (!is_alike(entries, page_cnt))
		code = table_write(w, r, entries, page_cnt, err);
	r->check = htobe64(XXH3_64bits_withSeed(
		r, offsetof(struct pt_ptrim_region, check), region_idx));
	return code;
}

int pt_ptrim_writer_region(struct pt_ptrim_writer *w, __u64 region_idx,
			   struct pt_error *err)
{
	__u32 page_cnt = pt_layout_region(w->layout, region_idx, NULL);
	__u64 digest = 0;
	int code = unit_flush(w, err);

	for (__u32 i = 0; i < page_cnt; i++)
		digest += w->digests[i];
	memset(w->digests, 0, PT_REGION_PAGES * sizeof(w->digests[0]));
	return code ? code : pt_ptrim_writer_table(
		w, region_idx, &w->entries[region_idx * PT_REGION_PAGES], digest,
		err);
}

/* ---- create, close ---- */

static bool allocate(struct pt_ptrim_writer *w, const char *path)
{
	const struct pt_layout *l = w->layout;

	w->path = strdup(path);
	w->buffer = malloc(BUFFER_SZ);
	w->hash = EVP_MD_CTX_new();
	w->check = XXH3_createState();
	w->digests = calloc(PT_REGION_PAGES, sizeof(w->digests[0]));
	w->regions = calloc(pt_layout_region_cnt(l), sizeof(w->regions[0]));
	w->files = calloc(PT_PTRIM_FILES_MAX, sizeof(w->files[0]));
	w->entries_sz = pt_layout_page_cnt(l) * sizeof(w->entries[0]);
	w->entries = mmap(NULL, w->entries_sz, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->entries == MAP_FAILED)
		w->entries = NULL;
	return w->path && w->buffer && w->hash && w->check && w->digests &&
	       w->regions && w->files && w->entries &&
	       EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) == 1;
}

static int compressor_make(struct pt_ptrim_writer *w, const char *path,
			   const struct pt_ptrim_writer_cfg *cfg,
			   struct pt_error *err)
{
	int code = pt_unit_maker_init(&w->unit, cfg->method, cfg->level);

	if (code == -EOPNOTSUPP)
		return pt_error_set(err, PT_EXIT_HOST, code, "this build does "
				    "not compress by %s ({compress} off)",
				    pt_compression_name(cfg->method));
	return code ? no_memory(path, err) : 0;
}

static void header_begin(struct pt_ptrim_writer *w,
			 const struct pt_ptrim_writer_cfg *cfg)
{
	struct pt_ptrim_header *h = &w->header;
	__u64 region_cnt = pt_layout_region_cnt(cfg->layout);
	__u32 segment_cnt;

	pt_layout_segments(cfg->layout, &segment_cnt);
	h->magic = htobe32(PT_PTRIM_MAGIC);
	h->version = htobe16(PT_PTRIM_VERSION);
	h->digest_key = htobe64(w->digest_key);
	h->segment_cnt = htobe32(segment_cnt);
	h->region_cnt = htobe64(region_cnt);
	if (cfg->parent_id) {
		memcpy(h->parent_id, cfg->parent_id, PT_PTRIM_ID_SZ);
		memcpy(h->parent_name, cfg->parent_name,
		       strnlen(cfg->parent_name, sizeof(h->parent_name) - 1));
	}
	w->at = pt_ptrim_data_at(segment_cnt, region_cnt);
}

int pt_ptrim_writer_make(struct pt_ptrim_writer **out, const char *path,
			 const struct pt_ptrim_writer_cfg *cfg,
			 struct pt_error *err)
{
	struct pt_ptrim_writer *w = calloc(1, sizeof(*w));
	int code;

	pt_check(cfg->unit_pages >= 1 && cfg->unit_pages <= PT_PTRIM_UNIT_PAGES);
	if (!w)
		return no_memory(path, err);
	w->layout = cfg->layout;
	w->unit_pages = cfg->unit_pages;
	code = allocate(w, path) ? 0 : no_memory(path, err);
	if (!code)
		code = compressor_make(w, path, cfg, err);
	if (!code && getrandom(&w->digest_key, sizeof(w->digest_key), 0) !=
		     sizeof(w->digest_key))
		code = pt_error_set(err, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	if (code) {
		pt_ptrim_writer_close(w);
		return code;
	}
	header_begin(w, cfg);
	*out = w;
	return 0;
}

int pt_ptrim_writer_create(struct pt_ptrim_writer **out, const char *path,
			   const struct pt_ptrim_writer_cfg *cfg,
			   struct pt_error *err)
{
	struct pt_ptrim_writer *w;
	int code = pt_ptrim_writer_make(&w, path, cfg, err);

	if (code)
		return code;
	code = pt_image_create_plain(&w->sink, path, err);
	if (code) {
		pt_ptrim_writer_close(w);
		return code;
	}
	w->fd = pt_image_fd(w->sink);
	*out = w;
	return 0;
}

__u64 pt_ptrim_writer_key(const struct pt_ptrim_writer *w)
{
	return w->digest_key;
}

void pt_ptrim_writer_close(struct pt_ptrim_writer *w)
{
	if (!w)
		return;
	pt_sink_close(w->sink);
	pt_unit_maker_free(&w->unit);
	if (w->entries)
		munmap(w->entries, w->entries_sz);
	XXH3_freeState(w->check);
	EVP_MD_CTX_free(w->hash);
	free(w->files);
	free(w->regions);
	free(w->digests);
	free(w->buffer);
	free(w->path);
	free(w);
}
