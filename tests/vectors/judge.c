// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* judge: reads frames as hex on stdin, one per line, from the Ethernet header
 * on, and prints the parser's verdict on each, by name.  It judges the
 * structure only: any endpoint counts as open unless --endpoints asks for the
 * tests' two. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../frames/judge.h"

static const char *const names[] = {
#define X(SYMBOL, name, text) #name,
	PT_VERDICTS(X)
#undef X
};

static int digit(int c)
{
	if (isdigit(c))
		return c - '0';
	c = tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* decode_hex returns the number of bytes in the line, -1 if it is not hex. */
static int decode_hex(const char *line, __u8 *out, int max_sz)
{
	int sz = 0;

	while (*line && !isspace((unsigned char)*line)) {
		int hi = digit((unsigned char)line[0]);
		int lo = hi < 0 ? -1 : digit((unsigned char)line[1]);

		if (lo < 0 || sz == max_sz)
			return -1;
		out[sz++] = hi << 4 | lo;
		line += 2;
	}
	return sz;
}

int main(int argc, char **argv)
{
	bool endpoints = argc == 2 && !strcmp(argv[1], "--endpoints");
	static __u8 bytes[FRAME_SZ_MAX + 256];
	unsigned long line_no = 0;
	struct pt_packet p;
	struct pt_frame f;
	char *line = NULL;
	size_t line_sz = 0;
	int status = 0;

	if (argc > 1 && !endpoints) {
		fprintf(stderr, "usage: judge [--endpoints] < HEX-FRAMES\n");
		return 2;
	}
	while (getline(&line, &line_sz, stdin) > 0) {
		int sz = decode_hex(line, bytes, sizeof(bytes));

		line_no++;
		if (sz < 0) {
			fprintf(stderr, "judge: line %lu: not a frame in hex\n",
				line_no);
			status = 1;
			break;
		}
		puts(names[endpoints ? frame_judge(bytes, sz, &p, &f) :
				       pt_parse_frame(bytes, sz, sz, &p, &f)]);
	}
	free(line);
	return status;
}
