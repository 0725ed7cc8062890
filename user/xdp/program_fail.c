/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Errors about the program on a device, with their causes. */
#include "xdp/program_impl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/rights.h"
#include "xdp/cause.h"
#include "xdp/hook.h"
#include "xdp/occupant.h"

static int fail_held(struct pt_error *err, const struct pt_device *dev)
{
	struct pt_occupant occupant;
	char who[160], remedy[160];

	pt_occupant_find(&occupant, dev);
	pt_occupant_print(&occupant, who, sizeof(who));
	pt_occupant_remedy(&occupant, dev->name, remedy, sizeof(remedy));
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: held by %s (%s)",
			    dev->name, who, remedy);
}

/* lend names the command by which root lets this user receive. */
static const char *lend(char text[128], const struct pt_device *dev)
{
	pt_error_print(text, 128, "'pagetrim attach {--dev} %s {--user} %s' of "
		       "%s", dev->name, pt_rights_are_inner() ? "UID:GID" :
		       "NAME", pt_rights_are_inner() ? "the host's root" :
		       "root");
	return text;
}

/* fail_foreign: the device has a program, which is opened by number with
 * CAP_SYS_ADMIN, and by its pins only by those to whom attach gave them. */
static int fail_foreign(struct pt_error *err, const struct pt_device *dev,
			__u32 id)
{
	char path[PT_PIN_PATH_SZ], root[128];
	const struct pt_program p = { .device = *dev };
	int why = program_barred_pin(&p, path);

	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: program %u is on "
			    "it, and this user has no pins of it: %s: %s (run "
			    "with CAP_SYS_ADMIN; or, if pagetrim attach put it "
			    "there, detach it, and %s lets this user receive)",
			    dev->name, id, path, why == -ESTALE ?
			    "of another device" : strerror(-why),
			    lend(root, dev));
}

/* fail_rights: the capabilities that count for BPF are those of the host's first
 * user namespace. */
static int fail_rights(struct pt_error *err, const struct pt_device *dev)
{
	__u64 held = pt_rights_held();
	char list[PT_RIGHTS_SZ], root[128];
	struct pt_hook hook;

	if (!pt_hook_look(&hook, dev->ifindex) && hook.prog_id &&
	    !hook.name[0])
		return fail_foreign(err, dev, hook.prog_id);
	if (pt_rights_are_inner())
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: an XDP "
			"program takes CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON "
			"in the host's user namespace, and this process is in "
			"another one, as in a rootless container (%s lets its "
			"user receive)",
			dev->name, lend(root, dev));
	if (!pt_rights_lacking(held, PT_RIGHTS_LOAD, list)[0])
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: the kernel "
			"does not permit the XDP program%s%s (see its log: is "
			"it locked down, or does a security module forbid "
			"it?)", dev->name, pt_cause_text()[0] ? ": " : "",
			pt_cause_text());
	return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: no privilege for "
			    "the XDP program: lacks %s (run with these, "
			    "as root has them; or %s lets this user receive)",
			    dev->name, list, lend(root, dev));
}

int program_fail(struct pt_error *err, const struct pt_program_cfg *cfg,
		 int code)
{
	const struct pt_device *dev = cfg->device;

	switch (code) {
	case -EBUSY:
	case -EEXIST:	/* native against generic */
		return fail_held(err, dev);
	case -EOPNOTSUPP:
		return pt_error_set(err, PT_EXIT_HOST, code,
			cfg->generic ?
			"%s: driver %s has no generic XDP (use another device)" :
			"%s: driver %s has no native XDP (use {generic})",
			dev->name, dev->driver[0] ? dev->driver : "?");
	case -EPERM:
	case -EACCES:
		return fail_rights(err, dev);
	case -EAGAIN:	/* libbpf tried it several times */
		return pt_error_set(err, PT_EXIT_HOST, -EINTR,
			"%s: signals interrupted the kernel's check of the XDP "
			"program each time (start again)", dev->name);
	case -ENOSPC:
		return pt_error_set(err, PT_EXIT_HOST, code,
			"%s: it has %u receive queues, fewer than its veth "
			"peer has transmit queues (ethtool -L %s rx N)",
			dev->name, dev->rx_queue_cnt, dev->name);
	case -ERANGE:
		return pt_error_set(err, PT_EXIT_HOST, code,
			"%s: MTU %u, or its peer's, is too large for XDP here "
			"(lower it, or use {generic})", dev->name, dev->mtu);
	}
	/* Without descriptors libbpf fails with this errno or that. */
	if (pt_files_are_few())
		return pt_error_set(err, PT_EXIT_HOST, code,
			"%s: cannot load or attach the XDP program: %s%s%s, and "
			"fewer than %d file descriptors are left (raise ulimit "
			"-n)", dev->name, strerror(-code),
			pt_cause_text()[0] ? ": " : "", pt_cause_text(),
			PT_FILES_FEW);
	if (code == -ENOMEM)
		return pt_error_set(err, PT_EXIT_HOST, code,
			"%s: no memory for the XDP program%s", dev->name,
			pt_memory_is_limited() ? " (raise ulimit -v)" : "");
	return pt_error_set(err, PT_EXIT_HOST, code,
		"%s: cannot load or attach the XDP program: %s%s%s (Linux 6.1 "
		"or newer with BTF is needed%s)", dev->name, strerror(-code),
		pt_cause_text()[0] ? ": " : "", pt_cause_text(),
		pt_memory_is_limited() ? ", and memory: raise ulimit -v" : "");
}

int program_fail_version(struct pt_error *err, struct pt_program *p)
{
	const char *dev = p->device.name;
	char remedy[128] = "wait until its receiver ends, or detach it where "
			   "its pins are to be seen";

	if (!program_find_pins(p))
		pt_error_print(remedy, sizeof(remedy), "pagetrim detach {--dev} "
			       "%s, then attach", dev);
	return pt_error_set(err, PT_EXIT_HOST, -ESTALE, "%s: the program on it "
			    "is of another version of pagetrim (%s)", dev,
			    remedy);
}

int program_fail_hidden(struct pt_error *err, const struct pt_program *p)
{
	return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: program %u is "
			    "pagetrim attach's, and its pins are not under %s "
			    "here ('ip netns exec' hides them: use nsenter "
			    "--net=/run/netns/NAME; a container needs the "
			    "host's /sys/fs/bpf)", p->device.name, p->info.id,
			    PT_PIN_ROOT);
}
