/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* name: the rules for names that a sender gives to the receiver's files.  The
 * sender checks them before it begins; the receiver checks them again.  Pure
 * functions, any thread. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#define PT_NAME_IMAGE_MAX	128	/* bytes, without the NUL */
#define PT_NAME_FILE_MAX	255
/* The receiver's own, beside files: */
#define PT_NAME_TABLE	"segments.json"
#define PT_NAME_UNREADABLE	"unreadable.json"

/* pt_name_fault returns the fault of a name that a message cannot carry as an image's,
 * e.g. "it has a '/'"; NULL: none. */
const char *pt_name_fault(const char *name);

/* pt_name_image_fault returns the fault of an image's name at a receiver with
 * --serve; NULL: none. */
const char *pt_name_image_fault(const char *name);

/* pt_name_file_fault returns the fault of the name of a file that comes
 * along. */
const char *pt_name_file_fault(const char *name);

#endif
