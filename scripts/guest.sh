#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# guest.sh: a real Linux guest whose RAM is a file.
#
#     Debian packages --apt-get download, dpkg-deb--> kernel, initramfs (cached)
#                                                         |
#     start --ram FILE:   QEMU (emulated CPU) <-- boots --+
#                           | guest RAM = FILE, shared
#                           v
#     serial console: "guest: ready" --> QMP stop --> FILE stands still
#
# The kernel is unpacked, never installed.  It needs no KVM and no network of
# its own, and root only for --netns.  `help` prints the commands.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pagetrim

# The guest's userland: packages of this machine's Debian and all their
# dependencies, unpacked without running their scripts.
packages=(bash coreutils findutils sed grep mawk gzip util-linux util-linux-extra
	  mount perl-base python3-minimal libpython3-stdlib sqlite3 tzdata
	  libc-bin)

usage()
{
	cat <<USAGE
Usage: guest.sh COMMAND [options]

A Linux guest in QEMU whose RAM is a file, for pagetrim to move.

Commands:
  prepare   fetch and unpack kernel and userland, build the initramfs (cached)
  start     boot a guest on the RAM file, wait until it is ready, stop it
  incoming  start a QEMU that waits for a migration, on a RAM file of its own
  load      start a QEMU on an existing RAM file and saved state, stopped
  save      write the state of a stopped guest, without its RAM, to a file
  resume    let a stopped guest run and wait until it has checked its files
  pause     stop a running guest: its RAM file stands still
  stop      end the QEMU, remove its RAM file and the state folder
  clean     empty the cache
  help      this text

Options:
  --dir STATE      folder of this guest (all but prepare, clean); made by
                   start, incoming and load; holds qemu.pid, qmp.sock,
                   serial.log and ram, a link to the RAM file
  --ram FILE       RAM file, e.g. /dev/shm/guest (start, incoming, load)
  --size-mib N     RAM in MiB, 420..3072 (default 512)
  --work N         how much the guest does, 1..16 (default 1: about 300 MiB of
                   RAM used, and 70 MiB more for each further; start)
  --netns NAME     network namespace to run QEMU in (start, incoming, load)
  --listen URI     where to wait, e.g. tcp:10.0.0.2:4444, or defer: until told
                   by QMP (incoming)
  --prealloc       have all of the RAM allocated before it waits (incoming)
  --state FILE     the saved state (save, load)
  --keep-ram       leave the RAM file (stop)
  --timeout-s N    how long to wait for the guest, 1..3600 (default 180)

Exit: 0 done, 1 failed (one line on stderr, nothing left behind), 2 usage.
Example: guest.sh start --ram /dev/shm/vm --dir /tmp/vm &&
         guest.sh stop --dir /tmp/vm
USAGE
}

# shellcheck source=scripts/guest/packages.sh
source "$here/guest/packages.sh"
# shellcheck source=scripts/guest/process.sh
source "$here/guest/process.sh"

die() { echo "guest: $*" >&2; exit 1; }
misuse() { echo "guest: $* (see guest.sh help)" >&2; exit 2; }

# ---------------------------------------------------------------- the image

# image_key: changes with the ingredients of the initramfs, except for new
# versions of packages, so that a cached image needs no network.
image_key()
{
	{
		cat "$here"/guest/{init,app.py,grow.awk}
		echo "${packages[*]}"
		declare -f unpack
	} | sha256sum | cut -c 1-12
}

# unpack DIR: DIR/*.deb --> DIR/root and DIR/vmlinuz.
unpack()
{
	local deb root=$1/root d

	mkdir -p "$root"/{proc,sys,dev,tmp} "$root"/usr/{bin,sbin,lib,lib64}
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
		*)
			dpkg-deb --fsys-tarfile "$deb" |
				tar -x --keep-directory-symlink -C "$root"
			;;
		esac
	done
	rm -rf "$root/usr/share/locale"
	cp "$here"/guest/{init,app.py,grow.awk} "$root"
	chmod 755 "$root/init"
}

# prepare: make sure that $image holds vmlinuz and initramfs.gz.
prepare()
{
	local new

	image=$cache/guest-$(image_key)
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -w 600 9 || die "$cache/lock: still held after 600 s"
	if [[ ! -d $image ]]; then
		new=$(mktemp -d "$cache/new.XXXXXX")
		undo+=("rm -rf '$new'")
		fetch "$new" "${packages[@]}"
		unpack "$new"
		(cd "$new/root" && find . -print0 | LC_ALL=C sort -z |
			cpio --null --quiet -o -H newc -R 0:0) |
			gzip -1n >"$new/initramfs.gz"
		rm -rf "$new"/{root,log,*.deb}
		mv "$new" "$image"
	fi
	exec 9>&-
}

# console_args: for launch.
console_args() { console=(-serial "file:$dir/serial.log"); }

# -------------------------------------------------------------- the commands

guest_start()
{
	local need_mib=$((350 + 70 * work))

	[[ $size_mib -ge $need_mib ]] ||
		misuse "--work $work needs --size-mib $need_mib or more"
	prepare
	launch -kernel "$image/vmlinuz" -initrd "$image/initramfs.gz" -append \
		"console=ttyS0 quiet no_timer_check panic=-1 pagetrim.work=$work"
	wait_said "guest: ready" 1
	qmp stop >/dev/null
}

guest_incoming()
{
	[[ -n $listen ]] || misuse "incoming needs --listen"
	launch -S -incoming "$listen"
}

guest_load()
{
	[[ -r $state && -s $state ]] ||
		misuse "load needs --state, a file that save wrote"
	[[ -r $ram ]] || misuse "load needs --ram, an existing file"
	[[ $(stat -Lc %s "$ram") -eq $((size_mib << 20)) ]] ||
		die "$ram: not $size_mib MiB long (give --size-mib)"
	launch -S -incoming defer
	qmp load "$state"
}

guest_save()
{
	[[ -n $state ]] || misuse "save needs --state"
	qmp save "$state"
}

guest_resume()
{
	local beats

	beats=$(said "guest: beat")	# 0 in the new console of a loaded guest
	qmp cont >/dev/null
	wait_said "guest: beat" $((beats + 1))
	grep -F "guest: beat" "$dir/serial.log" | tail -n 1 | tr -d '\r'
	[[ $(said DAMAGED) -eq 0 ]] || die "$dir: the guest's files are damaged"
}

guest_pause() { qmp stop >/dev/null; }

guest_stop()
{
	local file

	[[ -d $dir ]] || die "$dir: no such folder"
	file=$(readlink "$dir/ram") || true
	stop_qemu
	[[ -n $keep_ram || -z $file ]] || rm -f "$file"
}

# ------------------------------------------------------------------ the start

command=${1-}
[[ $# -eq 0 ]] || shift
dir='' ram='' netns='' listen='' state='' keep_ram='' backend=''
size_mib=512 work=1 timeout_s=180
while [[ $# -gt 0 ]]; do
	[[ $# -gt 1 || $1 =~ ^--(keep-ram|prealloc|help)$ ]] ||
		misuse "$1: needs a value"
	case $1 in
	--dir)		dir=$2; shift ;;
	--ram)		ram=$2; shift ;;
	--size-mib)	number "$1" "$2" 420 3072; size_mib=$2; shift ;;
	--work)		number "$1" "$2" 1 16; work=$2; shift ;;
	--netns)	netns=$2; shift ;;
	--listen)	listen=$2; shift ;;
	--state)	state=$2; shift ;;
	--timeout-s)	number "$1" "$2" 1 3600; timeout_s=$2; shift ;;
	--keep-ram)	keep_ram=1 ;;
	--prealloc)	backend=,prealloc=on ;;
	--help)		usage; exit 0 ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift
done

undo_on_failure

case $command in
start | incoming | load)
	"guest_$command"
	;;
save | resume | pause | stop)
	[[ -n $dir ]] || misuse "$command needs --dir"
	[[ $command == stop ]] || alive || die "$dir: no guest runs there"
	"guest_$command"
	;;
prepare)	prepare ;;
clean)		rm -rf "$cache"/guest-* "$cache"/new.* ;;
help | --help | -h)	usage ;;
'')		misuse "no command" ;;
*)		misuse "$command: no such command" ;;
esac
undo=()
