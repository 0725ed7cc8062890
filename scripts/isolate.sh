#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# isolate.sh: runs a test in namespaces of its own (root), so that tests can run
# beside each other, and so that nothing is left of one that is interrupted.
#
#     scripts/isolate.sh COMMAND...
#
#   its own                            shared with all others
#   session, process IDs, mounts       network namespace it is started in
#   /sys/fs/bpf, /dev/shm              files, TMPDIR, cgroups, loop devices
#   /run/netns, /run/pagetrim          CPUs, memory, the pool of huge pages
#
# The processes that COMMAND leaves, network namespaces that it named and its pins
# end with it, also if this process or its parent is killed.  SIGTERM to the
# process group (its ID is this process's, which becomes a session's leader) lets
# COMMAND clean up.  Exit: COMMAND's own; 125 if a namespace or mount fails, 2 usage.
set -uo pipefail

# shellcheck source=scripts/usage.sh
source "$(dirname "${BASH_SOURCE[0]}")/usage.sh"
usage_options "$@"
(($#)) || usage_misuse "no command"
mkdir -p /run/netns /run/pagetrim || exit 125

# The first process of the new process namespace: it reaps, and ends after COMMAND.
# Background jobs of a shell start with SIGINT ignored, which tests must not
# inherit.  PAGETRIM_NET (tests/net/lib.sh) is a name that no other has meanwhile:
# the number of this process namespace.
# shellcheck disable=SC2016 # the inner shell's
exec setsid --wait env --default-signal=INT,QUIT setpriv --pdeathsig KILL \
	unshare --mount --propagation private --pid --fork --kill-child \
	--mount-proc bash -c '
	trap : INT TERM
	mount -t bpf bpf /sys/fs/bpf &&
	mount -t tmpfs -o mode=1777 shm /dev/shm &&
	mount -t tmpfs -o mode=755 run /run/netns &&
	mount -t tmpfs -o mode=755 run /run/pagetrim &&
	number=$(stat -Lc %i /proc/self/ns/pid) || exit 125
	export PAGETRIM_NET=t$((number & 0xfffffff))
	"$@"' isolate "$@"
