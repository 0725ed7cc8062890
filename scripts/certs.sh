#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# certs.sh: a CA and certificates to try pagetrim's TLS with, valid for 30
# days.  For tests and first steps only: the CA's key is beside them,
# unencrypted.
#
#     scripts/certs.sh DIR [NAME...]    make DIR and fill it
#
# NAMEs (host names or addresses) are added to localhost, 127.0.0.1 and ::1 as
# subject alternative names of receiver.pem.
#
#     ca.pem            signs those below            (--tls-ca, on both hosts)
#     receiver.pem      for `pagetrim receive`       (--tls-cert; -key: --tls-key)
#     sender.pem        for `pagetrim send`; its name is sender.pagetrim.test
#     nameless-sender.pem       for it, too, with a common name alone
# and, to be refused:
#     other-ca.pem, other-receiver.pem, other-sender.pem    of a CA not known
#     expired-receiver.pem, expired-sender.pem
#     stranger-receiver.pem     for stranger.pagetrim.test only
#     nameless-receiver.pem     localhost as common name, which counts for nothing
#     sender-as-receiver.pem    its extended key usage is a client's alone
# Each X.pem has its key in X-key.pem, mode 0600.
#
# CERTS_END (YYYYMMDDHHMMSSZ) is the end of the expired ones, instead of one in 2024.
#
# Exit: 0 made, 1 failed, 2 usage.
set -euo pipefail

say() { echo "certs: $*" >&2; }

# key NAME: makes a private key, never readable by others.
key()
{
	(umask 077 && openssl genpkey -quiet -algorithm EC \
		-pkeyopt ec_paramgen_curve:P-256 -out "$1-key.pem")
}

# authority NAME: makes a self-signed CA.
authority()
{
	key "$1"
	openssl req -x509 -new -key "$1-key.pem" -sha256 -days 30 \
		-subj "/CN=pagetrim test CA ($1)" -out "$1.pem" \
		-addext basicConstraints=critical,CA:true,pathlen:0 \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

# ca_config USAGE SAN: prints the configuration of openssl-ca(1), whose database
# is in the folder $books.
ca_config()
{
	cat <<-CONFIG
		[ca]
		default_ca = test
		[test]
		database = $books/index
		new_certs_dir = $books
		rand_serial = yes
		unique_subject = no
		default_md = sha256
		policy = policy
		x509_extensions = extensions
		[policy]
		commonName = supplied
		[extensions]
		basicConstraints = critical,CA:false
		keyUsage = critical,digitalSignature
		extendedKeyUsage = $1
		${2:+subjectAltName = $2}
	CONFIG
}

# certify NAME CA VALIDITY USAGE SAN [CN]: makes a certificate signed by CA;
# VALIDITY is valid or expired.  Only openssl-ca(1) takes an end in the past.
certify()
{
	local name=$1 ca=$2 usage=$4 san=$5 cn=${6:-pagetrim $1}
	local -a validity=(-days 30)

	[[ $3 == valid ]] ||
		validity=(-startdate 20240101000000Z -enddate
			"${CERTS_END:-20240201000000Z}")
	key "$name"
	ca_config "$usage" "$san" >"$books/config"
	{
		openssl req -new -key "$name-key.pem" -subj "/CN=$cn" \
			-out "$books/request" &&
		openssl ca -batch -notext -config "$books/config" \
			-cert "$ca.pem" -keyfile "$ca-key.pem" "${validity[@]}" \
			-in "$books/request" -out "$name.pem"
	} 2>"$books/log" || {
		say "$name: $(<"$books/log")"
		exit 1
	}
}

case ${1-} in
-h | --help)	sed -n '4,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
'')		say "no folder (see --help)"; exit 2 ;;
-*)		say "$1: not an option (see --help)"; exit 2 ;;
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
# openssl(1) would write into an existing file and keep its mode.
for file in *.pem; do
	[[ ! -e $file ]] || { say "$dir: holds $file already"; exit 1; }
done

books=$(mktemp -d)
trap 'rm -rf "$books"' EXIT
: >"$books/index"
sender=DNS:sender.pagetrim.test
authority ca
authority other-ca
certify receiver ca valid serverAuth "$san"
certify sender ca valid clientAuth "$sender"
certify nameless-sender ca valid clientAuth ''
certify other-receiver other-ca valid serverAuth "$san"
certify other-sender other-ca valid clientAuth "$sender"
certify expired-receiver ca expired serverAuth "$san"
certify expired-sender ca expired clientAuth "$sender"
certify stranger-receiver ca valid serverAuth DNS:stranger.pagetrim.test
certify nameless-receiver ca valid serverAuth '' localhost
certify sender-as-receiver ca valid clientAuth "$san"
