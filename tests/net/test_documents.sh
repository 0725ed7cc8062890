#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   --help     docs/man/*.8     completion     what it prints     headers
#      \___________|__________________|_______________|______________/
#                         say the same, both ways
#
# Options with their values, ranges and defaults; commands; exit codes; JSON
# keys of real runs; counters and ledger with their meanings.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

man=$root/docs/man
headers=$root/include/pagetrim
# The commands, by the list that they are made of.
mapfile -t commands < <(sed -nE 's/^\tX\(([a-z]+), ".*/\1/p' \
	"$root/user/cli/commands.h")

# ---- what each of them says -------------------------------------------------

page() { echo "$man/pagetrim${1:+-$1}.8"; }

# section PAGE TITLE: prints its lines, up to the next section of its rank.
section()
{
	local lines

	lines=$(awk -v title="$2" '/^\.Sh / { in_it = $0 == ".Sh " title; next }
		in_it' "$(page "$1")")
	[[ -n $lines ]] || die "$(page "$1"): no section $2"
	echo "$lines"
}

# first_part: prints the part of a section on stdin before its first subsection.
first_part() { sed '/^\.Ss /,$d'; }

help_options()
{
	"$pagetrim" "$1" --help | sed -nE \
		's/^(      |  -h, )(--[a-z-]+(\[=[A-Z]+\]| [A-Z][][A-Z:]*)?)( .*)?$/\2/p'
}

# The options as the reader sees them: `.It Fl -to Ar HOST Ns Op : Ns Ar PORT`
# is `--to HOST[:PORT]`.
page_options()
{
	section "$1" OPTIONS | sed -nE 's/^\.It Fl (h , )?-/--/p' |
		sed -E 's/ Ns Op ([:=]) Ns Ar ([A-Z]+)/[\1\2]/; s/ Ar / /'
}

# The offers of completion after a line such as `pagetrim COMMAND -`, called as
# bash would.
completed()
{
	local COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY

	_pagetrim "$pagetrim"
	printf '%s\n' "${COMPREPLY[@]}"
}

# facts: prints ranges and default numbers of options, from `--OPTION TEXT...`
# lines on stdin.
facts()
{
	awk '{
		text = $0
		while (match(text, /[0-9]+\.\.[0-9]+|default:? [0-9]+/)) {
			print $1, substr(text, RSTART, RLENGTH)
			text = substr(text, RSTART + RLENGTH)
		}
	}' | sort
}

# numbers: the same, with every number.
numbers()
{
	awk '{
		option = $1
		$1 = ""
		gsub(/pagetrim[a-z-]*\(8\)/, "")
		gsub(/[^0-9]+/, " ")
		for (i = 1; i <= NF; i++)
			print option, $i
	}' | sort -u
}

# One line per option: `--OPTION TEXT...`.
help_texts()
{
	"$pagetrim" "$1" --help | awk '
		/^(      |  -h, )--/ { sub(/^ +(-h, )?/, ""); printf "\n%s", $0; next }
		/^[^ ]/ { print ""; next }
		{ sub(/^ +/, " "); printf "%s", $0 }' | sed -nE \
		's/^(--[a-z-]+)(\[=[A-Z]+\])?/\1 /p'
}

page_texts()
{
	section "$1" OPTIONS | awk '
		/^\.It Fl / {
			sub(/^\.It Fl (h , )?-/, "--")
			printf "\n%s", $0
			next
		}
		/^\.(El|Bl|Pp)/ { print ""; next }
		{ sub(/^\.(Ar|Cm|Fl|Pa|Pq) /, ""); printf " %s", $0 }' |
		grep '^--'
}

help_exits()
{
	"$pagetrim" "$@" --help | sed -n '/^Exit:/,/^[^ E]/p' | tr -s '\n ' ' ' |
		grep -oE '[:,] [0-9] [a-z]' | tr -dc '0-9\n'
}

page_exits() { section "$1" "EXIT STATUS" | sed -nE 's/^\.It ([0-9])$/\1/p'; }

# items: prints `NAME MEANING` of a list on stdin, the meaning up to its first
# full stop.
items()
{
	awk '/^\.It Va / { name = $3; want = 1; next }
	     want { sub(/\.$/, ""); print name, $0; want = 0 }'
}

# page_keys PAGE SECTION: prints the keys that it documents.
page_keys()
{
	section "$1" "$2" | sed -nE 's/^\.It Va //p' | sed 's/ , /\n/g' |
		sort -u
}

# keys FILE...: prints the keys of JSON objects, as the pages write them.
keys()
{
	jq -r 'paths | map(strings) | select(length > 0) | join(".")' "$@" |
		sort -u
}

# ---- cases ------------------------------------------------------------------

# alike WHAT ONE OTHER: two lists are the same, lines in any order.
alike()
{
	local one other

	one=$(sort <<<"$2") other=$(sort <<<"$3")
	[[ -n $2$3 || $1 == completion* ]] ||
		die "$1: nothing was found to compare"
	[[ $one == "$other" ]] ||
		die "$1 (< is the first):" $'\n'"$(diff <(cat <<<"$one") \
			<(cat <<<"$other"))"
}

same_commands()
{
	local want page_commands command

	want=$(sed -nE 's/^\tX\(([a-z]+), "(.*)"\).*/\1 \2/p' \
		"$root/user/cli/commands.h")
	alike "commands, commands.h and --help" "$want" \
		"$("$pagetrim" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) +/\1 /p')"
	page_commands=$(awk '/^\.It Cm / { name = $3; getline
			sub(/:$/, ""); print name, $0 }' "$(page '')")
	alike "commands, commands.h and pagetrim.8" "$want" "$page_commands"
	alike "commands, commands.h and the pages" \
		"$(printf '%s\n' "${commands[@]}")" \
		"$(cd "$man" && printf '%s\n' pagetrim-*.8 |
			sed 's/^pagetrim-//; s/\.8$//')"
	alike "commands, commands.h and completion" \
		"$(printf '%s\n' "${commands[@]}" help --help --version)" \
		"$(completed 'pagetrim ')"
	for command in "${commands[@]}"; do
		grep -q "^\.Xr pagetrim-$command 8" "$(page '')" ||
			die "pagetrim.8 does not refer to pagetrim-$command(8)"
	done
}

same_options()
{
	local help

	help=$(help_options "$1")
	alike "options, --help and pagetrim-$1.8" "$help" "$(page_options "$1")"
	alike "options, --help and completion" "${help//[[ ]*([^$'\n'])/}" \
		"$(completed "pagetrim $1 -")"
	help=$(help_texts "$1")
	alike "options of $1 with a text" "$(help_options "$1" |
		sed 's/[[ ].*//')" "$(cut -d' ' -f1 <<<"$help")"
	same "ranges and defaults of pagetrim-$1.8" \
		"$(page_texts "$1" | facts)" "$(facts <<<"$help")"
	same "numbers of --help that pagetrim-$1.8 lacks" \
		"$(comm -23 <(numbers <<<"$help") \
			<(page_texts "$1" | numbers))" ''
}

# completes LINE WORD...: these alone are offered.
completes()
{
	local line=$1

	shift
	alike "completion of '$line'" "$(printf '%s\n' "$@")" \
		"$(completed "$line")"
}

completed_values()
{
	touch a-file
	completes "pagetrim rec" receive
	completes "pagetrim send --trim " none ends blocks
	completes "pagetrim send --trim=e" ends
	completes "pagetrim send --hugepages o" off on
	completes "pagetrim receive --queues " auto
	completes "pagetrim inspect --mtu 1" 1500
	completes "pagetrim send --mtu 1" 1280 1500
	completes "pagetrim send --pid $$" $$
	completes "pagetrim stats --watch=1" 1 10
	completes "pagetrim stats --watch --js" --json
	completes "pagetrim attach --dev=l" lo
	completes "pagetrim doctor --dev l" lo
	completes "pagetrim receive --dev lo --listen 127" 127.0.0.1
	completes "pagetrim send --psk a-" a-file
	completes "pagetrim keygen a-" a-file
	completes "pagetrim image v" verify
	completes "pagetrim ctl set m" max-bandwidth
	completes "pagetrim ctl p" pause
	completes "pagetrim ctl set max-bandwidth " auto
	completes "pagetrim send --cipher aes-128-gcm --ciph" --cipher
	completes "pagetrim send --trim=ends --tri" ''	# once is enough
	completes "pagetrim send --trim ends --tri" ''
	completes "pagetrim send --name " ''
	completes "pagetrim bogus -" ''
}

same_exits()
{
	local command

	alike "exit codes, error.h and pagetrim.8" \
		"$(sed -nE 's/^\tPT_EXIT_[A-Z]+[ \t]*= ([0-9]+),.*/\1/p' \
			"$headers/error.h")" "$(page_exits '')"
	alike "exit codes, --help and pagetrim.8" "$(help_exits)" \
		"$(page_exits '')"
	for command in "${commands[@]}"; do
		alike "exit codes, $command --help and its page" \
			"$(help_exits "$command")" "$(page_exits "$command")"
	done
}

# Examples work as printed: none lacks keys, and none has --insecure.
examples_are_safe()
{
	local example examples

	examples=$({
		sed -n 's/^\.Dl //p' "$man"/*.8
		for command in "${commands[@]}"; do
			"$pagetrim" "$command" --help | sed -n 's/^Example: //p'
		done
		sed -n 's/^    \(pagetrim .*\)/\1/p' "$root/README.md"
	} | grep -E '^pagetrim (send|receive) ' | grep -v -e ' --json ')
	[[ $(wc -l <<<"$examples") -ge 12 ]] || die "too few: $examples"
	while read -r example; do
		[[ $example =~ \ --(psk|tls-cert)\  ]] ||
			die "an example without keys: $example"
	done <<<"$examples"
}

# said STATUS COMMAND...: pagetrim exits so; fills out and err.
said()
{
	local want=$1 status=0

	shift
	timeout 10 "$pagetrim" "$@" >out 2>err || status=$?
	[[ $status -eq $want ]] || die "pagetrim $*: exit $status, want $want"
}

help_is_asked_for()
{
	local option

	for option in --help -h; do
		said 0 "$@" "$option"
		[[ -s out ]] || die "$* $option: no help on stdout"
		[[ ! -s err ]] || die "$* $option: stderr has $(<err)"
		[[ $(wc -L <out) -le 80 ]] ||
			die "$* $option: more than 80 columns"
	done
}

# complains COMMAND WORD ARGUMENT...: wrong usage gives two lines, one with
# WORD, one with a reference to help.
complains()
{
	local -a lines
	local command=$1 word=$2

	shift 2
	said 2 "$command" "$@"
	mapfile -t lines <err
	printf '  %s\n' "$command $*:" "${lines[@]}" >&2
	[[ ! -s out ]] || die "$command $*: stdout has $(<out)"
	[[ ${#lines[@]} -eq 2 ]] ||
		die "$command $*: ${#lines[@]} lines on stderr, not 2"
	[[ ${lines[0]} == "pagetrim $command: "*"$word"* ]] ||
		die "$command $*: its complaint does not say '$word'"
	[[ ${lines[1]} == "Try 'pagetrim $command --help'." ]] ||
		die "$command $*: does not tell where to find help"
}

wrong_option()
{
	local option

	complains "$1" --bogus --bogus
	complains "$1" x -x
	for option in $(help_options "$1" | sed -n 's/ .*//p'); do
		complains "$1" "$option" "$option"	# without its value
	done
}

wrong_command()
{
	local status=0 word

	"$pagetrim" bogus >out 2>err || status=$?
	same "exit status" "$status" 2
	[[ ! -s out && $(wc -l <err) -eq 1 ]] || die "not one line: $(<err)"
	grep -q "bogus.*--help" err || die "no hint: $(<err)"
	said 0 --version
	[[ $(<out) == pagetrim\ [0-9]* ]] || die "--version: $(<out)"
	mv out version
	for word in -V version; do
		said 0 "$word"
		cmp out version || die "$word: $(<out)"
	done
	said 0 send --help
	mv out help
	said 0 help send
	cmp out help || die "help send: $(<out)"
}

pages_are_clean()
{
	local page

	hash mandoc || die "no mandoc (run scripts/deps.sh)"
	for page in "$man"/*.[58]; do
		mandoc -Tlint -Wwarning "$page" ||
			die "$page: mandoc complains"
		grep -qxF ".Dt $(basename "${page%.[58]}" | tr '[:lower:]' \
			'[:upper:]') ${page##*.}" "$page" ||
			die "$page: its title is not its name"
	done
	# A page refers to pages that exist.
	while read -r page; do
		[[ -e $man/$page ]] || die "no page $page"
	done < <(sed -nE 's/^\.Xr (pagetrim[a-z.-]*) ([58]).*/\1.\2/p' \
		"$man"/*.[58] | sort -u)
}

# ---- against real runs ------------------------------------------------------

# same_keys COMMAND KEYS [APART]: APART, a regular expression, names keys of the page that
# another test has.
same_keys()
{
	alike "JSON keys, pagetrim $1 --json and its page" "$2" \
		"$(page_keys "$1" "JSON OUTPUT" | grep -vE "${3-^$}")"
}

inspect_keys()
{
	head -c 100000 /dev/urandom >source
	show "$pagetrim" inspect --json source >out.json
	same_keys inspect "$(keys out.json |
		sed -E 's/^trim\.(none|ends|blocks)\./trim.*./
			s/^compress\.(lz4|zstd)\./compress.*./' | sort -u)"
}

image_keys()
{
	head -c 100000 /dev/urandom >source
	show "$pagetrim" image pack source source.ptrim
	show "$pagetrim" image info --json source.ptrim >out.json
	same_keys image "$(keys out.json)"
}

# A dead template, and what get adds, are in it, too.
template_keys()
{
	head -c 100000 /dev/urandom >source
	show "$pagetrim" template put one source --folder "$dir/folder" >&2
	show "$pagetrim" template put two source --with source --folder "$dir/folder" >&2
	"$pagetrim" template get two --json --folder "$dir/folder" >get.json
	kill -KILL "$("$pagetrim" template get one --json --folder "$dir/folder" |
		jq .pid)"
	wait_until 10 eval "\"$pagetrim\" template ls --json --folder \"$dir/folder\" >ls.json;
		grep -q dead ls.json"
	"$pagetrim" template rm two --folder "$dir/folder"
	jq '{files} + {templates: [del(.files)]}' get.json >out.json
	same_keys template "$(keys out.json ls.json | sort -u)"
}

# Findings, too, by the list that they are made of.
doctor_keys()
{
	local -a ids

	show hosts_up "$net"
	on b "$pagetrim" doctor --json --dev "$(dev_b)" >out.json || true
	same_keys doctor "$(keys out.json)"
	mapfile -t ids < <(sed -nE \
		's/^X\([A-Z_]+, "([a-z-]+)", (OK|INFO|WARNING|ERROR).*/\1/p' \
		"$root/user/doctor/finding.def" | sort -u)
	alike "findings, finding.def and pagetrim-doctor.8" \
		"$(printf '%s\n' "${ids[@]}")" "$(page_keys doctor FINDINGS)"
}

# same_stages RUN LIST: the stages of a command's list, its page and its JSON
# are the same, with their meanings.
same_stages()
{
	local want

	want=$(sed -n "/^#define PT_$2_STAGES/,/^\$/p" \
		"$root/user/base/stages.h" |
		sed -nE 's/.*"([a-z]+)", *"([^"]*)".*/\1 \2/p')
	same "stages of stages.h, and pagetrim-$1.8" "$want" \
		"$(section "$1" PROFILE | items)"
	alike "stages of stages.h, and $1 --json" "${want// *([^$'\n'])/}" \
		"$(jq -r '.profile.stages | keys[]' "$1.json")"
	alike "keys of a stage" $'time\nbytes' \
		"$(jq -r '.profile.stages[] | keys[]' "$1.json" | sort -u)"
}

# knows_all: no figure of the status is unknown any more.
knows_all()
{
	"$pagetrim" ctl status --json --control control >status.json &&
		jq -e '.bandwidth and ."setup-time" and ."path-rtt" and
			."path-rate"' status.json
}

# One that is committed, one that is cancelled while it runs, one that never
# connects. `ledger` has its own section.
transfer_keys()
{
	local ledger

	show hosts_up "$net" --mtu 9000
	echo state >devices
	head -c 5000 /dev/urandom >second
	truncate -s 8192 damaged	# its second page could not be read
	mkdir damaged.with
	echo '{ "version": 1, "bytes": 8192,
		"unreadable": [ { "offset": 4096, "bytes": 4096 } ] }' \
		>damaged.with/unreadable.json
	receive_begin receive --listen "$HOSTS_B4" --out copy --profile
	send_begin send --to "$HOSTS_B4" --with devices --profile \
		--on-unreadable mark "$(image small --pages 64)" second damaged
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0

	receive_begin receive2 --listen "$HOSTS_B4" --out copy2
	send_begin send2 --to "$HOSTS_B4" --max-bandwidth 1M --control control \
		"$(image even)"
	wait_until 10 test -e copy2.partial
	wait_until 10 knows_all
	same_keys ctl "$(keys status.json | grep -vE "^(ram|compression)\.")"
	kill -TERM "$sender"
	ended send2 "$sender" 10 1
	ended receive2 "$receiver" 10 4
	send_begin send3 --to "$HOSTS_B4" "$(image even)"
	ended send3 "$sender" 15 4 refused
	same "exit in send3.json" "$(field send3 .exit)" 4
	same "exit in receive2.json" "$(field receive2 .exit)" 4
	same "phase in send3.json" "$(field send3 .phase)" connect

	same_keys send "$(keys send.json send2.json send3.json |
		grep -vE '^ledger\.|stages\.|compression\.methods\.')"
	same_keys receive "$(keys receive.json receive2.json |
		grep -vE '^ledger\.|stages\.')" '^postcopy'
	same_stages send SEND
	same_stages receive RECEIVE
	ledger=$(page_keys '' LEDGER | sed 's/^/ledger./')
	alike "ledger keys, send --json and pagetrim.8" \
		"$(keys send.json | grep '^ledger\.')" "$ledger"
	alike "ledger keys, receive --json and pagetrim.8" \
		"$(keys receive.json | grep '^ledger\.')" "$ledger"
	alike "keys, segments.json and pagetrim-receive.8" \
		"$(keys copy.with/segments.json)" "$(page_keys receive FILES)"
}

has_session()
{
	on b "$pagetrim" stats --json --dev "$(dev_b)" 2>/dev/null |
		jq -e '.sessions[0].pid' >/dev/null
}

# The output of stats during a transfer, for a device with the program attached.
stats_keys()
{
	local counter_names rows pinned prefix

	show hosts_up "$net" --mtu 9000
	pinned=/sys/fs/bpf/pagetrim/$(dev_b)
	on b "$pagetrim" attach --json --dev "$(dev_b)" >attach.json
	same_keys attach "$(keys attach.json)"
	same "path in attach.json" "$(field attach .path)" "$pinned"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --max-bandwidth 1M "$(image even)"
	wait_until 10 has_session
	on b "$pagetrim" stats --json --dev "$(dev_b)" >stats.json
	on b "$pagetrim" stats --dev "$(dev_b)" >stats.text
	kill -TERM "$sender"
	ended send "$sender" 10 1
	ended receive "$receiver" 10 4
	same "role in stats.json" "$(field stats '.leases[0].role')" receive

	rows=$(section stats COUNTERS | first_part | items)
	counter_names=$(cut -d' ' -f1 <<<"$rows" | paste -sd'|')
	same_keys stats "$(keys stats.json |
		grep -vE "^(total|queues|sessions)\.($counter_names)$")"
	for prefix in total 'queues[0]' 'sessions[0]'; do
		alike "counters, stats --json .$prefix and its page" \
			"$(jq -r ".$prefix | keys[]" stats.json |
				grep -vxE 'queue|session|pid')" \
			"${rows// *([^$'\n'])/}"
	done
	# Meanings, too, in the order of the text.
	same "rows of stats, and its page" "$(sed -nE \
		's/^([a-z_]+) +[0-9 ]+  (.*)$/\1 \2/p' stats.text)" "$rows"
	# The names equal those of bpftool.
	same "fields by bpftool, and its page" "$(bpftool -j map lookup pinned \
		"$pinned/pt_queue_counters" key 0 0 0 0 | jq -r \
		'(.formatted // .).values[0].value | keys_unsorted[]')" \
		"${rows// *([^$'\n'])/}"

	on b "$pagetrim" detach --json --dev "$(dev_b)" >detach.json
	same_keys detach "$(keys detach.json)"
}

# list HEADER: `NAME MEANING` of an X-list.
list()
{
	sed -nE 's/^\tX\(([A-Z_]+, )?([a-z_]+), "(.*)"\).*/\2 \3/p' "$headers/$1"
}

meanings()
{
	same "verdicts of pagetrim-stats.8, and verdict.h" \
		"$(section stats COUNTERS | first_part | items |
			grep -vE '^seen(_bytes)? ')" "$(list verdict.h)"
	same "ledger of pagetrim.8, and ledger.h" \
		"$(section '' LEDGER | items |
			grep -vE '^(sent|unaccounted) ')" "$(list ledger.h)"
}

shopt -s extglob
# shellcheck source=scripts/completion.bash
source "$root/scripts/completion.bash"

case_run "documents: man pages are clean" pages_are_clean
case_run "documents: commands" same_commands
case_run "documents: exit codes" same_exits
case_run "documents: verdicts and ledger, with their meanings" meanings
case_run "documents: completion of values" completed_values
case_run "documents: examples have keys" examples_are_safe
case_run "documents: wrong command, version" wrong_command
case_run "documents: help" help_is_asked_for
for command in "${commands[@]}"; do
	case_run "documents: help of $command" help_is_asked_for "$command"
	case_run "documents: options of $command" same_options "$command"
	case_run "documents: wrong options of $command" wrong_option "$command"
done
case_run "documents: JSON keys of inspect" inspect_keys
case_run "documents: JSON keys of image" image_keys
case_run "documents: JSON keys of template" template_keys
case_run "documents: JSON keys of doctor, findings" doctor_keys
case_run "documents: JSON keys of send and receive" transfer_keys
case_run "documents: JSON keys of attach, stats, detach; counters" stats_keys
cases_end
