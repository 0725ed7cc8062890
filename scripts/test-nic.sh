#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-nic.sh: transfers between emulated cards, with AF_XDP zero copy at both
# ends, at one and at none, under a current kernel of Debian's backports.
#
#     linux-image of trixie-backports --apt, of its own--> vmlinuz, modules
#     qemu of bookworm-backports, for igb -----------------> program, firmware
#                                          (both cached)
#     one QEMU per card model: two cards, joined by its hub or a bridge of taps
#        netns a: send, ping, TCP              netns b: receive, TCP
#
#     scripts/test-nic.sh [CARD...]   only these: virtio virtio-mq virtio-copy igb
#
# Root; installs missing packages and builds.  The system's apt sources are not
# touched: lists and packages of other suites have their own folder, from the
# mirror in those sources.  Downloads stay; remove ~/.cache/pagetrim/nic-* to
# renew them.  Some 15 minutes on two cores.  Environment: PAGETRIM_BUILD, a
# build folder to use as it is; TIMEOUT_S, for each card (default 420).  The
# last lines are the table and 'N passed, N failed'.  Exit: 0 all passed, 1 not,
# 2 usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=scripts/usage.sh
source "$here/usage.sh"
usage_options "$@"
# shellcheck source=scripts/guest/machine.sh
source "$here/guest/machine.sh"
# shellcheck source=scripts/guest/suites.sh
source "$here/guest/suites.sh"

# shellcheck disable=SC2034 # for machine.sh
patience=10 modules=(9pnet_virtio 9p overlay virtio_net igb)
boots_max=3	# QEMU 7.2 sometimes lets a kernel trip over its own code
queues=4	# of virtio-mq
# virtio_net as a module takes the virtio header of its zero-copy frames from a
# wrong physical address (docs/cards.md): the content of that page decides
# whether a tap drops them.  So it is a page that nobody writes.
# shellcheck disable=SC2016 # $ is memmap's
no_garbage='nokaslr memmap=64M$0x40000000'

die() { echo "test-nic: $*" >&2; exit 1; }

cleanup()
{
	machine_stop
	[[ -z $netns ]] || ip netns del "$netns" 2>/dev/null || true
	rm -rf "$tmp"
}

# ---------------------------------------------------------- packages of others

# of_suites COMMAND ARG...: runs apt with sources, lists and cache of its own.
of_suites()
{
	local apt=$tmp/apt

	[[ -d $apt ]] || suites_apt "$apt" trixie-backports trixie \
		bookworm-backports >/dev/null
	APT_CONFIG=$apt/conf "$@"
}

# fetch_kernel DIR: fetches the packages of the newest kernel in
# trixie-backports.
fetch_kernel()
{
	local dir=$1 name part

	name=$(of_suites apt-cache show linux-image-amd64/trixie-backports |
		sed -nE 's/^Depends:.*(linux-image-[0-9][^ ,]*).*/\1/p' | head -n 1)
	[[ -n $name ]] || die "trixie-backports has no linux-image-amd64"
	cd "$dir"
	# From Linux 7 on the image is three packages.
	for part in image binary modules; do
		of_suites apt-get -q download "linux-$part-${name#linux-image-}" \
			>&2 || [[ $part != image ]] || die "cannot fetch $name"
	done
	cd - >/dev/null
}

# fetch_qemu DIR: unpacks QEMU 10 of bookworm-backports, without installing it.
fetch_qemu()
{
	local new=$tmp/qemu package

	mkdir "$new"
	cd "$new"
	of_suites apt-get -q download qemu-system-x86/bookworm-backports \
		qemu-system-data/bookworm-backports >&2 ||
		die "cannot fetch QEMU of bookworm-backports"
	for package in *.deb; do
		dpkg-deb -x "$package" .
	done
	rm ./*.deb
	cd - >/dev/null
	mv "$new" "$1"
}

# new_qemu: sets qemu to a version with igb, 8.0 or newer.
new_qemu()
{
	local dir=${image%/*}/nic-qemu

	if qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; then
		qemu=(qemu-system-x86_64)
		return
	fi
	[[ -d $dir ]] || fetch_qemu "$dir"
	# Only its own modules: those of the system's QEMU do not match.
	qemu=(env QEMU_MODULE_DIR=/nonexistent "$dir/usr/bin/qemu-system-x86_64"
	      -L "$dir/usr/share/qemu" -L /usr/share/seabios
	      -L /usr/lib/ipxe/qemu)
}

# ------------------------------------------------------------------- the cards

# hub: sets net to two ports of QEMU's own.
hub()
{
	net=(-netdev "hubport,hubid=1,id=n0" -netdev "hubport,hubid=1,id=n1")
}

# taps QUEUES: makes two taps on a bridge, in QEMU's network namespace.
taps()
{
	local tap

	netns=pt-nic-$$
	ip netns add "$netns"
	# With "name" and "dev": "br" alone is read as "brd", broadcast.
	ip -n "$netns" link add name br type bridge mcast_snooping 0
	ip -n "$netns" link set dev br up
	net=()
	for tap in n0 n1; do
		ip -n "$netns" tuntap add "$tap" mode tap multi_queue vnet_hdr
		ip -n "$netns" link set dev "$tap" master br up
		net+=(-netdev "tap,id=$tap,ifname=$tap,queues=$1,script=no,downscript=no,vhost=off")
	done
	qemu=(nsenter --net="/run/netns/$netns" "${qemu[@]}")
}

# cards MODEL: adds two cards, each on a port of its own.
cards()
{
	local i

	for i in 0 1; do
		net+=(-device "pcie-root-port,id=rp$i,chassis=$((i + 1)),slot=$((i + 1))"
		      -device "$1,bus=rp$i,netdev=n$i,mac=52:54:00:00:00:0$((i + 1))")
	done
}

# set_up CARD: sets qemu, net, words (for the kernel) and offers.
set_up()
{
	qemu=(qemu-system-x86_64)
	offers=some words=''
	case $1 in
	virtio)
		hub
		cards virtio-net-pci,iommu_platform=on,disable-legacy=on
		;;
	virtio-mq)
		taps "$queues"
		cards "virtio-net-pci,iommu_platform=on,disable-legacy=on,mq=on,vectors=$((2 * queues + 2))"
		words=$no_garbage
		;;
	virtio-copy)
		offers=none
		hub
		cards virtio-net-pci,disable-legacy=on
		;;
	igb)
		new_qemu
		hub
		cards igb
		;;
	*)
		die "$1: no such card (virtio, virtio-mq, virtio-copy, igb)"
		;;
	esac
}

# is_emulator_to_blame: the kernel did not boot, or hit a breakpoint while it
# patched its own code; prints that, and the caller boots again.
is_emulator_to_blame()
{
	[[ -s $tmp/said ]] && ! grep -q 'Oops: int3' "$tmp/kernel" && return 1
	echo "the machine fell: $(grep -m 1 'Oops' "$tmp/kernel" ||
		tail -n 1 "$tmp/kernel")"
}

# test_card CARD
test_card()
{
	local i

	set_up "$1"
	for ((i = 1; i <= boots_max; i++)); do
		machine_boot "$words -- $root/tests/nic/run.sh $build $1 $offers" \
			"${net[@]}"
		machine_watch "${TIMEOUT_S:-420}"
		machine_stop
		! is_emulator_to_blame || continue
		break
	done
	machine_judge
	grep '^| ' "$tmp/said" >>"$tmp/table" || true
	[[ -z $netns ]] || ip netns del "$netns"
	netns=''
}

(($#)) || set -- virtio virtio-mq virtio-copy igb
for card; do
	case $card in
	virtio | virtio-mq | virtio-copy | igb)	;;
	*)	usage_misuse "$card: not a card" ;;
	esac
done
[[ $EUID -eq 0 ]] || die "needs root, to read all of this machine's files"
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
if [[ -z ${PAGETRIM_BUILD-} ]]; then
	"$here/deps.sh"
	make -s -C "$root" -j "$(nproc)" all build/count.bpf.o
fi
for program in pagetrim count.bpf.o; do
	[[ -e $build/$program ]] ||
		die "no $build/$program (run: make all tests)"
done
[[ $root$build != *[[:space:]\"]* ]] ||
	die "$root: spaces cannot pass the kernel's command line"
netns='' tmp=''
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d)
machine_prepare "nic-$(machine_key trixie-backports)" fetch_kernel
: >"$tmp/table"
for card; do
	test_card "$card"
done
echo "| card | driver | sender | receiver | queues | frame, bytes | TCP beside it, longest wait | result |"
echo "|---|---|---|---|---|---|---|---|"
cat "$tmp/table"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
