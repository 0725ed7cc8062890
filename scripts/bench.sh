#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# bench.sh: compares pagetrim with its peers and with the machine's limits: the
# same memory, over the same link, by turns.
#
#     netns pt-b$$-a                               netns pt-b$$-b
#     +-----------------------------+              +--------------------------+
#     | guest, stopped  --- ptb$$a ================== ptb$$b --- the other end |
#     +-----------------------------+     veth     +--------------------------+
#
#     for each image: for each round: every case of the image once
#           \                              \
#       tests/bench/images.sh      grid.sh: which; contestants.sh: how
#                                          |
#       results, one JSON object a run <---'--> report.py: table, docs, plots
#
# The contestants run by turns, so that a busy moment of the machine hits all
# alike; results are medians.  Each contestant starts from the same image file
# on one tmpfs and from an empty sink, unless its name says otherwise; as much
# memory as the image's is touched and freed before each run, because a virtual
# machine may have given it back to its host.  After each run the copy is
# compared with the image, pagetrim's ledgers must balance, and no XDP program
# is attached while a TCP peer runs.
#
# Run as root, also by `make bench`; installs missing packages and builds;
# leaves nothing behind but its output.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench=$top/tests/bench guest=$top/scripts/guest.sh
# shellcheck source=scripts/hosts.sh
source "$top/scripts/hosts.sh"
# shellcheck source=tests/bench/machine.sh
source "$bench/machine.sh"
# shellcheck source=tests/bench/images.sh
source "$bench/images.sh"
# shellcheck source=tests/bench/grid.sh
source "$bench/grid.sh"
# shellcheck source=tests/bench/contestants.sh
source "$bench/contestants.sh"

usage()
{
	cat <<USAGE
Usage: bench.sh [options]

Measures, prints tables, and writes docs/benchmarks.md with its plots; with
--quick or any other choice of what to run it writes only where --write says.

What to run:
      --quick          under three minutes: a guest of 512 MiB, 3 rounds, the
                       contestants that matter most
      --full           every combination of the lists below: hours
      --runs N         rounds, 1..99 (default 5)
      --images LIST    of ${all_images[*]}
      --mtus LIST      1280..65535 (default "1500 3506 9000 65535")
      --only LIST      of ${all_contestants[*]},
                       or bottleneck alone: the family of paths that are slower
                       than the device (with it: --quick, --list, --build,
                       --json, --write, --render; a quarter of an hour, quick
                       two minutes)
      --queues LIST    1..8 (default "1 2")
      --trims LIST     of none ends blocks (default all)
      --size-mib N     RAM of guest and images, 64..3072 (default 1024)
      --work N         how much the guest has done, 1..16 (default 6)
      --huge           memory in pages of 2 MiB, for all alike
      --guest DIR      keep the guest's memory there, and take it from there
                       the next time, for the same --size-mib and --work
      --build DIR      take pagetrim and the tools from there, as they are
                       (default: build, made up to date)
      --send-args STR, --receive-args STR   further options for pagetrim
What to write:
      --write FILE     the document FILE, plots beside it
      --json FILE      the results, one JSON object a line (default
                       bench.json in the build folder)
      --render FILE    run nothing: the tables of these results and, with
                       --write, the document
      --list           run nothing: print the cases
  -h, --help           this text

Exit: 0 all ran, 1 one failed, 2 wrong usage.
USAGE
}

die() { echo "bench: $*" >&2; exit 1; }
warn() { echo "bench: warning: $*" >&2; }
misuse() { echo "bench: $* (see --help)" >&2; exit 2; }

# ------------------------------------------------------------------- options

# one_of LIST-NAME WHAT WORD...: refuse words that are not in the array.
one_of()
{
	local -n known=$1
	local what=$2 word

	shift 2
	for word; do
		[[ " ${known[*]} " == *" $word "* ]] ||
			misuse "$word: not $what (of: ${known[*]})"
	done
}

# numbers LEAST MOST NUMBER...: refuse words that are no numbers in that range.
numbers()
{
	local least=$1 most=$2 given number

	shift 2
	for given; do
		number=0
		[[ ! $given =~ ^[1-9][0-9]{0,4}$ ]] || number=$given
		((number >= least && number <= most)) ||
			misuse "$given: not a number $least..$most"
	done
}

all_trims=(none ends blocks)
images=("${all_images[@]}") only=("${all_contestants[@]}") trims=("${all_trims[@]}")
mtus=(1500 3506 9000 65535) queues=(1 2)
runs=5 size_mib=1024 work=6 huge=never grid=sound build=$top/build
write='' json='' render='' list='' chosen='' kept='' family=''
# contestants.sh reads these.
# shellcheck disable=SC2034
send_args=() receive_args=()

quick()
{
	grid=quick runs=3 size_mib=512 work=2 chosen=1
	images=(guest random) mtus=(1500 9000 65535) queues=(1)
	trims=(none blocks)
	only=(insecure no-copies pagetrim stages qemu-cold tcp blast memory)
}

# The quick grid is a base for the other options, at any position.
[[ " $* " != *" --quick "* ]] || quick
while (($#)); do
	case $1 in
	-h | --help)	usage; exit 0 ;;
	--quick)	shift; continue ;;
	--full)		grid=full chosen=1; shift; continue ;;
	--huge)		huge=always chosen=1; shift; continue ;;
	--list)		list=1; shift; continue ;;
	--runs | --images | --mtus | --only | --queues | --trims | --size-mib | \
	--work | --guest | --build | --send-args | --receive-args | --write | \
	--json | --render)
		(($# > 1)) || misuse "$1: needs a value" ;;
	*)		misuse "$1: not an option" ;;
	esac
	[[ $1 =~ ^--(write|json|render|build|guest)$ ]] || chosen=1
	case $1 in
	--runs)		runs=$2 ;;
	--images)	read -ra images <<<"$2" ;;
	--mtus)		read -ra mtus <<<"$2" ;;
	--only)		read -ra only <<<"$2" ;;
	--queues)	read -ra queues <<<"$2" ;;
	--trims)	read -ra trims <<<"$2" ;;
	--size-mib)	size_mib=$2 ;;
	--work)		work=$2 ;;
	--guest)	kept=$(realpath -m "$2") ;;
	--build)	build=$(realpath -m "$2") ;;
	--send-args)	read -ra send_args <<<"$2" ;;
	--receive-args)	read -ra receive_args <<<"$2" ;;
	--write)	write=$(realpath -m "$2") ;;
	--json)		json=$(realpath -m "$2") ;;
	--render)	render=$2 ;;
	esac
	shift 2
done
[[ ${only[*]} != bottleneck ]] || family=bottleneck only=(insecure)
numbers 1 99 "$runs"
numbers 64 3072 "$size_mib"
numbers 1 16 "$work"
numbers 1280 65535 "${mtus[@]}"
numbers 1 8 "${queues[@]}"
one_of all_images "an image" "${images[@]}"
one_of all_contestants "a contestant" "${only[@]}"
one_of all_trims "a method of trimming" "${trims[@]}"
((${#images[@]} && ${#mtus[@]} && ${#only[@]} && ${#queues[@]} && ${#trims[@]})) ||
	misuse "an empty list runs nothing"
# The base, from which one parameter at a time is varied: least queues, most
# trimming.
mapfile -t queues < <(printf '%s\n' "${queues[@]}" | sort -nu)
mapfile -t trims < <(printf '%s\n' "${all_trims[@]}" |
	grep -xE "$(IFS='|'; echo "${trims[*]}")")
((size_mib >= 350 + 70 * work)) || ! images_need_guest ||
	misuse "--work $work needs --size-mib $((350 + 70 * work)) or more"
[[ -n $write$chosen$render ]] || write=$top/docs/benchmarks.md
[[ -z $write || -d $(dirname "$write") ]] ||
	misuse "--write $write: its folder is not there"

# bottleneck: runs the bottleneck family; --write must name a document with its
# marks.
bottleneck()
{
	local args=(--build "$build")

	[[ $grid != quick ]] || args+=(--quick)
	[[ -z $list ]] || args+=(--list)
	[[ -z $json ]] || args+=(--json "$json")
	[[ -z $write ]] || args+=(--write "$write")
	[[ -z $render ]] || args+=(--render "$render")
	if [[ -z $list$render ]]; then
		[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
		built
	fi
	"$bench/bottleneck.py" "${args[@]}"
}

# built: installs missing packages and builds, unless --build names a build.
built()
{
	if [[ $build == "$top/build" ]]; then
		"$top/scripts/deps.sh"
		make -s -C "$top" -j "$(nproc)" all tools
	fi
}

if [[ $family == bottleneck ]]; then
	bottleneck
	exit
fi

# shown FILE: prints the tables of the results in FILE, and writes the document.
shown()
{
	"$bench/report.py" "$1" ${write:+--write "$write"}
}

if [[ -n $render ]]; then
	[[ -r $render ]] || die "$render: no results there"
	shown "$render"
	exit
fi
images_kept_fits
all_cases=$(for image in "${images[@]}"; do
	grid_cases "$image" | sed "s/^/$image /"
done)
[[ -n $all_cases ]] ||
	misuse "nothing of that runs with these images (--full makes it)"
if [[ -n $list ]]; then
	echo "$all_cases"
	exit
fi

# ------------------------------------------------------------------- the run

[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
hosts_bpffs
# shellcheck disable=SC2034 # for contestants.sh
pagetrim=$build/pagetrim tools=$build/tests/bench
built
for program in "$pagetrim" "$tools"/{blast,tcp_pages,memory,usage,hold}; do
	[[ -x $program ]] || die "$program: not built (make all tools)"
done
json=${json:-$build/bench.json}
mkdir -p "$(dirname "$json")"

name=b$$
tmp=$(mktemp -d) memory=$tmp/memory ram=$tmp/memory/ram
tmp_src=$tmp/src tmp_dst=$tmp/dst

cleanup()
{
	local d

	trap '' INT TERM
	for d in "$tmp_src" "$tmp_dst"; do
		[[ ! -d $d ]] || "$guest" stop --dir "$d" || true
	done
	hosts_down "$name" || true
	! mountpoint -q "$memory" || umount "$memory"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# one_run IMAGE ROUND WHAT MTU QUEUES TRIM: runs once and adds to the results.
one_run()
{
	local result='' before blocks start=$EPOCHREALTIME

	[[ ! -t 2 ]] || printf '\rbench: %-7s round %d of %d: %-13s MTU %5d' \
		"$1" "$2" "$runs" "$3" "$4" >&2
	link_set "$4" "$5"
	warm_memory
	blocks=$(stat -c %b "$ram")
	before=$(machine_ticks)
	"run_$3" "$4" "$5" "$6"
	[[ $(stat -c %b "$ram") -eq $blocks ]] ||
		die "$3 filled holes of the image: those after it start elsewhere"
	[[ $2 -gt 0 ]] || return 0	# a warm-up
	jq -c --arg image "$1" --argjson run "$2" --arg what "$3" \
		--argjson mtu "$4" --argjson queues "$5" --arg trim "$6" \
		--argjson steal_s "$(machine_stolen "$before")" \
		--argjson start "$start" --argjson ended "$EPOCHREALTIME" \
		'{image: $image, run: $run, what: $what, mtu: $mtu,
		  queues: $queues, trim: $trim, steal_s: $steal_s, case_s: ($ended - $start)} + .' \
		<<<"$result" >>"$json"
}

machine_check
mkdir "$memory"
mount -t tmpfs -o "size=$((size_mib * 6))M,huge=$huge" pt-bench "$memory"
machine_json >"$json"
hosts_up "$name" --queues "${queues[-1]}" --mtu 1500
"$pagetrim" keygen "$tmp/psk" >/dev/null
contestants_absent >>"$json"
images_begin
for image in "${images[@]}"; do
	mapfile -t cases < <(grid_cases "$image")
	((${#cases[@]})) || continue
	image_make "$image"
	read -r what mtu queue_cnt trim <<<"${cases[0]}"
	one_run "$image" 0 "$what" "$mtu" "$queue_cnt" "$trim"
	for ((run = 1; run <= runs; run++)); do
		machine_others >>"$json"
		for case in "${cases[@]}"; do
			read -r what mtu queue_cnt trim <<<"$case"
			one_run "$image" "$run" "$what" "$mtu" "$queue_cnt" \
				"$trim"
		done
	done
	rm "$ram"
done
[[ ! -t 2 ]] || echo >&2
shown "$json"
