/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The description of a source's guest.  A readable one matches itself; the error
 * about any other is one clean line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "vmm/qemu.h"
#include <pagetrim/check.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static const char mine[] = "{\"backends\":{\"ram\":67108864},"
		"\"cpus\":{\"count\":1,\"model\":\"max-x86_64-cpu\"},"
		"\"devices\":{\"net0\":{\"addr\":\"01.0\",\"type\":\"e1000\"}},"
		"\"machine\":\"pc-q35-7.2-machine\"}";
	struct pt_error err = { 0 };
	char *theirs = strndup((const char *)data, sz);
	int code = pt_qemu_match(mine, theirs, &err);

	pt_check(!code || code == -EINVAL || code == -EPROTO);
	pt_check(!code == !err.text[0]);
	pt_check(pt_text_is_clean(err.text, strlen(err.text)));
	pt_check(code == -EPROTO || !pt_qemu_match(theirs, theirs, NULL));
	free(theirs);
	return 0;
}
