// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/make_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "template/folder.h"

#define TRIES	100
#define SEALS	(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int fail(const struct pt_template_make *m, const char *what,
		struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s: %s", m->made.name,
			    what, strerror(errno));
}

/* ---- begin ---- */

static int exists(const struct pt_template_make *m, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -EEXIST, "%s: there is a template of "
			    "that name ('pagetrim template rm' removes it)",
			    m->made.name);
}

/* check_free: nobody but the owner of the lock of .NAME.new makes NAME. */
static int check_free(const struct pt_template_make *m, struct pt_error *err)
{
	int fd = pt_template_lock(m->folder, m->made.name);

	if (fd == -EBUSY)
		return exists(m, err);
	if (fd >= 0 && !pt_template_is_ours(fd)) {
		close(fd);
		fd = -ENOTEMPTY;
	}
	if (fd >= 0)
		pt_template_clear(m->folder, m->made.name, fd);
	return fd >= 0 || fd == -ENOENT ? 0 : pt_error_set(
		err, PT_EXIT_HOST, fd, "%s: %s in the folder of templates is not a "
		"template: %s (another name)", m->made.name, m->made.name,
		fd == -ENOTEMPTY ? "a folder that 'template put' did not make"
				 : strerror(-fd));
}

/* entry_claim makes .NAME.new and takes its lock.  Until it has the lock, others may
 * remove the folder as the remains of a maker that was killed. */
static int entry_claim(struct pt_template_make *m, struct pt_error *err)
{
	char name[PT_TEMPLATE_NAME_SZ];

	pt_template_new_name(name, m->made.name);
	for (int i = 0; i < TRIES && m->entry < 0; i++) {
		bool is_ours = !mkdirat(m->folder, name, 0755);

		if (!is_ours && errno != EEXIST)
			return fail(m, "its folder cannot be made", err);
		m->entry = pt_template_lock(m->folder, name);
		if (m->entry >= 0 && !is_ours) {
			pt_template_clear(m->folder, name, m->entry);
			m->entry = -1;
		} else if (m->entry == -EBUSY && !is_ours) {
			break;
		}
	}
	if (m->entry >= 0 && pt_template_mark(m->entry))
		return fail(m, "its folder cannot be marked", err);
	if (m->entry >= 0)
		return 0;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: another process makes a "
			    "template of that name", m->made.name);
}

static int memory_make(struct pt_template_make *m, struct pt_error *err)
{
	struct stat st;

	m->memory = memfd_create(PT_TEMPLATE_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->memory < 0 || fstat(m->memory, &st))
		return fail(m, "no memory descriptor", err);
	m->made.ino = st.st_ino;
	return 0;
}

static int holder_start(struct pt_template_make *m, struct pt_error *err)
{
	int code = pt_holder_start(&m->holder, m->memory, m->entry);

	if (code)
		return pt_error_set(err, PT_EXIT_HOST, code, "%s: no process to hold "
				    "it: %s", m->made.name, strerror(-code));
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
	m->entry = m->memory = m->with = m->file = m->holder.word = -1;
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
	code = pt_template_record_write(&m->made, m->entry, m->memory);
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
	pt_template_clear(m->folder, name, m->entry);
	m->entry = -1;
}

void pt_template_make_end(struct pt_template_make *m)
{
	if (!m)
		return;
	pt_template_make_unmap(m);
	pt_template_make_files_end(m, NULL);
	pt_holder_drop(&m->holder);
	if (m->entry >= 0 && !m->is_committed)
		entry_remove(m);
	if (m->entry >= 0)
		close(m->entry);
	if (m->memory >= 0)
		close(m->memory);
	if (m->folder >= 0)
		close(m->folder);
	pt_page_ranges_free(&m->sink.marks);
	pthread_mutex_destroy(&m->lock);
	free(m->begun);
	free(m);
}
