// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "template/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "source/source_large.h"
#include "template/folder.h"

#define END_MS		5000	/* for a holder to end */

static const char *folder_name(const char *folder)
{
	return folder ? folder : PT_TEMPLATE_FOLDER;
}

/* look returns 1 if *t is a template, or a dead one, whose entry it removes; 0: it
 * is none, or being made or removed. */
static int look(struct pt_template *t, int folder, const char *name)
{
	struct pt_template_entry e;
	int code;

	if (pt_name_image_fault(name))
		return 0;
	code = pt_template_lock(&e, folder, name);
	if (code == -EBUSY)
		return !pt_template_record_read(t, folder, name);
	if (code)
		return 0;
	pt_template_clear(folder, name, &e);
	*t = (struct pt_template){ .is_dead = true };
	snprintf(t->name, sizeof(t->name), "%s", name);
	return 1;
}

static int by_name(const void *a, const void *b)
{
	const struct pt_template *one = a, *two = b;

	return strcmp(one->name, two->name);
}

static int no_memory(const char *folder, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory to list it",
			    folder_name(folder));
}

static int list(struct pt_template **out, unsigned *cnt, int folder)
{
	int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct pt_template *all = calloc(PT_TEMPLATES_MAX, sizeof(*all));
	const struct dirent *entry;

	if (!dir || !all) {
		if (dir)
			closedir(dir);
		else if (again >= 0)
			close(again);
		free(all);
		return -ENOMEM;
	}
	while (*cnt < PT_TEMPLATES_MAX && (entry = readdir(dir)))
		*cnt += look(&all[*cnt], folder, entry->d_name);
	closedir(dir);
	qsort(all, *cnt, sizeof(*all), by_name);
	*out = all;
	return 0;
}

int pt_template_list(struct pt_template **out, unsigned *cnt, const char *folder,
		     struct pt_error *err)
{
	int fd = pt_template_folder_open(folder, false, err), code;

	*out = NULL;
	*cnt = 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	pt_template_sweep(fd);
	code = list(out, cnt, fd);
	close(fd);
	return code ? no_memory(folder, err) : 0;
}

static int not_there(const char *folder, const char *name, bool is_dead,
		     struct pt_error *err)
{
	if (is_dead)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: the process "
				    "that held it has ended, and its memory is gone "
				    "(put it again)", name);
	return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: no template of that "
			    "name in %s ('pagetrim template ls' lists them)", name,
			    folder_name(folder));
}

int pt_template_find(struct pt_template *out, const char *folder, const char *name,
		     struct pt_error *err)
{
	const char *fault = pt_name_image_fault(name);
	int fd, is_there;

	if (fault)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "'%s': not a name "
				    "for a template: %s", name, fault);
	fd = pt_template_folder_open(folder, false, err);
	if (fd < 0)
		return fd == -ENOENT ? not_there(folder, name, false, err) : fd;
	is_there = look(out, fd, name);
	close(fd);
	return is_there && !out->is_dead ? 0 : not_there(folder, name,
							 is_there, err);
}

int pt_template_open(const struct pt_template *t, struct pt_error *err)
{
	int fd = open(t->path, O_RDONLY | O_CLOEXEC), code = -errno;
	struct stat st;

	if (fd < 0)
		return code == -ENOENT ? not_there(NULL, t->name, true, err)
			: pt_error_set(err, PT_EXIT_HOST, code, "%s: %s: %s (run as "
				       "the user that put it, or as root)", t->name,
				       t->path, strerror(-code));
	if (!fstat(fd, &st) && st.st_ino == t->ino && (__u64)st.st_size == t->sz &&
	    fcntl(fd, F_GET_SEALS) >= 0 && fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE)
		return fd;
	close(fd);
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: %s is not its memory, "
			    "sealed against writing (remove it, and put it again)",
			    t->name, t->path);
}

static __s64 count_large(int fd, __u64 sz)
{
	struct pt_source_large large = { 0 };
	__s64 cnt = pt_source_large_file(&large, fd, sz, 0) ? -1
		: (__s64)large.page_cnt;

	pt_source_large_free(&large);
	return cnt;
}

int pt_template_source(struct pt_source **src, const struct pt_template *t,
		       struct pt_error *err)
{
	char path[32];
	const char *paths[] = { path };
	int fd = pt_template_open(t, err), code;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	code = pt_source_open_files(src, paths, 1, err);
	if (!code)
		pt_source_set_name(*src, 0, t->name);
	close(fd);
	return code;
}

int pt_template_measure(const struct pt_template *t, struct pt_template_use *out,
			struct pt_error *err)
{
	int fd = pt_template_open(t, err);
	struct stat st;

	if (fd < 0)
		return fd;
	*out = (struct pt_template_use){ .large_cnt = count_large(fd, t->sz) };
	if (!fstat(fd, &st))
		out->allocated_sz = st.st_blocks * 512ULL;
	close(fd);
	return 0;
}

/* ---- small files ---- */

static int files_read(DIR *dir, char **paths, const char *folder,
		      const struct pt_template *t)
{
	char *text = (char *)(paths + PT_TEMPLATE_FILES_MAX);
	const struct dirent *entry;
	int cnt = 0;

	while (cnt < PT_TEMPLATE_FILES_MAX && (entry = readdir(dir))) {
		if (pt_name_file_fault(entry->d_name))
			continue;
		paths[cnt] = text + (size_t)cnt * PATH_MAX;
		if (snprintf(paths[cnt], PATH_MAX, "%s/%s/" PT_TEMPLATE_WITH "/%s",
			     folder_name(folder), t->name, entry->d_name) < PATH_MAX)
			cnt++;
	}
	return cnt;
}

static int path_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int pt_template_files(char ***paths, unsigned *cnt, const char *folder,
		      const struct pt_template *t, struct pt_error *err)
{
	char path[PATH_MAX];
	DIR *dir;

	*cnt = 0;
	/* Only what is used of it becomes memory. */
	*paths = malloc(PT_TEMPLATE_FILES_MAX * (sizeof(**paths) + PATH_MAX));
	if (!*paths)
		return no_memory(folder, err);
	snprintf(path, sizeof(path), "%s/%s/" PT_TEMPLATE_WITH, folder_name(folder),
		 t->name);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %s (run as the "
				    "user that put it, or as root)", path,
				    strerror(errno));
	if (!dir)
		return 0;
	*cnt = files_read(dir, *paths, folder, t);
	closedir(dir);
	qsort(*paths, *cnt, sizeof(**paths), path_compare);
	return 0;
}

const char *pt_template_path_split(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return path;
	snprintf(folder, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path),
		 path);
	return slash + 1;
}

int pt_template_find_path(struct pt_template *out, const char *path, char ***files,
			  unsigned *cnt, struct pt_error *err)
{
	char text[PATH_MAX];
	const char *name = pt_template_path_split(path, text);
	const char *folder = name == path ? NULL : text;
	int code;

	*files = NULL;
	code = pt_template_find(out, folder, name, err);
	return code ? code : pt_template_files(files, cnt, folder, out, err);
}

/* ---- the end ---- */

/* end_holder: the process number is the holder's as long as its descriptor is the
 * memory, which is looked at with the process pinned.  SIGKILL also ends a stopped
 * one. */
static int end_holder(const struct pt_template *t)
{
	int pidfd = syscall(SYS_pidfd_open, t->pid, 0), code = 0;
	struct stat st;

	if (pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (stat(t->path, &st))
		code = errno == ENOENT ? 0 : -errno;
	else if (st.st_ino == t->ino &&
		 syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) &&
		 errno != ESRCH)
		code = -errno;
	if (!code)
		poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, END_MS);
	close(pidfd);
	return code;
}

/* is_another: the name has become another template's. */
static bool is_another(const struct pt_template *t, int folder)
{
	struct pt_template now;

	return !pt_template_record_read(&now, folder, t->name) && now.ino != t->ino;
}

int pt_template_remove(const char *folder, const struct pt_template *t,
		       struct pt_error *err)
{
	int fd = pt_template_folder_open(folder, false, err), code, lock = -EBUSY;
	struct pt_template_entry e;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	code = end_holder(t);
	for (int ms = 0; !code && ms < END_MS && lock == -EBUSY;
	     ms += PT_TEMPLATE_LOOK_MS) {
		lock = pt_template_lock(&e, fd, t->name);
		if (lock == -EBUSY && is_another(t, fd))
			lock = -ENOENT;
		if (lock == -EBUSY)
			poll(NULL, 0, PT_TEMPLATE_LOOK_MS);
	}
	if (!code && lock == -EBUSY)
		code = -ETIMEDOUT;
	if (!lock)
		pt_template_clear(fd, t->name, &e);
	close(fd);
	return code ? pt_error_set(err, PT_EXIT_HOST, code, "%s: its holder, process "
				   "%d, does not end: %s (run as the user that put "
				   "it, or as root)", t->name, t->pid,
				   strerror(-code)) : 0;
}
