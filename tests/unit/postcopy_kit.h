/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* postcopy_kit: memory of this process in the place of QEMU's, two regions of CNT pages,
 * some of which lack, and threads that touch them. */
#ifndef POSTCOPY_KIT_H
#define POSTCOPY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "postcopy/postcopy_impl.h"

#define P	4096ULL
#define PAGES	(2 * CNT)
#define WAIT_MS	5000

static struct pt_postcopy *p;
static __u8 *memory;		/* the second region of the image comes first */
static int file, wake_fd;
static struct pt_error err;
static __u64 lacks[PAGES / 64];

/* addr_of: where page i of the image is. */
static __u8 *addr_of(__u64 i)
{
	return memory + (i < CNT ? CNT + i : i - CNT) * P;
}

static void lack(__u64 page, __u64 cnt)
{
	for (; cnt; cnt--, page++)
		lacks[page / 64] |= 1ULL << (page % 64);
}

static const void *content(int value)
{
	static __u8 page[P];

	memset(page, value, P);
	return page;
}

static int open_uffd(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_EVENT_REMOVE,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, UFFDIO_API, &api), 0);
	return fd;
}

static void note_regions(void)
{
	for (int i = 0; i < 2; i++)
		p->found.regions[i] = (struct pt_lazy_region){
			.addr = (__u64)(unsigned long)(memory + i * CNT * P),
			.sz = CNT * P, .page_sz = P, .off = (1 - i) * CNT * P,
			.first = i * CNT,
		};
	p->found.region_cnt = 2;
}

static char warned[512];
static int warned_cnt;

static void warn(void *arg, const char *text)
{
	(void)arg;
	snprintf(warned, sizeof(warned), "%s", text);
	__atomic_add_fetch(&warned_cnt, 1, __ATOMIC_RELEASE);
}

/* lack_some is the test's. */
static void lack_some(void);

/* start: pages of the image that do not lack hold 0x11. */
static int start(void **state)
{
	struct uffdio_register arg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	(void)state;
	memset(lacks, 0, sizeof(lacks));
	warned[0] = '\0';
	warned_cnt = 0;
	lack_some();
	p = pt_postcopy_new(&(struct pt_postcopy_cfg){ .warn = warn });
	assert_non_null(p);
	file = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, PAGES * P), 0);
	memory = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(madvise(memory, PAGES * P, MADV_DONTFORK), 0);
	for (__u64 i = 0; i < PAGES; i++)
		if (!pt_postcopy_bit(lacks, i) && i != 20)	/* 20: a hole */
			memset(addr_of(i), 0x11, P);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->uffd = open_uffd();
	note_regions();
	p->kept.record_fd = pt_lazy_record_make(&p->r, PAGES, PT_POSTCOPY_IMAGE_ID, &err);
	assert_true(p->kept.record_fd >= 0);
	pt_postcopy_note_open(p);
	strcpy(p->note->names[0], "b");
	strcpy(p->note->names[1], "a");
	arg.range.start = p->found.regions[0].addr;
	arg.range.len = PAGES * P;
	assert_int_equal(ioctl(p->uffd, UFFDIO_REGISTER, &arg), 0);
	p->is_armed = true;
	pt_postcopy_note_begin(p, lacks);
	pt_postcopy_tell(p, wake_fd);
	assert_int_equal(pt_postcopy_serve(p, &err), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	pt_postcopy_faults_end(p);
	pt_postcopy_release(p);
	for (int i = 0; i < 2; i++)
		p->found.files[i].fd = -1;
	pt_postcopy_close(p);
	munmap(memory, PAGES * P);
	close(file);
	close(wake_fd);
	return 0;
}

/* ---- a guest's thread ---- */

struct touch {
	pthread_t thread;
	__u64 page;
	int got;		/* -1: it waits */
};

static void *touch_main(void *arg)
{
	struct touch *t = arg;
	int got = *(volatile __u8 *)addr_of(t->page);

	__atomic_store_n(&t->got, got, __ATOMIC_RELEASE);
	return NULL;
}

static void touch(struct touch *t, __u64 page)
{
	*t = (struct touch){ .page = page, .got = -1 };
	assert_int_equal(pthread_create(&t->thread, NULL, touch_main, t), 0);
}

static void got(struct touch *t, int value)
{
	for (int i = 0; i < WAIT_MS && __atomic_load_n(&t->got, __ATOMIC_ACQUIRE) < 0; i++)
		usleep(1000);
	assert_int_equal(t->got, value);
	pthread_join(t->thread, NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

#endif
