# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lib.sh: what the net tests share.  Sourced by each tests/net/test_*.sh:
#
#     source "$(dirname "$0")/lib.sh"
#     the_case() { hosts_up "$net"; ...; }
#     case_run "what must hold" the_case ARG...
#     cases_end
#
# A case runs in a subshell under `set -e`, in a folder of its own ($dir), with
# hosts of its own ($net, for hosts.sh); the first command that fails, fails it.
# Afterwards its processes, hosts and folder are gone.  Each case prints `ok
# NAME` or `not ok NAME`, the latter with all it printed.
#
# Environment: PAGETRIM_BUILD, the build folder (default build); KEEP=1 prints
# what passing cases print, too; ONLY=WORD runs the cases whose name has it;
# PAGETRIM_CASES, a file that names the cases to run, one a line;
# PAGETRIM_PATIENCE=N waits N times as long, for a slow machine.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${PAGETRIM_BUILD:-$root/build}
# Debian's own Python and not another in front of it, which may take ten times as long
# to start.
PATH=/usr/bin:$PATH
# shellcheck disable=SC2034 # used by the tests
here=$root/tests/net pagetrim=$build/pagetrim wire=$build/tests/net/wire
# shellcheck source=scripts/hosts.sh
source "$root/scripts/hosts.sh"
hosts_bpffs

# Network names must be short; every shell has its own.  In a process namespace of its
# own (scripts/isolate.sh) its process ID may be another shell's, too.
net=${PAGETRIM_NET:-t$$}
unset PAGETRIM_NET
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pagetrim-net.XXXXXX")
case_cnt=0 failed_cnt=0
patience=${PAGETRIM_PATIENCE:-1}

cleanup()
{
	nice_as "$own_nice" "$session_nice"
	hosts_down "$net"
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# die TEXT...: the case fails.
die() { echo "failed: $*" >&2; exit 1; }

# show COMMAND...: print it, run it.
show() { echo "+ $*" >&2; "$@"; }

# only_one DIRECTORY: waits until no other process uses what it describes, for as long
# as this case runs.
only_one()
{
	exec {only}<"$1"
	flock -w $((300 * patience)) "$only" || die "$1: others use it"
}

# ---- cases ------------------------------------------------------------------

# What a case makes outside of its folder and hosts.  served: mounts whose file
# system is a process of the case; to thaw them would ask it.
mounts=() served=() litter=()

# on_disk: the case goes on in a folder that is not in memory, as /tmp is in new Debians.
on_disk()
{
	local folder

	[[ $(stat -f -c %T .) == @(tmpfs|ramfs) ]] || return 0
	folder=$(mktemp -d /var/tmp/pagetrim-net.XXXXXX)
	litter+=("$folder")
	cd "$folder"
	[[ $(stat -f -c %T .) != @(tmpfs|ramfs) ]] || die "/var/tmp is in memory, too"
}

# case_end: what a case leaves behind ends here.  Keeps the case's status.
case_end()
{
	local code=$? frozen

	set +e
	trap - EXIT
	# What is frozen would keep processes from ending.
	for frozen in "${mounts[@]}"; do
		fsfreeze -u "$frozen" 2>/dev/null
	done
	# shellcheck disable=SC2046 # pids
	{ kill -KILL $(jobs -p); wait; } 2>/dev/null
	hosts_down "$net" || code=1
	# A call that the filter refuses may fail softly, and must be on its list.
	! grep -hs 'system call .* was refused' ./*.err >&2 || code=1
	[[ $code -eq 0 ]] || evidence >&2
	((${#mounts[@]} + ${#served[@]} == 0)) ||
		umount -l "${mounts[@]}" "${served[@]}"
	rm -rf "$dir" "${litter[@]}"
	exit "$code"
}

# evidence: what pagetrim and the wire said, of a case that failed.
evidence()
{
	local file

	for file in *.json; do
		[[ ! -s $file ]] || echo "$file: $(jq -c . "$file" || cat "$file")"
	done
	for file in *.err; do
		[[ ! -s $file ]] || sed "s/^/$file: /" "$file"
	done
} 2>/dev/null

case_body()
{
	trap case_end EXIT
	trap - INT TERM
	mkdir "$dir"
	cd "$dir"
	"$@"
}

# case_run NAME FUNCTION ARG...
case_run()
{
	local name=$1 log=$tmp/log status started=$SECONDS

	shift
	[[ -z ${ONLY-} || $name == *"$ONLY"* ]] || return 0
	[[ -z ${PAGETRIM_CASES-} ]] ||
		grep -qxF -- "$name" "$PAGETRIM_CASES" || return 0
	case_cnt=$((case_cnt + 1))
	dir=$tmp/case
	set +e
	(set -e; case_body "$@") >"$log" 2>&1
	status=$?
	set -e
	if [[ $status -eq 0 ]]; then
		echo "ok $name ($((SECONDS - started)) s)"
		[[ -z ${KEEP-} ]] || sed 's/^/    /' "$log"
	else
		failed_cnt=$((failed_cnt + 1))
		echo "not ok $name"
		sed 's/^/    /' "$log"
	fi
}

cases_end()
{
	[[ $case_cnt -gt 0 || -n ${ONLY-} ]] || failed_cnt=1
	exit $((failed_cnt > 0))
}

autogroup=/proc/self/autogroup	# of the session; not in every kernel
own_nice=$(nice)
session_nice=$(sed 's/.*nice //' $autogroup 2>/dev/null || true)

# nice_as OWN SESSION: how this shell and its session stand among others, if we may
# say so.
nice_as()
{
	renice -n "$1" -p $BASHPID >/dev/null || true
	[[ -z $session_nice ]] || echo "$2" >$autogroup || true
} 2>/dev/null

# ahead COMMAND...: before all other processes of this machine, for a case that judges
# how fast something is done.
ahead()
{
	nice_as -20 -20
	"$@"
	nice_as "$own_nice" "$session_nice"
}

# ---- conditions -------------------------------------------------------------

# wait_until SECONDS COMMAND...: until it succeeds.
wait_until()
{
	local end=$((SECONDS + $1 * patience))

	shift
	until "$@"; do
		((SECONDS <= end)) || die "never: $*"
		sleep 0.02
	done
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# finish PID SECONDS: wait for that child to end by itself; sets status.
finish()
{
	local end=$((SECONDS + $2 * patience))

	until is_gone "$1"; do
		((SECONDS <= end)) ||
			die "process $1 hangs: still there after $2 s * $patience"
		sleep 0.02
	done
	status=0
	wait "$1" || status=$?
}

# same WHAT GOT WANT
same() { [[ $2 == "$3" ]] || die "$1: $2, want $3"; }

same_file() { cmp "$1" "$2" >&2 || die "$2 differs from $1"; }

# ---- pagetrim in the hosts --------------------------------------------------

# How both ends know each other, options of send and receive: a key, as it
# should be; (--insecure) where a case needs frames or messages in clear.
security=(--psk "$tmp/keys.psk")
[[ ! -x $pagetrim ]] || "$pagetrim" keygen "$tmp/keys.psk" >/dev/null

# image NAME [OPTION...]: the path of an image made once for all cases, see
# make_image.py.
image()
{
	local path=$tmp/image-$1

	shift
	[[ -e $path ]] || "$here/make_image.py" "$path" "$@"
	echo "$path"
}

dev_a() { hosts_dev "$net" a; }
dev_b() { hosts_dev "$net" b; }

# on HOST COMMAND...: print it and run it there.
on() { show hosts_run "$net" "$@"; }

# receive_begin RUN OPTION...: start a receiver in host b, and return when it
# says that it listens, or fail.  Sets receiver; RUN.json and RUN.err get its
# output.
receive_begin()
{
	receive_launch "$@"
	wait_until 60 receive_is_ready "$1"
}

receive_launch()
{
	local run=$1

	shift
	set -- "${security[@]}" "$@"
	echo "+ [b] pagetrim receive --json --dev $(dev_b) $*" >&2
	rm -f "$run.err"	# what the last one said there is not its word
	hosts_exec "$net" b "$pagetrim" receive --json --dev "$(dev_b)" "$@" \
		>"$run.json" 2>"$run.err" &
	receiver=$!
}

# It says so when all is done that it does before a sender comes; its port can be
# connected to before that.
receive_is_ready()
{
	! is_gone "$receiver" || die "receive ended: $(cat "$1.err")"
	says_it_listens "$1"
}

says_it_listens() { grep -qs ' listening on ' "$1.err"; }

# listens HOST PORT
listens() { [[ $(hosts_run "$net" "$1" ss -Hltn "sport = :$2") ]]; }

# gone_from_b: neither the port nor an XDP program is there.  What is searched is
# read whole: a grep -q that ends first would have its writer killed, and the pipe
# fail though there was a match.
gone_from_b()
{
	! listens b 16644 &&
		[[ $(hosts_run "$net" b ip link show "$(dev_b)") != *xdp* ]]
}

# send_begin RUN OPTION...: start a sender in host a.  Sets sender.
send_begin()
{
	local run=$1

	shift
	set -- "${security[@]}" "$@"
	echo "+ [a] pagetrim send --json --dev $(dev_a) $*" >&2
	hosts_exec "$net" a "$pagetrim" send --json --dev "$(dev_a)" "$@" \
		>"$run.json" 2>"$run.err" &
	sender=$!
}

# answers_in_time: by the file `longest` of `peer.py asks`, control's longest answer
# took at most 100 ms, and what this machine's load costs anybody who answers.
answers_in_time()
{
	local answer_ms echo_ms

	read -r answer_ms echo_ms <longest
	echo "longest answer: $answer_ms ms, of an echo $echo_ms ms" >&2
	within "control's longest answer, ms" "$answer_ms" 0 \
		$((100 * patience + 3 * echo_ms))
}

# sent_bytes_of HOST: what left it so far, as its device counts.
sent_bytes_of()
{
	# shellcheck disable=SC2016 # awk's
	hosts_run "$net" "$1" awk -v dev="$(hosts_dev "$net" "$1"):" \
		'$1 == dev { print $10 }' /proc/net/dev
}

sent_bytes() { sent_bytes_of a; }

has_sent() { [[ $(sent_bytes) -ge $1 ]]; }

# ended RUN PID SECONDS EXIT [WORD]: the process ends by itself, so, and if
# EXIT is not 0, with one line on stderr that has WORD (an extended regular
# expression).
ended()
{
	local run=$1 want=$4 word=${5-}

	finish "$2" "$3"
	[[ $status -eq $want ]] ||
		die "$run: exit $status, want $want: $(cat "$run.err")"
	case $want in
	0) ;;
	2) one_error "$run" "$word" '^Try ' ;;
	*) one_error "$run" "$word" ;;
	esac
}

# one_error RUN WORD [HINT]: what it says about its failure is one line with
# WORD in it, and, about wrong usage, a second that matches HINT.  Time-stamped
# log lines may stand before it.
one_error()
{
	local -a lines

	mapfile -t lines < <(grep -v '^[0-9-]*T[0-9:.]*Z ' "$1.err")
	printf '  %s\n' "${lines[@]}" >&2
	[[ ${#lines[@]} -eq $(($# - 1)) && ${lines[0]} == pagetrim* ]] ||
		die "$1: not one line of error"
	[[ -z ${3-} || ${lines[1]} =~ $3 ]] || die "$1: no hint"
	[[ -z $2 ]] || grep -Eqi -- "$2" <<<"${lines[0]}" ||
		die "$1: its error does not say '$2'"
}

# plain_field FILE JQ-PATH: prints an integer, a word or true that stands at a path of
# names in one JSON document with an item a line, as ours are written.  False if the
# path or the value is of another sort: jq knows more, and takes 30 ms to start.
plain_field()
{
	local text='' key path=$2 indent=$'\n'
	local name='^\.([a-z_]+|"[a-z0-9_-]+")'

	IFS= read -rd '' text <"$1" || true
	[[ $text == $'{\n'*$'\n}\n' && $text != *$'\n}\n'?* ]] || return 1
	while [[ $path =~ $name ]]; do
		path=${path#"${BASH_REMATCH[0]}"}
		key=${BASH_REMATCH[1]//\"/}
		text=${text%%"$indent}"*}
		indent+='  '
		[[ $text == *"$indent\"$key\": "* ]] || return 1
		text=${text#*"$indent\"$key\": "}
	done
	text=${text%%$'\n'*}
	[[ ! $path && ${text%,} =~ ^(-?[0-9]{1,15}|true|\"([^\"\\]*)\")$ ]] ||
		return 1
	text=${BASH_REMATCH[1]}
	echo "${text//\"/}"
}

# field RUN JQ-PATH: a value of its JSON.
field()
{
	plain_field "$1.json" "$2" || jq -er "$2" "$1.json" ||
		die "$1.json has no $2: $(cat "$1.json")"
}

# balanced: the ledgers of both ends of the transfer in send.json and
# receive.json add up, by the identities of the design.
balanced()
{
	jq -es 'length == 2 and map(.ledger.unaccounted) == [0, 0] and
		(.[0].frames | type) == "number" and
		.[0].frames == .[1].ledger.sent and
		.[0].ledger == .[1].ledger and (.[1].ledger |
		.sent == .accepted + .missing and
		.received == .accepted + .duplicate + .refused_auth +
			     .refused_record + .refused_window + .refused_unit and
		.records == .placed + .stale and
		.steered == .received + .probes + .socket_dropped)' \
		send.json receive.json >/dev/null ||
		die "ledgers: $(jq -c '{frames, ledger}' send.json receive.json)"
}

# no_loss: nothing was missing, twice, or sent again.
no_loss()
{
	same missing "$(field receive .ledger.missing)" 0
	same duplicate "$(field receive .ledger.duplicate)" 0
	same "dropped at the socket" "$(field receive .ledger.socket_dropped)" 0
}

# on_time COMMAND...: it makes a transfer to copy over a path that loses nothing, in
# which nothing is sent again.  A frame is called missing after 5 ms, and a machine
# that is busy may need longer to carry it from one end of a veth to the other: then
# it comes all the same, late, and the transfer is made once more.  An agent that is
# wrong about what is missing is so each time.
on_time()
{
	for _ in 1 2 3 4 5; do
		rm -rf copy copy.with
		"$@"
		no_loss
		[[ $(field receive .ledger.late) -ne 0 ]] || return 0
	done
	die "late frames in each of five transfers: $(jq .ledger receive.json)"
}

# within WHAT GOT LEAST MOST
within()
{
	[[ $2 -ge $3 && $2 -le $4 ]] || die "$1: $2, want $3 to $4"
}

# as_the_wire_says: missing and duplicate are what the wire in wire.json says
# it dropped, damaged and repeated, and what the sockets dropped after it.
# Exactly, but for frames whose outer headers the wire damaged, which may or may
# not be taken, those that it delayed, which may come when the session has
# ended, and damaged ones among those that the sockets dropped.
as_the_wire_says()
{
	local dropped fewer unsure damaged least

	same "data frames at the wire" "$(field wire .forth.data_in)" \
		"$(field send .frames)"
	dropped=$(field receive .ledger.socket_dropped)
	fewer=$(($(field receive '.ledger.missing - .ledger.duplicate') +
		 $(field wire '.forth.surplus - .forth.vanished')))
	unsure=$(field wire '.forth.doubtful + .forth.delayed')
	damaged=$(field wire '.forth | .cut + ([to_entries[] |
		select(.key | startswith("flip")).value] | add)')
	least=$((damaged < dropped ? dropped - damaged : 0))
	within "frames fewer than went through the wire" "$fewer" \
		"$least" \
		$((dropped + unsure))
	within missing "$(field receive .ledger.missing)" \
		"$(field wire .forth.vanished)" "$(field send .frames)"
	within duplicate "$(field receive .ledger.duplicate)" \
		0 "$(field wire .forth.surplus)"
}

# nothing_attached: no program, pin or process remains.
nothing_attached()
{
	local host dev link

	for host in a b; do
		dev=$(hosts_dev "$net" "$host")
		link=$(hosts_run "$net" "$host" ip -j link show "$dev")
		[[ $link == *"\"ifname\":\"$dev\""* ]] || die "no $dev: $link"
		[[ $link != *'"xdp"'* ]] || die "XDP program on $dev: $link"
		[[ ! -e /sys/fs/bpf/pagetrim/$dev ]] || die "pinned: $dev"
	done
	same "processes left" "$(hosts_pids "$net" | wc -l)" 0
}

# nothing_left: no partial file either.  (A receiver that is killed leaves one,
# for the next to replace.)
nothing_left()
{
	nothing_attached
	same "partial files" \
		"$(find "$dir" -name '*.partial*' -o -name '*.journal*')" ''
}

receive_options=()

# transfer IMAGE SEND-OPTION...: from a to b, one receiver, one sender; what
# arrives is the image, and the ledger balances.  The receiver's options are in
# the array receive_options; ADDR is b's address.
transfer()
{
	local image=$1 addr=${ADDR:-$HOSTS_B4}

	shift
	receive_begin receive --listen "$addr" --out copy \
		"${receive_options[@]}"
	send_begin send --to "$addr" "$@" "$image"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$image" copy
	balanced
}

# shellcheck source=tests/net/lib_meanwhile.sh
source "$here/lib_meanwhile.sh"
