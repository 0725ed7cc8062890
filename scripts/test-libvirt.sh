#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-libvirt.sh: libvirt of this distribution, unmodified, moves a guest through
# two proxies, there and back (root).
#
#     host a                                             host b
#     virsh migrate --live --migrateuri unix:///run/libvirt/m.sock
#     libvirtd -- QEMU -- m.sock -- proxy ==> proxy -- m.sock -- QEMU -- libvirtd
#
# Each host has a network namespace and a mount namespace, in which the folders of
# libvirt are its own.
#
# shellcheck disable=SC2317 # called by name
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage()
{
	cat <<USAGE
Usage: test-libvirt.sh [--moves N] [--help]

      --moves N   moves there and back in turn, 1..100 (default 4)

Installs missing packages and builds.  Environment: PAGETRIM_BUILD, a build
folder to use as it is; PAGETRIM_QEMU, the QEMU to use with its first arguments.
QEMU before 9 with an emulated CPU loses writes of its guest when it migrates, with
and without proxies; so with it the guest may be damaged.

Exit: 0 all moved, 1 failed, 2 wrong usage.
USAGE
}

die() { echo "test-libvirt: $*" >&2; exit 1; }
misuse() { echo "test-libvirt: $* (see --help)" >&2; exit 2; }

moves=4
while (($#)); do
	case $1 in
	--moves)
		[[ ${2-} =~ ^[1-9][0-9]?$ ]] || misuse "$1 ${2-}: want 1..99"
		moves=$2
		shift
		;;
	-h | --help)	usage; exit 0 ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift
done

# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"
[[ $EUID -eq 0 ]] || die "needs root, for namespaces"
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
if [[ -z ${PAGETRIM_BUILD-} ]]; then
	"$root/scripts/deps.sh"
	make -s -C "$root" -j "$(nproc)" all tools
fi
export PAGETRIM_BUILD=$build
if ! command -v libvirtd >/dev/null || ! command -v virsh >/dev/null; then
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
		--no-install-recommends libvirt-daemon-system \
		libvirt-daemon-driver-qemu libvirt-clients
fi
pagetrim=$build/pagetrim net=l$$
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-libvirt.XXXXXX")
chmod 755 "$tmp"
declare -A holder=()	# by host: a process that keeps the mount namespace
own=(/run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /etc/libvirt)

cleanup()
{
	local host

	for host in a b; do
		[[ -z ${holder[$host]-} ]] ||
			in_host "$host" virsh -c qemu:///system destroy vm \
				>/dev/null 2>&1 || true
	done
	hosts_down "$net"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# in_host HOST COMMAND...
in_host()
{
	nsenter --mount="/proc/${holder[$1]}/ns/mnt" \
		--net="/run/netns/$(hosts_netns "$net" "$1")" "${@:2}"
}

# until_ SECONDS COMMAND...
until_()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" 2>/dev/null; do
		((SECONDS <= end)) || die "never: $*"
		sleep 0.1
	done
}

# folders HOST: makes libvirt's folders of the host.
folders()
{
	local at=$tmp/$1 uuid

	uuid=$(cat /proc/sys/kernel/random/uuid)
	mkdir -p "$at"/{run,lib,cache,log,etc}
	cat >"$at/etc/libvirtd.conf" <<-CONF
		host_uuid = "$uuid"
		unix_sock_dir = "/run/libvirt"
		auth_unix_rw = "none"
		auth_unix_ro = "none"
	CONF
	cat >"$at/etc/qemu.conf" <<-CONF
		user = "root"
		group = "root"
		security_driver = "none"
		stdio_handler = "file"
		remember_owner = 0
		namespaces = []
		cgroup_controllers = []
	CONF
}

# host_begin HOST: its namespaces and its libvirtd.
host_begin()
{
	local path

	folders "$1"
	hosts_exec "$net" "$1" unshare --mount --propagation private \
		sleep infinity &
	holder[$1]=$!
	until_ 10 has_own_mounts "${holder[$1]}"
	mkdir -p "${own[@]}"
	for path in "${own[@]}"; do
		in_host "$1" mount --bind "$tmp/$1/$(folder_of "$path")" "$path"
	done
	in_host "$1" libvirtd -f /etc/libvirt/libvirtd.conf \
		-p "/run/libvirt/pid" >"$tmp/$1/libvirtd.log" 2>&1 &
	until_ 30 virsh -c "$(uri "$1")" list
}

has_own_mounts()
{
	[[ $(readlink "/proc/$1/ns/mnt") != $(readlink /proc/self/ns/mnt) ]]
}

# folder_of PATH: /var/log/libvirt is log, /run/libvirt is run.
folder_of() { basename "$(dirname "$1")"; }

uri() { echo "qemu+unix:///system?socket=$tmp/$1/run/libvirt-sock"; }

vm_define()
{
	cat >"$tmp/vm.xml" <<-XML
		<domain type='qemu'>
		  <name>vm</name>
		  <memory unit='MiB'>256</memory>
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$tmp/guest/vmlinuz</kernel>
		    <initrd>$tmp/guest/initramfs.gz</initrd>
		    <cmdline>console=ttyS0 quiet no_timer_check panic=-1 mitigations=off tsc=reliable NET=0 MIB=64 $1</cmdline>
		  </os>
		  <features><acpi/></features>
		  <cpu mode='custom' match='exact' check='none'>
		    <model fallback='allow'>qemu64</model>
		  </cpu>
		  <on_reboot>destroy</on_reboot>
		  <devices>
		    <emulator>$tmp/qemu</emulator>
		    <serial type='file'>
		      <source path='/var/log/libvirt/console' append='on'/>
		    </serial>
		    <memballoon model='none'/>
		  </devices>
		</domain>
	XML
}

# beats HOST CNT: the guest has said so many lines there, and found no damage.
beats()
{
	[[ $(grep -ac 'guest: beat' "$tmp/$1/log/console") -ge $2 ]]
}

is_sound()
{
	local cnt

	cnt=$(grep -ac 'guest: beat' "$tmp/$1/log/console") || true
	until_ 60 beats "$1" $((cnt + 3))
	! grep -aE 'DAMAGED| damage [1-9]' "$tmp/$1/log/console" ||
		die "the guest found damage at $1"
}

addr() { case $1 in a) echo "$HOSTS_A4" ;; b) echo "$HOSTS_B4" ;; esac; }

said() { grep -qs "$2" "$tmp/$1"; }

# move FROM TO
move()
{
	local into from began

	rm -f "$tmp"/{into,from}.{json,err}
	in_host "$2" "$pagetrim" proxy --json --psk "$tmp/psk" \
		--dev "$(hosts_dev "$net" "$2")" --listen "$(addr "$2")" \
		--into /run/libvirt/m.sock >"$tmp/into.json" 2>"$tmp/into.err" &
	into=$!
	until_ 30 said into.err ' listening on '
	in_host "$1" "$pagetrim" proxy --json --psk "$tmp/psk" \
		--dev "$(hosts_dev "$net" "$1")" --to "$(addr "$2")" \
		--from /run/libvirt/m.sock >"$tmp/from.json" 2>"$tmp/from.err" &
	from=$!
	until_ 30 said from.err ' waits for QEMU'
	began=$(date +%s%N)
	timeout 120 virsh -c "$(uri "$1")" migrate --live vm \
		--desturi "$(uri "$2")" \
		--migrateuri unix:///run/libvirt/m.sock ||
		die "virsh migrate $1 $2: $(cat "$tmp"/{from,into}.err \
			"$tmp/$1/libvirtd.log" "$tmp/$2/libvirtd.log")"
	wait "$from" || die "proxy: $(cat "$tmp"/{from,into}.err)"
	wait "$into" || die "proxy: $(cat "$tmp/into.err")"
	[[ $(virsh -c "$(uri "$2")" domstate vm) == running* ]] ||
		die "the guest does not run at $2"
	! virsh -c "$(uri "$1")" domstate vm 2>/dev/null | grep -q running ||
		die "the guest runs at $1, too"
	is_sound "$2"
	echo "ok moved from $1 to $2 in $((($(date +%s%N) - began) / 1000000)) ms," \
		"$(jq -r '.ram.transferred' "$tmp/from.json") bytes on the wire"
}

printf '#!/bin/sh\nexec %s "$@"\n' \
	"${PAGETRIM_QEMU:-$(command -v qemu-system-x86_64)}" >"$tmp/qemu"
chmod 755 "$tmp/qemu"
"$root/scripts/live_guest.sh" prepare --dir "$tmp/guest"
"$pagetrim" keygen "$tmp/psk" >/dev/null
hosts_up "$net"
host_begin a
host_begin b
# See usage: a guest that hardly writes comes through more often.
rate=500
[[ ! $("$tmp/qemu" --version) =~ version\ [1-8]\. ]] || rate=0
vm_define "RATE=$rate BLOCKS=4"
virsh -c "$(uri a)" create "$tmp/vm.xml"
until_ 120 beats a 3
for ((i = 0; i < moves; i++)); do
	if ((i % 2)); then
		move b a
	else
		move a b
	fi
done
