/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest_disk: threads that read a disk by O_DIRECT, so that the host writes into
 * the guest's memory at a moment of its own, and that check what they got.
 *
 * Page n of the disk has the number n + 1 in each of its words (slow_disk.py).
 * A reader reads CHUNK_SZ at random places, each into the next of its slots.  A
 * slot is checked when it was read, again before it is read into, and when all
 * is checked: what the read left on the way shows late.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/fs.h>

#include "guest.h"

#define CHUNK_SZ	(64 << 10)
#define CHUNK_PAGES	(CHUNK_SZ / PAGE_SZ)
#define SLOTS		16
#define SAID_MAX	5
#define DISK		"/dev/vda"

struct reader {
	pthread_mutex_t lock;	/* between a check and a read of the slots */
	__u64 draw;
	__u64 *slots;
	__u64 page[SLOTS];	/* of the disk; that it begins with */
	int is_read[SLOTS];
	int fd;
};

static struct reader readers[READERS_MAX];
static __u64 chunk_cnt;
static _Atomic int said_cnt;

static __u64 *slot_at(struct reader *r, int slot)
{
	return r->slots + (size_t)slot * (CHUNK_SZ / 8);
}

static void slot_check(struct reader *r, int slot, const char *when)
{
	const __u64 *words = slot_at(r, slot);
	size_t k;

	if (!r->is_read[slot])
		return;
	for (k = 0; k < CHUNK_SZ / 8; k++) {
		__u64 want = r->page[slot] + k / (PAGE_SZ / 8) + 1;

		if (words[k] == want)
			continue;
		counts.damage++;
		if (said_cnt++ < SAID_MAX)
			say("guest: DAMAGED disk page %llu, %s: it has %llu\n",
			    (unsigned long long)want - 1, when,
			    (unsigned long long)words[k]);
		k |= PAGE_SZ / 8 - 1;	/* on to the next page */
	}
}

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	int slot = 0;

	for (;; slot = (slot + 1) % SLOTS) {
		r->draw = mix(r->draw + 1);
		pthread_mutex_lock(&r->lock);
		slot_check(r, slot, "later");
		r->is_read[slot] = 0;
		r->page[slot] = r->draw % chunk_cnt * CHUNK_PAGES;
		pthread_mutex_unlock(&r->lock);

		if (pread(r->fd, slot_at(r, slot), CHUNK_SZ,
			  r->page[slot] * PAGE_SZ) != CHUNK_SZ) {
			say("guest: DAMAGED disk read: %s\n", strerror(errno));
			counts.damage++;
			sleep(1);
			continue;
		}
		pthread_mutex_lock(&r->lock);
		r->is_read[slot] = 1;
		slot_check(r, slot, "at once");
		pthread_mutex_unlock(&r->lock);
		counts.disk_reads++;
	}
	return NULL;
}

void disk_check_all(void)
{
	int i, slot;

	for (i = 0; i < settings.disk; i++) {
		pthread_mutex_lock(&readers[i].lock);
		for (slot = 0; slot < SLOTS; slot++)
			slot_check(&readers[i], slot, "now");
		pthread_mutex_unlock(&readers[i].lock);
	}
}

void disk_begin(void)
{
	__u64 disk_sz;
	int i;

	for (i = 0; i < 100 && access(DISK, R_OK); i++)
		usleep(50000);
	for (i = 0; i < settings.disk; i++) {
		struct reader *r = &readers[i];

		pthread_mutex_init(&r->lock, NULL);
		r->draw = mix(i + 1);
		r->fd = open(DISK, O_RDONLY | O_DIRECT);
		if (r->fd < 0 || ioctl(r->fd, BLKGETSIZE64, &disk_sz))
			give_up(DISK);
		chunk_cnt = disk_sz / CHUNK_SZ;
		r->slots = mmap(NULL, SLOTS * CHUNK_SZ, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r->slots == MAP_FAILED)
			give_up("memory");
	}
	if (!chunk_cnt) {
		errno = ENOSPC;
		give_up(DISK);
	}
	for (i = 0; i < settings.disk; i++)
		thread_begin(reader_thread, &readers[i]);
}
