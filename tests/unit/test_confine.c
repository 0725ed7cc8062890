/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A process under its filter.  Each case is a process of its own, whose reports of
 * refused calls come through a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "confine/confine.h"

#define WANT(it)							\
	do {								\
		if (!(it)) {						\
			fprintf(stderr, "%s:%d: not %s (errno %d)\n",	\
				__FILE__, __LINE__, #it, errno);	\
			_exit(1);					\
		}							\
	} while (0)

static int said[2];	/* the pipe of the reports */

static void on_refused(const char *call, pid_t tid)
{
	char line[80];
	int sz = snprintf(line, sizeof(line), "%s %d\n", call, tid);

	if (write(said[1], line, sz) != sz)
		abort();
}

/* reported reads the next report, which pt-confine makes after the refusal. */
static void reported(const char *call, pid_t tid)
{
	char want[80], got[80] = "";
	int sz = snprintf(want, sizeof(want), "%s %d\n", call, tid);

	for (int at = 0; at < sz; at++)
		WANT(read(said[0], got + at, 1) == 1);
	WANT(!strcmp(want, got));
}

static void nothing_reported(void)
{
	char byte;

	WANT(!fcntl(said[0], F_SETFL, O_NONBLOCK));
	WANT(read(said[0], &byte, 1) < 0 && errno == EAGAIN);
	WANT(!fcntl(said[0], F_SETFL, 0));
}

static void confine_as(bool traces)
{
	const struct pt_confine_cfg cfg = {
		.traces = traces, .refused = on_refused,
	};

	WANT(!pipe(said));
	WANT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	WANT(!pt_confine_begin(&cfg, NULL));
}

static bool is_refused(long ret)
{
	return ret == -1 && errno == EPERM;
}

/* A call of its own number is reported once, and refused each time. */
static void refuses(void)
{
	confine_as(false);
	for (int i = 0; i < 3; i++)
		WANT(is_refused(personality(0xffffffff)));
	reported("personality", getpid());
	WANT(is_refused(syscall(SYS_unshare, 0)));
	reported("unshare", getpid());
	WANT(is_refused(syscall(SYS_personality, 0xffffffff)));
	WANT(is_refused(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)));
	reported("ptrace", getpid());
	WANT(is_refused(execl("/bin/true", "true", NULL)));
	reported("execve", getpid());
	nothing_reported();
}

static void allows_what_is_listed(void)
{
	int fd;

	confine_as(false);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	WANT(fd >= 0 && !close(fd));
	WANT(getppid() > 0);
	nothing_reported();
}

static void *call_in_thread(void *arg)
{
	*(pid_t *)arg = gettid();
	WANT(is_refused(syscall(SYS_unshare, 0)));
	return NULL;
}

static void holds_for_threads(void)
{
	pthread_t thread;
	pid_t tid;

	confine_as(false);
	WANT(!pthread_create(&thread, NULL, call_in_thread, &tid));
	WANT(!pthread_join(thread, NULL));
	reported("unshare", tid);
}

static void holds_for_children(void)
{
	int status;
	pid_t pid;

	confine_as(false);
	pid = fork();
	if (!pid)
		_exit(is_refused(syscall(SYS_unshare, 0)) ? 7 : 8);
	WANT(waitpid(pid, &status, 0) == pid);
	WANT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	reported("unshare", pid);
}

static void allows_a_tracer(void)
{
	int status;
	pid_t pid;

	confine_as(true);
	pid = fork();
	if (!pid)
		_exit(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) ? 8 : 7);
	WANT(waitpid(pid, &status, 0) == pid);
	WANT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	nothing_reported();
}

static void judges_arguments(void)
{
	union bpf_attr attr = { 0 };
	int fd;

	confine_as(false);
	WANT(is_refused(socket(AF_PACKET, SOCK_RAW, 0)));
	reported("socket", getpid());
	for (size_t i = 0; i < 3; i++) {
		fd = socket((int[]){ AF_UNIX, AF_INET, AF_NETLINK }[i],
			    SOCK_DGRAM, 0);
		WANT(fd >= 0 && !close(fd));
	}
	WANT(is_refused(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr))));
	reported("bpf", getpid());
	WANT(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) == -1);
	WANT(errno != EPERM);
}

#ifdef __x86_64__
/* call_by_the_other_interface calls getpid(2) by the 32-bit one. */
static long call_by_the_other_interface(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory",
			 "r8", "r9", "r10", "r11");
	return ret;
}

/* A call by the 32-bit interface fails, and kills nothing; a kernel whose
 * interface is off sends SIGSEGV itself. */
static void refuses_the_other_interface(void)
{
	int status;
	long ret;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		call_by_the_other_interface();
		_exit(0);
	}
	WANT(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status)) {
		puts("no 32-bit interface in this kernel");
		return;
	}
	confine_as(false);
	ret = call_by_the_other_interface();
	WANT(ret == -EPERM || ret == -ENOSYS);	/* or the kernel has none */
}
#endif

/* filter_before installs a filter as a container's manager does: it allows all but
 * the system call nr, which gets action. */
static int filter_before(unsigned int flags, int nr, __u32 action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	WANT(!pipe(said));
	WANT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* The manager listens to what its filter refuses, and the kernel has one listener. */
static void under_a_listener(void)
{
	static const struct pt_confine_cfg cfg = { .refused = on_refused };

	WANT(filter_before(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_swapoff,
			   SECCOMP_RET_USER_NOTIF) >= 0);
	WANT(pt_confine_begin(&cfg, NULL) == 1);
	WANT(is_refused(syscall(SYS_unshare, 0)));
	nothing_reported();
}

/* The manager forbids filters. */
static void tells_why_not(void)
{
	static const struct pt_confine_cfg cfg = { .refused = on_refused };
	struct pt_error err = { 0 };

	WANT(!filter_before(0, SYS_seccomp, SECCOMP_RET_ERRNO | EACCES));
	WANT(pt_confine_begin(&cfg, &err) < 0);
	WANT(err.exit == PT_EXIT_HOST && strstr(err.text, "no_seccomp"));
	WANT(syscall(SYS_personality, 0xffffffff) >= 0);	/* none is left */
}

/* address_sz returns the bytes of all mappings of this process. */
static rlim_t address_sz(void)
{
	FILE *in = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	WANT(in && fscanf(in, "%lu", &pages) == 1 && !fclose(in));
	return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* AddressSanitizer ends a process with 1 where its own memory is refused. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZER_LACKS_MEMORY 0x100
#else
#define SANITIZER_LACKS_MEMORY 0x300
#endif

/* A lack of memory is reported, wherever the limit is. */
static void with_little_memory(void **state)
{
	static const struct pt_confine_cfg cfg = { .refused = on_refused };
	int status = 1;

	(void)state;
	for (rlim_t kib = 0; status && kib < 32768; kib += 128) {
		pid_t pid = fork();

		if (!pid) {
			struct rlimit most = { address_sz() + kib * 1024,
					       RLIM_INFINITY };
			struct pt_error err = { 0 };

			signal(SIGSEGV, SIG_DFL);	/* not cmocka's */
			WANT(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
			WANT(!setrlimit(RLIMIT_AS, &most));
			if (!pt_confine_begin(&cfg, &err))
				_exit(0);
			WANT(strstr(err.text, "emory"));
			_exit(3);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status && status != 0x300 && status != SANITIZER_LACKS_MEMORY)
			fail_msg("%llu KiB: status %#x", (unsigned long long)kib, status);
	}
	assert_int_equal(status, 0);
}

static void test_apart(void **state)
{
	void (*fn)(void) = (void (*)(void))*state;
	int status;
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define APART(fn)							\
	{ .name = #fn, .test_func = test_apart, .initial_state = (void *)fn }
	const struct CMUnitTest tests[] = {
		APART(refuses),
		APART(allows_what_is_listed),
		APART(holds_for_threads),
		APART(holds_for_children),
		APART(allows_a_tracer),
		APART(judges_arguments),
#ifdef __x86_64__
		APART(refuses_the_other_interface),
#endif
		APART(under_a_listener),
		APART(tells_why_not),
		cmocka_unit_test(with_little_memory),
	};
#undef APART

	if (!pt_confine_version()) {
		puts("built without libseccomp: there is no filter");
		return 77;
	}
	return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
