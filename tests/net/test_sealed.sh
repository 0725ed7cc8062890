#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#                        keys, certificates, ciphers
#
# Authentication and encryption: each cipher, new keys during a transfer,
# padding, certificates; and the refusals, in one line on each end.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

certs=$tmp/certs
"$root/scripts/certs.sh" "$certs" "$HOSTS_B4" "$HOSTS_B6" >&2

# with_cipher NAME SEND-OPTION...
with_cipher()
{
	local want=$1

	shift
	show hosts_up "$net" --mtu 9000
	transfer "$(image even)" "$@"
	no_loss
	same "cipher of send" "$(field send .cipher)" "$want"
	same "cipher of receive" "$(field receive .cipher)" "$want"
	nothing_left
}

# rekeyed: more frames than a key seals, some of them lost where keys change.
rekeyed()
{
	show hosts_up "$net" --mtu 1280 --wire
	hosts_wire_start "$net" wire "$wire" --drop 10 --seed 5
	head -c 96M /dev/urandom >dense
	transfer "$PWD/dense" --rekey-frames 65536
	[[ $(field send .frames) -gt 70000 ]] ||
		die "one key sufficed: $(field send .frames) frames"
	hosts_wire_stop "$net" wire
	as_the_wire_says
	nothing_left
}

# padded: all frames are of one size, as many as the memory's pages need,
# whatever they hold.
padded()
{
	show hosts_up "$net" --mtu 9000
	truncate -s 4M zero
	head -c 4M /dev/urandom >dense
	on_time transfer "$PWD/zero" --pad
	mv send.json zero.json
	on_time transfer "$PWD/dense" --pad
	mv send.json dense.json
	same "frames of zero memory" "$(field zero .frames)" \
		"$(field dense .frames)"
	same "bytes of zero memory" "$(field zero .ram.transferred)" \
		"$(field dense .ram.transferred)"
	same "bytes of a frame" "$(($(field zero .ram.transferred) /
		$(field zero .frames)))" $((9014 / 64 * 64))
	nothing_left
}

by_certificate()
{
	show hosts_up "$net" --mtu 9000
	security=()
	receive_options=(--tls-cert "$certs/receiver.pem"
		--tls-key "$certs/receiver-key.pem" --tls-ca "$certs/ca.pem"
		--tls-peer sender.pagetrim.test)
	transfer "$(image even)" --tls-cert "$certs/sender.pem" \
		--tls-key "$certs/sender-key.pem" --tls-ca "$certs/ca.pem"
	nothing_left
}

# of_one_name OPTION N [SEND-OPTION...]: a sender with two addresses has the
# receiver's OPTION N once; one of another name has its own.
of_one_name()
{
	local option=$1 cnt=$2 first refused

	shift 2
	show hosts_up "$net" --mtu 9000 --queues 2
	mkdir copies
	head -c 5000 /dev/urandom >state
	security=()
	# shellcheck disable=SC2046 # words
	receive_begin receive --listen '[::]' --out copies --serve --queues 2 \
		--peer-timeout 300 $(certificate receiver) "$option" "$cnt"
	# shellcheck disable=SC2046
	send_begin first --to "$HOSTS_B4" --max-bandwidth 64K \
		--peer-timeout 300 --control control --name first \
		$(certificate sender) "$@" "$(image even)"
	first=$sender
	wait_until 20 grep -q ' transfer .* from ' receive.err
	[[ $option != *files ]] ||
		wait_until 20 test -s copies/first.with.partial/state
	refused="certificate 'sender.pagetrim.test'.*$option"
	# shellcheck disable=SC2046
	send_begin second --to "[$HOSTS_B6]" --name second \
		$(certificate sender) "$@" "$(image small --pages 64)"
	ended second "$sender" 20 4 "$refused"
	grep -q "$refused" receive.err || die "the receiver does not say so"
	# shellcheck disable=SC2046
	send_begin third --to "[$HOSTS_B6]" --name third \
		$(certificate nameless-sender) "$@" "$(image small)"
	ended third "$sender" 20 0
	! is_gone "$first" || die "the first ended too early to tell"
	show "$pagetrim" ctl set max-bandwidth 0 --control control
	ended first "$first" 60 0
	# shellcheck disable=SC2046
	send_begin fourth --to "[$HOSTS_B6]" --name fourth \
		$(certificate sender) "$@" "$(image small)"
	ended fourth "$sender" 20 0
	kill "$receiver"
	finish "$receiver" 10
	nothing_left
}

# refused SENDER-WORD RECEIVER-WORD: the handshake fails; each end reports the
# cause, and the receiver keeps waiting for another sender.
refused()
{
	show hosts_up "$net"
	security=()
	receive_begin receive "${theirs[@]}" --listen "$HOSTS_B4" --out copy
	send_begin send "${ours[@]}" --to "$HOSTS_B4" --peer-timeout 5 \
		"$(image small --pages 64)"
	ended send "$sender" 20 4 "$1"
	# The receiver may learn of it after the sender has ended.
	wait_until 15 grep -Eqi -- "turned away.*($2)" receive.err
	! is_gone "$receiver" || die "the receiver ended"
	kill "$receiver"
	finish "$receiver" 15
	nothing_left
}

key=(--psk "$tmp/keys.psk")
clear=(--insecure)
"$pagetrim" keygen "$tmp/other.psk" >/dev/null
other_key=(--psk "$tmp/other.psk")
"$pagetrim" keygen "$tmp/stranger.psk" --identity stranger >/dev/null
other_name=(--psk "$tmp/stranger.psk")

# certificate WHO [CA]
certificate()
{
	echo --tls-cert "$certs/$1.pem" --tls-key "$certs/$1-key.pem" \
		--tls-ca "$certs/${2:-ca}.pem"
}

# pair SENDER RECEIVER SENDER-WORD RECEIVER-WORD: by names of arrays, or of
# certificates.
pair()
{
	local -a ours theirs

	read -ra ours <<<"$(side "$1")"
	read -ra theirs <<<"$(side "$2" --tls-peer sender.pagetrim.test)"
	refused "$3" "$4"
}

side()
{
	case $1 in
	key)		echo "${key[@]}" ;;
	clear)		echo "${clear[@]}" ;;
	other_key)	echo "${other_key[@]}" ;;
	other_name)	echo "${other_name[@]}" ;;
	*)		echo "$(certificate "$1")" "${@:2}" ;;
	esac
}

no_common_cipher()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy \
		--cipher chacha20-poly1305
	send_begin send --to "$HOSTS_B4" --cipher aes-256-gcm \
		"$(image small --pages 64)"
	ended send "$sender" 10 4 'cipher'
	kill "$receiver"
	finish "$receiver" 15
	nothing_left
}

for cipher in aes-128-gcm aes-256-gcm chacha20-poly1305; do
	case_run "sealed: $cipher" with_cipher "$cipher" --cipher "$cipher"
done
case_run "sealed: without --cipher" with_cipher aes-128-gcm
case_run "sealed: the receiver chooses" no_common_cipher
case_run "sealed: new keys on the way, with loss" rekeyed
case_run "sealed: --pad hides what is zero" padded
case_run "sealed: certificates" by_certificate
case_run "sealed: --max-transfers, of one name" of_one_name --max-transfers 1
case_run "sealed: --max-peer-memory, of one name" \
	of_one_name --max-peer-memory "$(stat -c %s "$(image even)")"
case_run "sealed: --max-peer-files, of one name" \
	of_one_name --max-peer-files 12K --with state
case_run "sealed: another key" pair other_key key 'key' 'key'
case_run "sealed: another identity" pair other_name key 'key' 'key'
case_run "sealed: --insecure to a receiver with a key" \
	pair clear key 'psk|tls' 'clear|plain|--insecure'
case_run "sealed: a key to a receiver with --insecure" \
	pair key clear '--insecure' 'TLS'
case_run "sealed: the receiver's certificate is of another name" \
	pair sender stranger-receiver 'name' 'certificate'
case_run "sealed: the sender's certificate is of another CA" \
	pair other-sender receiver 'certificate|refuse' 'CA|signed'
case_run "sealed: the receiver's certificate has expired" \
	pair sender expired-receiver 'expired' 'certificate'
case_run "sealed: the receiver is nobody's sender" \
	pair sender sender-as-receiver 'certificate' 'certificate'
case_run "sealed: the sender's certificate has expired" \
	pair expired-sender receiver 'certificate|expired' 'expired'
cases_end
