/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Waits for the I/O of QEMU's disks. */
#include <errno.h>

#include "qmp/json.h"
#include "vmm/qemu_impl.h"

#define MICRO_RELEASE_MAX	49	/* above: on the way to the next minor */

/* QEMU's main loop stands still meanwhile, and a virtual CPU that needs it. */
#define MEAN_MAX_NS	20000000.0

static int unsure(const struct pt_qemu *q, const char *why,
		  struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: %s", q->name,
			    why);
}

/* is_known: in this version a transaction was seen to drain all disks, which QEMU's
 * documents do not promise.  After a drain 8.1 and 8.2.0 may leave a disk of an
 * iothread without notifications. */
static bool is_known(const struct pt_qemu *q)
{
	struct pt_qmp_version v = pt_qmp_version(q->qmp);

	return v.micro <= MICRO_RELEASE_MAX &&
	       ((v.major == 7 && v.minor == 2) || (v.major == 10 && !v.minor));
}

/* is_slow: an operation of this disk takes too long, on average. */
static bool is_slow(const json_t *disk)
{
	static const char *const kinds[][2] = {
		{ "rd_operations", "rd_total_time_ns" },
		{ "wr_operations", "wr_total_time_ns" },
		{ "flush_operations", "flush_total_time_ns" },
		{ "unmap_operations", "unmap_total_time_ns" },
	};
	const json_t *stats = json_object_get(disk, "stats");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		double cnt = json_number_value(json_object_get(stats,
							       kinds[i][0]));
		double ns = json_number_value(json_object_get(stats,
							      kinds[i][1]));

		if (ns > cnt * MEAN_MAX_NS)
			return true;
	}
	return false;
}

int pt_qemu_drain(struct pt_qemu *q, struct pt_error *err)
{
	json_t *disks = NULL, *disk;
	bool found = false;
	size_t i;
	int code;

	if (!is_known(q))
		return unsure(q, "a QEMU that is not known to drain its disks",
			      err);
	code = pt_qemu_do(q, "query-blockstats", NULL, &disks, err);
	if (code)
		return code;
	json_array_foreach(disks, i, disk)
		found |= is_slow(disk);
	json_decref(disks);
	if (found)
		return unsure(q, "a disk is too slow to wait for its I/O", err);
	return pt_qemu_do(q, "transaction", json_pack("{s:[]}", "actions"), NULL,
			  err);
}
