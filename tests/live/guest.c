/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* guest: process 1 of a small Linux guest that checks its own memory while it is
 * moved.  It is static and needs nothing but its kernel's modules, which /modules
 * lists.
 *
 *     writer     fills MIB of pages, rewrites RATE of them a second, checks all
 *                in turn against a record of its own (guest_memory.c)
 *     readers    DISK threads read /dev/vda by O_DIRECT into changing buffers
 *                and check what they got, also long after (guest_disk.c)
 *     server     answers TCP and UDP on port 7 (guest_net.c)
 *     redis      if the initramfs has one (guest_redis.c)
 *     console    takes commands, one a line
 *
 * Kernel command line: MIB=64 RATE=0 BLOCKS=4 HOT=0 FILL=24 CHECK=2000 DISK=0
 * NET=1.  RATE, BLOCKS, HOT and CHECK are commands, too, e.g. "rate 500"; "verify"
 * checks everything at once.
 *
 * The console prints one line a second:
 *     guest: beat 7 wrote 3500 checked 14000 damage 0 gap 21 ms loop 310 us
 *            disk 220 net 1400
 * wrote, checked, disk (reads), net (answers): totals.  damage: pages and disk
 * blocks that were not as they must be, in all.  gap: the longest time between
 * two ticks of 10 ms since the last line, by the guest's own clock.  loop: what a
 * loop of fixed length took on average.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define TICK_NS		10000000
#define TICKS_PER_S	100
#define LOOP_ROUNDS	20000
#define LINE_SZ		256

struct settings settings = {
	.mib = 64, .blocks = 4, .fill = 24, .check = 2000, .net = 1,
};
struct counts counts;

static _Atomic int verify_asked;

__u64 mix(__u64 x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185ull;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44dull;
	return x ^ x >> 33;
}

void say(const char *format, ...)
{
	char line[LINE_SZ];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	/* One write, so that lines of threads do not mix. */
	if (write(STDOUT_FILENO, line, len) != len)
		counts.console_lost++;
}

void give_up(const char *what)
{
	say("guest: %s: %s\n", what, strerror(errno));
	sleep(1);
	_exit(1);	/* process 1 ends, the kernel panics, QEMU ends */
}

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ---- settings ------------------------------------------------------------- */

static const struct {
	const char *name;
	_Atomic long *value;
	long least, most;
} numbers[] = {
	{ "mib",    &settings.mib,    1, 1 << 16 },
	{ "rate",   &settings.rate,   0, 10000000 },
	{ "blocks", &settings.blocks, 1, BLOCKS_PER_PAGE },
	{ "hot",    &settings.hot,    0, 1 << 24 },
	{ "fill",   &settings.fill,   1, BLOCKS_PER_PAGE },
	{ "check",  &settings.check,  0, 10000000 },
	{ "disk",   &settings.disk,   0, READERS_MAX },
	{ "net",    &settings.net,    0, 1 },
};

#define NUMBER_CNT	(sizeof(numbers) / sizeof(numbers[0]))

/* set: false if there is no such setting or the value is out of range. */
static int set(const char *name, const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);
	size_t i;

	for (i = 0; i < NUMBER_CNT; i++) {
		if (strcasecmp(name, numbers[i].name) != 0)
			continue;
		if (end == text || *end || value < numbers[i].least ||
		    value > numbers[i].most)
			return 0;
		*numbers[i].value = value;
		return 1;
	}
	return 0;
}

/* The kernel hands words of its command line that it does not know to process 1
 * as environment. */
static void settings_read(void)
{
	char name[16];
	const char *text;
	size_t i, k;

	for (i = 0; i < NUMBER_CNT; i++) {
		for (k = 0; numbers[i].name[k]; k++)
			name[k] = numbers[i].name[k] - 'a' + 'A';
		name[k] = 0;
		text = getenv(name);
		if (text && !set(name, text))
			say("guest: %s=%s is not understood\n", name, text);
	}
}

/* ---- console -------------------------------------------------------------- */

static void obey(char *line)
{
	char *value = strchr(line, ' ');

	if (strcmp(line, "verify") == 0) {
		verify_asked = 1;
		return;
	}
	if (value)
		*value++ = 0;
	/* What the memory was filled by cannot change any more. */
	if (!value || strcmp(line, "mib") == 0 || strcmp(line, "fill") == 0 ||
	    strcmp(line, "disk") == 0 || strcmp(line, "net") == 0 ||
	    !set(line, value))
		say("guest: '%s' is not understood\n", line);
	else
		say("guest: %s is %s\n", line, value);
}

static void *console_thread(void *arg)
{
	char line[LINE_SZ];
	size_t len = 0;

	(void)arg;
	for (;;) {
		char c;

		if (read(STDIN_FILENO, &c, 1) != 1) {
			usleep(100000);
			continue;
		}
		if (c != '\n' && c != '\r') {
			if (len < sizeof(line) - 1)
				line[len++] = c;
			continue;
		}
		line[len] = 0;
		if (len > 0)
			obey(line);
		len = 0;
	}
	return NULL;
}

/* ---- start ---------------------------------------------------------------- */

static void modules_load(void)
{
	FILE *list = fopen("/modules", "r");
	char path[LINE_SZ];

	if (!list)
		return;
	while (fgets(path, sizeof(path), list)) {
		int fd;

		path[strcspn(path, "\n")] = 0;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			say("guest: %s: %s\n", path, strerror(errno));
		close(fd);
	}
	fclose(list);
}

static void console_open(void)
{
	struct termios t;
	int fd;

	mount("none", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
	if (fd < 0)
		_exit(1);
	tcgetattr(fd, &t);
	cfmakeraw(&t);
	t.c_oflag |= OPOST | ONLCR;
	tcsetattr(fd, TCSANOW, &t);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}

void thread_begin(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, body, arg);
	if (errno)
		give_up("pthread_create");
	pthread_detach(thread);
}

/* ---- ticks ---------------------------------------------------------------- */

/* loop_ns: the time of a loop of fixed length, which touches no memory. */
static __u64 loop_ns(void)
{
	__u64 begun = now_ns(), x = begun;
	int i;

	for (i = 0; i < LOOP_ROUNDS; i++)
		x = mix(x);
	__asm__ volatile("" : : "r"(x));
	return now_ns() - begun;
}

/* share: how many of PER_S fall on this tick, so that a second has all. */
static long share(long per_s, long tick)
{
	long k = tick % TICKS_PER_S;

	return per_s * (k + 1) / TICKS_PER_S - per_s * k / TICKS_PER_S;
}

static void verify_if_asked(void)
{
	__u64 before = counts.damage;

	if (!verify_asked)
		return;
	verify_asked = 0;
	memory_check_all();
	disk_check_all();
	say("guest: verified %zu pages damage %llu\n", memory_page_cnt(),
	    (unsigned long long)(counts.damage - before));
}

static void beat(long tick, __u64 gap_ns, __u64 loops_ns)
{
	say("guest: beat %ld wrote %llu checked %llu damage %llu gap %llu ms loop %llu us disk %llu net %llu\n",
	    tick / TICKS_PER_S, (unsigned long long)counts.wrote,
	    (unsigned long long)counts.checked,
	    (unsigned long long)counts.damage,
	    (unsigned long long)(gap_ns / 1000000),
	    (unsigned long long)(loops_ns / TICKS_PER_S / 1000),
	    (unsigned long long)counts.disk_reads,
	    (unsigned long long)counts.answers);
}

static void run(void)
{
	__u64 last = now_ns(), gap_ns = 0, loops_ns = 0;
	long tick;

	for (tick = 1;; tick++) {
		__u64 now;

		memory_write(share(settings.rate, tick));
		memory_check(share(settings.check, tick));
		verify_if_asked();
		loops_ns += loop_ns();

		now = now_ns();
		if (now < last + TICK_NS)
			nanosleep(&(struct timespec){
				.tv_nsec = last + TICK_NS - now }, NULL);
		now = now_ns();
		if (now - last > gap_ns)
			gap_ns = now - last;
		last = now;
		if (tick % TICKS_PER_S == 0) {
			beat(tick, gap_ns, loops_ns);
			gap_ns = loops_ns = 0;
		}
	}
}

int main(void)
{
	console_open();
	mount("none", "/proc", "proc", 0, NULL);
	settings_read();
	modules_load();
	memory_fill();
	if (settings.net)
		net_begin();
	if (settings.disk)
		disk_begin();
	redis_begin();
	thread_begin(console_thread, NULL);
	say("guest: ready %ld MiB\n", (long)settings.mib);
	run();
}
