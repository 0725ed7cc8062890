// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file of peers: each key, identities and names that match, and each fault by
 * its line. */
#include "scratch.h"

#include "peers/peers.h"

#define PATH	SCRATCH "/peers"
#define A	"[a]\nfolder = one\n"

static struct pt_peers *peers;
static struct pt_error err;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(mkdir(SCRATCH "/one", 0700), 0);
	assert_int_equal(mkdir(SCRATCH "/two", 0700), 0);
	return 0;
}

static int read_text(const char *text)
{
	int fd = scratch_file(PATH, 0);

	scratch_write(fd, 0, text, strlen(text));
	close(fd);
	return pt_peers_open(&peers, PATH, SCRATCH, &err);
}

static void test_all_keys(void **state)
{
	const struct pt_peer *p;

	(void)state;
	assert_int_equal(read_text("# senders\n"
				   "[host-one]\n"
				   "folder = one\n"
				   "name = vm-*\n"
				   "name = test\n"
				   "quota = 64G\n"
				   "bandwidth = 1Gbit/s\n"
				   "also = host-one-2\n"
				   "\n"
				   "[CN=b, O=c]\n"
				   "folder = " SCRATCH "/two\n"), 0);
	assert_int_equal(peers->cnt, 2);
	p = pt_peers_find(peers, "host-one");
	assert_non_null(p);
	assert_ptr_equal(pt_peers_find(peers, "host-one-2"), p);
	assert_null(pt_peers_find(peers, "host"));
	assert_null(pt_peers_find(peers, ""));
	assert_string_equal(p->folder, SCRATCH "/one");
	assert_int_equal(p->quota_sz, 64ULL << 30);
	assert_int_equal(p->bytes_per_s, 125000000);
	assert_true(pt_peer_may_name(p, "vm-7"));
	assert_true(pt_peer_may_name(p, "test"));
	assert_false(pt_peer_may_name(p, "test2"));
	assert_false(pt_peer_may_name(p, "avm-7"));
	p = pt_peers_find(peers, "CN=b, O=c");
	assert_non_null(p);
	assert_string_equal(p->folder, SCRATCH "/two");
	assert_int_equal(p->quota_sz, 0);
	assert_int_equal(p->bytes_per_s, 0);
	assert_true(pt_peer_may_name(p, "anything"));
	pt_peers_close(peers);
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(read_text(""), 0);
	assert_int_equal(peers->cnt, 0);
	assert_null(pt_peers_find(peers, "a"));
	pt_peers_close(peers);
}

static const struct row {
	const char *name, *text, *want;
} rows[] = {
	{ "no section", "folder = one\n", ":1: 'folder': no [IDENTITY]" },
	{ "no value", A "quota\n", ":3: 'quota': want KEY = VALUE" },
	{ "unknown key", A "quotas = 1G\n", ":3: 'quotas': no such key" },
	{ "a wrong quota", A "quota = 1Q\n", ":3: quota '1Q': want" },
	{ "a quota of 0", A "quota = 0\n", ":3: quota '0': want" },
	{ "a wrong rate", A "bandwidth = 63K\n", ":3: bandwidth '63K': want" },
	{ "an identity twice", A "[a]\n", ":3: identity 'a': line 1 has it" },
	{ "an identity also twice", A "also = a\n", ":3: identity 'a': line 1" },
	{ "an empty identity", "[ ]\n", ":1: '[]': is empty" },
	{ "an empty name", A "name =\n", ":3: 'name': is empty" },
	{ "a name that none has", A "name = a/b\n", ":3: name 'a/b': an image's" },
	{ "two quotas", A "quota = 1G\nquota = 2G\n", ":4: a second quota" },
	{ "two rates", A "bandwidth = 1G\nbandwidth = 1G\n",
	  ":4: a second bandwidth" },
	{ "two folders", A "folder = two\n", ":3: a second folder" },
	{ "no folder", "\n[a]\nquota = 1G\n", ":2: [a]: no folder" },
	{ "a folder that lacks", "[a]\nfolder = x\n",
	  ":1: folder " SCRATCH "/x: No such file" },
	{ "a file for a folder", "[a]\nfolder = peers\n",
	  ":1: folder " SCRATCH "/peers: not a folder" },
	{ "one folder for two", A "[b]\nfolder = two/../one\n",
	  ":3: folder " SCRATCH "/two/../one: the section of line 1" },
	{ "five identities", A "also = b\nalso = c\nalso = d\nalso = e\n",
	  ":6: more than 4 identities" },
};

static void test_row(void **state)
{
	const struct row *row = *state;

	assert_int_equal(read_text(row->text), -EINVAL);
	assert_int_equal(err.exit, PT_EXIT_USAGE);
	if (!strstr(err.text, row->want))
		fail_msg("%s", err.text);
	assert_non_null(strstr(err.text, PATH));
}

static void test_too_many(void **state)
{
	static char text[PT_PEERS_MAX * 32 + 64];
	char name[192] = A "name = ";
	size_t at = 0;

	(void)state;
	for (int i = 0; i <= PT_PEERS_MAX; i++)
		at += sprintf(text + at, "[%d]\n", i);
	assert_int_equal(read_text(text), -EINVAL);
	assert_non_null(strstr(err.text, ":257: more than 256 sections"));
	memset(name + strlen(name), 'x', 129);
	assert_int_equal(read_text(name), -EINVAL);
	assert_non_null(strstr(err.text, ":3: 'xxx"));
	at = sprintf(text, A);
	for (int i = 0; i <= PT_PEERS_NAMES; i++)
		at += sprintf(text + at, "name = %d\n", i);
	assert_int_equal(read_text(text), -EINVAL);
	assert_non_null(strstr(err.text, ":19: more than 16 names"));
}

int main(void)
{
	struct CMUnitTest tests[3 + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_too_many),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[3 + i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = test_row,
			.initial_state = (void *)&rows[i],
		};
	if (scratch_mount())
		return 1;
	return cmocka_run_group_tests(tests, set_up, NULL);
}
