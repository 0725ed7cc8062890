/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/thread.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define NAME_SZ	16	/* of a thread, for the kernel */

int pt_thread_start(pthread_t *thread, void *(*main)(void *), void *arg,
		    const char *fmt, ...)
{
	/* A blocked fault kills the process, even if it has a handler. */
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP,
				   SIGSYS };
	char name[NAME_SZ];
	sigset_t blocked, before;
	va_list args;
	int ret;

	sigfillset(&blocked);
	for (unsigned int i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&blocked, own[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	ret = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return -ret;
	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	pthread_setname_np(*thread, name);
	return 0;
}

bool pt_thread_wait(pthread_cond_t *condition, pthread_mutex_t *lock,
		    __u64 until_ns)
{
	const struct timespec until = {
		.tv_sec = until_ns / 1000000000,
		.tv_nsec = until_ns % 1000000000,
	};

	return !pthread_cond_clockwait(condition, lock, CLOCK_MONOTONIC, &until);
}
