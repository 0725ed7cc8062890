#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#                      AF_XDP TX      XDP program, AF_XDP RX
#
# Memory arrives bit for bit: MTU, queues, mode, address family, trim, size,
# segments, kinds of source and sink.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# plain MTU QUEUES MODE ADDR [SEND-OPTION...]: a lossless path loses nothing.
plain()
{
	local mtu=$1 queues=$2 mode=$3 ADDR=$4
	local -a receive_options=(--queues "$queues") options

	shift 4
	options=(--queues "$queues" "$@")
	if [[ $mode == generic ]]; then
		receive_options+=(--generic)
		options+=(--generic)
	fi
	show hosts_up "$net" --mtu "$mtu" --queues "$queues"
	transfer "$(image even)" "${options[@]}"
	no_loss
	same "lanes" "$(field send '.lanes | length')" "$queues"
	nothing_left
}

# sized BYTES: an image of that size comes back with that size.
sized()
{
	show hosts_up "$net" --mtu 9000
	truncate -s "$1" sized
	[[ $1 -gt 100000000 ]] ||
		head -c "$1" "$(image odd --tail 777 --seed 2)" >sized
	transfer "$PWD/sized"
	same "bytes of the copy" "$(stat -c %s copy)" "$1"
	nothing_left
}

holes_stay()
{
	show hosts_up "$net" --mtu 9000
	truncate -s 200M empty
	transfer "$PWD/empty"
	[[ $(stat -c %b copy) -lt 100 ]] || die "holes were filled"
}

# preallocated SIZE: an image that was allocated before, more or less of it.
preallocated()
{
	local -a receive_options=(--prealloc "$1")

	show hosts_up "$net" --mtu 9000
	transfer "$(image even)"
	nothing_left
}

# No sender connects, and the allocation ends with the receiver.
prealloc_unused()
{
	show hosts_up "$net" --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out copy --prealloc 8M
	same "bytes allocated" "$(stat -c %s copy.partial)" 8388608
	show kill -TERM "$receiver"
	ended receive "$receiver" 10 1
	[[ ! -e copy && ! -e copy.partial ]] || die "something is left"
}

segments()
{
	show hosts_up "$net" --mtu 9000
	head -c 5000001 "$(image even)" >one
	head -c 4096 "$(image odd --tail 777 --seed 2)" >two
	tail -c 3000000 "$(image odd --tail 777 --seed 2)" >three
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" one two three
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	balanced
	jq . copy.with/segments.json >&2
	same "names" "$(jq -c '[.. | .name? // empty]' copy.with/segments.json)" \
		'["one","two","three"]'
	part_is 0 one
	part_is 1 two
	part_is 2 three
	nothing_left
}

# part_is N FILE: segment N of the copy is the file.
part_is()
{
	local off sz

	read -r off sz < <(jq -r "[.. | objects | select(has(\"gfn\"))][$1] |
		\"\\(.offset) \\(.bytes)\"" copy.with/segments.json)
	same "bytes of $2" "$sz" "$(stat -c %s "$2")"
	cmp <(tail -c +$((off + 1)) copy | head -c "$sz") "$2" ||
		die "segment $1 is not $2"
}

with_files()
{
	show hosts_up "$net" --mtu 1500
	echo '{"cpus": 4}' >devices
	head -c 300000 /dev/urandom >state
	: >nothing
	# The size of a file in /proc is told as 0.
	transfer "$(image even)" --with devices --with state --with nothing \
		--with /proc/version
	cmp /proc/version copy.with/version
	cmp devices copy.with/devices
	cmp state copy.with/state
	cmp nothing copy.with/nothing
	nothing_left
}

# A memfd, read through /proc, and a sink in memory.
memfd_to_shm()
{
	local holder sink=/dev/shm/pagetrim-$net

	show hosts_up "$net" --mtu 9000 --queues 2
	python3 -c 'if True:
		import os, sys, time
		fd = os.memfd_create("guest")
		with open(sys.argv[1], "rb") as image:
			os.write(fd, image.read())
		print(f"/proc/{os.getpid()}/fd/{fd}", flush=True)
		time.sleep(600)' "$(image even)" >holder &
	holder=$!
	wait_until 10 test -s holder
	litter=("$sink")
	receive_begin receive --listen "$HOSTS_B4" --out "$sink"
	send_begin send --to "$HOSTS_B4" "$(<holder)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" "$sink"
	kill "$holder"
}

# --pid: the process is stopped while it is read, and then resumes.  It fills
# its memory with a pattern that must arrive.
process()
{
	local pid

	show hosts_up "$net" --mtu 9000
	python3 -c 'if True:
		import time
		pattern = b"".join(b"page %8d|" % i * 292 + b"pagetrim"
				   for i in range(2048))
		print("ready", flush=True)
		while True:
			time.sleep(0.01)' >process &
	pid=$!
	wait_until 10 test -s process
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --pid "$pid"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	balanced
	for i in 0 1 1000 2047; do
		grep -qaF "$(printf 'page %8d|page %8d|' "$i" "$i")" copy ||
			die "page $i of the pattern is not in the copy"
	done
	[[ -s copy.with/segments.json ]] || die "no segments.json"
	! grep -q '^State:.*[Tt]' "/proc/$pid/status" ||
		die "the process is still stopped"
	kill "$pid"
	nothing_left
}

# shared_memory: it is left out if it may be, and the report says how much.
shared_memory()
{
	local pid

	show hosts_up "$net" --mtu 1500
	python3 -c 'import mmap, time
m = mmap.mmap(-1, 1 << 20)
m[:] = b"x" * (1 << 20)
print(flush=True)
time.sleep(1000)' >holder &
	pid=$!
	wait_until 10 test -s holder
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --pid "$pid"
	ended send "$sender" 10 3 '1.0 MiB of shared memory in 1 .*--skip-shared'
	send_begin send --to "$HOSTS_B4" --pid "$pid" --skip-shared
	finish "$sender" 30
	finish "$receiver" 30
	same "bytes left out" "$(jq '."left-out".shared' send.json)" 1048576
	kill "$pid"
	finish "$pid" 15
}

# block_device: a loop device is a source like its file, of the same size.
block_device()
{
	local device

	show hosts_up "$net" --mtu 9000
	"$here/make_image.py" --pages 768 --tail 512 ram >&2
	device=$(losetup --find --show ram)
	# It vanishes with its last descriptor.
	exec 6<"$device"
	losetup --detach "$device"
	"$pagetrim" inspect --json "$device" >seen.json
	same "bytes inspected" "$(jq .total seen.json)" "$(stat -c %s ram)"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$device"
	finish "$sender" 30
	finish "$receiver" 30
	same_file ram copy
	show "$pagetrim" image pack "$device" x.ptrim
	show "$pagetrim" image unpack x.ptrim again
	same_file ram again
}

# protected: memory that was written, and cannot be written any more, is the process's;
# shared memory is not, whatever the protection.
protected()
{
	local pid

	show hosts_up "$net" --mtu 9000
	cat >protected.py <<-'END'
		import ctypes
		import mmap
		import sys
		import time

		SIZE = 1 << 20
		libc = ctypes.CDLL(None, use_errno=True)
		kept = []
		for text, flags, protection in (
		        (b"code of a compiler ", 0x22, 5), (b"a secret kept away ", 0x22, 0),
		        (b"shared with others ", 0x21, 1))[:int(sys.argv[1])]:
		    kept.append(mmap.mmap(-1, SIZE, flags=flags, prot=3))
		    kept[-1][:] = (text * SIZE)[:SIZE]
		    at = ctypes.addressof(ctypes.c_char.from_buffer(kept[-1]))
		    assert libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(SIZE),
		                         protection) == 0
		print("ready", flush=True)
		time.sleep(1000)
	END
	python3 protected.py 2 >holder &
	pid=$!
	wait_until 10 test -s holder
	"$here/process_image.py" take "$pid" memory
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --pid "$pid"
	finish "$sender" 30
	finish "$receiver" 30
	"$here/process_image.py" same memory copy >&2
	for text in 'code of a compiler' 'a secret kept away'; do
		grep -qaF "$text $text" copy || die "$text: not in the copy"
	done
	kill "$pid"
	python3 protected.py 3 >sharer &
	pid=$!
	wait_until 10 test -s sharer
	"$pagetrim" inspect --json --pid "$pid" >seen.json
	same "bytes left out" "$(jq '."left-out".shared' seen.json)" 1048576
	send_begin send --to "$HOSTS_B4" --pid "$pid"
	ended send "$sender" 10 3 '1.0 MiB of shared memory in 1 .*--skip-shared'
	kill "$pid"
}

# private_ram: a file that is mapped privately does not have what is written there.
private_ram()
{
	local pid

	show hosts_up "$net" --mtu 1500
	truncate -s 1M ram
	python3 -c 'import mmap, time
ram = open("ram", "r+b")
m = mmap.mmap(ram.fileno(), 0, access=mmap.ACCESS_COPY)
m[:65536] = b"x" * 65536
print(flush=True)
time.sleep(1000)' >holder &
	pid=$!
	wait_until 10 test -s holder
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" ram
	finish "$sender" 30
	finish "$receiver" 30
	grep -q "process $pid has mapped ram privately, and 64.0 KiB" send.err ||
		die "not a word: $(cat send.err)"
	kill "$pid"
	finish "$pid" 15
}

# mappings: a process with thousands of them, one page each, with little data:
# frames hold pages of many, and all of them arrive.
mappings()
{
	local pid frames

	show hosts_up "$net" --mtu 9000 --queues 2
	python3 - pages <<-'END' >process &
		import ctypes
		import sys
		import time

		PAGE, CNT, READ, WRITE, PRIVATE = 4096, 2000, 1, 3, 0x22
		libc = ctypes.CDLL(None, use_errno=True)
		libc.mmap.restype = ctypes.c_void_p
		libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + \
		    3 * [ctypes.c_int] + [ctypes.c_long]
		libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t,
		                          ctypes.c_int]
		at = libc.mmap(None, 2 * CNT * PAGE, READ, PRIVATE, -1, 0)
		with open(sys.argv[1], "wb") as out:
		    for i in range(CNT):
		        page = at + 2 * i * PAGE
		        assert libc.mprotect(page, PAGE, WRITE) == 0
		        text = b"mapping %8d" % i
		        ctypes.memmove(page, text, len(text))
		        out.write(text.ljust(PAGE, b"\0"))
		print("ready", flush=True)
		while True:
		    time.sleep(0.01)
	END
	pid=$!
	wait_until 10 test -s process
	receive_begin receive --listen "$HOSTS_B4" --queues 2 --out copy
	send_begin send --to "$HOSTS_B4" --queues 2 --pid "$pid" --trim ends
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	kill "$pid"
	balanced
	frames=$(field send .frames)
	((frames < 2000)) || die "$frames frames for 2000 small pages"
	python3 -c 'if True:
		import sys
		pages, copy = (open(path, "rb").read() for path in sys.argv[1:])
		sys.exit(pages not in copy)' pages copy ||
		die "its pages are nowhere in the copy"
	nothing_left
}

for mtu in 1280 1500 3506 9000 65535; do
	for mode in native generic; do
		case_run "transfer: MTU $mtu, $mode" \
			plain "$mtu" 1 "$mode" "$HOSTS_B4"
	done
	case_run "transfer: MTU $mtu, IPv6, 2 queues" \
		plain "$mtu" 2 native "$HOSTS_B6"
done
for mtu in 1500 9000 65535; do
	case_run "transfer: MTU $mtu, 4 queues" \
		plain "$mtu" 4 native "$HOSTS_B4"
done
case_run "transfer: 4 lanes on one queue, generic" \
	plain 9000 4 generic "$HOSTS_B4"
for trim in none ends blocks; do
	case_run "transfer: --trim $trim" \
		plain 9000 1 native "$HOSTS_B4" --trim "$trim"
done
for sz in 1 4095 4096 4097 2097152 2097153 9999999; do
	case_run "transfer: $sz bytes" sized "$sz"
done
case_run "transfer: holes stay holes" holes_stay
for sz in 1M 100M; do
	case_run "transfer: --prealloc $sz" preallocated "$sz"
done
case_run "transfer: --prealloc, and nobody comes" prealloc_unused
case_run "transfer: three segments" segments
case_run "transfer: --with files" with_files
case_run "transfer: memfd to /dev/shm" memfd_to_shm
case_run "transfer: --pid" process
case_run "transfer: --pid, 2000 mappings" mappings
case_run "transfer: --pid, shared memory" shared_memory
case_run "transfer: --pid, memory that cannot be written any more" protected
case_run "transfer: a block device" block_device
case_run "transfer: a file that is mapped privately" private_ram
cases_end
