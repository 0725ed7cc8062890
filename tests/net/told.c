/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* told: sends a stream of batches of pages to a `pagetrim receive`, as a proxy
 * does, and pauses in each look.
 *
 *     told DEV HOST FILE
 *
 * Each batch is freed at the next look, which means that it has arrived.  FILE
 * receives all pages as they were written.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "send/sender.h"

#define PAGE		4096ULL
#define BATCH_PAGES	64ULL
#define BATCHES		8
#define SZ		(BATCHES * BATCH_PAGES * PAGE)
#define STEPS		4	/* after which the sender has seen a pause */

static struct pt_error err;
static struct pt_sender *sender;
static int memory_fd;
static FILE *copy;
static atomic_uint collected;	/* batches */
static atomic_bool is_paused;

static void fail(const char *what)
{
	fprintf(stderr, "told: %s: %s\n", what, err.text);
	exit(1);
}

/* put writes a batch into the memory and the copy. */
static void put(unsigned int batch)
{
	static __u8 pages[BATCH_PAGES * PAGE];
	off_t at = batch * sizeof(pages);

	for (__u64 i = 0; i < sizeof(pages); i++)
		pages[i] = batch + i * 7 / 64;
	if (pwrite(memory_fd, pages, sizeof(pages), at) != sizeof(pages) ||
	    fwrite(pages, sizeof(pages), 1, copy) != 1)
		fail("write");
}

static bool is_sent(const struct pt_track_to *to, unsigned int batch)
{
	__u8 page[PAGE];

	for (__u64 i = batch * BATCH_PAGES; i < (batch + 1) * BATCH_PAGES; i++)
		if (pread(memory_fd, page, PAGE, i * PAGE) != PAGE ||
		    !to->is_sent(to->arg, i, page))
			return false;
	return true;
}

static int collect(void *arg, const struct pt_track_to *to,
		   const atomic_bool *is_cancelled, struct pt_error *e)
{
	unsigned int n = collected;
	struct pt_error why;

	(void)arg;
	(void)is_cancelled;
	if (n == BATCHES)
		return 0;
	if (n && !is_sent(to, n - 1))
		return pt_error_set(e, PT_EXIT_FAILED, -EIO, "batch %u was not "
				    "sent as it was written", n - 1);
	if (n)
		fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (n - 1) * BATCH_PAGES * PAGE, BATCH_PAGES * PAGE);
	put(n);
	to->dirty(to->arg, n * BATCH_PAGES, BATCH_PAGES);
	is_paused = !pt_sender_pause(sender, true, &why);
	collected = n + 1;
	return 0;
}

static bool is_last(void *arg)
{
	(void)arg;
	return collected == BATCHES;
}

/* drive ends a pause some steps after it began. */
static int drive(struct pt_sender *s)
{
	struct pollfd fd = { .fd = pt_sender_fd(s), .events = POLLIN };
	unsigned int pauses = 0, steps = 0;
	int ret;

	do {
		poll(&fd, 1, -1);
		ret = pt_sender_step(s, &err);
		if (!is_paused || ++steps < STEPS)
			continue;
		is_paused = false;
		pauses++;
		steps = 0;
		if (pt_sender_pause(s, false, &err))
			fail("resume");
	} while (ret > 0);
	printf("{\"batches\": %u, \"pauses\": %u}\n", collected, pauses);
	return ret;
}

int main(int argc, char **argv)
{
	struct pt_send_live_cfg live = {
		.kind = PT_LIVE_ROUNDS,
		.guest = { .collect = collect, .is_last = is_last },
	};
	struct pt_sender_cfg cfg = { .live = &live };
	const char *path;
	char name[64];

	if (argc != 4)
		return 2;
	cfg.dev = argv[1];
	cfg.to = argv[2];
	copy = fopen(argv[3], "w");
	memory_fd = memfd_create("told", MFD_CLOEXEC);
	if (!copy || memory_fd < 0 || ftruncate(memory_fd, SZ))
		fail("open");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", memory_fd);
	path = name;
	if (pt_source_open_files_as(&cfg.source, PT_FILES_LIVE, &path, 1, &err))
		fail("source");
	if (pt_sender_open(&sender, &cfg, &err) || pt_sender_start(sender, &err))
		fail("open");
	if (drive(sender))
		fail("failed");
	pt_sender_close(sender);
	pt_source_close(cfg.source);
	return fclose(copy) ? 1 : 0;
}
