#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# choices.sh: what --compress auto chooses while a bottleneck changes during one
# transfer, and what --observe says that it would have chosen.
#
#     netns pt-z$$-a        netns pt-z$$-w: the hop        netns pt-z$$-b
#     send --compress auto = x -- bridge -- y: htb ========= receive
#        |                       10 Gbit/s, 500 Mbit/s, 10 Gbit/s
#        '-- control socket --> choices.py: twenty looks a second --> JSON, plot
#
# The memory is made of this machine's programs and libraries; pages are not equal
# to others.  The copy is compared.  Root; takes pagetrim from the build folder as it
# is.  The rest is in usage below.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bench=$top/tests/bench
# shellcheck source=scripts/hosts.sh
source "$top/scripts/hosts.sh"
# shellcheck source=tests/bench/machine.sh
source "$bench/machine.sh"
# shellcheck source=tests/bench/bytes_hop.sh
source "$bench/bytes_hop.sh"

usage()
{
	cat <<USAGE
Usage: choices.sh [options]

      --size-mib N     memory (default 6144; its copy takes as much)
      --mtu BYTES      (default 9000)
      --steps LIST     Mbit/s:seconds, the last one lasts until the end
                       (default "10000:4 500:8 10000:0")
      --observe        compress nothing, only observe
      --json FILE      the looks (default choices.json in the build folder)
      --plot FILE      an SVG of them
  -h, --help           this text

Environment: PAGETRIM_BUILD.
Exit: 0 the copy is as the memory, 1 it is not, or a failure, 2 wrong usage.
USAGE
}

die() { echo "choices: $*" >&2; exit 1; }
misuse() { echo "choices: $* (see --help)" >&2; exit 2; }

build=$(realpath -m "${PAGETRIM_BUILD:-$top/build}") pagetrim=$build/pagetrim
size_mib=6144 mtu=9000 steps=(10000:4 500:8 10000:0) json=$build/choices.json plot=''
extra=()
while (($#)); do
	case $1 in
	-h | --help)	usage; exit 0 ;;
	--observe)	extra+=(--observe); shift; continue ;;
	esac
	(($# > 1)) || misuse "$1: needs a value"
	case $1 in
	--size-mib)	size_mib=$2 ;;
	--mtu)		mtu=$2 ;;
	--steps)	read -ra steps <<<"$2" ;;
	--json)		json=$(realpath -m "$2") ;;
	--plot)		plot=$(realpath -m "$2") ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift 2
done
[[ $size_mib =~ ^[1-9][0-9]{0,5}$ ]] || misuse "--size-mib $size_mib: not a number"
[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
hosts_bpffs

name=z$$ tmp=$(mktemp -d) memory=$tmp/memory
cleanup()
{
	trap '' INT TERM
	hosts_down "$name" || true
	! mountpoint -q "$memory" || umount "$memory"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# memory_make: programs and libraries again and again, each time 61 bytes further, so
# that no page equals another.
memory_make()
{
	local i

	for ((i = 0; ; i++)); do
		head -c $((i * 61)) /dev/zero &&
			find /usr/lib /usr/bin -xdev -type f -size +64k -print0 |
			sort -z | xargs -0 cat || break
	done 2>/dev/null | head -c "${size_mib}M" >"$memory/ram" || true
	[[ $(stat -c %s "$memory/ram") -eq $((size_mib << 20)) ]] ||
		die "$memory/ram: the memory could not be made"
}

# path_set MBPS: the rate of both directions from now on.
path_set()
{
	local side

	for side in x y; do
		hop_shape "$(hosts_dev "$name" "$side")" "$1" "$mtu" change
	done
}

mkdir "$memory"
mount -t tmpfs -o size=$((size_mib * 2 + 64))M tmpfs "$memory"
memory_make
hop_up "${steps[0]%:*}" "$mtu"
hosts_exec "$name" b "$pagetrim" receive --insecure --listen "$HOSTS_B4" \
	--dev "$(hosts_dev "$name" b)" --queues 1 --out "$memory/copy" --json \
	>"$tmp/rx.json" 2>"$tmp/rx.err" &
receiver=$!
until_true 60 grep -qs " listening on " "$tmp/rx.err" ||
	die "receive: $(cat "$tmp/rx.err")"
hosts_exec "$name" a "$pagetrim" send --insecure --to "$HOSTS_B4" \
	--dev "$(hosts_dev "$name" a)" --queues 1 --control "$tmp/ctl" --json \
	--compress auto "${extra[@]}" "$memory/ram" >"$tmp/tx.json" 2>"$tmp/tx.err" &
sender=$!
"$bench/choices.py" look "$tmp/ctl" "$json" "$tmp/path" &
looker=$!
for step in "${steps[@]}"; do
	path_set "${step%:*}"
	echo "${step%:*}" >"$tmp/path.new"
	mv "$tmp/path.new" "$tmp/path"
	((${step#*:} == 0)) || sleep "${step#*:}"
done
wait "$sender" || die "send: $(cat "$tmp/tx.err")"
wait "$receiver" || die "receive: $(cat "$tmp/rx.err")"
wait "$looker"
cmp "$memory/ram" "$memory/copy" >&2 || die "the copy differs"
jq -c .compression "$tmp/tx.json"
"$bench/choices.py" show "$json" ${plot:+"$plot"}
