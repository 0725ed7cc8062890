#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# demo.sh: a running guest moves from one host to another and does not notice, on
# a bare Debian 12 machine, as root; then the memory of another one, which is
# stopped, crosses as an image.  Installs missing packages, builds, and leaves only
# the build, the picture and a mounted /sys/fs/bpf.
#
#   host a                                              host b
#   QEMU, its guest runs                                QEMU, the guest runs on
#   pagetrim migrate -- veth, 2 queues ==== 2 queues, veth -- pagetrim receive --qmp
#              \    AF_XDP TX              XDP program, AF_XDP RX    /
#               `--------------- host c: a client of the guest -----'
#
#     scripts/demo.sh     Exit: 0, 1 a step failed, 2 usage.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/usage.sh
source scripts/usage.sh
usage_nothing "$@"
# shellcheck source=scripts/hosts.sh
source scripts/hosts.sh

net=d$$
pagetrim=build/pagetrim
picture=build/memory.svg
ram=/dev/shm/pagetrim-demo-$$
copy=$ram.copy
tmp=$(mktemp -d)
live=$tmp/live
size_mib=512
# shellcheck source=tests/live/lib.sh
source tests/live/lib.sh

cleanup()
{
	live_down
	other_guest CONT
	[[ ! -d $tmp/copy ]] || scripts/guest.sh stop --dir "$tmp/copy" || true
	[[ ! $booting ]] || kill "$booting" || true
	[[ ! $booting ]] || wait "$booting" || true
	[[ ! -d $tmp/guest ]] || scripts/guest.sh stop --dir "$tmp/guest" || true
	hosts_down "$net"
	rm -rf "$tmp" "$ram" "$copy" "$copy.with" "$copy.partial" \
		"$copy.with.partial"
} >/dev/null 2>&1
# other_guest SIGNAL: to the one that boots, if it began to.
other_guest() { [[ ! -e $tmp/guest/qemu.pid ]] || kill -"$1" "$(cat "$tmp/guest/qemu.pid")"; }

booting=''
trap cleanup EXIT
trap 'exit 1' INT TERM

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
on() { local host=$1; shift; printf '[%s] $ %s\n' "$host" "$*"; hosts_run "$net" "$host" "$@"; }
without_ledger() { sed '/^Ledger:/,$d'; }
wait_for() { until grep -qs "$1" "$2"; do kill -0 "$3"; sleep 0.05; done; }

[[ $EUID -eq 0 ]] || { echo "demo: needs root, for namespaces and XDP" >&2; exit 1; }
hosts_bpffs

title "What is missing is installed; pagetrim is built; two guests boot meanwhile"
scripts/deps.sh
scripts/guest.sh start --ram "$ram" --size-mib "$size_mib" --dir "$tmp/guest" \
	--timeout-s 600 >"$tmp/boot" 2>&1 &
booting=$!
make -s -j "$(nproc)" all build/tests/live/guest
mkdir "$live"
run "$pagetrim" keygen "$live/psk"

title "Two hosts, joined by a veth pair with two queues, MTU 9000"
hosts_up "$net" --queues 2 --mtu 9000 --lan
dev_a=$(hosts_dev "$net" a) dev_b=$(hosts_dev "$net" b)
on a ip -brief address show "$dev_a"
on b ip -brief address show "$dev_b"

title "A guest runs on host a: it writes 1000 pages a second, checks all, reads a slow disk"
live_options=(--size-mib 256 --set "MIB=96 RATE=1000 BLOCKS=4 DISK=4")
live_disk_begin 64 50
live_launch start a
live_client_begin
live_guest beats --count 2 --dir "$live/a" >/dev/null
tail -n 3 "$live/a/serial.log"

title "On host b a QEMU waits for it; it moves while it runs, its client goes on"
live_launch incoming b
other_guest STOP	# two CPUs are few for three guests
live_client_gaps >/dev/null
printf '[b] $ %s\n' "pagetrim receive --qmp $live/b/agent.sock --psk $live/psk --dev $dev_b --queues 2 --listen $HOSTS_B4"
hosts_exec "$net" b "$pagetrim" receive --qmp "$live/b/agent.sock" --psk "$live/psk" \
	--dev "$dev_b" --queues 2 --listen "$HOSTS_B4" >"$live/received" 2>"$live/receive.err" &
receiver=$!
live_until 60 live_receive_listens "$receiver"
on a "$pagetrim" migrate --qmp "$live/a/agent.sock" --psk "$live/psk" \
	--dev "$dev_a" --queues 2 --to "$HOSTS_B4" | without_ledger
wait "$receiver"
without_ledger <"$live/received"

title "It runs on, on host b: its console, all of its memory, its client"
live_is_sound b 2 >/dev/null
tail -n 4 "$live/b/serial.log"
echo "The client: its longest gaps, all it sent, and the answers that are lost or wrong:"
live_client_gaps
live_client_end
live_stop a
live_stop b
other_guest CONT

title "The other guest, a Debian at work, is stopped; it goes as an image"
wait "$booting" || { cat "$tmp/boot"; exit 1; }
booting=''
scripts/guest.sh save --dir "$tmp/guest" --state "$tmp/devices"
run ls -lhs "$ram" "$tmp/devices"

title "What trimming saves here"
run "$pagetrim" inspect --mtu 9000 --svg "$picture" "$ram"

title "The receive program is attached and pinned on host b"
on b "$pagetrim" attach --dev "$dev_b"

title "The guest's memory, and its devices' state, go from a to b, sealed"
printf '[b] $ %s\n' "pagetrim receive --psk $live/psk --dev $dev_b --listen $HOSTS_B4 --queues 2 --out $copy"
hosts_exec "$net" b "$pagetrim" receive --psk "$live/psk" --dev "$dev_b" --listen "$HOSTS_B4" \
	--queues 2 --out "$copy" >"$tmp/received" 2>"$tmp/log" &
receiver=$!
wait_for listening "$tmp/log" "$receiver"
on a "$pagetrim" send --psk "$live/psk" --dev "$dev_a" --to "$HOSTS_B4" --queues 2 \
	--with "$tmp/devices" "$ram" | without_ledger
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
