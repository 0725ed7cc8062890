# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# packages.sh: fetches Debian packages to unpack, not to install: a kernel to
# boot and a guest's userland.  Sourced by scripts/guest.sh and the test-*.sh
# scripts, which define die.

packages_say() { echo "${0##*/}: $*" >&2; }

# kernel_package: prints the package behind linux-image-amd64; nothing if apt
# knows none.
kernel_package()
{
	{ apt-cache depends linux-image-amd64 2>/dev/null || true; } |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p'
}

# needed PACKAGE...: prints these and all their dependencies, by the names of
# this release: the packages that apt would install on an empty system.
needed()
{
	LC_ALL=C apt-get -q -o Dir::State::status=/dev/null \
		-o APT::Install-Recommends=false -s install "$@" |
		sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

# fetch DIR [PACKAGE...]: downloads into DIR the kernel's packages, and the
# PACKAGEs with their dependencies.
fetch()
{
	# The lists are absent, or name files that the mirror has replaced.
	if ! download "$@" && [[ $EUID -eq 0 ]]; then
		apt-get -q update >&2 || die "apt-get update failed: see above"
		download "$@" || true
	fi
	[[ -n $(kernel_package) ]] || die "apt knows no linux-image-amd64: run" \
		"apt-get update with Debian's main as a source"
	compgen -G "$1/*.deb" >/dev/null || {
		grep -v '^ ' "$1/log" | tail -n 3 >&2
		die "a package cannot be had: see above (is the network up?" \
			"are the package lists old? try apt-get update)"
	}
}

# download DIR [PACKAGE...]: downloads all or nothing; DIR/log has the reason.
download()
{
	local dir=$1 kernel names

	shift
	kernel=$(kernel_package)
	[[ -n $kernel ]] || return
	names=$(needed "$kernel" 2>"$dir/log" |
		grep -E '^linux-(image|binary|modules)-[0-9]') || return
	if [[ $# -gt 0 ]]; then
		names+=" $(needed "$@" 2>"$dir/log")" || return
	fi
	packages_say "downloading $kernel${*:+ and what $* need}"
	# shellcheck disable=SC2086 # words
	(cd "$dir" && apt-get -q -o APT::Sandbox::User=root download \
		$names) >"$dir/log" 2>&1 || { rm -f "$dir"/*.deb; return 1; }
}
