/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rx_guest_kit: a receiving session and the guest that waits.  The sender's end is
 * a connection, the guest is the test, the device is none. */
#ifndef RX_GUEST_KIT_H
#define RX_GUEST_KIT_H

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
	atomic_int outer;	/* its end of the state's socket; -1: not yet */
	int memory;		/* a memfd */
	void *at;
} guest;

static inline int answer(void *arg, char letter, struct pt_error *why)
{
	assert_ptr_equal(arg, &guest);
	assert_true(guest.asked_cnt < sizeof(guest.asked) - 1);
	guest.asked[guest.asked_cnt++] = letter;
	return letter == guest.fails
		? pt_error_set(why, letter == 'r' ? PT_EXIT_UNKNOWN
						  : PT_EXIT_HOST,
			       -EIO, "the guest fails at %c", letter) : 0;
}

static inline int match(void *arg, const char *theirs, struct pt_error *why)
{
	assert_string_equal(theirs, DESCRIPTION);
	return answer(arg, 'm', why);
}

static inline int begin(void *arg, int *fd, struct pt_error *why)
{
	int ret = answer(arg, 'b', why), fds[2];

	if (ret)
		return ret;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	guest.outer = fds[0];
	*fd = fds[1];
	return 0;
}

static inline int loaded(void *arg, struct pt_error *why)
{
	return answer(arg, 'l', why);
}

static inline int run_guest(void *arg, struct pt_error *why)
{
	return answer(arg, 'r', why);
}

static const struct pt_receive_guest receive_guest = {
	.name = "guest", .match = match, .begin = begin, .loaded = loaded,
	.arg = &guest,
};

/* ---- a session ---- */

static struct pt_receiver_cfg cfg;
static struct pt_rx_host host;
static struct pt_rx_session *session;
static struct pt_conn *sender;
static struct pt_sink *sink, *reserved;
static int wake_fd;

static inline void open_memory(bool is_guest)
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

static inline void start(bool is_guest)
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

static inline void stop(void)
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

static inline void turn(void)
{
	pt_rx_session_read(session);
	pt_rx_session_tick(session, pt_clock_ns());
}

/* await steps the session until the sender gets a message other than PING,
 * WORKING and OFFER. */
static inline void await(struct pt_message *m)
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

static inline void expect(enum pt_message_type type)
{
	struct pt_message m;

	await(&m);
	if (m.type == PT_MSG_ABORT && type != PT_MSG_ABORT)
		fail_msg("ABORT: %s", m.abort.text);
	assert_int_equal(m.type, type);
}

/* expect_end: the session ends with ABORT, whose text has why. */
static inline void expect_end(const char *why, enum pt_exit exit)
{
	struct pt_message m;

	await(&m);
	assert_int_equal(m.type, PT_MSG_ABORT);
	if (!strstr(m.abort.text, why))
		fail_msg("'%s' lacks '%s'", m.abort.text, why);
	assert_int_equal(m.abort.exit, exit);
	assert_int_equal(session->state, PT_RX_ENDED);
}

static inline void say(const struct pt_message *m)
{
	if (pt_conn_send(sender, m, &err))
		fail_msg("%s", err.text);
}

static inline void say_open(__u8 live, __u32 segment_cnt)
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

static inline void say_segment(__u64 gfn, __u64 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_SEGMENT,
		.segment = { .gfn = gfn, .sz = sz, .name = "ram" },
	});
}

static inline void say_guest(const void *description, __u32 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_GUEST,
		.guest = { .description = description, .description_sz = sz },
	});
}

static inline void say_state(const void *bytes, __u32 sz)
{
	say(&(struct pt_message){
		.type = PT_MSG_STATE,
		.state = { .data = bytes, .data_sz = sz },
	});
}

/* open_guest opens a transfer, up to OPENED. */
static inline void open_guest(void)
{
	start(true);
	say_open(PT_LIVE_GUEST, 1);
	say_segment(0, MEMORY_SZ);
	say_guest(DESCRIPTION, strlen(DESCRIPTION));
	expect(PT_MSG_OPENED);
}

/* say_verify verifies a memory of zeroes. */
static inline void say_verify(void)
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

static inline void say_commit(void)
{
	say(&(struct pt_message){
		.type = PT_MSG_COMMIT, .commit = { TRANSFER },
	});
}

/* guest_reads: the guest gets these bytes. */
static inline void guest_reads(const char *want)
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

#endif
