/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Devices that write the guest's memory by DMA, past all page tables: no tracker
 * sees it, and no stop of the guest's CPUs ends it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "qmp/json.h"
#include "vmm/qemu_impl.h"

#define REMEDY	"its DMA writes memory unseen (unplug it, or detach it from the " \
		"guest)"

bool pt_qemu_is_dma_link(const char *link)
{
	static const char *const starts[] = {
		"/dev/vfio/", "/dev/vhost-vdpa", "/dev/iommu",
		"anon_inode:[vfio",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(link, starts[i], strlen(starts[i])))
			return true;
	return false;
}

bool pt_qemu_is_dma_driver(const char *driver)
{
	static const char *const drivers[] = {	/* those of libblkio, and VFIO */
		"io_uring", "nvme-io_uring", "virtio-blk-vfio-pci",
		"virtio-blk-vhost-user", "virtio-blk-vhost-vdpa", "nvme",
	};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (!strcmp(driver, drivers[i]))
			return true;
	return false;
}

static int check_files(const struct pt_qemu *q, struct pt_error *err)
{
	char path[64], link[256] = "", name[256];
	const struct dirent *entry;
	bool found = false;
	ssize_t sz;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", q->pid);
	dir = opendir(path);
	if (!dir)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot look "
				    "at the files of process %d, QEMU: %s%s",
				    q->name, q->pid, strerror(errno),
				    pt_process_remedy(-errno));
	while (!found && (entry = readdir(dir))) {
		sz = readlinkat(dirfd(dir), entry->d_name, link,
				sizeof(link) - 1);
		link[sz > 0 ? sz : 0] = '\0';
		found = pt_qemu_is_dma_link(link);
	}
	closedir(dir);
	pt_text_clean(name, sizeof(name), link);
	return found ? pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP, "%s: a "
				    "device of the host is assigned to this "
				    "guest, %s: " REMEDY, q->name, name) : 0;
}

/* check_disks: a QEMU that cannot tell is taken to have no such driver. */
static int check_disks(struct pt_qemu *q, struct pt_error *err)
{
	json_t *rows = NULL, *row;
	const char *driver;
	int code = 0;
	size_t i;

	pt_qemu_do(q, "query-named-block-nodes",
		   json_pack("{s:b}", "flat", true), &rows, NULL);
	json_array_foreach(rows, i, row) {
		driver = pt_json_text(row, "drv");
		if (!code && pt_qemu_is_dma_driver(driver))
			code = pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP,
					    "%s: a disk of this guest has the "
					    "driver '%s': " REMEDY, q->name,
					    driver);
	}
	json_decref(rows);
	return code;
}

int pt_qemu_check_dma(struct pt_qemu *q, struct pt_error *err)
{
	int code = check_files(q, err);

	return code ? code : check_disks(q, err);
}
