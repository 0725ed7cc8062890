/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest: what the parts of the guest's process 1 share (guest.c). */
#ifndef PT_TESTS_LIVE_GUEST_H
#define PT_TESTS_LIVE_GUEST_H

#include <linux/types.h>
#include <pthread.h>
#include <stddef.h>

#define PAGE_SZ		4096
#define BLOCK_SZ	64
#define BLOCKS_PER_PAGE	(PAGE_SZ / BLOCK_SZ)
#define WORDS_PER_BLOCK	(BLOCK_SZ / 8)
#define READERS_MAX	32

/* Settings: commands may change some of them at any time. */
extern struct settings {
	_Atomic long mib;	/* MiB of pages that are filled and checked */
	_Atomic long rate;	/* pages that are rewritten in a second */
	_Atomic long blocks;	/* blocks of a page that a write changes, 1..64 */
	_Atomic long hot;	/* pages that are rewritten; 0: all */
	_Atomic long fill;	/* blocks of a page that are not zero, 1..64 */
	_Atomic long check;	/* pages that are checked in a second */
	_Atomic long disk;	/* threads that read the disk */
	_Atomic long net;	/* 1: there is a network card */
} settings;

extern struct counts {
	_Atomic __u64 wrote, checked, damage, disk_reads, answers, console_lost;
} counts;

/* mix scatters the bits of x. */
__u64 mix(__u64 x);

/* say prints one line on the console, from any thread. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* give_up says what failed, by errno, and ends the guest. */
__attribute__((noreturn)) void give_up(const char *what);

/* thread_begin runs body(arg) in a thread that never ends. */
void thread_begin(void *(*body)(void *), void *arg);

/* guest_memory.c: pages of known content; one thread calls them. */
void memory_fill(void);
void memory_write(long page_cnt);
void memory_check(long page_cnt);
void memory_check_all(void);
size_t memory_page_cnt(void);

/* guest_disk.c: readers of /dev/vda.  disk_check_all may be called beside them. */
void disk_begin(void);
void disk_check_all(void);

/* guest_net.c: eth0 with 10.78.0.2/24 and a server on it. */
void net_begin(void);

/* guest_redis.c: a Redis, if there is one. */
void redis_begin(void);

#endif
