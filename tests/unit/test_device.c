// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Devices in a network namespace of the test's own. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pagetrim/wire.h>
#include "xdp/device.h"

#define LONG_NAME							\
	"a-name-as-udev-may-give-one-of-more-than-sixty-four-characters-long-x"

static void run(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static int make_devices(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET))
		return -1;	/* without root the test fails; it is not skipped */
	run("ip link add wide address 02:00:00:00:00:0a numtxqueues 3 "
	    "numrxqueues 4 type veth peer name peer numtxqueues 4 "
	    "numrxqueues 3");
	run("ip link set wide mtu 9000 up");
	run("ip link add name eth0.100 type bridge");
	return 0;
}

static void test_facts(void **state)
{
	static const __u8 mac[6] = { 2, 0, 0, 0, 0, 10 };
	struct pt_device dev, peer;

	(void)state;
	assert_int_equal(pt_device_open(&dev, "wide", NULL), 0);
	assert_string_equal(dev.name, "wide");
	assert_string_equal(dev.driver, "veth");
	assert_true(dev.ifindex > 0);
	assert_int_equal(dev.mtu, 9000);
	assert_int_equal(pt_device_frame_sz(&dev), 9014);
	assert_memory_equal(dev.mac, mac, 6);
	assert_int_equal(dev.rx_queue_cnt, 4);
	assert_int_equal(dev.tx_queue_cnt, 3);
	assert_true(dev.is_up);
	assert_false(dev.has_carrier);	/* the peer is down */
	assert_true(dev.netns_cookie > 0);

	assert_int_equal(pt_device_open(&peer, "peer", NULL), 0);
	assert_int_equal(peer.rx_queue_cnt, 3);
	assert_int_equal(peer.tx_queue_cnt, 4);
	assert_false(peer.is_up);
	assert_int_equal(peer.netns_cookie, dev.netns_cookie);
	assert_true(peer.ifindex != dev.ifindex);
	run("ip link set peer up");
	assert_int_equal(pt_device_open(&dev, "wide", NULL), 0);
	assert_true(dev.has_carrier);
	assert_int_equal(pt_device_open(&dev, "eth0.100", NULL), 0);
	assert_string_equal(dev.driver, "bridge");
}

/* It counts the queues in use, not the possible ones. */
static void test_queues_in_use(void **state)
{
	struct pt_device dev;

	(void)state;
	run("ethtool -L wide rx 2 tx 1");
	assert_int_equal(pt_device_open(&dev, "wide", NULL), 0);
	assert_int_equal(dev.rx_queue_cnt, 2);
	assert_int_equal(dev.tx_queue_cnt, 1);
	run("ethtool -L wide rx 4 tx 3");
}

/* A device is found by each of its names, and by its number under any name. */
static void test_other_names(void **state)
{
	struct pt_device dev, again;

	(void)state;
	assert_int_equal(pt_device_open(&dev, "wide", NULL), 0);
	run("ip link property add dev wide altname wide-too");
	run("ip link property add dev wide altname " LONG_NAME);
	assert_int_equal(pt_device_open(&again, "wide-too", NULL), 0);
	assert_int_equal(again.ifindex, dev.ifindex);
	assert_string_equal(again.name, "wide");
	assert_int_equal(pt_device_open(&again, LONG_NAME, NULL), 0);
	assert_int_equal(again.ifindex, dev.ifindex);
	assert_string_equal(again.name, "wide");

	run("ip link set wide down");
	run("ip link set wide name wider");
	assert_int_equal(pt_device_open_index(&again, dev.ifindex, NULL), 0);
	assert_string_equal(again.name, "wider");
	run("ip link set wider name wide");
	run("ip link set wide up");
	assert_int_equal(pt_device_open_index(&again, 99999, NULL), -ENODEV);
}

static const struct name_row {
	const char *name;
	int want;
	const char *word;
} name_rows[] = {
	{ "nothing9", -ENODEV, "no such device" },
	{ "", -EINVAL, "cannot be a device's name" },
	{ ".", -EINVAL, "cannot be a device's name" },
	{ "..", -EINVAL, "cannot be a device's name" },
	{ "../eth0", -EINVAL, "cannot be a device's name" },
	{ "sixteencharacter", -ENODEV, "no such device" },
	{ LONG_NAME LONG_NAME, -EINVAL, "cannot be a device's name" },
	{ "fifteencharacte", -ENODEV, "no such device" },
	{ "lo", -EINVAL, "the loopback device" },
};

static void test_name(void **state)
{
	const struct name_row *row = *state;
	struct pt_device dev = { .mtu = 77 };
	struct pt_error err = { 0 };

	assert_int_equal(pt_device_open(&dev, row->name, &err), row->want);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, row->word));
	assert_true(strstr(err.text, row->name) || strlen(row->name) > 64);
	assert_int_equal(dev.mtu, 77);	/* left as it was */
}

static void test_check(void **state)
{
	struct pt_device dev = { .name = "eth0", .is_up = true,
				 .mtu = PT_MTU_MIN };
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_device_check(&dev, &err), 0);
	dev.mtu--;
	assert_int_equal(pt_device_check(&dev, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "eth0: MTU 1279"));
	dev.mtu++;
	dev.is_up = false;
	assert_int_equal(pt_device_check(&dev, &err), -ENETDOWN);
	assert_non_null(strstr(err.text, "ip link set eth0 up"));
}

#define NAMES (sizeof(name_rows) / sizeof(name_rows[0]))

int main(void)
{
	struct CMUnitTest tests[NAMES + 4] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_queues_in_use),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_other_names),
	};

	for (size_t i = 0; i < NAMES; i++)
		tests[4 + i] = (struct CMUnitTest){ name_rows[i].name,
			test_name, NULL, NULL, (void *)&name_rows[i] };
	return cmocka_run_group_tests_name("device", tests, make_devices,
					   NULL);
}
