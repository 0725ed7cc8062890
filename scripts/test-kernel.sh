#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-kernel.sh: net tests under Debian 12's own kernel, Linux 6.1, whatever
# kernel runs here: AF_XDP without multi-buffer, libxdp's dispatcher, soft-dirty.
#
#     linux-image-amd64 --apt-get download--> vmlinuz, modules (cached)
#                                                   |
#         QEMU (emulated CPU, no network) <-- boots-+
#           / = this machine's files, read only, and a layer in memory above
#           tests/kernel/run.sh --> tests/net/test_*.sh, tests/kernel/test_*.sh
#
#     scripts/test-kernel.sh [TEST...]   only these, e.g. tests/net/test_wire.sh
#
# Root; installs what is missing and builds.  Without TEST the BPF tests that
# need no large frames, the net tests' cases in tests/kernel/cases, and the
# tests in that folder.  Environment: PAGETRIM_BUILD, a build folder to use as
# it is; ONLY, as for the net tests, one word; TIMEOUT_S, for all of it
# (default 3600).
# The last line is 'N passed, N failed'; a warning or worse of the kernel
# counts as one that failed.  Exit: 0 all passed, else 1.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pagetrim
qemu="qemu-system-x86_64"
# shellcheck source=scripts/guest/packages.sh
source "$here/guest/packages.sh"

# An emulated CPU is slow: the tests wait this many times longer.
patience=10
# What the kernel needs beyond what it has built in.
modules=(virtio_pci 9pnet_virtio 9p overlay veth)

die() { echo "test-kernel: $*" >&2; exit 1; }

# It goes over the kernel's command line.
[[ ${ONLY-} != *[[:space:]]* ]] || die "ONLY='$ONLY': one word, please"

# ---------------------------------------------------------------- the image

image_key()
{
	{
		cat "$here/guest/kernel-init"
		echo "$(kernel_package) ${modules[*]}"
		declare -f unpack
	} | sha256sum | cut -c 1-12
}

# unpack DIR: DIR/linux-image-*.deb --> DIR/vmlinuz, DIR/initramfs.gz.
unpack()
{
	local files=$1/files tree=$1/tree version module path
	local -A have=()

	mkdir -p "$files" "$tree"/{bin,lib}
	dpkg-deb -x "$1"/linux-image-*.deb "$files"
	mv "$files"/boot/vmlinuz-* "$1/vmlinuz"
	version=$(basename "$files"/lib/modules/*)
	depmod -b "$files" "$version"
	for module in "${modules[@]}"; do
		while read -r _ path _; do
			[[ -z ${have[$path]-} ]] || continue
			have[$path]=1
			cp "$path" "$tree/lib"
			echo "/lib/${path##*/}" >>"$tree/modules"
		done < <(modprobe -d "$files" -S "$version" -D "$module" |
			grep '^insmod')
	done
	cp "$(command -v busybox)" "$tree/bin/busybox"
	cp "$here/guest/kernel-init" "$tree/init"
	(cd "$tree" && find . -print0 | LC_ALL=C sort -z |
		cpio --null --quiet -o -H newc -R 0:0) |
		gzip -1n >"$1/initramfs.gz"
	rm -rf "$files" "$tree" "$1"/*.deb "$1/log"
}

# prepare: make sure that $image holds vmlinuz and initramfs.gz.
prepare()
{
	local new

	image=$cache/kernel-$(image_key)
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -w 600 9 || die "$cache/lock: still held after 600 s"
	if [[ ! -d $image ]]; then
		new=$tmp/image
		mkdir "$new"
		fetch "$new"
		unpack "$new"
		mv "$new" "$image"
	fi
	exec 9>&-
}

# ------------------------------------------------------------------ the QEMU

cleanup()
{
	local p

	for p in $machine $reader; do
		kill -KILL "$p" 2>/dev/null || true
	done
	rm -rf "$tmp"
}

boot()
{
	# Without mitigations: under emulation each system call would cost a
	# flush of the TLB, and the tests three times as long.
	local append="console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off"

	append+=" tsc=reliable PAGETRIM_PATIENCE=$patience${ONLY:+ ONLY=$ONLY}"
	append+=" -- $root/tests/kernel/run.sh $build $*"
	: >"$tmp/said"
	"$qemu" -name pagetrim-kernel -accel tcg,thread=multi -M q35 \
		-cpu max,la57=off -smp 2 -m 3072 -nodefaults -no-user-config \
		-display none -no-reboot -kernel "$image/vmlinuz" \
		-initrd "$image/initramfs.gz" -append "$append" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-serial "file:$tmp/kernel" -serial "file:$tmp/said" &
	machine=$!
}

# watch: show what the tests say until the machine is off, at most timeout_s.
watch()
{
	# In the background, so that a signal finds bash waiting.
	timeout "$timeout_s" tail -f -n +1 --pid="$machine" "$tmp/said" &
	reader=$!
	wait "$reader" && return
	echo "not ok the machine is off within $timeout_s s"
	failed=$((failed + 1))
}

# judge: add up the counts that the tests printed; the kernel's word counts too.
judge()
{
	local p f

	while read -r p f; do
		passed=$((passed + p)) failed=$((failed + f))
	done < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' \
		"$tmp/said")
	if ! grep -qx 'all tests ran' "$tmp/said"; then
		echo "not ok all tests ran"
		failed=$((failed + 1))
	fi
	# loglevel=5 has warnings on the console, and what is worse.
	if grep -Eq 'WARNING:|BUG:|Oops:|Call Trace:|panic' "$tmp/kernel"; then
		echo "not ok the kernel has nothing to complain of"
		sed 's/^/    /' "$tmp/kernel"
		failed=$((failed + 1))
	else
		echo "ok the kernel has nothing to complain of"
		passed=$((passed + 1))
	fi
}

[[ $EUID -eq 0 ]] || die "needs root, to read all of this machine's files"
build=$(realpath -m "${PAGETRIM_BUILD:-$root/build}")
if [[ -z ${PAGETRIM_BUILD-} ]]; then
	"$here/deps.sh"
	make -s -C "$root" -j "$(nproc)" all tests
fi
for program in pagetrim tests/net/wire count.bpf.o; do
	[[ -e $build/$program ]] ||
		die "no $build/$program (run: make all tests)"
done
[[ $root$build$* != *[[:space:]\"]* ]] ||
	die "$root: spaces cannot pass the kernel's command line"
timeout_s=${TIMEOUT_S:-3600}
passed=0 failed=0 tmp='' machine='' reader=''
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d)
prepare
boot "$@"
watch
judge
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
