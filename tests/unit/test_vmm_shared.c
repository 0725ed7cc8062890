// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Devices that another process serves, by the answers of a fake QEMU. */
#include "vmm_kit.h"

#define FOLDER(path, types) \
	{ "\"path\":\"/machine/" path "\"", "\"return\": [" types "]" }
#define DEVICE(type) "{\"name\": \"x\", \"type\": \"child<" type ">\"}"
#define NETWORK(text) { "info network", "\"return\": \"" text "\"" }

/* Devices of another process, that maps the memory. */
static const struct row {
	const char *name;
	const struct answer *first;
	int want;
	const char *words;
} rows[] = {
	{ "no device of another process",
	  ROW(NETWORK("net0: index=0,type=nic\\r\\n \\\\ h0: index=0,type=tap"),
	      FOLDER("peripheral", DEVICE("virtio-net-pci")),
	      FOLDER("peripheral-anon", DEVICE("vhost-vsock-pci"))), 0, "" },
	{ "a network of vhost-user",
	  ROW(NETWORK("net0: index=0,type=nic\\r\\n \\\\ h0: index=0,type=vhost-user")),
	  -EOPNOTSUPP, "device 'netdev vhost-user' of this guest is served by" },
	{ "a disk of vhost-user",
	  ROW(NETWORK(""), FOLDER("peripheral", DEVICE("virtio-net-pci") ","
				  DEVICE("vhost-user-blk-pci"))),
	  -EOPNOTSUPP, "device 'vhost-user-blk-pci'" },
	{ "a device of vfio-user without an id",
	  ROW(NETWORK(""), FOLDER("peripheral", ""),
	      FOLDER("peripheral-anon", DEVICE("vfio-user-pci"))),
	  -EOPNOTSUPP, "device 'vfio-user-pci'" },
	{ "a QEMU that tells of none",
	  ROW({ "info network", "\"error\": {}" },
	      { "qom-list", "\"error\": {}" }), 0, "" },
};

static void test_shared(void **state)
{
	const struct row *row = *state;
	struct fake f = {
		.version = "7, 2, 22", .first = row->first, .then = source,
	};
	struct pt_qemu *q = open_it(&f);
	struct pt_error err = { 0 };

	assert_int_equal(pt_qemu_check_shared(q, &err), row->want);
	if (row->want)
		has(&err, row->words);
	pt_qemu_close(q);
	free(fake_end(&f));
}

int main(void)
{
	struct CMUnitTest tests[CNT(rows)];
	size_t test_cnt = 0;

	ADD(rows, test_shared);
	if (scratch_mount())
		return 1;
	return _cmocka_run_group_tests("vmm_shared", tests, test_cnt, NULL, NULL);
}
