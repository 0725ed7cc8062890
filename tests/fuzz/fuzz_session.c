/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A receiving session gets any messages that decode, in any order: its memory
 * and files are real, its device is not.  When it ends, the next session gets
 * the rest.  However each ends, only committed files remain.  The first byte:
 * bit 0: --serve; bit 1: --resume, which keeps more; bit 2: the memory of a guest
 * is taken, and neither of the others. */
#include "folder.h"
#include "input.h"
#include "loopback.h"
#include "rx_host_fake.h"

#include <sys/mman.h>

#include <pagetrim/clock.h>
#include "channel/conn_io.h"
#include "receive/rx_messages.h"
#include "receive/rx_storage.h"
#include "sink/sink_memfd.h"

#define SESSIONS_MAX	4
#define MEMORY_SZ_MAX	(1ULL << 36)	/* bytes: more would be slow */

/* guest: a guest without a QEMU; a description that begins with x is another's. */
static struct {
	int memory;		/* a memfd */
	int outer;		/* of the socket of its state; -1: none yet */
	bool is_matched;
	bool is_loaded;
} guest;

static int match(void *arg, const char *theirs, struct pt_error *err)
{
	pt_check(arg == &guest && !guest.is_matched);
	if (theirs[0] == 'x')
		return pt_error_set(err, PT_EXIT_PEER, -EINVAL, "another");
	guest.is_matched = true;
	return 0;
}

static int begin(void *arg, int *fd, struct pt_error *err)
{
	int fds[2];

	(void)err;
	pt_check(arg == &guest && guest.is_matched && guest.outer < 0);
	pt_check(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	guest.outer = fds[0];
	*fd = fds[1];
	return 0;
}

static int loaded(void *arg, struct pt_error *err)
{
	(void)err;
	pt_check(arg == &guest && guest.is_matched && !guest.is_loaded);
	guest.is_loaded = true;
	return 0;
}

static const struct pt_receive_guest receive_guest = {
	.name = "guest", .match = match, .begin = begin, .loaded = loaded,
	.arg = &guest,
};

static void guest_begin(struct pt_receiver_cfg *cfg)
{
	guest.memory = memfd_create("fuzz", MFD_CLOEXEC);
	guest.outer = -1;
	guest.is_matched = guest.is_loaded = false;
	pt_check(guest.memory >= 0);
	pt_check(!pt_sink_open_memfd(&cfg->sink, guest.memory, NULL));
	cfg->guest = &receive_guest;
}

static void guest_end(struct pt_receiver_cfg *cfg, bool is_committed)
{
	pt_check(is_committed == guest.is_loaded);
	pt_sink_close(cfg->sink);
	close(guest.memory);
	if (guest.outer >= 0)
		close(guest.outer);
}

static int listener = -1;
static __u16 port;

static void listen_once(void)
{
	if (listener >= 0)
		return;
	folder_make("image");
	listener = loopback_listen(&port);
}

/* start opens a session with a peer whose connection is silent; its messages
 * come from take. */
static struct pt_rx_session *start(const struct pt_receiver_cfg *cfg,
				   struct pt_rx_host *host, int *peer)
{
	const struct pt_conn_cfg conn_cfg = { .role = PT_ROLE_RECEIVER };
	struct pt_address address = { 0 };
	static struct pt_sink *reserved;
	struct pt_rx_session *s;
	struct pt_conn *conn;

	*peer = loopback_connect(port);
	shutdown(*peer, SHUT_WR);
	pt_check(!pt_conn_adopt(&conn, accept(listener, NULL, NULL), &address,
				NULL, &conn_cfg, NULL));
	conn->capabilities = cfg->guest ? PT_CAP_LIVE : 0;
	reserved = cfg->sink;
	s = pt_rx_session_start(conn, cfg, host, &reserved, -1);
	pt_check(s);
	return s;
}

/* take works as pt_rx_session_read does; false: that was the last message. */
static bool take(struct pt_rx_session *s, const struct pt_message *m)
{
	enum pt_rx_state was = s->state;
	struct pt_error err;
	int ret = pt_rx_take(s, m, &err);

	if (ret < 0 && s->state < PT_RX_COMMITTING)
		pt_rx_session_end(s, ret, &err);
	pt_rx_session_tick(s, pt_clock_ns());
	while (s->state != PT_RX_ENDED &&
	       (s->state == PT_RX_VERIFYING || s->state == PT_RX_COMMITTING ||
		s->storage.is_opening || !pt_rx_storage_is_idle(s))) {
		usleep(50);	/* for its store's thread */
		pt_rx_session_tick(s, pt_clock_ns());
	}
	pt_rx_session_tick(s, pt_clock_ns());
	pt_check(s->state >= was);
	return !ret && s->state != PT_RX_ENDED;
}

/* session passes the messages of in to one session, until it ends; returns
 * whether it committed a file. */
static bool session(struct input *in, const struct pt_receiver_cfg *cfg)
{
	static struct pt_message_scratch scratch;
	const struct pt_error stop = { .exit = PT_EXIT_FAILED };
	struct pt_rx_host host = {
		.queue_cnt = 1, .desc_sz = 3840, .frame_sz_max = 9014,
		.device.mtu = 9000, .memory_sz_max = MEMORY_SZ_MAX,
	};
	struct pt_rx_session *s;
	struct pt_message m;
	bool is_committed;
	int peer, ret;

	s = start(cfg, &host, &peer);
	while ((ret = pt_message_decode(&m, &scratch, PT_ROLE_SENDER,
					cfg->guest ? PT_CAP_LIVE : 0,
					in->at, in->sz, NULL)) > 0) {
		in->at += ret;
		in->sz -= ret;
		if (m.type != PT_MSG_HELLO && !take(s, &m))
			break;
	}
	if (ret <= 0)
		in->sz = 0;
	is_committed = s->request.is_open && !s->report.result;
	pt_rx_session_end(s, -ECANCELED, &stop);
	pt_rx_session_free(s);
	close(peer);
	pt_check(!rx_host_intake && !host.memory_sz);
	return is_committed;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	struct input in = { data, sz };
	__u8 options = input_u8(&in);
	struct pt_receiver_cfg cfg;
	bool is_committed = false;

	listen_once();
	if (options & 4) {
		cfg = (struct pt_receiver_cfg){ .peer_timeout_ms = 60000 };
		guest_begin(&cfg);
		guest_end(&cfg, session(&in, &cfg));
		return 0;
	}
	cfg = (struct pt_receiver_cfg){
		.path = options & 1 ? folder_path : folder_file,
		.serve = options & 1, .resume = options & 2,
		.peer_timeout_ms = 60000,
	};
	for (int i = 0; i < SESSIONS_MAX && in.sz; i++)
		is_committed |= session(&in, &cfg);
	pt_check(!folder_empty() == !is_committed || cfg.resume);
	return 0;
}
