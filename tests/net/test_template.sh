#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   raw image --put--> template: holder, sealed memfd
#                          ^ private mappings       --send--> host b: put, children
#                      children: processes, QEMU
#
# Templates by the command line: making, listing, removing, bad input, isolation of the
# children, and the ends of holders and makers.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

child=$here/template_child.py

# template VERB ARG...: in the folder of this case.
template() { show "$pagetrim" template "$@" --folder "$dir/folder"; }

# end_with_templates: holders are nobody's jobs.
end_with_templates()
{
	local code=$? name

	set +e
	for name in $("$pagetrim" template ls --json --folder "$dir/folder" |
			jq -r '.templates[].name'); do
		"$pagetrim" template rm "$name" --force --folder "$dir/folder"
	done
	(exit "$code")
	case_end
}

# with_templates FUNCTION ARG...
with_templates()
{
	trap end_with_templates EXIT
	"$@"
}

# fails STATUS WORD VERB...: exits so, with one line of error that has WORD; wrong words
# of the command are followed by a hint.
fails()
{
	local want=$1 word=$2 status=0

	shift 2
	timeout 60 "$pagetrim" template "$@" --folder "$dir/folder" >out 2>fail.err ||
		status=$?
	[[ $status -eq $want ]] ||
		die "template $*: exit $status, want $want: $(cat out fail.err)"
	if grep -q '^Try ' fail.err; then
		one_error fail "$word" '^Try '
	else
		one_error fail "$word"
	fi
}

# path_of NAME: the path that a VMM opens.
path_of() { template get "$1" | head -n 1; }

holder_of() { template get "$1" --json | jq .pid; }

# nothing_of NAME: neither an entry nor something half-made.
nothing_of()
{
	same "templates" "$(template ls --json | jq -c "[.templates[] |
		select(.name == \"$1\")]")" '[]'
	same "entries of $1" "$(find folder -mindepth 1 -name "*$1*")" ''
}

# ---- the life of a template ----

life()
{
	local own

	"$here/make_image.py" raw --pages 3000 --seed 3 --tail 1234
	truncate -s $((3000 * 4096)) raw	# a VMM maps whole pages
	mkdir raw.with
	echo state >raw.with/device
	template put one raw --with "$child"
	same_file "$(path_of one)" raw
	same "its files" "$(template get one | tail -n +2 | xargs -n 1 basename |
		xargs)" "device template_child.py"
	same_file "$(template get one | grep device)" raw.with/device
	same "bytes" "$(template ls --json | jq '.templates[0].bytes')" \
		$((3000 * 4096))
	template ls >&2
	template get one --out again
	same_file again raw
	same_file again.with/device raw.with/device
	own=$(awk '/^Anonymous:/ { print $2 }' "/proc/$(holder_of one)/smaps_rollup")
	[[ $own -lt 600 ]] || die "the holder has $own KiB of its own"
	template rm one
	nothing_of one
	template put one raw --large-pages off
	same "large pages" "$(template get one --json | jq '."large-pages"')" 0
	template rm one
	template put one raw --large-pages all
	same_file "$(path_of one)" raw
	[[ $(template get one --json | jq '."large-pages"') -ge 5 ]] ||
		die "no large pages"
}

# limited LIMIT VALUE...: the process has this limit, raised until it works.
limited()
{
	local limit=$1 value status

	"$here/make_image.py" raw --pages 300 --seed 5
	for value in "${@:2}"; do
		status=0
		# Through a pipe: the limit of a file's size is that of its words, too.
		timeout 60 prlimit "--$limit=$value" "$pagetrim" template put few raw \
			--folder "$dir/folder" 2>&1 >/dev/null | cat >fail.err ||
			status=${PIPESTATUS[0]}
		((status)) || break
		same "exit code at $value" "$status" 3
		grep -qE 'raise ulimit|loading shared|LimitFSIZE' fail.err ||
			die "$limit=$value: no remedy: $(<fail.err)"
		nothing_of few
	done
	((status == 0 && value != $2)) || die "$limit=$value: exit $status"
	template rm few
}

at_rest()
{
	"$here/make_image.py" raw --pages 3000 --seed 4
	echo state >device
	show "$pagetrim" image pack raw x.ptrim --with device
	template put rest x.ptrim
	same_file "$(path_of rest)" raw
	same_file "$(template get rest | grep device)" device
	# Several images lie back to back.
	template put two raw raw
	cat raw raw | cmp - "$(path_of two)" || die "not raw and raw"
}

# ---- bad input ----

bad_names()
{
	local name

	head -c 100000 /dev/urandom >raw
	for name in . .. .x a/b "$(printf 'x%.0s' {1..129})" $'a\nb'; do
		fails 2 "not a name" put "$name" raw
		fails 2 "not a name" get "$name"
		fails 2 "not a name" rm "$name"
	done
	fails 2 "is empty" put '' raw
	fails 3 "no template of that name" get nobody
	fails 3 "no template of that name" rm nobody
	fails 2 "want NAME and IMAGE" put x
	fails 2 "want put, ls, get or rm" make x raw
	fails 2 "one NAME" rm
	fails 2 "goes with get" ls --out x
	fails 2 "goes with rm" ls --force
	fails 2 "go with put" ls --with raw
	fails 2 "goes with ls and get" rm x --json
}

# damage: nothing is left of a template that could not be filled.
bad_images()
{
	local size

	"$here/make_image.py" raw --pages 2000 --seed 6
	show "$pagetrim" image pack raw x.ptrim
	size=$(stat -c %s x.ptrim)
	fails 3 "No such file" put bad nowhere
	fails 3 "" put bad "$dir"
	: >empty
	fails 3 "empty" put bad empty
	cp x.ptrim head.ptrim
	printf 'junk' | dd of=head.ptrim bs=1 seek=20 conv=notrunc status=none
	fails 5 "damaged" put bad head.ptrim
	cp x.ptrim cut.ptrim
	truncate -s $((size / 2)) cut.ptrim
	fails 1 "damaged" put bad cut.ptrim
	mkdir raw.with
	dd if=/dev/zero of=raw bs=4096 seek=10 count=1 conv=notrunc status=none
	cat >raw.with/unreadable.json <<-JSON
	{"version": 1, "bytes": $((2000 * 4096)),
	 "unreadable": [{"offset": 40960, "bytes": 4096}]}
	JSON
	fails 1 "no content" put bad raw
	rm -r raw.with
	fails 3 "No such file" put bad raw --with nowhere
	fails 1 "have the name" put bad raw --with raw --with raw
	nothing_of bad
	template put bad raw
}

# limits: by RLIMIT_FSIZE, and by a folder that others may change.
limits()
{
	local status=0

	head -c 3000000 /dev/urandom >raw
	(ulimit -f 1000; timeout 20 "$pagetrim" template put big raw --folder \
		"$dir/folder") 2>fail.err || status=$?
	same "exit with a limit of file size" "$status" 3
	one_error fail "as large as that"
	nothing_of big
	mkdir -m 777 open
	status=0
	"$pagetrim" template put big raw --folder open 2>fail.err || status=$?
	same "exit in a folder of all" "$status" 3
	one_error fail "others may change"
	mkdir folder/file
	rmdir folder/file
	touch folder/file
	fails 3 "not a template" put file raw
	rm folder/file
}

# others: folders that are not ours, and their files, stay as they are, whatever their
# names; in each of them nobody has a lock.
others()
{
	local name

	mkdir -p folder/Documents/with folder/.cfg.new folder/.old.gone
	for name in folder/Documents/{letter,template.json,with/state} folder/.cfg.new/a \
		folder/.old.gone/b; do
		echo precious >"$name"
	done
	find folder -type f -exec md5sum {} + | sort >before
	head -c 8192 /dev/urandom >raw
	template ls >out
	same "list" "$(<out)" "no templates"
	fails 3 "no template of that name" get Documents
	fails 3 "no template of that name" rm Documents
	fails 3 "did not make" put Documents raw
	find folder -type f -exec md5sum {} + | sort >after
	cmp before after >&2 || die "files of others are gone"
}

# many_files: too many are refused, and none is left out.
many_files()
{
	local status=0

	head -c 8192 /dev/urandom >raw
	mkdir raw.with
	for ((i = 0; i < 1025; i++)); do
		echo "$i" >"raw.with/$i"
	done
	fails 1 "more than 1024 small files" put many raw
	nothing_of many
	rm raw.with/1024
	"$pagetrim" image pack raw x.ptrim >/dev/null || status=$?
	fails 2 "which no other goes with" put two x.ptrim raw
	nothing_of two
}

# little_memory: a cgroup that allows less than the template takes; nothing is killed.
little_memory()
{
	local cgroup=/sys/fs/cgroup/memory/pagetrim-$net limit=memory.limit_in_bytes
	local status=0

	if [[ ! -e /sys/fs/cgroup/memory/$limit ]]; then
		cgroup=/sys/fs/cgroup/pagetrim-$net limit=memory.max
		grep -qs memory /sys/fs/cgroup/cgroup.subtree_control || return 0
	fi
	head -c 250M /dev/urandom >big
	mkdir "$cgroup"
	echo 128M >"$cgroup/$limit"
	(echo "$BASHPID" >"$cgroup/cgroup.procs"
	 exec "$pagetrim" template put big big --folder "$dir/folder") \
		2>fail.err || status=$?
	wait_until 10 rmdir "$cgroup"
	same "exit with a limit of memory" "$status" 3
	one_error fail "too little for it"
	nothing_of big
}

# by_nobody: a user without rights, in a folder of its own; another one sees the
# template and cannot open it.
by_nobody()
{
	local folder=/dev/shm/pagetrim-$net status=0
	local -a nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	local -a other=(setpriv --reuid=65533 --regid=65533 --clear-groups)

	litter+=("$folder")
	mkdir -m 755 "$folder"
	head -c 3000000 /dev/urandom >"$folder/raw"
	chown -R 65534:65534 "$folder"
	"${nobody[@]}" "$pagetrim" template put one "$folder/raw" \
		--folder "$folder/templates" >path
	cmp <("${nobody[@]}" head -c 3000000 "$(<path)") "$folder/raw" ||
		die "not the image"
	"${other[@]}" "$pagetrim" template get one --folder "$folder/templates" \
		2>fail.err >&2 || status=$?
	same "another's exit" "$status" 3
	one_error fail "another user's folder"
	! "${other[@]}" cat "$(<path)" >stolen 2>&1 || die "another user reads it"
	same "the entry" "$(stat -c %u "$folder/templates/one")" 65534
	"${nobody[@]}" "$pagetrim" template rm one --folder "$folder/templates"
	[[ ! -e $(<path) ]] || die "the memory is still there"
}

# full_output: without its path nobody knows of the template, so there is none.
full_output()
{
	local status=0

	head -c 300000 /dev/urandom >raw
	"$pagetrim" template put one raw --folder "$dir/folder" >/dev/full 2>fail.err ||
		status=$?
	same "exit without room for the path" "$status" 1
	one_error fail "standard output: cannot be written"
	nothing_of one
}

# forged: a record that leads to a memory of the same number and size, which is not
# sealed; nothing reads it.
forged()
{
	local status=0

	head -c 300000 /dev/urandom >raw
	truncate -s $((4096 * 74)) raw
	template put one raw
	mkfifo forger.in
	python3 -c 'import json, os, sys
fd = os.memfd_create("pagetrim-template", os.MFD_ALLOW_SEALING)
os.truncate(fd, 4096 * 74)
record = json.load(open(sys.argv[1]))
record.update(pid=os.getpid(), fd=fd, inode=os.fstat(fd).st_ino)
json.dump(record, open(sys.argv[1], "w"))
print("ready", flush=True)
sys.stdin.read()' folder/one/template.json <forger.in >forger.out &
	exec {forger}>forger.in
	cp folder/one/template.json true.json
	wait_until 20 grep -q ready forger.out
	fails 3 "not its memory" get one --out copy
	[[ ! -e copy ]] || die "it was copied"
	timeout 20 "$pagetrim" send --insecure --dev lo --to 127.0.0.1 --template \
		"$dir/folder/one" 2>fail.err || status=$?
	same "send's exit" "$status" 3
	one_error fail "not its memory"
	cp true.json folder/one/template.json
	exec {forger}>&-
}

# not_looked_at: a user who may not look at a template is told so.
not_looked_at()
{
	local folder=/dev/shm/pagetrim-$net
	local -a other=(setpriv --reuid=65533 --regid=65533 --clear-groups)

	litter+=("$folder")
	mkdir -m 755 "$folder"
	head -c 300000 /dev/urandom >raw
	"$pagetrim" template put one raw --folder "$folder/templates" >path
	"$child" "$(<path)" word >said &
	wait_until 20 grep -q ready said
	same "root's view" "$("$pagetrim" template ls --json --folder "$folder/templates" |
		jq '.templates[0].children')" 1
	same "another's view" "$("${other[@]}" "$pagetrim" template ls --json \
		--folder "$folder/templates" | jq -c '.templates[0] |
		[.bytes, .children, ."allocated-bytes", ."large-pages"]')" \
		"[303104,null,null,null]"
	"${other[@]}" "$pagetrim" template ls --folder "$folder/templates" >list
	grep -Eq '^296.0 KiB +[?] +[?] +[0-9]+ +one$' list || die "$(<list)"
	"$pagetrim" template rm one --force --folder "$folder/templates"
}

# little_for_files: small files in memory count, too.
little_for_files()
{
	local cgroup=/sys/fs/cgroup/memory/pagetrim-$net limit=memory.limit_in_bytes
	local folder=/dev/shm/pagetrim-$net status=0

	if [[ ! -e /sys/fs/cgroup/memory/$limit ]]; then
		cgroup=/sys/fs/cgroup/pagetrim-$net limit=memory.max
		grep -qs memory /sys/fs/cgroup/cgroup.subtree_control || return 0
	fi
	litter+=("$folder")
	mkdir "$folder"
	head -c 4096 /dev/urandom >raw
	truncate -s 200M state
	mkdir "$cgroup"
	echo 128M >"$cgroup/$limit"
	(echo "$BASHPID" >"$cgroup/cgroup.procs"
	 exec "$pagetrim" template put one raw --with state --folder "$folder/templates") \
		2>fail.err || status=$?
	wait_until 10 rmdir "$cgroup"
	same "exit with a limit of memory" "$status" 3
	one_error fail "too little for it"
	same "templates" "$(ls -A "$folder/templates")" ''
}

# no_network: the holder keeps no network namespace of the host from going.
no_network()
{
	hosts_up "$net"
	head -c 300000 /dev/urandom >raw
	nsenter "--net=/run/netns/$(hosts_netns "$net" a)" -- "$pagetrim" template put \
		one raw --folder "$dir/folder"
	same "the holder's network" "$(readlink "/proc/$(holder_of one)/ns/net")" \
		"$(readlink /proc/1/ns/net)"
}

# ---- two at once, and ends ----

# One of ten makers of a name succeeds, and the others say why.
two_puts()
{
	local -a makers
	local i won=0 status

	"$here/make_image.py" raw --pages 6000 --seed 9
	for i in {1..10}; do
		"$pagetrim" template put one raw --folder "$dir/folder" \
			>/dev/null 2>"maker$i.err" &
		makers+=($!)
	done
	for i in {1..10}; do
		status=0
		wait "${makers[i - 1]}" || status=$?
		case $status in
		0) won=$((won + 1)) ;;
		3) one_error "maker$i" "that name" ;;
		*) die "exit $status: $(cat "maker$i.err")" ;;
		esac
	done
	same "makers that succeeded" "$won" 1
	same_file "$(path_of one)" raw
	same "entries" "$(ls -A folder)" one
}

killed_holder()
{
	local holder

	head -c 300000 /dev/urandom >raw
	template put one raw
	template put two raw
	holder=$(holder_of one)
	kill -KILL "$holder"
	wait_until 10 is_gone "$holder"
	same "dead" "$(template ls --json | jq -c '[.templates[] |
		select(.dead).name]')" '["one"]'
	same "entries" "$(ls -A folder)" two
	fails 3 "no template of that name" get one
	template put one raw
	# Found dead by get, and replaced by put.
	for verb in get put; do
		holder=$(holder_of one)
		kill -KILL "$holder"
		wait_until 10 is_gone "$holder"
		if [[ $verb == get ]]; then
			fails 3 "has ended" get one
		else
			template put two2 raw
		fi
		template put one raw
	done
}

# stopped_holder: SIGTERM would wait for it to go on.
stopped_holder()
{
	local holder

	head -c 300000 /dev/urandom >raw
	template put one raw
	holder=$(holder_of one)
	kill -STOP "$holder"
	template rm one
	wait_until 10 is_gone "$holder"
	nothing_of one
}

killed_put()
{
	local maker holder

	mkfifo slow
	head -c 300000 /dev/urandom >raw
	# It waits for the file that goes along.
	"$pagetrim" template put one raw --with <(sleep 60) --folder "$dir/folder" \
		>/dev/null 2>&1 &
	maker=$!
	wait "$maker" || true	# a pipe is no file
	nothing_of one
	"$here/make_image.py" big --pages 60000 --seed 5
	"$pagetrim" template put one big --folder "$dir/folder" >/dev/null 2>&1 &
	maker=$!
	wait_until 20 test -e folder/.one.new
	wait_until 20 pgrep -P "$maker"
	kill -STOP "$maker"
	same "a template that is being made" "$(template ls --json |
		jq -c .templates)" '[]'
	fails 3 "another process makes" put one raw
	holder=$(pgrep -P "$maker")
	kill -KILL "$maker"
	wait "$maker" || true
	wait_until 10 is_gone "$holder"
	nothing_of one
	same "entries" "$(ls -A folder)" ''
}

# ---- children ----

# stopped_get: the signal comes when it begins with the second region.
stopped_get()
{
	local status=0

	"$here/make_image.py" raw --pages 1500 --seed 3
	template put one raw >/dev/null
	# shellcheck disable=SC2016 # TARGET is set there
	"$build/tests/net/at_entry" region_fill 1 'kill -TERM $TARGET; sleep 0.5' \
		"$pagetrim" template get one --out made --folder "$dir/folder" \
		>out 2>get.err || status=$?
	[[ -e entered ]] || die "it did not come to the second region"
	same "exit" "$status" 1
	one_error get 'interrupted; nothing is left of it'
	[[ ! -e made && ! -e made.partial && ! -e made.with ]] || die "left: $(ls)"
	template get one --out made
	same_file raw made
}

# child_begin NAME WORD: a process that maps it privately and writes WORD to each
# page; sets pid.
child_begin()
{
	"$child" "$(path_of one)" "$1" >"$1.said" &
	pid=$!
	wait_until 20 grep -q ready "$1.said"
}

isolation()
{
	local -a pids
	local i

	"$here/make_image.py" raw --pages 3000 --seed 3
	template put one raw
	for i in {1..5}; do
		child_begin "word$i"
		pids+=("$pid")
	done
	same "children" "$(template get one --json | jq .children)" 5
	kill -USR1 "${pids[@]}"	# they look at what they wrote
	for i in {1..5}; do
		wait_until 20 grep -q 'mine' "word$i.said"
	done
	same_file "$(path_of one)" raw
	"$child" "$(path_of one)" --attack >&2
	same_file "$(path_of one)" raw
	fails 1 "5 processes use it: .*${pids[0]}" rm one
	kill "${pids[@]:1}"
	wait_until 10 is_gone "${pids[4]}"
	template rm one --force
	nothing_of one
	# It keeps what it mapped.
	: >word1.said
	kill -USR1 "${pids[0]}"
	wait_until 20 grep -q 'mine' word1.said
	kill "${pids[0]}"
}

# ---- children in QEMU ----

# guest_save: boots the small guest, has it write its memory, stops it, and leaves
# vm.ram and the file state.
guest_save()
{
	local live=$root/scripts/live_guest.sh

	litter+=("$dir/guest")
	timeout $((400 * patience)) "$live" start --dir "$dir/guest" --ram "$dir/vm.ram" \
		--size-mib 128 --set "MIB=32 RATE=200" --device vmgenid,guid=auto --timeout-s $((300 * patience))
	"$root/scripts/guest/qmp.py" "$dir/guest/qmp.sock" stop >/dev/null
	"$root/scripts/guest/qmp.py" "$dir/guest/qmp.sock" save "$dir/state"
	cp --sparse=always vm.ram copy.ram
	"$live" stop --dir "$dir/guest"
	mv copy.ram vm.ram
}

# children COUNT DIR [HOST]: of the template vm.
children()
{
	PAGETRIM=$pagetrim FOLDER=$dir/folder show \
		${3:+nsenter "--net=/run/netns/$(hosts_netns "$net" "$3")" --} \
		"$root/examples/template-children.sh" vm 128 "$1" "$dir/$2" \
		-name template-child -accel tcg -M q35 -cpu max -nodefaults -no-user-config \
		-display none -no-reboot -device virtio-balloon-pci,id=balloon \
		-device vmgenid,guid=auto
}

children_end()
{
	local file

	for file in "$dir/$1"/*/qemu.pid; do
		kill -KILL "$(cat "$file")"
	done
}

# beats FILE COUNT: the guest of that console has run so far, and found no damage.
beats()
{
	! grep -aq 'damage [1-9]' "$1" || die "$1: $(grep -a 'damage [1-9]' "$1")"
	[[ $(grep -ac 'guest: beat' "$1") -ge $2 ]]
}

# guid DIR: the generation ID that QEMU shows the child.
guid()
{
	"$root/scripts/guest/qmp.py" "$1/qmp.sock" query-vm-generation-id | jq -r .guid
}

# has_guid DIR: the child's memory has it, where firmware told QEMU to write it.
has_guid()
{
	local file=$dir/memory

	"$root/scripts/guest/qmp.py" "$1/qmp.sock" pmemsave \
		"{\"val\": 0, \"size\": $((128 << 20)), \"filename\": \"$file\"}" >&2
	python3 -c 'import sys, uuid
sys.exit(uuid.UUID(sys.argv[2]).bytes_le not in open(sys.argv[1], "rb").read())' \
		"$file" "$(guid "$1")"
	rm "$file"
}

# own_kib PID: memory of the child's own in the mapping of the template.
own_kib()
{
	awk '/memfd:pagetrim-template/ { is_in = 1 }
		is_in && /^Anonymous:/ { print $2; exit }' "/proc/$1/smaps"
}

qemu_children()
{
	local i before

	guest_save
	template put vm vm.ram --with state
	before=$(sha256sum <"$(path_of vm)")
	trap 'children_end many; end_with_templates' EXIT
	children 20 many
	for i in {1..20}; do
		wait_until 300 beats "many/$i/serial.log" 2
	done
	same "children that are alive" "$(template get vm --json | jq .children)" 20
	for i in {1..20}; do
		echo "child $i: $(own_kib "$(cat "many/$i/qemu.pid")") KiB of its own" >&2
	done
	# Each is a guest of its own.
	same "generation IDs" "$(for i in {1..20}; do guid "$dir/many/$i"; done |
		sort -u | wc -l)" 20
	for i in 1 20; do
		has_guid "$dir/many/$i" || die "child $i has another's generation ID"
	done
	# The guest gives memory back: QEMU may not punch it out of the template.
	"$root/scripts/guest/qmp.py" "$dir/many/1/qmp.sock" balloon \
		"{\"value\": $((100 << 20))}" >&2
	for i in {1..20}; do
		wait_until 300 beats "many/$i/serial.log" 5
	done
	same "the template's content" "$(sha256sum <"$(path_of vm)")" "$before"
	fails 1 "20 processes use it" rm vm
	# Without the holder they go on.
	template rm vm --force
	for i in 1 20; do
		wait_until 300 beats "many/$i/serial.log" 7
	done
}

# moved: the template goes to the other host, and its children start there: by way of
# an image, or straight into a template.
moved()
{
	local from there=$dir/folder/vm

	guest_save
	template put vm vm.ram --with state
	from=$(path_of vm)
	hosts_up "$net" --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out there
	send_begin send --to "$HOSTS_B4" --template "$there"
	ended send "$sender" 120 0
	ended receive "$receiver" 20 0
	same_file there vm.ram
	same_file there.with/state state
	mv folder source
	mkdir folder
	template put vm there
	template get vm --out again
	same_file again vm.ram
	template rm vm
	receive_begin receive --listen "$HOSTS_B4" --template "$there"
	same "templates while one is received" "$(ls folder)" ''
	send_begin send --to "$HOSTS_B4" --template "$dir/source/vm"
	ended send "$sender" 120 0
	ended receive "$receiver" 20 0
	balanced
	[[ $(path_of vm) != "$from" ]] || die "it is the same one"
	same_file "$(path_of vm)" vm.ram
	same_file "$(template get vm | grep state)" state
	"$child" "$(path_of vm)" --attack >&2
	"$pagetrim" template rm vm --folder "$dir/source"
	trap 'children_end there_children; end_with_templates' EXIT
	children 2 there_children b
	wait_until 300 beats there_children/1/serial.log 3
	wait_until 300 beats there_children/2/serial.log 3
}

# not_received: a transfer that fails leaves no template, and no holder.
not_received()
{
	local holder

	"$here/make_image.py" raw --pages 60000 --seed 5
	hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --template "$dir/folder/vm"
	holder=$(pgrep -P "$receiver" pt-template)
	fails 3 "another process makes" put vm raw
	send_begin send --to "$HOSTS_B4" --max-bandwidth 20M raw
	wait_until 20 has_sent 1000000
	kill -KILL "$sender"
	ended receive "$receiver" 60 4
	wait_until 10 is_gone "$holder"
	nothing_of vm
	receive_begin receive --listen "$HOSTS_B4" --template "$dir/folder/vm"
	holder=$(pgrep -P "$receiver" pt-template)
	send_begin send --to "$HOSTS_B4" --max-bandwidth 20M raw
	wait_until 20 has_sent 3000000
	kill -KILL "$receiver"
	ended send "$sender" 60 4
	wait_until 10 is_gone "$holder"
	nothing_of vm
}

case_run "template: put, ls, get, rm" with_templates life
case_run "template: with few files" with_templates limited nofile 5 6 7 8 9 10 11 12 16 24
case_run "template: with small files" with_templates limited fsize 0 4096 65536 16777216
case_run "template: of an image at rest, and of two images" with_templates at_rest
case_run "template: bad names and words" with_templates bad_names
case_run "template: bad images leave nothing" with_templates bad_images
case_run "template: limits and strange folders" with_templates limits
case_run "template: folders of others stay" with_templates others
case_run "template: more small files than it may have" with_templates many_files
case_run "template: less memory than it takes" with_templates little_memory
case_run "template: of a user without rights" with_templates by_nobody
case_run "template: ten makers of one name" with_templates two_puts
case_run "template: a holder that is killed" with_templates killed_holder
case_run "template: no room for the path" with_templates full_output
case_run "template: a forged record" with_templates forged
case_run "template: one that the user may not look at" with_templates not_looked_at
case_run "template: less memory than its files take" with_templates little_for_files
case_run "template: the holder leaves the network namespace" with_templates no_network
case_run "template: a holder that is stopped" with_templates stopped_holder
case_run "template: a maker that is killed" with_templates killed_put
case_run "template: get --out is interrupted" with_templates stopped_get
case_run "template: children see no other's writes" with_templates isolation
case_run "template: twenty QEMU children" with_templates qemu_children
case_run "template: moved to the other host, children start there" with_templates moved
case_run "template: not received whole" with_templates not_received
cases_end
