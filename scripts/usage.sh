# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# usage.sh: the answers of scripts that have no options of their own to one.  Sourced.

# usage_options ARG...: exits after --help, which prints the script's head, and at
# an option; returns if the first ARG is a plain word, or there is none.
usage_options()
{
	case ${1-} in
	-h | --help)
		sed -n '4,/^\([^#]\|$\)/s/^#\( \|$\)//p' "$0"
		exit 0
		;;
	-*)
		usage_misuse "$1: not an option"
		;;
	esac
}

# usage_nothing ARG...: the same, for a script that takes no word either.
usage_nothing()
{
	usage_options "$@"
	(($# == 0)) || usage_misuse "$1: takes no arguments"
}

# usage_misuse TEXT...: says it, and exits.
usage_misuse()
{
	echo "$(basename "$0" .sh): $* (see --help)" >&2
	exit 2
}
