#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# live_guest.sh: a small Linux guest that checks its own memory while it runs, to
# be moved meanwhile.
#
#     Debian's kernel and its virtio modules (cached)   build/tests/live/guest
#                          \                              /
#                           QEMU (emulated CPU)  <-- initramfs
#        serial console <-- one line a second:  what it wrote and checked, damage
#        tap            <-- TCP and UDP on port 7 (tests/live/client.py)
#        disk           --> read by O_DIRECT (tests/live/slow_disk.py)
#
# It boots in seconds.  `help` prints the commands; tests/live/guest.c has what
# --set may set, and the console's lines.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${PAGETRIM_BUILD:-$here/../build}
modules=(virtio_pci virtio_net virtio_blk virtio_balloon)

usage()
{
	cat <<USAGE
Usage: live_guest.sh COMMAND [options]

A Linux guest in QEMU that checks its own memory, for pagetrim to move while it
runs.

Commands:
  prepare   fetch and unpack kernel and modules (cached); with --dir, put vmlinuz
            and initramfs.gz of the guest there
  start     boot a guest, wait until it is ready; it runs on
  incoming  start a QEMU that waits for a migration (-incoming defer), with the
            same options as the guest that is to come
  beats     wait for --count more lines of its console, print the last one; fail
            if the guest ever found damage
  tell      give the guest a command by its console, wait until it has obeyed,
            print its answer: verify, "rate N", "blocks N", "hot N", "check N"
  stop      end the QEMU, remove its RAM file and the state folder
  help      this text

Options:
  --dir STATE      folder of this guest (all but prepare); made by start and
                   incoming; holds qemu.pid, qmp.sock, agent.sock (a second QMP
                   monitor, for pagetrim), console.sock, serial.log, qemu.log
  --ram FILE       RAM file, e.g. /dev/shm/guest, or the word memfd or private
  --size-mib N     RAM in MiB, 96..16384 (default 256)
  --set "NAME=N..."   the guest's settings, e.g. "MIB=128 RATE=500 BLOCKS=4"
  --netns NAME     network namespace to run QEMU in
  --tap DEV        tap of that namespace for the guest's card
  --disk FILE      a disk to read, without the host's page cache
  --device ARGS    one more device of QEMU, e.g. vmgenid,guid=auto
  --append WORDS   more words for the guest's kernel, e.g. init_on_alloc=0
  --redis          Redis of this machine serves on port 6379
  --aligned        RAM begins at a multiple of 2 MiB, so that it can stand in
                   large pages; with a RAM file
  --prealloc       have all of the RAM allocated before it waits (incoming)
  --count N        beats to wait for, 1..3600 (default 1)
  --timeout-s N    how long to wait for the guest, 1..3600 (default 180)

Exit: 0 done, 1 failed (one line on stderr), 2 usage.
USAGE
}

# shellcheck source=scripts/guest/packages.sh
source "$here/guest/packages.sh"
# shellcheck source=scripts/guest/machine.sh
source "$here/guest/machine.sh"
# shellcheck source=scripts/guest/process.sh
source "$here/guest/process.sh"

die() { echo "live_guest: $*" >&2; exit 1; }
misuse() { echo "live_guest: $* (see live_guest.sh help)" >&2; exit 2; }

# prepare: sets $image, a folder with vmlinuz and an initramfs of modules.
prepare()
{
	local key

	key=$(machine_key "$(kernel_package)") || die "no kernel: see above"
	tmp=$(mktemp -d)
	undo+=("rm -rf '$tmp'")
	machine_prepare "live-$key" fetch
}

# initramfs_make FILE: that of the image, whose process 1 ours replaces.
initramfs_make()
{
	[[ -x $build/tests/live/guest ]] ||
		die "$build/tests/live/guest: missing (run make tools)"
	mkdir "$tmp/root"
	cp "$build/tests/live/guest" "$tmp/root/init"
	[[ -z $redis ]] || redis_add "$tmp/root"
	{
		cat "$image/initramfs.gz"
		(cd "$tmp/root" && find . -mindepth 1 |
			cpio --quiet -o -H newc -R 0:0) | gzip -1n
	} >"$1"
}

# redis_add DIR: Redis as this machine has it (redis-tools: the server is the program
# that checks its files, by another name), and its libraries.
redis_add()
{
	local program file

	program=$(command -v redis-check-rdb) ||
		die "no redis-check-rdb (apt-get install redis-tools)"
	install -D "$program" "$1/usr/bin/redis-server"
	while read -r file; do
		install -D "$file" "$1$file"
	done < <(ldd "$program" | grep -o '/[^ ]*')
}

console_args()
{
	# shellcheck disable=SC2034 # for launch
	console=(-chardev "socket,id=console,path=$dir/console.sock,server=on,wait=off,logfile=$dir/serial.log"
		 -serial chardev:console
		 -qmp "unix:$dir/agent.sock,server=on,wait=off")
}

guest_prepare()
{
	prepare
	if [[ -n $dir ]]; then
		mkdir -p "$dir"
		cp "$image/vmlinuz" "$dir/"
		initramfs_make "$dir/initramfs.gz"
	fi
	rm -rf "$tmp"
}

# boot ARG...: launches QEMU with the guest's devices.
boot()
{
	local -a devices=(-device "virtio-balloon-pci,id=balloon")
	local file append="console=ttyS0 quiet no_timer_check panic=-1 mitigations=off tsc=reliable${words:+ $words}"

	[[ -z $device ]] || devices+=(-device "$device")
	if [[ -n $tap ]]; then
		devices+=(-netdev "tap,id=net,ifname=$tap,script=no,downscript=no,vhost=off"
			  -device "virtio-net-pci,id=card,netdev=net,mac=52:54:00:70:74:02,romfile=")
	else
		settings="NET=0 $settings"
	fi
	if [[ -n $disk ]]; then
		file="driver=file,node-name=disk,filename=$disk,read-only=on"
		file+=",cache.direct=on,aio=threads,locking=off"
		devices+=(-blockdev "$file"
			  -device "virtio-blk-pci,id=slow,drive=disk")
	fi
	prepare
	initramfs_make "$tmp/initramfs.gz"
	launch "${devices[@]}" -kernel "$image/vmlinuz" \
		-initrd "$tmp/initramfs.gz" -append "$append $settings" "$@"
	rm -rf "$tmp"
}

guest_start()
{
	boot
	wait_said "guest: ready" 1
}

guest_incoming() { boot -incoming defer; }

guest_beats()
{
	local damage

	wait_said "guest: beat" $(($(said "guest: beat") + count))
	grep -aF "guest: beat" "$dir/serial.log" | tail -n 1 | tr -d '\r'
	damage=$(grep -aE 'DAMAGED| damage [1-9]' "$dir/serial.log" |
		head -n 1) || true
	[[ -z $damage ]] || die "$dir: the guest found damage: $damage"
}

guest_tell()
{
	local answer="guest: ${line/ / is }" before

	[[ $line != verify ]] || answer="guest: verified"
	before=$(said "$answer")
	python3 -c 'import socket, sys
console = socket.socket(socket.AF_UNIX)
console.connect(sys.argv[1])
console.sendall(sys.argv[2].encode() + b"\n")' "$dir/console.sock" "$line" ||
		die "$dir/console.sock: see above"
	wait_said "$answer" $((before + 1))
	grep -aF "$answer" "$dir/serial.log" | tail -n 1 | tr -d '\r'
}

guest_stop()
{
	local file

	[[ -d $dir ]] || die "$dir: no such folder"
	file=$(readlink "$dir/ram") || true
	stop_qemu
	[[ -z $file ]] || rm -f "$file"
}

command=${1-} line=''
[[ $# -eq 0 ]] || shift
if [[ $command == tell && $# -gt 0 ]]; then
	line=$1
	shift
fi
dir='' ram='' netns='' tap='' disk='' device='' words='' redis='' settings='' backend='' aligned='' tmp=''
size_mib=256 count=1 timeout_s=180
while [[ $# -gt 0 ]]; do
	[[ $# -gt 1 || $1 =~ ^--(redis|aligned|prealloc|help)$ ]] || misuse "$1: needs a value"
	case $1 in
	--dir)		dir=$2; shift ;;
	--ram)		ram=$2; shift ;;
	--size-mib)	number "$1" "$2" 96 16384; size_mib=$2; shift ;;
	--set)		settings=$2; shift ;;
	--netns)	netns=$2; shift ;;
	--tap)		tap=$2; shift ;;
	--disk)		disk=$2; shift ;;
	--count)	number "$1" "$2" 1 3600; count=$2; shift ;;
	--timeout-s)	number "$1" "$2" 1 3600; timeout_s=$2; shift ;;
	--device)	device=$2; shift ;;
	--append)	words=$2; shift ;;
	--redis)	redis=1 ;;
	--aligned)	aligned=,align=2M ;;
	--prealloc)	backend=,prealloc=on ;;
	--help)		usage; exit 0 ;;
	*)		misuse "$1: not an option" ;;
	esac
	shift
done

undo_on_failure

case $command in
start | incoming)
	"guest_$command"
	;;
beats | tell | stop)
	[[ -n $dir ]] || misuse "$command needs --dir"
	[[ $command != tell || -n $line ]] || misuse "tell needs a command"
	[[ $command == stop ]] || alive || die "$dir: no guest runs there"
	"guest_$command"
	;;
prepare)	guest_prepare ;;
help | --help | -h)	usage ;;
'')		misuse "no command" ;;
*)		misuse "$command: no such command" ;;
esac
undo=()
