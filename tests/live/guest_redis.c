/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest_redis: Redis on port 6379, if the initramfs has one (live_guest.sh
 * --redis).  All of its data is in memory.  Its end counts as damage.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define PROGRAM	"/usr/bin/redis-server"

static void serve(void)
{
	static char *const words[] = {
		PROGRAM, "--save", "", "--protected-mode", "no", "--dir", "/",
		NULL
	};
	static char *const environment[] = { NULL };
	int log = open("/redis.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execve(PROGRAM, words, environment);
	_exit(127);
}

static void *wait_thread(void *arg)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		give_up("fork");
	if (!child)
		serve();
	waitpid(child, &status, 0);
	counts.damage++;
	say("guest: DAMAGED: redis ended, status %#x\n", status);
	return arg;
}

void redis_begin(void)
{
	if (access(PROGRAM, X_OK))
		return;
	mkdir("/sys", 0755);
	mount("none", "/sys", "sysfs", 0, NULL);
	thread_begin(wait_thread, NULL);
}
