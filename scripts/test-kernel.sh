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
#     scripts/test-kernel.sh --suite trixie TEST...    under that release's kernel
#
# Root; installs missing packages and builds.  Without TEST it runs the BPF
# tests that need no large frames, the net tests' cases in tests/kernel/cases,
# and the tests in that folder.  Environment: PAGETRIM_BUILD, a build folder to
# use as it is; ONLY, as for the net tests, one word; TIMEOUT_S, for all of it
# (default 3600).  The last line is 'N passed, N failed'; a kernel warning or
# worse counts as a failure.  Exit: 0 all passed, 1 not, 2 usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
qemu=(qemu-system-x86_64)
# shellcheck source=scripts/usage.sh
source "$here/usage.sh"
suite=''
if [[ ${1-} == --suite ]]; then
	suite=${2-}
	shift $(($# < 2 ? $# : 2))
	(($#)) || usage_misuse "--suite: needs a release, and tests"
fi
usage_options "$@"
# shellcheck source=scripts/guest/packages.sh
source "$here/guest/packages.sh"
# shellcheck source=scripts/guest/suites.sh
source "$here/guest/suites.sh"
# shellcheck source=scripts/guest/machine.sh
source "$here/guest/machine.sh"

# An emulated CPU is slow: the tests wait this many times longer.
patience=10
# Modules that the kernel needs.
modules=(virtio_pci 9pnet_virtio 9p overlay veth)

die() { echo "test-kernel: $*" >&2; exit 1; }

# The kernel's command line carries it.
[[ ${ONLY-} != *[[:space:]]* ]] || die "ONLY='$ONLY': one word, please"

cleanup()
{
	machine_stop
	rm -rf "$tmp"
}

for test; do
	[[ -e $root/$test ]] || usage_misuse "$test: no such file in $root"
done
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
for word in "$root" "$build" "$@"; do
	[[ $word != *[[:space:]\"]* ]] ||
		die "$word: spaces cannot pass the kernel's command line"
done
tmp=''
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d)
if [[ $suite ]]; then
	APT_CONFIG=$(suites_apt "$tmp/apt" "$suite")
	export APT_CONFIG
fi
machine_prepare "kernel-$(machine_key "$(kernel_package)")" fetch
machine_boot "${ONLY:+ONLY=$ONLY }-- $root/tests/kernel/run.sh $build $*"
machine_watch "${TIMEOUT_S:-3600}"
machine_judge
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
