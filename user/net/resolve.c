/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/files.h"
#include "base/thread.h"

/* pt_resolve: up to two threads hold it, and the last one frees it. */
struct pt_resolve {
	atomic_uint holder_cnt;
	int answered;			/* eventfd */
	pthread_t thread;
	bool has_thread;		/* not joined */
	char *text;
	unsigned max;
	__u16 default_port;
	struct pt_address found[PT_ADDRESSES_MAX];
	int result;
	struct pt_error error;
};

static void release(struct pt_resolve *q)
{
	if (atomic_fetch_sub(&q->holder_cnt, 1) > 1)
		return;
	if (q->answered >= 0)
		close(q->answered);
	free(q->text);
	free(q);
}

static void answer(struct pt_resolve *q)
{
	q->result = pt_address_resolve(q->found, q->max, q->text,
				       q->default_port, &q->error);
	eventfd_write(q->answered, 1);
}

static void *resolve_main(void *arg)
{
	answer(arg);
	release(arg);
	return NULL;
}

static struct pt_resolve *make(unsigned max, const char *text,
			       __u16 default_port, struct pt_error *err)
{
	struct pt_resolve *q = calloc(1, sizeof(*q));
	int code = -ENOMEM;

	if (q) {
		q->holder_cnt = 1;
		q->max = max;
		q->default_port = default_port;
		q->text = strdup(text);
		q->answered = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->text && q->answered >= 0)
			return q;
		if (q->text)
			code = -errno;
		release(q);
	}
	pt_error_set(err, PT_EXIT_HOST, code, "%.200s: cannot ask for its "
		     "address: %s%s", text, strerror(-code),
		     pt_files_remedy(code));
	return NULL;
}

/* is_address: the text needs no name service.  A malformed address is refused
 * at once, too. */
static bool is_address(const char *text)
{
	char host[PT_ADDRESS_HOST_SZ];
	struct in_addr v4;

	return pt_address_host(host, text, NULL) || strchr(host, ':') ||
	       inet_pton(AF_INET, host, &v4) == 1;
}

int pt_resolve_begin(struct pt_resolve **out, unsigned max, const char *text,
		     __u16 default_port, struct pt_error *err)
{
	struct pt_resolve *q = make(max, text, default_port, err);
	int ret;

	if (!q)
		return -ENOMEM;
	*out = q;
	if (is_address(text)) {
		answer(q);
		return 0;
	}
	q->holder_cnt++;
	ret = pt_thread_start(&q->thread, resolve_main, q, "pt-resolve");
	q->has_thread = !ret;
	if (!ret)
		return 0;
	pt_error_set(err, PT_EXIT_HOST, ret, "%.200s: cannot start a thread to "
		     "ask for its address: %s (memory, ulimit -u or pids.max)",
		     text,
		     strerror(-ret));
	q->holder_cnt--;
	release(q);
	*out = NULL;
	return ret;
}

int pt_resolve_fd(const struct pt_resolve *q)
{
	return q->answered;
}

int pt_resolve_result(struct pt_resolve *q,
		      struct pt_address out[PT_ADDRESSES_MAX],
		      struct pt_error *err)
{
	eventfd_t value;

	if (eventfd_read(q->answered, &value))
		return 0;
	eventfd_write(q->answered, 1);	/* it stays readable */
	if (q->has_thread)
		pthread_join(q->thread, NULL);
	q->has_thread = false;
	if (q->result > 0)
		memcpy(out, q->found, q->result * sizeof(*out));
	else if (err)
		*err = q->error;
	return q->result;
}

void pt_resolve_end(struct pt_resolve *q)
{
	if (!q)
		return;
	if (q->has_thread)
		pthread_detach(q->thread);
	release(q);
}

int pt_resolve_silent(const struct pt_resolve *q, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ETIMEDOUT, "%.200s: the name "
			    "service does not answer (see resolv.conf(5), or "
			    "use an address)", q->text);
}

int pt_resolve_stopped(const struct pt_resolve *q, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_FAILED, -ECANCELED, "%.200s: stopped "
			    "while asking for its address", q->text);
}
