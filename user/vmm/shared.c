/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Devices whose back-end is another process, which maps the guest's memory when the
 * device starts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "qmp/json.h"
#include "vmm/qemu_impl.h"

static const char *const folders[] = { "/machine/peripheral", "/machine/peripheral-anon" };

/* Types of devices, and of a network's back-end, begin so. */
static const char *const starts[] = {
	"child<vhost-user", "child<vfio-user", "child<x-pci-proxy",
};
#define NETWORK	"type=vhost-user"

static bool is_shared(const char *type)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(type, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* find_device returns the type of one in a folder of the object tree, cleaned; false:
 * there is none. */
static bool find_device(struct pt_qemu *q, const char *folder, char *type, size_t sz)
{
	json_t *rows = NULL, *row;
	bool found = false;
	size_t i;

	pt_qemu_do(q, "qom-list", json_pack("{s:s}", "path", folder), &rows, NULL);
	json_array_foreach(rows, i, row) {
		const char *text = pt_json_text(row, "type");

		if (found || !is_shared(text))
			continue;
		found = true;
		pt_text_clean(type, sz, text + strlen("child<"));
		type[strcspn(type, ">")] = '\0';
	}
	json_decref(rows);
	return found;
}

static bool has_network(struct pt_qemu *q)
{
	char *text = pt_qemu_text(q, "human-monitor-command",
				  json_pack("{s:s}", "command-line", "info network"));
	bool has = text && strstr(text, NETWORK);

	free(text);
	return has;
}

int pt_qemu_check_shared(struct pt_qemu *q, struct pt_error *err)
{
	char type[64] = "netdev vhost-user";
	bool found = has_network(q);

	for (size_t i = 0; !found && i < sizeof(folders) / sizeof(folders[0]); i++)
		found = find_device(q, folders[i], type, sizeof(type));
	return found ? pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: the device '%s' "
				    "of this guest is served by another process, which "
				    "would read zeroes for what has not come (receive "
				    "without {serve-faults}, or start QEMU without it)",
				    q->name, type) : 0;
}
