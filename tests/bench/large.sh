#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# large.sh: how fast the memory of a guest is that stood in large pages, before and after
# its move, and how much of it is in large pages then.
#
#     host a: QEMU, RAM collapsed ---> host b: QEMU
#
# Contestants, by turns: keep: pagetrim migrate; small: the same into receive
# --large-pages off; qemu: QEMU's own pre-copy.
#
#     tests/bench/large.sh [RUNS [MIB]]     default 3 runs of each, 256 MiB of RAM
#
# Under 10 minutes.  Root; takes pagetrim and tools from the build folder ($PAGETRIM_BUILD)
# as they are; keep the machine quiet.  Prints a JSON object per run: large_before,
# large_after, pages of 2 MiB in QEMU's page tables; unmapped, pages with data that QEMU
# has not mapped when the guest runs; verify_before_ms, verify_after_ms, for the guest to
# check its memory, median of 5; reach_before_ns, reach_after_ns, a read anywhere in its
# RAM by a process of the host (reach.c), since an emulated CPU has a TLB of its own; and
# seconds of the move.  At the end a table of medians on stderr.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/usage.sh
source "$root/scripts/usage.sh"
usage_options "$@"
# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

runs=${1:-3} size_mib=${2:-256}
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
export PAGETRIM_BUILD=$build
# shellcheck disable=SC2034 # lib.sh's
pagetrim=$build/pagetrim
net=l$$
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-large.XXXXXX")

cleanup()
{
	hosts_down "$net"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

large() { "$root/tests/net/large.py" "$@"; }

# look HOST KEY: of the RAM of its QEMU, see large.py.
look() { large look "$(<"$live/$1/qemu.pid")" "$(live_ram "$1")" | jq ".$2"; }

# verify_ms HOST: the median of five checks of its memory by the guest.
verify_ms()
{
	local i start

	for ((i = 0; i < 5; i++)); do
		start=${EPOCHREALTIME/./}
		live_guest tell verify --dir "$live/$1" >/dev/null
		echo $(((${EPOCHREALTIME/./} - start) / 1000))
	done | sort -n | sed -n 3p
}

reach_ns() { "$build/tests/bench/reach" "$(live_ram "$1")"; }

# contest WHO: one move; prints its results.
contest()
{
	local before verify reach unmapped

	trap 'set +e; live_down; hosts_down "$net"' EXIT
	hosts_up "$net" --lan >&2
	"$pagetrim" keygen "$live/psk" >/dev/null
	# shellcheck disable=SC2034 # lib.sh's
	live_options=(--aligned --size-mib "$size_mib"
		      --set "MIB=$((size_mib * 3 / 8)) RATE=500")
	live_launch start a >&2
	large collapse "$(<"$live/a/qemu.pid")" "$(live_ram a)"
	before=$(look a large)
	verify=$(verify_ms a) reach=$(reach_ns a)
	move a b >&2
	unmapped=$(look b lacking)
	jq -c --arg who "$1" --argjson before "$before" --argjson after "$(look b large)" \
		--argjson unmapped "$unmapped" --argjson verify "$verify" \
		--argjson reach "$reach" --argjson verify_after "$(verify_ms b)" \
		--argjson reach_after "$(reach_ns b)" '
		{who: $who, seconds, large_before: $before, large_after: $after,
		 unmapped: $unmapped, verify_before_ms: $verify,
		 verify_after_ms: $verify_after, reach_before_ns: $reach,
		 reach_after_ns: $reach_after}' "$live/move.json"
}

for ((run = 0; run < runs; run++)); do
	for who in keep small qemu; do
		live=$tmp/live mover=pagetrim live_receive_args=()
		[[ $who != small ]] || live_receive_args=(--large-pages off)
		[[ $who != qemu ]] || mover=qemu
		export mover
		mkdir "$live"
		(contest "$who") | tee -a "$tmp/results"
		rm -rf "$live"
	done
done
jq -rs 'def median: sort | .[length / 2 | floor];
	["who", "runs", "seconds", "large", "large after", "unmapped", "verify ms",
	 "after", "reach ns", "after"],
	(group_by(.who)[] | [.[0].who, length, (map(.seconds) | median),
	 (map(.large_before) | median), (map(.large_after) | median),
	 (map(.unmapped) | max), (map(.verify_before_ms) | median),
	 (map(.verify_after_ms) | median), (map(.reach_before_ns) | median),
	 (map(.reach_after_ns) | median)]) | @tsv' "$tmp/results" >&2
