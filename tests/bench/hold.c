// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* hold: a process whose anonymous memory is the image FILE, for CRIU to move.
 *
 *	hold FILE		says "ready" and waits to be ended
 *
 * Holes of the file stay memory that was never touched, as in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	return 1;
}

static int fill(int fd, char *memory, off_t off, off_t end)
{
	while (off < end) {
		ssize_t n = pread(fd, memory + off, end - off, off);

		if (n <= 0)
			return -1;
		off += n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct stat st;
	off_t off = 0;
	char *memory;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "Usage: hold FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return fail(argv[1]);
	memory = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, st.st_size,
					    MADV_NOHUGEPAGE))
		return fail("memory");
	while ((off = lseek(fd, off, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, off, SEEK_HOLE);

		if (fill(fd, memory, off, end))
			return fail(argv[1]);
		off = end;
	}
	close(fd);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
