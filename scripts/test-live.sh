#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-live.sh: a guest that runs moves back and forth between two hosts, under
# each tracker and through two proxies, at several dirty rates, over a path that
# loses frames or not (root).
#
#     host a: QEMU <-- 20 moves in turn, balloon in and out --> host b: QEMU
#        \                  veth, or the test wire                /
#         `---------- bridges ---- host c: client ---- bridges --'
#
# After each move the guest checks all of its memory, and what it read from a slow
# disk by O_DIRECT on the way.  A case fails if one byte was wrong, or if the
# client lost an answer or got one twice.  Prints one line per case, and the
# longest gaps that the client saw, and appends a JSON object to the results.
# Cases that passed by these results are not run again, so that what was stopped
# goes on where it was.
#
# shellcheck disable=SC2317 # cases are called by name
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage()
{
	cat <<USAGE
Usage: test-live.sh [options]

      --results FILE   one JSON object a case (default live.jsonl in the build
                       folder)
      --again          do not leave out what has passed by the results
      --minutes N      begin no case after so long, 1..600 (default 85)
      --moves N        of each case, 1..1000 (default 20)
      --only WORD      the cases whose name has it
      --qemu           moves by QEMU's own pre-copy, to compare with (QEMU before
                       9 damages its guest, see tests/live/qemu_live.py)
      --list           run nothing: print the cases
  -h, --help           this text

Where QEMU damages a guest that it moves while it runs, the guest is stopped while it
moves through the proxies, and writes at its pace between two moves.

Installs missing packages and builds.  Environment: PAGETRIM_BUILD, a build
folder to use as it is; PAGETRIM_QEMU, the QEMU to use with its first arguments.

Exit: 0 all passed, 1 one failed, 2 wrong usage, 3 time is over: run it again.
USAGE
}

misuse() { echo "test-live: $* (see --help)" >&2; exit 2; }

# number NAME VALUE MOST
number()
{
	[[ $2 =~ ^[1-9][0-9]{0,3}$ && $2 -le $3 ]] ||
		misuse "$1 $2: not a number 1..$3"
}

results='' again='' only='' list='' qemu='' minutes=85 moves=20
while (($#)); do
	[[ $# -gt 1 || $1 =~ ^(--again|--qemu|--list|--help|-h)$ ]] ||
		misuse "$1: needs a value"
	case $1 in
	--results)	results=$2; shift ;;
	--again)	again=1 ;;
	--minutes)	number "$1" "$2" 600; minutes=$2; shift ;;
	--moves)	number "$1" "$2" 1000; moves=$2; shift ;;
	--only)		only=$2; shift ;;
	--qemu)		qemu=1 ;;
	--list)		list=1 ;;
	-h | --help)	usage; exit 0 ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift
done

# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

# ---- cases ------------------------------------------------------------------

live_limit=300
! live_loses_writes || live_limit=stopped

# cases: prints MOVER TRACKER PACE LOSS, loss in per mille, one case per line.
cases()
{
	local pace loss by

	if [[ $qemu ]]; then
		for pace in idle few many whole hot; do
			echo "qemu none $pace 0"
		done
		return
	fi
	for loss in 0 10; do
		for by in "pagetrim wp-async" "pagetrim digest" "proxy none"; do
			for pace in idle few many whole hot; do
				echo "$by $pace $loss"
			done
		done
	done
}

# case_name MOVER TRACKER PACE LOSS
case_name()
{
	local by="QEMU's pre-copy"

	case $1 in
	pagetrim)	by="pagetrim, tracker $2" ;;
	proxy)		by="through proxies"
			[[ $live_limit != stopped ]] || by+=", stopped" ;;
	esac
	echo "live: $by, $3, $4 per mille lost, $moves moves"
}

if [[ $list ]]; then
	while read -ra words; do
		case_name "${words[@]}"
	done < <(cases)
	exit
fi

[[ $EUID -eq 0 ]] || { echo "test-live: needs root, for namespaces" >&2; exit 1; }
hosts_bpffs
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
if [[ -z ${PAGETRIM_BUILD-} ]]; then
	"$root/scripts/deps.sh"
	make -s -C "$root" -j "$(nproc)" all tools
fi
export PAGETRIM_BUILD=$build
results=${results:-$build/live.jsonl}
pagetrim=$build/pagetrim net=v$$
case_s=$((120 + 30 * moves))	# a case that takes longer has failed
size_mib=256 balloon_mib=216
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-live.XXXXXX")

case_pid=''
cleanup()
{
	if [[ $case_pid ]]; then
		kill "$case_pid" 2>/dev/null || true
		wait "$case_pid" || true
	fi
	hosts_down "$net"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# case_begin PACE LOSS
case_begin()
{
	local -a up=(--lan)

	live_options=(--size-mib "$size_mib" --set "MIB=96 DISK=4 ${live_paces[$1]}")
	(($2 == 0)) || up+=(--wire)
	hosts_up "$net" "${up[@]}"
	(($2 == 0)) || hosts_wire_start "$net" "$live/wire" \
		"$build/tests/net/wire" --drop "$2"
	"$pagetrim" keygen "$live/psk" >/dev/null
	live_disk_begin 64 50
	live_launch start a
	live_client_begin
}

# case_body MOVER TRACKER PACE LOSS: $live/moves gets a line per move.
case_body()
{
	local from=a to=b last=$((SECONDS + case_s)) i

	mover=$1
	case $1 in
	pagetrim)	# A busy machine makes a longer stop, and none fails by it.
			live_migrate_args=(--tracker "$2" --on-no-converge stop) ;;
	proxy)		live_ram() { echo private; } ;;
	esac
	case_begin "$3" "$4"
	for ((i = 1; i <= moves; i++)); do
		((SECONDS < last)) ||
			live_fail "$((i - 1)) moves in $case_s s"
		live_balloon $from $((i % 2 ? balloon_mib : size_mib))
		move $from $to
		live_is_sound $to >"$live/beat"
		jq -c 'del(."query-migrate", .report)' "$live/move.json" \
			>>"$live/moves"
		[[ $from == a ]] && from=b to=a || from=a to=b
	done
	live_client_end >"$live/client"
}

# case_run MOVER TRACKER PACE LOSS: in a subshell of its own; prints, records and
# counts.  (Not in a condition, where set -e would have no effect.)
case_run()
{
	local name started=$SECONDS status=0 live=$tmp/case

	name=$(case_name "$@")
	mkdir "$live"
	: >"$live/moves"
	echo null >"$live/client"
	set +e
	(
		set -e
		trap 'set +e; live_down; hosts_down "$net"' EXIT
		case_body "$@"
	) >"$tmp/log" 2>&1 &
	case_pid=$!
	wait "$case_pid"	# unlike a command, a signal ends it
	status=$?
	case_pid=''
	set -e
	jq -nc --arg name "$name" --argjson words "$(jq -nc '$ARGS.positional' \
		--args "$@")" --argjson ok $((status == 0 ? 1 : 0)) \
		--argjson took $((SECONDS - started)) --slurpfile moves "$live/moves" \
		--slurpfile client "$live/client" --rawfile log "$tmp/log" '
		def spread: sort | {median: .[length / 2 | floor], most: .[-1]};
		{ case: $name, mover: $words[0], tracker: $words[1],
		  pace: $words[2], loss: ($words[3] | tonumber), ok: ($ok == 1),
		  took_s: $took, moves: ($moves | length),
		  gap_ms: ($moves | map(.gap_ms) | spread),
		  tcp_gap_ms: ($moves | map(.tcp_gap_ms) | spread),
		  seconds: ($moves | map(.seconds) | spread),
		  bytes: ($moves | map(.bytes) | spread),
		  client: $client[0], each: $moves,
		  log: (if $ok == 1 then null else $log end) }' >"$tmp/result"
	cat "$tmp/result" >>"$results"
	if ((status == 0)); then
		passed=$((passed + 1))
		echo "ok $name ($((SECONDS - started)) s; gap median" \
			"$(jq -r '"\(.gap_ms.median) ms, longest \(.gap_ms.most) ms"' \
			"$tmp/result"))"
	else
		failed=$((failed + 1))
		echo "not ok $name"
		sed 's/^/    /' "$tmp/log"
	fi
	rm -rf "$live"
}

# has_passed NAME: by the results.
has_passed()
{
	[[ ! $again && -e $results ]] &&
		jq -e --arg name "$1" 'select(.case == $name and .ok)' \
			"$results" >/dev/null
}

passed=0 failed=0 left=0
while read -ra words <&3; do
	name=$(case_name "${words[@]}")
	[[ $name == *"$only"* ]] || continue
	if has_passed "$name"; then
		passed=$((passed + 1))
	elif ((SECONDS > minutes * 60)); then
		left=$((left + 1))
	else
		case_run "${words[@]}"
	fi
done 3< <(cases)
echo "results: $results"
((left == 0)) || echo "$left cases are left: run it again"
echo "$passed passed, $failed failed"
((failed == 0)) || exit 1
((left == 0)) || exit 3
((passed > 0))
