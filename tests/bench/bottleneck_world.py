# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""bottleneck_world: hosts a, b and c, the bottleneck between them, and what
runs there.  Everything is gone when its `with` ends."""
import json
import os
import re
import signal
import subprocess
import sys
import time

MTU = 1500
B_ADDR = "10.78.0.2"
ADDRS = {"a": "10.78.0.1", "b": B_ADDR, "c": "10.78.0.3"}
PATIENCE_S = 90

# Prints the time and the bytes that came in from a and c, every 20 ms.
SAMPLER = """
import sys, time
with open("/proc/net/dev") as file:
    while True:
        file.seek(0)
        counts = dict(line.split(":") for line in file.read().splitlines()[2:])
        counts = {dev.strip(): rest.split()[0] for dev, rest in counts.items()}
        print(time.time(), *(counts[dev] for dev in sys.argv[1:]), flush=True)
        time.sleep(0.02)
"""


def die(text):
    sys.exit(f"bottleneck: {text}")


def sh(command):
    done = subprocess.run(command.split(), capture_output=True, text=True)
    if done.returncode:
        die(f"{command}: {done.stderr.strip()}")
    return done.stdout


class NotEnded(Exception):
    """A transfer that is starved does not end in time."""


class World:
    def __init__(self, case, build, tmp):
        self.case, self.build, self.tmp = case, build, tmp
        self.ns = {h: f"pt-n{os.getpid()}-{h}" for h in "abcw"}
        self.children, self.cable = [], None

    def start(self, host, *command, out=subprocess.DEVNULL,
              err=subprocess.DEVNULL):
        child = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.ns[host]}", "--", *command],
            stdout=out, stderr=err, text=True)
        self.children.append(child)
        return child

    def inside(self, host, command):
        return sh(f"nsenter --net=/run/netns/{self.ns[host]} -- {command}")

    # ---------------------------------------------------------------- hosts

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        for ns in self.ns.values():
            sh(f"ip netns add {ns}")
        port = {"a": "p0", "c": "p1", "b": "p2"}
        for host, number in (("a", 1), ("b", 2), ("c", 3)):
            sh(f"ip link add eth0 netns {self.ns[host]} mtu {MTU} "
               f"numtxqueues 2 numrxqueues 2 type veth peer name "
               f"{port[host]} netns {self.ns['w']} mtu {MTU} "
               "numtxqueues 2 numrxqueues 2")
            self.inside(host, "ip link set lo up")
            self.inside(host, f"ip addr add {ADDRS[host]}/24 dev eth0")
            self.inside(host, "ethtool -K eth0 tso off gso off gro off tx off")
            self.inside(host, f"ip link set eth0 address "
                        f"02:70:78:00:00:0{number} up")
            self.inside("w", f"ethtool -K {port[host]} tso off gso off gro off")
        # Or frames in p2's queue would be on the account of the sender's socket,
        # which then waits: no cable does that.
        subprocess.run(["modprobe", "-q", "br_netfilter"], check=False)
        self.inside("w", "sysctl -qw net.bridge.bridge-nf-call-iptables=1")
        self.inside("w", f"ip link add br0 mtu {MTU} type bridge")
        ports = ["p0", "p1"]
        is_long = self.case["rtt_ms"] or self.case["loss_pm"]
        if is_long:
            self.inside("w", f"ip link add c0 mtu {MTU} type veth peer name "
                        f"c1 mtu {MTU}")
            ports.append("c0")
        else:
            ports.append("p2")
        for dev in ports:
            self.inside("w", f"ip link set {dev} master br0")
        for dev in ["br0", "p0", "p1", "p2"] + (["c0", "c1"] if is_long
                                                else []):
            self.inside("w", f"ip link set {dev} up")
        self.bottleneck()
        if is_long:
            self.cable_start()
        for host in "ac":
            for other in (B_ADDR, ADDRS["c" if host == "a" else "a"]):
                self.inside(host, f"ping -q -c 1 -w 5 {other}")
        self.receive_start()

    def bottleneck(self):
        rate = self.case["rate_mbps"]
        frame_sz = MTU + 14
        burst = max(3 * frame_sz, rate * 125 // 5)    # 200 us
        limit = max(4 * frame_sz,
                    int(rate * 125 * self.case["queue_ms"]))
        for words in (
                "qdisc add dev p2 root handle 1: htb default 1",
                f"class add dev p2 parent 1: classid 1:1 htb rate {rate}mbit "
                f"burst {burst} cburst {burst} quantum 60000",
                f"qdisc add dev p2 parent 1:1 handle 10: bfifo limit {limit}"):
            self.inside("w", f"tc {words}")

    def cable_start(self):
        err = open(f"{self.tmp}/cable.err", "w+", encoding="utf-8")
        self.cable = self.start(
            "w", f"{self.build}/tests/bench/cable",
            str(int(self.case["rtt_ms"] * 500)), str(self.case["loss_pm"]),
            "c1", "p2", err=err)
        self.wait_for(lambda: "ready" in self.read("cable.err"), "the cable")

    def cable_lost(self):
        """What it lost without meaning to."""
        if not self.cable:
            return 0
        self.cable.terminate()
        self.cable.wait()
        found = re.search(r"lost (\d+)", self.read("cable.err"))
        return int(found[1]) if found else 0

    def down(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for ns in self.ns.values():
            pids = subprocess.run(["ip", "netns", "pids", ns],
                                  capture_output=True, text=True).stdout
            for pid in pids.split():
                subprocess.run(["kill", "-9", pid], check=False)
            subprocess.run(["ip", "netns", "del", ns], check=False,
                           capture_output=True)

    # ----------------------------------------------------------- who is there

    def read(self, name):
        with open(f"{self.tmp}/{name}", encoding="utf-8") as file:
            return file.read()

    def wait_for(self, is_true, what, seconds=20):
        end = time.time() + seconds
        while not is_true():
            if time.time() > end:
                die(f"{what} is not ready")
            time.sleep(0.02)

    def receive_start(self):
        out = f"{self.tmp}/out"
        subprocess.run(["rm", "-rf", out], check=True)
        os.mkdir(out)
        err = open(f"{self.tmp}/receive.err", "w+", encoding="utf-8")
        self.receiver = self.start(
            "b", f"{self.build}/pagetrim", "receive", "--insecure", "--serve",
            "--dev", "eth0", "--listen", B_ADDR, "--out", out,
            "--queues", "2", err=err)
        self.wait_for(lambda: "listening on" in self.read("receive.err") or
                      self.receiver.poll() is not None, "the receiver")
        if self.receiver.poll() is not None:
            die(f"the receiver: {self.read('receive.err')}")

    def send_start(self, host, image):
        out = open(f"{self.tmp}/send-{host}.json", "w+", encoding="utf-8")
        err = open(f"{self.tmp}/send-{host}.err", "w+", encoding="utf-8")
        return {"host": host, "started": time.time(), "child": self.start(
            host, f"{self.build}/pagetrim", "send", "--insecure", "--json",
            "--dev", "eth0", "--to", B_ADDR, "--name", f"copy-{host}",
            "--queues", "2" if self.case["beside"] != "another" else "1",
            "--peer-timeout", "30", image, out=out, err=err)}

    def send_finish(self, send):
        try:
            code = send["child"].wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise NotEnded(f"no end in {PATIENCE_S} s") from None
        send["ended"] = os.stat(f"{self.tmp}/send-{send['host']}.json").st_mtime
        if code:
            die(f"send: exit {code}: "
                f"{self.read('send-' + send['host'] + '.err').strip()}")
        send["report"] = json.loads(self.read(f"send-{send['host']}.json"))

    def check(self, image, sends):
        for send in sends:
            copy = f"{self.tmp}/out/copy-{send['host']}"
            if subprocess.run(["cmp", image, copy]).returncode:
                die("the copy differs")
            if send["report"]["ledger"]["unaccounted"]:
                die(f"the ledger: {send['report']['ledger']}")

    # -------------------------------------------------------------- measuring

    def cubic_start(self):
        self.start("b", "iperf3", "-s", "-p", "5201")
        self.wait_for(lambda: "5201" in self.inside(
            "b", "ss -Hltn sport = :5201"), "iperf3")
        self.start("c", "iperf3", "-c", B_ADDR, "-p", "5201", "-t", "600",
                   "-C", "cubic")

    def ping_start(self):
        out = open(f"{self.tmp}/ping", "w+", encoding="utf-8")
        return self.start("a", "ping", "-D", "-n", "-i", "0.02", B_ADDR,
                          out=out)

    def pings(self, child):
        child.send_signal(signal.SIGINT)
        child.wait()
        return [(float(t), float(ms)) for t, ms in re.findall(
            r"\[([\d.]+)\].*time=([\d.]+) ms", self.read("ping"))]

    def sampler_start(self):
        out = open(f"{self.tmp}/samples", "w+", encoding="utf-8")
        return self.start("w", sys.executable, "-c", SAMPLER, "p0", "p1",
                          out=out)

    def samples(self, child):
        child.kill()
        child.wait()
        rows = [line.split() for line in self.read("samples").splitlines()]
        return [{"t": float(r[0]), "a": int(r[1]), "c": int(r[2])}
                for r in rows if len(r) == 3]
