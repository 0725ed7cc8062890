#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# bench.sh: pagetrim against its peers, the same guest over the same link.
#
#     netns pt-b$$-a                               netns pt-b$$-b
#     +-----------------------------+              +--------------------------+
#     | guest, stopped  --- ptb$$a ================== ptb$$b --- the other end |
#     +-----------------------------+     veth     +--------------------------+
#
#     pagetrim   send                        -->  receive (own XDP program)
#     insecure   the same, with --insecure: nothing sealed
#     qemu       QEMU, guest loaded, migrate -->  QEMU -incoming, no XDP
#     qemu-cold  the same, its RAM not allocated beforehand
#     multifd    as qemu, over 2 channels
#     blast      AF_XDP frames as full as the MTU lets, nothing else: the limit
#
# In each round every contestant runs once at every MTU, so that a busy moment
# of the machine hits all alike; the table shows medians.  The image is touched
# before it is timed.  Image and sinks are files of one tmpfs: the sinks of
# pagetrim and qemu-cold start empty and have their pages allocated while the
# clock runs; those of qemu and multifd are allocated before, their best case.
# With --huge the tmpfs has pages of 2 MiB.  A virtual machine may give free
# memory back to its host within seconds; so as much as the guest's is touched
# and freed just before each run.  After each transfer the two memories are
# compared.
#
# Run as root by `make bench`; leaves nothing behind but --json's file.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
guest=$top/scripts/guest.sh
# shellcheck source=scripts/hosts.sh
source "$top/scripts/hosts.sh"

usage()
{
	cat <<'USAGE'
Usage: bench.sh [options]

Options:
      --runs N         rounds, 1..99 (default 5)
      --mtus LIST      MTUs, 1280..65535 (default "1500 9000 65535")
      --only LIST      some of pagetrim insecure qemu qemu-cold multifd
                       blast
                       (default all)
      --size-mib N     the guest's RAM (default 2048)
      --work N         how much the guest has done, 1..16 (default 8)
      --huge           guest memory in pages of 2 MiB, for all alike
      --queues N       queues of link and pagetrim, 1..8 (default 1)
      --build DIR      where pagetrim and the blast were built (default build)
      --json FILE      one JSON object a run goes there too
  -h, --help           this text

Exit: 0 all ran, 1 one failed, 2 wrong usage.
USAGE
}

die() { echo "bench: $*" >&2; exit 1; }
misuse() { echo "bench: $* (see --help)" >&2; exit 2; }

runs=5 mtus="1500 9000 65535" only="pagetrim insecure qemu qemu-cold multifd blast"
size_mib=2048 work=8 queues=1 build=$top/build json=
huge=never
while (($#)); do
	case $1 in
	-h | --help)	usage; exit 0 ;;
	--huge)		huge=always; shift; continue ;;
	--runs | --mtus | --only | --size-mib | --work | --queues | --build | \
	--json)
		(($# > 1)) || misuse "$1: needs a value" ;;
	*)		misuse "$1: not an option" ;;
	esac
	case $1 in
	--runs)		runs=$2 ;;
	--mtus)		mtus=$2 ;;
	--only)		only=$2 ;;
	--size-mib)	size_mib=$2 ;;
	--work)		work=$2 ;;
	--queues)	queues=$2 ;;
	--build)	build=$(realpath "$2") ;;
	--json)		json=$(realpath -m "$2") ;;
	esac
	shift 2
done
for number in "$runs" "$queues" $mtus; do
	[[ $number =~ ^[1-9][0-9]{0,4}$ ]] || misuse "$number: not a number"
done
for what in $only; do
	[[ $what =~ ^(pagetrim|insecure|qemu|qemu-cold|multifd|blast)$ ]] ||
		misuse "$what: not a contestant"
done
[[ $EUID -eq 0 ]] || die "needs root: namespaces, AF_XDP"
pagetrim=$build/pagetrim blast=$build/tests/bench/blast
[[ ! " $only " =~ " "(pagetrim|insecure)" " || -x $pagetrim ]] ||
	die "$pagetrim: not built (make)"
[[ ! " $only " == *" blast "* || -x $blast ]] ||
	die "$blast: not built (make tools)"

name=b$$
tmp=$(mktemp -d) ram=$tmp/memory/ram
a=$(hosts_dev "$name" a) b=$(hosts_dev "$name" b)
tmp_src=$tmp/src tmp_dst=$tmp/dst

cleanup()
{
	local d

	for d in "$tmp_src" "$tmp_dst"; do
		[[ ! -d $d ]] || "$guest" stop --dir "$d" || true
	done
	hosts_down "$name" || true
	! mountpoint -q "$tmp/memory" || umount "$tmp/memory"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# until_true SECONDS COMMAND...: wait for it, or fail.
until_true()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# timed FILE COMMAND...: run it; its user and system seconds go to FILE.
timed()
{
	local file=$1 TIMEFORMAT='%U %S'

	shift
	{ time "$@" 2>"$file.err"; } 2>"$file"
}

# cpu_s FILE...: the sum of what `timed` wrote.
cpu_s() { awk '{ s += $1 + $2 } END { printf "%.3f", s }' "$@"; }

# link_is_bare: no XDP program, and TCP's segments cross whole.
link_is_bare()
{
	local host dev

	for host in a b; do
		dev=$(hosts_dev "$name" "$host")
		! hosts_run "$name" "$host" ip link show "$dev" |
			grep xdp >/dev/null || return
		hosts_run "$name" "$host" ethtool -k "$dev" |
			grep '^tcp-segmentation-offload: on' >/dev/null ||
			return
	done
}

# warm_memory: what is allocated next is memory that the machine really has.
warm_memory()
{
	head -c "${size_mib}M" /dev/zero >"$ram.touch"
	rm "$ram.touch"
}

set_mtu()
{
	hosts_run "$name" a ip link set "$a" mtu "$1"
	hosts_run "$name" b ip link set "$b" mtu "$1"
}

# report WHAT MTU RUN JSON: one line of the results.
report()
{
	jq -c --arg what "$1" --argjson mtu "$2" --argjson run "$3" \
		'{what: $what, mtu: $mtu, run: $run} + .' <<<"$4" |
		tee -a "$tmp/results" ${json:+"$json"} >/dev/null
	[[ ! -t 2 ]] || printf '\rbench: round %d of %d, MTU %5d, %-8s' \
		"$3" "$runs" "$2" "$1" >&2
}

# --------------------------------------------------------------- contestants

run_pagetrim() { transfer --psk "$tmp/psk"; }
run_insecure() { transfer --insecure; }

# transfer SECURITY...
transfer()
{
	local out=$ram.copy receiver

	timed "$tmp/rx" hosts_run "$name" b timeout 120 "$pagetrim" receive "$@" \
		--dev "$b" --listen "$HOSTS_B4" --queues "$queues" \
		--out "$out" --json >"$tmp/rx.json" &
	receiver=$!
	until_true 10 listens || die "receive: $(cat "$tmp/rx.err")"
	timed "$tmp/tx" hosts_run "$name" a timeout 120 "$pagetrim" send "$@" \
		--dev "$a" --to "$HOSTS_B4" --queues "$queues" --json "$ram" \
		>"$tmp/tx.json" || die "send: $(cat "$tmp/tx.err")"
	wait "$receiver" || die "receive: $(cat "$tmp/rx.err")"
	cmp "$ram" "$out" >&2 || die "pagetrim: the copy differs"
	rm -f "$out"
	result=$(jq --argjson cpu_s "$(cpu_s "$tmp/rx" "$tmp/tx")" '{
		seconds: (."total-time" / 1000), bytes: .ram.transferred,
		cpu_s: $cpu_s, report: . }' "$tmp/tx.json")
}

listens()
{
	[[ -n $(hosts_run "$name" b ss -Hltn "src $HOSTS_B4") ]]
}

# migrate CHANNELS [--prealloc]
migrate()
{
	local channels=$1

	shift
	until_true 5 link_is_bare ||
		die "$a, $b: an XDP program, or no segmentation offload"
	"$guest" load --ram "$ram" --size-mib "$size_mib" --dir "$tmp_src" \
		--state "$tmp/state" --netns "$(hosts_netns "$name" a)"
	"$guest" incoming --ram "$ram.copy" --size-mib "$size_mib" \
		--dir "$tmp_dst" --listen defer "$@" \
		--netns "$(hosts_netns "$name" b)"
	result=$("$here/qemu_migrate.py" "$tmp_src" "$tmp_dst" \
		"tcp:$HOSTS_B4:4444" "$channels")
	"$guest" stop --dir "$tmp_src" --keep-ram
	cmp "$ram" "$ram.copy" >&2 || die "QEMU: the copy differs"
	"$guest" stop --dir "$tmp_dst"
}

run_qemu() { migrate 0 --prealloc; }
run_qemu-cold() { migrate 0; }
run_multifd() { migrate 2 --prealloc; }

run_blast()
{
	local receiver

	timed "$tmp/rx" hosts_run "$name" b timeout 120 "$blast" receive "$b" \
		>"$tmp/rx.json" &
	receiver=$!
	until_true 10 grep -qs ready "$tmp/rx.err" ||
		die "blast: $(cat "$tmp/rx.err")"
	timed "$tmp/tx" hosts_run "$name" a timeout 120 "$blast" send "$a" \
		$((mtu + 14)) "$volume" >"$tmp/tx.json" ||
		die "blast: $(cat "$tmp/tx.err")"
	wait "$receiver" || die "blast: $(cat "$tmp/rx.err")"
	rm -f "$tmp/rx.err"
	# The limit is what arrives: time for the volume at that rate.
	result=$(jq -n --slurpfile tx "$tmp/tx.json" --slurpfile rx \
		"$tmp/rx.json" --argjson cpu_s "$(cpu_s "$tmp/rx" "$tmp/tx")" '
		{ seconds: ($tx[0].bytes * $rx[0].seconds / $rx[0].bytes),
		  bytes: $tx[0].bytes, cpu_s: $cpu_s,
		  lost: (1 - $rx[0].frames / $tx[0].frames) }')
}

# ------------------------------------------------------------------- the run

mkdir "$tmp/memory"
mount -t tmpfs -o "size=$((size_mib * 9 / 4))M,huge=$huge" pt-bench \
	"$tmp/memory"
echo "bench: booting a guest of $size_mib MiB" >&2
"$guest" start --ram "$ram" --dir "$tmp_src" --size-mib "$size_mib" \
	--work "$work" --timeout-s 600
"$guest" save --dir "$tmp_src" --state "$tmp/state"
"$guest" stop --dir "$tmp_src" --keep-ram

hosts_up "$name" --queues "$queues" --mtu 1500
set_mtu 9000
[[ ! " $only " == *" pagetrim "* ]] || "$pagetrim" keygen "$tmp/psk"
run_qemu	# warms up, and says how many bytes the blast has to carry
volume=$(jq .bytes <<<"$result")
for ((run = 1; run <= runs; run++)); do
	for mtu in $mtus; do
		set_mtu "$mtu"
		for what in $only; do
			warm_memory
			"run_$what"
			report "$what" "$mtu" "$run" "$result"
		done
	done
done
[[ ! -t 2 ]] || echo >&2

echo "Guest of $size_mib MiB, $((volume >> 20)) MiB in QEMU's pre-copy;" \
	"medians of $runs runs on $(nproc) CPUs, Linux $(uname -r)," \
	"huge pages $huge"
jq -rs -f "$here/table.jq" "$tmp/results"
