#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   tests/bench/bytes.sh          cells -> runs over a hop -> results
#   tests/bench/bytes_tables.py   results -> tables, document, plots
#
# The hop has the rate that it is told, for all contestants, and counts the bytes that
# they send; cells that the results have are not run again.
#
# shellcheck disable=SC2317,SC2016 # cases are called by name; Markdown's backticks
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bytes=$root/tests/bench/bytes.sh tables=$root/tests/bench/bytes_tables.py

# refused WORD OPTION...: exit 2 and one line with WORD in it.
refused()
{
	local word=$1 status=0

	shift
	echo "+ bytes.sh $*" >&2
	timeout 10 "$bytes" "$@" 2>err >out || status=$?
	cat err >&2
	same "exit of bytes.sh $*" "$status" 2
	same "lines of error" "$(wc -l <err)" 1
	grep -qF -- "$word" err || die "no '$word' in it"
	same "lines of output" "$(wc -l <out)" 0
}

nonsense_is_refused()
{
	refused "--frobnicate: not an option" --frobnicate x
	refused "--runs: needs a value" --runs
	refused "--runs 0" --runs 0
	refused "nobody: no contestant" --only "tcp nobody" --guest .
	refused "cat: no image" --images cat --guest .
	refused "needs --guest" --images guest
	refused "needs --database" --images database --guest .
}

# memory_make: 48 MiB of text and random bytes, in the form of a kept guest.
memory_make()
{
	mkdir kept
	python3 - kept/guest <<-'END'
		import random
		import sys

		rnd = random.Random(7)
		words = [rnd.randbytes(rnd.randrange(3, 9)) for _ in range(200)]
		with open(sys.argv[1], "wb") as out:
		    for i in range(12288):
		        out.write(rnd.randbytes(4096) if i % 8 == 0 else
		                  b"".join(rnd.choices(words, k=900))[:4096])
	END
	echo none >kept/state
}

# cells OPTION...: of a hop of 200 Mbit/s.
cells()
{
	PAGETRIM_BUILD=$build show timeout 300 "$bytes" --guest kept \
		--json results --links 200 --mtus 9000 --runs 1 "$@" >said
	cat said results >&2
}

# of WHO KEY
of() { jq -s "map(select(.who == \"$1\"))[0].$2 | floor" results; }

a_hop_limits_all()
{
	local who sz=$((48 << 20))

	memory_make
	cells --only "off tcp"
	for who in off tcp; do
		within "bytes of $who on the hop" "$(of "$who" link_bytes)" \
			$((sz * 98 / 100)) $((sz * 108 / 100))
		# 2.01 s at the rate.
		within "milliseconds of $who" "$(of "$who" 'seconds * 1000')" \
			1950 60000
	done
	same "cells" "$(jq -s 'map(select(.who)) | length' results)" 2
	cells --only "off zstd-insecure tcp"
	same "cells, with the new one" \
		"$(jq -s 'map(select(.who)) | length' results)" 3
	same "rates without a limit" \
		"$(jq -s 'map(select(.blast_mbps)) | length' results)" 1
	within "bytes, compressed" "$(of zstd-insecure link_bytes)" 1 \
		$(($(of off link_bytes) * 8 / 10))
	grep -q '^| pagetrim, `--compress off` | ' said || die "no row"
}

# result WHO MTU LINK SECONDS BYTES
result()
{
	jq -nc --arg who "$1" --argjson mtu "$2" --argjson link "$3" \
		--argjson seconds "$4" --argjson bytes "$5" '{image: "guest",
		who: $who, mtu: $mtu, link_mbps: $link, run: 1, seconds: $seconds,
		cpu_s: 0.25, link_bytes: $bytes}'
}

tables_follow_from_results()
{
	local line

	for line in "auto 9000 1000 3 180e6" "auto 9000 1000 1.5 181e6" \
		"auto 9000 1000 1.25 190e6" "auto 9000 10000 0.5 400e6" \
		"qemu10-zstd4 9000 1000 2.5 190e6" \
		"zstd-insecure-warm 9000 0 1 170e6"; do
		# shellcheck disable=SC2086 # words
		result $line
	done >results
	echo '{"mtu": 9000, "blast_mbps": 21000}' >>results
	echo '{"image": "guest", "who": "tcp", "mtu": 9000, "failed": true}' \
		>>results
	printf 'before\n<!-- bytes -->\nold\n<!-- /bytes -->\nafter\n' >doc.md
	show "$tables" results --write doc.md >said
	cat said >&2
	for line in '| pagetrim, `--compress auto` | 181.0 |' \
		'| pagetrim, `--compress auto` | 1.50 (0.25) | 0.50 (0.25) |' \
		'| QEMU 10, multifd zstd, 4 channels | 2.50 (0.25) |  |' \
		'| pagetrim, `--compress zstd`, not sealed, sink allocated before | 170.0 |' \
		before after; do
		grep -qxF -- "$line" doc.md || die "not in the document: $line"
	done
	! grep -qx 'old' doc.md || die "the old tables are there"
	! grep -q 'plain TCP' doc.md || die "a run that failed is there"
	[[ -s doc-guest.svg ]] || die "no plot"
	sed -i 's/<!-- bytes -->//' doc.md
	! "$tables" results --write doc.md >/dev/null 2>err || die "no marks"
	grep -q 'doc.md: not one' err || die "$(cat err)"
}

case_run "bytes: wrong options are refused" nonsense_is_refused
case_run "bytes: a hop limits all alike" a_hop_limits_all
case_run "bytes: tables follow from results" tables_follow_from_results
cases_end
