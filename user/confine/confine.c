// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "confine/confine.h"

#include <stddef.h>

#ifdef PT_WITH_seccomp
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <seccomp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "confine/calls.h"

#define CALLS_MAX	1024	/* numbers that are remembered as reported */
#define ROOM_SZ		(4u << 20)	/* more than a filter takes */
#define NOTIFY_API	5	/* libseccomp's level of a kernel that can notify */

/* Frames are carried by sockets that are open already, of AF_XDP. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

/* reporter: the thread pt-confine.  It stays as long as the process. */
struct reporter {
	scmp_filter_ctx own;	/* its filter */
	int code;		/* of loading that */
	int fd;			/* -1: there is nothing to report */
	sem_t is_confined, may_begin;
	struct seccomp_notif *notif;
	struct seccomp_notif_resp *answer;
	void (*refused)(const char *call, pid_t tid);
	bool is_reported[CALLS_MAX];
};

static int add_calls(scmp_filter_ctx filter, const char *const *names)
{
	int ret = 0;

	for (; !ret && *names; names++) {
		int nr = seccomp_syscall_resolve_name(*names);

		/* Another architecture's, or younger than the library. */
		if (nr != __NR_SCMP_ERROR)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0);
	}
	return ret;
}

/* add_by_argument allows calls on conditions: no new program for the kernel, and no
 * socket that reads or writes raw packets. */
static int add_by_argument(scmp_filter_ctx filter)
{
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				   SCMP_A0_32(SCMP_CMP_NE, BPF_PROG_LOAD, 0));

	for (size_t i = 0; !ret && i < sizeof(families) / sizeof(*families); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0_32(SCMP_CMP_EQ, families[i], 0));
	return ret;
}

/* has_room: libseccomp writes through NULL where it gets no memory, in several
 * places, so there must be more of it than a filter takes. */
static bool has_room(void)
{
	void *room = mmap(NULL, ROOM_SZ, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return room != MAP_FAILED && !munmap(room, ROOM_SZ);
}

static int load(scmp_filter_ctx filter)
{
	return has_room() ? seccomp_load(filter) : -ENOMEM;
}

/* add_asking allows to ask whether a process may be ended. */
static int add_asking(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal), 1,
				SCMP_A1_32(SCMP_CMP_EQ, 0, 0));
}

/* make makes a filter, for seccomp_release.  otherwise is the action for a call that is
 * not listed. */
static int make(scmp_filter_ctx *out, __u32 otherwise, const struct pt_confine_cfg *cfg)
{
	scmp_filter_ctx filter;
	int ret;

	if (!has_room())
		return -ENOMEM;
	filter = seccomp_init(otherwise);
	if (!filter)
		return -EINVAL;
	ret = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!ret)	/* else calls of a 32-bit kind kill */
		ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
				       SCMP_ACT_ERRNO(EPERM));
	if (!ret)	/* speculation stays as it is for others: it is faster */
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (!ret)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = add_calls(filter, cfg->serves ? confine_server_calls
						    : confine_calls);
	if (!ret && cfg->traces)
		ret = add_calls(filter, confine_tracer_calls);
	if (!ret)
		ret = cfg->serves ? add_asking(filter) : add_by_argument(filter);
	if (ret)
		seccomp_release(filter);
	else
		*out = filter;
	return ret;
}

static void report(struct reporter *r, int nr, __u32 arch, pid_t tid)
{
	char number[32], *name;

	if (nr < 0 || nr >= CALLS_MAX || r->is_reported[nr])
		return;
	r->is_reported[nr] = true;
	name = seccomp_syscall_resolve_num_arch(arch, nr);
	snprintf(number, sizeof(number), "number %d", nr);
	r->refused(name ? name : number, tid);
	free(name);
}

/* answer_all answers first: the caller may hold a lock that a report needs. */
static void answer_all(struct reporter *r)
{
	for (;;) {
		memset(r->notif, 0, sizeof(*r->notif));
		memset(r->answer, 0, sizeof(*r->answer));
		if (seccomp_notify_receive(r->fd, r->notif)) {
			if (errno != EINTR && errno != ENOENT)
				break;
			continue;	/* its caller was killed */
		}
		r->answer->id = r->notif->id;
		r->answer->error = -EPERM;
		seccomp_notify_respond(r->fd, r->answer);
		report(r, r->notif->data.nr, r->notif->data.arch, r->notif->pid);
	}
	close(r->fd);		/* or callers would wait for ever */
}

static void free_reporter(struct reporter *r)
{
	if (r->notif)
		seccomp_notify_free(r->notif, r->answer);
	if (r->own)
		seccomp_release(r->own);
	free(r);
}

static void *reporter_main(void *arg)
{
	struct reporter *r = arg;

	r->code = load(r->own);
	sem_post(&r->is_confined);
	while (sem_wait(&r->may_begin))
		;
	if (r->fd >= 0)
		answer_all(r);
	free_reporter(r);
	return NULL;
}

static int start_reporter(struct reporter **out, const struct pt_confine_cfg *cfg)
{
	struct reporter *r = calloc(1, sizeof(*r));
	pthread_t thread;
	int ret;

	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->refused = cfg->refused;
	sem_init(&r->is_confined, 0, 0);
	sem_init(&r->may_begin, 0, 0);
	ret = make(&r->own, SCMP_ACT_ERRNO(EPERM), cfg);
	if (!ret && seccomp_api_get() >= NOTIFY_API)
		ret = seccomp_notify_alloc(&r->notif, &r->answer);
	if (!ret)
		ret = pt_thread_start(&thread, reporter_main, r, "pt-confine");
	if (ret) {
		free_reporter(r);
		return ret;
	}
	pthread_detach(thread);
	while (sem_wait(&r->is_confined))
		;
	ret = r->code;
	if (ret)
		sem_post(&r->may_begin);	/* and it ends */
	else
		*out = r;
	return ret;
}

/* confine_quietly is for a process whose refusals another one reports. */
static int confine_quietly(const struct pt_confine_cfg *cfg)
{
	scmp_filter_ctx filter;
	int ret = make(&filter, SCMP_ACT_ERRNO(EPERM), cfg);

	if (ret)
		return ret;
	ret = load(filter);
	seccomp_release(filter);
	return ret ? ret : 1;
}

static int confine(struct reporter *r, const struct pt_confine_cfg *cfg)
{
	scmp_filter_ctx filter;
	int ret;

	if (!r->notif)
		return confine_quietly(cfg);
	ret = make(&filter, SCMP_ACT_NOTIFY, cfg);
	if (ret)
		return ret;
	ret = load(filter);
	if (!ret)
		r->fd = seccomp_notify_fd(filter);
	seccomp_release(filter);
	/* libseccomp 2.5 returns another error than the kernel's -EBUSY. */
	return ret ? confine_quietly(cfg) : 0;
}

int pt_confine_begin(const struct pt_confine_cfg *cfg, struct pt_error *err)
{
	struct reporter *r;
	int ret = start_reporter(&r, cfg);

	if (ret == -EAGAIN)
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a thread: "
				    "%s (memory, ulimit -u or pids.max)",
				    strerror(-ret));
	if (!ret) {
		ret = confine(r, cfg);
		sem_post(&r->may_begin);
	}
	if (ret < 0)
		return pt_error_set(err, PT_EXIT_HOST, ret, "cannot filter its system "
				    "calls: %s ({no-seccomp} goes without)",
				    strerror(-ret));
	return ret;
}

const char *pt_confine_version(void)
{
	static char text[32];
	const struct scmp_version *v = seccomp_version();

	snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	return text;
}

#else

int pt_confine_begin(const struct pt_confine_cfg *cfg, struct pt_error *err)
{
	(void)cfg;
	(void)err;
	return 0;
}

const char *pt_confine_version(void)
{
	return NULL;
}
#endif
