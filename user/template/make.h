/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* make: a template that is being made: a sink (sink/sink.h) that becomes one when it is
 * committed.
 *
 *     begin --> pt_sink_fit, place ..., file_begin ..., sync, commit --> end
 *                                                          |
 *                      sealed, NAME listed, held for good -'
 *
 * Ended without a commit, or killed, nothing of it stays.  Another maker of the same name
 * is refused from begin on.
 *
 * Threads: as for any sink; begin before the process has threads, and as long as it is
 * small: the holder is a copy of it.
 */
#ifndef TEMPLATE_MAKE_H
#define TEMPLATE_MAKE_H

#include "sink/sink.h"
#include "template/template.h"

#define PT_TEMPLATE_MEMFD	"pagetrim-template"	/* the memory's name in /proc */

enum pt_template_large {
	PT_TEMPLATE_LARGE_DATA,	/* each 2 MiB with data becomes a large page */
	PT_TEMPLATE_LARGE_ALL,
	PT_TEMPLATE_LARGE_OFF,
};

struct pt_template_make;

/* pt_template_make_begin starts making the template name in folder (NULL:
 * PT_TEMPLATE_FOLDER), which it makes if it is missing.
 *   -EINVAL  not a name (exit code 2)
 *   -EEXIST  there is one of that name
 *   -EBUSY   another process makes one of that name
 *   -EPERM   others may change the folder
 *   or as the system says */
int pt_template_make_begin(struct pt_template_make **out, const char *folder,
			   const char *name, enum pt_template_large large,
			   struct pt_error *err);

/* pt_template_make_begin_path takes NAME or FOLDER/NAME. */
int pt_template_make_begin_path(struct pt_template_make **out, const char *path,
				enum pt_template_large large, struct pt_error *err);

/* pt_template_make_sink: the sink, which stays m's: pt_sink_close is not called.
 * Placing fails with -ENOMEM, before the kernel kills something, where the host or the
 * cgroup has too little memory. */
struct pt_sink *pt_template_make_sink(struct pt_template_make *m);

/* pt_template_make_made: the template, after the commit. */
const struct pt_template *pt_template_make_made(const struct pt_template_make *m);

/* pt_template_make_end frees m, and removes what was not committed.  NULL: nothing. */
void pt_template_make_end(struct pt_template_make *m);

#endif
