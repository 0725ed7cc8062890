# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# contestants.sh: who moves the memory.  Sourced by scripts/bench.sh, whose
# variables it reads.
#
#     insecure      pagetrim --insecure: nothing sealed; a page that equals
#                   another goes as a copy of it
#     no-copies     the same with --copies off
#     pagetrim      pagetrim as it comes: sealed, AES-128-GCM
#     insecure-warm, pagetrim-warm   as these two, all of the sink allocated before
#     stages, stages-sealed   as these two, with --profile: where the time goes
#     qemu          QEMU's pre-copy; all memory of both ends allocated and mapped
#                   before, as the source's is where a guest ran
#     qemu-cold     the same, but the destination starts empty, as all others'
#     multifd, multifd-cold   as these two, over 2 channels
#     tcp           tcp_pages.c; zero pages left out, nothing checked
#     criu          CRIU's page server; the image in a process of ours
#     blast         AF_XDP frames of pagetrim's size, nothing else: the limit
#     memory        nothing is sent: read, scan and copy of the image
#
# run_WHAT MTU QUEUES TRIM sets result, a JSON object with at least
#     seconds     what the user waits for
#     cpu_s       CPU time of both ends' processes, from when the receiver is
#                 ready
#     machine_s   CPU time of the whole machine meanwhile: kernel threads, too
#     bytes       what it says that it transferred
#     link_bytes  Ethernet bytes of both directions (of TCP's segments, large
#                 ones, which no wire would carry)
# or ends the bench.
# shellcheck disable=SC2034,SC2154 # variables shared with bench.sh

ETHERNET_SZ=14
sink_args=()	# of pagetrim receive

# ends_measured RECEIVE SEND [HEADER_SZ]: run both, functions that use end_b and
# end_a; RECEIVE_is_ready says when to send.  What both used goes to $ends.
ends_measured()
{
	local receive=$1 send=$2 header_sz=${3-0} receiver ticks link

	rm -f "$tmp"/{rx,tx}{,.err,.json,.ready}
	link=$(link_bytes "$header_sz")
	"$receive" >"$tmp/rx.json" 2>"$tmp/rx.err" &
	receiver=$!
	until_true 60 "${receive}_is_ready" ||
		die "$receive: not ready: $(cat "$tmp/rx.err")"
	touch "$tmp/rx.ready"
	sleep 0.02	# longer than the watcher's nap
	ticks=$(machine_ticks)
	"$send" >"$tmp/tx.json" 2>"$tmp/tx.err" ||
		die "$send: $(cat "$tmp/tx.err" "$tmp/rx.err")"
	wait "$receiver" || die "$receive: $(cat "$tmp/rx.err")"
	ends=$(jq -n --slurpfile rx "$tmp/rx" --slurpfile tx "$tmp/tx" \
		--argjson machine_s "$(machine_spent "$ticks")" \
		--argjson link "$link" --argjson link_after "$(link_bytes "$header_sz")" '
		{ cpu_s: ([$rx[0], $tx[0]] | map(.user_s + .sys_s - .ready_s) | add),
		  machine_s: $machine_s, link_bytes: ($link_after - $link),
		  receive: $rx[0], send: $tx[0] }')
}

# end_a FILE COMMAND..., end_b: run it there, measured.
end_a() { hosts_run "$name" a timeout 300 "$tools/usage" "$tmp/tx" "$@"; }
end_b() { hosts_run "$name" b timeout 300 "$tools/usage" "$tmp/rx" "$@"; }

# same_copy WHAT SOURCE: $ram.copy is that memory; then it is gone.
same_copy()
{
	cmp "$2" "$ram.copy" >&2 || die "$1: the copy differs"
	rm "$ram.copy"
}

# listens PORT: somebody in host b does.
listens() { [[ -n $(hosts_run "$name" b ss -Hltn "sport = :$1") ]]; }

# -------------------------------------------------------------------- pagetrim

run_insecure()
{
	ours "$2" "$3" --insecure
	frames_of["$1"]=$(jq -r '.ram.transferred as $sz |
		"\($sz / .frames | round) \($sz)"' "$tmp/tx.json")
}

run_no-copies()
{
	local send_args=("${send_args[@]}" --copies off)

	ours "$2" "$3" --insecure
}

run_pagetrim() { ours "$2" "$3" --psk "$tmp/psk"; }
run_insecure-warm() { ours_warm "$2" "$3" --insecure; }
run_pagetrim-warm() { ours_warm "$2" "$3" --psk "$tmp/psk"; }
run_stages() { ours "$2" "$3" --insecure --profile; }
run_stages-sealed() { ours "$2" "$3" --psk "$tmp/psk" --profile; }

ours_warm()
{
	local sink_args=(--prealloc "${size_mib}M")

	ours "$@"
}

# ours QUEUES TRIM OPTION...: the options are those of both ends.
ours()
{
	local queue_cnt=$1 trim=$2 both=("${@:3}") ends

	ends_measured ours_receive ours_send "$ETHERNET_SZ"
	same_copy pagetrim "$ram"
	ledgers_balance
	result=$(jq --argjson ends "$ends" --slurpfile rx "$tmp/rx.json" '
		{ seconds: (."total-time" / 1000), bytes: .ram.transferred }
		+ $ends + { report: ., receive_report: $rx[0] }' "$tmp/tx.json")
}

ours_receive()
{
	end_b "$pagetrim" receive "${both[@]}" --listen "$HOSTS_B4" \
		--dev "$(hosts_dev "$name" b)" --queues "$queue_cnt" \
		--out "$ram.copy" --json "${sink_args[@]}" "${receive_args[@]}"
}

ours_receive_is_ready() { grep -qs " listening on " "$tmp/rx.err"; }

ours_send()
{
	end_a "$pagetrim" send "${both[@]}" --to "$HOSTS_B4" \
		--dev "$(hosts_dev "$name" a)" --queues "$queue_cnt" \
		--trim "$trim" --json "${send_args[@]}" "$ram"
}

# ledgers_balance: both ends say the same, and nothing is unaccounted.
ledgers_balance()
{
	jq -es 'map(.ledger) | (.[0] == .[1]) and all(.unaccounted == 0)' \
		"$tmp/tx.json" "$tmp/rx.json" >/dev/null ||
		die "the ledger: $(jq -c .ledger "$tmp/tx.json" "$tmp/rx.json")"
}

# ------------------------------------------------------------------------ QEMU

run_qemu() { migrate 0 --prealloc; }
run_qemu-cold() { migrate 0; }
run_multifd() { migrate 2 --prealloc; }
run_multifd-cold() { migrate 2; }

# migrate CHANNELS [--prealloc]: of a copy of the image, because a QEMU that looks at
# its memory fills the holes of the file.  Its devices want to find the first MiB as
# the guest had it; images that are no guest are written over the rest of one.
# qemu_compression: of multifd, if it is set.
migrate()
{
	local channels=$1 link from=$ram

	shift
	need_bare_link
	[[ $image =~ ^(guest|filled|worked|database)$ ]] || from=$memory/guest
	cp --sparse=auto "$from" "$ram.qemu"
	"$guest" load --ram "$ram.qemu" --size-mib "$size_mib" \
		--dir "$tmp_src" --state "$tmp/state" --prealloc \
		--netns "$(hosts_netns "$name" a)"
	[[ $from == "$ram" ]] ||
		dd if="$ram" of="$ram.qemu" bs=1M skip=1 seek=1 \
			conv=notrunc status=none
	"$guest" incoming --ram "$ram.copy" --size-mib "$size_mib" \
		--dir "$tmp_dst" --listen defer "$@" \
		--netns "$(hosts_netns "$name" b)"
	link=$(link_bytes 0)
	result=$("$bench/qemu_migrate.py" "$tmp_src" "$tmp_dst" \
		"tcp:$HOSTS_B4:4444" "$channels" "${qemu_compression:-none}")
	result=$(jq --argjson link "$link" --argjson link_after \
		"$(link_bytes 0)" '.link_bytes = $link_after - $link' \
		<<<"$result")
	"$guest" stop --dir "$tmp_src" --keep-ram
	"$guest" stop --dir "$tmp_dst" --keep-ram
	same_copy QEMU "$ram.qemu"
	rm "$ram.qemu"
}

# ------------------------------------------------------------------- plain TCP

run_tcp()
{
	local ends

	need_bare_link
	ends_measured tcp_receive tcp_send
	same_copy tcp_pages "$ram"
	result=$(jq --argjson ends "$ends" '. + $ends' "$tmp/tx.json")
}

tcp_receive() { end_b "$tools/tcp_pages" receive "$HOSTS_B4" 7777 "$ram.copy"; }
tcp_receive_is_ready() { listens 7777; }
tcp_send() { end_a "$tools/tcp_pages" send "$HOSTS_B4" 7777 "$ram"; }

# ------------------------------------------------------------------------ CRIU

# criu_absent: why CRIU cannot run here; nothing if it can.
criu_absent()
{
	hash criu 2>/dev/null || { echo "not installed"; return; }
	criu check >"$tmp/criu.check" 2>&1 || {
		grep -m 1 -vE 'util.c.*exited' "$tmp/criu.check" ||
			echo "criu check fails"
	} | sed "s/^/$(criu --version | sed -n '1s/Version: /CRIU /p'): /"
}

# contestants_absent: those of $only that cannot run here leave it, and why.
contestants_absent()
{
	local reason

	if [[ " ${only[*]} " == *" criu "* ]]; then
		reason=$(criu_absent)
		[[ -z $reason ]] || leave_out criu "$reason"
	fi
	[[ $("$pagetrim" send --help) == *--profile* ]] ||
		leave_out 'stages.*' "this build knows no --profile"
	[[ $("$pagetrim" send --help) == *--copies* ]] ||
		leave_out no-copies "this build knows no --copies"
	[[ $("$pagetrim" receive --help) == *--prealloc* ]] ||
		leave_out '(insecure|pagetrim)-warm' \
			"this build knows no --prealloc"
}

# leave_out WHAT REASON: WHAT is a regular expression.
leave_out()
{
	warn "$1 is not run: $2"
	jq -nc --arg what "$1" --arg reason "$2" '{absent: {($what): $reason}}'
	mapfile -t only < <(printf '%s\n' "${only[@]}" | grep -vxE "$1")
}

run_criu()
{
	local ends holder

	need_bare_link
	mkdir "$memory/dumped" "$memory/served"
	hosts_exec "$name" a setsid "$tools/hold" "$ram" >"$tmp/hold" \
		2>"$tmp/hold.err" </dev/null &
	holder=$!
	until_true 30 grep -qs ready "$tmp/hold" ||
		die "hold: $(cat "$tmp/hold.err")"
	ends_measured criu_receive criu_send
	wait "$holder" || true
	"$bench/criu_pages.py" "$memory/served" "$ram" >&2 ||
		die "CRIU: the pages differ"
	result=$(jq -n --argjson ends "$ends" --argjson bytes "$(cat \
		"$memory"/served/pages-*.img | wc -c)" \
		'{seconds: $ends.send.wall_s, bytes: $bytes} + $ends')
	rm -r "$memory/dumped" "$memory/served"
}

criu_receive()
{
	end_b criu page-server --images-dir "$memory/served" \
		--address "$HOSTS_B4" --port 7778
}

criu_receive_is_ready() { listens 7778; }

criu_send()
{
	end_a criu dump --tree "$holder" --images-dir "$memory/dumped" \
		--page-server --address "$HOSTS_B4" --port 7778
}

# ---------------------------------------------------------------------- limits

# What the frames of insecure were like the last time at each MTU: bytes a frame,
# bytes in all.
declare -A frames_of=()

run_blast()
{
	local ends frame

	read -ra frame <<<"${frames_of["$1"]:-$(($1 + 14)) $((size_mib << 20))}"
	ends_measured blast_receive blast_send "$ETHERNET_SZ"
	# The limit is what arrives: time for the volume at that rate.
	result=$(jq -n --argjson ends "$ends" --argjson frame_sz "${frame[0]}" \
		--slurpfile tx "$tmp/tx.json" --slurpfile rx "$tmp/rx.json" '
		{ seconds: ($tx[0].bytes * $rx[0].seconds / $rx[0].bytes),
		  bytes: $tx[0].bytes, frame_sz: $frame_sz,
		  lost: (1 - $rx[0].frames / $tx[0].frames) } + $ends')
}

blast_receive() { end_b "$tools/blast" receive "$(hosts_dev "$name" b)"; }
blast_receive_is_ready() { grep -qs ready "$tmp/rx.err"; }
blast_send() { end_a "$tools/blast" send "$(hosts_dev "$name" a)" "${frame[@]}"; }

run_memory()
{
	result=$("$tools/memory" "$ram" | jq '{seconds: .read_s, cpu_s: .read_s,
		machine_s: .read_s, link_bytes: 0} + .')
}
