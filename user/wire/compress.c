/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "wire/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef PT_WITH_lz4
#include <lz4.h>
#endif
#ifdef PT_WITH_zstd
#include <zstd.h>
#endif

#include <pagetrim/check.h>

#define OUT_SZ		PT_COMPRESS_RAW_MAX	/* more does not shrink */
#define INPUT_SZ	(1u << 16)

struct pt_compressor {
	enum pt_compression method;
	int level;
	void *state;		/* of the library */
	__u8 *raw;
	__u8 *out;
};

struct pt_decompressor {
	void *zstd;		/* its context */
	__u8 *raw;
	__u8 *input;
};

bool pt_compression_is_built(enum pt_compression method)
{
	switch (method) {
#ifdef PT_WITH_lz4
	case PT_COMPRESSION_LZ4:
#endif
#ifdef PT_WITH_zstd
	case PT_COMPRESSION_ZSTD:
#endif
	case PT_COMPRESSION_NONE:
		return true;
	default:
		return false;
	}
}

const char *pt_compression_name(enum pt_compression method)
{
	static const char *const names[] = { "none", "lz4", "zstd" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == PT_COMPRESSION_CNT,
		       "a name for each");
	pt_check(method < PT_COMPRESSION_CNT);
	return names[method];
}

/* ---- LZ4: one block, without a frame of its own ---- */

#ifdef PT_WITH_lz4
static void *lz4_create(void)
{
	return malloc(LZ4_sizeofState());
}

static __u32 lz4_compress(struct pt_compressor *c, __u32 raw_sz)
{
	int sz = LZ4_compress_fast_extState(c->state, (const char *)c->raw,
					    (char *)c->out, raw_sz, OUT_SZ, 1);

	return sz > 0 ? sz : 0;
}

static bool lz4_decompress(struct pt_decompressor *d, const __u8 *data,
			   __u32 sz, __u32 raw_sz)
{
	return LZ4_decompress_safe((const char *)data, (char *)d->raw, sz,
				   raw_sz) == (int)raw_sz;
}
#else
static void *lz4_create(void)
{
	return NULL;
}

static __u32 lz4_compress(struct pt_compressor *c, __u32 raw_sz)
{
	(void)c;
	(void)raw_sz;
	return 0;
}

static bool lz4_decompress(struct pt_decompressor *d, const __u8 *data,
			   __u32 sz, __u32 raw_sz)
{
	(void)d;
	(void)data;
	(void)sz;
	(void)raw_sz;
	return false;
}
#endif

/* ---- zstd: one frame of a single segment, its content size in its header ---- */

#ifdef PT_WITH_zstd
/* The frame's first bytes (RFC 8878, 3.1.1): magic, then a descriptor of which
 * these bits are asked for, and these refused.  Formats from before the RFC have
 * another magic: the library would allocate a context for each such frame. */
#define ZSTD_DESCRIPTOR_AT	4
#define SINGLE_SEGMENT		0x20	/* the content size is the window's */
#define CHECKSUM_OR_DICT	0x0f	/* and reserved bits */

static void *zstd_create(int level)
{
	ZSTD_CCtx *state = ZSTD_createCCtx();

	if (state && ZSTD_isError(ZSTD_CCtx_setParameter(
			state, ZSTD_c_compressionLevel, level))) {
		ZSTD_freeCCtx(state);
		return NULL;
	}
	return state;
}

static __u32 zstd_compress(struct pt_compressor *c, __u32 raw_sz)
{
	size_t sz = ZSTD_compress2(c->state, c->out, OUT_SZ, c->raw, raw_sz);

	return ZSTD_isError(sz) || !(c->out[ZSTD_DESCRIPTOR_AT] & SINGLE_SEGMENT)
		? 0 : sz;
}

static bool is_rfc8878(const __u8 *data)
{
	static const __u8 magic[ZSTD_DESCRIPTOR_AT] = { 0x28, 0xb5, 0x2f, 0xfd };

	return !memcmp(data, magic, sizeof(magic));
}

/* The window of a single segment is its content, whose size is judged before a
 * context sees the frame. */
static bool zstd_decompress(struct pt_decompressor *d, const __u8 *data,
			    __u32 sz, __u32 raw_sz)
{
	size_t done;

	if (sz <= ZSTD_DESCRIPTOR_AT || !is_rfc8878(data) ||
	    !(data[ZSTD_DESCRIPTOR_AT] & SINGLE_SEGMENT) ||
	    data[ZSTD_DESCRIPTOR_AT] & CHECKSUM_OR_DICT ||
	    ZSTD_getFrameContentSize(data, sz) != raw_sz ||
	    ZSTD_findFrameCompressedSize(data, sz) != sz)
		return false;
	done = ZSTD_decompressDCtx(d->zstd, d->raw, raw_sz, data, sz);
	return !ZSTD_isError(done) && done == raw_sz;
}

static void zstd_free(struct pt_compressor *c)
{
	ZSTD_freeCCtx(c->state);
}

static bool zstd_open(struct pt_decompressor *d)
{
	d->zstd = ZSTD_createDCtx();
	return d->zstd;
}

static void zstd_close(struct pt_decompressor *d)
{
	ZSTD_freeDCtx(d->zstd);
}
#else
static void *zstd_create(int level)
{
	(void)level;
	return NULL;
}

static __u32 zstd_compress(struct pt_compressor *c, __u32 raw_sz)
{
	(void)c;
	(void)raw_sz;
	return 0;
}

static bool zstd_decompress(struct pt_decompressor *d, const __u8 *data,
			    __u32 sz, __u32 raw_sz)
{
	(void)d;
	(void)data;
	(void)sz;
	(void)raw_sz;
	return false;
}

static void zstd_free(struct pt_compressor *c)
{
	(void)c;
}

static bool zstd_open(struct pt_decompressor *d)
{
	(void)d;
	return true;
}

static void zstd_close(struct pt_decompressor *d)
{
	(void)d;
}
#endif

/* ---- both ---- */

int pt_compressor_create(struct pt_compressor **out, enum pt_compression method,
			 int level)
{
	struct pt_compressor *c;

	pt_check(method > PT_COMPRESSION_NONE && method < PT_COMPRESSION_CNT);
	if (!pt_compression_is_built(method))
		return -EOPNOTSUPP;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->method = method;
	c->state = method == PT_COMPRESSION_LZ4 ? lz4_create()
						: zstd_create(level);
	c->raw = aligned_alloc(PT_BLOCK_SZ, PT_COMPRESS_RAW_MAX);
	c->out = aligned_alloc(PT_BLOCK_SZ, OUT_SZ + PT_BLOCK_SZ);
	if (!c->state || !c->raw || !c->out) {
		pt_compressor_destroy(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void pt_compressor_destroy(struct pt_compressor *c)
{
	if (!c)
		return;
	if (c->method == PT_COMPRESSION_ZSTD)
		zstd_free(c);
	else
		free(c->state);
	free(c->raw);
	free(c->out);
	free(c);
}

enum pt_compression pt_compressor_method(const struct pt_compressor *c)
{
	return c->method;
}

__u8 *pt_compressor_raw(struct pt_compressor *c)
{
	return c->raw;
}

__u32 pt_compressor_run(struct pt_compressor *c, __u32 raw_sz, const __u8 **data)
{
	__u32 sz;

	pt_check(raw_sz >= 1 && raw_sz <= PT_COMPRESS_RAW_MAX);
	sz = c->method == PT_COMPRESSION_LZ4 ? lz4_compress(c, raw_sz)
					     : zstd_compress(c, raw_sz);
	memset(c->out + sz, 0, PT_BLOCK_SZ);
	*data = c->out;
	return sz;
}

int pt_decompressor_create(struct pt_decompressor **out)
{
	struct pt_decompressor *d = calloc(1, sizeof(*d));
	bool has_zstd = d && zstd_open(d);

	if (d) {
		d->raw = aligned_alloc(PT_BLOCK_SZ, PT_COMPRESS_RAW_MAX);
		d->input = malloc(INPUT_SZ);
	}
	if (!has_zstd || !d->raw || !d->input) {
		pt_decompressor_destroy(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void pt_decompressor_destroy(struct pt_decompressor *d)
{
	if (!d)
		return;
	zstd_close(d);
	free(d->raw);
	free(d->input);
	free(d);
}

__u8 *pt_decompressor_input(struct pt_decompressor *d)
{
	return d->input;
}

const __u8 *pt_decompressor_run(struct pt_decompressor *d,
				enum pt_compression method, const __u8 *data,
				__u32 sz, __u32 raw_sz)
{
	bool ok = false;

	pt_check(raw_sz >= 1 && raw_sz <= PT_COMPRESS_RAW_MAX);
	if (method == PT_COMPRESSION_LZ4)
		ok = lz4_decompress(d, data, sz, raw_sz);
	else if (method == PT_COMPRESSION_ZSTD)
		ok = zstd_decompress(d, data, sz, raw_sz);
	return ok ? d->raw : NULL;
}
