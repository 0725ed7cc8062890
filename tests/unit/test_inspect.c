// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The subcommand from outside: options, text, JSON, picture, exit codes. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include <pagetrim/error.h>
#include "cli/commands.h"
#include "cli/svg.h"
#include "scratch.h"

#define PAGE 4096u
#define IMAGE SCRATCH "/ram"
#define OUT SCRATCH "/stdout"
#define ERR SCRATCH "/stderr"
#define SVG SCRATCH "/ram.svg"

static char out[1 << 20], err[4096];
static bool on_terminal;	/* stderr is a terminal, also for the child */

static void slurp(const char *path, char *text, size_t room)
{
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	text[fread(text, 1, room - 1, in)] = '\0';
	fclose(in);
}

/* terminal_open makes the child's stderr.  The few bytes of it wait in the kernel. */
static int terminal_open(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC |
				  O_NONBLOCK);

	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*slave >= 0);
	return master;
}

/* inspect runs the subcommand in a child and returns its exit code; out and err
 * hold its output. */
static int inspect(const char *const *args)
{
	char *argv[16] = { "inspect" };
	int argc = 1, status, slave = -1;
	int master = on_terminal ? terminal_open(&slave) : -1;
	ssize_t said_sz;
	pid_t pid;

	while (*args)
		argv[argc++] = (char *)*args++;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (!freopen(OUT, "w", stdout) || !freopen(ERR, "w", stderr))
			_exit(100);
		if (slave >= 0 && dup2(slave, STDERR_FILENO) < 0)
			_exit(101);
		optind = 1;
		status = pt_cmd_inspect(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	slurp(OUT, out, sizeof(out));
	slurp(ERR, err, sizeof(err));
	if (on_terminal) {
		said_sz = read(master, err, sizeof(err) - 1);
		err[said_sz > 0 ? said_sz : 0] = '\0';
		close(slave);
		close(master);
	}
	return WEXITSTATUS(status);
}
#define INSPECT(...) inspect((const char *const[]){ __VA_ARGS__, NULL })

static void image_make(__u64 page_cnt)
{
	int fd = scratch_file(IMAGE, page_cnt * PAGE);
	__u8 page[PAGE];

	memset(page, 7, PAGE);
	scratch_write(fd, 3 * PAGE, page, PAGE);
	scratch_write(fd, 5 * PAGE + 128, page, 64);
	close(fd);
}

static void test_text(void **state)
{
	(void)state;
	image_make(1000);
	assert_int_equal(INSPECT(IMAGE), 0);
	assert_string_equal(err, "");
	assert_non_null(strstr(out, "ram: 3.9 MiB, 1000 pages, 1 segment\n"));
	assert_non_null(strstr(out, "Zero pages              998   99.80 %   "
			       "998 of them holes"));
	assert_non_null(strstr(out, "head                       1.56 %"));
	assert_non_null(strstr(out, "tail                      47.66 %"));
	assert_non_null(strstr(out, "MTU 1500"));
	assert_non_null(strstr(out, "at 10000 Mbit/s"));
	assert_non_null(strstr(out, "\n  copies "));
	assert_non_null(strstr(out, "copies: --trim blocks --compress off, at "
			       "best\n"));
	assert_null(strstr(out, "Picture"));
}

static json_int_t number(const json_t *o, const char *a, const char *b,
			 const char *c)
{
	o = json_object_get(o, a);
	o = b ? json_object_get(o, b) : o;
	o = c ? json_object_get(o, c) : o;
	assert_true(json_is_integer(o));
	return json_integer_value(o);
}

static void test_json(void **state)
{
	json_t *o;

	(void)state;
	image_make(1000);
	assert_int_equal(INSPECT("--json", "--mtu", "9000", "--rate-mbit",
				 "100", IMAGE), 0);
	o = json_loads(out, 0, NULL);	/* one object, and nothing else */
	assert_non_null(o);
	assert_int_equal(number(o, "total", NULL, NULL), 1000 * PAGE);
	assert_int_equal(number(o, "pages", NULL, NULL), 1000);
	assert_int_equal(number(o, "zero-pages", NULL, NULL), 998);
	assert_int_equal(number(o, "hole-pages", NULL, NULL), 998);
	assert_int_equal(number(o, "data-pages", NULL, NULL), 2);
	assert_int_equal(number(o, "copies", "pages", NULL), 0);
	assert_int_equal(number(o, "copies", "sample", NULL), 1);
	assert_int_equal(number(o, "copies", "frames", NULL), 1);
	assert_int_equal(number(o, "copies", "wire-bytes", NULL),
			 256 + 65 * 64);
	assert_int_equal(number(o, "zero-blocks", "head", "bytes"), 128);
	assert_int_equal(number(o, "zero-blocks", "tail", "bytes"), 61 * 64);
	assert_int_equal(number(o, "zero-blocks", "interior", "bytes"), 0);
	assert_int_equal(number(o, "mtu", NULL, NULL), 9000);
	assert_int_equal(number(o, "rate-mbit", NULL, NULL), 100);
	/* runs 0-2, page 3, page 4, page 5, the rest in two: six records */
	assert_int_equal(number(o, "trim", "blocks", "frames"), 1);
	assert_int_equal(number(o, "trim", "blocks", "wire-bytes"),
			 256 + 65 * 64);
	assert_int_equal(number(o, "trim", "none", "wire-bytes"),
			 256 + 128 * 64);
	json_decref(o);
}

static void test_help(void **state)
{
	static const char *const words[] = {
		"Usage: pagetrim inspect", "--pid", "--keep-running", "--mtu",
		"1280..65535", "--rate-mbit", "--svg", "--json", "Exit:",
		"Example:",
	};

	(void)state;
	assert_int_equal(INSPECT("--help"), 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(strstr(out, words[i]));
	for (const char *line = out, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_true(end - line <= 80);
	}
	assert_string_equal(err, "");
	assert_int_equal(INSPECT("-h"), 0);
}

static const struct refusal {
	const char *name;
	const char *args[6];
	int want;
	const char *text;
} refusals[] = {
	{ "nothing to inspect", { NULL }, PT_EXIT_USAGE, "no SOURCE" },
	{ "both kinds", { "--pid", "1", IMAGE }, PT_EXIT_USAGE, "not both" },
	{ "MTU below", { "--mtu", "1279", IMAGE }, PT_EXIT_USAGE,
	  "--mtu '1279': want 1280..65535" },
	{ "MTU above", { "--mtu", "65536", IMAGE }, PT_EXIT_USAGE, "--mtu" },
	{ "MTU is no number", { "--mtu", "1500x", IMAGE }, PT_EXIT_USAGE,
	  "--mtu" },
	{ "rate 0", { "--rate-mbit", "0", IMAGE }, PT_EXIT_USAGE,
	  "--rate-mbit" },
	{ "PID 0", { "--pid", "0" }, PT_EXIT_USAGE, "--pid" },
	{ "running what", { "--keep-running", IMAGE }, PT_EXIT_USAGE,
	  "--keep-running needs --pid" },
	{ "unknown option", { "--frobnicate", IMAGE }, PT_EXIT_USAGE,
	  "frobnicate" },
	{ "missing argument", { IMAGE, "--svg" }, PT_EXIT_USAGE, "svg" },
	{ "missing file", { SCRATCH "/none" }, PT_EXIT_HOST,
	  SCRATCH "/none: No such file" },
	{ "no such process", { "--pid", "4194304" }, PT_EXIT_HOST,
	  "process 4194304: no such process" },
	{ "picture nowhere", { IMAGE, "--svg", SCRATCH "/no/x.svg" },
	  PT_EXIT_HOST, "/no/x.svg: cannot write the picture: No such file" },
	{ "picture on a full disk", { IMAGE, "--svg", "/dev/full" },
	  PT_EXIT_HOST, "/dev/full: cannot write the picture: No space" },
};

static void test_refusal(void **state)
{
	const struct refusal *row = *state;

	image_make(10);
	assert_int_equal(inspect(row->args), row->want);
	if (!strstr(err, row->text))
		fail_msg("'%s' does not say '%s'", err, row->text);
	assert_string_equal(out, "");
}

/* The half picture is removed; another's file never is. */
static void test_disk_full(void **state)
{
	struct stat st;

	(void)state;
	image_make(10);
	scratch_fs("small", "tmpfs", 0, "size=8k");
	assert_int_equal(INSPECT(IMAGE, "--svg", SCRATCH "/small/x.svg"), 0);
	assert_int_equal(unlink(SCRATCH "/small/x.svg"), 0);
	image_make(300000);		/* 586 cells: more than 8 KiB */
	assert_int_equal(INSPECT(IMAGE, "--svg", SCRATCH "/small/x.svg"),
			 PT_EXIT_HOST);
	assert_non_null(strstr(err, "No space left"));
	assert_false(scratch_has(SCRATCH "/small/x.svg"));
	assert_int_equal(stat("/dev/full", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

/* has_started: the process is that program, and the loader has mapped what its
 * libc writes. */
static bool has_started(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	slurp(path, out, sizeof(out));
	if (strcmp(out, name))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	slurp(path, out, sizeof(out));
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
		if (strstr(line, " rw-p ") && strstr(line, "/libc.so.6"))
			return true;
	return false;
}

static void test_process(void **state)
{
	pid_t sleeper = fork();
	char pid[16];

	(void)state;
	if (!sleeper) {
		execlp("sleep", "sleep", "60", NULL);
		_exit(1);
	}
	snprintf(pid, sizeof(pid), "%d", sleeper);
	for (int i = 0; !has_started(sleeper, "sleep\n"); i++) {
		assert_true(i < 60000);
		usleep(1000);
	}
	assert_int_equal(INSPECT("--pid", pid), 0);
	assert_non_null(strstr(out, "process "));
	assert_int_equal(INSPECT("--pid", pid, "--keep-running", "--json"), 0);
	assert_non_null(strstr(out, "\"[stack]\""));
	assert_non_null(strstr(out, "\"libc.so.6\""));
	kill(sleeper, SIGKILL);
	assert_int_equal(waitpid(sleeper, NULL, 0), sleeper);
}

/* --- the picture ----------------------------------------------------- */

static unsigned int count(const char *text, const char *word)
{
	unsigned int cnt = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		cnt++;
	}
	return cnt;
}

/* A foreign reader of XML. */
static void assert_is_xml(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "/usr/bin/python3 -c 'import "
		 "xml.dom.minidom,sys;xml.dom.minidom.parse(sys.argv[1])' %s",
		 path);
	assert_int_equal(system(command), 0);
}

static void test_picture(void **state)
{
	static const char odd[] = SCRATCH "/a<b>&\"c\xff.ram";

	(void)state;
	image_make(1000);
	unlink(odd);
	assert_int_equal(rename(IMAGE, odd), 0);
	assert_int_equal(INSPECT(odd, "--svg", SVG), 0);
	assert_non_null(strstr(out, "Picture: " SVG));
	assert_is_xml(SVG);
	slurp(SVG, out, sizeof(out));
	assert_non_null(strstr(out, "a&lt;b&gt;&amp;&quot;c?.ram"));
	assert_non_null(strstr(out, "prefers-color-scheme:dark"));
	assert_non_null(strstr(out, "a cell is 2.0 MiB"));
	/* two regions: two cells of zero pages, one holds data too */
	assert_int_equal(count(strstr(out, "class=\"z\" d="), "h10v10h-10z"),
			 2);
	assert_int_equal(count(strstr(out, "class=\"d\" d="), "z\"/>"), 1);
}

/* Progress is for a terminal, and is gone at the end. */
static void test_progress(void **state)
{
	static const char erase[] = "\r\033[K";
	size_t sz;

	(void)state;
	image_make(3ULL << 18);
	on_terminal = true;
	assert_int_equal(INSPECT(IMAGE), 0);
	on_terminal = false;
	assert_non_null(strstr(err, "\r\033[K 33 %"));
	assert_non_null(strstr(err, "\r\033[K 67 %"));
	sz = strlen(err);
	assert_true(sz > strlen(erase));
	assert_string_equal(err + sz - strlen(erase), erase);
	assert_int_equal(INSPECT(IMAGE), 0);
	assert_string_equal(err, "");
}

/* 64 GiB in one segment: cells grow, the file does not. */
static void test_picture_of_much_memory(void **state)
{
	struct stat st;

	(void)state;
	image_make((64ULL << 30) / PAGE);
	assert_int_equal(INSPECT(IMAGE, "--svg", SVG), 0);
	assert_is_xml(SVG);
	assert_int_equal(stat(SVG, &st), 0);
	assert_true(st.st_size < 1 << 20);
	slurp(SVG, out, sizeof(out));
	assert_non_null(strstr(out, "a cell is 16.0 MiB"));
	unlink(IMAGE);
}

/* Every cell full of all three kinds, in as many segments as possible: the
 * largest file. */
static void test_largest_picture(void **state)
{
	struct pt_segment *segs = calloc(PT_SEGMENTS_MAX, sizeof(*segs));
	struct pt_survey s = { .mtu = 1500, .page_cnt = 1, .data_cnt = 1 };
	struct pt_error why = { 0 };
	struct pt_layout *l;
	struct stat st;
	__u64 gfn = 0;

	(void)state;
	assert_non_null(segs);
	for (__u32 i = 0; i < PT_SEGMENTS_MAX; i++) {
		memset(segs[i].name, '&', 63);
		segs[i].gfn = gfn;
		segs[i].sz = i % 3000 ? 2 << 20 : 1ULL << 33;
		gfn += segs[i].sz / PAGE;
	}
	assert_int_equal(pt_layout_create(&l, segs, PT_SEGMENTS_MAX, &why), 0);
	s.region_cnt = pt_layout_region_cnt(l);
	s.regions = calloc(s.region_cnt, sizeof(s.regions[0]));
	for (__u64 r = 0; r < s.region_cnt; r++)
		s.regions[r] = (struct pt_survey_region){ 512, 177, 7333, 0 };
	assert_int_equal(pt_svg_write(SVG, "all", &s, l, &why), 0);
	assert_is_xml(SVG);
	assert_int_equal(stat(SVG, &st), 0);
	assert_in_range(st.st_size, 100000, 1 << 20);
	pt_survey_free(&s);
	pt_layout_free(l);
	free(segs);
}

#define REFUSAL_CNT (sizeof(refusals) / sizeof(refusals[0]))

int main(void)
{
	struct CMUnitTest tests[9 + REFUSAL_CNT] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_picture),
		cmocka_unit_test(test_picture_of_much_memory),
		cmocka_unit_test(test_largest_picture),
	};

	if (scratch_mount())
		return 1;
	for (size_t i = 0; i < REFUSAL_CNT; i++)
		tests[9 + i] = (struct CMUnitTest){ refusals[i].name,
						    test_refusal, NULL, NULL,
						    (void *)&refusals[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
