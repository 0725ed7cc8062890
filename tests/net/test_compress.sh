#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   memory   | hole | text, some blocks zero | random bytes | text | short |
#
# Compressed frames arrive as the memory was, whatever the network does; pages
# that do not compress go as they are.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

text_pages=4000 random_pages=2000

# memory: made once: $memory.
memory()
{
	memory=$tmp/memory
	[[ ! -e $memory ]] || return 0
	python3 - "$memory" "$text_pages" "$random_pages" <<-'END'
		import random
		import sys

		PAGE = 4096
		path, text_cnt, random_cnt = sys.argv[1], *map(int, sys.argv[2:])
		rnd = random.Random(4)
		words = [rnd.randbytes(rnd.randrange(3, 9)) for _ in range(200)]

		def text():
		    page = bytearray(b"".join(rnd.choices(words, k=900))[:PAGE])
		    for block in rnd.sample(range(64), rnd.randrange(8)):
		        page[block * 64:block * 64 + 64] = bytes(64)
		    return page

		with open(path, "wb") as out:
		    out.seek(4 << 20)
		    for _ in range(text_cnt // 2):
		        out.write(text())
		    out.write(rnd.randbytes(random_cnt * PAGE))
		    for _ in range(text_cnt // 2):
		        out.write(text())
		    out.write(b"the end")
	END
}

# moved SEND-OPTION...: the memory, or $repeated, goes from a to b, into $out, and
# arrives.
moved()
{
	local from

	memory
	from=${repeated:-$memory}
	receive_begin receive --listen "$HOSTS_B4" --out "${out:-copy}" \
		"${receive_options[@]}"
	send_begin send --to "$HOSTS_B4" "$@" "$from"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	jq -c '{compression, ram, frames, "block-bytes", ledger}' send.json >&2
	same_file "$from" "${out:-copy}"
	balanced
}

packed() { field send ".compression$1"; }

# shrunk: text pages became at most that many per cent of their size, random
# ones went plain.
shrunk()
{
	within "bytes that were compressed" "$(packed .bytes)" \
		$((text_pages * 4096 * 8 / 10)) \
		$(((text_pages + random_pages / 10) * 4096))
	within "bytes after" "$(packed '."compressed-size"')" 1 \
		$(($(packed .bytes) * $1 / 100))
	within "bytes on the wire" "$(field send .ram.transferred)" 1 \
		$(($(packed '."compressed-size"') * 5 / 4 +
		   ($(field send '."block-bytes"') - $(packed .bytes)) * 9 / 8))
}

there()
{
	show hosts_up "$net" --mtu "$2"
	on_time moved --compress "$1"
	same method "$(packed .method)" "${1%:*}"
	shrunk "$3"
	nothing_left
}

unsealed()
{
	local -a security=(--insecure)

	there "$@"
}

in_memory()
{
	local out=/dev/shm/pagetrim-$net

	there zstd 9000 65
	rm "$out"
}

# slow_path: the limit stands for a path; text is compressed after a while.
slow_path()
{
	show hosts_up "$net" --mtu 9000
	moved --max-bandwidth 3M	# ten seconds: a busy CPU spoils a sample
	same method "$(packed .method)" auto
	within "frames that were compressed" "$(packed .frames)" 100 \
		"$(field send .frames)"
	within "bytes on the wire" "$(field send .ram.transferred)" 1 \
		$(($(field send '."block-bytes"') * 9 / 10))
	nothing_left
}

# observed: nothing is compressed, and the methods are those that would have been.
observed()
{
	show hosts_up "$net" --mtu 9000
	moved --max-bandwidth 3M --observe
	same observed "$(packed .observed)" true
	within "bytes on the wire" "$(field send .ram.transferred)" \
		"$(field send '."block-bytes"')" 100000000
	within "frames that would have been compressed" "$(packed .frames)" 100 \
		"$(field send .frames)"
	within "bytes that they would have had" "$(packed '."compressed-size"')" 1 \
		$(($(packed .bytes) * 9 / 10))
	same "bytes of all methods" \
		"$(packed '.methods | map(.bytes) | add')" \
		"$(field send '."block-bytes"')"
	nothing_left
}

# predicted MTU METHOD: the bytes that inspect predicts are within 2 % of those
# sent.  Half of the pages are copies; in a large memory, so that the sender finds
# nearly all of them.
predicted()
{
	local said sent repeated=$PWD/repeated

	memory
	cp "$memory" repeated
	truncate -s %4096 repeated
	cat "$memory" >>repeated
	truncate -s 1G repeated
	"$pagetrim" inspect --json --mtu "$1" repeated >inspect.json
	said=$(field inspect ".compress.$2.\"wire-bytes\"")
	show hosts_up "$net" --mtu "$1"
	on_time moved --compress "$2"
	sent=$(field send .ram.transferred)
	within "bytes that inspect predicts" "$said" $((sent * 98 / 100)) \
		$((sent * 102 / 100))
	within "time, as the bytes take at 10 Gbit/s or longer, in ns" \
		"$(field inspect ".compress.$2.seconds * 1e9 | floor")" \
		$((said * 8 / 10)) 100000000000
}

off()
{
	show hosts_up "$net" --mtu 9000
	on_time moved "$@"
	# jq 1.7 keeps 0.0 as it was written.
	same "bytes that went plain" "$(packed .methods.none.bytes)" \
		"$(field send '."block-bytes"')"
	same compression "$(field send '.compression | del(.methods, .observed) |
		map_values(if type == "number" then . + 0 else . end) | @json')" \
		'{"frames":0,"bytes":0,"compressed-size":0,"method":"none","compression-rate":0,"switches":0}'
	nothing_left
}

disturbed()
{
	local -a receive_options=(--queues 2)

	show hosts_up "$net" --wire --mtu "$2" --queues 2
	show hosts_wire_start "$net" wire "$wire" --drop 100 --repeat 30 \
		--reorder 200 --delay 50 --flip 20 --seed 6
	moved --queues 2 --compress "$1"
	show hosts_wire_stop
	as_the_wire_says
	within "frames lost" "$(field send '."frames-lost"')" 1 \
		"$(field send .frames)"
	within "frames that were compressed" "$(packed .frames)" 1 \
		"$(field send .frames)"
	nothing_left
}

refused()
{
	show hosts_up "$net"
	send_begin send --to "$HOSTS_B4" "${@:2}" /etc/hostname
	ended send "$sender" 10 2 "$1"
}

for how in "lz4 1500 85" "lz4 9000 80" "lz4 65535 80" "zstd 1500 80" \
	"zstd:7 9000 65" "zstd 65535 65"; do
	# shellcheck disable=SC2086 # words
	case_run "compress: sealed, $how" there $how
done
for mtu in 1500 9000 65535; do
	for how in lz4 zstd; do
		case_run "compress: inspect predicts $how at MTU $mtu" \
			predicted $mtu $how
	done
done
case_run "compress: not sealed, lz4" unsealed lz4 9000 80
case_run "compress: into memory" in_memory
case_run "compress: auto, a path of 25 Mbit/s" slow_path
case_run "compress: auto, only observed" observed
case_run "compress: none with --pad" off --pad
case_run "compress: off" off --compress off
case_run "compress: lz4, frames lost, late, repeated, damaged" disturbed lz4 9000
case_run "compress: zstd, the same in small frames" disturbed zstd 1500
case_run "compress: not with --pad" \
	refused '--compress.*--pad' --pad --compress lz4
case_run "compress: no such method" \
	refused 'snappy.*lz4, zstd' --compress snappy
case_run "compress: no such level" \
	refused 'zstd:20.*1..19' --compress zstd:20
cases_end
