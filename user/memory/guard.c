// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "memory/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <pagetrim/check.h>

static __thread struct pt_guard *innermost;
static struct sigaction before;	/* the previous handler of SIGBUS */
static atomic_bool is_barred, is_allowed;

/* pass_on does the previous action for the signal. */
static void pass_on(int signo, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signo, info, context);
	} else if (before.sa_handler == SIG_IGN && info->si_code <= 0) {
		return;
	} else if (before.sa_handler == SIG_DFL ||
		   before.sa_handler == SIG_IGN) {
		/* A fault happens again at once and then ends the process; a
		 * signal of kill(2) must be raised again. */
		sigaction(signo, &before, NULL);
		if (info->si_code <= 0)
			raise(signo);
	} else {
		before.sa_handler(signo);
	}
}

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	struct pt_guard *guard = innermost;
	sigset_t bus;

	if (!guard || info->si_code <= 0) {	/* <= 0: sent, not a fault */
		pass_on(signo, info, context);
		return;
	}
	innermost = guard->outer;
	guard->addr = info->si_addr;
	/* A runtime between us and the kernel, such as ThreadSanitizer's,
	 * blocks signals in spite of SA_NODEFER, and the next fault would
	 * kill. */
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
	siglongjmp(guard->env, 1);
}

static void install(void)
{
	/* SA_NODEFER: the handler leaves by longjmp and restores no signal
	 * mask, which saves pt_guard_enter a system call. */
	struct sigaction ours = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigemptyset(&ours.sa_mask);
	pt_check(sigaction(SIGBUS, &ours, &before) == 0);
}

void pt_guard_push(struct pt_guard *guard)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (!is_barred)
		pthread_once(&once, install);
	guard->addr = NULL;
	guard->outer = innermost;
	innermost = guard;
}

void pt_guard_leave(struct pt_guard *guard)
{
	pt_check(innermost == guard);
	innermost = guard->outer;
}

void pt_guard_bar(void)
{
	is_barred = !is_allowed;
}

void pt_guard_allow(void)
{
	is_allowed = true;
	is_barred = false;
}

bool pt_guard_is_barred(void)
{
	return is_barred;
}
