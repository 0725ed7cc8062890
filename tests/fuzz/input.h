/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* input: a fuzzer's bytes, taken from the front.  Bytes beyond the end are
 * zero, so that every input is valid. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <string.h>

#include <linux/types.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);

struct input {
	const __u8 *at;
	size_t sz;		/* bytes left */
};

static inline void input_bytes(struct input *in, void *to, size_t sz)
{
	size_t have = sz < in->sz ? sz : in->sz;

	memset(to, 0, sz);
	if (have)
		memcpy(to, in->at, have);
	in->at += have;
	in->sz -= have;
}

static inline __u8 input_u8(struct input *in)
{
	__u8 value;

	input_bytes(in, &value, sizeof(value));
	return value;
}

#endif
