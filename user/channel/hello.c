/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/conn_io.h"

#include <errno.h>

int pt_conn_hello_send(struct pt_conn *c, struct pt_error *err)
{
	struct pt_message m = {
		.type = PT_MSG_HELLO,
		.hello = {
			.magic = PT_CONTROL_MAGIC,
			.version_min = c->cfg.version_min,
			.version_max = c->cfg.version_max,
			.capabilities = c->cfg.capabilities,
			.role = c->cfg.role,
		},
	};

	c->greeted = true;
	return pt_conn_send(c, &m, err);
}

/* is_hello_start: the bytes that have come may begin a HELLO, so that a
 * stranger is known by its first wrong byte. */
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

static int hello_agree(struct pt_conn *c, const struct pt_msg_hello *theirs,
		       struct pt_error *err)
{
	const struct pt_conn_cfg *ours = &c->cfg;
	char why[160];

	if (theirs->version_min > ours->version_max ||
	    theirs->version_max < ours->version_min) {
		snprintf(why, sizeof(why), "speaks control versions %u..%u, "
			 "we %u..%u (install the same pagetrim on both hosts)",
			 theirs->version_min, theirs->version_max,
			 ours->version_min, ours->version_max);
		return pt_conn_fail(c, -EPROTONOSUPPORT, why, err);
	}
	if (theirs->role == ours->role) {
		snprintf(why, sizeof(why), "is a %s, as we are (run `pagetrim "
			 "%s` there)", theirs->role == PT_ROLE_SENDER ?
			 "sender" : "receiver", theirs->role == PT_ROLE_SENDER ?
			 "receive" : "send");
		return pt_conn_fail(c, -EPROTO, why, err);
	}
	c->version = theirs->version_max < ours->version_max ?
		     theirs->version_max : ours->version_max;
	c->capabilities = theirs->capabilities & ours->capabilities;
	return 1;
}

/* refuse whoever did not begin with a HELLO.  TLS is told ours, so that it can
 * say what is wrong: we are no secret, having no key. */
static int refuse(struct pt_conn *c, struct pt_error *err)
{
	if (c->tls || c->in[c->in_at] < 20 || c->in[c->in_at] > 23)
		return pt_conn_fail(c, -EPROTO, "is not pagetrim (is the port "
				    "right?)", err);
	if (!c->greeted)
		pt_conn_hello_send(c, NULL);
	return pt_conn_fail(c, -EPROTO, "speaks TLS, we were told --insecure "
			    "(give both ends --psk or --tls-cert, or both "
			    "--insecure)", err);
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
		if (ret < 0)
			return ret;
		/* Before judging it: the peer can then name both, too. */
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
