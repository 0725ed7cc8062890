# shellcheck shell=bash
# shellcheck disable=SC2154 # what lib.sh has
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lib_entry.sh: something happens when an agent enters a step, phase or state, see
# at_entry.c.  Sourced by tests, after lib.sh.

# symbols LIST: prints the symbols of a list of the headers.
symbols()
{
	sed -n "/^#define $1(X)/,/^\$/s/^\tX(\([A-Z_0-9]*\).*/\1/p" \
		"$root"/user/send/sender.h "$root/user/receive/rx_session.h"
}

declare -A list_of=([step]=PT_SEND_LIVE_STEPS [phase]=PT_SEND_PHASES
		    [state]=PT_RX_STATES)
declare -A entry_of=([step]=pt_sender_live_enter [phase]=pt_sender_enter
		     [state]=pt_rx_session_enter)

# at KIND SYMBOL COMMAND: prints words to run an agent with, which run COMMAND
# there.
at()
{
	local value

	value=$(symbols "${list_of[$1]}" | grep -nx "$2" | cut -d: -f1)
	[[ $value ]] || die "no $2 in ${list_of[$1]}"
	printf '%s\n' "$build/tests/net/at_entry" "${entry_of[$1]}" \
		$((value - 1)) "$3"
}
