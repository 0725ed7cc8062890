/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* vmm_kit: a fake QEMU, whose process is the test's own. */
#ifndef TEST_VMM_KIT_H
#define TEST_VMM_KIT_H

#include <sys/mman.h>
#include "qmp_kit.h"
#include "vmm/guard.h"
#include "vmm/qemu_impl.h"

#define RAM_SZ (16u * 4096)
#define STATUS(run, running)						\
	{ "query-status", "\"return\": {\"status\": \"" run "\", "	\
	  "\"running\": " running "}" }
#define MIGRATE(status) \
	{ "query-migrate\"", "\"return\": {\"status\": \"" status "\"}" }
#define MEMDEV(rows) { "query-memdev", "\"return\": [" rows "]" }
#define RAM(id, share) "{\"id\": \"" id "\", \"size\": 65536, \"share\": " share "}"
#define TEXT(part, text) { part, "\"return\": \"" text "\"" }
#define END { NULL, NULL }
#define ROW(...) (const struct answer[]){ __VA_ARGS__, END }

/* source: the answers of a QEMU whose guest can leave. */
static const struct answer source[] = {
	{ "query-migrate-capabilities", "\"return\": ["
	  "{\"capability\": \"x-ignore-shared\", \"state\": false}, "
	  "{\"capability\": \"events\", \"state\": true}, "
	  "{\"capability\": \"multifd\", \"state\": true}, "
	  "{\"capability\": \"validate-uuid\", \"state\": true}]" },
	STATUS("running", "true"),
	MEMDEV(RAM("ram", "true")),
	TEXT("\"property\":\"type\"", "memory-backend-memfd"),
	END
};

static inline struct pt_qemu *open_it(struct fake *f)
{
	struct pt_error err = { 0 };
	struct pt_qemu *q;

	fake_start(f);
	if (pt_qemu_open(&q, SOCKET, 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(pt_qemu_pid(q), getpid());
	return q;
}

static inline void end_it(struct pt_qemu *q, struct fake *f)
{
	pt_qemu_close(q);
	free(fake_end(f));
}

static inline void has(const struct pt_error *err, const char *words)
{
	if (strncmp(err->text, SOCKET ": ", sizeof(SOCKET ": ") - 1) ||
	    !strstr(err->text, words))
		fail_msg("'%s' lacks '%s'", err->text, words);
	assert_null(strchr(err->text, '\n'));
	assert_true(strlen(err->text) + 1 < sizeof(err->text));
}

/* ram_map maps a memfd as QEMU does. */
static inline char *ram_map(const char *name, __u64 sz)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	char *map;

	assert_int_equal(ftruncate(fd, sz), 0);
	map = mmap(NULL, sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);	/* so that its path is that of its mapping */
	return map;
}

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

/* ADD adds to tests one for each of the rows, which have a name. */
#define ADD(rows, fn)						\
	for (size_t i = 0; i < CNT(rows); i++)			\
		tests[test_cnt++] = (struct CMUnitTest){	\
			.name = (rows)[i].name,			\
			.test_func = fn,			\
			.initial_state = (void *)&(rows)[i],	\
		}

#endif
