/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The QEMU that a guest has left. */
#include <stdio.h>
#include <string.h>

#include "vmm/qemu_impl.h"

int pt_qemu_gave_up(struct pt_qemu *q, bool *gave_up, struct pt_error *err)
{
	struct pt_qemu_state s;
	int code = pt_qemu_look(q, &s, err);

	*gave_up = !code && !strcmp(s.run, "postmigrate") &&
		   !strcmp(s.migration, "completed");
	return code;
}

/* mix: FNV-1a.  Nobody is to be kept from finding two that are equal: the other end is
 * trusted with the guest. */
static __u64 mix(__u64 sum, const char *text)
{
	for (; *text; text++)
		sum = (sum ^ (__u8)*text) * 0x100000001b3ULL;
	return sum;
}

/* first_line reads the first line of a file of the kernel's; "": it cannot. */
static void first_line(const char *path, char *to, size_t sz)
{
	FILE *in = fopen(path, "re");

	if (!in || !fgets(to, sz, in))
		to[0] = '\0';
	if (in)
		fclose(in);
}

__u64 pt_qemu_guest_id(const struct pt_qemu *q)
{
	char path[40], boot[64], stat[1024], *at = stat;
	__u64 sum = 0xcbf29ce484222325ULL;

	first_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	snprintf(path, sizeof(path), "/proc/%d/stat", q->pid);
	first_line(path, stat, sizeof(stat));
	/* The 22nd field is the start; the second one, in brackets, may have spaces. */
	at = strrchr(stat, ')') ? strrchr(stat, ')') : stat;
	for (int field = 2; field < 22 && at; field++)
		at = strchr(at + 1, ' ');
	if (at && strchr(at + 1, ' '))
		*strchr(at + 1, ' ') = '\0';
	sum = mix(mix(mix(sum, boot), path), at ? at : "");
	return sum ? sum : 1;
}
