/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/files.h"
#include "base/rights.h"
#include "memory/proc.h"

/* parse_id parses a user's or group's number; -1 means "none" in system
 * calls. */
static bool parse_id(const char *text, __u32 *id)
{
	unsigned long long value;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || value >= 0xffffffff)
		return false;
	*id = value;
	return true;
}

static int refuse_user(struct pt_error *err, const char *text,
		       const char *cause)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "--user '%.80s': %s",
			    text, cause);
}

int pt_user_parse(struct pt_user *user, const char *text, struct pt_error *err)
{
	const char *colon = strchr(text, ':');
	size_t sz = colon ? (size_t)(colon - text) : strlen(text);
	const struct passwd *entry;
	bool is_number;

	memset(user, 0, sizeof(*user));
	if (!sz || sz >= sizeof(user->name))
		return refuse_user(err, text, "want NAME or UID[:GID]");
	memcpy(user->name, text, sz);
	is_number = parse_id(user->name, &user->uid);
	entry = is_number ? getpwuid(user->uid) : getpwnam(user->name);
	if (!entry && !is_number)
		return refuse_user(err, text, "no such user ('getent passwd' "
				   "lists them)");
	if (!entry && !colon)
		return refuse_user(err, text, "a number without an entry in "
				   "the password database needs its group "
				   "(UID:GID)");
	if (colon && !parse_id(colon + 1, &user->gid))
		return refuse_user(err, text, "the group must be a number");
	if (entry) {
		user->uid = entry->pw_uid;
		if (!colon)
			user->gid = entry->pw_gid;
		snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
	}
	user->has_groups = !colon;
	user->is_set = true;
	return 0;
}

static int fail(struct pt_error *err, const char *what)
{
	int code = errno ? -errno : -EPERM;

	return pt_error_set(err, PT_EXIT_HOST, code, "cannot %s: %s (see "
			    "/proc/self/status and the seccomp filter, if it "
			    "runs under one)", what, strerror(-code));
}

/* not_dumpable must be repeated: the kernel resets the flag whenever the user
 * or the capabilities change. */
static int not_dumpable(struct pt_error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return fail(err, "forbid core dumps");
	return 0;
}

int pt_privilege_harden(struct pt_error *err)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none))
		return fail(err, "forbid core dumps");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(err, "renounce new privileges");
	return not_dumpable(err);
}

static int refuse_threads(struct pt_error *err)
{
#ifdef __SANITIZE_THREAD__	/* which has a thread of its own */
	const long most = 2;
#else
	const long most = 1;
#endif
	long cnt = pt_proc_number(getpid(), "Threads:");

	if (cnt < 1 && *pt_files_remedy(-errno))
		return pt_error_set(err, PT_EXIT_HOST, -errno, "cannot give up "
				    "privileges: %m%s", pt_files_remedy(-errno));
	if (cnt < 1)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "cannot give up "
				    "privileges: /proc does "
				    "not show this process "
				    "(mount it)");
	if (cnt > most)
		return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "cannot give up "
				    "privileges: %ld threads run", cnt);
	return 0;
}

/* become: a change of the user clears the capabilities unless KEEPCAPS is set
 * before; keep_only then drops the surplus ones. */
static int become(const struct pt_user *user, bool with_caps,
		  struct pt_error *err)
{
	uid_t uid[3];

	if (prctl(PR_SET_KEEPCAPS, with_caps, 0, 0, 0))
		return fail(err, "keep capabilities");
	if (user->has_groups ? initgroups(user->name, user->gid) :
	    setgroups(0, NULL))
		goto fail;
	if (setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		goto fail;
	if (getresuid(&uid[0], &uid[1], &uid[2]) || uid[0] != user->uid ||
	    uid[1] != user->uid || uid[2] != user->uid)
		goto fail;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
		return fail(err, "keep no more capabilities");
	return 0;

fail:
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "--user %s: cannot "
			    "become it: %s%s", user->name, strerror(errno),
			    errno == EPERM ? pt_rights_remedy(
				PT_RIGHT(CAP_SETUID) | PT_RIGHT(CAP_SETGID),
				"with CAP_SETUID and CAP_SETGID", "this user "
				"namespace has no setgroups(2), see "
				"/proc/self/setgroups") : errno == EINVAL
			    ? " (has this user namespace that number?)" : "");
}

/* held returns a set's capabilities at the last capng_get_caps_process. */
static __u64 held(capng_type_t set)
{
	__u64 caps = 0;

	for (unsigned int cap = 0; cap < 64; cap++)
		if (capng_capability_to_name(cap) &&
		    capng_have_capability(set, cap))
			caps |= PT_CAP(cap);
	return caps;
}

/* empty_bounds empties the bounding set if CAP_SETPCAP allows it.  A process
 * without it gains nothing from the set, as an exec adds no capability any
 * more. */
static int empty_bounds(struct pt_error *err)
{
	if (capng_get_caps_process())
		return fail(err, "read its capabilities");
	if (!(held(CAPNG_EFFECTIVE) & PT_CAP(CAP_SETPCAP)))
		return 0;
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS) || capng_get_caps_process() ||
	    held(CAPNG_BOUNDING_SET))
		return fail(err, "empty its bounding set");
	return 0;
}

static int keep_only(__u64 keep, struct pt_error *err)
{
	if (capng_get_caps_process())
		return fail(err, "read its capabilities");
	keep &= held(CAPNG_PERMITTED);
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	for (unsigned int cap = 0; cap < 64; cap++)
		if (keep & PT_CAP(cap))
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) ||
	    capng_get_caps_process() || held(CAPNG_EFFECTIVE) != keep ||
	    held(CAPNG_PERMITTED) != keep || held(CAPNG_INHERITABLE) ||
	    held(CAPNG_AMBIENT))
		return fail(err, "give up its capabilities");
	return 0;
}

int pt_privilege_drop(__u64 keep, const struct pt_user *user,
		      struct pt_error *err)
{
	int ret = refuse_threads(err);

	errno = 0;
	if (!ret)
		ret = empty_bounds(err);
	if (!ret && user && user->is_set)
		ret = become(user, keep, err);
	if (!ret)
		ret = keep_only(keep, err);
	return ret ? ret : not_dumpable(err);
}
