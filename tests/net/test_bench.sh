#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   scripts/bench.sh          options -> cases -> runs -> results
#   tests/bench/report.py     results -> tables, document, plots
#
# The driver refuses wrong options before any run; its text follows from the
# results alone; a copy that differs, or a ledger that does not balance, ends
# it.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bench=$root/scripts/bench.sh report=$root/tests/bench/report.py

# ---- what is to run ---------------------------------------------------------

# refused WORD OPTION...: exit 2 and one line with WORD in it.
refused()
{
	local word=$1 status=0

	shift
	echo "+ bench.sh $*" >&2
	timeout 10 "$bench" "$@" 2>err >out || status=$?
	cat err >&2
	same "exit of bench.sh $*" "$status" 2
	same "lines of error" "$(wc -l <err)" 1
	grep -qF -- "$word" err || die "no '$word' in it"
	same "lines of output" "$(wc -l <out)" 0
}

nonsense_is_refused()
{
	refused --frobnicate --frobnicate
	refused --runs --runs
	refused "0: not a number 1..99" --runs 0
	refused "5x: not a number" --runs 5x
	refused "65536: not a number" --mtus "9000 65536"
	refused "9: not a number 1..8" --queues 9
	refused "nobody: not a contestant" --only "tcp nobody"
	refused "cat: not an image" --images cat
	refused "some: not a method" --trims some
	refused "empty list" --only ""
	refused "bottleneck: not a contestant" --only "tcp bottleneck"
	refused "its folder is not there" --list --write none/doc.md
	refused "nothing of that runs" --only criu --images random
	refused "needs --size-mib 1470" --work 16 --size-mib 1024
}

# A kept guest must be the one that was asked for, or the run would have a wrong
# label.
kept_guest_is_checked()
{
	local -a asked=(--list --images guest --size-mib 600 --guest kept)

	mkdir kept
	truncate -s 600M kept/guest
	cases_listed "${asked[@]}" --work 3		# nothing is kept yet
	touch kept/state
	refused "did unknown work, not --work 3" "${asked[@]}" --work 3
	echo 2 >kept/work
	refused "did 2 work, not --work 3" "${asked[@]}" --work 3
	cases_listed "${asked[@]}" --work 2
	refused "of another size" "${asked[@]}" --work 2 --size-mib 601
	refused "another size" --list --only "insecure qemu" --images random \
		--guest kept --work 2
	cases_listed --images random --only insecure --guest kept
}

cases_listed()
{
	show "$bench" --list "$@" >list
	cat list >&2
}

one_thing_varies()
{
	cases_listed --images random --mtus "1500 9000" --queues "2 1" \
		--only "insecure tcp blast memory"
	diff -u - list <<-LIST || die "other cases"
		random insecure 9000 1 none
		random insecure 9000 1 ends
		random insecure 9000 1 blocks
		random tcp 9000 1 -
		random blast 9000 1 -
		random memory 1500 1 -
	LIST
	cases_listed --images "guest worked" --trims "blocks none ends" \
		--mtus "1500 9000" --only "pagetrim no-copies qemu"
	diff -u - list <<-LIST || die "other cases"
		guest pagetrim 1500 1 blocks
		guest no-copies 1500 1 none
		guest no-copies 1500 1 blocks
		guest qemu 1500 1 -
		guest pagetrim 9000 1 blocks
		guest pagetrim 9000 2 blocks
		guest no-copies 9000 1 none
		guest no-copies 9000 1 blocks
		guest qemu 9000 1 -
		worked pagetrim 9000 1 blocks
	LIST
	cases_listed --images guest --trims "blocks none" --mtus "1500 9000" \
		--only "pagetrim insecure qemu"
	diff -u - list <<-LIST || die "other cases"
		guest pagetrim 1500 1 blocks
		guest insecure 1500 1 blocks
		guest qemu 1500 1 -
		guest pagetrim 9000 1 blocks
		guest pagetrim 9000 2 blocks
		guest insecure 9000 1 none
		guest insecure 9000 1 blocks
		guest insecure 9000 2 blocks
		guest qemu 9000 1 -
	LIST
}

# The grid that makes docs/benchmarks.md has all that each target needs.
default_grid_is_whole()
{
	local case

	cases_listed
	for case in "guest no-copies 1500 1 none" \
		"guest no-copies 9000 1 blocks" \
		"guest qemu-cold 1500 1 -" "guest multifd 65535 1 -" \
		"guest insecure 3506 1 blocks" "guest pagetrim 9000 2 blocks" \
		"guest criu 9000 1 -" "guest memory 1500 1 -" \
		"random blast 65535 1 -" "random insecure 9000 1 none" \
		"worked tcp 9000 1 -" "filled qemu-cold 65535 1 -" \
		"half insecure 65535 1 ends" "zero pagetrim 9000 1 blocks"; do
		grep -qxF "$case" list || die "no $case"
	done
}

# ---- what it says -----------------------------------------------------------

# result IMAGE RUN WHAT MTU TRIM SECONDS MORE: one line of results.
result()
{
	jq -nc --arg image "$1" --argjson run "$2" --arg what "$3" \
		--argjson mtu "$4" --arg trim "$5" --argjson seconds "$6" \
		--argjson more "$7" '{image: $image, run: $run, what: $what,
		mtu: $mtu, queues: 1, trim: $trim, steal_s: 0, case_s: 1, seconds: $seconds,
		cpu_s: 0.5, machine_s: 0.6, bytes: 1000, link_bytes: 900} + $more'
}

# canned: results whose medians are round: 3 runs at 0.5, 0.4, 9 s.
canned()
{
	local run=0 s ends stages copies

	stages='{"report": {"profile": {
		"stages": {"scan": {"time": 20, "bytes": 50000000},
			   "recheck": {"time": 0, "bytes": 0}},
		"control": {"stages": {
			"recheck": {"time": 7, "bytes": 7000000}}}}}}'
	ends='{"send": {"anon_kib": 1024, "resident_kib": 4096},
	       "receive": {"anon_kib": 102400, "resident_kib": 4096}}'
	copies='{"link_bytes": 680000000, "report": {"ram": {"normal": 2000},
		 "copies": {"used": true, "pages": 400}}}'
	jq -nc '{machine: {cpu: "An \"ALU\" & <co>", cores: 2, kernel: "6.1",
		load: 0.1, memory_mib: 8000, date: "2001-02-03 04:05 UTC",
		commit: "abc", hypervisor: "no", qemu: "7.2", size_mib: 512,
		work: 1, runs: 3, huge: "never", grid: "sound", args: " "}}'
	jq -nc '{absent: {criu: "too old"}}, {others_cpus: 0.02}'
	for s in 0.5 0.4 9; do
		run=$((run + 1))
		result guest "$run" insecure 65535 blocks "$s" "$ends"
		result guest "$run" pagetrim 65535 blocks 1 "$ends"
		result guest "$run" qemu-cold 65535 - 1.5 '{"cpu_s": 1}'
		result guest "$run" qemu 65535 - 0.25 '{}'
		result guest "$run" insecure-warm 65535 blocks 0.5 '{}'
		result guest "$run" stages 65535 blocks 1 "$stages"
		result guest "$run" insecure 9000 blocks 0.6 "$copies"
		result guest "$run" pagetrim 9000 blocks 1 '{}'
		result guest "$run" memory 1500 - 1 \
			'{"read_s": 0.9, "scan_s": 1, "copy_s": 2}'
	done
}

# in_document TEXT: benchmarks.md has that line.
in_document()
{
	grep -qxF -- "$1" benchmarks.md || die "not in the document: $1"
}

tables_follow_from_results()
{
	canned >results
	printf '## scan\nIt reads.\n\n## other\nNot here.\n' >verdicts
	show "$report" results --write benchmarks.md --verdicts verdicts >said \
		2>warned
	cat said benchmarks.md >&2
	in_document "| Real guest, MTU 65535: times faster than QEMU pre-copy | total-65535 | ≥ 3 | 3.0000 | 0.50 | yes |"
	in_document "| Real guest, MTU 65535, sealed: times faster than QEMU pre-copy | total-65535-sealed | ≥ 2 | 1.50 | - | **no** |"
	in_document "| Real guest: speed of the scan of that of a plain read of the same memory | scan | ≥ 0.95 | 0.90 | - | **no** |"
	in_document "| Real guest, MTU 65535: CPU seconds per GiB, both ends, of QEMU's | cpu-65535 | ≤ 0.6 | 0.50 | 1.00 | yes |"
	in_document "| Memory of the agent that sends, the most that was seen | memory-send | ≤ 65 MiB | 1.00 MiB | - | yes |"
	in_document "| Memory of the agent that receives, the most that was seen | memory-receive | ≤ 65 MiB | 100.00 MiB | - | **no** |"
	in_document "| Real guest, MTU 9000: times faster than QEMU pre-copy | total-9000 | ≥ 2.2 | not measured | - | - |"
	in_document "| 65535, pagetrim --insecure | 0.500 | 0.400..9.000 | 3.00 | 0.0 | 1.00 | 0.60 | - |"
	tr '\n' ' ' <benchmarks.md |
		grep -q "The same figure of the sealed transfers in these tables is 0.90 at MTU 65535." ||
		die "no figure of bytes, sealed"
	! grep -qE '^[^|#].{120}' benchmarks.md ||
		die "a line of more than 120 columns"
	in_document "| send, scan | 20 (2.5) |"
	in_document "| send, recheck | 7 (1.0) |"
	in_document "- Not run: criu: too old."
	in_document "It reads."
	! grep -q "Not here\|was busy\|^@" benchmarks.md ||
		die "what does not belong there"
	grep -q 'verdicts.*memory-receive' warned ||
		die "no warning of a target that nobody explained"
	! grep -q 'of scan' warned || die "a warning of one that is explained"
}

# Savings are reported apart: 1000 MB whole, 900 trimmed, 680 with copies.
# Sealed runs are compared with unsealed ones that have copies if these have them.
copies_are_told_apart()
{
	local sealed="| Real guest, MTU 9000: speed sealed of that unsealed, both with copies or without | sealed-9000 | ≥ 0.75 |"

	canned >results
	show "$report" results --write benchmarks.md >/dev/null 2>&1
	in_document "$sealed not measured | - | - |"
	{
		canned
		result guest 1 no-copies 9000 none 1 '{"link_bytes": 1e9}'
		result guest 1 no-copies 9000 blocks 0.8 '{"link_bytes": 9e8}'
	} >results
	show "$report" results --write benchmarks.md >/dev/null 2>&1
	cat benchmarks.md >&2
	in_document "$sealed 0.80 | - | yes |"
	in_document "| 9000 | 1000.0 | 900.0 | 680.0 | 10.0 % | 22.0 % | 20.0 % |"
	jq -c 'if .what == "pagetrim" and .mtu == 9000
		then .report.copies.used = true else . end' results >with
	mv with results
	show "$report" results --write benchmarks.md >/dev/null 2>&1
	in_document "$sealed 0.60 | - | **no** |"
	# A build without copies.
	canned | sed 's/"used":true/"used":false/' >results
	show "$report" results --write benchmarks.md >/dev/null 2>&1
	in_document "$sealed 0.60 | - | **no** |"
}

plots_are_sound()
{
	canned >results
	show "$report" results --write benchmarks.md >/dev/null 2>&1
	python3 - benchmarks-*.svg <<-'PYTHON'
		import sys
		import xml.etree.ElementTree as tree

		for path in sys.argv[1:]:
		    text = open(path, encoding="utf-8").read()
		    root = tree.fromstring(text)
		    bars = [e for e in root.iter() if e.tag.endswith("rect")]
		    assert bars, f"{path}: no bars"
		    wide = float(root.get("width"))
		    assert all(0 < float(b.get("x")) + float(b.get("width")) < wide
		               for b in bars), f"{path}: a bar leaves it"
		    assert "prefers-color-scheme: dark" in text, path
		    assert text.count("http") == 1, f"{path}: loads something"
	PYTHON
	grep -o '(benchmarks-[a-z]*.svg)' benchmarks.md | tr -d '()' |
		sort >named
	diff -u named <(printf '%s\n' benchmarks-*.svg) ||
		die "plots that are not named, or not there"
}

doubt_is_shown()
{
	canned | sed 's/"others_cpus":0.02/"others_cpus":1/' >results
	show "$report" results >said 2>&1
	grep -q 'Others used 50.0 %' said || die "others, unsaid"
	grep -q 'doubt these figures' said || die "a busy machine, unsaid"
	canned | sed 's/"steal_s":0,/"steal_s":0.2,/' >results
	show "$report" results >said 2>&1
	grep -q 'took 10.0 % away' said || die "what was stolen, unsaid"
	grep -q 'doubt these figures' said || die "a busy host, unsaid"
	head -n 1 results >nothing
	! show "$report" nothing >said 2>&1 || die "no results, and no error"
	grep -q 'no results' said || die "$(cat said)"
}

# ---- that it runs -----------------------------------------------------------

smallest=(--runs 1 --images random --size-mib 64 --mtus 9000 --trims blocks
	  --queues 1)

smallest_run()
{
	show "$bench" --build "$build" "${smallest[@]}" --json results \
		--only "insecure tcp blast memory" --write doc.md >said
	cat said >&2
	same "runs" "$(jq -sr 'map(select(.what).what) | join(" ")' results)" \
		"insecure tcp blast memory"
	jq -es 'map(select(.what == "insecure")) | .[0] |
		.seconds > 0 and .cpu_s > 0 and .send.anon_kib > 0 and
		.link_bytes > 67108864 and .report.ledger.unaccounted == 0' \
		results >/dev/null || die "$(cat results)"
	grep -q '^| blast, MTU 9000' doc.md || die "no blast in the document"
}

# stopped_by WORD: the driver ends with an error that has WORD.
stopped_by()
{
	local status=0

	show "$bench" --build "$dir/build" "${smallest[@]}" --json results \
		--only "$2" >said 2>&1 || status=$?
	cat said >&2
	same "exit" "$status" 1
	grep -qF "$1" said || die "no '$1' in it"
	same "results" "$(jq -s 'map(select(.what)) | length' results)" 0
}

# ---- behind a bottleneck -----------------------------------------------------

# The quick form runs each kind, measures it, and fills the document's part; the
# document's maker keeps that part.
bottleneck_runs()
{
	printf '%s\n' before '<!-- bottleneck: made by tests/bench/bottleneck.py -->' \
		'<!-- /bottleneck -->' after >doc.md
	timeout 280 "$bench" --only bottleneck --quick --build "$build" \
		--json results --write doc.md >said
	cat said >&2
	same "cases" "$(jq -s length results)" "$("$bench" --only bottleneck \
		--quick --list | wc -l)"
	jq -es 'all(.figures | .unaccounted == 0 and .rate_share > 0 and
			.rate_share < 1.1 and .again_share < 1 and .pings > 0) and
		(map(select(.case.beside == "another").figures.jain) | all(. > 0)) and
		(map(select(.case.beside == "cubic").figures.tcp_share) |
			all(. > 0))' results >/dev/null ||
		die "figures: $(jq -c .figures results)"
	for word in before after "Two transfers" "CUBIC" "doc-bottleneck.svg" \
		"doc-bottleneck-run.svg"; do
		grep -qF -- "$word" doc.md || die "doc.md lacks $word"
	done
	same "drawings" "$(grep -l '</svg>' doc-bottleneck.svg \
		doc-bottleneck-run.svg | wc -l)" 2
}

bottleneck_tables_follow()
{
	local figures='"seconds":1,"late":0,"frames":9,"bytes":9,"delay_ms":7,"pings":3'
	local path='"rate_mbps":100,"rtt_ms":10,"queue_ms":20,"size_mib":9'

	cat >results <<-JSON
		{"case":{$path,"loss_pm":0,"beside":"alone"},"figures":{$figures,"rate_share":0.95,"again_share":0.03},"timeline":{"rates":[]}}
		{"case":{$path,"loss_pm":10,"beside":"alone"},"figures":{$figures,"rate_share":0.5,"again_share":0.03},"timeline":{"rates":[]}}
		{"case":{$path,"loss_pm":0,"beside":"another"},"figures":{$figures,"rate_share":0.5,"again_share":0,"jain":0.8,"shares":[0.1,0.4]},"timeline":{"rates":[]}}
	JSON
	"$bench" --only bottleneck --render results >said
	cat said >&2
	for row in "| 100 Mbit/s | 10 | 20 | 0 | 9 | 0.95 | **3.00** | **7.0** |" \
		"| 100 Mbit/s | 10 | 20 | 1 | 9 | **0.50** | 3.00 | **7.0** |" \
		"| 100 Mbit/s | 10 | 20 | 0 | 9 | 0.10 + 0.40 | **0.800** | 0.00 | 7.0 |" \
		"| alone: at least 0.9 of the rate | 1 of 2 |"; do
		grep -qxF -- "$row" said || die "no row '$row'"
	done
}

# A build of ours in which one program lies.
lies_are_found()
{
	mkdir -p build/tests/bench
	ln -s "$build"/tests/bench/{blast,tcp_pages,memory,usage,hold} \
		build/tests/bench
	ln -s "$build/pagetrim" build/pagetrim

	liar build/tests/bench/tcp_pages <<-'SH'
		"$honest" "$@" || exit
		[[ $1 != receive ]] || printf 'not what was sent' |
			dd of="$4" bs=1 seek=70000 conv=notrunc status=none
	SH
	stopped_by "the copy differs" tcp
	liar build/pagetrim <<-'SH'
		"$honest" "$@" | sed 's/"unaccounted": 0/"unaccounted": 1/'
	SH
	stopped_by "the ledger" insecure
}

# liar PROGRAM: replaces that link by a script from stdin, which may use it.
liar()
{
	local honest

	honest=$(readlink "$1")
	rm "$1"
	{ echo "#!/bin/bash"; echo "honest='$honest'"; cat; } >"$1"
	chmod +x "$1"
}

case_run "nonsense is refused" nonsense_is_refused
case_run "a kept guest is the one asked for" kept_guest_is_checked
case_run "one thing varies at a time" one_thing_varies
case_run "the default has what the targets need" default_grid_is_whole
case_run "tables follow from the results" tables_follow_from_results
case_run "copies are told apart" copies_are_told_apart
case_run "plots are sound and named" plots_are_sound
case_run "a busy machine is told" doubt_is_shown
case_run "tables of a bottleneck follow from the results" \
	bottleneck_tables_follow
case_run "a bottleneck, quick" bottleneck_runs
case_run "the smallest run" smallest_run
case_run "a wrong copy or ledger ends it" lies_are_found
cases_end
