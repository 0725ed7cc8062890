// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/gather.h"

#include <string.h>
#include <sys/mman.h>

#include <pagetrim/clock.h>
#include <pagetrim/wire.h>
#include "seal/seal.h"
#include "trim/scan.h"

#define BUFFER_SZ	(64u << 20)	/* above most caches */
#define SEAL_SZ		(32u << 20)
#define SECONDS_MAX	0.1		/* of one measurement */
#define STEP_SZ		(1u << 20)	/* bytes between two looks at the
					 * clock */
#define FRAME_SZ	8192u		/* bytes per call of seal */

static double seconds(void)
{
	return pt_clock_ns() / 1e9;
}

static double scan_rate(const __u8 *memory)
{
	double begin = seconds(), took = 0;
	__u64 seen = ~0ull;
	size_t off = 0;

	while (off < BUFFER_SZ && took < SECONDS_MAX) {
		seen &= pt_scan(memory + off);
		off += PT_PAGE_SZ;
		if (off % STEP_SZ == 0)
			took = seconds() - begin;
	}
	/* No block is zero; the result is used, since an unused scan would be
	 * optimized away. */
	return seen == ~0ull ? off / took : 0;
}

/* seal_rate seals as a lane does, from the memory to the frame. */
static double seal_rate(const __u8 *memory, enum pt_cipher cipher)
{
	/* The key protects nothing. */
	const struct pt_seal_cfg cfg = {
		.cipher = cipher, .rekey_log2 = PT_REKEY_LOG2_MAX,
	};
	static __u8 frame[FRAME_SZ];
	double begin = seconds(), took = 0;
	__u8 tag[PT_AUTH_SZ];
	struct pt_seal *seal;
	size_t off = 0;

	if (pt_seal_create(&seal, &cfg))
		return 0;
	while (off < SEAL_SZ && took < SECONDS_MAX) {
		pt_seal_start(seal, PT_FRAME_DATA, off / FRAME_SZ,
			      (struct pt_span){ NULL, 0 });
		pt_seal_put(seal, frame, memory + off, FRAME_SZ);
		pt_seal_finish(seal, tag);
		off += FRAME_SZ;
		if (off % STEP_SZ == 0)
			took = seconds() - begin;
	}
	pt_seal_destroy(seal);
	return off / took;
}

void gather_speed(struct pt_facts *facts)
{
	__u8 *memory = mmap(NULL, BUFFER_SZ, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double rate;

	if (memory == MAP_FAILED)
		return;
	madvise(memory, BUFFER_SZ, MADV_HUGEPAGE);
	memset(memory, 0x5a, BUFFER_SZ);
	/* The better of two, since other processes use this host, too. */
	for (int i = 0; i < 2; i++) {
		rate = scan_rate(memory);
		if (rate > facts->speed.scan_sz_s)
			facts->speed.scan_sz_s = rate;
		rate = seal_rate(memory, facts->host.cipher);
		if (rate > facts->speed.seal_sz_s)
			facts->speed.seal_sz_s = rate;
	}
	munmap(memory, BUFFER_SZ);
}
