#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-package.sh: the Debian packages, installed in a clean Debian 12, and their
# service under systemd and Debian's own kernel (root).
#
#     scripts/package.sh --> *.deb --apt-get install--> clean root folder
#     debootstrap (cached) ------------------------------^     |
#                                                              |
#     debian/tests/*, tests/package/inside.sh: chroot, this kernel
#     tests/package/run.sh: QEMU (emulated CPU, no network) <-- boots, systemd
#
# The rest is in usage below.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
qemu=(qemu-system-x86_64)
# shellcheck source=scripts/guest/packages.sh
source "$here/guest/packages.sh"
# shellcheck source=scripts/guest/suites.sh
source "$here/guest/suites.sh"
# shellcheck source=scripts/guest/machine.sh
source "$here/guest/machine.sh"

# shellcheck disable=SC2034 # for machine.sh
patience=10 modules=(virtio_pci 9pnet_virtio 9p overlay veth)
suite=bookworm
# A clean system has these beside the essential packages.
clean=(apparmor systemd-sysv udev dbus iproute2 iputils-ping kmod procps)

usage()
{
	cat <<USAGE
Usage: test-package.sh [--packages DIR] [--no-machine] [--help]

      --packages DIR   the packages of package.sh --out DIR (default: it builds
                       them)
      --no-machine     not the service under systemd in an emulated machine

Root; installs missing packages.  The clean system is kept in
~/.cache/pagetrim/root-*; remove it to renew it.  Environment: TIMEOUT_S, for
the machine (default 1200).  The last line is 'N passed, N failed'.

Exit: 0 all passed, 1 failed, 2 wrong usage.
USAGE
}

die() { echo "test-package: $*" >&2; exit 1; }
misuse() { echo "test-package: $* (see --help)" >&2; exit 2; }

cleanup()
{
	machine_stop
	[[ -z $files ]] || umount_all
	rm -rf --one-file-system "$tmp"
}

# judge NAME COMMAND...: a test of this script.
judge()
{
	local name=$1

	shift
	if "$@" >"$tmp/log" 2>&1; then
		echo "ok package: $name"
		passed=$((passed + 1))
	else
		echo "not ok package: $name"
		sed 's/^/    /' "$tmp/log"
		failed=$((failed + 1))
	fi
}

# fetch_clean DIR: a clean root folder.
fetch_clean()
{
	local mirror

	mirror=$(suites_mirror)
	[[ $mirror ]] || die "apt has no source of Debian's main suite"
	packages_say "making a clean $suite"
	debootstrap --variant=minbase "--include=$(IFS=,; echo "${clean[*]}")" \
		"$suite" "$1" "$mirror" >"$tmp/log" 2>&1 || {
		tail -n 5 "$tmp/log" >&2
		die "debootstrap failed: see above"
	}
}

# prepare_clean: sets $base, the clean root folder of the cache.
prepare_clean()
{
	local cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pagetrim

	base=$cache/root-$(declare -p suite clean | sha256sum | cut -c 1-12)
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -w 600 9 || die "$cache/lock: still held after 600 s"
	if [[ ! -d $base ]]; then
		fetch_clean "$tmp/base"
		mv "$tmp/base" "$base"
	fi
	exec 9>&-
}

# in_root COMMAND...: runs it in $files, the root folder of the test.
in_root()
{
	chroot "$files" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# install_in_root PACKAGE...: with what they depend on, from the mirror.
install_in_root()
{
	in_root apt-get -q -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 \
		install --no-install-recommends "$@"
}

# mount_all: mounts in the root folder, as in a running system.
mount_all()
{
	mount -t proc proc "$files/proc"
	mount -t sysfs sys "$files/sys"
	mount -t bpf bpf "$files/sys/fs/bpf"
	mount --rbind /dev "$files/dev"
	mount -t tmpfs run "$files/run"
	mount -t tmpfs tmp "$files/tmp"
	cp -L /etc/resolv.conf "$files/etc/resolv.conf"
}

# umount_all: lazily, since `ip netns` leaves a mount in /run.
umount_all()
{
	local folder

	for folder in tmp run sys dev proc; do
		! mountpoint -q "$files/$folder" ||
			umount --recursive --lazy "$files/$folder"
	done
}

# bring PACKAGE...: copies the packages, by their names alone, to /tmp there.
bring()
{
	local package

	for package; do
		cp "$packages/$package"_*.deb "$files/tmp/$package.deb"
	done
}

# boot: the installed system, with the service's test as one more service.
boot()
{
	cp "$root"/tests/package/run.sh "$files/usr/local/sbin/package-test"
	cp "$root"/tests/package/package-test.service "$files/etc/systemd/system"
	ln -s ../package-test.service \
		"$files/etc/systemd/system/multi-user.target.wants/"
	ln -sf /dev/null "$files/etc/systemd/system/serial-getty@ttyS0.service"
	ln -sf /dev/null "$files/etc/systemd/system/getty@tty1.service"
	: >"$files/etc/machine-id"
	machine_prepare "kernel-$(machine_key "$(kernel_package)")" fetch
	machine_root=$files
	machine_boot "-- /sbin/init"
	machine_watch "${TIMEOUT_S:-1200}"
	machine_judge
}

packages='' machine_too=1
args=("$@")
while (($#)); do
	case $1 in
	--packages)
		[[ -n ${2-} ]] || misuse "--packages: needs a folder"
		packages=$(realpath -m "$2")
		shift
		;;
	--no-machine)	machine_too='' ;;
	-h | --help)	usage; exit 0 ;;
	*)		misuse "'$1': not an option" ;;
	esac
	shift
done
[[ $EUID -eq 0 ]] || die "needs root, for namespaces and debootstrap"
# A mount namespace of its own: nothing stays mounted, however this ends.
if [[ -z ${PAGETRIM_OWN_MOUNTS-} ]]; then
	export PAGETRIM_OWN_MOUNTS=1
	exec unshare --mount --propagation private -- "${BASH_SOURCE[0]}" "${args[@]}"
fi

tmp='' files=''
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-test-package.XXXXXX")
chmod 755 "$tmp"
if [[ -z $packages ]]; then
	packages=$tmp/packages
	"$here/package.sh" --out "$packages"
fi
compgen -G "$packages/pagetrim_*.deb" >/dev/null ||
	die "$packages: no packages (run: scripts/package.sh --out $packages)"
hash debootstrap 2>/dev/null ||
	apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
		debootstrap >&2
prepare_clean
files=$tmp/files
cp -a --reflink=auto "$base" "$files"
mount_all
bring pagetrim
judge "apt-get update" in_root apt-get -q update
judge "pagetrim is installed" install_in_root /tmp/pagetrim.deb
cp -r "$root/tests/package" "$root/debian/tests" "$files/tmp"
judge "what is installed" in_root bash /tmp/package/inside.sh
judge "autopkgtest transfer" in_root bash /tmp/tests/transfer
umount_all
[[ -z $machine_too ]] || boot

# Last, since a compiler is no part of a clean system.
mount_all
bring libpagetrim0 libpagetrim-dev
cp -r "$root/tests/package" "$root/debian/tests" "$files/tmp"
judge "libpagetrim-dev is installed" install_in_root /tmp/libpagetrim0.deb \
	/tmp/libpagetrim-dev.deb gcc libc6-dev pkg-config
judge "autopkgtest embed" in_root bash /tmp/tests/embed
judge "all is purged" in_root apt-get -q -y purge pagetrim libpagetrim-dev \
	libpagetrim0
judge "nothing is left" in_root bash /tmp/package/left.sh
umount_all
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
