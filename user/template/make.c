// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/make_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	8U
#endif

#define PATIENCE_MS	500	/* with those who remove what is dead */
#define STRANGE_LOOKS	3	/* at a folder to which its maker adds the mark */

#define SEALS	(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int fail(const struct pt_template_make *m, const char *what,
		struct pt_error *err)
{
	int code = -errno;

	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s: %s%s", m->made.name,
			    what, strerror(-code), pt_limit_remedy(code));
}

/* ---- begin ---- */

static int exists(const struct pt_template_make *m, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST, "%s: there is a template of "
			    "that name ('pagetrim template rm' removes it)",
			    m->made.name);
}

static int is_strange(const struct pt_template_make *m, const char *entry, int code,
		      struct pt_error *err)
{
	if (*pt_limit_remedy(code))
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s in the folder "
				    "of templates cannot be looked at: %s%s",
				    m->made.name, entry, strerror(-code),
				    pt_limit_remedy(code));
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s in the folder of "
			    "templates is not a template: %s (another name)",
			    m->made.name, entry, code == -ENOKEY
			    ? "a folder that 'template put' did not make"
			    : strerror(-code));
}

/* check_free: nobody but the owner of the lock of .NAME.new makes NAME.  A lock without
 * a template behind it is that of a process which removes a dead one. */
static int check_free(const struct pt_template_make *m, struct pt_error *err)
{
	const char *name = m->made.name;
	struct pt_template_entry e;
	struct pt_template there;
	int code = -EBUSY;

	for (int ms = 0; code == -EBUSY && ms < PATIENCE_MS;
	     ms += PT_TEMPLATE_LOOK_MS) {
		if (ms)
			poll(NULL, 0, PT_TEMPLATE_LOOK_MS);
		code = pt_template_lock(&e, m->folder, name);
		if (code == -EBUSY && !pt_template_record_read(&there, m->folder, name))
			break;
	}
	if (!code)
		pt_template_clear(m->folder, name, &e);
	if (code == -EBUSY)
		return exists(m, err);
	return !code || code == -ENOENT ? 0 : is_strange(m, name, code, err);
}

/* try_claim makes the entry and takes its lock, or removes the remains of a maker that
 * was killed. */
static int try_claim(struct pt_template_make *m, const char *name)
{
	struct pt_template_entry e;
	int code;

	if (!mkdirat(m->folder, name, 0755))
		return pt_template_mark(&m->entry, m->folder, name);
	if (errno != EEXIST)
		return -errno;
	code = pt_template_lock(&e, m->folder, name);
	if (!code)
		pt_template_clear(m->folder, name, &e);
	if (code == -ENOKEY && unlinkat(m->folder, name, AT_REMOVEDIR))
		return errno == ENOENT ? -ENOENT : -ENOKEY;
	return !code || code == -ENOKEY ? -ENOENT : code;
}

/* entry_claim makes .NAME.new and takes its lock.  Until it has the lock, others may
 * remove the folder as such remains; and the lock of remains may be theirs. */
static int entry_claim(struct pt_template_make *m, struct pt_error *err)
{
	char name[PT_TEMPLATE_NAME_SZ];
	int code = -EBUSY, strange_cnt = 0;

	pt_template_new_name(name, m->made.name);
	for (int ms = 0; (code == -EBUSY || code == -ENOENT ||
			  (code == -ENOKEY && strange_cnt++ < STRANGE_LOOKS)) &&
			 ms < PATIENCE_MS; ms += PT_TEMPLATE_LOOK_MS) {
		if (code != -ENOENT && ms)
			poll(NULL, 0, PT_TEMPLATE_LOOK_MS);
		code = try_claim(m, name);
	}
	if (code == -ENOKEY || code == -ENOTDIR)
		return is_strange(m, name, code, err);
	errno = -code;
	if (code && code != -EBUSY && code != -ENOENT)
		return fail(m, "its folder cannot be made", err);
	return !code ? 0 : pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another "
					"process makes a template of that name",
					m->made.name);
}

static int memory_make(struct pt_template_make *m, struct pt_error *err)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	struct stat st;

	m->memory = memfd_create(PT_TEMPLATE_MEMFD, flags | MFD_NOEXEC_SEAL);
	if (m->memory < 0 && errno == EINVAL)	/* before Linux 6.3 */
		m->memory = memfd_create(PT_TEMPLATE_MEMFD, flags);
	if (m->memory < 0 || fstat(m->memory, &st))
		return fail(m, "no memory descriptor", err);
	m->made.ino = st.st_ino;
	return 0;
}

static int holder_start(struct pt_template_make *m, struct pt_error *err)
{
	int code = pt_holder_start(&m->holder, m->memory, m->entry.lock);

	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: no process to hold "
				    "it: %s%s", m->made.name, strerror(-code),
				    pt_limit_remedy(code));
	m->made.pid = m->holder.pid;
	snprintf(m->made.path, sizeof(m->made.path), "/proc/%d/fd/%d", m->made.pid,
		 m->memory);
	return 0;
}

int pt_template_make_begin(struct pt_template_make **out, const char *folder,
			   const char *name, enum pt_template_large large,
			   struct pt_error *err)
{
	const char *fault = pt_name_image_fault(name);
	struct pt_template_make *m;
	int code;

	if (fault)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "'%s': not a name "
				    "for a template: %s", name, fault);
	m = calloc(1, sizeof(*m));
	if (!m)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory to "
				    "make it", name);
	m->sink.ops = &pt_template_make_ops;
	m->large = large;
	m->memory = m->with = m->file = m->holder.word = -1;
	m->entry = PT_TEMPLATE_ENTRY_NONE;
	pthread_mutex_init(&m->lock, NULL);
	snprintf(m->made.name, sizeof(m->made.name), "%s", name);
	m->folder = code = pt_template_folder_open(folder, true, err);
	if (code >= 0) {
		pt_template_sweep(m->folder);
		code = entry_claim(m, err);
	}
	if (!code)
		code = check_free(m, err);
	if (!code)
		code = memory_make(m, err);
	if (!code)
		code = holder_start(m, err);
	if (code) {
		pt_template_make_end(m);
		return code;
	}
	*out = m;
	return 0;
}

int pt_template_make_begin_path(struct pt_template_make **out, const char *path,
				enum pt_template_large large, struct pt_error *err)
{
	char folder[PATH_MAX];
	const char *name = pt_template_path_split(path, folder);

	return pt_template_make_begin(out, name == path ? NULL : folder, name, large,
				      err);
}

struct pt_sink *pt_template_make_sink(struct pt_template_make *m)
{
	return &m->sink;
}

const struct pt_template *pt_template_make_made(const struct pt_template_make *m)
{
	return &m->made;
}

/* ---- commit ---- */

static int publish(struct pt_template_make *m, struct pt_error *err)
{
	char name[PT_TEMPLATE_NAME_SZ];
	struct timespec now;
	int code;

	clock_gettime(CLOCK_BOOTTIME, &now);
	m->made.made_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	code = pt_template_record_write(&m->made, m->entry.dir, m->memory);
	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: its record cannot "
				    "be written: %s", m->made.name, strerror(-code));
	pt_template_new_name(name, m->made.name);
	if (!renameat2(m->folder, name, m->folder, m->made.name, RENAME_NOREPLACE))
		return 0;
	return errno == EEXIST ? exists(m, err)
			       : fail(m, "its folder cannot get its name", err);
}

int pt_template_make_commit(struct pt_template_make *m, struct pt_error *err)
{
	int code;

	if (m->is_committed)
		return 0;
	code = pt_template_make_files_end(m, err);
	if (code)
		return code;
	pt_template_make_unmap(m);
	if (fcntl(m->memory, F_ADD_SEALS, SEALS))
		return fail(m, "its memory cannot be sealed", err);
	code = publish(m, err);
	if (code)
		return code;
	m->is_committed = true;
	code = pt_holder_hold(&m->holder);
	if (!code)
		return 0;
	m->is_committed = false;
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: the process that was to "
			    "hold it, %d, was killed", m->made.name, m->made.pid);
}

/* ---- the end ---- */

static void entry_remove(struct pt_template_make *m)
{
	char name[PT_TEMPLATE_NAME_SZ];
	struct stat st;

	/* The commit may have failed behind its rename. */
	pt_template_new_name(name, m->made.name);
	if (fstatat(m->folder, name, &st, AT_SYMLINK_NOFOLLOW))
		snprintf(name, sizeof(name), "%s", m->made.name);
	pt_template_clear(m->folder, name, &m->entry);
}

void pt_template_make_end(struct pt_template_make *m)
{
	if (!m)
		return;
	pt_template_make_unmap(m);
	pt_template_make_files_end(m, NULL);
	pt_holder_drop(&m->holder);
	if (m->entry.lock >= 0 && !m->is_committed)
		entry_remove(m);
	pt_template_entry_close(&m->entry);
	if (m->memory >= 0)
		close(m->memory);
	if (m->folder >= 0)
		close(m->folder);
	pt_page_ranges_free(&m->sink.marks);
	pthread_mutex_destroy(&m->lock);
	free(m->begun);
	free(m);
}
