# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lib.sh: a guest that runs, a client that talks to it, and its moves between two
# hosts.  Sourced after scripts/hosts.sh by tests/net/test_live.sh,
# scripts/test-live.sh and scripts/demo.sh, which set
#     net         the name of hosts of `hosts_up $net --lan`
#     live        a new folder, for guests and what they say
#     pagetrim    the program
#     mover       how guests move: pagetrim; qemu, its own pre-copy; proxy, the
#                 same through two proxies; or qemu_stopped, pre-copy of a
#                 guest that is stopped meanwhile
#
#     host a: QEMU --- move a b ---> host b: QEMU
#               \                     /
#                `-- host c: client -'
#
# Each guest's folder is $live/HOST, its RAM file /dev/shm/pagetrim-$net-HOST.
# shellcheck disable=SC2154 # the caller's variables

live_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
live_options=()		# of each of the guests, see live_guest.sh
live_disk=''		# a process, if there is a slow disk
live_client=''		# a process, if there is a client
live_redis=''		# a process, if Redis is kept busy
live_migrate_args=() live_receive_args=()	# of pagetrim
move_cnt=0

# Settings of a guest that writes at that pace.
# shellcheck disable=SC2034 # for those who source this
declare -A live_paces=(
	[idle]="RATE=0"
	[few]="RATE=500 BLOCKS=4"
	[many]="RATE=5000 BLOCKS=4"
	[whole]="RATE=1000 BLOCKS=64 FILL=64"
	[hot]="RATE=5000 BLOCKS=8 HOT=512"
	[redis]="RATE=0"	# with --redis
)

live_fail() { echo "failed: $*" >&2; exit 1; }

# live_loses_writes: QEMU before 9 with an emulated CPU loses writes of a guest that
# runs while it moves it by itself (qemu_live.py), through proxies and without.
live_loses_writes()
{
	local qemu=${PAGETRIM_QEMU:-qemu-system-x86_64}

	# shellcheck disable=SC2086 # words
	[[ $($qemu --version 2>/dev/null) =~ version\ [1-8]\. ]]
}

live_guest() { "$live_here/../../scripts/live_guest.sh" "$@"; }

# live_ram HOST: what --ram is there.
live_ram() { echo "/dev/shm/pagetrim-$net-$1"; }

# live_launch start|incoming HOST
live_launch()
{
	live_guest "$1" --dir "$live/$2" --ram "$(live_ram "$2")" \
		--netns "$(hosts_netns "$net" "$2")" \
		--tap "$(hosts_dev "$net" t)" "${live_options[@]}"
}

# live_stop HOST
live_stop()
{
	[[ ! -d $live/$1 ]] || live_guest stop --dir "$live/$1"
}

# live_until SECONDS COMMAND...: until it succeeds.
live_until()
{
	local end=$((SECONDS + $1 * ${patience:-1}))

	shift
	until "$@"; do
		((SECONDS <= end)) || live_fail "never: $*"
		sleep 0.02
	done
}

# live_disk_begin MIB DELAY_MS: a slow disk for guests to come, see slow_disk.py.
live_disk_begin()
{
	mkdir "$live/disk"
	"$live_here/slow_disk.py" "$live/disk" "$1" "$2" >"$live/disk.said" &
	live_disk=$!
	live_until 30 grep -qs ready "$live/disk.said"
	live_options+=(--disk "$live/disk/still")
}

# live_client_begin: the client in host c; it is ready when the guest answers.
# TCP sends again after 5 ms at the earliest, so that its gap is near the downtime.
live_client_begin()
{
	hosts_run "$net" c ip route replace 10.78.0.0/24 \
		dev "$(hosts_dev "$net" l)" rto_min 5ms
	hosts_exec "$net" c "$live_here/client.py" "$HOSTS_LAN_GUEST4" \
		>"$live/client.json" 2>"$live/client.err" &
	live_client=$!
	live_until 60 live_client_said '"ready"' 1
}

# live_client_said TEXT CNT: it has said that, so many times.
live_client_said()
{
	kill -0 "$live_client" 2>/dev/null ||
		live_fail "the client ended: $(cat "$live"/client.{json,err})"
	[[ $(grep -sc "$1" "$live/client.json") -ge $2 ]]
}

# live_client_gaps: prints the longest gaps since the last time, as JSON.
live_client_gaps()
{
	local before

	before=$(grep -c '^{"gap_ms"' "$live/client.json") || true
	kill -USR1 "$live_client"
	live_until 30 live_client_said '^{"gap_ms"' $((before + 1))
	tail -n 1 "$live/client.json"
}

# live_client_end: fails if an answer was lost, doubled or out of order.
live_client_end()
{
	local pid=$live_client

	live_client=''
	kill "$pid"
	wait "$pid" || live_fail "the client: $(tail -n 1 "$live/client.json")"
	tail -n 1 "$live/client.json"
}

# live_redis_begin: keeps the Redis of a guest with --redis busy, from host c.
live_redis_begin()
{
	hosts_exec "$net" c "$live_here/redis_load.py" "$HOSTS_LAN_GUEST4" \
		>"$live/redis.json" 2>"$live/redis.err" &
	live_redis=$!
	live_until 120 live_redis_said '"ready"' 1
}

live_redis_said()
{
	kill -0 "$live_redis" 2>/dev/null ||
		live_fail "redis_load ended: $(cat "$live"/redis.{json,err})"
	[[ $(grep -sc "$1" "$live/redis.json") -ge $2 ]]
}

# live_redis_now: prints the time and the operations so far, as JSON.
live_redis_now()
{
	local before

	before=$(grep -c '^{"time"' "$live/redis.json") || true
	kill -USR1 "$live_redis"
	live_until 60 live_redis_said '^{"time"' $((before + 1))
	tail -n 1 "$live/redis.json"
}

# live_redis_end: fails if a value that was read was not as it was stored.
live_redis_end()
{
	local pid=$live_redis

	live_redis=''
	kill "$pid"
	wait "$pid" || live_fail "redis: $(tail -n 1 "$live"/redis.{json,err})"
}

# live_has_disk: it is mounted, also if the process that serves it is dead, as after a
# signal to all: mountpoint(1) would look into the folder, and fail.
live_has_disk() { grep -qsF " $live/disk " /proc/self/mounts; }

# live_down: ends it all, in any state.
live_down()
{
	[[ -z $live_client ]] || kill "$live_client" 2>/dev/null || true
	[[ -z $live_redis ]] || kill "$live_redis" 2>/dev/null || true
	live_stop a || true
	live_stop b || true
	! live_has_disk || umount -l "$live/disk" || true
	[[ -z $live_disk ]] || kill "$live_disk" 2>/dev/null || true
	rm -f "$(live_ram a)" "$(live_ram b)"
}

# live_is_sound HOST [BEATS]: the guest runs there, goes on to run, and all of its
# memory is as it must be.
live_is_sound()
{
	live_guest tell verify --dir "$live/$1" >"$live/verified"
	live_guest beats --count "${2:-1}" --dir "$live/$1"
}

# live_balloon HOST MIB: leaves the guest so much RAM; it gives up the rest soon.
live_balloon()
{
	"$live_here/../../scripts/guest/qmp.py" "$live/$1/qmp.sock" balloon \
		"{\"value\": $(($2 << 20))}" >/dev/null
}

# ---- moves ------------------------------------------------------------------

# move FROM TO: the guest moves; $live/move.json has what is known of it: at least
# seconds, bytes, and with a client gap_ms and tcp_gap_ms.  The QEMU that it left
# is ended.
move()
{
	local gaps='{}'

	move_cnt=$((move_cnt + 1))
	live_launch incoming "$2"
	[[ -z $live_client ]] || live_client_gaps >"$live/gaps"
	[[ -z $live_redis ]] || live_redis_now >"$live/redis.before"
	"move_by_$mover" "$1" "$2"
	[[ -z $live_redis ]] || live_redis_now >"$live/redis.after"
	live_guest beats --dir "$live/$2"
	[[ -z $live_client ]] || gaps=$(live_client_gaps)
	live_stop "$1"
	jq -c --argjson gaps "$gaps" '. + $gaps' "$live/moved.json" \
		>"$live/move.json"
}

live_addr() { case $1 in a) echo "$HOSTS_A4" ;; b) echo "$HOSTS_B4" ;; esac; }

move_by_qemu()
{
	timeout 300 "$live_here/qemu_live.py" "$live/$1" "$live/$2" \
		"tcp:$(live_addr "$2"):4444" "${3:-300}" >"$live/moved.json"
}

move_by_qemu_stopped() { move_by_qemu "$1" "$2" stopped; }

# live_proxies_begin FROM TO [OPTION...]: a proxy on each host, which wait; the
# options are those of the source's.
live_proxies_begin()
{
	rm -f "$live"/proxy.*
	hosts_exec "$net" "$2" "$pagetrim" proxy --json --psk "$live/psk" \
		--dev "$(hosts_dev "$net" "$2")" --listen "$(live_addr "$2")" \
		--into "$live/$2/stream.sock" \
		>"$live/proxy.into.json" 2>"$live/proxy.into.err" &
	live_proxy_into=$!
	live_until 60 live_proxy_said "$live_proxy_into" into ' listening on '
	hosts_exec "$net" "$1" "$pagetrim" proxy --json --psk "$live/psk" \
		--dev "$(hosts_dev "$net" "$1")" --to "$(live_addr "$2")" \
		--from "$live/$1/stream.sock" --control "$live/control" "${@:3}" \
		>"$live/proxy.from.json" 2>"$live/proxy.from.err" &
	live_proxy_from=$!
	live_until 60 live_proxy_said "$live_proxy_from" from ' waits for QEMU'
}

live_proxy_said()
{
	kill -0 "$1" 2>/dev/null ||
		live_fail "proxy ended: $(cat "$live/proxy.$2.err")"
	grep -qs "$3" "$live/proxy.$2.err"
}

# live_proxied FROM TO: QEMU's migration through the proxies that wait; $live_limit
# is what qemu_live.py takes.
live_proxied()
{
	timeout 300 "$live_here/qemu_live.py" "$live/$1" "$live/$2" \
		"unix:$live/$1/stream.sock" "${live_limit:-300}" \
		"unix:$live/$2/stream.sock"
}

move_by_proxy()
{
	local out=$live/proxied.json

	live_proxies_begin "$1" "$2"
	live_proxied "$1" "$2" >"$out" ||
		live_fail "$(cat "$live"/proxy.{from,into}.err)"
	wait "$live_proxy_from" ||
		live_fail "proxy: exit $?: $(cat "$live"/proxy.{from,into}.err)"
	wait "$live_proxy_into" ||
		live_fail "proxy: exit $?: $(cat "$live/proxy.into.err")"
	jq -c --slurpfile report "$live/proxy.from.json" 'del(."query-migrate") +
		{wire: $report[0].ram.transferred}' "$out" >"$live/moved.json"
}

move_by_pagetrim()
{
	local receiver

	rm -f "$live/receive.err"	# the last one's word
	hosts_exec "$net" "$2" "$pagetrim" receive --json \
		--psk "$live/psk" --dev "$(hosts_dev "$net" "$2")" \
		--listen "$(live_addr "$2")" --qmp "$live/$2/agent.sock" \
		"${live_receive_args[@]}" \
		>"$live/receive.json" 2>"$live/receive.err" &
	receiver=$!
	live_until 60 live_receive_listens "$receiver"
	hosts_run "$net" "$1" timeout 300 "$pagetrim" migrate --json \
		--psk "$live/psk" --dev "$(hosts_dev "$net" "$1")" \
		--to "$(live_addr "$2")" --qmp "$live/$1/agent.sock" \
		"${live_migrate_args[@]}" \
		>"$live/migrate.json" 2>"$live/migrate.err" ||
		live_fail "migrate: exit $?: $(cat "$live"/{migrate,receive}.err)"
	wait "$receiver" || live_fail "receive: exit $?: $(cat "$live/receive.err")"
	# Before the last object each round has one.
	jq -cs '. as $all | .[-1] | {seconds: (."total-time" / 1000), bytes: .ram.transferred,
		rounds: .ram."dirty-sync-count", downtime_ms: .live.downtime,
		parts: .live."downtime-parts",
		recheck_found: .live."recheck-found-pages", report: .,
		round_bytes: [$all[] | select(.event == "round") |
			.transferred // empty]}' \
		"$live/migrate.json" >"$live/moved.json"
}

live_receive_listens()
{
	kill -0 "$1" 2>/dev/null ||
		live_fail "receive ended: $(cat "$live/receive.err")"
	grep -qs ' listening on ' "$live/receive.err"
}
