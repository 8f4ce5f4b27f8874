"""A PeerCluster is several nodes with an election address each, as on several hosts: on addresses of loopback
(127.0.0.1, 127.0.0.2, ... or ::1) instead of hosts."""

import ipaddress

from cluster import Cluster
from node import BINARY, Node, free_port


def text(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class PeerNode(Node):
    """One of them. `peers` and `http` may be changed before a start."""

    def __init__(self, folder, host, election_port, name, options=(), port=None):
        super().__init__(folder, election_port, name, options, port)
        self.host = host
        self.peers = []  # of texts
        self.http = None  # what --http gets; None: its address

    @property
    def address(self):
        return text(self.host, self.port)

    @property
    def election(self):
        return text(self.host, self.election_port)

    def arguments(self):
        return [
            BINARY, "serve", "--election", self.election, "--peers", ",".join(self.peers), "--http",
            self.http or self.address, "--name", self.name, "--data-dir", str(self.data_dir),
            "--log-level", self.log_level, *self.options,
        ]  # fmt: skip


class PeerCluster(Cluster):
    """Nodes a, b, c, ... with these hosts, the lowest election address first; none is started yet."""

    def __init__(self, folder, hosts, options=()):
        super().__init__(folder, 0, options)
        places = sorted((ipaddress.ip_address(host), free_port()) for host in hosts)
        for name, (host, port) in zip("abcdefghi", places):
            self.nodes.append(self.new_peer(name, str(host), port))
        for node in self.nodes:
            node.peers = [n.election for n in self.nodes]

    def new_peer(self, name, host, election_port=None):
        folder = self.folder / name
        return PeerNode(folder, host, election_port or free_port(), name, self.options)

    @property
    def lowest(self):
        return self.nodes[0]

    def founders(self):
        """Who has founded a cluster, in any start: names, one for each founding."""
        return [
            node.name
            for node in self.nodes
            for start in range(1, node.starts + 1)
            for line in node.log(start).splitlines()
            if "founded cluster" in line
        ]
