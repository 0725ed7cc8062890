/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* qmp_kit: a monitor that answers by a table.  It serves one client. */
#ifndef TEST_QMP_KIT_H
#define TEST_QMP_KIT_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "scratch.h"

#define SOCKET SCRATCH "/qmp"

/* answer: to a command whose line has part in it.  NULL as its text: the monitor
 * closes; as its part: the end of a table. */
struct answer {
	const char *part, *text;
};

struct fake {
	pthread_t thread;
	int listener;
	const char *version;		/* "7, 2, 22" */
	_Atomic(const struct answer *) first, then;	/* two tables */
	_Atomic(const struct answer *) stopped;	/* the first one from a "stop"
						 * on; NULL: it stays */
	_Atomic int mute_cnt;		/* commands that get no reply */
	char *log;			/* all that it received */
	size_t log_sz;
};

static inline const struct answer *fake_find(const struct answer *table,
					     const char *line)
{
	for (; table && table->part; table++)
		if (strstr(line, table->part))
			return table;
	return NULL;
}

/* fake_reply answers one line; false: it closes. */
static inline bool fake_reply(struct fake *f, FILE *client,
			      const char *line)
{
	static const struct answer fine = { "", "\"return\": {}" };
	const struct answer *a = fake_find(f->first, line);
	const char *id = strstr(line, "\"id\":\"");

	if (!a)
		a = fake_find(f->then, line);
	if (!a)
		a = &fine;
	if (f->stopped && strstr(line, "\"stop\""))
		f->first = f->stopped;
	if (!a->text)
		return false;
	if (!id)
		fprintf(client, "{\"error\": {\"desc\": \"no JSON\"}}\r\n");
	else
		fprintf(client, "{\"event\": \"RTC_CHANGE\"}\r\n{%s, "
			"\"id\": \"%.*s\"}\r\n", a->text,
			(int)strcspn(id + 6, "\""), id + 6);
	fflush(client);
	return true;
}

static inline void *fake_main(void *arg)
{
	struct fake *f = arg;
	int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC), a, b, c;
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	FILE *log = open_memstream(&f->log, &f->log_sz);
	char *line = NULL;
	size_t sz = 0;

	sscanf(f->version, "%d, %d, %d", &a, &b, &c);
	fprintf(out, "{\"QMP\": {\"version\": {\"qemu\": {\"major\": %d, "
		"\"minor\": %d, \"micro\": %d}}}}\r\n", a, b, c);
	fflush(out);
	while (getline(&line, &sz, in) > 0) {
		fputs(line, log);
		if (f->mute_cnt > 0)
			f->mute_cnt--;
		else if (!fake_reply(f, out, line))
			break;
	}
	free(line);
	fclose(log);
	fclose(out);
	fclose(in);
	return NULL;
}

static inline void fake_start(struct fake *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(SOCKET);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&addr,
			      sizeof(addr)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

/* fake_end waits until the client has closed.  The log is the caller's. */
static inline char *fake_end(struct fake *f)
{
	pthread_join(f->thread, NULL);
	close(f->listener);
	return f->log;
}

#endif
