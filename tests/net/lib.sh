# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lib.sh: what the net tests share.  Sourced by each tests/net/test_*.sh:
#
#     source "$(dirname "$0")/lib.sh"
#     the_case() { hosts_up "$net"; ...; }
#     case_run "what must hold" the_case ARG...
#     cases_end
#
# A case runs in a subshell under `set -e`, in a folder of its own ($dir), with
# hosts of its own ($net, for hosts.sh); the first command that fails, fails it.
# Afterwards its processes, hosts and folder are gone.  Each case prints `ok
# NAME` or `not ok NAME`, the latter with all it printed.
#
# Environment: PAGETRIM_BUILD, the build folder (default build); KEEP=1 prints
# what passing cases print, too; ONLY=WORD runs the cases whose name has it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${PAGETRIM_BUILD:-$root/build}
# shellcheck disable=SC2034 # used by the tests
here=$root/tests/net pagetrim=$build/pagetrim wire=$build/tests/net/wire
# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"

# Network names must be short; every shell has its own.
net=t$$
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-net.XXXXXX")
case_cnt=0 failed_cnt=0

cleanup() { hosts_down "$net"; rm -rf "$tmp"; }
trap cleanup EXIT
trap 'exit 1' INT TERM

# die TEXT...: the case fails.
die() { echo "failed: $*" >&2; exit 1; }

# show COMMAND...: print it, run it.
show() { echo "+ $*" >&2; "$@"; }

# ---- cases ------------------------------------------------------------------

# case_end: what a case leaves behind ends here.  Keeps the case's status.
case_end()
{
	local status=$?

	trap - EXIT
	hosts_down "$net" || status=1
	[[ ! -s $dir/mounts ]] || xargs -r umount -l <"$dir/mounts"
	rm -rf "$dir"
	exit "$status"
}

case_body()
{
	trap case_end EXIT
	trap - INT TERM
	mkdir "$dir"
	cd "$dir"
	"$@"
}

# case_run NAME FUNCTION ARG...
case_run()
{
	local name=$1 log=$tmp/log status started=$SECONDS

	shift
	[[ -z ${ONLY-} || $name == *"$ONLY"* ]] || return 0
	case_cnt=$((case_cnt + 1))
	dir=$tmp/case
	set +e
	(set -e; case_body "$@") >"$log" 2>&1
	status=$?
	set -e
	if [[ $status -eq 0 ]]; then
		echo "ok $name ($((SECONDS - started)) s)"
		[[ -z ${KEEP-} ]] || sed 's/^/    /' "$log"
	else
		failed_cnt=$((failed_cnt + 1))
		echo "not ok $name"
		sed 's/^/    /' "$log"
	fi
}

cases_end()
{
	[[ $case_cnt -gt 0 || -n ${ONLY-} ]] || failed_cnt=1
	exit $((failed_cnt > 0))
}

# ---- conditions -------------------------------------------------------------

# wait_until SECONDS COMMAND...: until it succeeds.
wait_until()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS <= end)) || die "never: $*"
		sleep 0.02
	done
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# finish PID SECONDS: wait for that child to end by itself; sets status.
finish()
{
	local end=$((SECONDS + $2))

	until is_gone "$1"; do
		((SECONDS <= end)) || die "process $1 hangs: still there after $2 s"
		sleep 0.02
	done
	status=0
	wait "$1" || status=$?
}

# same WHAT GOT WANT
same() { [[ $2 == "$3" ]] || die "$1: $2, want $3"; }

same_file()
{
	local want got

	want=$(sha256sum <"$1")
	got=$(sha256sum <"$2")
	[[ $want == "$got" ]] || die "$2 differs from $1: $(cmp "$1" "$2" 2>&1)"
}
