#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# certs.sh: a CA and certificates to try pagetrim's TLS with, valid for 30 days.
# For tests and first steps: the CA's key lies beside them, unencrypted.
#
#     scripts/certs.sh DIR [NAME...]    make DIR and fill it
#
# NAMEs (host names or addresses) are added to localhost, 127.0.0.1 and ::1 as
# subject alternative names of receiver.pem.
#
#     ca.pem            signs those below            (--tls-ca, on both hosts)
#     receiver.pem      for `pagetrim receive`       (--tls-cert; -key: --tls-key)
#     sender.pem        for `pagetrim send`; its name is sender.pagetrim.test
# and, to be refused:
#     other-ca.pem, other-receiver.pem, other-sender.pem    of a CA not known
#     expired-receiver.pem, expired-sender.pem
#     stranger-receiver.pem     for stranger.pagetrim.test only
#     nameless-receiver.pem     localhost as common name, which counts for nothing
#     sender-as-receiver.pem    its extended key usage is a client's alone
# Each X.pem has its key in X-key.pem, mode 0600.
#
# Exit: 0 made, 1 failed, 2 usage.
set -euo pipefail

say() { echo "certs: $*" >&2; }

# key NAME: a private key, never readable by others.
key()
{
	(umask 077 && openssl genpkey -quiet -algorithm EC \
		-pkeyopt ec_paramgen_curve:P-256 -out "$1-key.pem")
}

# authority NAME: a CA that signs itself.
authority()
{
	key "$1"
	openssl req -x509 -new -key "$1-key.pem" -sha256 -days 30 \
		-subj "/CN=pagetrim test CA ($1)" -out "$1.pem" \
		-addext basicConstraints=critical,CA:true,pathlen:0 \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

# certify NAME CA DAYS USAGE SAN [CN]: a certificate that CA signs.
certify()
{
	local name=$1 ca=$2 days=$3 usage=$4 san=$5 cn=${6:-pagetrim $1}

	key "$name"
	openssl req -new -key "$name-key.pem" -subj "/CN=$cn" |
		openssl x509 -req -CA "$ca.pem" -CAkey "$ca-key.pem" -sha256 \
			-days "$days" -out "$name.pem" -extfile <(
				echo "basicConstraints=critical,CA:false"
				echo "keyUsage=critical,digitalSignature"
				echo "extendedKeyUsage=$usage"
				[[ -z $san ]] || echo "subjectAltName=$san"
			) 2>"$name.log" || {
		say "$name: $(<"$name.log")"
		exit 1
	}
	rm "$name.log"
}

case ${1-} in
-h | --help)	sed -n '4,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
'' | -*)	say "usage: certs.sh DIR [NAME...] (see --help)"; exit 2 ;;
esac
hash openssl 2>/dev/null || { say "no openssl(1): run scripts/deps.sh"; exit 1; }

dir=$1
shift
san=DNS:localhost,IP:127.0.0.1,IP:::1
for name; do
	if [[ $name == *:* || $name =~ ^[0-9.]+$ ]]; then
		san+=,IP:$name
	else
		san+=,DNS:$name
	fi
done

mkdir -p -- "$dir"
cd -- "$dir"
# openssl(1) would write into what stands there, with the mode that it has.
for file in *.pem; do
	[[ ! -e $file ]] || { say "$dir: holds $file already"; exit 1; }
done

sender=DNS:sender.pagetrim.test
authority ca
authority other-ca
certify receiver ca 30 serverAuth "$san"
certify sender ca 30 clientAuth "$sender"
certify other-receiver other-ca 30 serverAuth "$san"
certify other-sender other-ca 30 clientAuth "$sender"
certify expired-receiver ca -1 serverAuth "$san"
certify expired-sender ca -1 clientAuth "$sender"
certify stranger-receiver ca 30 serverAuth DNS:stranger.pagetrim.test
certify nameless-receiver ca 30 serverAuth '' localhost
certify sender-as-receiver ca 30 clientAuth "$san"
