// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* corpus: prints frames as hex, one per line, to compare a reader with judge.
 *
 *     corpus SEED COUNT    mutated frames; the BPF tests judge the same
 *     corpus rows          each row of frames/rows.h: verdict, hex, name
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../frames/random.h"
#include "../frames/rows.h"

static const char *const names[] = {
#define X(SYMBOL, name, text) #name,
	PT_VERDICTS(X)
#undef X
};

static struct frame frame;

static void print_hex(void)
{
	static char hex[2 * sizeof(frame.bytes) + 1];
	static const char digits[] = "0123456789abcdef";

	for (__u32 i = 0; i < frame.sz; i++) {
		hex[2 * i] = digits[frame.bytes[i] >> 4];
		hex[2 * i + 1] = digits[frame.bytes[i] & 15];
	}
	fwrite(hex, 1, 2 * frame.sz, stdout);
}

static void print_rows(const struct row *rows, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		row_build(&rows[i], &frame);
		printf("%s ", names[rows[i].want]);
		print_hex();
		printf(" %s\n", rows[i].name);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "rows")) {
#define PRINT(list) print_rows(list, SHAPE_CNT_OF(list));
		ROW_LISTS(PRINT)
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: corpus SEED COUNT | corpus rows\n");
		return 2;
	}
	for (__u64 i = 0, cnt = strtoull(argv[2], NULL, 10); i < cnt; i++) {
		random_corpus_frame(strtoull(argv[1], NULL, 10), i, &frame);
		print_hex();
		putchar('\n');
	}
	return 0;
}
