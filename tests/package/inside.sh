#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# inside.sh: what the package pagetrim has put into a clean system, in a chroot.
# Exit: 0 as it should be, 1 the first fault.
set -euo pipefail

units=/lib/systemd/system
exposure_max=2.5	# of systemd-analyze security

die() { echo "inside: $*"; exit 1; }

is() { [[ $1 == "$2" ]] || die "'$1', want '$2'"; }

is "$(getent passwd pagetrim | cut -d: -f6,7)" /var/lib/pagetrim:/usr/sbin/nologin
is "$(stat -c '%U:%G %a' /etc/pagetrim)" 'root:root 755'
is "$(stat -c '%U:%G %a' /etc/pagetrim/keys)" 'root:pagetrim 750'
[[ $(pagetrim --version) == pagetrim\ [0-9]* ]] || die "no version"
for file in /etc/apparmor.d/pagetrim /usr/share/man/man8/pagetrim.8.gz /usr/share/man/man5/pagetrim.conf.5.gz \
	/usr/share/bash-completion/completions/pagetrim "$units/pagetrim-attach@.service"; do
	[[ -e $file ]] || die "no $file"
done
apparmor_parser --skip-kernel-load --skip-cache /etc/apparmor.d/pagetrim
# The example is a file that receive takes: it goes on to the key, which nobody
# made yet.
pagetrim receive --config /usr/share/doc/pagetrim/examples/receive.conf \
	--dev none 2>out && die "received without a key"
grep -q "^pagetrim receive: /etc/pagetrim/keys/psk: cannot read the key" out ||
	die "the example: $(<out)"

cp "$units/pagetrim-receive@.service" /tmp/pagetrim-receive@eth1.service
systemd-analyze security --offline=true --no-pager \
	/tmp/pagetrim-receive@eth1.service >analysis || true
tail -n 1 analysis
exposure=$(sed -n 's/^.* Overall exposure level.*: \([0-9.]*\) .*/\1/p' analysis)
[[ -n $exposure ]] || die "no exposure: $(<analysis)"
awk -v got="$exposure" -v max="$exposure_max" 'BEGIN { exit got >= max }' ||
	die "exposure $exposure, want less than $exposure_max"
