#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test_scripts.sh: each script of scripts/ that is a command prints its head or its
# usage for --help, and refuses an option that it does not have, before it does
# anything.
#     tests/lib/test_scripts.sh
# Exit: 0 all is right, else 1; each fault is a line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fault() { echo "test_scripts: $*"; failed=1; }

# answers SCRIPT ARG...: sets $status; leaves $tmp/out and $tmp/err.  A script that
# goes to work instead of answering finds no tools for it.
answers()
{
	status=0
	timeout 20 env PATH="$tmp/few" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

mkdir "$tmp/few"
for tool in bash basename cat cut dirname env git grep mktemp nproc python3 realpath rm \
	sed sort stat timeout tr uname; do
	ln -s "$(PATH=/usr/bin:/bin type -P "$tool")" "$tmp/few/$tool"
done

found=0
for script in scripts/*.sh scripts/*.py; do
	[[ -x $script ]] || continue	# sourced by others
	found=$((found + 1))
	name=$(basename "$script")
	for help in --help -h; do
		answers "$script" "$help"
		((status == 0)) || fault "$name $help: exit $status"
		[[ ! -s $tmp/err ]] || fault "$name $help: says $(head -n 1 "$tmp/err")"
		grep -q "${name%.*}" "$tmp/out" || fault "$name $help: does not name itself"
		grep -qE '^(set|import|#) ' "$tmp/out" && fault "$name $help: prints code"
	done
	answers "$script" --no-such-option
	((status == 2)) || fault "$name --no-such-option: exit $status"
	[[ ! -s $tmp/out ]] || fault "$name --no-such-option: its word is on stdout"
	[[ $name == *.py || $(wc -l <"$tmp/err") == 1 ]] ||
		fault "$name --no-such-option: $(wc -l <"$tmp/err") lines"
	grep -qe --no-such-option "$tmp/err" ||
		fault "$name --no-such-option: not named"
done
((found > 20)) || fault "only $found scripts"

exit "$failed"
