// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* seal: what sealing costs a frame, by each library, beside its checksum.
 * Pages of random bytes, in the cache as those that were just scanned are, go
 * through the builder and, in descriptors of 3840 bytes, through the reader;
 * nothing is sent.  CPU time of this thread, the best of REPEATS.
 *
 *	seal [MTU]	default 9000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pagetrim/check.h>

#include "wire/builder.h"
#include "wire/reader.h"

#define MEMORY_PAGES	8192		/* 32 MiB */
#define BATCH_SZ	(256u << 10)	/* of frames built, then read */
#define BATCH_MAX	64		/* frames */
#define REPEATS		9
#define DESC_SZ		3840

static const struct {
	const char *name;
	__u64	mask;		/* of every page */
} shapes[] = {
	{ "whole pages", ~0ULL },
	{ "runs of 16 blocks", 0xffff0000ffff0000ULL },
	{ "runs of 4 blocks", 0x0f0f0f0f0f0f0f0fULL },
	{ "single blocks", 0x5555555555555555ULL },
};

/* stage: where in memory the next frame goes on. */
struct stage {
	const __u8 *memory;
	struct pt_builder builder;
	__u64	gfn, mask;
	unsigned int first;	/* block of that page */
	__u64	seq;
};

static __u8 frames[BATCH_MAX][PT_MTU_MAX + 64] __attribute__((aligned(64)));
static __u32 frame_szs[BATCH_MAX];

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static __u32 build(struct stage *s, struct pt_seal *seal, void *frame)
{
	static const struct pt_link link = { .src_port = 1, .dst_port = 2 };
	const struct pt_frame_id id = {
		.session_id = 1, .seq = s->seq++, .generation = 1,
	};

	for (;;) {
		__u64 page = s->gfn % MEMORY_PAGES;

		s->first = pt_builder_add_page(&s->builder, s->gfn, s->first,
					       s->mask,
					       s->memory + page * PT_PAGE_SZ);
		if (s->first < PT_PAGE_BLOCKS)
			return pt_builder_close(&s->builder, &link, &id, seal,
						frame);
		s->first = 0;
		s->gfn++;
	}
}

static void read_back(const __u8 *frame, __u32 sz, struct pt_seal *seal)
{
	struct pt_span spans[PT_SPANS_MAX];
	unsigned int cnt = 0;
	struct pt_reader r;

	for (__u32 at = 0; at < sz; at += DESC_SZ)
		spans[cnt++] = (struct pt_span){
			frame + at, sz - at < DESC_SZ ? sz - at : DESC_SZ
		};
	pt_check(pt_reader_open(&r, spans, cnt) == PT_VERDICT_STEERED);
	pt_check(seal ? pt_reader_unseal(&r, seal) : pt_reader_auth_ok(&r));
}

/* warm builds a batch that is built again, so that its pages are near. */
static void warm(const struct stage *s, int batch)
{
	struct stage before = *s;

	for (int i = 0; i < batch; i++)
		build(&before, NULL, frames[i]);
}

/* run_once: ns a frame of building and of reading; returns bytes a frame. */
static double run_once(struct stage *s, struct pt_seal *tx, struct pt_seal *rx,
		       double *build_ns, double *read_ns)
{
	const int fit = BATCH_SZ / s->builder.cfg.frame_sz_max;
	const int batch = fit < BATCH_MAX ? fit : BATCH_MAX;
	double built = 0, read = 0, start, bytes = 0;
	__u64 end = s->gfn + MEMORY_PAGES, cnt = 0;

	while (s->gfn < end) {
		warm(s, batch);
		start = cpu_ns();
		for (int i = 0; i < batch; i++)
			frame_szs[i] = build(s, tx, frames[i]);
		built += cpu_ns() - start;
		start = cpu_ns();
		for (int i = 0; i < batch; i++)
			read_back(frames[i], frame_szs[i], rx);
		read += cpu_ns() - start;
		for (int i = 0; i < batch; i++)
			bytes += frame_szs[i];
		cnt += batch;
	}
	*build_ns = built / cnt;
	*read_ns = read / cnt;
	return bytes / cnt;
}

/* measure: lib is NULL of no cipher. */
static void measure(const __u8 *memory, __u32 mtu, unsigned int shape,
		    enum pt_cipher cipher, const struct pt_aead_lib *lib)
{
	const struct pt_builder_cfg cfg = {
		.l2l3l4_sz = 42, .frame_sz_max = 14 + mtu,
	};
	const struct pt_seal_cfg seal_cfg = {
		.cipher = cipher, .rekey_log2 = 22, .lib = lib,
	};
	struct stage s = { .memory = memory, .mask = shapes[shape].mask };
	double built, read, best_built = 1e12, best_read = 1e12, bytes = 0;
	struct pt_seal *tx = NULL, *rx = NULL;

	if (cipher) {
		pt_check(!pt_seal_create(&tx, &seal_cfg));
		pt_check(!pt_seal_create(&rx, &seal_cfg));
	}
	pt_builder_init(&s.builder, &cfg);
	for (int i = 0; i < REPEATS; i++) {
		bytes = run_once(&s, tx, rx, &built, &read);
		best_built = built < best_built ? built : best_built;
		best_read = read < best_read ? read : best_read;
	}
	printf("%-18s %-18s %-12s %6.0f %6.0f %6.2f %6.0f %6.2f\n",
	       shapes[shape].name, cipher ? pt_cipher_name(cipher) : "checksum",
	       lib ? lib->name : "", bytes, best_built, bytes / best_built, best_read,
	       bytes / best_read);
	pt_seal_destroy(tx);
	pt_seal_destroy(rx);
}

static void measure_shape(const __u8 *memory, __u32 mtu, unsigned int shape)
{
	const struct pt_aead_lib *const *libs;
	unsigned int cnt;

	measure(memory, mtu, shape, PT_CIPHER_NONE, NULL);
	libs = pt_aead_libs(&cnt);
	for (int c = PT_CIPHER_NONE + 1; c <= PT_CIPHER_MAX; c++)
		for (unsigned int i = 0; i < cnt; i++)
			if (libs[i]->has(c))
				measure(memory, mtu, shape, c, libs[i]);
}

int main(int argc, char **argv)
{
	long mtu = argc > 1 ? atol(argv[1]) : 9000;
	__u8 *memory = malloc((size_t)MEMORY_PAGES * PT_PAGE_SZ);

	if (argc > 2 || mtu < PT_MTU_MIN || mtu > PT_MTU_MAX || !memory) {
		fprintf(stderr, "usage: seal [MTU]\n");
		free(memory);
		return 2;
	}
	for (size_t i = 0; i < (size_t)MEMORY_PAGES * PT_PAGE_SZ; i++)
		memory[i] = random();
	memset(frames, 1, sizeof(frames));	/* faulted in */
	printf("%-18s %-18s %-12s %6s %6s %6s %6s %6s\n", "pages", "frame has",
	       "by", "bytes", "build", "GB/s", "read", "GB/s");
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		measure_shape(memory, mtu, i);
	free(memory);
	return 0;
}
