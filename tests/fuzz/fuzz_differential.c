/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The receive program, in the kernel, and the parser in user space, which leads
 * the fuzzer, must judge the same bytes alike. */
#include "input.h"
#include "../bpf/model.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct program program;
	static struct frame f;
	struct outcome o;

	if (!program.skel)
		pt_check(!model_open(&program));
	/* A frame has at least an Ethernet header, on a device as in a test
	 * run. */
	if (sz < ETH_HLEN || sz > 4096)
		return 0;
	memcpy(f.bytes, data, sz);
	f.sz = sz;
	/* The session's counters are looked up at the offset of a plain
	 * frame. */
	f.hdr_off = f.bytes[12] == 0x86 ? 62 : 42;
	o = program_run(&program, &f, 0);
	assert_verdict("a frame", o.verdict, model_verdict(&f));
	return 0;
}
