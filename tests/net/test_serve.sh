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
	: >guest.out	# what the last one said is not this one's word
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

# no_keeper: it ended, and left nothing.
no_keeper() { [[ ! -e door && ! -e door.keeper && ! -e door.lock ]]; }

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
	# In the background all may be there before the guest reads.
	[[ ${3-} != --on-demand || $(served .pages.faults) -gt 0 ]] ||
		die "no fault was answered"
	wait_until 5 no_keeper
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

# ---- killed at each step ----

# A row of a step at which the server is killed.  'anew': it let no VMM in; 'on': the
# next one goes on; 'end': none is needed.  'sent': it is killed once the VMM has sent
# its message, which the keeper alone has taken.  Options.
declare -A step_rows=(
	[OPENED]="anew" [LOCKED]="anew" [BOUND]="anew"
	[KEPT]="on sent" [WAITS]="on sent"
	[HANDED]="on" [JUDGED]="on" [BEGUN]="on" [SERVES]="on"
	[FAULT]="on --on-demand" [REMOVAL]="on --on-demand" [ANSWERED]="on --on-demand"
	[FILLED]="on" [WHOLE]="on" [RELEASED]="on"
	[TOLD]="end"
)
steps=$(sed -n 's/^\tX(\([A-Z]*\),.*/\1/p' "$root/user/lazy/step.h")

# at_step STEP COMMAND [OPTION...]: a server that runs COMMAND there; sets server.
at_step()
{
	local value

	value=$(grep -nx "$1" <<<"$steps" | cut -d: -f1)
	"$build/tests/net/at_entry" pt_lazy_enter $((value - 1)) "$2" \
		"$pagetrim" serve x.ptrim --uffd-socket door "${@:3}" 2>>serve.err &
	server=$!
}

# The VMM has closed its own descriptor: a moment without another one would show.
killed_at()
{
	local kill="kill -KILL \$TARGET" row
	# shellcheck disable=SC2206 # words
	row=(${step_rows[$1]-}) || true

	((${#row[@]})) || die "no row for $1"
	[[ ${row[1]-} != sent ]] ||
		kill="until grep -q ^sent guest.out; do sleep 0.01; done; $kill"
	make_image 16
	touch GO
	: >guest.out
	if [[ ${row[1]-} == --* ]]; then
		at_step "$1" "$kill" "${row[@]:1}"
	else
		at_step "$1" "$kill"
	fi
	guest_begin close=1 remove=20 touch=10 pause=100
	finish "$server" 30
	same "the server's exit" "$status" 137
	[[ -e entered ]] || die "it was not there"
	if [[ ${row[0]} != end ]]; then
		serve_begin x.ptrim
		guest_right
		finish "$server" 20
		same "the next server's exit" "$status" 0
		[[ ${row[0]} == anew ]] || grep -Eq 'goes on|hands over' serve.err
		[[ ${row[0]} != anew ]] || same servers "$(served .servers)" 1
	else
		guest_right
	fi
	wait_until 5 no_keeper
}

# confined KEEPER SERVER [OPTION]: the seccomp modes of both.
confined()
{
	make_image 1
	serve_begin x.ptrim "${@:3}"
	wait_until 10 has 'waits for a VMM' serve.err
	same "the keeper's" "$(field_of Seccomp "$(pgrep -x pt-keeper)")" "$1"
	same "the server's" "$(field_of Seccomp "$server")" "$2"
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
}

# field_of NAME PID: of /proc/PID/status.
field_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status"; }

# Killed before a VMM came: the keeper ends, too.
killed_alone()
{
	make_image 4
	at_step WAITS "kill -KILL \$TARGET"
	finish "$server" 10
	wait_until 5 no_keeper
	[[ -z $(pgrep -x pt-keeper) ]] || die "a keeper is left"
}

# A VMM that connected, and sends once the server is dead.
sends_late()
{
	make_image 4
	serve_begin x.ptrim
	wait_until 10 has 'waits for a VMM' serve.err
	mkfifo send
	: >guest.out
	"$vmm" door raw close=1 hold=send >guest.out 2>&1 &
	guest=$!
	wait_until 10 has '^connected' guest.out
	kill_server
	wait_until 10 stands
	echo >send
	wait_until 10 in_fault "$guest"
	serve_begin x.ptrim
	guest_right
	finish "$server" 20
	same exit "$status" 0
	wait_until 5 no_keeper
}

# stands: the keeper lets nobody else in.
stands()
{
	python3 -c '
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect("door")
except ConnectionRefusedError:
    sys.exit(0)
sys.exit(1)'
}

# ---- doors and other servers ----

# A server that waits for its VMM is not disturbed by a second one.
second_waits()
{
	local status=0

	make_image 4
	serve_begin x.ptrim
	wait_until 10 has 'waits for a VMM' serve.err
	timeout 10 "$pagetrim" serve x.ptrim --uffd-socket door >out 2>err || status=$?
	same "the second server's exit" "$status" 3
	grep -q "process $server serves this guest already" err || die "$(<err)"
	same lines "$(wc -l <err)" 1
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
	same servers "$(served .servers)" 1
}

# Without a keeper the lock tells a second server.
second_locked()
{
	local status=0

	make_image 4
	serve_begin x.ptrim --on-demand
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	kill -KILL "$(pgrep -x pt-keeper)"
	wait_until 10 has 'keeper of the guest' serve.err
	timeout 20 "$pagetrim" serve x.ptrim --uffd-socket door >out 2>err || status=$?
	same "the second server's exit" "$status" 3
	grep -q "another process serves there" err || die "$(<err)"
	same lines "$(wc -l <err)" 1
	touch GO
	guest_right
	finish "$server" 20
	same exit "$status" 0
}

# connect SECONDS: to the door, without a message.
connect()
{
	python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect("door")
time.sleep(float(sys.argv[1]))' "$1"
}

nothing_sent()
{
	make_image 4
	serve_begin x.ptrim
	wait_until 10 has 'waits for a VMM' serve.err
	if [[ $1 == silent ]]; then
		connect 1000 &
		wait_until 30 has 'sent no message' serve.err
	else
		for _ in 1 2 3; do connect 0; done
	fi
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
	same warnings "$(grep -c 'sent no message' serve.err)" 1
}

# One ends by a signal or kill, and the next one begins at once.
one_after_another()
{
	make_image 1
	for _ in {1..12}; do
		: >serve.err
		serve_begin x.ptrim
		wait_until 10 has 'waits for a VMM' serve.err
		kill -"$1" "$server"
		wait "$server" || true
	done
	serve_begin x.ptrim
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
	wait_until 5 no_keeper
}

# Its owner is about to end.
lock_awaited()
{
	make_image 1
	flock door.lock sleep 0.5 &
	wait_until 10 test -e door.lock
	serve_begin x.ptrim
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
}

# The keeper leaves this folder, whose path no socket's name could have.
long_folder()
{
	local folder

	folder=$(printf 'folder-of-a-long-name-%.0s' {1..8})
	mkdir "$folder"
	cd "$folder"
	whole x.ptrim ""
}

# no_door WORD PATH: it ends before a VMM could come.
no_door()
{
	local status=0

	make_image 1
	timeout 10 "$pagetrim" serve x.ptrim --uffd-socket "$2" >out 2>err || status=$?
	same exit "$status" 3
	same lines "$(wc -l <err)" 1
	grep -q -e "$1" err || die "$(<err)"
	[[ ! -e $2 && ! -e $2.lock ]] || die "something is left"
}

keeper_taken()
{
	echo mine >door.keeper
	no_door 'cannot listen' door
	same "the file" "$(<door.keeper)" mine
}

keeper_ended()
{
	make_image 1
	serve_begin x.ptrim
	wait_until 10 has 'waits for a VMM' serve.err
	kill -KILL "$(pgrep -x pt-keeper)"
	finish "$server" 10
	same exit "$status" 3
	grep '^pagetrim serve: ' serve.err >line
	grep -q 'keeper .* was ended' line || die "$(<line)"
	serve_begin x.ptrim
	guest_begin
	guest_right
	finish "$server" 20
	same exit "$status" 0
}

# ---- whose memory it is ----

# The process that connects may end: the memory is another's.
launched()
{
	make_image 16
	serve_begin x.ptrim --on-demand
	guest_begin launcher=1 close=1 touch=20 pause=100
	wait_until 10 has '^touched' guest.out
	has 'whether another .*maps' serve.err || die "no warning"
	kill_server
	touch GO
	wait_until 10 in_fault "$guest"
	serve_begin x.ptrim --on-demand --fault-timeout 5
	finish "$server" 10
	same "exit with a timeout" "$status" 3
	has 'could not be ended' serve.err || die "does not say why"
	serve_begin x.ptrim
	guest_right
	finish "$server" 20
	same exit "$status" 0
	wait_until 5 no_keeper
	# Its end is seen without the process that connected.
	rm GO
	serve_begin x.ptrim --on-demand
	guest_begin launcher=1 touch=20
	wait_until 10 has '^touched' guest.out
	kill -KILL "$guest"
	finish "$server" 10
	same "exit at its end" "$status" 0
	same result "$(served .result)" vmm-ended
	wait_until 5 no_keeper
	# Without a server, too.
	serve_begin x.ptrim --on-demand
	guest_begin launcher=1 touch=20
	wait_until 10 has '^touched' guest.out
	kill_server
	kill -KILL "$guest"
	wait_until 5 no_keeper
}

# A command that cannot go on with the guest leaves its keeper, which holds the last
# descriptor, alone.
other_command()
{
	local status=0

	make_image 16
	serve_begin x.ptrim --on-demand
	guest_begin close=1 touch=20
	wait_until 10 has '^touched' guest.out
	kill_server
	timeout 20 "$pagetrim" receive --insecure --dev lo --listen 127.0.0.1 \
		--qmp door --serve-faults >other.out 2>other.err || status=$?
	cat other.err >&2
	same "exit of another command" "$status" 3
	touch GO
	serve_begin x.ptrim
	guest_right
	finish "$server" 20
	same exit "$status" 0
	wait_until 5 no_keeper
}

# as_nobody COMMAND...: it may not end root's processes.
as_nobody()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all \
		--inh-caps=-all "$@"
}

# The right to end the VMM is asked for at the start; the guest is not lost by that.
may_not_end()
{
	make_image 4
	mkdir open
	chmod 777 open
	chmod 755 "$tmp" "$dir"
	chmod 644 x.ptrim
	as_nobody "$pagetrim" serve x.ptrim --uffd-socket open/door --no-order \
		--fault-timeout 5 2>serve.err &
	server=$!
	: >guest.out
	"$vmm" open/door raw close=1 >guest.out 2>&1 &
	guest=$!
	finish "$server" 10
	same exit "$status" 3
	grep '^pagetrim serve: ' serve.err >line
	grep -q 'could not be ended: Operation not permitted' line || die "$(<line)"
	wait_until 10 in_fault "$guest"
	as_nobody "$pagetrim" serve x.ptrim --uffd-socket open/door --no-order \
		2>>serve.err &
	server=$!
	guest_right
	finish "$server" 20
	same "the next server's exit" "$status" 0
}

# A next server's timeout holds.
told_later()
{
	make_image 4
	serve_begin x.ptrim --on-demand
	guest_begin touch=10 close=1
	wait_until 10 has '^touched' guest.out
	kill_server
	serve_begin x.ptrim --on-demand --fault-timeout 1
	wait_until 10 has 'goes on' serve.err
	kill_server
	touch GO
	finish "$guest" 20
	same "the guest's exit" "$status" 137
	wait_until 5 no_keeper
}

# Nobody serves a VMM that was refused, and it waits all the same: never zeroes.
refused_waits()
{
	make_image 1
	serve_begin x.ptrim
	guest_begin message=x go=1 close=1
	finish "$server" 10
	same exit "$status" 4
	no_keeper || die "something is left"
	wait_until 10 in_fault "$guest"
	kill -KILL "$guest"
	wait "$guest" || true
	wait_until 5 no_process pt-keeper
}

no_process() { [[ -z $(pgrep -x "$1") ]]; }

unnamed_removals()
{
	make_image 1
	serve_begin x.ptrim
	guest_begin "$@"
	guest_right
	finish "$server" 20
	same exit "$status" 0
	same warnings "$(grep -c UFFD_FEATURE_EVENT_REMOVE serve.err)" $(($# == 0))
}

# ---- keepers that are not ours ----

# fake_keeper PROGRAM...: at fake.keeper, with the record of a true one, and /dev/null
# for its userfaultfd.
fake_keeper()
{
	"$@" -c '
import array, os, socket
kept = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
here = guest = None
if os.path.exists("door.keeper"):
    kept.connect("door.keeper")
    here, fds, _, _ = socket.recv_fds(kept, 4096, 8)
    guest, _, _, _ = socket.recv_fds(kept, 4096, 8)
at = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
at.bind("fake.keeper")
at.listen(1)
one, _ = at.accept()
if here:
    null = os.open("/dev/null", os.O_RDWR)
    socket.send_fds(one, [here], fds[:2])
    socket.send_fds(one, [guest], [null, null])
one.recv(100)' &
	wait_until 10 test -e fake.keeper
}

# not_trusted WORD
not_trusted()
{
	local status=0

	timeout 10 "$pagetrim" serve x.ptrim --uffd-socket fake >out 2>err || status=$?
	same exit "$status" 3
	grep -q -e "$1" err || die "$(<err)"
	same lines "$(wc -l <err)" 1
}

another_users_keeper()
{
	make_image 1
	chmod 777 .
	fake_keeper as_nobody python3
	not_trusted "another user's guest"
}

other_descriptor()
{
	make_image 1
	serve_begin x.ptrim --on-demand
	guest_begin touch=10
	wait_until 10 has '^touched' guest.out
	kill_server
	fake_keeper python3
	not_trusted 'no userfaultfd'
	kill -KILL "$guest"
}

# ---- fault timeouts ----

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
	no_keeper || die "something is left"
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
for step in $steps; do
	case_run "serve: killed at $step" killed_at "$step"
done
case_run "serve: keeper and server may make few system calls" confined 2 2
case_run "serve: --no-seccomp" confined 0 0 --no-seccomp
case_run "serve: killed before a VMM came" killed_alone
case_run "serve: killed while a VMM is about to send" sends_late
case_run "serve: a second server is refused" second
case_run "serve: a second server is refused while the first one waits" second_waits
case_run "serve: a second server is refused without a keeper" second_locked
case_run "serve: connections without a message" nothing_sent closed
case_run "serve: a silent connection" nothing_sent silent
case_run "serve: one after another, interrupted" one_after_another TERM
case_run "serve: one after another, killed" one_after_another KILL
case_run "serve: a lock that is free soon" lock_awaited
case_run "serve: a folder of a long path" long_folder
case_run "serve: a path that is too long for the keeper's" no_door 'longer than a socket' \
	"$(printf 'd%.0s' {1..104})"
case_run "serve: the keeper's name is taken" keeper_taken
case_run "serve: the keeper is killed before a VMM came" keeper_ended
case_run "serve: the process that connects ends" launched
case_run "serve: another command asks for its keeper" other_command
case_run "serve: a fault timeout without the right to it" may_not_end
case_run "serve: a fault timeout that the next server has" told_later
case_run "serve: another user's keeper" another_users_keeper
case_run "serve: a keeper's descriptor that is none" other_descriptor
case_run "serve: a VMM that is refused waits" refused_waits
case_run "serve: without events of removals" unnamed_removals
case_run "serve: with events of removals" unnamed_removals remove=4
case_run "serve: memory of a memfd" whole x.ptrim "shared=1 remove=4"
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
case_run "serve: refuses events of children" refused 'EVENT_FORK' forks=1
case_run "serve: refuses memory that another process maps" refused 'mapped by process' \
	shared=1 mapper=1
case_run "serve: refuses memory that is mapped twice" refused 'a second time' \
	shared=1 mapper=2
cases_end
