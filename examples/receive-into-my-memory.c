/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receive-into-my-memory: takes what send-my-memory sends into 16 MiB of this
 * process's own memory, in two regions, and writes them to standard output.
 *
 *     cc receive-into-my-memory.c $(pkg-config --cflags --libs libpagetrim)
 *     ./a.out DEV ADDR:PORT KEY >FILE
 *
 * DEV: the Ethernet device that has ADDR.  KEY: as of send-my-memory.  Once a
 * sender may connect it prints "ready" on standard error.
 */
#include <pagetrim/pagetrim.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_SZ	(16u << 20)
#define FIRST_SZ	(5u << 20)	/* of the first region */
#define FIRST_GFN	0x100

static int complain(const char *what, const struct pt_error *err)
{
	fprintf(stderr, "receive-into-my-memory: %s: %s%s%s%s\n", what, err->text,
		err->hint[0] ? " (" : "", err->hint, err->hint[0] ? ")" : "");
	return 1;
}

static void on_event(const struct pt_event *event, void *arg)
{
	(void)arg;
	switch (event->kind) {
	case PT_EVENT_OPENED:
		fprintf(stderr, "%s sends %llu bytes\n", event->peer,
			(unsigned long long)event->status->memory_sz);
		break;
	case PT_EVENT_COMMITTED:
		fprintf(stderr, "%s is done\n", event->peer);
		break;
	case PT_EVENT_FAILED:
	case PT_EVENT_TURNED_AWAY:
		fprintf(stderr, "%s\n", event->error->text);
		break;
	}
}

/* drive is the program's own event loop.  Returns 0 once all is there. */
static int drive(struct pt_recv *recv, struct pt_error *err)
{
	struct pollfd fd = { .events = POLLIN };
	int ret = pt_recv_start(recv, err);

	if (ret)
		return ret;
	fputs("ready\n", stderr);
	fd.fd = pt_recv_fd(recv, err);
	do {
		poll(&fd, 1, -1);
		ret = pt_recv_step(recv, err);
	} while (ret > 0);
	return ret;
}

static int transfer(struct pt_sink *sink, char **argv)
{
	const struct pt_security security = {
		.sz = sizeof(security), .psk = argv[3],
	};
	const struct pt_recv_opts opts = {
		.sz = sizeof(opts), .security = &security, .event = on_event,
	};
	struct pt_recv *recv;
	struct pt_error err;
	int failed;

	if (pt_recv_open(&recv, sink, argv[1], argv[2], &opts, &err))
		return complain("cannot open", &err);
	failed = drive(recv, &err) ? complain("failed", &err) : 0;
	pt_recv_close(recv, NULL);
	return failed;
}

int main(int argc, char **argv)
{
	struct pt_region regions[2];
	struct pt_sink *sink;
	struct pt_error err;
	int failed;
	char *memory;

	if (argc != 4) {
		fputs("usage: receive-into-my-memory DEV ADDR:PORT KEY >FILE\n",
		      stderr);
		return 2;
	}
	memory = mmap(NULL, MEMORY_SZ, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return perror("mmap"), 1;
	memset(memory, 0xff, MEMORY_SZ);	/* whatever was there before */
	regions[0] = (struct pt_region){ memory, FIRST_GFN, FIRST_SZ, "first" };
	regions[1] = (struct pt_region){ memory + FIRST_SZ,
					 FIRST_GFN + FIRST_SZ / 4096,
					 MEMORY_SZ - FIRST_SZ, "second" };
	if (pt_sink_regions(&sink, regions, 2, false, &err))
		return complain("no sink", &err);
	failed = transfer(sink, argv);
	pt_sink_destroy(sink, NULL);
	if (!failed && write(1, memory, MEMORY_SZ) != MEMORY_SZ)
		return perror("write"), 1;
	return failed;
}
