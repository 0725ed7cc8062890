// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Lanes with work share a worker by turns, its device by marks, and part from it
 * together. */
#include "worker_kit.h"

#include <sys/mman.h>

#include "lane/batch.h"
#include "source/source_impl.h"

#define ZEROES_SZ	(64UL << 20)

/* start_both has both send at once: they get their windows at one SYNC. */
static void start_both(void)
{
	for (int i = 0; i < 2; i++)
		reach(&transfers[i], PT_LANE_READY);
	for (int i = 0; i < 2; i++) {
		pt_inbox_go(inbox(&transfers[i]), 0, 1);
		reach(&transfers[i], PT_LANE_SENDING);
	}
	run_of = NULL;
	run_cnt = 0;
	transfers[0].window_at_sync = transfers[1].window_at_sync = 4096;
}

/* A device that takes all at once lets a lane go on without an end; it sends a batch. */
static void test_turns(void **state)
{
	struct transfer *one = &transfers[0], *two = &transfers[1];

	(void)state;
	open_worker();
	takes_max = SLOTS;
	begin(one, 0);
	begin(two, 0);
	start_both();
	reach(one, PT_LANE_CLEAN);
	reach(two, PT_LANE_CLEAN);
	assert_memory_equal(one->copy, one->ram, sizeof(one->ram));
	assert_memory_equal(two->copy, two->ram, sizeof(two->ram));
	assert_true(one->frames > 3 * PT_BATCH_FRAMES);
	assert_true(run_cnt > 2 * (one->frames / PT_BATCH_FRAMES - 1));
	end(one);
	end(two);
	close_worker();
}

/* A lane that finds only zero pages has no batch for long, and the other goes on:
 * whichever is the first. */
static void zeroes(struct transfer *many, struct transfer *other)
{
	void *ram = mmap(NULL, ZEROES_SZ, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(ram != MAP_FAILED);
	open_worker();
	takes_max = SLOTS;
	begin_with(many, 0, ram, ZEROES_SZ);
	begin(other, 0);
	reach(many, PT_LANE_READY);
	reach(other, PT_LANE_READY);
	pt_inbox_go(inbox(other), 0, 1);
	reach(other, PT_LANE_SENDING);
	other->go_at_sync = many;
	reach(other, PT_LANE_CLEAN);
	assert_int_equal(pt_lane_state(many->lane), PT_LANE_SENDING);
	reach(many, PT_LANE_CLEAN);
	assert_int_equal(many->frames, ZEROES_SZ / PT_REGION_SZ);
	end(many);
	end(other);
	close_worker();
	munmap(ram, ZEROES_SZ);
}

static void test_zeroes(void **state)
{
	(void)state;
	zeroes(&transfers[0], &transfers[1]);
	zeroes(&transfers[1], &transfers[0]);
}

/* A lane that ends a sweep waits for its own frames: others are always queued. */
static void test_drain(void **state)
{
	struct transfer *one = &transfers[0];

	(void)state;
	open_worker();
	is_shared = true;
	begin(one, 64);
	reach(one, PT_LANE_READY);
	pt_inbox_go(inbox(one), 0, 1);
	reach(one, PT_LANE_CLEAN);
	assert_memory_equal(one->copy, one->ram, sizeof(one->ram));
	end(one);
	close_worker();
}

/* ---- a source that does not answer ---- */

static struct pt_source_ops stuck_ops;
static int (*answer)(struct pt_source *src, struct pt_view *v,
		     const struct pt_piece *piece, struct pt_error *err);
static _Atomic bool is_stuck, is_asked;

static int stuck_view(struct pt_source *src, struct pt_view *v,
		      const struct pt_piece *piece, struct pt_error *err)
{
	is_asked = true;
	while (is_stuck)
		usleep(200);
	return answer(src, v, piece, err);
}

/* The device is the caller's while a lane waits for its source, and no lane of the
 * worker uses it afterwards. */
static void test_part(void **state)
{
	struct transfer *one = &transfers[0], *two = &transfers[1];

	(void)state;
	open_worker();
	begin(one, 64);
	begin(two, 0);
	reach(one, PT_LANE_READY);
	reach(two, PT_LANE_READY);
	pt_inbox_go(inbox(two), 0, 1);
	while (!pt_lane_counts(two->lane)->credit_waits)
		usleep(200);
	assert_false(pt_worker_part(worker));
	stuck_ops = *one->source->ops;
	answer = stuck_ops.view;
	stuck_ops.view = stuck_view;
	one->source->ops = &stuck_ops;
	is_stuck = true;
	pt_inbox_go(inbox(one), 0, 1);
	while (!is_asked)
		usleep(200);
	pt_inbox_stop(inbox(one));
	pt_inbox_stop(inbox(two));
	assert_false(pt_lane_has_ended(two->lane));
	assert_true(pt_worker_part(worker));
	is_gone = true;
	is_stuck = false;
	end(one);
	end(two);
	assert_true(pt_worker_part(worker));	/* has no lane */
	close_worker();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_zeroes),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_part),
	};

	return cmocka_run_group_tests_name("worker_turns", tests, NULL, NULL);
}
