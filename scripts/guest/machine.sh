# shellcheck shell=bash disable=SC2154 # the caller's variables
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# machine.sh: an emulated machine with a Debian kernel of its own and this very
# machine's files, or those of another folder, $machine_root.  Sourced by
# scripts/test-kernel.sh, scripts/test-nic.sh and scripts/test-package.sh, which
# define die, say with what in $modules, and set $tmp, $patience and $qemu, a
# command with its first arguments.
#
#     kernel packages --machine_unpack--> DIR/vmlinuz, DIR/initramfs.gz
#                                                   |
#         QEMU (emulated CPU, no network) <-- boots-+
#           / = this machine's files, read only, and a layer in memory above

machine_here=$(dirname "${BASH_SOURCE[0]}")
machine='' machine_reader=''
machine_root=/	# the folder that becomes the machine's /
passed=0 failed=0

# machine_key WORD...: prints the name of machine_unpack's result for WORDs.
machine_key()
{
	{
		cat "$machine_here/kernel-init"
		echo "$* ${modules[*]}"
		declare -f machine_unpack machine_add
	} | sha256sum | cut -c 1-12
}

# machine_add PATH: adds a module in the form that the kernel's loader takes.
machine_add()
{
	local name=${1##*/}

	if [[ $name == *.xz ]]; then
		name=${name%.xz}
		xz -dc "$1" >"$tree/lib/$name"
	else
		cp "$1" "$tree/lib/$name"
	fi
	echo "/lib/$name" >>"$tree/modules"
}

# machine_unpack DIR: DIR/linux-*.deb --> DIR/vmlinuz, DIR/initramfs.gz.
machine_unpack()
{
	local files=$1/files tree=$1/tree version module path deb
	local -A have=()

	mkdir -p "$files" "$tree"/{bin,lib}
	for deb in "$1"/linux-*.deb; do
		dpkg-deb -x "$deb" "$files"
	done
	[[ -d $files/lib/modules ]] || ln -s usr/lib "$files/lib"
	version=$(basename "$files"/lib/modules/*)
	mv "$files/boot/vmlinuz-$version" "$1/vmlinuz" 2>/dev/null ||
		mv "$files/lib/modules/$version/vmlinuz" "$1/vmlinuz"
	depmod -b "$files" "$version"
	for module in "${modules[@]}"; do
		while read -r _ path _; do
			[[ -z ${have[$path]-} ]] || continue
			have[$path]=1
			machine_add "$path"
		done < <(modprobe -d "$files" -S "$version" -D "$module" |
			grep '^insmod')
	done
	cp "$(command -v busybox)" "$tree/bin/busybox"
	cp "$machine_here/kernel-init" "$tree/init"
	(cd "$tree" && find . -print0 | LC_ALL=C sort -z |
		cpio --null --quiet -o -H newc -R 0:0) |
		gzip -1n >"$1/initramfs.gz"
	rm -rf "$files" "$tree" "$1"/*.deb "$1/log"
}

# machine_prepare NAME FETCH...: sets $image, a folder of the cache with vmlinuz
# and initramfs.gz; one that is not there yet is filled by `FETCH... DIR`.
machine_prepare()
{
	local cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pagetrim new

	image=$cache/$1
	shift
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -w 600 9 || die "$cache/lock: still held after 600 s"
	if [[ ! -d $image ]]; then
		new=$tmp/image
		mkdir "$new"
		"$@" "$new"
		machine_unpack "$new"
		mv "$new" "$image"
	fi
	exec 9>&-
}

# machine_boot WORDS ARG...: the kernel gets WORDS, which end with the program
# to run and its arguments; QEMU gets ARG...
machine_boot()
{
	# Without mitigations: under emulation each system call would cost a
	# flush of the TLB, and the tests three times as long.
	local append="console=ttyS0 loglevel=5 no_timer_check panic=-1 oops=panic mitigations=off"

	append+=" tsc=reliable PAGETRIM_PATIENCE=$patience $1"
	shift
	: >"$tmp/said"
	"${qemu[@]}" -name pagetrim-machine -accel tcg,thread=multi -M q35 \
		-cpu max,la57=off -smp 2 -m 3072 -nodefaults -no-user-config \
		-display none -no-reboot -kernel "$image/vmlinuz" \
		-initrd "$image/initramfs.gz" -append "$append" \
		-fsdev "local,id=root,path=$machine_root,security_model=none,readonly=on,multidevs=remap" \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-serial "file:$tmp/kernel" -serial "file:$tmp/said" "$@" &
	machine=$!
}

# machine_stop: stops the rest of it.
machine_stop()
{
	local p

	for p in $machine $machine_reader; do
		kill -KILL "$p" 2>/dev/null || true
	done
}

# machine_watch SECONDS: shows the tests' output until the machine is off.
machine_watch()
{
	# It runs in the background, so that bash can handle a signal.
	timeout "$1" tail -f -n +1 --pid="$machine" "$tmp/said" &
	machine_reader=$!
	wait "$machine_reader" && return
	echo "not ok the machine is off within $1 s"
	failed=$((failed + 1))
}

# machine_judge: adds up the tests' counts; kernel warnings count, too.
machine_judge()
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
	# loglevel=5 shows warnings and worse on the console.
	if grep -Eq 'WARNING:|BUG:|Oops:|Call Trace:|panic' "$tmp/kernel"; then
		echo "not ok the kernel has nothing to complain of"
		sed 's/^/    /' "$tmp/kernel"
		failed=$((failed + 1))
	else
		echo "ok the kernel has nothing to complain of"
		passed=$((passed + 1))
	fi
}
