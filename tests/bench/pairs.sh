#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# pairs.sh: two builds of pagetrim, by turns over the same veth.
#
#     pair 1: old new, pair 2: new old, ... --> ratios new/old of a pair --> median,
#                                               95 % interval (pairs.py)
#
# Each run sends the same memory, and the copy is compared.  Both ends are of one
# build, so the builds may speak different versions.  Figures are times and the CPU
# seconds of both ends.  Root; takes builds and tools as they are.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bench=$top/tests/bench
# shellcheck source=scripts/hosts.sh
source "$top/scripts/hosts.sh"
# shellcheck source=tests/bench/machine.sh
source "$bench/machine.sh"
# shellcheck source=tests/bench/contestants.sh
source "$bench/contestants.sh"

usage()
{
	cat <<USAGE
Usage: pairs.sh OLD NEW [options]

OLD and NEW are build folders, or files of the program.

      --pairs N        of each MTU (default 20)
      --mtus LIST      (default "65535 9000 1500")
      --size-mib N     memory (default 512)
      --memory FILE    instead of random bytes, a third of its pages zero
      --sealed         sealed frames; default: --insecure
      --old-args STR, --new-args STR   further options of that sender
      --tools DIR      the build folder with the tools (default: NEW)
      --json FILE      results, a line a run (default pairs.json in the build folder)
  -h, --help           this text

Exit: 0 all ran, 1 one failed, 2 wrong usage.
USAGE
}

die() { echo "pairs: $*" >&2; exit 1; }
warn() { echo "pairs: warning: $*" >&2; }
misuse() { echo "pairs: $* (see --help)" >&2; exit 2; }

builds=() pairs=20 mtus=(65535 9000 1500) size_mib=512 memory_file=''
both=(--insecure) args_old=() args_new=() tools='' json=$top/build/pairs.json
while (($#)); do
	case $1 in
	-h | --help)	usage; exit 0 ;;
	--sealed)	both=(); shift; continue ;;
	-*)		(($# > 1)) || misuse "$1: needs a value" ;;
	*)		builds+=("$(realpath "$1")"); shift; continue ;;
	esac
	case $1 in
	--pairs)	pairs=$2 ;;
	--mtus)		read -ra mtus <<<"$2" ;;
	--size-mib)	size_mib=$2 ;;
	--memory)	memory_file=$2 ;;
	--old-args)	read -ra args_old <<<"$2" ;;
	--new-args)	read -ra args_new <<<"$2" ;;
	--tools)	tools=$2 ;;
	--json)		json=$(realpath -m "$2") ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift 2
done
((${#builds[@]} == 2)) || misuse "want two builds"
[[ $pairs =~ ^[1-9][0-9]?$ ]] || misuse "--pairs $pairs: not a number 1..99"
[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
for i in 0 1; do
	[[ ! -d ${builds[i]} ]] || builds[i]=${builds[i]}/pagetrim
	[[ -x ${builds[i]} ]] || die "${builds[i]}: no program"
done
tools=$(realpath "${tools:-$(dirname "${builds[1]}")}")/tests/bench
[[ -x $tools/usage ]] || die "$tools/usage: not built (make tools)"
hosts_bpffs

name=q$$ tmp=$(mktemp -d)
memory=$tmp/memory
ram=$memory/ram
# shellcheck disable=SC2034 # contestants.sh's
send_args=() receive_args=()
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

mkdir "$memory"
mount -t tmpfs tmpfs "$memory"
if [[ $memory_file ]]; then
	cp --sparse=always "$memory_file" "$ram"
else
	python3 -c '
import random, sys
r = random.Random(1)
page = bytes(4096)
with open(sys.argv[1], "wb") as ram:
    for _ in range(int(sys.argv[2]) * 256):
        ram.write(page if r.random() < 1 / 3 else r.randbytes(4096))' \
		"$ram" "$size_mib"
fi
if ((${#both[@]} == 0)); then
	"${builds[1]}" keygen "$tmp/psk" >/dev/null
	both=(--psk "$tmp/psk")
fi

# one WHICH MTU PAIR: a run of that build, into the results.
one()
{
	local which=$1

	# shellcheck disable=SC2034 # contestants.sh's
	if [[ $which == old ]]; then
		pagetrim=${builds[0]} send_args=("${args_old[@]}")
	else
		pagetrim=${builds[1]} send_args=("${args_new[@]}")
	fi
	ours 1 blocks "${both[@]}"
	jq -c --arg which "$which" --argjson mtu "$2" --argjson pair "$3" \
		'{which: $which, mtu: $mtu, pair: $pair, seconds, cpu_s,
		  send_cpu_s: (.send.user_s + .send.sys_s),
		  receive_cpu_s: (.receive.user_s + .receive.sys_s - .receive.ready_s)}' \
		<<<"$result" >>"$json"
}

: >"$json"
read -r load _ </proc/loadavg
echo "load at the start: $load" >&2
for mtu in "${mtus[@]}"; do
	hosts_up "$name" --mtu "$mtu"
	one old "$mtu" 0	# warms memory and caches; pair 0 does not count
	one new "$mtu" 0
	for ((pair = 1; pair <= pairs; pair++)); do
		if ((pair % 2)); then
			one old "$mtu" "$pair"
			one new "$mtu" "$pair"
		else
			one new "$mtu" "$pair"
			one old "$mtu" "$pair"
		fi
	done
	hosts_down "$name"
done
"$bench/pairs.py" "$json"
