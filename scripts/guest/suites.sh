# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# suites.sh: apt with sources of its own, for packages of other Debian releases
# to unpack; the system's sources, lists and cache stay as they are.  Sourced by
# scripts/test-nic.sh and tests/bench/database_guest.sh, which define die.

suites_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# suites_mirror: prints the mirror of the system's own Debian packages.
suites_mirror()
{
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN)/$(LABEL)' \
		'Created-By: Packages' | sed -n 's: Debian/Debian$::p' |
		sed 1q
}

# suites_apt DIR SUITE...: makes DIR with a configuration of apt for these
# suites; prints its path, for APT_CONFIG.
suites_apt()
{
	local dir=$1 suite mirror

	shift
	mirror=$(suites_mirror)
	[[ $mirror ]] || { apt-get -q update >&2; mirror=$(suites_mirror); }
	[[ $mirror ]] || die "apt has no source of Debian's main suite"
	mkdir -p "$dir"/{lists,cache/archives}/partial
	for suite; do
		echo "deb [signed-by=$suites_keyring] $mirror $suite main"
	done >"$dir/sources.list"
	cat >"$dir/conf" <<-CONF
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::Cache "$dir/cache";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	CONF
	APT_CONFIG=$dir/conf apt-get -q update >&2 ||
		die "no package lists from $mirror: see above"
	echo "$dir/conf"
}
