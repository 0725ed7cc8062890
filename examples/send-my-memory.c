/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* send-my-memory: sends 16 MiB of this process's own memory, filled from standard
 * input, to a receive-into-my-memory on another host.
 *
 *     cc send-my-memory.c $(pkg-config --cflags --libs libpagetrim)
 *     ./a.out DEV HOST:PORT KEY <FILE
 *
 * DEV: the Ethernet device by which HOST is reached.  KEY: a file that
 * `pagetrim keygen KEY` made, the same on both hosts.  Needs the capabilities that
 * pt_send_open(3) names.
 */
#include <pagetrim/pagetrim.h>

#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_SZ	(16u << 20)
#define FIRST_GFN	0x100		/* the receiver has a place for it */

static int complain(const char *what, const struct pt_error *err)
{
	fprintf(stderr, "send-my-memory: %s: %s%s%s%s\n", what, err->text,
		err->hint[0] ? " (" : "", err->hint, err->hint[0] ? ")" : "");
	return 1;
}

static void on_warning(const char *text, void *arg)
{
	(void)arg;
	fprintf(stderr, "send-my-memory: warning: %s\n", text);
}

/* drive is the program's own event loop: another descriptor would be polled here,
 * too.  Returns 0 once the receiver has committed. */
static int drive(struct pt_send *send, struct pt_error *err)
{
	struct pollfd fd = { .events = POLLIN };
	int ret = pt_send_start(send, err);

	if (ret)
		return ret;
	fd.fd = pt_send_fd(send, err);
	do {
		poll(&fd, 1, -1);
		ret = pt_send_step(send, err);
	} while (ret > 0);
	return ret;
}

static void report(struct pt_send *send)
{
	struct pt_status status = { .sz = sizeof(status) };

	if (!pt_send_status(send, &status, NULL))
		printf("sent %llu bytes as %llu on the wire, %llu frames lost\n",
		       (unsigned long long)status.memory_sz,
		       (unsigned long long)status.wire_sz,
		       (unsigned long long)status.frames_lost);
}

static int transfer(struct pt_source *source, char **argv)
{
	const struct pt_security security = {
		.sz = sizeof(security), .psk = argv[3],
	};
	const struct pt_send_opts opts = {
		.sz = sizeof(opts), .security = &security, .warn = on_warning,
	};
	struct pt_send *send;
	struct pt_error err;
	int failed;

	if (pt_send_open(&send, source, argv[1], argv[2], &opts, &err))
		return complain("cannot open", &err);
	failed = drive(send, &err) ? complain("failed", &err) : 0;
	if (!failed)
		report(send);
	pt_send_close(send, NULL);
	return failed;
}

int main(int argc, char **argv)
{
	struct pt_region region = { .gfn = FIRST_GFN, .sz = MEMORY_SZ,
				    .name = "example" };
	struct pt_source *source;
	struct pt_error err;
	size_t filled = 0;
	ssize_t got;
	int failed;

	if (argc != 4) {
		fputs("usage: send-my-memory DEV HOST:PORT KEY <FILE\n", stderr);
		return 2;
	}
	region.addr = mmap(NULL, MEMORY_SZ, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region.addr == MAP_FAILED)
		return perror("mmap"), 1;
	while ((got = read(0, (char *)region.addr + filled,
			   MEMORY_SZ - filled)) > 0)
		filled += got;
	if (pt_source_regions(&source, &region, 1, &err))
		return complain("no source", &err);
	failed = transfer(source, argv);
	pt_source_destroy(source, NULL);
	return failed;
}
