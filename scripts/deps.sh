#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# deps.sh: installs the packages to build, test and demonstrate pagetrim on
# Debian 12 or 13.  It asks dpkg first, so it takes milliseconds and no network
# when nothing is missing; it asks the user nothing.
#
#     scripts/deps.sh            install what is missing (root)
#     scripts/deps.sh --check    only say what is missing; exit 1 if anything is
#     scripts/deps.sh --also PACKAGE...   install these, too
#     scripts/deps.sh --libraries         only print those that programs link
#
# Exit: 0 all there, 1 something is missing or cannot be installed, 2 usage.
set -euo pipefail

build=(build-essential clang llvm bpftool pkg-config libbpf-dev libxdp-dev
       libxxhash-dev libjansson-dev libmnl-dev libssl-dev libcap-ng-dev
       liblz4-dev libzstd-dev libsystemd-dev libseccomp-dev)
tests=(libcmocka-dev libclang-rt-dev cppcheck shellcheck jq python3
       python3-xxhash python3-zstandard python3-cryptography openssl iproute2 ethtool
       iputils-ping iperf3 procps util-linux mount libcap2-bin mandoc
       e2fsprogs gdb xdp-tools git strace tshark apparmor)
guest=(qemu-system-x86 cpio busybox-static kmod xz-utils mmdebstrap)
peers=(criu redis-tools socat lz4 zstd)

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

# missing PACKAGE...: prints those that dpkg does not report as installed.
missing()
{
	local have p

	have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" \
		2>/dev/null) || true
	for p; do
		grep -qxF "$p installed" <<<"$have" || echo "$p"
	done
}

# unknown PACKAGE...: prints those that apt cannot install.
unknown()
{
	local p

	for p; do
		[[ $(LC_ALL=C apt-cache policy "$p") =~ Candidate:\ [0-9] ]] ||
			echo "$p"
	done
}

apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2
}

update()
{
	say "fetching the package lists"
	apt update || die "apt-get update failed: see its message above (is" \
		"the network up, do /etc/apt/sources.list* name a mirror?)"
}

install()
{
	apt install --no-install-recommends "$@"
}

check_only='' more=()
case ${1-} in
'')		;;
--check)	check_only=1 ;;
--also)		more=("${@:2}") ;;
--libraries)	printf '%s\n' "${build[@]}" "${tests[@]}" |
			grep '^lib.*-dev$' | grep -v clang
		exit 0 ;;
-h | --help)	sed -n '4,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
*)		say "$1: not an option (see --help)"; exit 2 ;;
esac

if ! hash dpkg-query apt-get 2>/dev/null; then
	die "no dpkg and apt-get here: this is not Debian; install by hand:" \
		"${build[*]} ${tests[*]} ${guest[*]} ${peers[*]}"
fi

# These packages are for x86-64 only, and make it faster.
[[ $(dpkg-query -W -f='${Architecture}' dpkg) != amd64 ]] ||
	build+=(libipsec-mb-dev)

mapfile -t lack < <(missing "${build[@]}" "${tests[@]}" "${guest[@]}" "${peers[@]}" "${more[@]}")
[[ ${#lack[@]} -gt 0 ]] || exit 0
[[ -z $check_only ]] || die "missing: ${lack[*]}"
[[ $EUID -eq 0 ]] || die "missing: ${lack[*]} (run as root to install them)"

say "installing ${lack[*]}"
updated=
if [[ $(unknown "${lack[@]}") ]]; then
	update
	updated=1
	mapfile -t none < <(unknown "${lack[@]}")
	[[ ${#none[@]} -eq 0 ]] || die "apt has no package ${none[*]} (Debian's" \
		"main has all of Debian 12 and 13: check /etc/apt/sources.list*)"
fi
if ! install "${lack[@]}"; then
	# Old lists may name package files that the mirror has replaced.
	[[ -z $updated ]] || die "apt-get install failed: see its message above"
	update
	install "${lack[@]}" ||
		die "apt-get install failed: see its message above"
fi

mapfile -t lack < <(missing "${build[@]}" "${tests[@]}" "${guest[@]}" "${peers[@]}" "${more[@]}")
[[ ${#lack[@]} -eq 0 ]] || die "still missing after apt-get: ${lack[*]}"
