/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "lane/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <pagetrim/clock.h>
#include "base/thread.h"

struct pt_inbox {
	pthread_mutex_t lock;
	atomic_bool is_full;		/* there is mail */
	struct pt_bell *_Atomic bell;	/* NULL: none */
	struct pt_mail mail;
};

int pt_inbox_create(struct pt_inbox **out)
{
	struct pt_inbox *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	pthread_mutex_init(&in->lock, NULL);
	*out = in;
	return 0;
}

void pt_inbox_destroy(struct pt_inbox *in)
{
	if (!in)
		return;
	pthread_mutex_destroy(&in->lock);
	free(in);
}

void pt_inbox_tell(struct pt_inbox *in, struct pt_bell *bell)
{
	in->bell = bell;
}

/* ---- bells ---- */

void pt_bell_init(struct pt_bell *b)
{
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->rung, NULL);
	b->has_rung = false;
}

void pt_bell_destroy(struct pt_bell *b)
{
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->rung);
}

void pt_bell_ring(struct pt_bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->has_rung = true;
	pthread_cond_signal(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

void pt_bell_wait(struct pt_bell *b, __u64 until_ns)
{
	pthread_mutex_lock(&b->lock);
	while (!b->has_rung && pt_thread_wait(&b->rung, &b->lock, until_ns))
		;
	b->has_rung = false;
	pthread_mutex_unlock(&b->lock);
}

/* ---- posting ---- */

static struct pt_mail *post_begin(struct pt_inbox *in)
{
	pthread_mutex_lock(&in->lock);
	return &in->mail;
}

static void post_end(struct pt_inbox *in)
{
	atomic_store_explicit(&in->is_full, true, memory_order_release);
	if (in->bell)
		pt_bell_ring(in->bell);
	pthread_mutex_unlock(&in->lock);
}

int pt_inbox_ack(struct pt_inbox *in, const struct pt_msg_ack *ack)
{
	struct pt_mail *mail = post_begin(in);
	int ret = 0;

	if (mail->missing_cnt + ack->missing_cnt > PT_INBOX_RANGES &&
	    !mail->stop) {
		ret = -ENOBUFS;
	} else if (!mail->stop) {
		memcpy(&mail->missing[mail->missing_cnt], ack->missing,
		       ack->missing_cnt * sizeof(*ack->missing));
		mail->missing_cnt += ack->missing_cnt;
		mail->has_ack = true;
		mail->cum_ack = ack->upto;
		mail->freed_desc = ack->freed_desc;
		mail->window = ack->window;
		mail->placed_upto = ack->placed_upto;
		mail->arrived_sz = ack->arrived_sz;
		mail->arrived_ns = ack->arrived_ns;
		mail->top = ack->top;
		mail->top_ns = ack->top_ns;
	}
	post_end(in);
	return ret;
}

int pt_inbox_refused(struct pt_inbox *in, const struct pt_msg_refused *refused)
{
	struct pt_mail *mail = post_begin(in);
	int ret = 0;

	if (mail->refused_cnt + refused->page_cnt > PT_INBOX_REFUSED &&
	    !mail->stop) {
		ret = -ENOBUFS;
	} else if (!mail->stop) {
		memcpy(&mail->refused[mail->refused_cnt], refused->page,
		       refused->page_cnt * sizeof(*refused->page));
		mail->refused_cnt += refused->page_cnt;
	}
	post_end(in);
	return ret;
}

void pt_inbox_probe(struct pt_inbox *in, const struct pt_msg_probe_seen *seen)
{
	struct pt_mail *mail = post_begin(in);

	if (mail->probe_cnt < PT_INBOX_PROBES)
		mail->probes[mail->probe_cnt++] = *seen;
	post_end(in);
}

void pt_inbox_ready(struct pt_inbox *in, __u32 window)
{
	struct pt_mail *mail = post_begin(in);

	mail->is_ready = true;
	mail->window = window;
	post_end(in);
}

void pt_inbox_reprobe(struct pt_inbox *in)
{
	post_begin(in)->reprobe = true;
	post_end(in);
}

void pt_inbox_link(struct pt_inbox *in, const struct pt_link *link)
{
	struct pt_mail *mail = post_begin(in);

	mail->has_link = true;
	mail->link = *link;
	post_end(in);
}

void pt_inbox_go(struct pt_inbox *in, __u16 stripe, __u16 stripe_cnt)
{
	struct pt_mail *mail = post_begin(in);

	mail->go = true;
	mail->stripe = stripe;
	mail->stripe_cnt = stripe_cnt;
	post_end(in);
}

void pt_inbox_round(struct pt_inbox *in, __u32 round)
{
	post_begin(in)->round = round;
	post_end(in);
}

void pt_inbox_stop(struct pt_inbox *in)
{
	post_begin(in)->stop = true;
	post_end(in);
}

void pt_inbox_fill(struct pt_inbox *in)
{
	post_begin(in)->fills = true;
	post_end(in);
}

void pt_inbox_want(struct pt_inbox *in, __u64 page_idx)
{
	struct pt_mail *mail = post_begin(in);

	if (mail->wanted_cnt < PT_INBOX_WANTED)
		mail->wanted[mail->wanted_cnt++] = page_idx;
	post_end(in);
}

bool pt_inbox_peek(const struct pt_inbox *in)
{
	return atomic_load_explicit(&in->is_full, memory_order_acquire);
}

/* mail_move copies only the used part of the lists. */
static void mail_move(struct pt_mail *to, struct pt_mail *from)
{
	memcpy(to->missing, from->missing,
	       from->missing_cnt * sizeof(*from->missing));
	memcpy(to->probes, from->probes,
	       from->probe_cnt * sizeof(*from->probes));
	memcpy(to->refused, from->refused,
	       from->refused_cnt * sizeof(*from->refused));
	memcpy(to->wanted, from->wanted,
	       from->wanted_cnt * sizeof(*from->wanted));
	to->wanted_cnt = from->wanted_cnt;
	to->refused_cnt = from->refused_cnt;
	to->missing_cnt = from->missing_cnt;
	to->probe_cnt = from->probe_cnt;
	to->has_ack = from->has_ack;
	to->cum_ack = from->cum_ack;
	to->freed_desc = from->freed_desc;
	to->window = from->window;
	to->placed_upto = from->placed_upto;
	to->arrived_sz = from->arrived_sz;
	to->arrived_ns = from->arrived_ns;
	to->top = from->top;
	to->top_ns = from->top_ns;
	to->is_ready = from->is_ready;
	to->reprobe = from->reprobe;
	to->has_link = from->has_link;
	to->link = from->link;
	to->go = from->go;
	to->stripe = from->stripe;
	to->stripe_cnt = from->stripe_cnt;
	to->round = from->round;
	to->fills = from->fills;
	to->stop = from->stop;
	from->missing_cnt = 0;
	from->wanted_cnt = 0;
	from->refused_cnt = 0;
	from->probe_cnt = 0;
	from->has_ack = false;
	from->is_ready = false;
	from->reprobe = false;
	from->has_link = false;
	from->go = false;
}

bool pt_inbox_take(struct pt_inbox *in, struct pt_mail *mail)
{
	if (!pt_inbox_peek(in))
		return false;
	pthread_mutex_lock(&in->lock);
	mail_move(mail, &in->mail);
	/* stop is permanent, so it stays set */
	atomic_store(&in->is_full, in->mail.stop);
	pthread_mutex_unlock(&in->lock);
	return true;
}
