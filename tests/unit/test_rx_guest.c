/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A receiving session and the guest that waits: which messages it takes when,
 * what it asks of the guest, and in which order.  The sender's end is a
 * connection, the guest is this test, the device is none. */
#include "conn_kit.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "../fuzz/rx_host_fake.h"
#include "receive/rx_guest.h"
#include "receive/rx_messages.h"
#include "sink/sink_guest.h"
#include "sink/sink_memfd.h"

#define MEMORY_SZ	(3ULL << 20)
#define TRANSFER	7
#define DESCRIPTION	"{\"machine\":\"q35\"}"

static const struct pt_conn_cfg live_sender = {
	.role = PT_ROLE_SENDER, .capabilities = PT_CAP_LIVE | PT_CAP_WORKING,
};
static const struct pt_conn_cfg live_receiver = {
	.role = PT_ROLE_RECEIVER, .capabilities = PT_CAP_LIVE | PT_CAP_WORKING,
};

/* guest: the session's requests, a letter each: match, begin, loaded, run; and
 * its answers. */
static struct {
	char asked[8];
	size_t asked_cnt;
	char fails;		/* the letter of what fails */
	int outer;		/* its end of the state's socket */
	int memory;		/* a memfd */
	void *at;
} guest;

static int answer(void *arg, char letter, struct pt_error *why)
{
	assert_ptr_equal(arg, &guest);
	assert_true(guest.asked_cnt < sizeof(guest.asked) - 1);
	guest.asked[guest.asked_cnt++] = letter;
	return letter == guest.fails
		? pt_error_set(why, letter == 'r' ? PT_EXIT_UNKNOWN
						  : PT_EXIT_HOST,
			       -EIO, "the guest fails at %c", letter) : 0;
}

static int match(void *arg, const char *theirs, struct pt_error *why)
{
	assert_string_equal(theirs, DESCRIPTION);
	return answer(arg, 'm', why);
}

static int begin(void *arg, int *fd, struct pt_error *why)
{
	int ret = answer(arg, 'b', why), fds[2];

	if (ret)
		return ret;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	guest.outer = fds[0];
	*fd = fds[1];
	return 0;
}

static int loaded(void *arg, struct pt_error *why)
{
	return answer(arg, 'l', why);
}

static int run_guest(void *arg, struct pt_error *why)
{
	return answer(arg, 'r', why);
}

static const struct pt_receive_guest receive_guest = {
	.match = match, .begin = begin, .loaded = loaded, .arg = &guest,
};

/* ---- a session ---- */

static struct pt_receiver_cfg cfg;
static struct pt_rx_host host;
static struct pt_rx_session *session;
static struct pt_conn *sender;
static struct pt_sink *sink, *reserved;
static int wake_fd;

static void open_memory(bool is_guest)
{
	char path[64];
	struct pt_sink_guest_range range = {
		.name = "ram", .sz = MEMORY_SZ, .path = path,
	};
	struct pt_sink_guest_cfg sink_cfg = {
		.pid = getpid(), .ranges = &range, .cnt = 1,
		.run = run_guest, .arg = &guest,
	};

	memset(&guest, 0, sizeof(guest));
	guest.outer = -1;
	guest.memory = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(guest.memory, MEMORY_SZ), 0);
	guest.at = mmap(NULL, MEMORY_SZ, PROT_READ | PROT_WRITE, MAP_SHARED,
			guest.memory, 0);
	assert_ptr_not_equal(guest.at, MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", guest.memory);
	range.addr = (uintptr_t)guest.at;
	assert_int_equal(is_guest ? pt_sink_open_guest(&sink, &sink_cfg, &err)
				  : pt_sink_open_memfd(&sink, guest.memory,
						       &err), 0);
}

static void start(bool is_guest)
{
	struct pt_conn *conn;

	open_memory(is_guest);
	reserved = sink;
	cfg = (struct pt_receiver_cfg){
		.sink = sink, .guest = is_guest ? &receive_guest : NULL,
		.peer_timeout_ms = 60000,
	};
	host = (struct pt_rx_host){
		.queue_cnt = 1, .desc_sz = 3840, .frame_sz_max = 9014,
		.device.mtu = 9000, .memory_sz_max = 1ULL << 36,
	};
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	make_pair_of(&sender, &live_sender, &conn, &live_receiver,
		     "127.0.0.1");
	session = pt_rx_session_start(conn, &cfg, &host, &reserved, wake_fd);
	assert_non_null(session);
}

static void stop(void)
{
	const struct pt_error why = { .exit = PT_EXIT_FAILED };

	pt_rx_session_end(session, -ECANCELED, &why);
	pt_rx_session_free(session);
	pt_conn_close(sender);
	pt_sink_close(sink);
	munmap(guest.at, MEMORY_SZ);
	close(guest.memory);
	if (guest.outer >= 0)
		close(guest.outer);
	close(wake_fd);
}

static void turn(void)
{
	pt_rx_session_read(session);
	pt_rx_session_tick(session, pt_clock_ns());
}

/* await steps the session until the sender gets a message other than PING,
 * WORKING and OFFER. */
static void await(struct pt_message *m)
{
	struct pollfd fd = { .fd = pt_conn_fd(sender), .events = POLLIN };
	__u64 deadline = pt_deadline_ns(WAIT_MS);
	int ret;

	for (;;) {
		turn();
		while ((ret = pt_conn_recv(sender, m, &err)) > 0)
			if (m->type != PT_MSG_PING &&
			    m->type != PT_MSG_WORKING &&
			    m->type != PT_MSG_OFFER &&
			    m->type != PT_MSG_LEDGER)
				return;
		if (ret < 0 || !pt_left_ms(deadline))
			fail_msg("no message: %s", ret ? err.text : "time-out");
		poll(&fd, 1, 1);
	}
}

static void expect(enum pt_message_type type)
{
	struct pt_message m;

	await(&m);
	if (m.type == PT_MSG_ABORT && type != PT_MSG_ABORT)
		fail_msg("ABORT: %s", m.abort.text);
	assert_int_equal(m.type, type);
}

/* expect_end: the session ends with ABORT, whose text has why. */
static void expect_end(const char *why, enum pt_exit exit)
{
	struct pt_message m;

	await(&m);
	assert_int_equal(m.type, PT_MSG_ABORT);
	if (!strstr(m.abort.text, why))
		fail_msg("'%s' lacks '%s'", m.abort.text, why);
	assert_int_equal(m.abort.exit, exit);
	assert_int_equal(session->state, PT_RX_ENDED);
}

static void say(const struct pt_message *m)
{
	if (pt_conn_send(sender, m, &err))
		fail_msg("%s", err.text);
}

static void say_open(enum pt_live live, __u32 segment_cnt)
{
	struct pt_message m = {
		.type = PT_MSG_OPEN,
		.open = { .transfer_id = TRANSFER, .lane_cnt = 1,
			  .rekey_log2 = 16, .segment_cnt = segment_cnt,
			  .live = live },
	};

	memcpy(m.open.dst_addr, pt_conn_peer(sender)->ip,
	       sizeof(m.open.dst_addr));
	say(&m);
}

static void say_segment(__u64 gfn, __u64 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_SEGMENT,
		.segment = { .gfn = gfn, .sz = sz, .name = "ram" },
	});
}

static void say_guest(const void *description, __u32 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_GUEST,
		.guest = { .description = description, .description_sz = sz },
	});
}

static void say_state(const void *bytes, __u32 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_STATE,
		.state = { .data = bytes, .data_sz = sz },
	});
}

/* open_guest opens a transfer, up to OPENED. */
static void open_guest(void)
{
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect(PT_MSG_OPENED);
}

/* say_verify verifies a memory of zeroes. */
static void say_verify(void)
{
	const __u64 digests[] = { 0, 0 };

	say(&(struct pt_message){
		.type = PT_MSG_DIGESTS,
		.digests = { .digest = digests, .digest_cnt = 2 },
	});
	say(&(struct pt_message){
		.type = PT_MSG_VERIFY, .verify = { .sent_cnt = 1 },
	});
}

static void say_commit(void)
{
	say(&(struct pt_message){
		.type = PT_MSG_COMMIT, .commit = { TRANSFER },
	});
}

/* guest_reads: the guest gets these bytes. */
static void guest_reads(const char *want)
{
	__u64 deadline = pt_deadline_ns(WAIT_MS);
	char got[64] = "";
	size_t sz = 0;

	while (sz < strlen(want)) {
		if (!pt_left_ms(deadline))
			fail_msg("the guest got '%s' alone", got);
		ssize_t more = 0;

		turn();
		if (guest.outer >= 0)
			more = recv(guest.outer, got + sz, sizeof(got) - 1 - sz,
				    MSG_DONTWAIT);
		if (more > 0)
			sz += more;
		else
			poll(NULL, 0, 1);
	}
	assert_memory_equal(got, want, sz);
	assert_int_equal(sz, strlen(want));
}

/* ---- a transfer ---- */

static void test_whole(void **state)
{
	struct pt_message m;
	char byte;

	(void)state;
	open_guest();
	assert_string_equal(guest.asked, "m");
	assert_true(pt_rx_guest_fd(session) < 0);
	say_state("front,", 6);		/* before the guest stands still */
	guest_reads("front,");
	assert_string_equal(guest.asked, "mb");
	assert_true(pt_rx_guest_fd(session) >= 0);
	assert_int_equal(session->state, PT_RX_DATA);
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_state("devices", 7);
	say_state(NULL, 0);
	guest_reads("devices");
	assert_int_equal(write(guest.outer, "SHUT", 4), 4);
	await(&m);
	assert_int_equal(m.type, PT_MSG_STATE);
	assert_int_equal(m.state.data_sz, 4);
	assert_memory_equal(m.state.data, "SHUT", 4);
	assert_int_equal(pt_rx_guest_sz(session), 13 + 4);
	assert_string_equal(guest.asked, "mb");
	say_commit();
	expect(PT_MSG_COMMITTED);
	assert_string_equal(guest.asked, "mblr");
	assert_int_equal(session->report.result, 0);
	assert_int_equal(session->report.state_sz, 13 + 4);
	assert_true(pt_rx_guest_fd(session) < 0);
	assert_int_equal(read(guest.outer, &byte, 1), 0);	/* its end */
	stop();
}

/* Bytes that come before the guest has begun wait for it, in order. */
static void test_state_waits_for_begin(void **state)
{
	(void)state;
	open_guest();
	for (int i = 0; i < 9; i++)
		say_state(&"123456789"[i], 1);
	guest_reads("123456789");
	assert_string_equal(guest.asked, "mb");
	stop();
}

static void test_end_before_any_byte(void **state)
{
	char byte;

	(void)state;
	open_guest();
	say_state(NULL, 0);
	while (guest.outer < 0 || recv(guest.outer, &byte, 1, MSG_DONTWAIT))
		turn();
	stop();
}

/* ---- refused ---- */

static void test_guest_without_one(void **state)
{
	(void)state;
	start(false);
	say_open(PT_LIVE_GUEST, 1);
	expect_end("takes memory alone", PT_EXIT_PEER);
	stop();
}

static void test_memory_without_guest(void **state)
{
	(void)state;
	for (int live = PT_LIVE_NONE; live <= PT_LIVE_ROUNDS; live++) {
		start(true);
		say_open(live, 1);
		expect_end("takes a guest alone", PT_EXIT_PEER);
		stop();
	}
}

static void test_other_guest(void **state)
{
	(void)state;
	start(true);
	guest.fails = 'm';
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect_end("fails at m", PT_EXIT_HOST);
	assert_null(session->rebuild);	/* no memory was touched */
	assert_string_equal(guest.asked, "m");
	stop();
}

static void test_description_is_no_text(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest("{}\0{}", 5);
	expect_end("is no text", PT_EXIT_PEER);
	assert_string_equal(guest.asked, "");
	stop();
}

static void test_other_memory(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ / 2);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect_end("same memory backends", PT_EXIT_PEER);
	stop();
}

static void test_begin_fails(void **state)
{
	(void)state;
	open_guest();
	guest.fails = 'b';
	say_state("x", 1);
	expect_end("fails at b", PT_EXIT_HOST);
	assert_string_equal(guest.asked, "mb");
	stop();
}

/* commit_fails: a commit in which the guest fails, at its letter. */
static void commit_fails(char letter, enum pt_exit exit, const char *asked)
{
	char why[32];

	open_guest();
	guest.fails = letter;
	say_state("x", 1);
	guest_reads("x");
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_commit();
	snprintf(why, sizeof(why), "fails at %c", letter);
	expect_end(why, exit);
	assert_string_equal(guest.asked, asked);
	assert_true(session->report.result < 0);
	stop();
}

static void test_not_loaded(void **state)
{
	(void)state;
	commit_fails('l', PT_EXIT_HOST, "mbl");
}

static void test_may_run(void **state)
{
	(void)state;
	commit_fails('r', PT_EXIT_UNKNOWN, "mblr");
}

/* A guest that closes the stream of its state has failed. */
static void test_guest_closes_the_stream(void **state)
{
	(void)state;
	open_guest();
	say_state("abc", 3);
	guest_reads("abc");
	close(guest.outer);
	guest.outer = -1;
	while (session->state != PT_RX_ENDED) {
		pt_conn_send(sender, &(struct pt_message){
			.type = PT_MSG_STATE,
			.state = { .data = "d", .data_sz = 1 } }, NULL);
		turn();
	}
	assert_int_equal(session->report.result, -EPIPE);
	assert_non_null(strstr(session->report.error.text, "state stream: its "
			       "reader closed it after 3 bytes"));
	stop();
}

/* ---- at the wrong time ---- */

static const struct row {
	const char *name;
	enum pt_live live;
	__u32 segment_cnt;
	const char *said;	/* S: SEGMENT, G: GUEST, T: STATE, O: OPENED is
				 * awaited; the last one is refused */
} rows[] = {
	{ "GUEST before the last SEGMENT", PT_LIVE_GUEST, 2, "SG" },
	{ "SEGMENT after the last", PT_LIVE_GUEST, 1, "SS" },
	{ "a second GUEST", PT_LIVE_GUEST, 1, "SGG" },
	{ "GUEST after OPENED", PT_LIVE_GUEST, 1, "SGOG" },
	{ "SEGMENT after OPENED", PT_LIVE_GUEST, 1, "SGOS" },
	{ "STATE before GUEST", PT_LIVE_GUEST, 1, "ST" },
	{ "STATE before OPENED", PT_LIVE_GUEST, 1, "SGT" },
	{ "GUEST of rounds alone", PT_LIVE_ROUNDS, 1, "SG" },
	{ "STATE of rounds alone", PT_LIVE_ROUNDS, 1, "SOT" },
	{ "GUEST of memory that stands still", PT_LIVE_NONE, 1, "SOG" },
	{ "STATE of memory that stands still", PT_LIVE_NONE, 1, "SOT" },
};

static void test_wrong_time(void **state)
{
	const struct row *row = *state;
	const char *name = NULL;
	__u64 gfn = 0;

	start(row->live == PT_LIVE_GUEST);
	say_open(row->live, row->segment_cnt);
	for (const char *c = row->said; *c; c++) {
		if (*c == 'S') {
			say_segment(gfn, MEMORY_SZ);
			gfn += MEMORY_SZ / PT_PAGE_SZ;
			name = "SEGMENT at the wrong time";
		} else if (*c == 'G') {
			say_guest(DESCRIPTION, strlen(DESCRIPTION));
			name = "GUEST at the wrong time";
		} else if (*c == 'T') {
			say_state("x", 1);
			name = "STATE at the wrong time";
		} else {
			expect(PT_MSG_OPENED);
		}
	}
	expect_end(name, PT_EXIT_PEER);
	assert_false(strchr(guest.asked, 'b'));
	stop();
}

/* A STATE behind COMMIT is refused, but the commit goes on. */
static void test_state_after_commit(void **state)
{
	(void)state;
	open_guest();
	say_verify();
	expect(PT_MSG_VERIFIED);
	say_commit();
	say_state("x", 1);
	while (session->state != PT_RX_ENDED)
		turn();
	assert_int_equal(session->report.result, 0);
	assert_string_equal(guest.asked, "mlr");
	stop();
}

/* ---- deadlines ---- */

/* stand_still: no progress for longer than any deadline. */
static void stand_still(void)
{
	session->watch.due.quiet_ns = session->watch.due.limit_ns + 1;
	session->watch.due.still_ns = 100 * session->watch.due.limit_ns;
	pt_rx_session_tick(session, pt_clock_ns());
}

static void open_rounds(enum pt_live live)
{
	start(false);
	say_open(live, 1);
	say_segment(0, MEMORY_SZ);
	expect(PT_MSG_OPENED);
}

/* Memory that changes may have nothing to send; VERIFY is due all the same. */
static void test_idle_by_right(void **state)
{
	const __u64 digests[] = { 0, 0 };

	(void)state;
	open_rounds(PT_LIVE_ROUNDS);
	stand_still();
	assert_int_equal(session->state, PT_RX_DATA);
	say(&(struct pt_message){
		.type = PT_MSG_DIGESTS,
		.digests = { .digest = digests, .digest_cnt = 2 },
	});
	while (!session->compare.region_told ||
	       !pt_store_is_idle(session->storage.store))
		turn();
	stand_still();
	expect_end("sends no VERIFY", PT_EXIT_PEER);
	stop();
}

static void test_not_idle_otherwise(void **state)
{
	(void)state;
	open_rounds(PT_LIVE_NONE);
	stand_still();
	expect_end("sends no data", PT_EXIT_PEER);
	stop();
}

static void test_guest_is_due(void **state)
{
	(void)state;
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	while (!session->segment_cnt)
		turn();
	stand_still();
	expect_end("sends no GUEST", PT_EXIT_PEER);
	stop();
}

int main(void)
{
	struct CMUnitTest tests[16 + sizeof(rows) / sizeof(rows[0])] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_state_waits_for_begin),
		cmocka_unit_test(test_end_before_any_byte),
		cmocka_unit_test(test_guest_without_one),
		cmocka_unit_test(test_memory_without_guest),
		cmocka_unit_test(test_other_guest),
		cmocka_unit_test(test_description_is_no_text),
		cmocka_unit_test(test_other_memory),
		cmocka_unit_test(test_begin_fails),
		cmocka_unit_test(test_not_loaded),
		cmocka_unit_test(test_may_run),
		cmocka_unit_test(test_guest_closes_the_stream),
		cmocka_unit_test(test_state_after_commit),
		cmocka_unit_test(test_idle_by_right),
		cmocka_unit_test(test_not_idle_otherwise),
		cmocka_unit_test(test_guest_is_due),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[16 + i] = (struct CMUnitTest){
			.name = rows[i].name,
			.test_func = test_wrong_time,
			.initial_state = (void *)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
