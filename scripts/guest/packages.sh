# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# packages.sh: Debian packages to unpack, not to install: a kernel to boot and
# what a guest is made of.  Sourced by scripts/guest.sh and
# scripts/test-kernel.sh, which define die.

packages_say() { echo "${0##*/}: $*" >&2; }

# kernel_package: the package that linux-image-amd64 stands for; empty when apt
# knows none.
kernel_package()
{
	{ apt-cache depends linux-image-amd64 2>/dev/null || true; } |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p'
}

# fetch DIR [PACKAGE...]: download the kernel and the packages into DIR.
fetch()
{
	local kernel

	# No lists, or old ones that name what the mirror has since replaced.
	if ! download "$@" && [[ $EUID -eq 0 ]]; then
		apt-get -q update >&2 || die "apt-get update failed: see above"
		download "$@" || true
	fi
	kernel=$(kernel_package)
	[[ -n $kernel ]] || die "apt knows no linux-image-amd64: run" \
		"apt-get update with Debian 12 main as a source"
	compgen -G "$1/${kernel}_*.deb" >/dev/null || {
		tail -n 3 "$1/log" >&2
		die "apt-get download failed (is the network up? are the" \
			"package lists old? try apt-get update)"
	}
}

# download DIR [PACKAGE...]: all or nothing.
download()
{
	local dir=$1 kernel

	shift
	kernel=$(kernel_package)
	[[ -n $kernel ]] || return
	packages_say "downloading $kernel${*:+ and $# packages}"
	(cd "$dir" && apt-get -q -o APT::Sandbox::User=root download \
		"$kernel" "$@") >"$dir/log" 2>&1 ||
		{ rm -f "$dir"/*.deb; return 1; }
}
