// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A server that was killed right after it had read an event: the next one takes it from
 * the record, and wakes the threads whose faults were read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy/serve.h"

#define P	4096ULL
#define PAGES	64ULL

static char path[] = "/tmp/pagetrim-lazy.XXXXXX";
static __u8 *memory;
static int uffd, stop_fd;

static void on_damaged(void *arg, __u64 page, __u64 cnt, bool is_poisoned)
{
	fail_msg("page %llu is damaged (%p %llu %d)", page, arg, cnt, is_poisoned);
}

static void on_warn(void *arg, const char *text)
{
	fail_msg("%s (%p)", text, arg);
}

/* touch reads a page, and then stops the server. */
static void *touch(void *page)
{
	__u8 got = *(volatile __u8 *)page;

	eventfd_write(stop_fd, 1);
	return (void *)(unsigned long)got;
}

static void *give_away(void *page)
{
	return (void *)(long)madvise(page, 8 * P, MADV_DONTNEED);
}

/* begin makes memory, and a record of it that one server had. */
static struct pt_lazy_record *begin(struct pt_lazy_image **image)
{
	struct pt_lazy_region region = { .sz = PAGES * P, .page_sz = P };
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_REMOVE };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pt_lazy_record *r;
	struct pt_error err;

	memory = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	assert_true(uffd >= 0);
	reg.range.start = region.addr = (unsigned long)memory;
	reg.range.len = region.sz;
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(pt_lazy_image_open(image, path, NULL, &err), 0);
	assert_int_equal(pt_lazy_regions_check(&region, 1, PAGES * P, &err), 0);
	assert_true(pt_lazy_record_make(&r, &region, 1, "id", &err) >= 0);
	r->server_cnt = 1;
	stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(stop_fd >= 0);
	return r;
}

/* read_one is what the server did last. */
static void read_one(struct pt_lazy_record *r, __u8 event)
{
	struct pollfd fd = { .fd = uffd, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, 10000), 1);
	assert_int_equal(read(uffd, r->events, sizeof(r->events)),
			 sizeof(r->events[0]));
	assert_int_equal(r->events[0].event, event);
}

/* serve places all; on_demand: only what is asked for, until it is stopped. */
static void serve(struct pt_lazy_record *r, struct pt_lazy_image *image, bool on_demand)
{
	const struct pt_lazy_serve_cfg cfg = {
		.image = image, .record = r, .uffd = uffd, .pidfd = -1,
		.stop_fd = stop_fd, .keeper_fd = -1, .on_demand = on_demand,
		.damaged = on_damaged, .warn = on_warn,
	};
	struct pt_lazy_serve *s;
	enum pt_lazy_end end;

	assert_int_equal(pt_lazy_serve_create(&s, &cfg, NULL), 0);
	assert_int_equal(pt_lazy_serve_run(s, &end, NULL), 0);
	assert_int_equal(end, on_demand ? PT_LAZY_STOPPED : PT_LAZY_WHOLE);
	pt_lazy_serve_destroy(s);
	pt_lazy_image_close(image);
	pt_lazy_record_close(r);
	close(stop_fd);
}

static void test_fault_was_read(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);
	pthread_t thread;
	void *got;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 5 * P), 0);
	read_one(r, UFFD_EVENT_PAGEFAULT);
	memset(r->events, 0, sizeof(r->events));	/* or it was not stored */
	serve(r, image, true);
	pthread_join(thread, &got);
	assert_int_equal((unsigned long)got, 6);
	close(uffd);
}

static void test_removal_was_read(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);
	pthread_t thread;
	void *got;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, give_away, memory + 8 * P), 0);
	read_one(r, UFFD_EVENT_REMOVE);
	pthread_join(thread, &got);
	assert_null(got);
	serve(r, image, false);
	for (__u64 i = 0; i < PAGES; i++)
		assert_int_equal(memory[i * P], i / 8 == 1 ? 0 : i + 1);
	close(uffd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_was_read),
		cmocka_unit_test(test_removal_was_read),
	};
	__u8 page[P];
	int fd = mkstemp(path), failed;

	for (__u64 i = 0; i < PAGES; i++) {
		memset(page, i + 1, P);
		if (write(fd, page, P) != (ssize_t)P)
			return 2;
	}
	alarm(60);		/* a thread that waits for ever */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	unlink(path);
	return failed;
}
