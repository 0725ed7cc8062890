/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "peers/peers.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/size.h"

/* reading: a file that is being read. */
struct reading {
	const char *path, *base;
	struct pt_config file;
	struct pt_peers *peers;
	struct pt_peer *peer;		/* of the present section; NULL: none */
	struct pt_error *err;
};

/* refuse sets the error of that line. */
__attribute__((format(printf, 3, 4)))
static int refuse(const struct reading *r, unsigned int line, const char *fmt, ...)
{
	char why[PT_PEERS_FOLDER_SZ + 256], own[PT_ERROR_OWN_SZ];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	return pt_error_set(r->err, PT_EXIT_USAGE, -EINVAL, "%s %s:%u: %s",
			    pt_error_own(own, "{peers}"), r->path, line, why);
}

/* take_text copies a text of 1..sz - 1 bytes. */
static int take_text(const struct reading *r, char *to, size_t sz,
		     const char *text)
{
	size_t own_sz = strlen(text) + 1;

	if (own_sz == 1)
		return refuse(r, r->file.line, "'%s': is empty",
			      r->file.is_section ? "[]" : r->file.name);
	if (own_sz > sz)
		return refuse(r, r->file.line, "'%.64s...': longer than %zu "
			      "bytes", text, sz - 1);
	memcpy(to, text, own_sz);
	return 0;
}

static int take_identity(struct reading *r, const char *text)
{
	struct pt_peer *peer = r->peer;
	const struct pt_peer *other = pt_peers_find(r->peers, text);
	int ret;

	if (other)
		return refuse(r, r->file.line, "identity '%s': line %u has it "
			      "already", text, other->line);
	if (peer->identity_cnt == PT_PEERS_IDENTITIES)
		return refuse(r, r->file.line, "more than %d identities of one "
			      "section", PT_PEERS_IDENTITIES);
	ret = take_text(r, peer->identities[peer->identity_cnt],
			PT_PEERS_IDENTITY_SZ, text);
	peer->identity_cnt += !ret;
	return ret;
}

static int take_folder(struct reading *r, const char *text)
{
	char path[PT_PEERS_FOLDER_SZ + 256];

	if (r->peer->folder[0])
		return refuse(r, r->file.line, "a second folder");
	if (!text[0] || text[0] == '/')
		return take_text(r, r->peer->folder, PT_PEERS_FOLDER_SZ, text);
	snprintf(path, sizeof(path), "%s/%s", r->base, text);
	return take_text(r, r->peer->folder, PT_PEERS_FOLDER_SZ, path);
}

static int take_name(struct reading *r, const char *text)
{
	struct pt_peer *peer = r->peer;

	if (strchr(text, '/'))
		return refuse(r, r->file.line, "name '%s': an image's name has no "
			      "'/'", text);
	if (peer->name_cnt == PT_PEERS_NAMES)
		return refuse(r, r->file.line, "more than %d names of one "
			      "section", PT_PEERS_NAMES);
	return take_text(r, peer->names[peer->name_cnt++], PT_PEERS_NAME_SZ,
			 text);
}

static int take_quota(struct reading *r, const char *text)
{
	if (r->peer->quota_sz)
		return refuse(r, r->file.line, "a second quota");
	return pt_size_parse(text, PT_SIZE_BYTES, 4096, 1ULL << 48,
			     &r->peer->quota_sz) ? 0
		: refuse(r, r->file.line, "quota '%s': want 4096..256T, such as "
			 "64G", text);
}

static int take_bandwidth(struct reading *r, const char *text)
{
	if (r->peer->bytes_per_s)
		return refuse(r, r->file.line, "a second bandwidth");
	return pt_size_parse(text, PT_SIZE_RATE, PT_RATE_MIN,
			     PT_RATE_MAX, &r->peer->bytes_per_s) ? 0
		: refuse(r, r->file.line, "bandwidth '%s': want 64K..1T, such as "
			 "64M or 1Gbit/s", text);
}

static const struct key {
	const char *name;
	int (*take)(struct reading *r, const char *text);
} keys[] = {
	{ "also", take_identity },
	{ "folder", take_folder },
	{ "name", take_name },
	{ "quota", take_quota },
	{ "bandwidth", take_bandwidth },
};

static int begin_section(struct reading *r)
{
	if (r->peers->cnt == PT_PEERS_MAX)
		return refuse(r, r->file.line, "more than %d sections",
			      PT_PEERS_MAX);
	r->peer = &r->peers->all[r->peers->cnt++];
	r->peer->line = r->file.line;
	return take_identity(r, r->file.name);
}

static int take_line(struct reading *r)
{
	const struct pt_config *f = &r->file;

	if (f->is_section)
		return begin_section(r);
	if (!f->value)
		return refuse(r, f->line, "'%s': want KEY = VALUE, or "
			      "[IDENTITY]", f->name);
	if (!r->peer)
		return refuse(r, f->line, "'%s': no [IDENTITY] before it",
			      f->name);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i].name, f->name))
			return keys[i].take(r, f->value);
	return refuse(r, f->line, "'%s': no such key (also, folder, name, quota "
		      "or bandwidth)", f->name);
}

/* check_folder: it exists, can be written, and no other section has it. */
static int check_folder(const struct reading *r, const struct pt_peer *peer)
{
	struct stat own, other;

	if (!peer->folder[0])
		return refuse(r, peer->line, "[%s]: no folder",
			      peer->identities[0]);
	if (stat(peer->folder, &own))
		return refuse(r, peer->line, "folder %s: %s", peer->folder,
			      strerror(errno));
	if (!S_ISDIR(own.st_mode))
		return refuse(r, peer->line, "folder %s: not a folder",
			      peer->folder);
	if (eaccess(peer->folder, W_OK | X_OK))
		return refuse(r, peer->line, "folder %s: %s", peer->folder,
			      strerror(errno));
	for (const struct pt_peer *p = r->peers->all; p < peer; p++)
		if (!stat(p->folder, &other) && other.st_dev == own.st_dev &&
		    other.st_ino == own.st_ino)
			return refuse(r, peer->line, "folder %s: the section of "
				      "line %u has it already", peer->folder,
				      p->line);
	return 0;
}

static int read_all(struct reading *r)
{
	int ret = 0;

	while (!ret && pt_config_next(&r->file))
		ret = take_line(r);
	for (__u32 i = 0; !ret && i < r->peers->cnt; i++)
		ret = check_folder(r, &r->peers->all[i]);
	return ret;
}

int pt_peers_open(struct pt_peers **out, const char *path, const char *base,
		  struct pt_error *err)
{
	struct reading r = { .path = path, .base = base, .err = err };
	int ret = pt_config_open(&r.file, "{peers}", path, err);

	if (ret)
		return ret;
	r.peers = calloc(1, sizeof(*r.peers));
	if (r.peers)
		r.peers->all = calloc(PT_PEERS_MAX, sizeof(*r.peers->all));
	ret = r.peers && r.peers->all ? read_all(&r)
		: pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	pt_config_close(&r.file);
	if (ret)
		pt_peers_close(r.peers);
	else
		*out = r.peers;
	return ret;
}

const struct pt_peer *pt_peers_find(const struct pt_peers *p,
				    const char *identity)
{
	for (__u32 i = 0; i < p->cnt; i++)
		for (__u32 n = 0; n < p->all[i].identity_cnt; n++)
			if (!strcmp(p->all[i].identities[n], identity))
				return &p->all[i];
	return NULL;
}

bool pt_peer_may_name(const struct pt_peer *peer, const char *name)
{
	for (__u32 i = 0; i < peer->name_cnt; i++)
		if (!fnmatch(peer->names[i], name, FNM_PERIOD))
			return true;
	return !peer->name_cnt;
}

void pt_peers_close(struct pt_peers *p)
{
	if (p)
		free(p->all);
	free(p);
}
