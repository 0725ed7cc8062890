/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Where QEMU has a backend, by commands for people (HMP): a guest address at which
 * the guest sees the backend, and then the address in QEMU of that one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/qemu_impl.h"

static char *hmp(struct pt_qemu *q, const char *line)
{
	return pt_qemu_text(q, "human-monitor-command",
			    json_pack("{s:s}", "command-line", line));
}

/* is_of: name, of a memory region, is that of the backend. */
static bool is_of(const char *name, const char *id)
{
	if (!strncmp(name, "/objects/", 9))
		name += 9;
	return !strcmp(name, id);
}

/* gpa_of reads a line of 'info mtree -f':
 *
 *	  0000000000100000-0000000003ffffff (prio 0, ram): ram @0000000000100000
 */
static bool gpa_of(const char *line, const char *id,
		   unsigned long long *gpa, unsigned long long *off)
{
	char name[PT_SEGMENT_NAME_SZ + 16], at[32] = "";
	unsigned long long end;

	*off = 0;
	if (sscanf(line, " %llx-%llx (prio %*d, ram): %79s %31s", gpa, &end,
		   name, at) < 3 || !is_of(name, id))
		return false;
	return *at != '@' || sscanf(at + 1, "%llx", off) == 1;
}

bool pt_qemu_hva(struct pt_qemu *q, const char *id, __u64 *addr)
{
	char *tree = hmp(q, "info mtree -f"), *answer = NULL;
	unsigned long long gpa, off, hva;
	char command[64];
	bool found = false;

	for (char *line = tree; line && !found;) {
		char *next = strchr(line, '\n');

		if (next)
			*next++ = '\0';
		found = gpa_of(line, id, &gpa, &off);
		line = next;
	}
	free(tree);
	if (!found)
		return false;
	snprintf(command, sizeof(command), "gpa2hva 0x%llx", gpa);
	answer = hmp(q, command);
	found = answer && strstr(answer, " is ") &&
		sscanf(strstr(answer, " is "), " is 0x%llx", &hva) == 1;
	free(answer);
	if (found)
		*addr = hva - off;
	return found;
}
