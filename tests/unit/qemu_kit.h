/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* qemu_kit: real QEMUs, each with a guest that is firmware only.  They end with
 * the test. */
#ifndef TEST_QEMU_KIT_H
#define TEST_QEMU_KIT_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "scratch.h"
#include <pagetrim/clock.h>
#include "vmm/guard.h"
#include "vmm/qemu_impl.h"

#define WAIT_MS 120000	/* for anything that must come; a busy machine is slow */
#define RAM_SZ (32u << 20)

struct vm {
	pid_t pid;
	char qmp[64];		/* for the code under test */
	char look[64];		/* for the test itself */
};

/* ok fails the test with the error's text unless code is 0. */
static inline void ok(int code, const struct pt_error *err)
{
	if (code)
		fail_msg("%d: %s", code, err->text);
}

/* vm_start starts QEMU with a guest called name, and more arguments, up to a
 * NULL. */
static inline void vm_start(struct vm *vm, const char *name,
			    const char *const *more)
{
	const char *qemu = getenv("PAGETRIM_TEST_QEMU");
	char monitor[128], look[128], ram[160];
	const char *args[64] = {
		"qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-m", "32",
		"-nodefaults", "-no-user-config", "-display", "none", "-object",
		ram, "-machine", "memory-backend=ram", "-qmp", monitor, "-qmp",
		look, "-device", "VGA,vgamem_mb=4,id=vga0",
	};
	size_t cnt = 0;

	while (args[cnt])
		cnt++;
	while (*more)
		args[cnt++] = *more++;
	snprintf(vm->qmp, sizeof(vm->qmp), SCRATCH "/%s.qmp", name);
	snprintf(vm->look, sizeof(vm->look), SCRATCH "/%s.look", name);
	unlink(vm->qmp);
	unlink(vm->look);
	snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off",
		 vm->qmp);
	snprintf(look, sizeof(look), "unix:%s,server=on,wait=off", vm->look);
	snprintf(ram, sizeof(ram), "memory-backend-file,id=ram,size=%u,"
		 "mem-path=" SCRATCH "/%s.ram,share=on", RAM_SZ, name);
	vm->pid = fork();
	if (!vm->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(qemu ? qemu : args[0], (char *const *)args);
		perror("qemu-system-x86_64 (run scripts/deps.sh)");
		_exit(127);
	}
	assert_true(vm->pid > 0);
}

/* vm_open opens a monitor as soon as it is there. */
static inline struct pt_qemu *vm_open(const struct vm *vm, const char *path)
{
	__u64 deadline_ns = pt_deadline_ns(WAIT_MS);
	struct pt_error err = { 0 };
	struct pt_qemu *q;
	int code;

	for (;;) {
		code = pt_qemu_open(&q, path, 0, &err);
		if (!code)
			break;
		if (waitpid(vm->pid, NULL, WNOHANG))
			fail_msg("QEMU ended at its start");
		if (!pt_left_ms(deadline_ns))
			fail_msg("%s", err.text);
		usleep(20000);
	}
	return q;
}

/* vm_end kills a QEMU and waits for its end. */
static inline void vm_end(const struct vm *vm)
{
	kill(vm->pid, SIGKILL);
	waitpid(vm->pid, NULL, 0);
}

static inline void run_is(struct pt_qemu *q, const char *run)
{
	struct pt_error err = { 0 };
	struct pt_qemu_state s;

	ok(pt_qemu_look(q, &s, &err), &err);
	assert_string_equal(s.run, run);
}

/* run_comes waits until the guest's state is run. */
static inline void run_comes(struct pt_qemu *q, const char *run)
{
	__u64 deadline_ns = pt_deadline_ns(WAIT_MS);
	struct pt_error err = { 0 };
	struct pt_qemu_state s;

	for (;;) {
		ok(pt_qemu_look(q, &s, &err), &err);
		if (!strcmp(s.run, run))
			return;
		if (!pt_left_ms(deadline_ns))
			fail_msg("the guest's state is '%s', the migration's "
				 "'%s'", s.run, s.migration);
		usleep(10000);
	}
}

/* --------------------------------------------- the streams, carried by threads */

struct pump {
	pthread_t thread;
	int from, to;		/* to -1: bytes vanish */
	int stop[2];
	size_t sz;		/* bytes carried from from */
};

static inline bool pump_once(int from, int to, size_t *sz)
{
	char bytes[65536];
	ssize_t got = read(from, bytes, sizeof(bytes));

	if (got < 0)
		return errno == EAGAIN;
	*sz += got;
	for (ssize_t at = 0; got > 0 && to >= 0 && at < got;) {
		struct pollfd poll_fd = { .fd = to, .events = POLLOUT };
		ssize_t put = send(to, bytes + at, got - at, MSG_NOSIGNAL);

		if (put < 0 && errno != EAGAIN)
			return false;
		if (put < 0)
			poll(&poll_fd, 1, -1);
		at += put > 0 ? put : 0;
	}
	return got > 0;
}

static inline void *pump_main(void *arg)
{
	struct pump *p = arg;
	size_t back_sz = 0;
	struct pollfd fds[3] = {
		{ .fd = p->stop[0], .events = POLLIN },
		{ .fd = p->from, .events = POLLIN },
		{ .fd = p->to, .events = POLLIN },
	};

	while (poll(fds, 3, -1) > 0 && !fds[0].revents) {
		if (fds[1].revents && !pump_once(p->from, p->to, &p->sz))
			fds[1].fd = -1;
		if (fds[2].revents && !pump_once(p->to, p->from, &back_sz))
			fds[2].fd = -1;
	}
	return NULL;
}

static inline void pump_start(struct pump *p, int from, int to)
{
	*p = (struct pump){ .from = from, .to = to };
	assert_int_equal(pipe(p->stop), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, pump_main, p), 0);
}

/* pump_end closes the streams, too. */
static inline void pump_end(struct pump *p)
{
	close(p->stop[1]);
	pthread_join(p->thread, NULL);
	close(p->stop[0]);
	close(p->from);
	if (p->to >= 0)
		close(p->to);
}

/* ------------------------------------------------------------------- memory */

/* copy_ram makes the destination's memory that of the source. */
static inline void copy_ram(struct pt_qemu *from, struct pt_qemu *to)
{
	struct pt_qemu_range *a, *b;
	struct pt_error err = { 0 };
	__u32 a_cnt, b_cnt;
	char page[4096], other[4096];

	ok(pt_qemu_ram(from, &a, &a_cnt, &err), &err);
	ok(pt_qemu_ram(to, &b, &b_cnt, &err), &err);
	assert_int_equal(a_cnt, b_cnt);
	for (__u32 i = 0; i < a_cnt; i++) {
		int in = open(a[i].path, O_RDONLY | O_CLOEXEC);
		int out = open(b[i].path, O_RDWR | O_CLOEXEC);

		assert_string_equal(a[i].id, b[i].id);
		assert_int_equal(a[i].sz, b[i].sz);
		assert_true(in >= 0 && out >= 0);
		for (__u64 off = 0; off < a[i].sz; off += sizeof(page)) {
			assert_int_equal(pread(in, page, sizeof(page),
					       a[i].off + off), sizeof(page));
			assert_int_equal(pread(out, other, sizeof(other),
					       b[i].off + off), sizeof(other));
			if (memcmp(page, other, sizeof(page)))
				scratch_write(out, b[i].off + off, page,
					      sizeof(page));
		}
		close(in);
		close(out);
	}
	free(a);
	free(b);
}

#endif
