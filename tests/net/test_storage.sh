#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                 host b
#   pagetrim send, four -- ptNAMEa === ptNAMEb -- receive --serve --> ext4 on a
#   peer.py asks, PING -->                        --peer-timeout 4    loop device,
#                                                                     frozen
#
# The receiver's file system hangs, for longer than the peer timeout.  Its
# transfers wait, none is lost, and control answers all the while.  The file
# system is the case's own: no other one hangs.
#
# Standard output and error are storage, too: no thread waits for a pipe without
# a reader, or for a log on a frozen file system.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)
frozen_s=10

disk_make()
{
	show truncate -s 400M disk
	show mkfs.ext4 -q -F disk
	mkdir mnt
	show mount -o loop disk mnt
	mounts+=("$PWD/mnt")
	mkdir mnt/out
}

freeze() { show fsfreeze -f mnt; }

# thaw also when the case fails: a frozen file system blocks every process's
# end.
thaw()
{
	show fsfreeze -u mnt
	trap case_end EXIT
}

freeze_until_end()
{
	# Without set -e, which would end the trap before case_end.
	trap 'code=$?; set +e; fsfreeze -u "$dir/mnt" 2>/dev/null
	      (exit "$code"); case_end' EXIT
	freeze
}

logs() { grep -q -- "$2" "$1.err"; }

# is_part: the transfer has begun, and has not ended.
is_part() { compgen -G 'mnt/out/*.partial' >/dev/null; }

hosts_with_disk()
{
	show hosts_up "$net" --mtu 1500 --queues 4
	disk_make
	receive_begin receive --serve --queues 4 --listen 10.77.0.2 --out mnt/out \
		--peer-timeout 4
}

# Four transfers are under way; a peer measures control's answers meanwhile.
frozen_in_data()
{
	local senders=() i pinger

	hosts_with_disk
	for i in 1 2 3 4; do
		send_begin "send$i" --to 10.77.0.2 --name "image$i" \
			--peer-timeout 4 --max-bandwidth 3M "$(image even)"
		senders+=("$sender")
	done
	wait_until 20 are_partial 4
	sleep 1
	hosts_exec "$net" a "$here/peer.py" asks 10.77.0.2 16644 \
		"$PWD/enough" >longest 2>pinger.err &
	pinger=$!
	wait_until 10 grep -q ready pinger.err
	freeze_until_end
	wait_until 10 logs receive 'waiting for storage'
	sleep "$frozen_s"
	touch enough
	finish "$pinger" 10
	thaw
	for i in 1 2 3 4; do
		ended "send$i" "${senders[i - 1]}" 60 0
		same_file "$(image even)" "mnt/out/image$i"
	done
	logs receive 'storage goes on'
	answers_in_time
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
}

# All that a session does with its files, one phase each.  Files that exceed a
# store's queue keep control from reading more of its sender, for longer than
# any deadline.
frozen_in()
{
	local option=() frozen_s=$frozen_s

	hosts_with_disk
	case $1 in
	open) freeze_until_end ;;
	with) head -c 1M /dev/urandom >state; option=(--with state) ;;
	large) head -c 40M /dev/urandom >state; option=(--with state)
	       frozen_s=15 ;;
	esac
	send_begin send --to 10.77.0.2 --name image --peer-timeout 4 \
		--max-bandwidth 20M "${option[@]}" "$(image even)"
	if [[ $1 != open ]]; then
		wait_until 20 is_part
		freeze_until_end
	fi
	sleep "$frozen_s"
	thaw
	ended send "$sender" 60 0
	same_file "$(image even)" mnt/out/image
	[[ ! -e state ]] || same_file state mnt/out/image.with/state
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
}

# SIGTERM while storage hangs: the sender is told, and connections, sockets and
# program are gone, before storage continues.  The process waits for the kernel.
frozen_at_term()
{
	hosts_with_disk
	send_begin send --to 10.77.0.2 --name image --peer-timeout 4 \
		--max-bandwidth 5M "$(image even)"
	wait_until 20 is_part
	freeze_until_end
	wait_until 10 logs receive 'waiting for storage'
	kill -TERM "$receiver"
	ended send "$sender" 10 4 interrupted
	wait_until 10 gone_from_b
	! is_gone "$receiver" || die "it did not wait for its storage"
	thaw
	ended receive "$receiver" 20 0
	! is_part || die "it left a .partial"
}

# fill PIPE: fills it to the last byte, so that the next write to it waits.
fill()
{
	# Each ends when the pipe is full.
	dd if=/dev/zero of="$1" bs=4096 oflag=nonblock 2>/dev/null || true
	dd if=/dev/zero of="$1" bs=1 oflag=nonblock 2>/dev/null || true
	! dd if=/dev/zero of="$1" bs=1 count=1 oflag=nonblock 2>/dev/null ||
		die "$1 is not full"
}

# is_said FD WORD: reads its lines until one has WORD.
is_said()
{
	local line

	while read -r -t $((10 * patience)) line <&"$1"; do
		[[ $line != *"$2"* ]] || return 0
	done
	return 1
}

# The receiver's log or its reports are blocked: two transfers one after the
# other succeed, control answers, and the other stream is written.
stream_stands()
{
	local stream=$1 log=receive.err report=receive.json pinger i held

	show hosts_up "$net" --mtu 1500 --queues 4
	mkdir out
	mkfifo pipe
	exec {held}<>pipe
	case $stream in
	log) log=pipe ;;
	report) report=pipe ;;
	disk) disk_make; log=mnt/log ;;
	esac
	hosts_exec "$net" b "$pagetrim" receive --json --dev "$(dev_b)" \
		"${security[@]}" --serve --listen 10.77.0.2 --out out \
		--peer-timeout 4 >"$report" 2>"$log" &
	receiver=$!
	if [[ $stream == log ]]; then
		is_said "$held" ' listening on ' || die "it does not listen"
	else
		wait_until 10 grep -qs ' listening on ' "$log"
	fi
	case $stream in
	disk) freeze_until_end ;;
	*) fill pipe ;;
	esac
	hosts_exec "$net" a "$here/peer.py" asks 10.77.0.2 16644 \
		"$PWD/enough" >longest 2>pinger.err &
	pinger=$!
	for i in 1 2; do
		send_begin "send$i" --to 10.77.0.2 --name "image$i" \
			--peer-timeout 4 "$(image even)"
		ended "send$i" "$sender" 30 0
		same_file "$(image even)" "out/image$i"
	done
	touch enough
	finish "$pinger" 10
	answers_in_time
	[[ $stream != disk ]] || thaw
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	[[ $stream == log ]] || same "transfers in the log" \
		"$(grep -c ' transfer .* to out/image' "$log")" 2
	if [[ $stream == report ]]; then
		logs receive 'standard output: takes no more'
	else
		same "transfers reported" "$(jq -s '[.[] |
			select(.status == "completed")] | length' "$report")" 2
	fi
}

# are_partial COUNT: so many images are in progress.
are_partial() { [[ $(compgen -G "mnt/out/*.partial" | wc -l) -eq $1 ]]; }

ahead case_run "storage: four transfers, frozen in their midst" frozen_in_data
case_run "storage: frozen before the image is made" frozen_in open
case_run "storage: frozen while files and memory come" frozen_in with
case_run "storage: frozen while large files come" frozen_in large
case_run "storage: SIGTERM while it is frozen" frozen_at_term
ahead case_run "storage: a log that nobody reads" stream_stands log
ahead case_run "storage: reports that nobody reads" stream_stands report
ahead case_run "storage: a log on a frozen file system" stream_stands disk

cases_end
