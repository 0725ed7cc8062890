/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Strangers at a listener with a key: with any input they get only a bounded
 * place for a bounded time. */
#include "tls_kit.h"

#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "channel/conn_io.h"
#include "tls_proxy.h"

#define ALL	((size_t)-1)
#define PSK_A	"pagetrim:" KEY_A "\n"

static struct pt_tls *sender_key, *receiver_key, *sender_cert, *receiver_cert;

static int setup(void **state)
{
	static const struct keys receiver = { .cert = "receiver", .ca = "ca" };
	static const struct keys sender = { .cert = "sender", .ca = "ca" };
	const struct rlimit many = { 16384, 16384 };

	if (certs_make(state) || setrlimit(RLIMIT_NOFILE, &many))
		return -1;
	sender_key = psk_of(PT_ROLE_SENDER, PSK_A);
	receiver_key = psk_of(PT_ROLE_RECEIVER, PSK_A);
	return tls_open(&receiver_cert, PT_ROLE_RECEIVER, &receiver) ||
	       tls_open(&sender_cert, PT_ROLE_SENDER, &sender) ? -1 : 0;
}

static int teardown(void **state)
{
	pt_tls_close(sender_key);
	pt_tls_close(receiver_key);
	pt_tls_close(sender_cert);
	pt_tls_close(receiver_cert);
	return certs_remove(state);
}

static struct pt_listener *listen_with(struct pt_tls *tls, __u32 hello_ms)
{
	struct pt_conn_cfg cfg = receiver_cfg;

	cfg.tls = tls;
	cfg.hello_ms = hello_ms;
	return listen_at("127.0.0.1", &cfg);
}

/* expect_service: an owner of the key is served beside all others. */
static void expect_service_with(struct pt_listener *l, struct pt_tls *sender)
{
	struct pt_conn_cfg cfg = sender_cfg;
	struct caller caller = { .cfg = &cfg, .ret = 1 };
	pthread_t thread;
	struct pt_conn *c;

	cfg.tls = sender;
	pt_address_print(pt_listener_address(l), caller.to);
	assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
	while (accept_any(l, &c) < 0)	/* strangers, turned away */
		;
	pthread_join(thread, NULL);
	assert_int_equal(caller.ret, 0);
	assert_int_equal(send_ping(caller.conn, 1), 0);
	expect_ping(c, 1);
	pt_conn_close(caller.conn);
	pt_conn_close(c);
}

static void expect_service(struct pt_listener *l)
{
	expect_service_with(l, sender_key);
}

/* ---- an attacker in between ---- */

/* The handshake covers all bytes but the version in the record of a hello (RFC
 * 8446, 5.1: to be ignored). */
enum { RECORD_VERSION_MINOR = 2 };

/* through_proxy returns the result of a sender with that key whose bytes, and
 * those of the listener, are cut and changed there. */
static int through_proxy(struct proxy *p, struct pt_tls *sender,
			 size_t cut_at, size_t flip_at, size_t server_flip_at)
{
	/* A changed length has the other side wait; else there is time. */
	bool waits = (flip_at != ALL && flip_at != RECORD_VERSION_MINOR) ||
		     (server_flip_at != ALL &&
		      server_flip_at != RECORD_VERSION_MINOR);
	struct pt_listener *l = listen_with(receiver_key, waits ? 150 : 0);
	struct pt_conn *c;
	int ret;

	memset(p, 0, sizeof(*p));
	p->cut_at = cut_at;
	p->flip_at = flip_at;
	p->server_flip_at = server_flip_at;
	p->listener = l;
	p->cfg = sender_cfg;
	p->cfg.tls = sender;
	proxy_start(p);
	ret = accept_any(l, &c);
	if (ret > 0)
		pt_conn_close(c);
	pt_listener_close(l);
	proxy_join(p);
	return ret;
}

static void test_cut_at_every_byte(void **state)
{
	struct proxy p;
	size_t all;
	int ret;

	(void)state;
	assert_int_equal(through_proxy(&p, sender_key, ALL, ALL, ALL), 1);
	assert_int_equal(p.caller.ret, 0);
	all = p.client_sz;
	assert_in_range(all, 300, 1000);
	for (size_t at = 0; at < all; at++) {
		ret = through_proxy(&p, sender_key, at, ALL, ALL);
		if (ret != -EPIPE && ret != -ECONNRESET)
			fail_msg("cut at %zu: %d %s", at, ret, err.text);
		assert_true(p.caller.ret < 0);
	}
}

static void test_every_byte_changed(void **state)
{
	struct proxy p;
	size_t all;
	int ret;

	(void)state;
	assert_int_equal(through_proxy(&p, sender_key, ALL, ALL, ALL), 1);
	all = p.client_sz;
	for (size_t at = 0; at < all; at++) {
		ret = through_proxy(&p, sender_key, ALL, at, ALL);
		if ((ret > 0) != (at == RECORD_VERSION_MINOR))
			fail_msg("changed at %zu: %d %s", at, ret, err.text);
	}
}

static void test_every_byte_of_the_answer_changed(void **state)
{
	struct proxy p;
	size_t all;

	(void)state;
	assert_int_equal(through_proxy(&p, sender_key, ALL, ALL, ALL), 1);
	all = p.server_sz;
	assert_in_range(all, 200, 1000);
	for (size_t at = 0; at < all; at++) {
		through_proxy(&p, sender_key, ALL, ALL, at);
		if (!p.caller.ret != (at == RECORD_VERSION_MINOR))
			fail_msg("changed at %zu: %d", at, p.caller.ret);
	}
}

/* A client without the key cannot find out which identities exist. */
static void test_nothing_told(void **state)
{
	static const char *const texts[] = {
		"pagetrim:" KEY_B "\n",	/* known, another key */
		"stranger:" KEY_B "\n",	/* unknown */
		"stranger:" KEY_A "\n",	/* unknown, the right key */
	};
	struct proxy first, p;
	struct pt_tls *key;

	(void)state;
	for (int i = 0; i < 3; i++) {
		key = psk_of(PT_ROLE_SENDER, texts[i]);
		assert_int_equal(through_proxy(&p, key, ALL, ALL, ALL),
				 -EKEYREJECTED);
		if (i == 0)
			first = p;
		assert_int_equal(p.server_sz, 7);	/* an alert */
		assert_memory_equal(p.from_server, first.from_server, 7);
		pt_tls_close(key);
	}
}

/* ---- a client that OpenSSL makes ---- */

/* told returns the alert that the listener with a certificate sends to a client
 * with that one (of certs.sh; NULL: none), or 0. */
static int told(struct pt_listener *l, const char *cert, int want)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int fd = raw_connect(l), ret, got = 0;
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	struct pt_conn *c;
	char path[96];
	char byte;

	if (cert) {
		snprintf(path, sizeof(path), "%s/%s.pem", certs_dir, cert);
		SSL_use_certificate_file(ssl, path, SSL_FILETYPE_PEM);
		snprintf(path, sizeof(path), "%s/%s-key.pem", certs_dir, cert);
		SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM);
	}
	SSL_set_fd(ssl, fd);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ERR_clear_error();
	while ((ret = SSL_connect(ssl)) != 1 &&
	       SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ)
		assert_int_equal(pt_listener_accept(l, &c, &err), 0);
	assert_int_equal(ret, 1);	/* the client's part is done first */
	assert_int_equal(accept_any(l, &c), want);
	assert_int_equal(poll(&answer, 1, WAIT_MS), 1);
	if (SSL_read(ssl, &byte, 1) != 1)
		got = ERR_GET_REASON(ERR_peek_last_error()) -
		      SSL_AD_REASON_OFFSET;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return got;
}

static void test_one_alert_for_certificates(void **state)
{
	struct pt_listener *l = listen_with(receiver_cert, 0);

	(void)state;
	assert_int_equal(told(l, "other-sender", -EKEYREJECTED),
			 SSL_AD_HANDSHAKE_FAILURE);
	assert_int_equal(told(l, "expired-sender", -EKEYREJECTED),
			 SSL_AD_HANDSHAKE_FAILURE);
	assert_int_equal(told(l, "receiver", -EKEYREJECTED),
			 SSL_AD_HANDSHAKE_FAILURE);
	assert_int_equal(told(l, NULL, -EKEYREJECTED),
			 SSL_AD_CERTIFICATE_REQUIRED);
	assert_non_null(strstr(err.text, "shows no certificate"));
	pt_listener_close(l);
}

/* ---- bytes of all kinds ---- */

/* Hellos that pagetrim does not send: refused before any allocation for
 * them. */
static const struct hello {
	const char *name;
	const char *bytes;
	size_t sz;
	int want;
	const char *why;
} hellos[] = {
#define SAYS(text) text, sizeof(text) - 1
	{ "another protocol", SAYS("GET / HTTP/1.1\r\n\r\n"), -EPROTO,
	  "is not pagetrim" },
	{ "one wrong byte", SAYS("\1"), -EPROTO, "is not pagetrim" },
	{ "an alert first", SAYS("\x15\3\3\0\2\2\x28"), -EPROTO,
	  "is not pagetrim" },
	{ "data first", SAYS("\x17\3\3\0\2\2\x28"), -EPROTO,
	  "is not pagetrim" },
	{ "SSL 2", SAYS("\x80\x2e\1\0\2"), -EPROTO, "is not pagetrim" },
	{ "a plaintext HELLO", SAYS("\0\0\0\21\0\1\0\0PTCT"), -EPROTO,
	  "speaks plaintext, we have a key" },
	{ "half a plaintext HELLO's start", SAYS("\0\0\0\21\0\1\0\0X"),
	  -EPROTO, "is not pagetrim" },
	{ "another message than a hello", SAYS("\x16\3\1\0\x10\2\0\0\xc"),
	  -EBADMSG, "would not send" },
	{ "a hello of 64 KiB", SAYS("\x16\3\1\x3f\xff\1\0\xff\xff"), -EBADMSG,
	  "would not send" },
	{ "a hello just too long", SAYS("\x16\3\1\x11\1\1\0\x10\xfd"),
	  -EBADMSG, "would not send" },
	{ "a hello in pieces", SAYS("\x16\3\1\0\x10\1\0\x01\0"), -EBADMSG,
	  "would not send" },
	{ "a hello of nothing", SAYS("\x16\3\1\0\4\1\0\0\0"), -EBADMSG,
	  "TLS failed" },
	{ "noise in a hello", SAYS("\x16\3\1\0\x0a\1\0\0\6\1\2\3\4\5\6"),
	  -EBADMSG, "TLS failed" },
};

static void test_hello(void **state)
{
	struct pt_listener *l = listen_with(receiver_key, 0);
	const struct hello *h = *state;
	int fd = raw_connect(l);
	struct pt_conn *c;
	__u8 answer[16];
	ssize_t sz;

	raw_write(fd, h->bytes, h->sz);
	assert_int_equal(accept_any(l, &c), h->want);
	if (!strstr(err.text, h->why))
		fail_msg("'%s' lacks '%s'", err.text, h->why);
	sz = recv(fd, answer, sizeof(answer), 0);	/* an alert, no more */
	assert_int_equal(sz, 7);
	assert_int_equal(answer[0], 0x15);
	close(fd);
	expect_service(l);
	pt_listener_close(l);
}

/* Random records, each a TLS one by its first bytes: none is accepted, no
 * resource is left. */
static void test_garbage(void **state)
{
	struct pt_listener *l = listen_with(receiver_key, 0);
	__u8 bytes[600];
	struct pt_conn *c;
	size_t sz, at;
	int fd;

	(void)state;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		fd = raw_connect(l);
		sz = 10 + rand() % (sizeof(bytes) - 10);
		for (at = 0; at < sz; at++)
			bytes[at] = rand();
		memcpy(bytes, (__u8[]){ 0x16, 3, 1, (sz - 5) >> 8, sz - 5,
					1, 0, (sz - 9) >> 8, sz - 9 }, 9);
		bytes[9] = bytes[10] = 3;
		raw_write(fd, bytes, sz);
		assert_true(accept_any(l, &c) < 0);
		close(fd);
	}
	expect_service(l);
	pt_listener_close(l);
}

/* ---- very many of them ---- */

/* hello_of makes the first bytes of a sender with the key. */
static size_t hello_of(struct pt_tls *tls, __u8 *bytes, size_t room)
{
	struct pt_conn_cfg cfg = sender_cfg;
	struct caller caller = { .cfg = &cfg, .ret = 1 };
	pthread_t thread;
	ssize_t sz;
	int sock = proxy_listen(caller.to), fd;

	cfg.tls = tls;
	assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
	fd = accept(sock, NULL, NULL);
	sz = recv(fd, bytes, room, 0);
	assert_true(sz > 0);
	close(fd);
	close(sock);
	pthread_join(thread, NULL);
	assert_true(caller.ret < 0);
	return sz;
}

/* serve lets the listener do all that it can do now. */
static void serve(struct pt_listener *l)
{
	struct pollfd fd = { .fd = pt_listener_fd(l), .events = POLLIN };
	struct pt_conn *c;

	while (poll(&fd, 1, 0) == 1)
		assert_true(pt_listener_accept(l, &c, &err) <= 0);
}

/* A sanitizer's malloc does not count: then the test checks only that all are
 * served and nothing leaks. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EACH_MIN	0
#else
#define EACH_MIN	1024
#endif

static size_t memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* crowd opens three times as many connections as there are places, which each
 * send these bytes and then nothing; returns the memory of one while it has a
 * place. */
static size_t crowd(struct pt_tls *receiver, struct pt_tls *sender,
		    const void *bytes, size_t sz)
{
	enum { CNT = 3 * PT_PENDING_MAX };
	struct pt_listener *l = listen_with(receiver, 60000);
	static int fds[CNT];
	size_t before = memory(), each;
	int open_cnt = 0;
	char answer[4096];
	ssize_t got;

	for (int i = 0; i < CNT; i++) {
		fds[i] = raw_connect(l);
		raw_write(fds[i], bytes, sz);
		serve(l);
	}
	each = (memory() - before) / PT_PENDING_MAX;
	expect_service_with(l, sender);
	for (int i = 0; i < CNT; i++) {
		do
			got = recv(fds[i], answer, sizeof(answer),
				   MSG_DONTWAIT);
		while (got > 0);
		open_cnt += got < 0 && errno == EAGAIN;
		close(fds[i]);
	}
	assert_in_range(open_cnt, PT_PENDING_MAX - 1, PT_PENDING_MAX);
	pt_listener_close(l);
	return each;
}

static void test_crowds(void **state)
{
	static __u8 hello[2048 + PT_TLS_RECORD_SZ_MAX];
	size_t sz = hello_of(sender_key, hello, 2048);
	size_t cert_sz, each;

	(void)state;
	each = crowd(receiver_key, sender_key, hello, 0);
	print_message("silent: %zu bytes each\n", each);
	assert_in_range(each, EACH_MIN, 8192);
	each = crowd(receiver_key, sender_key, hello, sz - 1);
	print_message("all but one byte of a hello: %zu bytes each\n", each);
	assert_in_range(each, EACH_MIN, PT_PENDING_SZ);
	each = crowd(receiver_key, sender_key, hello, sz);
	print_message("a hello: %zu bytes each\n", each);
	assert_in_range(each, EACH_MIN, PT_PENDING_SZ);

	cert_sz = hello_of(sender_cert, hello, 2048);
	each = crowd(receiver_cert, sender_cert, hello, cert_sz);
	print_message("a hello to a certificate: %zu bytes each\n", each);
	assert_in_range(each, EACH_MIN, PT_PENDING_SZ);
	/* And the longest record that we wait for, but for its last byte. */
	memset(hello + cert_sz, 'a', PT_TLS_RECORD_SZ_MAX);
	memcpy(hello + cert_sz, "\x17\3\3\x11\0", 5);
	each = crowd(receiver_cert, sender_cert, hello,
		     cert_sz + PT_TLS_RECORD_SZ_MAX - 1);
	print_message("and most of a record: %zu bytes each\n", each);
	assert_in_range(each, EACH_MIN, PT_PENDING_SZ);
}

/* One call takes a few steps, however many wait, and each gets its turn. */
static void test_bounded_call(void **state)
{
	enum { CNT = 100 };
	struct pt_listener *l = listen_with(receiver_key, 60000);
	struct pollfd fds[CNT];
	__u8 hello[2048];
	size_t sz = hello_of(sender_key, hello, sizeof(hello));
	struct pollfd ready = { .fd = pt_listener_fd(l), .events = POLLIN };
	struct pt_conn *c;
	int served = 0, calls = 0;

	(void)state;
	for (int i = 0; i < CNT; i++) {
		fds[i] = (struct pollfd){ .fd = raw_connect(l),
					  .events = POLLIN };
		serve(l);
	}
	for (int i = 0; i < CNT; i++) {
		raw_write(fds[i].fd, hello, sz);
		raw_delivered(fds[i].fd);
	}
	for (; served < CNT; served = poll(fds, CNT, 0)) {
		if (poll(&ready, 1, 0) != 1)
			continue;	/* the answers are on the way */
		assert_int_equal(pt_listener_accept(l, &c, &err), 0);
		assert_true(++calls < 3 * CNT / PT_STEPS_MAX);
		assert_in_range(poll(fds, CNT, 0), 0, calls * PT_STEPS_MAX);
	}
	for (int i = 0; i < CNT; i++)
		close(fds[i].fd);
	pt_listener_close(l);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_every_byte_of_the_answer_changed),
		cmocka_unit_test(test_nothing_told),
		cmocka_unit_test(test_one_alert_for_certificates),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_crowds),
		cmocka_unit_test(test_bounded_call),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			hellos[i].name, test_hello, NULL, NULL,
			(void *)&hellos[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("strangers", tests, cnt, setup,
				       teardown);
}
