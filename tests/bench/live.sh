#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# live.sh: how long a guest that runs is on its way, and how long it stands still.
#
#     host a: QEMU ---- ptNAMEx  bridge  ptNAMEy: htb ---- host b: QEMU
#        \                                                  /
#         `-------- bridges ---- host c: client ----- bridges
#
# Contestants, by turns:
#     pagetrim     pagetrim migrate, sealed     (pagetrim10: under QEMU 10)
#     digest       the same with --tracker digest
#     nodelta      the same without deltas of pages  (nodelta10)
#     qemu         QEMU's own pre-copy          (qemu10: of QEMU 10)
#
# A run is one move of one guest, each time from where it is to the other host.
# gap_ms, the longest gap that the client saw, is the downtime.  loop_during_us /
# loop_before_us is how much slower the guest was meanwhile, by a loop in it that
# touches no memory.  Pace redis: Redis in the guest is kept busy from host c;
# ops_before, ops_during: operations a second.  sound: false if the guest found damage, which ends its runs.
#
# Prints a JSON object per run on stdout, and tables of medians at the end on
# stderr.  Root; takes pagetrim and tools from the build folder as they are.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

usage()
{
	cat <<USAGE
Usage: live.sh [options]

      --only LIST      of pagetrim digest nodelta qemu, pagetrim10 nodelta10
                       qemu10 (default
                       "pagetrim qemu")
      --links LIST     Mbit/s, 0: not shaped (default "0 1000")
      --paces LIST     of ${!live_paces[*]} (default "idle few")
      --sizes LIST     MiB of RAM, three eighths of it checked (default "512")
      --runs N         of each (default 5)
      --render FILE    run nothing: the tables of these results
  -h, --help           this text

Environment: PAGETRIM_BUILD; QEMU 10 is that of scripts/test-nic.sh.
USAGE
}

only="pagetrim qemu" links="0 1000" paces="idle few" sizes=512 runs=5 rendered=''
while (($#)); do
	[[ $# -gt 1 || $1 =~ ^(-h|--help)$ ]] || { usage >&2; exit 2; }
	case $1 in
	--only)		only=$2; shift ;;
	--links)	links=$2; shift ;;
	--paces)	paces=$2; shift ;;
	--sizes)	sizes=$2; shift ;;
	--runs)		runs=$2; shift ;;
	--render)	rendered=$2; shift ;;
	-h | --help)	usage; exit 0 ;;
	*)		usage >&2; exit 2 ;;
	esac
	shift
done

# render FILE: the medians, one line per size, link, pace and contestant.
render()
{
	echo "MiB   Mbit/s  pace   who          runs  seconds  gap ms  longest  MB sent  slower  ops"
	jq -rs 'def median: sort | if length == 0 then null else .[length / 2 | floor] end;
		def mean(f): map(f) | median;
		group_by([.size_mib, .link_mbps, .pace, .who])[] |
		. as $all | map(select(.seconds)) |
		[$all[0].size_mib, $all[0].link_mbps, $all[0].pace, $all[0].who,
		 "\(length)\(if all($all[]; .sound) then "" else " damaged" end)",
		 mean(.seconds), mean(.gap_ms), (map(.gap_ms) | max),
		 ((mean(.link_bytes) // 0) / 1e6 | . * 10 | round / 10),
		 (map(.loop_during_us / .loop_before_us) | median // 0 |
		  . * 100 | round / 100),
		 (map(select(.ops_before) | .ops_during / .ops_before) | median //
		  "" | if . == "" then . else . * 100 | round / 100 end)] |
		@tsv' "$1" |
		awk -F '\t' '{ printf "%-5s %-7s %-6s %-12s %-5s %-8s %-7s %-8s %-8s %-7s %s\n",
			$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 }'
}

if [[ $rendered ]]; then
	render "$rendered"
	exit
fi

build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
export PAGETRIM_BUILD=$build
# shellcheck disable=SC2034 # lib.sh's
pagetrim=$build/pagetrim
net=l$$
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-live.XXXXXX")

cleanup()
{
	hosts_down "$net"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# qemu10: prints the command of QEMU 10; fails if there is none.
qemu10()
{
	local dir=${XDG_CACHE_HOME:-$HOME/.cache}/pagetrim/nic-qemu

	[[ -x $dir/usr/bin/qemu-system-x86_64 ]] || return
	echo "env QEMU_MODULE_DIR=/nonexistent $dir/usr/bin/qemu-system-x86_64" \
		"-L $dir/usr/share/qemu -L /usr/share/seabios -L /usr/lib/ipxe/qemu"
}

# link_up MBPS: the hosts, and the bottleneck between them in both directions.
# The wire's namespace gets a bridge in place of the wire.
link_up()
{
	local side dev hub

	hosts_up "$net" --wire --lan
	hub=$(hosts_dev "$net" h)
	hosts_run "$net" w ip link add "$hub" type bridge mcast_snooping 0
	hosts_run "$net" w ip link set "$hub" up
	for side in x y; do
		dev=$(hosts_dev "$net" $side)
		hosts_run "$net" w ip link set "$dev" master "$hub"
		(($1 > 0)) || continue
		hosts_run "$net" w tc qdisc replace dev "$dev" root handle 1: \
			htb default 1
		hosts_run "$net" w tc class add dev "$dev" parent 1: \
			classid 1:1 htb rate "$1mbit" burst 64k cburst 64k
		# 20 ms of the rate.
		hosts_run "$net" w tc qdisc add dev "$dev" parent 1:1 bfifo \
			limit $(($1 * 2500))
	done
	# Segments would be larger than the bottleneck's frames.
	for side in a b; do
		hosts_run "$net" $side ethtool -K "$(hosts_dev "$net" $side)" \
			tso off gso off >/dev/null
	done
}

# link_bytes HOST: Ethernet bytes that its device sent.
link_bytes()
{
	# shellcheck disable=SC2016 # awk's
	hosts_run "$net" "$1" awk -v dev="$(hosts_dev "$net" "$1"):" \
		'$1 == dev { print $10 }' /proc/net/dev
}

# loops FILE FROM: the mean of the loop's times in the beats from that line on.
loops()
{
	sed -n "$2,\$s/.* loop \([0-9]*\) us.*/\1/p" "$1" |
		awk '{ n += $1 } END { print NR ? n / NR : 0 }'
}

# redis_rate BEFORE AFTER: operations a second, as JSON; null without a Redis.
redis_rate()
{
	if [[ $live_redis ]]; then
		jq -s '(.[1].operations - .[0].operations) /
			(.[1].time - .[0].time)' "$@"
	else
		echo null
	fi
}

# run_one FROM TO: a move; prints its results.
run_one()
{
	local lines before sent ops

	[[ -z $live_redis ]] || live_redis_now >"$live/redis.begun"
	live_guest beats --count 3 --dir "$live/$1" >&2
	lines=$(wc -l <"$live/$1/serial.log")
	before=$(loops "$live/$1/serial.log" $((lines - 2)))
	[[ -z $live_redis ]] || live_redis_now >"$live/redis.quiet"
	ops=$(redis_rate "$live"/redis.{begun,quiet})
	sent=$(link_bytes "$1")
	# What the source said last is in the beats that the destination goes on.
	move "$1" "$2" >&2
	jq -c --argjson before "$before" \
		--argjson during "$(loops "$live/$2/serial.log" 1)" \
		--argjson ops "$ops" \
		--argjson moved "$(redis_rate "$live"/redis.{before,after})" \
		--argjson sent "$(($(link_bytes "$1") - sent))" '
		del(."query-migrate", .report) + {loop_before_us: $before,
		loop_during_us: $during, link_bytes: $sent, ops_before: $ops,
		ops_during: $moved}' "$live/move.json"
}

# contest WHO LINK PACE SIZE: all runs of it, in a subshell.
contest()
{
	local from=a to=b i

	trap 'set +e; live_down; hosts_down "$net"' EXIT
	link_up "$2"
	"$pagetrim" keygen "$live/psk" >/dev/null
	live_options=(--size-mib "$4" --set "MIB=$(($4 * 3 / 8)) ${live_paces[$3]}")
	[[ $3 != redis ]] || live_options+=(--redis)
	live_launch start a >&2
	live_client_begin
	[[ $3 != redis ]] || live_redis_begin
	for ((i = 0; i < runs; i++)); do
		run_one $from $to >"$live/run"
		live_is_sound $to >&2
		cat "$live/run" >>"$tmp/runs"
		[[ $from == a ]] && from=b to=a || from=a to=b
	done
	[[ $3 != redis ]] || live_redis_end
	live_client_end >&2
}

for size in $sizes; do
	for link in $links; do
		for pace in $paces; do
			for who in $only; do
				live=$tmp/live mover=pagetrim PAGETRIM_QEMU=''
				live_migrate_args=()
				case $who in
				digest)	live_migrate_args=(--tracker digest) ;;
				nodelta*)	live_migrate_args=(--delta-cache 0) ;;
				qemu*)	mover=qemu ;;
				esac
				[[ $who != *10 ]] || PAGETRIM_QEMU=$(qemu10) || {
					echo "live: no QEMU 10: run scripts/test-nic.sh igb" >&2
					exit 1
				}
				export PAGETRIM_QEMU mover
				mkdir "$live"
				: >"$tmp/runs"
				set +e
				(set -e; contest "$who" "$link" "$pace" "$size")
				status=$?
				set -e
				rm -rf "$live"
				jq -nc --arg who "$who" --arg pace "$pace" \
					--argjson link "$link" --argjson size "$size" \
					--argjson status "$status" \
					--slurpfile runs "$tmp/runs" '
					($runs + (if $status == 0 then [] else [{}] end))[] |
					{who: $who, link_mbps: $link, pace: $pace,
					 size_mib: $size, sound: (.seconds != null)} + .' |
					tee -a "$tmp/results"
			done
		done
	done
done
render "$tmp/results" >&2
