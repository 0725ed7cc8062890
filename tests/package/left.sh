#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# left.sh: nothing of the packages is left in a system that purged them, except
# for the user and what it received.  Exit: 0 nothing, 1 something, one per line.
set -euo pipefail

left=$(find / -xdev \( -name '*pagetrim*' -o -path '*/pagetrim/*' \) \
	-not -path '/proc/*' -not -path '/tmp/*' -not -path '/run/*' \
	-not -path '/var/lib/dpkg/*' -not -path '/var/lib/pagetrim*' \
	-not -path '/etc/pagetrim*' -not -path '/var/log/*' -print)
[[ -z $left ]] || { echo "$left"; exit 1; }
