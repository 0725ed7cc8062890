/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
	void (*take)(int signal, void *arg);
	void *arg;
	int signal_fd;
	int end_fd;		/* eventfd */
	pthread_t thread;
	bool has_thread;
} stop;

/* is_ignored: nohup(1) lets a process ignore SIGHUP, a shell those that it starts
 * in the background SIGINT, but the descriptor would still receive the blocked
 * signal. */
static bool is_ignored(int signal)
{
	struct sigaction now;

	return !sigaction(signal, NULL, &now) && now.sa_handler == SIG_IGN;
}

int pt_stop_open(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!is_ignored(signals[i]))
			sigaddset(&set, signals[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void *stop_main(void *arg)
{
	struct pollfd fds[] = {
		{ .fd = stop.signal_fd, .events = POLLIN },
		{ .fd = stop.end_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	(void)arg;
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;	/* EINTR */
		if (fds[1].revents)
			return NULL;
		if (read(stop.signal_fd, &info, sizeof(info)) == sizeof(info))
			stop.take(info.ssi_signo, stop.arg);
	}
}

int pt_stop_begin(int stop_fd, void (*take)(int signal, void *arg), void *arg,
		  struct pt_error *err)
{
	int ret;

	stop.take = take;
	stop.arg = arg;
	stop.signal_fd = stop_fd;
	stop.end_fd = eventfd(0, EFD_CLOEXEC);
	ret = stop.end_fd < 0 ? -errno :
	      -pthread_create(&stop.thread, NULL, stop_main, NULL);
	stop.has_thread = !ret;
	if (!ret)
		return 0;
	if (stop.end_fd >= 0)
		close(stop.end_fd);
	return pt_error_set(err, PT_EXIT_HOST, ret, "cannot wait for signals: "
			    "%s (memory, ulimit -u or -n, or pids.max)",
			    strerror(-ret));
}

static _Atomic unsigned int signal_cnt;

static void count_signal(int signal, void *arg)
{
	(void)signal;
	(void)arg;
	if (atomic_fetch_add(&signal_cnt, 1))
		_exit(PT_EXIT_FAILED);
}

int pt_stop_watch(struct pt_error *err)
{
	return pt_stop_begin(pt_stop_open(), count_signal, NULL, err);
}

bool pt_stop_is_wanted(void)
{
	return atomic_load(&signal_cnt);
}

void pt_stop_end(void)
{
	if (!stop.has_thread)
		return;
	stop.has_thread = false;
	eventfd_write(stop.end_fd, 1);
	pthread_join(stop.thread, NULL);
	close(stop.end_fd);
}
