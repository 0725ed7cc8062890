/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/stop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

int pt_stop_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
