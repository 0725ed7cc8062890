/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* vector_file: reads tests/vectors/X.txt; README.md there has the format.  An
 * unknown word is an error: a test must not pass over it.
 */
#ifndef TEST_VECTOR_FILE_H
#define TEST_VECTOR_FILE_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/maps.h>
#include <pagetrim/verdict.h>
#include <pagetrim/wire.h>

#include "wire/builder.h"

#define VECTORS_MAX	128	/* of one file */
#define ENDPOINTS_MAX	4

struct vector_file;

struct vector {
	const struct vector_file *file;
	char *name;
	__u32	mtu;		/* 0: the builder does not write it */
	enum pt_verdict verdict;
	bool	auth_ok;
	bool	contents_bad;	/* of a sealed frame */
	__u8	kind;
	struct pt_frame_id id;
	__u8	flags, compression;
	__u32	data_off, block_cnt, record_cnt;
	__u32	filler;		/* blocks that no record names */
	struct pt_seal_cfg seal;	/* cipher NONE: of a session that is
					 * not sealed */
	struct pt_record_host records[PT_RECORDS_MAX];
	char	*blocks;	/* XXH3-128 of all blocks, in hex */
	__u32	frame_sz;
	__u8	frame[PT_MTU_MAX + 64];
};

struct vector_file {
	const char *path;
	unsigned int line_no;
	struct pt_endpoint endpoints[ENDPOINTS_MAX];
	unsigned int endpoint_cnt;
	struct vector *vectors[VECTORS_MAX];
	unsigned int cnt;
};

static inline __attribute__((noreturn, format(printf, 2, 3))) void
vector_die(const struct vector_file *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "%s:%u: ", f->path, f->line_no);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* vector_word takes the line's next word; there must be one. */
static inline char *vector_word(struct vector_file *f)
{
	char *word = strtok(NULL, " ");

	if (!word)
		vector_die(f, "a value is missing");
	return word;
}

static inline __u64 vector_number(struct vector_file *f, __u64 max)
{
	char *word = vector_word(f), *end;
	__u64 value;

	errno = 0;
	value = strtoull(word, &end, 0);
	if (errno || *end || *word == '-' || value > max)
		vector_die(f, "'%s': no number of 0..%llu", word, max);
	return value;
}

/* vector_choice returns the index of the next word in names. */
static inline int vector_choice(struct vector_file *f,
				const char *const *names, int cnt)
{
	char *word = vector_word(f);

	for (int i = 0; i < cnt; i++)
		if (!strcmp(word, names[i]))
			return i;
	vector_die(f, "'%s' is none of the names for this", word);
}

static inline void vector_byte(struct vector_file *f, struct vector *v,
			       unsigned int byte)
{
	if (v->frame_sz == sizeof(v->frame))
		vector_die(f, "frame too long");
	v->frame[v->frame_sz++] = byte;
}

static inline void vector_hex(struct vector_file *f, struct vector *v)
{
	for (char *hex = vector_word(f); *hex; hex += 2) {
		unsigned int byte;
		int sz = 0;

		if (sscanf(hex, "%2x%n", &byte, &sz) != 1 || sz != 2)
			vector_die(f, "not hex");
		vector_byte(f, v, byte);
	}
}

/* vector_bytes reads sz bytes in hex, exactly. */
static inline void vector_bytes(struct vector_file *f, __u8 *out, __u32 sz)
{
	const char *hex = vector_word(f);

	if (strlen(hex) != 2 * sz)
		vector_die(f, "not %u bytes in hex", sz);
	for (__u32 i = 0; i < sz; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &out[i]) != 1)
			vector_die(f, "not hex");
}

static inline void vector_cipher(struct vector_file *f, struct vector *v)
{
	if (pt_cipher_parse(vector_word(f), &v->seal.cipher))
		vector_die(f, "no such cipher");
}

static inline void vector_fill(struct vector_file *f, struct vector *v)
{
	unsigned int byte = strtoul(vector_word(f), NULL, 16);

	for (__u64 cnt = vector_number(f, sizeof(v->frame)); cnt; cnt--)
		vector_byte(f, v, byte);
}

static inline void vector_record(struct vector_file *f, struct vector *v)
{
	static const char *const names[] = { "blocks", "zeroes", "copy",
					     "delta", "unreadable" };
	static const __u8 kinds[] = { PT_RECORD_BLOCKS, PT_RECORD_ZEROES,
				      PT_RECORD_COPY, PT_RECORD_DELTA,
				      PT_RECORD_UNREADABLE };
	struct pt_record_host *r = &v->records[v->record_cnt];

	if (v->record_cnt++ == PT_RECORDS_MAX)
		vector_die(f, "too many records");
	r->kind = kinds[vector_choice(f, names, 5)];
	r->gfn = vector_number(f, PT_GFN_MAX);
	r->first = r->kind == PT_RECORD_BLOCKS ? vector_number(f, 63) : 0;
	r->last = r->kind == PT_RECORD_BLOCKS ? vector_number(f, 63) : 63;
	if (r->kind == PT_RECORD_DELTA) {
		__u32 base = vector_number(f, 65535);

		r->first = base >> 8;
		r->last = base;
	}
	r->mask = vector_number(f, ~0ULL);
	if (r->kind == PT_RECORD_COPY)
		r->mask = pt_record_copy_of(r->mask,
				vector_number(f, PT_VERSION_LOW_MAX));
}

static inline void vector_endpoint(struct vector_file *f)
{
	struct pt_endpoint *e = &f->endpoints[f->endpoint_cnt];
	char *addr = vector_word(f);

	if (f->endpoint_cnt++ == ENDPOINTS_MAX)
		vector_die(f, "too many endpoints");
	e->addr[10] = e->addr[11] = 0xff;
	if (inet_pton(AF_INET, addr, &e->addr[12]) != 1 &&
	    inet_pton(AF_INET6, addr, e->addr) != 1)
		vector_die(f, "'%s': not an address", addr);
	e->port = htons(vector_number(f, 65535));
}

static inline void vector_line(struct vector_file *f, const char *key)
{
	static const char *const verdicts[] = {
#define X(SYMBOL, name, text) #name,
		PT_VERDICTS(X)
#undef X
	};
	static const char *const auths[] = { "wrong", "right" };
	static const char *const contents[] = { "good", "bad" };
	static const char *const kinds[] = { "data", "probe" };
	struct vector *v = f->cnt ? f->vectors[f->cnt - 1] : NULL;

#define KEY(name) (!strcmp(key, name))
	if (KEY("endpoint") && !v)
		return vector_endpoint(f);
	if (KEY("name")) {
		if (f->cnt == VECTORS_MAX)
			vector_die(f, "too many vectors");
		v = f->vectors[f->cnt++] = calloc(1, sizeof(*v));
		v->file = f;
		v->name = strdup(vector_word(f));
		return;
	}
	if (!v)
		vector_die(f, "'%s' before a name", key);
	if (KEY("why"))
		return (void)strtok(NULL, "");
	if (KEY("hex"))
		return vector_hex(f, v);
	if (KEY("fill"))
		return vector_fill(f, v);
	if (KEY("record"))
		return vector_record(f, v);
	if (KEY("cipher"))
		return vector_cipher(f, v);
	if (KEY("secret"))
		return vector_bytes(f, v->seal.secret, sizeof(v->seal.secret));
	if (KEY("header_key"))
		return vector_bytes(f, v->seal.header_key,
				    sizeof(v->seal.header_key));
	if (KEY("mtu"))
		v->mtu = vector_number(f, PT_MTU_MAX);
	else if (KEY("verdict"))
		v->verdict = vector_choice(f, verdicts, PT_VERDICT_CNT);
	else if (KEY("auth"))
		v->auth_ok = vector_choice(f, auths, 2);
	else if (KEY("contents"))
		v->contents_bad = vector_choice(f, contents, 2);
	else if (KEY("kind"))
		v->kind = vector_choice(f, kinds, 2) + PT_FRAME_DATA;
	else if (KEY("session"))
		v->id.session_id = vector_number(f, ~0ULL);
	else if (KEY("seq"))
		v->id.seq = vector_number(f, ~0ULL);
	else if (KEY("generation"))
		v->id.generation = vector_number(f, ~0U);
	else if (KEY("lane"))
		v->id.lane = vector_number(f, 63);
	else if (KEY("flags"))
		v->flags = vector_number(f, 255);
	else if (KEY("key_epoch"))
		v->id.key_epoch = vector_number(f, 65535);
	else if (KEY("rekey_log2"))
		v->seal.rekey_log2 = vector_number(f, 255);
	else if (KEY("filler"))
		v->filler = vector_number(f, 65535);
	else if (KEY("data_off"))
		v->data_off = vector_number(f, 65535);
	else if (KEY("block_cnt"))
		v->block_cnt = vector_number(f, 65535);
	else if (KEY("compression"))
		v->compression = vector_number(f, 255);
	else if (KEY("blocks"))
		v->blocks = strdup(vector_word(f));
	else
		vector_die(f, "'%s': no such key", key);
#undef KEY
}

/* vector_load reads the file; on any fault it prints it and exits. */
static inline void vector_load(struct vector_file *f, const char *path)
{
	char *line = NULL;
	size_t room = 0;
	FILE *in;

	*f = (struct vector_file){ .path = path };
	in = fopen(path, "r");
	if (!in)
		vector_die(f, "%s (run it from the project's folder)",
			   strerror(errno));
	while (getline(&line, &room, in) > 0) {
		char *key;

		f->line_no++;
		line[strcspn(line, "#\n")] = 0;
		key = strtok(line, " ");
		if (!key)
			continue;
		vector_line(f, key);
		if (strtok(NULL, " "))
			vector_die(f, "more values than '%s' has", key);
	}
	free(line);
	fclose(in);
}

static inline void vector_free(struct vector_file *f)
{
	for (unsigned int i = 0; i < f->cnt; i++) {
		free(f->vectors[i]->name);
		free(f->vectors[i]->blocks);
		free(f->vectors[i]);
	}
}

#endif
