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
qemu="qemu-system-x86_64"

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

# ------------------------------------------------------------------ the QEMU

qmp() { "$here/guest/qmp.py" "$dir/qmp.sock" "$@"; }

# alive: our QEMU runs; a recycled pid does not count.
alive()
{
	local pid

	pid=$(cat "$dir/qemu.pid" 2>/dev/null) &&
		grep -qaF "$dir/qmp.sock" "/proc/$pid/cmdline" 2>/dev/null
}

# launch ARG...: start QEMU on the RAM file; returns when it answers on QMP.
launch()
{
	local in_ns=() free_mib

	[[ -n $dir && -n $ram ]] || misuse "$command needs --dir and --ram"
	command -v "$qemu" >/dev/null ||
		die "$qemu: not found (run scripts/deps.sh)"
	[[ ! -e $dir/qemu.pid ]] ||
		die "$dir: holds a guest already (guest.sh stop --dir $dir)"
	[[ $ram != *,* ]] || die "$ram: QEMU takes no comma in a RAM file's name"
	if [[ -n $netns ]]; then
		[[ -e /run/netns/$netns ]] ||
			die "$netns: no such network namespace (see ip netns)"
		in_ns=(nsenter "--net=/run/netns/$netns")
	fi
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	[[ ${#dir} -le 90 ]] ||
		die "$dir: too long to hold a socket (at most 90 characters)"
	undo+=("stop_qemu")

	if [[ $command != load ]]; then
		[[ ! -e $ram ]] || die "$ram: exists (give another --ram)"
		free_mib=$(df --output=avail -BM "$(dirname "$ram")" |
			tail -n 1 | tr -dc 0-9) || die "$ram: no such folder"
		[[ $free_mib -ge $size_mib ]] ||
			die "$ram: $free_mib MiB free, $size_mib needed"
		undo+=("rm -f '$ram'")
	fi
	ln -sfn "$(realpath -m "$ram")" "$dir/ram"

	"${in_ns[@]}" "$qemu" -name pagetrim-guest -accel tcg -M q35 -cpu max \
		-m "$size_mib" -object memory-backend-file,id=ram,"size=${size_mib}M,mem-path=$ram,share=on$backend" \
		-machine memory-backend=ram -nodefaults -no-user-config \
		-display none -no-reboot -serial "file:$dir/serial.log" \
		-qmp "unix:$dir/qmp.sock,server=on,wait=off" \
		-pidfile "$dir/qemu.pid" -daemonize "$@" ||
		die "$qemu did not start: see its message above"
}

# said TEXT: prints the count of serial console lines with TEXT.
said() { grep -cF "$1" "$dir/serial.log" 2>/dev/null || true; }

# last_words: prints the last lines of the guest, or else of its kernel.
last_words()
{
	local words

	words=$(grep -a '^guest: ' "$dir/serial.log" | tail -n 2 | tr -d '\r')
	echo "${words:-$(tail -n 3 "$dir/serial.log")}"
} 2>/dev/null

# wait_said TEXT N: waits until the console has TEXT N times, at most timeout_s.
wait_said()
{
	local end=$((SECONDS + timeout_s)) n

	until n=$(said "$1") && [[ ${n:-0} -ge $2 ]]; do
		alive || die "QEMU ended; the guest's last words:" \
			"$(last_words)"
		[[ $SECONDS -lt $end ]] ||
			die "no '$1' from the guest within $timeout_s s (see" \
				"--timeout-s); its last words: $(last_words)"
		sleep 0.05
	done
}

# has_ended PID: true once it holds no memory and no file.  The first of several
# threads may end before the others, and init may reap it late.
has_ended()
{
	local -a stat

	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	read -ra stat <<<"${stat##*) }"
	[[ ${stat[0]} == [ZX] && ${stat[17]} -le 1 ]]
}

# stop_qemu: ends it by request, then by SIGKILL; removes its files in the
# folder.
stop_qemu()
{
	local pid i

	if alive; then
		pid=$(cat "$dir/qemu.pid")
		timeout 5 "$here/guest/qmp.py" "$dir/qmp.sock" quit \
			>/dev/null 2>&1 || kill "$pid" || true
		for ((i = 0; i < 500; i++)); do
			! has_ended "$pid" || break
			((i != 100)) || kill -KILL "$pid" || true
			sleep 0.05
		done
	fi
	rm -f "$dir"/{qemu.pid,qmp.sock,serial.log,ram}
	rmdir "$dir" 2>/dev/null || true
}

# -------------------------------------------------------------- the commands

guest_start()
{
	local need_mib=$((350 + 70 * work))

	[[ $size_mib -ge $need_mib ]] ||
		misuse "--work $work needs --size-mib $need_mib or more"
	prepare
	launch -kernel "$image/vmlinuz" -initrd "$image/initramfs.gz" -append \
		"console=ttyS0 quiet panic=-1 pagetrim.work=$work"
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

# number NAME VALUE LOW HIGH: refuse what is not a number in the range.
number()
{
	if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 < $3 || $2 > $4)); then
		misuse "$1 $2: not a number $3..$4"
	fi
}

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

# Actions that a failure undoes, last first.  A success undoes nothing.
undo=()
roll_back()
{
	local i

	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		eval "${undo[i]}" || true
	done
}
trap roll_back EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

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
