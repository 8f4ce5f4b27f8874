"""A Cluster is several nodes that share an election address of their own."""

import os
import re
import subprocess
import time
from pathlib import Path

from client import DEADLINE_S, wait_until
from node import Node, free_port
from sealing import write_secret

SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion .* failed")


class Cluster:
    """Nodes a, b, c, ... on one election address; none is started yet."""

    def __init__(self, folder, size=3, options=()):
        self.folder = Path(folder)
        self.election_port = free_port()
        self.options = list(options)
        self.secret = None  # 32 bytes; None: the test sees to it
        if "--secret-file" not in self.options:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.secret = write_secret(self.folder / "secret")
            self.options += ["--secret-file", str(self.folder / "secret")]
        self.closed = False  # its test is over; conftest.py's
        self.nodes = [self.new_node("abcdefghi"[i]) for i in range(size)]

    def new_node(self, name, port=None, options=(), folder=None):
        """A further node of this election address. It is the caller's to add to `nodes`."""
        return Node(folder or self.folder / name, self.election_port, name, [*self.options, *options], port)

    @property
    def forgets(self):
        """A node that ends comes back as another member."""
        return "--storage=memory" in self.options

    @property
    def running(self):
        return [n for n in self.nodes if n.is_running]

    def start(self):
        for node in self.nodes:
            node.start()
        return self

    def start_together(self, nodes=None):
        """Starts them at the same instant: each waits in a shell for the same pipe to be closed."""
        read_end, write_end = os.pipe()
        for node in nodes or self.nodes:
            node.start(gate=read_end)
        os.close(read_end)
        time.sleep(0.05)  # for the shells to come as far as the pipe
        os.close(write_end)

    def formed(self, nodes):
        """(leader, followers) when these nodes, and no others, are the voters of one cluster and agree on its
        leader, who serves; else why not."""
        abouts = [n.about() for n in nodes]
        leaders = [n for n, about in zip(nodes, abouts) if about["role"] == "leader"]
        if len(leaders) != 1:
            return None, f"{len(leaders)} leaders"
        if any(a["leader"] is None or a["leader"]["http"] != leaders[0].url for a in abouts):
            return None, "no agreement on the leader"
        states = [(a["role"], a["term"]) for a in abouts]
        if len({term for _, term in states}) != 1 or any(role == "candidate" for role, _ in states):
            return None, f"unsettled: {states}"
        if leaders[0].get("/readyz", timeout_s=2).status != 200:
            return None, "the leader has not committed anything in its term"
        views = [n.view() for n in nodes]
        if len({v["cluster_id"] for v in views}) != 1:
            return None, "different clusters"
        expected = sorted((n.name, n.url, about["id"], "voter") for n, about in zip(nodes, abouts))
        for view in views:
            members = sorted((m["name"], m["http"], m["id"], m["role"]) for m in view["members"])
            if members != expected:
                return None, f"members {members}"
        return (leaders[0], [n for n in nodes if n is not leaders[0]]), "formed"

    def wait_formed(self, nodes=None, deadline_s=DEADLINE_S):
        """Waits until the nodes (all that run) are one cluster of voters; (leader, followers)."""
        nodes = nodes or self.running
        reason = "nobody looked"

        def look():
            nonlocal reason
            self.check_alive()
            roles, reason = self.formed(nodes)
            return roles

        try:
            return wait_until(f"{nodes} form one cluster", look, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; {reason}") from None

    def check_alive(self):
        dead = [n for n in self.nodes if not n.expected_down and not n.is_running]
        if dead:
            raise RuntimeError(f"{dead} ended by itself with {[n.process.returncode for n in dead]}")

    def wait_leader(self, nodes=None):
        """The one among these (all that run) that leads, once there is exactly one and it may serve."""
        nodes = nodes or self.running

        def look():
            self.check_alive()
            leaders = [n for n in nodes if n.about()["role"] == "leader"]
            return leaders[0] if len(leaders) == 1 and leaders[0].get("/readyz").status == 200 else None

        return wait_until("a leader", look)

    def leaders_of_terms(self):
        """[(term, node, start)] of every leadership that a log speaks of, over all nodes and starts."""
        found = []
        for node in self.nodes:
            for start in range(1, node.starts + 1):
                terms = re.findall(r": leading term (\d+)", node.log(start))
                found += [(int(term), node.name, start) for term in terms]
        return found

    def shut_down(self):
        """SIGTERM to all that run; (node, exit status, the sanitizers' words) of those that did not end
        well."""
        stopped = self.running
        for node in stopped:
            # In this order: a SIGCONT during the exit would undo the SIGSTOP that LeakSanitizer works with.
            node.resume()
            node.terminate()
        bad = []
        for node in stopped:
            try:
                status = node.exit_status()
            except subprocess.TimeoutExpired:
                status = "still running"
            if status != 0:
                bad.append(f"{node} after SIGTERM: exit status {status}")
        return bad

    def complaints(self):
        """What sanitizers and assertions wrote, in any start of any node."""
        return [
            f"{node} start {start}: {found.group(0)}"
            for node in self.nodes
            for start in range(1, node.starts + 1)
            if (found := SANITIZER.search(node.log(start)))
        ]

    def kill_all(self):
        for node in self.nodes:
            node.kill()
