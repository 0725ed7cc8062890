#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-distro.sh: builds and tests the last commit with another Debian release's
# compilers, libraries and tools, under this machine's kernel.
#
#     scripts/test-distro.sh SUITE                  bookworm, trixie or forky
#     scripts/test-distro.sh SUITE --run COMMAND    this, by bash, in its clone
#
# Root; needs a network unless the root is cached.  Without --run: scripts/demo.sh
# and scripts/test.sh, and in forky, which is not released, `make check` alone, and a
# build by clang; no compiler may warn.
# Each command finds a machine without a mounted /sys/fs/bpf; nothing that it
# writes stays.  The network namespace is this machine's.  The root stays in
# ~/.cache/pagetrim/distro-SUITE (2 GB); remove it to renew it.  The last line is
# 'N passed, N failed', one a command.
# Exit: 0 all passed, 1 a command failed or there is no root, 2 usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/guest/suites.sh
source "$here/guest/suites.sh"
# shellcheck source=scripts/guest/root.sh
source "$here/guest/root.sh"

suite=''
say() { echo "test-distro: ${suite:+$suite: }$*" >&2; }
die() { say "$*"; exit 1; }
misuse() { say "$* (see --help)"; exit 2; }

commands=(scripts/demo.sh scripts/test.sh)
case ${1-} in
-h | --help)	sed -n '4,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
bookworm | trixie)	;;
forky)		commands=("make -j $(nproc) WERROR=1 all tests check"
			  "make -j $(nproc) WERROR=1 CC=clang B=build/clang all tests") ;;
'')		misuse "no suite" ;;
*)		misuse "$1: want bookworm, trixie or forky" ;;
esac
suite=$1
shift
if (($#)); then
	[[ $1 == --run ]] || misuse "$1: not an option"
	[[ $# -eq 2 && $2 ]] || misuse "--run: needs one command"
	commands=("$2")
fi

[[ $EUID -eq 0 ]] || die "needs root, for a root file system and namespaces"
"$here/deps.sh"
root_begin
root_clone
root_prepare "distro-$suite" "$suite" scripts/deps.sh

passed=0 failed=0
# Packages that the commit needs and the cached root lacks are installed first.
for command in scripts/deps.sh "${commands[@]}"; do
	start=$SECONDS status=0
	root_run "$image" "$tmp/layer" "$command" || status=$?
	say "$command: exit $status after $((SECONDS - start)) s"
	if ((status)); then
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
done
echo "$passed passed, $failed failed"
((failed == 0))
