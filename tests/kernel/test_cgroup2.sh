#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# A process is throttled in a cgroup of version 2, and one that is frozen there is
# read, by the unit tests, where the kernel has no other cgroups.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

unit()
{
	mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
	"$build/tests/unit/test_$1"
}

case_run "cgroup2: throttled" unit throttle
case_run "cgroup2: frozen" unit freeze
cases_end
