#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   |  8 MiB full  | 2 MiB half | 2 MiB full | 1 MiB zero | 2 MiB half |
#
# Memory in which trimming pays, and does not: which pages are searched for zero
# blocks, which are not, and that these counts agree with the frames.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

full=2560 half=1024		# pages of each sort

memory()
{
	[[ -e $tmp/memory ]] || python3 - "$tmp/memory" <<-'END'
		import os, sys

		def full(cnt):
		    return os.urandom(cnt * 4096)

		def half(cnt):
		    return b"".join(os.urandom(2048) + bytes(2048)
		                    for _ in range(cnt))

		with open(sys.argv[1], "wb") as out:
		    out.write(full(2048) + half(512) + full(512) +
		              bytes(256 * 4096) + half(512))
	END
	echo "$tmp/memory"
}

# adds_up: every page with data was searched or was not, and every block of them
# was sent or is counted as trimmed.
adds_up()
{
	jq . send.json >&2
	jq -e '.governor as $g | .ram.normal as $pages |
		$g."pages-searched" + $g."pages-unsearched" == $pages and
		."block-bytes" + 64 * $g."blocks-saved" == 4096 * $pages' \
		send.json >/dev/null || die "governor: $(field send .governor)"
}

searches_where_it_pays()
{
	show hosts_up "$net" --mtu 9000 --queues "$1"
	receive_options=(--queues "$1")
	on_time transfer "$(memory)" --queues "$1" "${@:2}"
	adds_up
	same pages "$(field send .ram.normal)" $((full + half))
	# At least three of four of the pages without a zero block are skipped
	# once a lane has seen 512 of them.
	within unsearched "$(field send '.governor."pages-unsearched"')" \
		$(((full - 512 * $1) * 3 / 4)) $((full + 128 * $1))
	# and of the halves, only those between two samples are lost.
	within "blocks saved" "$(field send '.governor."blocks-saved"')" \
		$((half * 32 * 3 / 4)) $((half * 32))
}

observed()
{
	show hosts_up "$net" --mtu 9000
	on_time transfer "$(memory)" --observe
	same "bytes of blocks" "$(field send '."block-bytes"')" \
		$((full * 4096 + half * 2048))
	same "zero blocks" "$(field send \
		'.governor | ."blocks-saved" + ."blocks-missed"')" \
		$((half * 32))
	within unsearched "$(field send '.governor."pages-unsearched"')" \
		$(((full - 512) * 3 / 4)) $((full + 128))
}

nothing_to_decide()
{
	show hosts_up "$net" --mtu 9000
	transfer "$(memory)" "$@"
	same "counts" "$(field send '[.governor[]] | add')" 0
}

nothing_to_observe()
{
	show hosts_up "$net" --mtu 9000
	send_begin send --to "$HOSTS_B4" --observe "$@" "$(memory)"
	ended send "$sender" 10 2 "nothing is trimmed with $1"
}

case_run "searches where it pays, one lane" searches_where_it_pays 1
case_run "searches where it pays, two lanes" searches_where_it_pays 2
case_run "searches where it pays, --trim ends" \
	searches_where_it_pays 1 --trim ends
case_run "--observe trims everything, and tells the same" observed
case_run "--trim none has nothing to decide" nothing_to_decide --trim none
case_run "--pad has nothing to decide" nothing_to_decide --pad
case_run "--observe with --trim none is refused" nothing_to_observe \
	--trim none
case_run "--observe with --pad is refused" nothing_to_observe --pad
cases_end
