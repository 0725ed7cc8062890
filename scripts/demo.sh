#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# demo.sh: a real guest's memory crosses from one host to another, on a bare
# Debian 12 machine, as root.  Installs missing packages, builds, and
# demonstrates pagetrim; leaves only the build, the picture and a mounted
# /sys/fs/bpf.
#
#   host a                                              host b
#   QEMU, stopped; its RAM file                         QEMU goes on from the copy
#   pagetrim send -- veth, 2 queues ====== 2 queues, veth -- pagetrim receive
#                    AF_XDP TX              XDP program, AF_XDP RX
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/hosts.sh
source scripts/hosts.sh

name=d$$
pagetrim=build/pagetrim
picture=build/memory.svg
ram=/dev/shm/pagetrim-demo-$$
copy=$ram.copy
tmp=$(mktemp -d)
size_mib=512

cleanup()
{
	[[ ! -d $tmp/copy ]] || scripts/guest.sh stop --dir "$tmp/copy" || true
	[[ ! -d $tmp/guest ]] || scripts/guest.sh stop --dir "$tmp/guest" || true
	hosts_down "$name"
	rm -rf "$tmp" "$ram" "$copy" "$copy.with" "$copy.partial" \
		"$copy.with.partial"
} >/dev/null 2>&1
trap cleanup EXIT
trap 'exit 1' INT TERM

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
on() { local host=$1; shift; printf '[%s] $ %s\n' "$host" "$*"; hosts_run "$name" "$host" "$@"; }
wait_for() { until grep -q "$1" "$2"; do kill -0 "$3"; sleep 0.05; done; }

[[ $EUID -eq 0 ]] || { echo "demo: needs root, for namespaces and XDP" >&2; exit 1; }
hosts_bpffs

title "What is missing is installed; pagetrim is built"
scripts/deps.sh
make -s -j "$(nproc)" all

title "Two hosts, joined by a veth pair with two queues, MTU 9000"
hosts_up "$name" --queues 2 --mtu 9000
dev_a=$(hosts_dev "$name" a) dev_b=$(hosts_dev "$name" b)
on a ip -brief address show "$dev_a"
on b ip -brief address show "$dev_b"

title "A Debian guest boots in QEMU, works, and is stopped"
scripts/guest.sh start --ram "$ram" --size-mib "$size_mib" --dir "$tmp/guest"
scripts/guest.sh save --dir "$tmp/guest" --state "$tmp/devices"
run ls -lhs "$ram" "$tmp/devices"

title "What trimming saves here"
run "$pagetrim" inspect --mtu 9000 --svg "$picture" "$ram"

title "The receive program is attached and pinned on host b"
on b "$pagetrim" attach --dev "$dev_b"

title "The guest's memory, and its devices' state, go from a to b, sealed"
run "$pagetrim" keygen "$tmp/psk"
printf '[b] $ %s\n' "pagetrim receive --psk $tmp/psk --dev $dev_b --listen $HOSTS_B4 --queues 2 --out $copy"
hosts_exec "$name" b "$pagetrim" receive --psk "$tmp/psk" --dev "$dev_b" --listen "$HOSTS_B4" \
	--queues 2 --out "$copy" >"$tmp/received" 2>"$tmp/log" &
receiver=$!
wait_for listening "$tmp/log" "$receiver"
on a "$pagetrim" send --psk "$tmp/psk" --dev "$dev_a" --to "$HOSTS_B4" --queues 2 \
	--with "$tmp/devices" "$ram"
wait "$receiver"
cat "$tmp/log" "$tmp/received"

title "The copy is the same"
run sha256sum "$ram" "$copy"
cmp "$ram" "$copy"
run ls -lhs "$copy" "$copy.with"

title "The receive program's counters, as bpftool prints them and as stats does"
for queue in 0 1; do
	on b bpftool map lookup pinned \
		"/sys/fs/bpf/pagetrim/$dev_b/pt_queue_counters" \
		key "$queue" 0 0 0
done
on b "$pagetrim" stats --dev "$dev_b"
on b "$pagetrim" detach --dev "$dev_b"

title "The guest goes on from its copy, on the other host"
scripts/guest.sh load --ram "$copy" --size-mib "$size_mib" --dir "$tmp/copy" \
	--state "$copy.with/devices"
scripts/guest.sh resume --dir "$tmp/copy"
tail -n 3 "$tmp/copy/serial.log"

title "Done"
echo "The guest's memory as a picture: $picture"
