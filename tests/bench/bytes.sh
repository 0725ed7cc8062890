#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# bytes.sh: a link that is the bottleneck: how long each contestant takes, and how
# many bytes it puts on that link.
#
#     netns pt-y$$-a        netns pt-y$$-w: the hop        netns pt-y$$-b
#     source ============= x -- bridge -- y: htb ========== sink
#
# The contestants (bytes_contestants.sh) run by turns over the same hop, which has
# the rate and drops what waits for too long; no segments larger than its frames
# cross it.  Bytes are those that its two devices counted, both ways, Ethernet
# without FCS.  A cell is one image, rate, MTU, contestant and run.  Cells that the
# results have are not run again, so a run that was cut short goes on where it was.
# Cells that AF_XDP frames alone cannot fill 1.2 times over are left out.
#
# Prints a JSON object per run to the results, and the tables of bytes_tables.py.
# Root; takes pagetrim and tools from the build folder as they are.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bench=$top/tests/bench guest=$top/scripts/guest.sh
# shellcheck source=scripts/hosts.sh
source "$top/scripts/hosts.sh"
# shellcheck source=tests/bench/machine.sh
source "$bench/machine.sh"
# shellcheck source=tests/bench/images.sh
source "$bench/images.sh"
# shellcheck source=tests/bench/contestants.sh
source "$bench/contestants.sh"
# shellcheck source=tests/bench/bytes_hop.sh
source "$bench/bytes_hop.sh"
# shellcheck source=tests/bench/bytes_contestants.sh
source "$bench/bytes_contestants.sh"

usage()
{
	cat <<USAGE
Usage: bytes.sh --guest DIR [options]

      --guest DIR      the guest that 'scripts/bench.sh --guest DIR' keeps; booted
                       and put there if DIR has none
      --database DIR   the guest that database_guest.sh leaves; likewise
      --images LIST    of guest database (default "guest")
      --links LIST     Mbit/s, 0: not shaped (default "0 10000 2500 1000")
      --mtus LIST      (default "65535 9000 1500")
      --only LIST      contestants (default: all), with -warm: into a sink that is
                       allocated before
      --runs N         of each (default 3)
      --json FILE      results, old and new (default bytes.json in the build folder)
      --render FILE    run nothing: the tables of these results
      --write FILE     the tables into this document, between its marks; plots
                       beside it
      --list           run nothing: print the contestants
  -h, --help           this text

Environment: PAGETRIM_BUILD; QEMU 10 is that of scripts/test-nic.sh.
Exit: 0 all ran, 1 one failed, 2 wrong usage.
USAGE
}

die() { echo "bytes: $*" >&2; exit 1; }
warn() { echo "bytes: warning: $*" >&2; }
misuse() { echo "bytes: $* (see --help)" >&2; exit 2; }

build=$(realpath -m "${PAGETRIM_BUILD:-$top/build}")
# shellcheck disable=SC2034 # images.sh's
kept='' database='' images=(guest) only=("${bytes_all[@]}") work=6
links=(0 10000 2500 1000) mtus=(65535 9000 1500)
runs=3 json=$build/bytes.json render='' write=''
# contestants.sh reads these.
# shellcheck disable=SC2034
size_mib=1024 send_args=() receive_args=() pagetrim=$build/pagetrim
# shellcheck disable=SC2034
tools=$build/tests/bench
while (($#)); do
	case $1 in
	-h | --help)	usage; exit 0 ;;
	--list)		printf '%s\n' "${bytes_all[@]}"; exit 0 ;;
	esac
	(($# > 1)) || misuse "$1: needs a value"
	case $1 in
	--guest)	kept=$(realpath -m "$2") ;;
	--database)	database=$(realpath -m "$2") ;;
	--images)	read -ra images <<<"$2" ;;
	--links)	read -ra links <<<"$2" ;;
	--mtus)		read -ra mtus <<<"$2" ;;
	--only)		read -ra only <<<"$2" ;;
	--runs)		runs=$2 ;;
	--json)		json=$(realpath -m "$2") ;;
	--render)	render=$2 ;;
	--write)	write=$(realpath -m "$2") ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift 2
done
[[ $runs =~ ^[1-9][0-9]?$ ]] || misuse "--runs $runs: not a number 1..99"
for who in "${only[@]}"; do
	[[ " ${bytes_all[*]} " == *" ${who%-warm} "* ]] ||
		misuse "$who: no contestant (of: ${bytes_all[*]})"
done

# shown: the tables of the results.
shown() { "$bench/bytes_tables.py" "$1" ${write:+--write "$write"}; }

if [[ $render ]]; then
	shown "$render"
	exit
fi
for image in "${images[@]}"; do
	case $image in
	guest)		[[ $kept ]] || misuse "image guest needs --guest" ;;
	database)	[[ $database ]] || misuse "image database needs --database" ;;
	*)		misuse "$image: no image (of: guest database)" ;;
	esac
done
[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
hosts_bpffs

name=y$$
tmp=$(mktemp -d) memory=$tmp/memory ram=$tmp/memory/ram
tmp_src=$tmp/src tmp_dst=$tmp/dst

# guests_end: of a contestant, in any state.
guests_end()
{
	local d

	for d in "$tmp_src" "$tmp_dst"; do
		[[ ! -d $d ]] || "$guest" stop --dir "$d" --keep-ram || true
	done
	rm -f "$ram".{copy,qemu}
}

cleanup()
{
	trap '' INT TERM
	guests_end
	hosts_down "$name" || true
	! mountpoint -q "$memory" || umount "$memory"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ------------------------------------------------------------------ the cells

declare -A have=()	# cells of the results

cells_read()
{
	local key

	[[ -s $json ]] || return 0
	while read -r key; do
		have[$key]=1
	done < <(jq -r 'select(.seconds) |
		"\(.image)/\(.link_mbps)/\(.mtu)/\(.who)/\(.run)"' "$json")
}

# image_stage IMAGE: it stands at $ram, its devices' state at $tmp/state.
image_stage()
{
	local from

	case $1 in
	guest)		from=$kept ;;
	database)	from=$database ;;
	esac
	cp "$from/state" "$tmp/state"
	cp --sparse=always "$from/guest" "$ram"
	# shellcheck disable=SC2034 # contestants.sh's
	size_mib=$(($(stat -c %s "$ram") >> 20))
}

# images_there: the folders have their guests.
images_there()
{
	if [[ " ${images[*]} " == *" guest "* && ! -s $kept/state ]]; then
		guest_boot
	fi
	if [[ " ${images[*]} " == *" database "* ]]; then
		"$bench/database_guest.sh" "$database"
	fi
}

# cell WHO RUN: runs it, unless the results have it.
cell()
{
	local key=$image/$link/$mtu/$1/$2 load status=0

	[[ -z ${have[$key]-} ]] || return 0
	read -r load _ </proc/loadavg
	warm_memory
	rm -f "$tmp/result"
	(
		trap - EXIT
		set -e
		bytes_contest "$1"
		echo "$result" >"$tmp/result"
	) || status=$?
	((status == 0)) || guests_end
	jq -nc --arg image "$image" --argjson link "$link" --argjson mtu "$mtu" \
		--arg who "$1" --argjson run "$2" --argjson load "$load" \
		--slurpfile got <(cat "$tmp/result" 2>/dev/null) '
		{image: $image, link_mbps: $link, mtu: $mtu, who: $who, run: $run,
		 load: $load} + ($got[0] // {failed: true})' >>"$json"
	((status == 0)) || failed=1
}

# cells_of_hop: all runs of the images over the hop that stands.
cells_of_hop()
{
	local run who

	for image in "${images[@]}"; do
		image_stage "$image"
		for ((run = 1; run <= runs; run++)); do
			for who in "${only[@]}"; do
				echo "bytes: $image, $link Mbit/s, MTU $mtu," \
					"run $run: $who" >&2
				cell "$who" "$run"
			done
		done
		rm -f "$ram"
	done
}

failed=''
cells_read
mkdir "$memory"
mount -t tmpfs -o "size=6G" pt-bytes "$memory"
"$pagetrim" keygen "$tmp/psk" >/dev/null
bytes_absent
images_there
[[ -s $json ]] || { mkdir -p "$(dirname "$json")" && : >"$json"; }
for link in "${links[@]}"; do
	for mtu in "${mtus[@]}"; do
		hop_can_fill "$link" "$mtu" || continue
		hop_up "$link" "$mtu"
		cells_of_hop
		hosts_down "$name"
	done
done
shown "$json"
[[ -z $failed ]] || die "a cell failed: see above"
