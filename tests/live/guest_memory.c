/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest_memory: pages of known content, and the record of what each must hold.
 *
 *     page                                    record[number]
 *     block 0: seed, number, counter, sum <-> counter, sum
 *     the other blocks that are filled    --> sum over them: each block's hash
 *                                             depends on its place and the page
 *
 * A write counts the page's counter up and changes settings.blocks blocks of it:
 * block 0, and others at random.  A page that is older than its record, in
 * whole or in one block, does not match it.  A record that is as old as its page
 * does match; but then the counters of all no longer add up to the writes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

#define SEED		0x70616765747269ull
#define SAID_MAX	5	/* damaged pages that are named */

struct record {
	__u64 counter;
	__u64 sum;
};

static __u64 *memory;
static struct record *records;
static size_t page_cnt, check_at;
static __u64 draw = SEED;

size_t memory_page_cnt(void) { return page_cnt; }

static __u64 *page_of(size_t number)
{
	return memory + number * (PAGE_SZ / 8);
}

/* block_of: the i-th filled block of a page; 0 is the first of the page.  An odd
 * step reaches each of the 64 once. */
static __u64 *block_of(size_t number, long i)
{
	return page_of(number) +
	       (i * (2 * number + 1) % BLOCKS_PER_PAGE) * WORDS_PER_BLOCK;
}

static __u64 block_hash(const __u64 *block, size_t number, long i)
{
	__u64 h = number << 8 | i;
	int k;

	for (k = 0; k < WORDS_PER_BLOCK; k++)
		h = (h ^ block[k]) * 0x9e3779b97f4a7c15ull + (h >> 29);
	return h;
}

static void block_fill(__u64 *block, size_t number, __u64 counter, long i)
{
	__u64 x = mix(number << 24 ^ counter << 8 ^ i);
	int k;

	for (k = 0; k < WORDS_PER_BLOCK; k++)
		block[k] = x += 0x9e3779b97f4a7c15ull * (k + 1);
}

/* head_write: block 0, by the page's record. */
static void head_write(size_t number)
{
	__u64 *page = page_of(number);

	page[0] = SEED;
	page[1] = number;
	page[2] = records[number].counter;
	page[3] = records[number].sum;
}

void memory_fill(void)
{
	size_t number;
	long i;

	page_cnt = (size_t)settings.mib << 8;
	memory = mmap(NULL, page_cnt * PAGE_SZ, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	records = calloc(page_cnt, sizeof(*records));
	if (memory == MAP_FAILED || !records)
		give_up("memory");
	for (number = 0; number < page_cnt; number++) {
		for (i = 1; i < settings.fill; i++) {
			block_fill(block_of(number, i), number, 0, i);
			records[number].sum +=
				block_hash(block_of(number, i), number, i);
		}
		head_write(number);
	}
}

static int page_is_sound(size_t number)
{
	const __u64 *page = page_of(number);
	const struct record *record = &records[number];
	__u64 sum = 0;
	long i;

	if (page[0] != SEED || page[1] != number ||
	    page[2] != record->counter || page[3] != record->sum)
		return 0;
	for (i = 1; i < settings.fill; i++)
		sum += block_hash(block_of(number, i), number, i);
	return sum == record->sum;
}

static void page_check(size_t number)
{
	const __u64 *page = page_of(number);

	counts.checked++;
	if (page_is_sound(number))
		return;
	if (++counts.damage <= SAID_MAX)
		say("guest: DAMAGED page %zu: counter %llu, its record's %llu\n",
		    number, (unsigned long long)page[2],
		    (unsigned long long)records[number].counter);
}

/* page_write checks the page and changes it. */
static void page_write(size_t number, long block_cnt)
{
	struct record *record = &records[number];
	long i, k;

	page_check(number);
	record->counter++;
	for (k = 1; k < block_cnt && settings.fill > 1; k++) {
		i = block_cnt >= settings.fill ? k :
			1 + (long)(mix(draw + k) % (settings.fill - 1));
		if (i >= settings.fill)
			break;
		record->sum -= block_hash(block_of(number, i), number, i);
		block_fill(block_of(number, i), number, record->counter, i);
		record->sum += block_hash(block_of(number, i), number, i);
	}
	head_write(number);
	counts.wrote++;
}

void memory_write(long cnt)
{
	size_t among = settings.hot > 0 && (size_t)settings.hot < page_cnt ?
		       (size_t)settings.hot : page_cnt;

	while (cnt-- > 0) {
		draw = mix(draw + 1);
		page_write(draw % among, settings.blocks);
	}
}

void memory_check(long cnt)
{
	while (cnt-- > 0) {
		page_check(check_at);
		check_at = (check_at + 1) % page_cnt;
	}
}

void memory_check_all(void)
{
	__u64 sum = 0;
	size_t number;

	for (number = 0; number < page_cnt; number++) {
		page_check(number);
		sum += records[number].counter;
	}
	if (sum != counts.wrote) {
		counts.damage++;
		say("guest: DAMAGED record: %llu writes of %llu\n",
		    (unsigned long long)sum, (unsigned long long)counts.wrote);
	}
}
