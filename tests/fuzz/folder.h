/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* folder: a folder of the target's own, in $TMPDIR or /dev/shm, removed when
 * the process exits. */
#ifndef FUZZ_FOLDER_H
#define FUZZ_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pagetrim/check.h>

static char folder_path[256];
static char folder_file[300];	/* a name in it */
static unsigned folder_cnt;	/* removed by folder_empty */

static inline int folder_remove_one(const char *path, const struct stat *st,
				    int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	if (!walk->level)
		return 0;
	folder_cnt++;
	return remove(path);
}

/* folder_empty removes the folder's entries, and returns their number. */
static inline unsigned folder_empty(void)
{
	folder_cnt = 0;
	pt_check(!nftw(folder_path, folder_remove_one, 8,
		       FTW_DEPTH | FTW_PHYS));
	return folder_cnt;
}

static inline void folder_remove(void)
{
	folder_empty();
	rmdir(folder_path);
}

static inline void folder_make(const char *file)
{
	const char *in = getenv("TMPDIR");

	snprintf(folder_path, sizeof(folder_path), "%s/pagetrim-fuzz.XXXXXX",
		 in ? in : "/dev/shm");
	pt_check(mkdtemp(folder_path));
	pt_check(!atexit(folder_remove));
	snprintf(folder_file, sizeof(folder_file), "%s/%s", folder_path, file);
}

#endif
