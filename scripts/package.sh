#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# package.sh: builds the Debian packages in a copy of the committed files, and
# judges them by lintian.
#
#     git archive --> copy --dpkg-buildpackage--> DIR/*.deb, *.dsc, *.changes
#                                                      |
#                                                   lintian
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage()
{
	cat <<USAGE
Usage: package.sh [--out DIR] [--work-tree] [--help]

Builds pagetrim, libpagetrim0 and libpagetrim-dev, and prints what lintian says.

      --out DIR     leave the packages in DIR, which is created (default: they
                    are removed again)
      --work-tree   package the files as they are, not as they were committed

Root installs missing packages.  Nothing is left in the tree.

Exit: 0 built and lintian has nothing to say, 1 failed, 2 wrong usage.
USAGE
}

say() { echo "package: $*" >&2; }
die() { say "$*"; exit 1; }
misuse() { say "$* (see --help)"; exit 2; }

# missing: prints the packages of the build that are not installed.
missing()
{
	hash dpkg-checkbuilddeps 2>/dev/null || echo dpkg-dev
	hash lintian 2>/dev/null || echo lintian
	# debhelper-compat is provided by debhelper.
	{ dpkg-checkbuilddeps "$root/debian/control" 2>&1 || true; } |
		sed -n 's/^dpkg-checkbuilddeps: error: [^:]*: //p' |
		sed -E 's/debhelper-compat/debhelper/; s/ \([^)]*\)//g'
}

# files: prints the files to package, each with a NUL.
files()
{
	if [[ -n $work_tree ]]; then
		git -C "$root" ls-files -z --cached --others --exclude-standard
	else
		git -C "$root" ls-tree -r -z --name-only HEAD
	fi
}

# copy DIR: the files to package.
copy()
{
	mkdir "$1"
	if [[ -n $work_tree ]]; then
		files | tar -C "$root" -c --null --ignore-failed-read -T - |
			tar -x -C "$1"
	else
		git -C "$root" archive HEAD | tar -x -C "$1"
	fi
}

# check_version DIR: the header has the version of all, the changelog repeats it.
check_version()
{
	local want got

	want=$(sed -n 's/^.define PT_VERSION_TEXT "\(.*\)"/\1/p' \
		"$1/include/pagetrim/pagetrim.h")
	got=$(dpkg-parsechangelog -l "$1/debian/changelog" -S Version)
	[[ -n $want && ${got%%[+~]*} == "$want" ]] ||
		die "debian/changelog is of version $got, the header of '$want'"
}

out='' work_tree=''
while (($#)); do
	case $1 in
	--out)
		[[ -n ${2-} ]] || misuse "--out: needs a folder"
		out=$(realpath -m "$2")
		shift
		;;
	--work-tree)	work_tree=1 ;;
	-h | --help)	usage; exit 0 ;;
	*)		misuse "'$1': not an option" ;;
	esac
	shift
done

mapfile -t lack < <(missing | tr ' ' '\n' | sed '/^$/d')
if ((${#lack[@]})); then
	[[ $EUID -eq 0 ]] || die "missing: ${lack[*]} (run as root to install them)"
	say "installing ${lack[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Use-Pty=0 install --no-install-recommends \
		"${lack[@]}" >&2 || die "apt-get install failed: see above"
fi

tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-package.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

copy "$tmp/pagetrim"
check_version "$tmp/pagetrim"
(cd "$tmp/pagetrim" && dpkg-buildpackage -us -uc -ui -j"$(nproc)") \
	>"$tmp/build.log" 2>&1 || {
	tail -n 40 "$tmp/build.log" >&2
	die "dpkg-buildpackage failed: see above"
}
if [[ -n $out ]]; then
	mkdir -p "$out"
	cp "$tmp"/pagetrim_* "$tmp"/*.deb "$tmp/build.log" "$out"
fi
(cd "$tmp" && printf '%s\n' ./*.deb)
say "lintian:"
lintian --allow-root --fail-on error,warning,info --display-info \
	"$tmp"/pagetrim_*.changes || die "lintian found something"
say "clean"
