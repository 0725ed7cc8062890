#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#   pagetrim send -'  (a queue each)
#   ...
#
# Large or many transfers stay cheap: an image of 1 TiB, mostly holes, costs as
# much as its data, in frames and in memory of the agents, and its holes are
# never read; transfers that share a device all make progress, alike.
#
# The cases judge counters, not time.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ---- memory of the agents ---------------------------------------------------

anon_kib() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status" 2>/dev/null; }

# watch_memory RUN PID: until it ends, RUN.kib has its maximum of anonymous
# memory.
watch_memory()
{
	local most=0 now

	while now=$(anon_kib "$2") && [[ -n $now ]]; do
		if ((now > most)); then
			most=$now
			echo "$most" >"$1.kib"
		fi
		sleep 0.01
	done &
}

# flat RUN KIB: it never had more, and was measured.
flat() { within "KiB of $1" "$(cat "$1.kib")" 1000 "$2"; }

# ---- 1 TiB ------------------------------------------------------------------

scattered=300		# places with data, 64 KiB each

# sparse PATH: made of holes, and data in places that are far apart.
sparse()
{
	truncate -s 1T "$1"
	python3 - "$1" "$scattered" <<-'END'
		import os, random, sys
		places = int(sys.argv[2])
		random.seed(7)
		f = os.open(sys.argv[1], os.O_RDWR)
		pages = [0, 2**28 - 16]		# both ends
		pages += random.sample(range(16, 2**28 - 32, 16), places - 2)
		for page in pages:
		    os.pwrite(f, os.urandom(65536), page * 4096)
	END
}

# same_data ONE OTHER: the same size, the same data at the same places, and
# holes everywhere else.
same_data()
{
	python3 - "$@" <<-'END'
		import os, sys

		def pieces(path):
		    f = os.open(path, os.O_RDONLY)
		    size, at = os.fstat(f).st_size, 0
		    yield size
		    while True:
		        try:
		            at = os.lseek(f, at, os.SEEK_DATA)
		        except OSError:
		            return
		        end = os.lseek(f, at, os.SEEK_HOLE)
		        yield at, os.pread(f, end - at, at)
		        at = end

		one, other = (list(pieces(path)) for path in sys.argv[1:])
		if one != other:
		    sys.exit(f"{sys.argv[2]} differs from {sys.argv[1]}: "
		             f"{len(one)} pieces, {len(other)}")
	END
}

# A file system in which a read of a hole through a mapping would fill it.
sparse_tib()
{
	local blocks again

	show hosts_up "$net" --mtu 9000
	mkdir sparse
	mount -t tmpfs -o size=256m none sparse
	mounts+=("$PWD/sparse")
	sparse sparse/image
	blocks=$(stat -c %b sparse/image)
	receive_begin receive --listen "$HOSTS_B4" --out sparse/copy
	watch_memory receive "$receiver"
	send_begin send --to "$HOSTS_B4" sparse/image
	watch_memory send "$sender"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	show same_data sparse/image sparse/copy
	same "blocks of the source" "$(stat -c %b sparse/image)" "$blocks"
	balanced
	# A region's worth of zeroes is one record, 96 of them a frame at most;
	# two pages with data make a frame.  Frames that a busy machine loses
	# go again.
	again=$(field send '.ledger.missing + .ledger.duplicate + .ledger.stale')
	within "frames" "$(field send .frames)" 5000 \
		$((524288 / 96 + scattered * 16 / 2 + 2 * scattered + again))
	within "bytes of blocks" "$(field send '."block-bytes"')" \
		$((scattered * 65536)) $((scattered * 65536 + again * 8192))
	# One bit per page would be 32 MiB more, 8 bytes per page 2 GiB.
	flat send $((56 << 10))
	flat receive $((64 << 10))
	nothing_left
}

# An interrupted transfer is resumed, and data that arrived before is not sent.
sparse_resumed()
{
	local -a to=(--to "$HOSTS_B4" --resume)
	local again

	show hosts_up "$net" --mtu 9000
	mkdir sparse
	mount -t tmpfs -o size=256m none sparse
	mounts+=("$PWD/sparse")
	sparse sparse/image
	receive_begin receive --listen "$HOSTS_B4" --out sparse/copy --resume
	send_begin send "${to[@]}" --max-bandwidth 10M sparse/image
	wait_until 20 has_sent 5000000
	kill -TERM "$sender"
	ended send "$sender" 10 1
	ended receive "$receiver" 10 4
	receive_begin receive --listen "$HOSTS_B4" --out sparse/copy --resume
	watch_memory receive "$receiver"
	send_begin send "${to[@]}" sparse/image
	watch_memory send "$sender"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	show same_data sparse/image sparse/copy
	balanced
	within "pages held" "$(field send '."held-pages"')" 500 \
		$((scattered * 16 - 1))
	again=$(field send '.ledger.missing + .ledger.duplicate + .ledger.stale')
	within "bytes held or sent" \
		"$(field send '."held-bytes" + ."block-bytes"')" \
		$((scattered * 65536)) $((scattered * 65536 + again * 8192))
	flat send $((96 << 10))
	flat receive $((64 << 10))
}

# ---- many at once -----------------------------------------------------------

# race SENDERS MIB: at once, each with a queue of its own.
race()
{
	local cnt=$1 i
	local -a pids=() paths=()

	for ((i = 0; i < cnt; i++)); do
		send_begin "send$i" --to "$HOSTS_B4" --name "copy$i" \
			--max-bandwidth 64K --control "control$i" copies/image
		pids+=("$sender") paths+=("control$i")
		watch_memory "send$i" "$sender"
		wait_until 10 test -S "control$i"
	done
	# One more finds no queue.
	send_begin more --to "$HOSTS_B4" --name more copies/image
	ended more "$sender" 10 3 'taken by pid'
	hosts_run "$net" b timeout $((60 * patience)) "$here/fair.py" \
		$(($2 << 20)) "$(dev_b)" "${paths[@]}" >fair.json
	tee -a races <fair.json >&2
	for ((i = 0; i < cnt; i++)); do
		ended "send$i" "${pids[i]}" 60 0
		show cmp copies/image "copies/copy$i"
		rm "copies/copy$i"
		same "unaccounted of send$i" \
			"$(field "send$i" .ledger.unaccounted)" 0
		flat "send$i" $((48 << 10))
	done
}

# is_fair: over all races so far.
is_fair()
{
	jq -se 'def jain: pow(add; 2) / (length * (map(. * .) | add));
		map(select(.looks >= 2).sent | (add as $all | map(. / $all))) |
		transpose | map(add) | length > 0 and jain > 0.9' races >&2
}

# together SENDERS MIB: runs races until all senders' sums are alike.  A sender
# that is ahead by chance is not in the next race; one that is held back stays
# so.
together()
{
	local cnt=$1

	show hosts_up "$net" --mtu 9000 --queues "$cnt"
	mkdir copies
	mount -t tmpfs -o size=$((cnt * $2 + $2 + 8))m none copies
	mounts+=("$PWD/copies")
	head -c "$2M" /dev/urandom >copies/image
	receive_begin receive --listen "$HOSTS_B4" --serve --out copies \
		--queues "$cnt"
	watch_memory receive "$receiver"
	for _ in {1..12}; do
		race "$@"
		! is_fair || break
	done
	is_fair || die "unfair, at a load of $(</proc/loadavg): $(<races)"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	# 8 MiB per queue, and 8 bytes per page of each memory.
	flat receive $(((32 + cnt * 10) << 10))
	nothing_left
}

case_run "scale: 1 TiB, mostly holes" sparse_tib
case_run "scale: 1 TiB, mostly holes, taken up" sparse_resumed
# Where other processes use the CPUs, a thread runs for some milliseconds now
# and then, a transfer moves as much in these as otherwise in 0.1 s, and a race
# ends after few of them: the scheduler chooses the winner.
ahead case_run "scale: 4 transfers at once" together 4 64
ahead case_run "scale: 16 transfers at once" together 16 48
cases_end
