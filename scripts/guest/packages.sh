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

# needed PACKAGE...: these and all that they depend on, by the names that this
# release has for them: what apt would install where nothing is.
needed()
{
	LC_ALL=C apt-get -q -o Dir::State::status=/dev/null \
		-o APT::Install-Recommends=false -s install "$@" |
		sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

# fetch DIR [PACKAGE...]: download into DIR the kernel, in as many packages as it
# comes in, and the packages with all that they need.
fetch()
{
	# No lists, or old ones that name what the mirror has since replaced.
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

# download DIR [PACKAGE...]: all or nothing; DIR/log says why nothing.
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
