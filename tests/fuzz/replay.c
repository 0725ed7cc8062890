/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* replay: a main for a fuzz target without a fuzzer.  It runs the target on
 * each file of the named folders, and on variants: the file cut at every byte,
 * and with every byte changed in a few ways.  Each input is its own allocation,
 * so that a sanitizer detects a read past its end.
 *
 *	replay FOLDER...	exit 1 if a folder has no files
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#define INPUT_SZ_MAX	(256 * 1024)
#define NEAR_SZ_MAX	4096	/* only the first bytes of a file are varied */

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);

static __u8 file[INPUT_SZ_MAX];
static unsigned long input_cnt;

static void give(size_t sz)
{
	__u8 *input = malloc(sz ? sz : 1);

	if (!input)
		abort();
	memcpy(input, file, sz);
	LLVMFuzzerTestOneInput(input, sz);
	free(input);
	input_cnt++;
}

static void give_near(size_t sz)
{
	static const __u8 flips[] = { 0x01, 0x80, 0xff };
	size_t end = sz < NEAR_SZ_MAX ? sz : NEAR_SZ_MAX;

	give(sz);
	for (size_t at = 0; at < end; at++) {
		const __u8 was = file[at];

		give(at);
		for (size_t i = 0; i < sizeof(flips); i++) {
			file[at] = was ^ flips[i];
			give(sz);
		}
		for (int to = 0; to < 256; to += 255) {
			file[at] = to;
			give(sz);
		}
		file[at] = was;
	}
}

/* replay_folder returns the number of files, or -1. */
static int replay_folder(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *entry;
	char path[4096];
	int cnt = 0;
	size_t sz;
	FILE *in;

	if (!dir) {
		perror(name);
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		in = fopen(path, "rb");
		if (!in) {
			perror(path);
			closedir(dir);
			return -1;
		}
		sz = fread(file, 1, sizeof(file), in);
		fclose(in);
		give_near(sz);
		cnt++;
	}
	closedir(dir);
	return cnt;
}

int main(int argc, char **argv)
{
	int cnt = 0;

	for (int i = 1; i < argc; i++) {
		int ret = replay_folder(argv[i]);

		if (ret <= 0) {
			fprintf(stderr, "%s: no inputs\n", argv[i]);
			return 1;
		}
		cnt += ret;
	}
	printf("%d files, %lu inputs\n", cnt, input_cnt);
	return cnt ? 0 : 1;
}
