/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/conn_io.h"

#include <errno.h>

int pt_conn_hello_send(struct pt_conn *c, struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_HELLO,
		.hello = {
			.magic = PT_CONTROL_MAGIC,
			.version_min = PT_WIRE_VERSION,
			.version_max = PT_WIRE_VERSION,
			.capabilities = c->cfg.capabilities,
			.role = c->cfg.role,
		},
	};

	c->greeted = true;
	return pt_conn_send(c, &m, err);
}

/* is_hello_start: the received bytes may begin a HELLO; the first wrong byte
 * reveals a stranger. */
static bool is_hello_start(const struct pt_conn *c)
{
	static const struct {
		__u8 value, mask;
	} start[] = {
		{ 0x00, 0xff }, { 0x00, 0xff }, { 0, 0 }, { 0, 0 }, /* size */
		{ 0x00, 0xff }, { PT_MSG_HELLO, 0xff },
		{ 0x00, 0xff }, { 0x00, 0xff },
		{ 'P', 0xff }, { 'T', 0xff }, { 'C', 0xff }, { 'T', 0xff },
	};

	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++) {
		if (c->in_at + i == c->in_end)
			return true;
		if ((c->in[c->in_at + i] & start[i].mask) != start[i].value)
			return false;
	}
	return true;
}

/* versions_print: "3" or "3..5". */
static void versions_print(char *to, size_t sz, __u16 min, __u16 max)
{
	if (min == max)
		snprintf(to, sz, "%u", min);
	else
		snprintf(to, sz, "%u..%u", min, max);
}

/* tell_refused sends the peer the reason why its HELLO is refused.  Our own
 * HELLO comes first, so that the peer can judge it, too. */
static void tell_refused(struct pt_conn *c, const char *why)
{
	struct pt_message m;
	char text[PT_ABORT_TEXT_MAX];

	if (!c->greeted)
		pt_conn_hello_send(c, NULL);
	snprintf(text, sizeof(text), "HELLO refused: %s", why);
	pt_message_abort(&m, PT_EXIT_PEER, text);
	pt_conn_send(c, &m, NULL);
}

static int hello_agree(struct pt_conn *c, const struct pt_msg_hello *theirs,
		       struct pt_error *err)
{
	char versions[16], why[160], told[176];
	int code = -EPROTO;

	if (theirs->version_min > PT_WIRE_VERSION ||
	    theirs->version_max < PT_WIRE_VERSION) {
		code = -EPROTONOSUPPORT;
		versions_print(versions, sizeof(versions), theirs->version_min,
			       theirs->version_max);
		snprintf(why, sizeof(why), "speaks version %s, we speak "
			 "version %d (install the same pagetrim on both hosts)",
			 versions, PT_WIRE_VERSION);
	} else if (theirs->role == c->cfg.role) {
		snprintf(why, sizeof(why), "is a %s, as we are (run `pagetrim "
			 "%s` there)", theirs->role == PT_ROLE_SENDER ?
			 "sender" : "receiver", theirs->role == PT_ROLE_SENDER ?
			 "receive" : "send");
	} else {
		c->version = PT_WIRE_VERSION;
		c->capabilities = theirs->capabilities & c->cfg.capabilities;
		return 1;
	}
	snprintf(told, sizeof(told), "the peer %s", why);
	tell_refused(c, told);
	return pt_conn_fail(c, code, why, err);
}

/* refuse rejects a peer that did not begin with a HELLO.  A TLS peer gets our
 * HELLO, so that it can report the cause; without a key we are no secret. */
static int refuse(struct pt_conn *c, struct pt_error *err)
{
	char own[PT_ERROR_OWN_SZ];

	if (c->tls || c->in[c->in_at] < 20 || c->in[c->in_at] > 23)
		return pt_conn_fail(c, -EPROTO, "is not pagetrim (is the port "
				    "right?)", err);
	if (!c->greeted)
		pt_conn_hello_send(c, NULL);
	pt_error_own(own, "speaks TLS, we were told {insecure} (give both ends "
		     "{psk} or {tls-cert}, or both {insecure})");
	return pt_conn_fail(c, -EPROTO, own, err);
}

int pt_conn_hello_recv(struct pt_conn *c, struct pt_error *err)
{
	struct pt_message m;
	int ret = pt_conn_secure(c, err);

	if (ret <= 0)
		return ret;
	pt_conn_flush(c);
	for (;;) {
		if (!is_hello_start(c))
			return refuse(c, err);
		ret = pt_conn_decode(c, &m, err);
		if (ret < 0) {
			tell_refused(c, c->failed.text);
			return ret;
		}
		/* Send it before judging the peer's, so that the peer can name
		 * both, too. */
		if (ret && !c->greeted)
			ret = pt_conn_hello_send(c, err) ? : 1;
		if (ret > 0)
			ret = hello_agree(c, &m.hello, err);
		if (ret > 0)
			ret = pt_conn_grow(c, err) ? : 1;
		if (ret)
			return ret;
		ret = pt_conn_fill(c, err);
		if (ret <= 0)
			return ret;
	}
}
