/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "tls/psk.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

#define FORM	"one line IDENTITY:HEXKEY a key (make one with `pagetrim keygen`)"

static int refuse(struct pt_error *err, const char *path, const char *why)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: %s; a key file "
			    "is " FORM, path, why);
}

/* refuse_line names the line, unless it is the first, as it is of most files. */
static int refuse_line(struct pt_error *err, const char *path, __u32 line,
		       const char *why)
{
	char text[160];

	if (line < 2)
		return refuse(err, path, why);
	snprintf(text, sizeof(text), "line %u: %s", line, why);
	return refuse(err, path, text);
}

/* identity_sz returns the size of the identity at the start of text, or 0. */
static size_t identity_sz(const char *text, size_t sz)
{
	size_t i;

	if (!sz || text[0] == '#')
		return 0;
	for (i = 0; i < sz && text[i] != ':'; i++)
		if (text[i] <= ' ' || text[i] > '~' || i == PT_PSK_IDENTITY_MAX)
			return 0;
	return i;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *key_parse(struct pt_psk *out, const char *hex, size_t sz)
{
	int high, low;

	if (sz % 2)
		return "the key has an odd number of digits";
	if (sz < 2 * PT_PSK_KEY_MIN)
		return "the key is shorter than 32 bytes (64 digits)";
	if (sz > 2 * PT_PSK_KEY_MAX)
		return "the key is longer than 64 bytes (128 digits)";
	for (size_t i = 0; i < sz; i += 2) {
		high = hex_digit(hex[i]);
		low = hex_digit(hex[i + 1]);
		if (high < 0 || low < 0)
			return "the key is not hexadecimal";
		out->key[i / 2] = high << 4 | low;
	}
	out->key_sz = sz / 2;
	return NULL;
}

const struct pt_psk *pt_psk_find(const struct pt_psk_file *keys,
				 const void *identity, size_t sz)
{
	for (__u32 i = 0; i < keys->cnt; i++)
		if (sz == strlen(keys->all[i].identity) &&
		    !CRYPTO_memcmp(identity, keys->all[i].identity, sz))
			return &keys->all[i];
	return NULL;
}

/* line_parse adds the key of a line; returns the fault, or NULL. */
static const char *line_parse(struct pt_psk_file *out, const char *at, size_t sz)
{
	struct pt_psk *psk = &out->all[out->cnt];
	const char *why;
	size_t id_sz;

	if (sz && at[sz - 1] == '\r')
		sz--;
	if (!sz)
		return "it is empty";
	if (out->cnt == PT_PSK_CNT_MAX)
		return "there are more than 64 keys";
	if (!memchr(at, ':', sz))
		return "it has no colon";
	id_sz = identity_sz(at, sz);
	if (!id_sz)
		return "its identity is not 1..128 printable characters "
		       "without blank or '#'";
	if (pt_psk_find(out, at, id_sz))
		return "an earlier line has its identity (a new key needs a "
		       "name of its own)";
	memcpy(psk->identity, at, id_sz);
	why = key_parse(psk, at + id_sz + 1, sz - id_sz - 1);
	out->cnt += !why;
	return why;
}

int pt_psk_parse(struct pt_psk_file *out, const char *path, const void *text,
		 size_t sz, struct pt_error *err)
{
	const char *at = text, *end = at + sz, *eol;
	const char *why = sz ? NULL : "it is empty";
	__u32 line = 0;

	memset(out, 0, sizeof(*out));
	while (!why && at < end) {
		eol = memchr(at, '\n', end - at);
		if (!eol)
			eol = end;
		line++;
		why = line_parse(out, at, eol - at);
		at = eol < end ? eol + 1 : end;
	}
	if (!why)
		return 0;
	OPENSSL_cleanse(out, sizeof(*out));
	return refuse_line(err, path, line, why);
}

/* read_all reads at most sz bytes of fd; returns their count, or -errno. */
static ssize_t read_all(int fd, char *text, size_t sz)
{
	size_t at = 0;
	ssize_t ret;

	while (at < sz) {
		ret = read(fd, text + at, sz - at);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -errno;
		if (!ret)
			break;
		at += ret;
	}
	return at;
}

static int refuse_mode(struct pt_error *err, const char *path,
		       const struct stat *st)
{
	if (st->st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: its mode "
				    "%04o lets others at the key (chmod 600 "
				    "it; if they may have read it, make a new "
				    "one with `pagetrim keygen`)", path,
				    st->st_mode & 07777);
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: its group %u may "
			    "read the key, and is no group of this process "
			    "(chmod 600 it, or chgrp it to the group that the "
			    "process runs as)", path, st->st_gid);
}

static int check_file(int fd, const char *path, struct pt_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode))
		return refuse(err, path, "not a regular file");
	if (!(st.st_mode & (S_IRWXG | S_IRWXO)) ||
	    (!(st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) &&
	     (st.st_gid == getegid() || group_member(st.st_gid))))
		return 0;
	return refuse_mode(err, path, &st);
}

int pt_psk_load(struct pt_psk_file *out, const char *path,
		struct pt_error *err)
{
	char text[PT_PSK_FILE_SZ_MAX + 1];
	ssize_t sz;
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot "
				    "read the key: %m%s", path, errno == ENOENT
				    ? " (`pagetrim keygen` makes one; both hosts "
				    "need the same)" : errno == EACCES
				    ? " (chgrp it to this process's group, and "
				    "chmod 640)" : pt_files_remedy(-errno));
	ret = check_file(fd, path, err);
	if (ret)
		goto close;
	sz = read_all(fd, text, sizeof(text));
	if (sz < 0)
		ret = pt_error_set(err, PT_EXIT_HOST, sz, "%s: cannot read the "
				   "key: %s", path, strerror(-sz));
	else if (sz > PT_PSK_FILE_SZ_MAX)
		ret = refuse(err, path, "it is too long");
	else
		ret = pt_psk_parse(out, path, text, sz, err);
	OPENSSL_cleanse(text, sizeof(text));
close:
	close(fd);
	return ret;
}

int pt_psk_make(struct pt_psk *out, const char *identity,
		struct pt_error *err)
{
	size_t sz = strlen(identity);

	memset(out, 0, sizeof(*out));
	if (!sz || identity_sz(identity, sz) != sz)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "'%.150s': an "
				    "identity is 1..128 printable characters "
				    "without blank or colon, '#' not first",
				    identity);
	if (RAND_priv_bytes(out->key, PT_PSK_KEY_MIN) != 1)
		return pt_error_set(err, PT_EXIT_HOST, -EIO, "OpenSSL: no "
				    "random bytes (is /dev/urandom there?)");
	memcpy(out->identity, identity, sz);
	out->key_sz = PT_PSK_KEY_MIN;
	return 0;
}

/* print writes the file's line and returns its size. */
static size_t print(const struct pt_psk *psk, char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = strlen(psk->identity);

	memcpy(text, psk->identity, at);
	text[at++] = ':';
	for (size_t i = 0; i < psk->key_sz; i++) {
		text[at++] = digits[psk->key[i] >> 4];
		text[at++] = digits[psk->key[i] & 15];
	}
	text[at++] = '\n';
	return at;
}

int pt_psk_save(const struct pt_psk *psk, const char *path,
		struct pt_error *err)
{
	char text[PT_PSK_LINE_SZ_MAX];
	ssize_t sz = print(psk, text), wrote;
	int ret = 0, fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0600);
	if (fd < 0) {
		ret = -errno;
		OPENSSL_cleanse(text, sizeof(text));
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: %s (%s)", path,
				    strerror(-ret), ret == -EEXIST ? "a key is "
				    "never overwritten: remove it, or choose "
				    "another FILE" : "name a FILE in a folder "
				    "that is there and may be written");
	}
	wrote = write(fd, text, sz);
	if (wrote != sz)
		ret = wrote < 0 ? -errno : -ENOSPC;
	OPENSSL_cleanse(text, sizeof(text));
	if (!ret && fsync(fd))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret)
		return 0;
	unlink(path);
	return pt_error_set(err, PT_EXIT_HOST, ret, "%s: cannot write the key: "
			    "%s%s", path, strerror(-ret), pt_limit_remedy(ret));
}

void pt_psk_wipe(struct pt_psk *psk)
{
	OPENSSL_cleanse(psk, sizeof(*psk));
}
