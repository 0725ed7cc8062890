/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* rounds: sends a memory to a `pagetrim receive` while another process writes
 * it, punches holes into it and fills them again.
 *
 *     rounds DEV HOST MIB TRACKER WRITES FILE [DELTA [HOT RATE]]
 *
 * TRACKER: auto, wp-async or digest.  WRITES: per millisecond.  DELTA: bytes of
 * the delta cache; 0: none.  HOT: pages that take all writes but each 64th; no
 * stop fits then, so that the last round is the eighth.  RATE: bytes per second.
 * At the end it
 * writes the memory, which stands still, to FILE, and prints a JSON object.  A
 * transfer that fails leaves the writer running, which is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "send/sender.h"

#define PAGE	4096ULL

static struct pt_error err;
static __u64 memory_sz;
static __u8 *memory;			/* the writer's mapping and ours */
static int memory_fd;
static _Atomic __u64 *written;		/* shared with the writer */
static pid_t writer;
static unsigned writes_per_ms;
static __u64 hot_cnt;			/* 0: all pages are alike */

static void fail(const char *what)
{
	fprintf(stderr, "rounds: %s: %s\n", what, err.text);
	exit(1);
}

static __u64 draw(__u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* write_once writes a block, or every 64th time punches up to 16 pages. */
static void write_once(__u64 *state)
{
	__u64 n = *written, page_cnt = memory_sz / PAGE;
	__u64 page = draw(state) % (hot_cnt && n % 64 != 63 ? hot_cnt : page_cnt);
	__u8 *block = memory + page * PAGE + draw(state) % 64 * 64;

	if (n % 64 == 63)
		fallocate(memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  page * PAGE, (1 + n / 64 % 16) * PAGE);
	else
		memset(block, n, 64);
	atomic_store(written, n + 1);
}

static void *write_on(void *arg)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	__u64 state = 7;

	for (;;) {
		for (unsigned i = 0; i < writes_per_ms; i++)
			write_once(&state);
		nanosleep(&ms, NULL);
	}
	return arg;
}

/* The writer's first thread waits in poll(2), where it can be entered. */
static void start_writer(void)
{
	pthread_t thread;

	writer = fork();
	if (writer)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pthread_create(&thread, NULL, write_on, NULL))
		_exit(1);
	for (;;)
		poll(NULL, 0, -1);
}

static void make_memory(void)
{
	__u64 state = 5;

	memory_fd = memfd_create("rounds", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, memory_sz))
		fail("memfd");
	memory = mmap(NULL, memory_sz, PROT_READ | PROT_WRITE, MAP_SHARED,
		      memory_fd, 0);
	written = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || written == MAP_FAILED)
		fail("mmap");
	for (__u64 off = 0; off < memory_sz; off += 2 * PAGE)
		for (__u64 i = 0; i < PAGE; i += 8)
			*(__u64 *)(memory + off + i) = draw(&state);
}

static int stop(void *arg, int timeout_ms, struct pt_error *e)
{
	int status;

	(void)arg;
	(void)timeout_ms;
	(void)e;
	kill(writer, SIGSTOP);
	return waitpid(writer, &status, WUNTRACED) == writer ? 0 : -ESRCH;
}

static int resume(void *arg, struct pt_error *e)
{
	(void)arg;
	(void)e;
	return kill(writer, SIGCONT);
}

static int drive(struct pt_sender *s)
{
	struct pollfd fd = { .fd = pt_sender_fd(s), .events = POLLIN };
	int ret;

	do {
		poll(&fd, 1, -1);
		ret = pt_sender_step(s, &err);
	} while (ret > 0);
	return ret;
}

static void on_round(const struct pt_round *r, void *arg)
{
	(void)arg;
	fprintf(stderr, "round %u: %llu pages, %llu of them as deltas, %llu bytes, "
		"%llu dirty, %llu of them hot, expected %llu us\n",
		r->idx, (unsigned long long)r->pages,
		(unsigned long long)r->delta_pages,
		(unsigned long long)r->wire_bytes,
		(unsigned long long)r->dirty_pages,
		(unsigned long long)r->hot_pages,
		(unsigned long long)(r->downtime_ns / 1000));
}

static void print(const struct pt_send_report *r)
{
	printf("{\"tracker\": \"%s\", \"rounds\": %u, \"last-pages\": %llu, "
	       "\"downtime\": %.3f, \"writes\": %llu, \"pages\": %llu, "
	       "\"deltas\": %llu, \"delta-saved\": %llu, \"hot\": %llu, "
	       "\"bytes\": %llu, \"expected\": %.3f}\n",
	       r->live.tracking.tracker, r->live.round.idx,
	       (unsigned long long)r->live.last_pages,
	       r->live.downtime_ns / 1e6, (unsigned long long)*written,
	       (unsigned long long)(r->pages_sent + r->zero_pages_sent),
	       (unsigned long long)r->deltas,
	       (unsigned long long)r->delta_saved,
	       (unsigned long long)r->live.round.hot_pages,
	       (unsigned long long)r->wire_bytes,
	       r->live.round.downtime_ns / 1e6);
}

static void save(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(memory, 1, memory_sz, f) != memory_sz || fclose(f))
		fail(path);
}

/* still_writes: after a failure the writer goes on. */
static void still_writes(void)
{
	__u64 before = *written;

	for (int ms = 0; ms < 10000 && *written == before; ms++)
		usleep(1000);
	if (*written == before)
		fail("the writer does not go on");
}

int main(int argc, char **argv)
{
	const char *path;
	__u64 addr;
	struct pt_send_live_cfg live = {
		.kind = PT_LIVE_ROUNDS,
		.converge = { .downtime_ns = 3000000000ULL, .rounds_max = 8,
			      .otherwise = PT_NO_CONVERGE_STOP },
		.guest = { .stop = stop, .resume = resume },
		.round = on_round,
	};
	struct pt_sender_cfg cfg = { .live = &live };
	struct pt_send_report report;
	struct pt_sender *s;
	char name[64];
	int ret;

	if (argc != 7 && argc != 8 && argc != 10)
		return 2;
	if (argc == 10) {
		hot_cnt = strtoull(argv[8], NULL, 10);
		cfg.bytes_per_s = strtoull(argv[9], NULL, 10);
		live.converge.downtime_ns = 1000000;
	}
	if (argc >= 8)
		cfg.delta_cache_sz = strtoull(argv[7], NULL, 10);
	if (argc >= 8 && !cfg.delta_cache_sz)
		cfg.delta_cache_sz = PT_SEND_DELTA_OFF;
	cfg.dev = argv[1];
	cfg.to = argv[2];
	memory_sz = strtoull(argv[3], NULL, 10) << 20;
	live.tracker = !strcmp(argv[4], "wp-async") ? PT_LIVE_TRACKER_WP :
		       !strcmp(argv[4], "digest") ? PT_LIVE_TRACKER_DIGEST
						  : PT_LIVE_TRACKER_AUTO;
	writes_per_ms = strtoul(argv[5], NULL, 10);
	make_memory();
	start_writer();
	live.pid = writer;
	addr = (unsigned long)memory;
	live.addrs = &addr;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", memory_fd);
	path = name;
	if (pt_source_open_files_as(&cfg.source, PT_FILES_LIVE, &path, 1, &err))
		fail("source");
	if (pt_sender_open(&s, &cfg, &err) || pt_sender_start(s, &err))
		fail("open");
	ret = drive(s);
	pt_sender_status(s, &report);
	pt_sender_close(s);
	if (ret) {
		still_writes();
		fail("failed");
	}
	print(&report);
	save(argv[6]);
	kill(writer, SIGKILL);
	pt_source_close(cfg.source);
	return 0;
}
