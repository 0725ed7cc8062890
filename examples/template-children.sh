#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# template-children.sh NAME SIZE_MIB COUNT DIR [QEMU-ARGUMENT...]: starts COUNT QEMUs
# from the template NAME, whose small file `state` is the state of its devices.  Each
# gets a folder DIR/N with its monitor qmp.sock, console serial.log and qemu.pid.
#
#     template --private mapping--> QEMU 1: disk overlay 1, generation ID 1, MAC address 1
#              `-private mapping--> QEMU 2: disk overlay 2, generation ID 2, MAC address 2
#
# A child is a new guest.  What must be its own:
#   disk            {n} in an argument is the child's number:
#                   -drive file=overlay-{n}.qcow2,... , made before by
#                   qemu-img create -f qcow2 -b base.qcow2 -F qcow2 overlay-1.qcow2
#   generation ID   -device vmgenid,guid=auto, if the template's QEMU has the device too
#   MAC address     the state has that of the template's card; plug in a card with one of
#                   the child's own after the start:
#                   device_add {"driver": "virtio-net-pci", "mac": "52:54:00:..."}
#   name, addresses in the guest, by its agent, or when the generation ID changes
#
# The machine and its devices must be those of the QEMU that saved the state.
#
# Environment: QEMU (default qemu-system-x86_64), FOLDER of templates.
set -euo pipefail

[[ $# -ge 4 ]] || { echo "usage: $0 NAME SIZE_MIB COUNT DIR [QEMU-ARGUMENT...]" >&2; exit 2; }
name=$1 size_mib=$2 count=$3 dir=$4
shift 4

found=$("${PAGETRIM:-pagetrim}" template get "$name" ${FOLDER:+--folder "$FOLDER"})
memory=$(head -n 1 <<<"$found")
state=$(grep '/state$' <<<"$found")

# qmp SOCKET: sends the commands on stdin, one a line, to a monitor, and fails if one
# is refused, or if the migration that they begin does not complete.
qmp()
{
	python3 -c '
import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
json.loads(lines.readline())
for command in sys.stdin:
    print(command, file=lines, flush=True)
    for line in lines:
        answer = json.loads(line)
        if "error" in answer:
            sys.exit(answer["error"]["desc"])
        status = answer.get("data", {}).get("status")
        if status == "failed":
            sys.exit("the state cannot be loaded")
        if status == "completed" or ("return" in answer and "incoming" not in command):
            break
' "$1"
}

for ((n = 1; n <= count; n++)); do
	mkdir -p "$dir/$n"
	"${QEMU:-qemu-system-x86_64}" -m "$size_mib" -machine memory-backend=ram \
		-object "memory-backend-file,id=ram,size=${size_mib}M,share=off,align=2M,mem-path=$memory" \
		-serial "file:$dir/$n/serial.log" \
		-qmp "unix:$dir/$n/qmp.sock,server=on,wait=off" \
		-pidfile "$dir/$n/qemu.pid" -daemonize -incoming defer "${@//\{n\}/$n}"
	qmp "$dir/$n/qmp.sock" <<-COMMANDS
	{"execute": "qmp_capabilities"}
	{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "events", "state": true}, {"capability": "x-ignore-shared", "state": true}]}}
	{"execute": "migrate-incoming", "arguments": {"uri": "exec:cat '$state'"}}
	{"execute": "cont"}
	COMMANDS
done
