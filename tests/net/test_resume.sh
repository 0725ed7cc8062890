#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send --resume -- ptNAMEa ====== ptNAMEb -- pagetrim receive --resume
#     is killed                  is cut                   is killed; keeps
#                                                         copy.partial, .journal
#
# Interrupted transfers are resumed.  The test compares files byte by byte to
# find what the partial file holds, independent of pagetrim's report; the bytes
# sent again are at most 5 % more than the missing ones; the result is the
# image.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# About 9 MB in 2 s.
rate=4M

# begin [SEND-OPTION...]: a transfer of $source to copy, both ends with
# --resume.
begin()
{
	receive_begin receive --listen "$HOSTS_B4" --out "${out:-copy}" \
		--peer-timeout "${peer_timeout:-20}" --resume \
		"${receive_options[@]}"
	send_more "$@"
}

send_more()
{
	send_begin send --to "$HOSTS_B4" --resume \
		--peer-timeout "${peer_timeout:-20}" "$@" "$source"
}

# partly_sent BYTES [SEND-OPTION...]: begins slowly, and returns when so many
# bytes have been sent; continues even more slowly, see lib.sh.
partly_sent()
{
	local bytes=$1 before

	shift
	before=$(sent_bytes)
	begin --max-bandwidth "$rate" --control under-way "$@"
	wait_until 10 has_sent $((before + bytes))
	slow_down
	! is_gone "$sender" || die "the transfer ended too early to tell"
}

# look [PARTIAL]: prints what is missing now, and what is held; see missing.py.
look()
{
	local -A seen

	eval "seen=($("$here/missing.py" "$source" "${1:-copy.partial}" |
		jq -r 'to_entries[] | "[\(.key)]=\(.value)"'))"
	bytes=${seen[bytes]} held=${seen[held]}
}

kept()
{
	local bytes held

	[[ ! -e copy ]] || die "committed all the same"
	[[ -f copy.partial && -f copy.journal ]] || die "not kept: $(ls)"
	look
	((held > 200)) || die "no more than $held pages"
}

# run_again: runs the transfer again, to its end: it resumes, sends no more than
# 5 % above the missing bytes, and makes the image.
run_again()
{
	local bytes held

	look
	begin "$@"
	finished
	same "pages that were held" "$(field send '."held-pages"')" "$held"
	(($(field receive '."held-pages"') >= held)) ||
		die "the receiver does not say what it held"
	[[ $(field send '."block-bytes"') -le $((bytes * ${most:-105} / 100)) ]] ||
		die "sent $(field send '."block-bytes"'), $bytes were missing"
	echo "missing $bytes bytes, sent $(field send '."block-bytes"')" >&2
}

# finished: both ends succeed, with a resumed transfer.
finished()
{
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same resumed "$(field send .resumed) $(field receive .resumed)" \
		"${resumed:-true true}"
	same_file "$source" copy
	balanced
	[[ -z ${HOSTS_WIRE_PID-} ]] || show hosts_wire_stop
	nothing_left
}

# both_refuse WORD: each side prints one line with WORD; the kept files stay.
both_refuse()
{
	begin
	ended send "$sender" 10 4 "$1"
	ended receive "$receiver" 10 3 "$1"
	[[ -e copy.partial || -L copy.partial ]] || die "the .partial is gone"
}

setup()
{
	show hosts_up "$net" --mtu 9000
	source=$(image half --pages 4096)
}

# leftover: the files of a receiver that was killed halfway; made once for all
# cases.
leftover()
{
	if [[ ! -e $tmp/leftover ]]; then
		partly_sent 2500000
		show kill -KILL "$receiver"
		ended send "$sender" 15 4
		mkdir "$tmp/leftover"
		cp -p copy.partial copy.journal "$tmp/leftover"
	fi
	rm -f copy copy.partial copy.journal
	cp -p "$tmp"/leftover/* .
	kept
}

# ---- interrupted ------------------------------------------------------------

receiver_killed()
{
	setup
	partly_sent 2500000
	show kill -KILL "$receiver"
	ended send "$sender" 15 4
	kept
	run_again
}

sender_killed()
{
	setup
	partly_sent 2500000
	show kill -KILL "$sender"
	finish "$sender" 15
	ended receive "$receiver" 15 4
	kept
	same "what it says is kept" "$(field receive .kept)" true
	grep -q ' kept copy.partial' receive.err || die "it does not say so"
	run_again
}

# killed_in_turn: the receiver is killed, then the sender during the resumption.
killed_in_turn()
{
	partly_sent 1500000
	show kill -KILL "$receiver"
	ended send "$sender" 15 4
	kept
	partly_sent 1500000
	show kill -KILL "$sender"
	finish "$sender" 15
	ended receive "$receiver" 15 4
	kept
}

# During a resumption, too: again and again, on either side.
killed_again()
{
	setup
	killed_in_turn
	partly_sent 1500000
	show kill -KILL "$receiver" "$sender"
	finish "$sender" 15
	finish "$receiver" 15
	kept
	run_again
}

# A tenth of the frames is lost, and is sent again, too.
killed_with_loss()
{
	local most=130

	show hosts_up "$net" --wire --mtu 9000
	show hosts_wire_start "$net" wire "$wire" --drop 100
	source=$(image half --pages 4096)
	killed_in_turn
	run_again
	[[ $(field receive .ledger.missing) -gt 0 ]] || die "nothing was lost"
}

link_lost()
{
	local peer_timeout=2

	setup
	partly_sent 2500000
	on b ip link set "$(dev_b)" down
	ended send "$sender" 12 4
	ended receive "$receiver" 12 4
	on b ip link set "$(dev_b)" up
	wait_until 10 hosts_run "$net" a ping -q -c 1 -W 1 "$HOSTS_B4" >&2
	kept
	run_again
}

# A signal ends it: the data is kept as well.
told_to_end()
{
	setup
	partly_sent 2500000
	show kill -TERM "$receiver"
	ended receive "$receiver" 15 1
	ended send "$sender" 15 4
	kept
	run_again
}

# A receiver that lives on resumes the transfer of that name; another name is
# another transfer.
by_name()
{
	local out=many receive_options=(--serve) other bytes held

	setup
	mkdir many
	other=$(image other --pages 1024 --seed 7)
	partly_sent 2500000 --name guest
	show kill -KILL "$sender"
	finish "$sender" 15
	wait_until 10 grep -q ' failed: ' receive.err
	[[ -f many/guest.partial && -f many/guest.journal ]] || die "not kept"
	on a "$pagetrim" send --json --dev "$(dev_a)" --to "$HOSTS_B4" \
		"${security[@]}" --resume --name other "$other" >other.json
	same "the other resumed" "$(jq .resumed other.json)" false
	same_file "$other" many/other
	look many/guest.partial
	send_more --name guest
	ended send "$sender" 60 0
	same "pages that were held" "$(field send '."held-pages"')" "$held"
	same_file "$source" many/guest
	show kill -TERM "$receiver"
	ended receive "$receiver" 15 0
	nothing_left
}

# Small files beside the memory are sent anew, whole.
with_files()
{
	setup
	head -c 300000 /dev/urandom >state
	partly_sent 1500000 --with state
	show kill -KILL "$receiver"
	ended send "$sender" 15 4
	kept
	[[ -d copy.with.partial ]] || die "no file has come"
	run_again --with state
	same_file state copy.with/state
}

# ---- another content --------------------------------------------------------

# The guest continued to run meanwhile: the result is its present memory.
source_changed()
{
	setup
	mkdir now
	cp "$source" now/
	partly_sent 2500000
	show kill -KILL "$sender"
	finish "$sender" 15
	ended receive "$receiver" 15 4
	kept
	source=now/${source##*/}
	for at in 0 1 700 701 2000 3000; do
		dd if=/dev/urandom of="$source" bs=4096 seek="$at" count=1 \
			conv=notrunc
		dd if=/dev/zero of="$source" bs=4096 seek=$((at + 60)) \
			count=2 conv=notrunc
	done 2>/dev/null
	run_again
}

# Data in the .partial is trusted only where its digest is right.
partial_spoilt()
{
	local how at

	setup
	for how in changed shorter; do
		echo "$how" >&2
		leftover
		case $how in
		changed)
			for at in 0 3 512 900; do
				dd if=/dev/urandom of=copy.partial bs=4096 \
					count=1 seek="$at" conv=notrunc
			done ;;
		shorter)	truncate -s 3000001 copy.partial ;;
		esac 2>/dev/null
		run_again
	done
}

# A source that changes is not kept: no region of it is whole.
mismatch_is_not_kept()
{
	setup
	cp "$source" moving
	source=moving
	partly_sent 1500000
	dd if=/dev/urandom of=moving bs=4096 count=1 conv=notrunc 2>/dev/null
	go_on
	ended send "$sender" 20 5 'changed'
	ended receive "$receiver" 10 5
	jq -e '.kept == false' receive.json >/dev/null || die "it says: kept"
	nothing_left
}

# ---- refused ----------------------------------------------------------------

# anew: without --resume at the sender, the kept data is dropped.
anew()
{
	receive_begin receive --listen "$HOSTS_B4" --out copy --resume
	send_begin send --to "$HOSTS_B4" "$source"
	resumed='false false' finished
}

journal_damaged()
{
	setup
	leftover
	printf X | dd of=copy.journal bs=1 seek=30 conv=notrunc 2>/dev/null
	both_refuse 'journal: damaged.*without --resume'
	truncate -s 20 copy.journal
	both_refuse 'journal: damaged.*without --resume'
	anew
}

another_image()
{
	setup
	leftover
	source=$(image other --pages 1024 --seed 7)
	both_refuse "another image: '.*half', segments 1, .*without --resume"
	source=$(image half)
	begin --name renamed
	ended send "$sender" 10 4 "another image: .* not 'renamed'"
	ended receive "$receiver" 10 3
	cp "$source" renamed
	source=renamed
	run_again --name "$(basename "$(image half)")"
}

# It imports no other user's file, no link, and no file that others may write;
# test_sink_kept has more of these.
partial_planted()
{
	setup
	leftover
	chmod o+w copy.partial
	both_refuse 'partial: others may write it'
	chmod o-w copy.partial
	chown 12345 copy.partial
	both_refuse "partial: (another user's|cannot be opened)"
	chown 0 copy.partial
	mv copy.partial elsewhere
	ln -s elsewhere copy.partial
	both_refuse 'partial: a symbolic link'
	mv elsewhere copy.partial
	(flock -n 9 && echo locked >lock && exec sleep 60) 9<copy.partial &
	wait_until 15 test -s lock
	both_refuse 'another receiver writes it'
	kill %%
	wait %% || true
	run_again
}

# A receiver without --resume keeps no data, and resumes none.
not_asked_to()
{
	setup
	leftover
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_more
	resumed='false false' finished
	rm copy
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --resume --max-bandwidth "$rate" \
		"$source"
	wait_until 10 grep -q ' transfer ' receive.err
	show kill -KILL "$sender"
	ended receive "$receiver" 15 4
	nothing_left
}

# The files of a receiver that dies between the image's rename and the journal's
# removal.
journal_alone()
{
	setup
	leftover
	rm copy.partial
	begin
	resumed='false false' finished
}

case_run "resume: receiver killed" receiver_killed
case_run "resume: sender killed" sender_killed
case_run "resume: killed again while it is taken up" killed_again
case_run "resume: both ends killed on a path that loses" killed_with_loss
case_run "resume: link lost" link_lost
case_run "resume: told to end" told_to_end
case_run "resume: a receiver that serves finds it by name" by_name
case_run "resume: files that go along are sent anew" with_files
case_run "resume: source changed meanwhile" source_changed
case_run "resume: what the .partial holds is proved" partial_spoilt
case_run "resume: a mismatch keeps nothing" mismatch_is_not_kept
case_run "resume: damaged journal" journal_damaged
case_run "resume: another image" another_image
case_run "resume: planted files" partial_planted
case_run "resume: not asked to" not_asked_to
case_run "resume: a journal alone" journal_alone
cases_end
