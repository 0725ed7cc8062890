#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test-cross.sh: builds for other processors without a warning, and runs the unit
# programs and the vectors there, as far as qemu-user can: arm64, and s390x, which
# is big-endian.
#
#     scripts/test-cross.sh arm64|s390x...
#
#     Debian's packages --mmdebstrap--> ~/.cache/pagetrim/cross-SUITE-ARCH: its
#                                       libraries, headers and bpftool
#     this tree --gcc-TRIPLET--> build/cross/ARCH/ --qemu-ARCH-static--> verdicts
#
# Root; installs missing packages.  tests/cross/probe.c detects features of Linux that
# qemu-user lacks; tests/cross/known.txt names the cases that need them.  Such a case
# must fail, all others must pass.  The fuzz targets are built, not run.
# The last line is 'N passed, N failed', of programs.
# Exit: 0 all passed, 1 not, 2 usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source=scripts/usage.sh
source scripts/usage.sh
# shellcheck source=scripts/guest/suites.sh
source scripts/guest/suites.sh
# shellcheck source=scripts/guest/root.sh
source scripts/guest/root.sh

say() { echo "test-cross: ${arch:+$arch: }$*" >&2; }
die() { say "$*"; exit 1; }

arch=''
usage_options "$@"
(($#)) || usage_misuse "no architecture"
for word; do
	[[ $word == arm64 || $word == s390x ]] ||
		usage_misuse "$word: want arm64 or s390x"
done
[[ $EUID -eq 0 ]] || die "needs root, for namespaces"

# machine ARCH: sets what the tools call it.
machine()
{
	arch=$1
	case $arch in
	arm64)	cpu=aarch64 loader=lib/ld-linux-aarch64.so.1 ;;
	s390x)	cpu=s390x loader=lib/ld64.so.1 ;;
	esac
	triplet=$cpu-linux-gnu
	emulator=(qemu-"$cpu"-static)
	build=build/cross/$arch
}

# libraries DIR: another architecture's packages are unpacked, and not set up.
libraries()
{
	local names link

	names=$(scripts/deps.sh --libraries)
	root_packages "$suite" "$1" --variant=extract --architectures="$arch" \
		--include="bpftool,libc6-dev,${names//[[:space:]]/,}" ||
		die "no libraries of $suite: see mmdebstrap's message above"
	find "$1" -type l -lname '/*' | while read -r link; do
		ln -sfnr "$1$(readlink "$link")" "$link"
	done
}

# make_there TARGET...: programs find their loader and libraries in $image, so that an
# emulated program is its own /proc/self/exe.  Its own bpftool, too, since older
# ones read objects of their own byte order alone.
make_there()
{
	local dirs=$image/usr/lib/$triplet:$image/lib/$triplet

	PKG_CONFIG_SYSROOT_DIR=$image \
	PKG_CONFIG_LIBDIR=$image/usr/lib/$triplet/pkgconfig:$image/usr/share/pkgconfig \
	make -s -j "$(nproc)" WERROR=1 B="$build" LD="$triplet-ld" AR="$triplet-ar" \
		OBJCOPY="$triplet-objcopy" CC="$ccache$triplet-gcc --sysroot=$image" \
		BPFTOOL="${emulator[*]} $image/$loader --library-path $dirs $image/usr/sbin/bpftool" \
		LDFLAGS="-Wl,--dynamic-linker=$image/$loader,--disable-new-dtags,-rpath,$dirs" \
		"$@"
}

# probe: sets lacks, what the emulator has not: need -> reason.
probe()
{
	local need reason

	lacks=()
	mkdir -p "$build/tests/cross"
	"$triplet-gcc" --sysroot="$image" -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static \
		-o "$build/tests/cross/probe" tests/cross/probe.c
	scripts/isolate.sh "${emulator[@]}" "$build/tests/cross/probe" >"$tmp/lacks"
	while read -r need reason; do
		lacks[$need]=$reason
	done <"$tmp/lacks"
}

# known: sets excused, the cases that need what the emulator lacks, and left_out,
# the programs of which none can run: name -> reason.
known()
{
	local program need cases name

	excused=() left_out=()
	while read -r program need cases; do
		[[ $program != \#* && -n ${lacks[${need:-none}]-} ]] || continue
		if [[ $cases == '*' ]]; then
			left_out[$program]=${lacks[$need]}
			continue
		fi
		while read -r name; do
			excused[$program: $name]=${lacks[$need]}
		done <<<"${cases//; /$'\n'}"
	done <tests/cross/known.txt
}

# judge PROGRAM STATUS LOG: prints what of it is not as it must be.
judge()
{
	local program=$1 status=$2 log=$3 name
	local -A failed=()

	if ((status != 0)) && ! grep -qE '^ [0-9]+ FAILED TEST' "$log"; then
		echo "exit $status"
		return
	fi
	while read -r name; do
		failed[$name]=1
		[[ ${excused[$program: $name]-} ]] || echo "$name"
	done < <(sed -nE '/^\[  FAILED  \] [0-9]+ test\(s\), listed below/,$s/^\[  FAILED  \] //p' "$log" |
		sed 1d)
	for name in "${!excused[@]}"; do
		[[ $name != "$program: "* || ${failed[${name#*: }]-} ]] ||
			echo "${name#*: }: passes, and known.txt says that it cannot"
	done
}

# run_one PROGRAM: notes its verdict in $tmp.
run_one()
{
	local program=$1 log=$tmp/$1.log status=0 start=$SECONDS faults

	timeout -k 5 "${TIMEOUT_S:-600}" scripts/isolate.sh "${emulator[@]}" \
		"$build/tests/unit/$program" >"$log" 2>&1 </dev/null || status=$?
	if ((status == 77)); then
		printf 'skip    %s: %s\n' "$program" "$(tail -n 1 "$log")"
		return
	fi
	faults=$(judge "$program" "$status" "$log")
	if [[ $faults ]]; then
		printf 'not ok  %s: %s\n%s\n' "$program" "${faults//$'\n'/; }" \
			"$(tail -n 40 "$log")"
		: >"$tmp/$program.failed"
	else
		printf 'ok      %s (%d s)\n' "$program" $((SECONDS - start))
		: >"$tmp/$program.passed"
	fi
}

# vectors: the reference reader against the vectors' tools.
vectors()
{
	local tool

	mkdir -p "$tmp/tools/tests/vectors"
	for tool in judge corpus; do
		printf '#!/bin/sh\nexec %s %s "$@"\n' "${emulator[*]}" \
			"$PWD/$build/tests/vectors/$tool" >"$tmp/tools/tests/vectors/$tool"
		chmod +x "$tmp/tools/tests/vectors/$tool"
	done
	if /usr/bin/python3 tests/reference/test_reader.py "$tmp/tools" >"$tmp/log" 2>&1; then
		echo "ok      vectors"
		: >"$tmp/vectors.passed"
	else
		printf 'not ok  vectors\n%s\n' "$(tail -n 40 "$tmp/log")"
		: >"$tmp/vectors.failed"
	fi
}

# test_there ARCH
test_there()
{
	local program name

	machine "$1"
	root_cached "cross-$suite-$arch" libraries
	make_there all units 2>"$tmp/words" >/dev/null || {
		cat "$tmp/words"
		die "does not build"
	}
	! grep warning: "$tmp/words" || die "builds, not without a warning"
	probe
	known
	rm -f "$tmp"/*.passed "$tmp"/*.failed
	for name in "${!excused[@]}"; do
		printf 'skip    %s: %s\n' "$name" "${excused[$name]}"
	done | sort
	for program in tests/unit/test_*.c; do
		program=$(basename "$program" .c)
		if [[ ${left_out[$program]-} ]]; then
			printf 'skip    %s: %s\n' "$program" "${left_out[$program]}"
			continue
		fi
		while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || true; done
		run_one "$program" &
	done
	wait
	vectors
	passed=$((passed + $(find "$tmp" -name '*.passed' | wc -l)))
	failed=$((failed + $(find "$tmp" -name '*.failed' | wc -l)))
	say "${#excused[@]} cases and ${#left_out[@]} programs need what qemu-user lacks"
}

declare -A lacks excused left_out
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
packages=(qemu-user-static)
for word; do
	machine "$word"
	packages+=("gcc-$triplet")
done
arch=''
root_begin
scripts/deps.sh --also "${packages[@]//_/-}"
ccache=''
if hash ccache 2>/dev/null; then
	ccache='ccache '
	export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
passed=0 failed=0
for word; do
	test_there "$word"
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed > 0))
