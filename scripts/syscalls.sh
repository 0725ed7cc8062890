#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# syscalls.sh: the system calls that send, receive, migrate and proxy make once they
# filter them, against the lists of user/confine/calls.h.
#
#     net tests --pagetrim under strace--> logs --> calls behind the filter
#
#     scripts/syscalls.sh TEST...        runs e.g. tests/net/test_transfer.sh
#
# Root, and a build.  It prints each call that was made with how often; then those that
# were refused, and those of the lists that none of these tests makes.  Environment:
# PAGETRIM_BUILD, as for the net tests.  Exit: 0, 1 if one was refused, or no test ran, 2
# usage.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath "${PAGETRIM_BUILD:-$root/build}")
# shellcheck source=scripts/usage.sh
source "$root/scripts/usage.sh"
usage_options "$@"
(($#)) || usage_misuse "no test"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A build folder whose pagetrim runs under strace.  --user must be able to write.
mkdir -m 1777 "$tmp/logs"
chmod 0755 "$tmp"
mkdir "$tmp/build"
ln -s "$build"/* "$tmp/build/"
rm "$tmp/build/pagetrim"
cat >"$tmp/build/pagetrim" <<END
#!/bin/sh
case \$1 in
send | receive | migrate | proxy) ;;
*) exec '$build/pagetrim' "\$@" ;;
esac
exec strace -f -qq -e signal=none -o '$tmp'/logs/\$\$ '$build/pagetrim' "\$@"
END
chmod 0755 "$tmp/build/pagetrim"

PAGETRIM_BUILD=$tmp/build PAGETRIM_PATIENCE=${PAGETRIM_PATIENCE:-5} \
	"$root/tests/net/run.sh" "$@" | grep -v '^ ' >&2 || true

# A line: PID name(arguments) = result.  The filter begins with the second that is
# loaded: the first is pt-confine's.  libseccomp probes the kernel with none.
awk '/ seccomp\(SECCOMP_SET_MODE_FILTER.*len=/ { loads[FILENAME]++ }
	loads[FILENAME] > 1 && match($0, /^[0-9]+ +[a-z_0-9]+\(/) {
		name = $2
		sub(/\(.*/, "", name)
		if (name != "seccomp") print name
	}' "$tmp"/logs/* | sort | uniq -c | sort -rn >"$tmp/made"
[[ -s $tmp/made ]] || { echo "syscalls: no call was seen" >&2; exit 1; }
cat "$tmp/made"

sed -n '/confine_calls\[\]/,$p' "$root/user/confine/calls.h" | grep -o '"[a-z_0-9]*"' |
	tr -d '"' | sort >"$tmp/listed"
printf 'bpf\nsocket\n' >>"$tmp/listed"
sort -o "$tmp/listed" "$tmp/listed"
awk '{ print $2 }' "$tmp/made" | sort >"$tmp/names"
echo "not made: $(comm -13 "$tmp/names" "$tmp/listed" | tr '\n' ' ')"
refused=$(comm -23 "$tmp/names" "$tmp/listed" | tr '\n' ' ')
echo "refused: $refused"
[[ -z $refused ]]
