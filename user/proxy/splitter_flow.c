// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The splitter's thread. */
#include "proxy/splitter_impl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/check.h>

/* fail: the first failure counts.  Both sockets are shut, so that QEMU and the
 * other end hear of it; is_qemus: it is that of the QEMU here. */
static void fail(struct pt_splitter *s, bool is_qemus, int code,
		 const struct pt_error *err)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failure) {
		s->failed = *err;
		s->failure = code;
		s->is_qemus = is_qemus;
	}
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pt_batch_fail(s->batch, code, err);
	shutdown(s->qemu_fd, SHUT_RDWR);
	shutdown(s->inner_fd, SHUT_RDWR);
}

static void fail_qemu(struct pt_splitter *s, int code)
{
	struct pt_error err;

	if (!code)
		pt_error_set(&err, PT_EXIT_FAILED, -ECONNRESET, "%s: QEMU ended "
			     "its migration before it was complete (was it "
			     "cancelled? its log tells why)", s->path);
	else
		pt_error_set(&err, PT_EXIT_FAILED, code, "%s: QEMU's stream "
			     "cannot be read: %s", s->path, strerror(-code));
	fail(s, true, code ? code : -ECONNRESET, &err);
}

/* fail_inner: the transfer's own error tells more, and comes first. */
static void fail_inner(struct pt_splitter *s)
{
	struct pt_error err;

	pt_error_set(&err, PT_EXIT_PEER, -EPIPE, "the QEMU at the other host "
		     "ended the migration (its log tells why)");
	fail(s, false, -EPIPE, &err);
}

/* ---- pages ---- */

/* resend writes the last record once more, with its block's name: the records that
 * follow may refer to it. */
static bool resend(struct pt_splitter *s, struct pt_pipe *out)
{
	const struct pt_qstream_token *t = &s->last;
	bool is_zero = t->kind == PT_QSTREAM_ZERO;

	if (!t->sz)
		return true;
	if (pt_pipe_free_sz(out) < PT_QSTREAM_RECORD_SZ_MAX)
		return false;
	pt_pipe_add(out, pt_qstream_put_record(pt_pipe_tail(out),
			s->qstream.blocks[t->block].name, t->off, is_zero));
	return is_zero || pt_pipe_put(out, s->last_page, PT_PAGE_SZ);
}

/* start_tail writes what comes before the rest of the stream, which begins within a
 * section, between two, or, if the pages have ended, after the last. */
static bool start_tail(struct pt_splitter *s, bool has_ended)
{
	struct pt_pipe *out = &s->out;
	__u32 id = s->qstream.section_id;
	__u8 type = has_ended ? PT_QSTREAM_SECTION_END
			      : s->qstream.section ? s->qstream.section
			      : PT_QSTREAM_SECTION_PART;
	bool ok = pt_pipe_put(out, s->held.bytes + s->held.at,
			      pt_pipe_sz(&s->held));

	if (!ok || pt_pipe_free_sz(out) < PT_QSTREAM_SECTION_SZ)
		return false;
	pt_pipe_add(out, pt_qstream_put_section(pt_pipe_tail(out), type, id));
	if (!has_ended)
		ok = resend(s, out);
	if (ok && (has_ended || !s->qstream.section)) {
		ok = pt_pipe_free_sz(out) >= PT_QSTREAM_CLOSE_SZ;
		if (ok)
			pt_pipe_add(out, pt_qstream_put_close(pt_pipe_tail(out),
							      id));
	}
	return ok && pt_pipe_put(out, s->in.bytes + s->in.at,
				 pt_pipe_sz(&s->in));
}

static void end_pages(struct pt_splitter *s, bool has_ended)
{
	s->phase = PT_SPLITTER_WAITS;
	s->has_end = has_ended;
	pt_batch_end(s->batch);
}

/* release lets the tail flow: out has room for the largest head, too. */
static void release(struct pt_splitter *s)
{
	pt_check(start_tail(s, s->has_end));
	s->in.at = s->in.end = 0;
	s->phase = PT_SPLITTER_TAIL;
}

/* take handles a token.  False: there is no room for it. */
static bool take(struct pt_splitter *s, const struct pt_qstream_token *t)
{
	switch (t->kind) {
	case PT_QSTREAM_PAGE:
	case PT_QSTREAM_ZERO:
		return pt_batch_add(s->batch, t->block, t->off, t->page);
	case PT_QSTREAM_HELD:
		return pt_pipe_put(&s->held, s->in.bytes + s->in.at, t->sz);
	default:
		return true;
	}
}

/* part parts what was read, as far as the batch takes it, and returns the kind of
 * the token that ended it; OTHER: the batch is full. */
static enum pt_qstream_kind part(struct pt_splitter *s)
{
	struct pt_qstream_token t;
	const __u8 *page = NULL;

	pt_batch_begin(s->batch);
	do {
		__u32 block = s->qstream.block;

		pt_qstream_next(&s->qstream, s->in.bytes + s->in.at,
				pt_pipe_sz(&s->in), &t);
		if (t.kind == PT_QSTREAM_MORE || t.kind == PT_QSTREAM_STRANGE)
			break;
		if (!take(s, &t)) {
			s->qstream.block = block;
			t.kind = t.kind == PT_QSTREAM_HELD ? PT_QSTREAM_STRANGE
							   : PT_QSTREAM_OTHER;
			break;
		}
		if (t.kind == PT_QSTREAM_PAGE || t.kind == PT_QSTREAM_ZERO) {
			s->last = t;
			page = t.page;
		}
		s->in.at += t.sz;
	} while (t.kind != PT_QSTREAM_END);
	if (page)
		memcpy(s->last_page, page, PT_PAGE_SZ);
	pt_batch_done(s->batch);
	return t.kind;
}

static void go_on_parting(struct pt_splitter *s)
{
	enum pt_qstream_kind kind;

	if (s->phase != PT_SPLITTER_PAGES)
		return;
	kind = part(s);
	if (kind == PT_QSTREAM_STRANGE || kind == PT_QSTREAM_END)
		end_pages(s, kind == PT_QSTREAM_END);
	else if (kind == PT_QSTREAM_MORE && s->has_read_end)
		fail_qemu(s, 0);
}

/* ---- sockets ---- */

static void read_qemu(struct pt_splitter *s)
{
	bool is_tail = s->phase == PT_SPLITTER_TAIL;
	long sz = pt_pipe_read(is_tail ? &s->out : &s->in, s->qemu_fd);

	if (sz > 0 || sz == -EAGAIN)
		return;
	if (sz)
		fail_qemu(s, sz);
	s->has_read_end = true;
}

static void write_inner(struct pt_splitter *s)
{
	if (pt_pipe_write(&s->out, s->inner_fd)) {
		fail_inner(s);
	} else if (s->phase == PT_SPLITTER_TAIL && s->has_read_end &&
		   !pt_pipe_sz(&s->out) && !s->has_sent_end) {
		shutdown(s->inner_fd, SHUT_WR);
		s->has_sent_end = true;
	}
}

/* read_inner: the back channel ends early only if the other QEMU failed. */
static void read_inner(struct pt_splitter *s)
{
	long sz = pt_pipe_read(&s->back, s->inner_fd);

	if (sz > 0 || sz == -EAGAIN)
		return;
	if (sz || s->phase != PT_SPLITTER_TAIL)
		fail_inner(s);
	s->has_taken_end = true;
}

/* write_qemu: a QEMU that is done does not read the back channel any more. */
static void write_qemu(struct pt_splitter *s)
{
	if (pt_pipe_write(&s->back, s->qemu_fd))
		s->back.at = s->back.end = 0;
	if (s->has_taken_end && !pt_pipe_sz(&s->back) && !s->has_given_end) {
		shutdown(s->qemu_fd, SHUT_WR);
		s->has_given_end = true;
	}
}

/* may_read: there is room for QEMU's bytes. */
static bool may_read(const struct pt_splitter *s)
{
	if (s->has_read_end || s->phase == PT_SPLITTER_WAITS)
		return false;
	return s->phase == PT_SPLITTER_TAIL ? !pt_pipe_sz(&s->out)
					    : !pt_pipe_is_full(&s->in);
}

/* watch: a descriptor that nobody waits for is not polled, since its hang-up is
 * reported always. */
static struct pollfd watch(int fd, bool in, bool out)
{
	return (struct pollfd){
		.fd = in || out ? fd : -1,
		.events = (in ? POLLIN : 0) | (out ? POLLOUT : 0),
	};
}

static void await(const struct pt_splitter *s)
{
	struct pollfd fds[] = {
		watch(s->qemu_fd, may_read(s), pt_pipe_sz(&s->back)),
		watch(s->inner_fd, !s->has_taken_end && !pt_pipe_sz(&s->back),
		      pt_pipe_sz(&s->out) && s->inner_fd >= 0),
		watch(s->wake_fd, true, false),
	};
	eventfd_t value;

	poll(fds, 3, -1);
	if (fds[2].revents)
		eventfd_read(s->wake_fd, &value);
}

/* is_over notes the end of both directions. */
static bool is_over(struct pt_splitter *s)
{
	bool is_over, is_released;

	pthread_mutex_lock(&s->lock);
	s->has_ended = s->has_sent_end && s->has_given_end;
	is_released = s->is_released;
	is_over = s->is_stopped || s->failure || s->has_ended;
	if (is_over)
		pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->phase == PT_SPLITTER_WAITS && is_released)
		release(s);
	return is_over;
}

void *pt_splitter_flow(void *splitter)
{
	struct pt_splitter *s = splitter;

	go_on_parting(s);
	while (!is_over(s)) {
		await(s);
		if (may_read(s))
			read_qemu(s);
		go_on_parting(s);
		write_inner(s);
		if (!s->has_taken_end && !pt_pipe_sz(&s->back))
			read_inner(s);
		write_qemu(s);
	}
	return NULL;
}
