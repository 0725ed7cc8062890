#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# database_guest.sh: the memory of a guest with a database, to be moved: Debian 13
# with PostgreSQL, whose tables pgbench has made and used.
#
#     database_guest.sh DIR [SIZE_MIB [SCALE]]
#
# Leaves in DIR what scripts/bench.sh --guest keeps, too: guest, its RAM (default
# 1024 MiB), and state, its devices'.  SCALE is pgbench's (default 10: 1 million
# accounts).  Does nothing if both are there.  Needs the network the first time,
# and some minutes: the CPU is emulated.
#
# Exit: 0 done, 1 failed, 2 usage.
set -euo pipefail

bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# process.sh reads these.
# shellcheck disable=SC2034
command=start netns='' backend='' timeout_s=3600

die() { echo "database_guest: $*" >&2; exit 1; }
misuse() { echo "database_guest: $*" >&2; exit 2; }

# shellcheck source=scripts/guest/suites.sh
source "$bench/../../scripts/guest/suites.sh"
# shellcheck source=scripts/guest/packages.sh
source "$bench/../../scripts/guest/packages.sh"
# shellcheck source=scripts/guest/process.sh
source "$bench/../../scripts/guest/process.sh"

(($# >= 1 && $# <= 3)) ||
	misuse "usage: database_guest.sh DIR [SIZE_MIB [SCALE]]"
kept=$1 size_mib=${2:-1024} scale=${3:-10}
number SIZE_MIB "$size_mib" 700 3072
number SCALE "$scale" 1 100
[[ ! -s $kept/guest || ! -s $kept/state ]] || exit 0

# unpack DIR: DIR/*.deb --> DIR/vmlinuz, DIR/initramfs.gz.  The compiler of
# PostgreSQL's JIT stays out: it would be a third of the memory.
unpack()
{
	local deb root=$1/root d

	mkdir -p "$root"/{proc,sys,dev,tmp,etc} "$root"/usr/{bin,sbin,lib,lib64}
	for d in bin sbin lib lib64; do
		ln -s "usr/$d" "$root/$d"
	done
	for deb in "$1"/*.deb; do
		case ${deb##*/} in
		linux-image-*)
			dpkg-deb --fsys-tarfile "$deb" |
				tar -xO --wildcards './boot/vmlinuz-*' \
					>"$1/vmlinuz"
			;;
		libllvm* | libz3* | perl-modules* | libperl*) ;;
		*)
			dpkg-deb --fsys-tarfile "$deb" |
				tar -x --keep-directory-symlink -C "$root"
			;;
		esac
	done
	ln -sf bash "$root/usr/bin/sh"	# initdb asks programs by it
	cp "$bench/database/init" "$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . -print0 | LC_ALL=C sort -z |
		cpio --null --quiet -o -H newc -R 0:0) | gzip -1n >"$1/initramfs.gz"
}

console_args() { console=(-serial "file:$dir/serial.log"); }

undo_on_failure
tmp=$(mktemp -d)
undo+=("rm -rf '$tmp'")
APT_CONFIG=$(suites_apt "$tmp/apt" trixie)
export APT_CONFIG
mkdir "$tmp/new"
fetch "$tmp/new" bash coreutils findutils grep sed mawk util-linux mount procps \
	postgresql-17
unset APT_CONFIG
unpack "$tmp/new"

dir=$tmp/guest ram=$kept/guest.new
mkdir -p "$kept"
rm -f "$ram"
launch -kernel "$tmp/new/vmlinuz" -initrd "$tmp/new/initramfs.gz" -append \
	"console=ttyS0 quiet no_timer_check panic=-1 pagetrim.scale=$scale pagetrim.seconds=60"
wait_said "guest: ready" 1
qmp stop >/dev/null
qmp save "$kept/state"
stop_qemu
mv "$ram" "$kept/guest"
undo=()
rm -rf "$tmp"
