/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Large messages, plain and over TLS. */
#include "tls_kit.h"

#include "channel/conn_io.h"
#include "tls/tls_impl.h"

/* FILE_DATA of 64 KiB, both ways at once, to readers that take a message now
 * and then: all arrive whole and in order, across new keys too. */
#define BIG_CNT		400

static __u8 big_byte(__u32 number, __u32 at)
{
	return number * 31 + at * 7 + (at >> 8);
}

static bool send_big(struct pt_conn *c, __u32 number)
{
	static __u8 data[PT_FILE_DATA_SZ_MAX];
	struct pt_message m = { .type = PT_MSG_FILE_DATA };
	int ret;

	for (__u32 i = 0; i < sizeof(data); i++)
		data[i] = big_byte(number, i);
	m.file_data = (struct pt_msg_file_data){ sizeof(data), data };
	ret = pt_conn_send(c, &m, &err);
	assert_true(!ret || ret == -ENOBUFS);
	return !ret;
}

/* The receiver's big message: digests. */
static bool send_digests(struct pt_conn *c, __u32 number)
{
	static __u64 digests[PT_DIGESTS_MAX];
	struct pt_message m = { .type = PT_MSG_MISMATCH };
	int ret;

	for (__u32 i = 0; i < 512; i++)
		digests[i] = (__u64)number << 32 | i;
	m.mismatch = (struct pt_msg_mismatch){ number, 512, digests };
	ret = pt_conn_send(c, &m, &err);
	assert_true(!ret || ret == -ENOBUFS);
	return !ret;
}

static void check_big(const struct pt_message *m, __u32 number)
{
	const __u8 *data = m->file_data.data;

	assert_int_equal(m->type, PT_MSG_FILE_DATA);
	assert_int_equal(m->file_data.data_sz, PT_FILE_DATA_SZ_MAX);
	for (__u32 i = 0; i < PT_FILE_DATA_SZ_MAX; i++)
		if (data[i] != big_byte(number, i))
			fail_msg("message %u differs at %u", number, i);
}

static void check_digests(const struct pt_message *m, __u32 number)
{
	assert_int_equal(m->type, PT_MSG_MISMATCH);
	assert_int_equal(m->mismatch.digest_cnt, 512);
	for (__u32 i = 0; i < 512; i++)
		assert_int_equal(m->mismatch.digest[i],
				 (__u64)number << 32 | i);
}

/* read_one reads a message, when poll reports one and only then. */
static int read_one(struct pt_conn *c, struct pt_message *m, bool *drained)
{
	struct pollfd fd = { .fd = pt_conn_fd(c), .events = POLLIN };
	int ret;

	if (*drained && poll(&fd, 1, 0) != 1)
		return 0;
	ret = pt_conn_recv(c, m, &err);
	assert_true(ret >= 0);
	*drained = !ret;
	return ret;
}

/* as_if_much makes either side's key seem old enough to be replaced. */
static void as_if_much(struct pt_conn *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->tls)
		c->tls->since_rekey_sz = PT_TLS_REKEY_SZ;
	pthread_mutex_unlock(&c->lock);
}

static void test_big_both_ways(void **state)
{
	__u32 sent[2] = { 0 }, got[2] = { 0 };
	bool drained[2] = { false, false };
	struct pt_conn *s, *r;
	struct pt_message m;

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	while (got[0] < BIG_CNT || got[1] < BIG_CNT) {
		if (sent[0] % 50 == 1 && sent[0] < BIG_CNT / 2)
			as_if_much(s);
		if (sent[1] % 50 == 1 && sent[1] < BIG_CNT / 2)
			as_if_much(r);
		while (sent[0] < BIG_CNT && send_big(s, sent[0]))
			sent[0]++;
		while (sent[1] < BIG_CNT && send_digests(r, sent[1]))
			sent[1]++;
		if (read_one(r, &m, &drained[0]))
			check_big(&m, got[0]++);
		if (read_one(s, &m, &drained[1]))
			check_digests(&m, got[1]++);
	}
	assert_int_equal(pt_conn_recv(s, &m, &err), 0);
	assert_int_equal(pt_conn_recv(r, &m, &err), 0);
	assert_int_equal(pt_conn_queued_sz(s) + pt_conn_queued_sz(r), 0);
	if (s->tls)		/* new keys were exchanged meanwhile */
		assert_true(s->tls->since_rekey_sz < PT_TLS_REKEY_SZ / 2 &&
			    r->tls->since_rekey_sz < PT_TLS_REKEY_SZ / 2);
	pt_conn_close(s);
	pt_conn_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_big_both_ways),
	};

	return cmocka_run_group_tests_name("large messages", tests, NULL,
					   NULL) +
	       cmocka_run_group_tests_name("large messages over TLS", tests,
					   secure, insecure);
}
