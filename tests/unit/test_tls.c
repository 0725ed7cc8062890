/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Authentication: accepted pairs, and the texts of refusals. */
#include "tls_kit.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define PSK_A	"pagetrim:" KEY_A "\n"

/* Each row starts from two sides that fit and breaks one thing; code 0: they
 * connect.  Each side's error has its text. */
static const struct row {
	const char *name;
	struct keys sender, receiver;
	int sender_code;
	const char *sender_text;
	int receiver_code;
	const char *receiver_text;
} rows[] = {
#define PSK(id, key)	{ .psk = id ":" key "\n" }
#define CERT(...)	{ .cert = __VA_ARGS__, .ca = "ca" }
#define NONE		{ 0 }
#define REJECTED	-EKEYREJECTED
	{ "the same key", PSK("a", KEY_A), PSK("a", KEY_A), 0, "", 0, "" },
	{ "a key of 64 bytes", PSK("a", KEY_A KEY_B), PSK("a", KEY_A KEY_B),
	  0, "", 0, "" },
	{ "another key", PSK("a", KEY_B), PSK("a", KEY_A),
	  REJECTED, "refuses our pre-shared key",
	  REJECTED, "is not ours, though both are called 'a'" },
	{ "another identity", PSK("b", KEY_A), PSK("a", KEY_A),
	  REJECTED, "refuses our pre-shared key",
	  REJECTED, "identity is 'b', ours is 'a'" },
	{ "the last of several keys", PSK("c", KEY_B),
	  { .psk = "a:" KEY_A "\nb:" KEY_A "\nc:" KEY_B "\n" }, 0, "", 0, "" },
	{ "a sender with several keys", { .psk = "a:" KEY_A "\nb:" KEY_B "\n" },
	  PSK("a", KEY_A), 0, "", 0, "" },
	{ "none of several keys", PSK("d", KEY_A),
	  { .psk = "a:" KEY_A "\nb:" KEY_A "\n" },
	  REJECTED, "refuses our pre-shared key",
	  REJECTED, "identity is 'd', and none of our 2 keys has it" },
	{ "another's key under the last name", PSK("b", KEY_B),
	  { .psk = "a:" KEY_B "\nb:" KEY_A "\n" },
	  REJECTED, "refuses our pre-shared key",
	  REJECTED, "is not ours, though both are called 'b'" },
	{ "a key against plaintext", PSK("a", KEY_A), NONE,
	  -EPROTO, "speaks plaintext, we have a key",
	  -EPROTO, "speaks TLS, we were told insecure" },
	{ "plaintext against a key", NONE, PSK("a", KEY_A),
	  -EPROTO, "speaks TLS, we were told insecure",
	  -EPROTO, "speaks plaintext, we have a key" },
	{ "plaintext against certificates", NONE, CERT("receiver"),
	  -EPROTO, "speaks TLS, we were told insecure",
	  -EPROTO, "speaks plaintext, we have a key" },
	{ "a key against certificates", PSK("a", KEY_A), CERT("receiver"),
	  REJECTED, "wants certificates, we have a pre-shared key",
	  REJECTED, "refuses our certificate" },
	{ "certificates against a key", CERT("sender"), PSK("a", KEY_A),
	  REJECTED, "refuses our certificate",
	  REJECTED, "shows no pre-shared key" },

	{ "certificates, by address", CERT("sender"), CERT("receiver"),
	  0, "", 0, "" },
	{ "certificates, by name", CERT("sender", .name = "localhost"),
	  CERT("receiver", .name = "sender.pagetrim.test"), 0, "", 0, "" },
	{ "a sender with a common name alone", CERT("nameless-sender"),
	  CERT("receiver"), 0, "", 0, "" },
	{ "the receiver has another name",
	  CERT("sender"), CERT("stranger-receiver"),
	  REJECTED, "its certificate is not for '127.0.0.1'",
	  REJECTED, "refuses our certificate" },
	{ "a name that is not the receiver's",
	  CERT("sender", .name = "other.example"), CERT("receiver"),
	  REJECTED, "its certificate is not for 'other.example'",
	  REJECTED, "refuses our certificate" },
	{ "a name that the sender has not",
	  CERT("sender"), CERT("receiver", .name = "other.example"),
	  REJECTED, "refuses our certificate",
	  REJECTED, "none of the names that tls_peer allows" },
	{ "the common name is no name",
	  CERT("sender", .name = "localhost"), CERT("nameless-receiver"),
	  REJECTED, "not for 'localhost'",
	  REJECTED, "refuses our certificate" },
	{ "the receiver's has expired",
	  CERT("sender"), CERT("expired-receiver"),
	  REJECTED, "has expired", REJECTED, "refuses our certificate" },
	{ "the sender's has expired",
	  CERT("expired-sender"), CERT("receiver"),
	  REJECTED, "refuses our certificate", REJECTED, "has expired" },
	{ "the receiver's CA is not known",
	  CERT("sender"), CERT("other-receiver"),
	  REJECTED, "is not signed by a CA in",
	  REJECTED, "refuses our certificate" },
	{ "the sender's CA is not known",
	  CERT("other-sender"), CERT("receiver"),
	  REJECTED, "refuses our certificate",
	  REJECTED, "is not signed by a CA in" },
	{ "a sender's certificate at the receiver",
	  CERT("sender"), CERT("sender-as-receiver"),
	  REJECTED, "is not for a TLS server",
	  REJECTED, "refuses our certificate" },
	{ "a receiver's certificate at the sender",
	  CERT("receiver"), CERT("receiver"),
	  REJECTED, "refuses our certificate",
	  REJECTED, "is not for a TLS client" },
};

static void expect_text(const struct pt_error *e, const char *want)
{
	if (!strstr(e->text, want))
		fail_msg("'%s' lacks '%s'", e->text, want);
	if (strstr(e->text, KEY_A) || strstr(e->text, "0a0b0c0d"))
		fail_msg("'%s' tells the key", e->text);
}

/* both: a connected pair carries messages, and both export the same. */
static void expect_both(struct pt_conn *s, struct pt_conn *r)
{
	__u8 a[32], b[32];

	assert_true(pt_conn_is_sealed(s));
	assert_true(pt_conn_is_sealed(r));
	assert_int_equal(send_ping(s, 1), 0);
	assert_int_equal(send_ping(r, 2), 0);
	expect_ping(r, 1);
	expect_ping(s, 2);
	assert_int_equal(pt_conn_export(s, "EXPORTER-x", "a", 1, a, 32), 0);
	assert_int_equal(pt_conn_export(r, "EXPORTER-x", "a", 1, b, 32), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(pt_conn_export(r, "EXPORTER-x", "b", 1, b, 32), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(pt_conn_export(r, "EXPORTER-y", "a", 1, b, 32), 0);
	assert_memory_not_equal(a, b, 32);
}

/* row_identity returns the identity of the first key. */
static const char *row_identity(const char *psk)
{
	static char text[PT_PSK_IDENTITY_MAX + 1];

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(psk, ":"), psk);
	return text;
}

/* expect_names: both know the other's name. */
static void expect_names(struct pt_conn *s, struct pt_conn *r,
			 const struct keys *sender)
{
	const char *want = !sender->cert ? "" :
		strcmp(sender->cert, "sender") ? "CN=pagetrim nameless-sender" :
		"sender.pagetrim.test";

	assert_string_equal(pt_conn_peer_name(r), want);
	assert_string_equal(pt_conn_peer_identity(r), sender->psk
			    ? row_identity(sender->psk) : want);
	assert_string_equal(pt_conn_peer_name(s),
			    sender->cert ? "localhost" : "");
}

static void test_row(void **state)
{
	struct pt_conn_cfg sc = sender_cfg, rc = receiver_cfg;
	const struct row *row = *state;
	struct caller caller = { .cfg = &sc, .ret = 1 };
	struct pt_conn *r = NULL;
	struct pt_listener *l;
	pthread_t thread;

	assert_int_equal(tls_open(&sc.tls, PT_ROLE_SENDER, &row->sender), 0);
	assert_int_equal(tls_open(&rc.tls, PT_ROLE_RECEIVER, &row->receiver),
			 0);
	l = listen_at("127.0.0.1", &rc);
	pt_address_print(pt_listener_address(l), caller.to);
	assert_int_equal(pthread_create(&thread, NULL, call, &caller), 0);
	assert_int_equal(accept_any(l, &r),
			 row->receiver_code ? row->receiver_code : 1);
	pthread_join(thread, NULL);
	assert_int_equal(caller.ret, row->sender_code);
	if (row->sender_code) {
		expect_text(&caller.err, row->sender_text);
		expect_text(&err, row->receiver_text);
		assert_int_equal(caller.err.exit, PT_EXIT_PEER);
	} else {
		expect_both(caller.conn, r);
		expect_names(caller.conn, r, &row->sender);
		pt_conn_close(caller.conn);
		pt_conn_close(r);
	}
	pt_listener_close(l);
	pt_tls_close(sc.tls);
	pt_tls_close(rc.tls);
}

/* Files that are no keys are refused before anything is sent. */
static const struct bad {
	const char *name;
	struct keys keys;
	int code;
	const char *text;
} bad[] = {
	{ "no such certificate", CERT("missing"), -ENOENT, "missing.pem" },
	{ "a CA file that is none", { .cert = "receiver", .ca = "sender-key" },
	  -EINVAL, "holds no certificate" },
};

static void test_bad_files(void **state)
{
	struct pt_tls *t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(tls_open(&t, PT_ROLE_RECEIVER, &bad[i].keys),
				 bad[i].code);
		expect_text(&err, bad[i].text);
	}
}

/* open_files returns the result of pt_tls_open with these files of certs.sh. */
static int open_files(const char *cert, const char *key, const char *ca)
{
	char path[3][96];
	struct pt_tls_cfg cfg = { .cert_path = path[0], .key_path = path[1],
				  .ca_path = path[2] };
	struct pt_tls *t;
	int ret;

	snprintf(path[0], sizeof(path[0]), "%s/%s", certs_dir, cert);
	snprintf(path[1], sizeof(path[1]), "%s/%s", certs_dir, key);
	snprintf(path[2], sizeof(path[2]), "%s/%s", certs_dir, ca);
	ret = pt_tls_open(&t, PT_ROLE_RECEIVER, &cfg, &err);
	if (!ret)
		pt_tls_close(t);
	return ret;
}

static void test_pairs(void **state)
{
	char path[96], command[256];

	(void)state;
	assert_int_equal(open_files("receiver.pem", "receiver-key.pem",
				    "ca.pem"), 0);
	assert_int_equal(open_files("receiver.pem", "sender-key.pem", "ca.pem"),
			 -EKEYREJECTED);
	expect_text(&err, "sender-key.pem: not the key of the certificate");
	assert_int_equal(open_files("receiver.pem", "receiver.pem", "ca.pem"),
			 -EPERM);	/* every user may read it */
	expect_text(&err, "lets everybody at the key");
	assert_int_equal(open_files("ca-key.pem", "ca-key.pem", "ca.pem"),
			 -EINVAL);
	expect_text(&err, "ca-key.pem: holds no certificate");
	assert_int_equal(open_files("receiver.pem", ".", "ca.pem"), -EINVAL);
	expect_text(&err, "not a regular file");

	snprintf(path, sizeof(path), "%s/locked.pem", certs_dir);
	snprintf(command, sizeof(command), "openssl pkey -in "
		 "%s/receiver-key.pem -aes128 -passout pass:x -out %s",
		 certs_dir, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(open_files("receiver.pem", "locked.pem", "ca.pem"),
			 -EINVAL);
	expect_text(&err, "the key is encrypted");
	unlink(path);
}

static void test_cfg(void **state)
{
	struct pt_tls_cfg cfg = { .psk_path = "a", .ca_path = "b" };
	struct pt_tls *t;

	(void)state;
	assert_int_equal(pt_tls_open(&t, PT_ROLE_SENDER, &cfg, &err), -EINVAL);
	expect_text(&err, "exclude each other");
	cfg.psk_path = NULL;
	assert_int_equal(pt_tls_open(&t, PT_ROLE_SENDER, &cfg, &err), -EINVAL);
	expect_text(&err, "go together");
	cfg = (struct pt_tls_cfg){ .psk_path = "/nonexistent/key" };
	assert_int_equal(pt_tls_open(&t, PT_ROLE_SENDER, &cfg, &err), -ENOENT);
	expect_text(&err, "/nonexistent/key: ");
}

/* A hello that offers costly groups alone is refused before a key exchange; one
 * of P-256 is not. */
static void test_costly_groups(void **state)
{
	static const char *const groups[] = { "P-384", "P-521", "X448", "P-256" };
	static const struct keys keys = { .cert = "receiver", .ca = "ca" };
	struct pt_conn_cfg cfg = receiver_cfg;
	struct pt_listener *l;
	struct pt_conn *c;

	(void)state;
	assert_int_equal(tls_open(&cfg.tls, PT_ROLE_RECEIVER, &keys), 0);
	l = listen_at("127.0.0.1", &cfg);
	for (int i = 0; i < 4; i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		int fd = raw_connect(l), ret;
		SSL *ssl;

		assert_int_equal(SSL_CTX_set1_groups_list(ctx, groups[i]), 1);
		ssl = SSL_new(ctx);
		SSL_set_fd(ssl, fd);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		ERR_clear_error();
		while ((ret = SSL_connect(ssl)) != 1 && i == 3)
			assert_int_equal(pt_listener_accept(l, &c, &err), 0);
		assert_int_equal(ret == 1, i == 3);
		if (i < 3) {
			assert_int_equal(accept_any(l, &c), -EKEYREJECTED);
			assert_non_null(strstr(err.text, "no TLS 1.3 method"));
		}
		SSL_free(ssl);
		SSL_CTX_free(ctx);
		close(fd);
	}
	pt_listener_close(l);
	pt_tls_close(cfg.tls);
}

static void test_plaintext_exports_nothing(void **state)
{
	struct pt_conn *s, *r;
	__u8 out[32];

	(void)state;
	make_pair(&s, &r, "127.0.0.1");
	assert_false(pt_conn_is_sealed(s));
	assert_int_equal(pt_conn_export(s, "EXPORTER-x", "", 0, out, 32),
			 -ENOTSUP);
	pt_conn_close(s);
	pt_conn_close(r);
}

int main(void)
{
	static const struct CMUnitTest single[] = {
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_cfg),
		cmocka_unit_test(test_costly_groups),
		cmocka_unit_test(test_plaintext_exports_nothing),
	};
	struct CMUnitTest tests[64];
	size_t cnt = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tests[cnt++] = (struct CMUnitTest){
			rows[i].name, test_row, NULL, NULL,
			(void *)&rows[i] };
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		tests[cnt++] = single[i];
	return _cmocka_run_group_tests("tls", tests, cnt, certs_make,
				       certs_remove);
}
