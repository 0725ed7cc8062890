/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room template: memories from which many processes start.
 *
 *   knows         the templates of a folder, the process that holds each, the processes
 *                 that have mapped it
 *   may use       base memory source sink image
 *   must not know the command line, connections, what a VMM does with the memory
 */
/* template: finds, lists and removes templates; make.h makes them.
 *
 *     FOLDER/NAME/
 *         .pagetrim-template       mode 0600, locked (flock) while its holder lives
 *         template.json            which process holds the memory, and how
 *         with/                    small files: the state of a guest's devices
 *     FOLDER/.NAME.new/            a template that is being made
 *
 *     holder, a process  --has--> memfd, sealed against writing
 *                                    ^  private mappings
 *                                    children
 *
 * The lock tells whether the holder lives, whatever its process number has become.  An
 * entry without one is dead, and the next list, find or make removes it.
 *
 * Threads: no state but the caller's.
 */
#ifndef TEMPLATE_TEMPLATE_H
#define TEMPLATE_TEMPLATE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>
#include <pagetrim/error.h>
#include "base/name.h"
#include "source/source.h"

#define PT_TEMPLATE_FOLDER	"/run/pagetrim/templates"
#define PT_TEMPLATES_MAX	4096	/* in one list */
#define PT_TEMPLATE_FILES_MAX	1024	/* small files of one */

struct pt_template {
	char name[PT_NAME_IMAGE_MAX + 1];
	bool is_dead;		/* its holder ended; the entry was removed */
	pid_t pid;		/* of the holder */
	char path[48];		/* /proc/PID/fd/N, which a VMM opens */
	__u64 ino;		/* of the memfd */
	__u64 sz;		/* bytes */
	__u64 made_ns;		/* by CLOCK_BOOTTIME */
};

/* pt_template_list lists the templates of folder (NULL: PT_TEMPLATE_FOLDER) by name,
 * and those that were found dead.  *out is the caller's, to free.  A folder that is not
 * there has none.
 *   -EPERM  others may change the folder
 *   or as open(2) says */
int pt_template_list(struct pt_template **out, unsigned *cnt, const char *folder,
		     struct pt_error *err);

/* pt_template_find finds the one called name.
 *   -EINVAL  not a name (exit code 2)
 *   -ENOENT  there is none
 *   or as pt_template_list */
int pt_template_find(struct pt_template *out, const char *folder, const char *name,
		     struct pt_error *err);

/* pt_template_path_split returns NAME of NAME or FOLDER/NAME, and writes FOLDER if
 * there is one. */
const char *pt_template_path_split(const char *path, char folder[PATH_MAX]);

/* pt_template_find_path finds one by NAME or FOLDER/NAME, and its files. */
int pt_template_find_path(struct pt_template *out, const char *path, char ***files,
			  unsigned *cnt, struct pt_error *err);

/* pt_template_open returns a descriptor of its memory, for reading and for private
 * mappings, the caller's to close.
 *   -ENOENT  its holder ended meanwhile
 *   -EPERM   it is not sealed
 *   or as open(2) says */
int pt_template_open(const struct pt_template *t, struct pt_error *err);

/* pt_template_source opens its memory as a source of its name, the caller's to close.
 * Errors as pt_template_open, and as the source says. */
int pt_template_source(struct pt_source **src, const struct pt_template *t,
		       struct pt_error *err);

/* pt_template_use: its present memory, without that of its children. */
struct pt_template_use {
	__u64 allocated_sz;	/* bytes of its memory that are there; a child that
				 * touches a hole adds a page */
	__s64 large_cnt;	/* large pages of 2 MiB; -1: not known */
};

int pt_template_measure(const struct pt_template *t, struct pt_template_use *out,
			struct pt_error *err);

/* pt_template_files writes the paths of its small files, *cnt of them, without the
 * table of segments.  *paths is one block, the caller's to free. */
int pt_template_files(char ***paths, unsigned *cnt, const char *folder,
		      const struct pt_template *t, struct pt_error *err);

/* pt_template_user: a process that has the memory mapped or open. */
struct pt_template_user {
	pid_t pid;
	bool maps;		/* else it only has a descriptor */
	char name[16];		/* the process's */
};

/* pt_template_users finds up to max processes other than the holder and this one, and
 * returns how many there are; -errno, if /proc cannot be read.  Processes that are
 * hidden from us, or may not be looked at, count as having none. */
int pt_template_users(const struct pt_template *t, struct pt_template_user *users,
		      unsigned max, struct pt_error *err);

/* pt_template_count counts those of each of cnt templates, in one look at all
 * processes; -1: unknown, as the template is another user's. */
int pt_template_count(const struct pt_template *templates, unsigned cnt,
		      int *children, struct pt_error *err);

/* pt_template_remove ends the holder and removes the entry.  Processes that have
 * mapped the memory keep it.
 *   -EPERM  the holder is another user's
 *   -ETIMEDOUT  it does not end */
int pt_template_remove(const char *folder, const struct pt_template *t,
		       struct pt_error *err);

#endif
