/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

/* is_ignored: nohup(1) asks for that, and a blocked signal would come through. */
static bool is_ignored(int signal)
{
	struct sigaction now;

	return !sigaction(signal, NULL, &now) && now.sa_handler == SIG_IGN;
}

int pt_stop_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
