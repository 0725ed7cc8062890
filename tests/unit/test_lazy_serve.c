// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A server that was killed right after it had read an event: the next one takes it from
 * the record, and wakes the threads whose faults were read.  And what a server meets in
 * a VMM's memory and in an image that are not as they were. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "lazy/place.h"
#include "lazy/serve.h"

#define P	4096ULL
#define PAGES	512ULL	/* one large page */

static char path[] = "/tmp/pagetrim-lazy.XXXXXX";
static __u8 *memory;
static int uffd, stop_fd, image_fd;
static __u64 damaged_calls, damaged_cnt;
static const char *warning;

static void on_damaged(void *arg, __u64 page, __u64 cnt, bool is_poisoned)
{
	(void)arg;
	(void)page;
	assert_true(is_poisoned);
	damaged_calls++;
	damaged_cnt += cnt;
}

static void on_warn(void *arg, const char *text)
{
	(void)arg;
	warning = text;
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

/* in_order is what the image has in a page. */
static __u8 in_order(__u64 page)
{
	return page + 1;
}

/* begin_in makes a userfaultfd of the memory, and a record of its first bytes that one
 * server had. */
static struct pt_lazy_record *begin_in(struct pt_lazy_image **image, __u64 sz,
				       __u64 page_sz)
{
	struct pt_lazy_region region = { .sz = sz, .page_sz = page_sz };
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_REMOVE };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pt_lazy_record *r;
	struct pt_error err;

	assert_true(memory != MAP_FAILED);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	assert_true(uffd >= 0);
	reg.range.start = region.addr = (unsigned long)memory;
	reg.range.len = PAGES * P;
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(pt_lazy_image_open(image, path, NULL, &err), 0);
	assert_int_equal(pt_lazy_regions_check(&region, 1, PAGES * P, &err), 0);
	assert_true(pt_lazy_record_make(&r, PAGES, "id", &err) >= 0);
	pt_lazy_record_begin(r, &region, 1);
	r->server_cnt = 1;
	stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(stop_fd >= 0);
	damaged_calls = damaged_cnt = 0;
	warning = NULL;
	return r;
}

/* begin_sized: memory of 4096-byte pages, whatever page_sz says, at an address that is
 * one of a large page. */
static struct pt_lazy_record *begin_sized(struct pt_lazy_image **image, __u64 sz,
					  __u64 page_sz)
{
	memory = mmap(NULL, 2 * PAGES * P, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	memory += -(unsigned long)memory % (PAGES * P);
	madvise(memory, PAGES * P, MADV_NOHUGEPAGE);
	return begin_in(image, sz, page_sz);
}

static struct pt_lazy_record *begin(struct pt_lazy_image **image)
{
	return begin_sized(image, PAGES * P, P);
}

static void await_event(void)
{
	struct pollfd fd = { .fd = uffd, .events = POLLIN };

	assert_int_equal(poll(&fd, 1, 10000), 1);
}

/* read_one is what the server did last. */
static void read_one(struct pt_lazy_record *r, __u8 event)
{
	await_event();
	assert_int_equal(read(uffd, r->events, sizeof(r->events)),
			 sizeof(r->events[0]));
	assert_int_equal(r->events[0].event, event);
}

static enum pt_lazy_end run(struct pt_lazy_record *r, struct pt_lazy_image *image,
			    bool on_demand, const struct pt_lazy_order *order)
{
	const struct pt_lazy_serve_cfg cfg = {
		.image = image, .record = r, .uffd = uffd, .stop_fd = stop_fd,
		.on_demand = on_demand, .order = order, .damaged = on_damaged,
		.warn = on_warn,
	};
	struct pt_lazy_serve *s;
	struct pt_error err;
	enum pt_lazy_end end;

	assert_int_equal(pt_lazy_serve_create(&s, &cfg, NULL), 0);
	assert_int_equal(pt_lazy_serve_run(s, &end, &err), 0);
	pt_lazy_serve_destroy(s);
	return end;
}

static void finish(struct pt_lazy_record *r, struct pt_lazy_image *image)
{
	pt_lazy_image_close(image);
	pt_lazy_record_close(r);
	close(stop_fd);
}

/* serve places all; on_demand: only what is asked for, until it is stopped, or until
 * that was all. */
static void serve(struct pt_lazy_record *r, struct pt_lazy_image *image, bool on_demand)
{
	enum pt_lazy_end end = run(r, image, on_demand, NULL);

	if (end == PT_LAZY_WHOLE)
		assert_int_equal(r->pending_cnt, 0);
	else
		assert_true(on_demand && end == PT_LAZY_STOPPED);
	assert_int_equal(damaged_calls, 0);
	assert_null(warning);
	finish(r, image);
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
		assert_int_equal(memory[i * P], i / 8 == 1 ? 0 : in_order(i));
	close(uffd);
}

/* The thread waits in a mapping that is replaced: nobody but the server can wake it. */
static void test_mapped_anew(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);
	pthread_t thread;
	void *got;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 5 * P), 0);
	await_event();
	assert_true(mmap(memory + 5 * P, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
			 MAP_FIXED, -1, 0) != MAP_FAILED);
	serve(r, image, true);
	pthread_join(thread, &got);
	assert_null(got);
	close(uffd);
}

/* Memory of 4096-byte pages, of which the VMM says that they are large; the first was
 * given away. */
static void test_small_given_away(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin_sized(&image, PAGES * P, PAGES * P);
	pthread_t thread;
	void *got;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, give_away, memory), 0);
	read_one(r, UFFD_EVENT_REMOVE);
	pthread_join(thread, &got);
	assert_null(got);
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 100 * P), 0);
	serve(r, image, true);
	pthread_join(thread, &got);
	assert_int_equal((unsigned long)got, in_order(100));
	for (__u64 i = 0; i < PAGES; i++)
		assert_int_equal(memory[i * P], i < 8 ? 0 : in_order(i));
	close(uffd);
}

/* The same; some are there, so that only a part can be copied at once. */
static void test_small_in_part(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin_sized(&image, PAGES * P, PAGES * P);
	__u8 *page = aligned_alloc(P, P);
	__u64 there = 0;
	pthread_t thread;
	void *got;

	(void)state;
	memset(page, 0xee, P);
	for (__u64 i = 0; i < 2; i++)
		assert_int_equal(pt_place_copy(uffd, (unsigned long)memory + 50 * i * P,
					       page, P, P, &there), P);
	free(page);
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 100 * P), 0);
	serve(r, image, true);
	pthread_join(thread, &got);
	assert_int_equal((unsigned long)got, in_order(100));
	for (__u64 i = 0; i < PAGES; i++)
		assert_int_equal(memory[i * P], i % 50 || i > 50 ? in_order(i) : 0xee);
	close(uffd);
}

/* A page behind the end of the VMM's file cannot be placed; the others are. */
static void test_file_cut(void **state)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct pt_lazy_image *image;
	struct pt_lazy_record *r;

	(void)state;
	assert_int_equal(ftruncate(fd, PAGES * P), 0);
	memory = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	r = begin_in(&image, PAGES * P, P);
	assert_int_equal(ftruncate(fd, PAGES / 2 * P), 0);
	serve(r, image, false);
	for (__u64 i = 0; i < PAGES / 2; i++)
		assert_int_equal(memory[i * P], in_order(i));
	close(fd);
	close(uffd);
}

/* Pages that were cut off the image are lost, never zero; one line names them. */
static void test_image_cut(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);
	__u8 page[P];

	(void)state;
	assert_int_equal(ftruncate(image_fd, PAGES / 2 * P), 0);
	assert_int_equal(run(r, image, false, NULL), PT_LAZY_WHOLE);
	assert_int_equal(r->counts.poisoned, PAGES / 2);
	assert_int_equal(damaged_cnt, PAGES / 2);
	assert_int_equal(damaged_calls, 1);
	for (__u64 i = 0; i < PAGES / 2; i++)
		assert_int_equal(memory[i * P], in_order(i));
	finish(r, image);
	for (__u64 i = PAGES / 2; i < PAGES; i++) {
		memset(page, in_order(i), P);
		assert_int_equal(pwrite(image_fd, page, P, i * P), P);
	}
	close(uffd);
}

/* The keeper's clock goes on for a fault that the server cannot answer. */
static void test_fault_outside(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin_sized(&image, 64 * P, P);
	pthread_t outside, thread;

	(void)state;
	assert_int_equal(pthread_create(&outside, NULL, touch, memory + 64 * P), 0);
	await_event();
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 5 * P), 0);
	assert_int_equal(run(r, image, true, NULL), PT_LAZY_STOPPED);
	pthread_join(thread, NULL);
	assert_non_null(warning);
	assert_int_not_equal(r->waits_since_ns, 0);
	close(uffd);		/* which ends its wait */
	pthread_join(outside, NULL);
	finish(r, image);
}

/* A server that is never without an event is stopped like any other. */
static void test_stop_among_events(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);

	(void)state;
	close(uffd);
	uffd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	r->server_cnt = 0;
	eventfd_write(stop_fd, 1);
	assert_int_equal(run(r, image, true, NULL), PT_LAZY_STOPPED);
	finish(r, image);
	close(uffd);
}

/* A step goes through a small part of an order only: behind its first runs is no
 * memory. */
static void test_order_by_steps(void **state)
{
	struct pt_lazy_order order = { .cnt = 1 << 20 };
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin_sized(&image, 8 * P, P);

	(void)state;
	order.runs = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(order.runs != MAP_FAILED);
	assert_int_equal(mprotect((__u8 *)order.runs + P, P, PROT_NONE), 0);
	for (__u64 i = 0; i < P / sizeof(*order.runs); i++)
		order.runs[i] = (struct pt_lazy_run){ .page = 8, .cnt = PAGES - 8 };
	eventfd_write(stop_fd, 1);
	assert_int_equal(run(r, image, false, &order), PT_LAZY_STOPPED);
	munmap(order.runs, 2 * P);
	finish(r, image);
	close(uffd);
}

/* The process that connected has ended, and the address space is there: it is served.
 * Once that has ended, too, the server ends. */
static void test_other_process(void **state)
{
	struct pt_lazy_image *image;
	struct pt_lazy_record *r = begin(&image);
	pid_t child = fork();
	struct pt_lazy_serve_cfg cfg = {
		.image = image, .record = r, .uffd = uffd, .stop_fd = stop_fd,
		.on_demand = true, .damaged = on_damaged, .warn = on_warn,
	};
	struct pt_lazy_serve *s;
	enum pt_lazy_end end;
	pthread_t thread;

	(void)state;
	if (!child)
		_exit(0);
	cfg.pidfd = syscall(SYS_pidfd_open, child, 0);
	waitpid(child, NULL, 0);
	assert_int_equal(pthread_create(&thread, NULL, touch, memory + 5 * P), 0);
	assert_int_equal(pt_lazy_serve_create(&s, &cfg, NULL), 0);
	assert_int_equal(pt_lazy_serve_run(s, &end, NULL), 0);
	assert_int_equal(end, PT_LAZY_STOPPED);
	pthread_join(thread, NULL);
	assert_false(pt_place_is_gone(uffd));
	pt_lazy_serve_destroy(s);
	close(cfg.pidfd);
	finish(r, image);
	close(uffd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_was_read),
		cmocka_unit_test(test_removal_was_read),
		cmocka_unit_test(test_mapped_anew),
		cmocka_unit_test(test_small_given_away),
		cmocka_unit_test(test_small_in_part),
		cmocka_unit_test(test_file_cut),
		cmocka_unit_test(test_image_cut),
		cmocka_unit_test(test_fault_outside),
		cmocka_unit_test(test_stop_among_events),
		cmocka_unit_test(test_order_by_steps),
		cmocka_unit_test(test_other_process),
	};
	__u8 page[P];
	int failed;

	image_fd = mkstemp(path);

	for (__u64 i = 0; i < PAGES; i++) {
		memset(page, in_order(i), P);
		if (write(image_fd, page, P) != (ssize_t)P)
			return 2;
	}
	alarm(60);		/* a thread that waits for ever */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	close(image_fd);
	unlink(path);
	return failed;
}
