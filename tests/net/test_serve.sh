#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   vmm: memory without content --faults--> pagetrim serve <-- image, raw or at rest
#        readers, a balloon                    |  killed, stopped, a second one
#        compare with the raw image          keeper
#
# Guests whose memory comes while they run: no page is ever zero that is not, and the
# guest waits while nobody serves it.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

vmm=$build/tests/net/vmm

# make_image MIB: raw, and x.ptrim of it.
make_image()
{
	python3 "$here/make_image.py" raw --pages $(($1 * 256)) --seed 15 >&2
	"$pagetrim" image pack raw x.ptrim >&2
}

# serve_begin IMAGE [OPTION...]: in the background; sets server.
serve_begin()
{
	"$pagetrim" serve "$1" --uffd-socket door --json "${@:2}" >serve.json 2>>serve.err &
	server=$!
}

# guest_begin [OPTION...]: in the background; sets guest.
guest_begin()
{
	"$vmm" door raw "$@" >guest.out 2>&1 &
	guest=$!
}

# guest_right: it ended, and all it read was right.
guest_right()
{
	finish "$guest" 60
	cat guest.out >&2
	same "the guest's exit" "$status" 0
	grep -q '^right: ' guest.out || die "the guest did not come to its end"
}

served() { jq -r "$1" serve.json; }
has() { grep -q "$1" "$2" 2>/dev/null; }

# no_keeper: it ended, and left no socket.
no_keeper() { [[ ! -e door.keeper ]]; }

# kill_server: as by the kernel's out-of-memory killer.
kill_server() { kill -KILL "$server"; wait "$server" || true; }

whole()
{
	make_image 12
	serve_begin "$1" "${@:3}"
	# shellcheck disable=SC2086 # options
	guest_begin $2
	guest_right
	finish "$server" 20
	same "the server's exit" "$status" 0
	[[ $(served .result) == whole || $(served .result) == vmm-ended ]] ||
		die "result $(served .result)"
	[[ $(served .pages.faults) -gt 0 ]] || die "no fault was answered"
	wait_until 5 no_keeper
	[[ ! -e door ]] || die "the socket is left"
}

# The server goes on to the end while the guest only waits.
filled()
{
	make_image 16
	serve_begin x.ptrim
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	finish "$server" 30
	same "the server's exit" "$status" 0
	same result "$(served .result)" whole
	same "pages to be placed" "$(served .pages.pending)" 0
	wait_until 5 no_keeper
	touch GO
	guest_right
}

killed()
{
	local state=$1 i

	make_image 16
	serve_begin x.ptrim --on-demand
	guest_begin touch=300 remove=20 pause=300 close=1
	wait_until 10 has '^touched' guest.out
	kill_server
	touch GO
	case $state in
	once)	serve_begin x.ptrim ;;
	often)	for ((i = 0; i < 8; i++)); do
			serve_begin x.ptrim --on-demand
			wait_until 10 has "goes on" serve.err
			sleep "0.$((RANDOM % 3))"	# any state of it
			kill_server
			: >serve.err
			is_gone "$guest" && die "the guest ended without memory"
		done
		serve_begin x.ptrim ;;
	raw)	serve_begin raw
		finish "$server" 10
		same "another image's server" "$status" 3
		grep -q 'another image' serve.err || die "does not say why"
		serve_begin x.ptrim ;;
	esac
	guest_right
	finish "$server" 20
	same "the server's exit" "$status" 0
	[[ $(served .servers) -ge 2 ]] || die "$(served .servers) servers"
	wait_until 5 no_keeper
}

# in_fault PID: a thread of it waits in a fault.
in_fault() { grep -qs handle_userfault /proc/"$1"/task/*/wchan; }

interrupted()
{
	make_image 16
	serve_begin x.ptrim --on-demand
	guest_begin touch=100
	wait_until 10 has '^touched' guest.out
	kill -TERM "$server"
	finish "$server" 10
	same "the server's exit" "$status" 1
	touch GO
	wait_until 10 in_fault "$guest"
	serve_begin x.ptrim
	guest_right
	finish "$server" 20
	same "the next server's exit" "$status" 0
}

# Without the keeper's descriptor the kernel releases all faults with zeroes; the
# keeper is there to prevent that.
zeroes_without()
{
	local keeper

	make_image 16
	serve_begin x.ptrim --on-demand
	guest_begin touch=20 close=1
	wait_until 10 has '^touched' guest.out
	keeper=$(pgrep -x pt-keeper) || die "no keeper"
	kill -KILL "$keeper"
	wait_until 10 has 'keeper of the guest' serve.err
	kill_server
	touch GO
	finish "$guest" 30
	same "the guest's exit" "$status" 1
	grep -q '^WRONG: page [0-9]*, zero' guest.out || die "$(<guest.out)"
	rm -f door.keeper
}

second()
{
	local status=0

	make_image 4
	serve_begin x.ptrim --on-demand
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	timeout 10 "$pagetrim" serve x.ptrim --uffd-socket door >out 2>err || status=$?
	same "the second server's exit" "$status" 3
	grep -q "process $server serves this guest already" err || die "$(<err)"
	same lines "$(wc -l <err)" 1
	touch GO
	guest_right
	finish "$server" 20
	same exit "$status" 0
}

ends_vmm()
{
	make_image 4
	serve_begin x.ptrim --on-demand --fault-timeout 1
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	[[ $1 != killed ]] || kill_server
	[[ $1 != stopped ]] || kill -STOP "$server"
	touch GO
	finish "$guest" 20
	same "the guest's exit" "$status" 137
	! has WRONG guest.out || die "$(<guest.out)"
	[[ $1 != stopped ]] || kill -CONT "$server"
	[[ $1 != stopped ]] || finish "$server" 10
	wait_until 5 no_keeper
}

# More threads than events are read at once, all of which fault and give pages away: each
# goes on.  A guest that is served is not ended, though some event is unread at any time.
busy()
{
	make_image 16
	serve_begin x.ptrim --on-demand "${@:2}"
	guest_begin threads=64 churn="$1"
	finish "$guest" 90
	cat guest.out >&2
	same "the guest's exit" "$status" 0
	grep -q "^right: $((64 * $1)) pages" guest.out || die "the guest did not come to its end"
	finish "$server" 20
	same "the server's exit" "$status" 0
	wait_until 5 no_keeper
}

damaged()
{
	make_image 4
	# The middle of the file is in a unit.
	python3 - <<-'END'
		with open("x.ptrim", "r+b") as f:
		    f.seek(0, 2)
		    f.seek(f.tell() // 2)
		    f.write(b"damage!!")
	END
	serve_begin x.ptrim
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	finish "$server" 20
	same "the server's exit" "$status" 5
	[[ $(served .pages.poisoned) -gt 0 ]] || die "no page was poisoned"
	grep -q 'damaged: [0-9]* pages\? from byte' serve.err || die "no page is named"
	touch GO
	guest_right
	grep -q ' [1-9][0-9]* errors' guest.out || die "no memory error"
}

# refused WORD [OPTION...]: of the guest; the server says WORD in its one line.
refused()
{
	make_image 1
	serve_begin x.ptrim
	wait_until 10 has 'waits for a VMM' serve.err
	guest_begin "${@:2}"
	finish "$server" 20
	same "the server's exit" "$status" 4
	grep '^pagetrim serve: ' serve.err >line
	same lines "$(wc -l <line)" 1
	grep -q -e "$1" line || die "$(<line), not '$1'"
	[[ ! -e door && ! -e door.keeper ]] || die "a socket is left"
}

r() { echo "[{\"base_host_virt_addr\": $1, \"size\": $2, \"offset\": $3, \"page_size\": ${4:-4096}}]"; }
two() { echo "$(r "$1" "$2" "$3" | tr -d ']'), $(r "$4" "$5" "$6" | tr -d '[')"; }

ordered()
{
	make_image 16
	chmod 644 x.ptrim
	serve_begin x.ptrim --on-demand
	guest_begin touch=50
	wait_until 10 has '^touched' guest.out
	kill -TERM "$server"
	finish "$server" 10
	kill -KILL "$guest"
	wait_until 5 no_keeper
	[[ -s x.ptrim.order ]] || die "no order was written"
	same "its mode" "$(stat -c %a x.ptrim.order)" "$(stat -c %a x.ptrim)"
	jq -e '.version == 1 and (.order | length) > 5' x.ptrim.order >&2
	# Now the pages of that order come before all others: the guest finds them there.
	serve_begin x.ptrim
	guest_begin touch=1
	wait_until 10 has '^touched' guest.out
	finish "$server" 20
	touch GO
	guest_right
	# The file is a hint.
	echo '{"version": 1, "bytes": 7, "order": []}' >x.ptrim.order
	serve_begin x.ptrim --no-order
	guest_begin
	guest_right
	finish "$server" 20
	! has 'not an order' serve.err || die "--no-order reads it"
	serve_begin x.ptrim
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
	has 'not an order' serve.err || die "a wrong order is not named"
}

large()
{
	local pool=/proc/sys/vm/nr_hugepages before

	only_one /sys/kernel/mm/hugepages
	before=$(<"$pool")
	echo $((before + 16)) >"$pool"
	[[ $(<"$pool") -ge 16 ]] || { echo "$before" >"$pool"; die "no huge pages are free"; }
	whole x.ptrim "huge=1 regions=1 kib=1 $1" || die "large pages"
	echo "$before" >"$pool"
}

case_run "serve: at rest" whole x.ptrim ""
case_run "serve: raw" whole raw ""
case_run "serve: a balloon removes ranges" whole x.ptrim "remove=40 regions=3"
case_run "serve: on demand" whole x.ptrim "remove=10" --on-demand
case_run "serve: in the background" filled
case_run "serve: large pages" large ""
case_run "serve: large pages and a balloon" large "remove=4"
case_run "serve: killed, and the next one goes on" killed once
case_run "serve: killed again and again" killed often
case_run "serve: killed, and another image is refused" killed raw
case_run "serve: interrupted" interrupted
case_run "serve: without a second descriptor zeroes are read" zeroes_without
case_run "serve: a second server is refused" second
case_run "serve: a fault that nobody answers ends the VMM" ends_vmm killed
case_run "serve: a fault that a stopped server holds ends the VMM" ends_vmm stopped
case_run "serve: many threads fault and give pages away" busy 50
case_run "serve: a guest that is never idle is not ended" busy 200 --fault-timeout 1
case_run "serve: damage" damaged
case_run "serve: the recorded order" ordered
case_run "serve: refuses no JSON" refused 'no JSON array' message=x
case_run "serve: refuses an object" refused 'no JSON array' message='{}'
case_run "serve: refuses no region" refused '0 regions' message='[]'
case_run "serve: refuses a key that is no number" refused 'is a number' \
	message='[{"base_host_virt_addr": "0", "size": 4096, "offset": 0}]'
case_run "serve: refuses a negative offset" refused 'is a number' message="$(r 65536 4096 -1)"
case_run "serve: refuses what is behind the image" refused 'behind the image' \
	message="$(r 65536 4096 $((1 << 20)))"
case_run "serve: refuses what is not whole pages" refused 'not whole pages' \
	message="$(r 65537 4096 0)"
case_run "serve: refuses a page size" refused 'page size' message="$(r 65536 4096 0 12288)"
case_run "serve: refuses overlaps" refused 'overlaps' \
	message="$(two 65536 8192 0 69632 8192 8192)"
case_run "serve: refuses overlaps in the image" refused 'overlaps' \
	message="$(two 65536 8192 0 131072 8192 4096)"
case_run "serve: refuses no descriptor" refused 'no descriptor' fds=0
case_run "serve: refuses two descriptors" refused 'more descriptors' fds=2
case_run "serve: refuses seven descriptors" refused 'more descriptors' fds=7
case_run "serve: refuses another descriptor" refused 'no userfaultfd' other=1
cases_end
