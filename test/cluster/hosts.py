"""Hosts for the tests: network namespaces of our own, each with one address, joined by a bridge that the
test's process is on as well. Between them nftables makes the weather: partitions, and lost datagrams.

Needs root, `ip` and `nft`; `why_not()` says what is missing. Whatever a run made goes away with it; namespaces
have the run's process id in their names, so that runs do not meet."""

import os
import shutil
import subprocess

from cluster import Cluster
from node import Node

PREFIX_BITS = 24
ELECTION_PORT = 8000
HTTP_PORT = 8001


def command(*words, stdin=None):
    done = subprocess.run(words, input=stdin, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


def entering(namespace):
    """What to put before a command. (`ip netns exec` mounts /sys anew as well, which a chroot refuses.)"""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def why_not():
    """None when hosts can be made here, else what it takes."""
    if os.geteuid() != 0:
        return "making network namespaces takes root"
    missing = [tool for tool in ("ip", "nft", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"cp{os.getpid()}"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        probe = subprocess.run([*entering(name), "true"], capture_output=True, text=True, check=False)
        command("ip", "netns", "del", name)
    return f"no network namespaces here: {probe.stderr.strip()}" if probe.returncode != 0 else None


class Host:
    """One namespace with one address. Its firewall drops what `cut` and `lose` say, on the way in."""

    def __init__(self, network, number):
        self.namespace = f"{network.name}h{number}"
        self.address = f"{network.prefix}.{number}"
        outer = f"{network.name}v{number}"
        command("ip", "netns", "add", self.namespace)
        command("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        command("ip", "link", "set", outer, "master", network.bridge, "up")
        self.run("ip", "addr", "add", f"{self.address}/{PREFIX_BITS}", "dev", "eth0")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "eth0", "up")
        self.cut_from, self.cut_protocols, self.loss_percent = [], [], 0
        self._apply()

    def run(self, *words, stdin=None):
        return command(*entering(self.namespace), *words, stdin=stdin)

    def _apply(self):
        rules = [
            f"ip saddr {other.address} {f'meta l4proto {protocol} ' if protocol else ''}counter drop"
            for other in self.cut_from
            for protocol in self.cut_protocols
        ]
        if self.loss_percent:
            rules.append(f"meta l4proto udp numgen random mod 100 < {self.loss_percent} counter drop")
        body = "".join(f"    {rule}\n" for rule in rules)
        self.run(
            "nft", "-f", "-",
            stdin="table ip weather\ndelete table ip weather\ntable ip weather {\n  chain in {\n"
            f"    type filter hook input priority 0; policy accept;\n{body}  }}\n}}\n",
        )  # fmt: skip

    def cut(self, others, protocols=("",)):
        """Nothing of these protocols ("udp", "tcp"; "": any) comes in from those hosts any more."""
        self.cut_from, self.cut_protocols = [h for h in others if h is not self], list(protocols)
        self._apply()

    def lose(self, percent):
        """So many of the datagrams that come in are lost."""
        self.loss_percent = percent
        self._apply()

    def dropped(self):
        """Packets that the firewall has dropped since its rules were last changed."""
        listing = self.run("nft", "list", "table", "ip", "weather").split()
        return sum(int(listing[i + 1]) for i, word in enumerate(listing) if word == "packets")


class Network:
    """A bridge, and hosts on it; the test's process reaches them at their addresses."""

    def __init__(self, size):
        pid = os.getpid()
        self.name = f"c{pid}"
        self.bridge = f"{self.name}b"
        self.prefix = f"10.{100 + pid % 100}.{pid // 100 % 250}"
        self.hosts = []
        try:
            command("ip", "link", "add", self.bridge, "type", "bridge")
            command("ip", "addr", "add", f"{self.prefix}.254/{PREFIX_BITS}", "dev", self.bridge)
            command("ip", "link", "set", self.bridge, "up")
            for number in range(1, size + 1):
                self.hosts.append(Host(self, number))
        except BaseException:
            self.close()
            raise

    def partition(self, *sides, protocols=("",)):
        """Hosts of one side hear only their own side."""
        for side in sides:
            for host in side:
                host.cut([h for other in sides if other is not side for h in other], protocols)

    def heal(self):
        for host in self.hosts:
            host.cut([])
            host.lose(0)

    def close(self):
        names = [line.split()[0] for line in command("ip", "netns", "list").splitlines() if line]
        for namespace in names:
            if namespace.startswith(f"{self.name}h"):
                command("ip", "netns", "del", namespace)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)


class HostNode(Node):
    """A node on a host of its own, started with --peers."""

    def __init__(self, folder, host, name, peers, options=()):
        super().__init__(folder, ELECTION_PORT, name, options, HTTP_PORT)
        self.place = host
        self.host = host.address
        self.peers = peers

    def arguments(self):
        arguments = super().arguments()
        arguments[arguments.index("--election") + 1] = f"{self.host}:{ELECTION_PORT}"
        arguments += ["--peers", ",".join(f"{h.address}:{ELECTION_PORT}" for h in self.peers)]
        return [*entering(self.place.namespace), *arguments]


class HostCluster(Cluster):
    """One node on each host of a network."""

    def __init__(self, folder, network, options=()):
        self.network = network
        super().__init__(folder, len(network.hosts), options)

    def new_node(self, name, port=None, options=(), folder=None):
        host = self.network.hosts["abcdefghi".index(name)]
        options = [*self.options, *options]
        return HostNode(folder or self.folder / name, host, name, self.network.hosts, options)
