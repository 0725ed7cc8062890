// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Memory of this process in the place of QEMU's: a thread that touches a lacking page
 * waits, and the page is asked for; each page is placed once; pages that were given away are not. */
#define CNT	64		/* pages of each of two regions */
#include "postcopy_kit.h"

static void lack_some(void)
{
	lack(3, 5);
	lack(CNT - 1, 3);	/* of both regions */
}

static void waits(const struct touch *t)
{
	usleep(20000);
	assert_int_equal(__atomic_load_n(&t->got, __ATOMIC_ACQUIRE), -1);
}

/* wanted waits until a page is asked for, and it alone. */
static void wanted(__u64 page)
{
	struct pollfd in = { .fd = wake_fd, .events = POLLIN };
	__u64 pages[8], value;

	assert_int_equal(poll(&in, 1, WAIT_MS), 1);
	assert_int_equal(read(wake_fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(pt_postcopy_wanted(p, pages, 8), 1);
	assert_int_equal(pages[0], page);
}

/* ---- tests ---- */

static void test_comes(void **state)
{
	struct touch t;

	(void)state;
	touch(&t, 4);
	wanted(4);
	waits(&t);
	assert_int_equal(pt_postcopy_page(p, 5, content(0x55), &err), 0);
	waits(&t);
	assert_int_equal(pt_postcopy_page(p, 4, content(0x44), &err), 0);
	got(&t, 0x44);
	assert_int_equal(addr_of(5)[P - 1], 0x55);
	assert_int_equal(p->counts.faults, 1);
	assert_int_equal(p->counts.latency.cnt, 1);
}

/* A page that is there, by a placing before or since it never lacked, stays. */
static void test_once(void **state)
{
	(void)state;
	assert_int_equal(pt_postcopy_page(p, 3, content(0x33), &err), 0);
	memset(addr_of(3), 0x77, P);
	assert_int_equal(pt_postcopy_page(p, 3, content(0x33), &err), 0);
	assert_int_equal(addr_of(3)[0], 0x77);
	assert_int_equal(pt_postcopy_page(p, 2, content(0x33), &err), 0);
	assert_int_equal(addr_of(2)[0], 0x11);
	assert_int_equal(pt_postcopy_page(p, PAGES + 2, content(0x33), &err), 0);
}

static void test_zero(void **state)
{
	struct touch t, hole;

	(void)state;
	touch(&hole, 20);	/* lacks nothing */
	got(&hole, 0);
	touch(&t, CNT);
	wanted(CNT);
	assert_int_equal(pt_postcopy_zero(p, CNT, 2, &err), 0);
	got(&t, 0);
	touch(&t, CNT + 1);
	got(&t, 0);
	assert_int_equal(p->counts.faults, 1);
}

static void test_asked_again(void **state)
{
	struct touch t;

	(void)state;
	touch(&t, 6);
	wanted(6);
	wanted(6);
	assert_int_equal(pt_postcopy_page(p, 6, content(0x66), &err), 0);
	got(&t, 0x66);
}

static __u32 entry_cnt(void)
{
	__u32 cnt;

	pthread_mutex_lock(&p->lock);
	cnt = p->waiting_cnt;
	pthread_mutex_unlock(&p->lock);
	return cnt;
}

/* Many who wait for one page take one entry of the list, and are woken together. */
static void test_many_for_one(void **state)
{
	struct touch t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		touch(&t[i], 6);
	wanted(6);
	for (int i = 0; i < 3; i++)
		waits(&t[i]);
	assert_int_equal(entry_cnt(), 1);
	assert_int_equal(pt_postcopy_page(p, 6, content(0x66), &err), 0);
	for (int i = 0; i < 3; i++)
		got(&t[i], 0x66);
	assert_int_equal(p->counts.faults, 1);
}

/* The guest gave the page away: it is zero, whatever comes. */
static void test_removed(void **state)
{
	struct touch t;

	(void)state;
	touch(&t, 7);
	wanted(7);
	assert_int_equal(madvise(addr_of(7), P, MADV_REMOVE), 0);
	got(&t, 0);
	assert_int_equal(pt_postcopy_page(p, 7, content(0x77), &err), 0);
	assert_int_equal(addr_of(7)[0], 0);
}

/* Lacking pages are told in the order of the image, by runs within one memory. */
static void test_lacks(void **state)
{
	const char *name;
	__u64 page = 0, sz;

	(void)state;
	assert_int_equal(pt_postcopy_lacks(p, &page), 5);
	assert_int_equal(page, 3);
	page += 5;
	assert_int_equal(pt_postcopy_lacks(p, &page), 1);
	assert_int_equal(page, CNT - 1);
	page++;
	assert_int_equal(pt_postcopy_lacks(p, &page), 2);
	assert_int_equal(page, CNT);
	page += 2;
	assert_int_equal(pt_postcopy_lacks(p, &page), 0);
	assert_true(pt_postcopy_memory(p, 0, &name, &sz));
	assert_string_equal(name, "a");
	assert_true(pt_postcopy_memory(p, 1, &name, &sz));
	assert_string_equal(name, "b");
	assert_int_equal(sz, CNT * P);
	assert_false(pt_postcopy_memory(p, 2, &name, &sz));
}

static void test_never_came(void **state)
{
	struct pt_postcopy_counts counts;

	(void)state;
	assert_int_equal(pt_postcopy_whole(p, &err), -EIO);
	assert_int_equal(err.exit, PT_EXIT_MISMATCH);
	pt_postcopy_counts(p, &counts);
	assert_int_equal(counts.lacking, 8);
	assert_int_equal(counts.pending, 8);
}

/* The process ended after it had read a fault: its thread asks the next one. */
static void test_next(void **state)
{
	struct touch t;

	(void)state;
	touch(&t, 5);
	wanted(5);
	pt_postcopy_faults_end(p);
	p->waiting_cnt = 0;
	p->r->server_cnt++;
	assert_int_equal(pt_postcopy_serve(p, &err), 0);
	wanted(5);
	assert_int_equal(pt_postcopy_page(p, 5, content(0x55), &err), 0);
	got(&t, 0x55);
}

static void place_all(void)
{
	for (__u64 i = 0; i < PAGES; i++)
		if (pt_postcopy_bit(lacks, i))
			assert_int_equal(pt_postcopy_page(p, i, content(0x22), &err), 0);
}

/* Another mapping of the file reads a page that lacks: zeroes, which fill it. */
static void test_foreign(void **state)
{
	struct pt_postcopy_counts counts;
	__u8 *other;

	(void)state;
	other = mmap(NULL, PAGES * P, PROT_READ, MAP_SHARED, file, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	assert_int_equal(*(volatile __u8 *)(other + (addr_of(CNT + 1) - memory)), 0);
	place_all();
	munmap(other, PAGES * P);
	assert_int_equal(addr_of(CNT + 1)[0], 0);
	pt_postcopy_counts(p, &counts);
	assert_int_equal(counts.foreign, 1);
	assert_int_equal(pt_postcopy_whole(p, &err), -EIO);
	assert_int_equal(err.exit, PT_EXIT_MISMATCH);
	assert_non_null(strstr(err.text, "page 1 of memory 'b'"));
	assert_true(p->is_whole);
}

/* A fault that a session found at its end is told by the one that brings the rest. */
static void test_wrong(void **state)
{
	(void)state;
	pt_postcopy_wrong(p, "page 5 differs");
	pt_postcopy_wrong(p, "page 6 differs");
	assert_false(p->is_whole);
	place_all();
	assert_int_equal(pt_postcopy_whole(p, &err), -EIO);
	assert_int_equal(err.exit, PT_EXIT_MISMATCH);
	assert_non_null(strstr(err.text, "an earlier session found: page 5 differs"));
	assert_true(p->is_whole);
	assert_int_equal(pt_postcopy_whole(p, &err), -EIO);	/* again */
}

/* Nothing lacks: the guest does not wait for another session. */
static void test_wrong_at_last(void **state)
{
	struct touch t;

	(void)state;
	assert_int_equal(pt_postcopy_zero(p, 3, 1, &err), 0);
	place_all();
	pt_postcopy_wrong(p, "page 5 differs");
	assert_true(p->is_whole);
	touch(&t, 3);
	got(&t, 0);
}

/* A process of ours placed the page, and was killed before it had settled it. */
static void test_placed_before(void **state)
{
	struct pt_postcopy_counts counts;

	(void)state;
	assert_int_equal(ioctl(p->uffd, UFFDIO_COPY, &(struct uffdio_copy){
		.dst = (unsigned long)addr_of(4), .src = (unsigned long)content(0x44),
		.len = P }), 0);
	pt_postcopy_faults_end(p);
	p->note->placing = CNT + 4 + 1;		/* of the record: page 4 of the image */
	p->r->server_cnt++;
	assert_int_equal(pt_postcopy_serve(p, &err), 0);
	place_all();
	assert_int_equal(addr_of(4)[0], 0x44);
	pt_postcopy_counts(p, &counts);
	assert_int_equal(counts.foreign, 0);
	assert_int_equal(pt_postcopy_whole(p, &err), 0);
	assert_int_equal(p->note->placing, 0);
}

/* A guest that was to run stands, perhaps, until QEMU has said that it runs; and needs the
 * word of its source until then, though no page lacks.  One that QEMU refused to run is
 * nobody's. */
static void test_may_stand(void **state)
{
	(void)state;
	assert_false(pt_postcopy_may_stand(p));
	for (__u64 id = 7; id < 9; id++) {
		pt_postcopy_running(p, id);
		assert_true(pt_postcopy_may_stand(p));
		assert_int_equal(pt_postcopy_guest_id(p), id);
		pt_postcopy_does_run(p);
		assert_false(pt_postcopy_may_stand(p));
		assert_false(pt_postcopy_lacks_none(p));
	}
	place_all();
	assert_true(pt_postcopy_lacks_none(p));
	pt_postcopy_running(p, 9);
	assert_false(pt_postcopy_lacks_none(p));
	pt_postcopy_running(p, 0);
	assert_false(pt_postcopy_may_stand(p));
	assert_false(p->r->has_run);
	assert_int_equal(pt_postcopy_guest_id(p), 0);
}

static pid_t map_elsewhere(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		mmap(NULL, P, PROT_READ, MAP_SHARED, file, 0);
		(void)!write(ends[1], "", 1);
		pause();
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Before the guest runs a process that maps its memory is an error; from then on it is
 * told of by its number, once. */
static void test_late_mapper(void **state)
{
	struct pt_postcopy_counts counts;
	char text[32];
	pid_t pid;

	(void)state;
	p->pid = getpid();
	assert_int_equal(pt_postcopy_lookout_start(p, &err), 0);
	assert_int_equal(pt_postcopy_check(p, &err), 0);
	pid = map_elsewhere();
	snprintf(text, sizeof(text), "process %d (test_postcopy)", pid);
	assert_int_equal(pt_postcopy_check(p, &err), -EBUSY);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
	pt_postcopy_counts(p, &counts);
	assert_string_equal(counts.late_mapper, "");
	pt_postcopy_running(p, 7);
	for (int i = 0; i < WAIT_MS && !counts.late_mapper[0]; i++) {
		usleep(1000);
		pt_postcopy_counts(p, &counts);
	}
	assert_string_equal(counts.late_mapper, text + strlen("process "));
	pt_postcopy_faults_end(p);	/* and its warning is whole */
	assert_non_null(strstr(warned, text));
	warned[0] = '\0';
	assert_int_equal(pt_postcopy_serve(p, &err), 0);	/* looks at once */
	usleep(200000);
	pt_postcopy_faults_end(p);
	end(pid);
	assert_string_equal(warned, "");
}

/* Without its keeper a guest is not run; and one that runs already is told of, once. */
static void test_keeper_ends(void **state)
{
	int ends[2];

	(void)state;
	p->pid = getpid();
	assert_int_equal(pt_postcopy_lookout_start(p, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	p->kept.connection = ends[0];
	assert_int_equal(pt_postcopy_check(p, &err), 0);
	close(ends[1]);
	assert_int_equal(pt_postcopy_check(p, &err), -EPIPE);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	assert_non_null(strstr(err.text, "keeper"));
	pt_postcopy_running(p, 7);
	for (int i = 0; i < WAIT_MS && !__atomic_load_n(&warned_cnt, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	usleep(20000);
	pt_postcopy_faults_end(p);
	assert_int_equal(warned_cnt, 1);
	assert_non_null(strstr(warned, "do not end receive"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes), TEST(test_once), TEST(test_zero),
		TEST(test_asked_again), TEST(test_removed), TEST(test_lacks),
		TEST(test_never_came), TEST(test_next),
		TEST(test_many_for_one), TEST(test_foreign),
		TEST(test_placed_before), TEST(test_late_mapper),
		TEST(test_wrong), TEST(test_wrong_at_last),
		TEST(test_may_stand), TEST(test_keeper_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
