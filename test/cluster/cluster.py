"""Real coracle processes: a Node is one, a Cluster is several that share an election address.

Every cluster has ports of its own, below the kernel's ephemeral range: a port that the kernel may hand to
somebody's unbound socket is not free for long. Processes die with the test's process (PDEATHSIG) and at the
end of the test, whatever happens. Each start of a node has files of its own for stdout and stderr;
conftest.py prints them when a test fails."""

import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import client
import kernel
from client import DEADLINE_S, Connection, document_path, wait_until

BINARY = os.environ.get("CORACLE_BIN", "")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|Assertion .* failed")

_ports_given = set()


def free_port():
    """A port free for UDP and TCP that no other test of this run was given."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    highest = lowest_ephemeral if lowest_ephemeral > 12000 else 65536
    for _ in range(1000):
        port = random.randrange(10240, highest)
        if port in _ports_given:
            continue
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        _ports_given.add(port)
        return port
    raise AssertionError("no free port found in 1000 tries")


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def clean_environment(home):
    """Nothing of the caller's that could set an option, but what the sanitizers are told."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG") or k.endswith("SAN_OPTIONS")}
    return kept | {"HOME": str(home)}


class Node:
    """One `coracle serve` process, started any number of times. The process must be started from the main
    thread: the kernel sends PDEATHSIG when the thread that started it ends."""

    def __init__(self, folder, election_port, name, options=(), port=None, log_level="info"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.election_port = election_port
        self.name = name
        self.port = port or free_port()
        self.options = list(options)
        self.log_level = log_level
        self.data_dir = self.folder / "data"
        self.starts = 0
        self.process = None
        self.expected_down = True  # a process that ends while this is false fails its test

    def __repr__(self):
        return f"<node {self.name} on {self.port}>"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}"

    def arguments(self):
        return [
            BINARY, "serve", "--election", f"127.0.0.1:{self.election_port}", "--http", self.address,
            "--name", self.name, "--data-dir", str(self.data_dir), "--log-level", self.log_level,
            *self.options,
        ]  # fmt: skip

    # ---- the process

    def start(self, gate=None):
        """`gate` is the read end of a pipe: the node starts when all write ends are closed."""
        assert not self.is_running, self
        self.starts += 1
        command = self.arguments()
        if gate is not None:
            command = ["/bin/sh", "-c", 'read -r line; exec "$@" </dev/null', "sh", *command]
        with open(self._file("out"), "wb") as out, open(self._file("err"), "wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=gate if gate is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environment(self.folder),
                preexec_fn=die_with_parent,
            )
        self.expected_down = False
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As `kill -9`; returns when the process is gone and its sockets with it."""
        self.expected_down = True
        if self.is_running:
            self.process.kill()
        if self.process is not None:
            self.process.wait(DEADLINE_S)

    def terminate(self, number=signal.SIGTERM):
        self.expected_down = True
        self.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Asks it to end and returns its exit status: 0, unless something went wrong or a sanitizer found a
        leak."""
        self.terminate(number)
        return self.exit_status()

    def exit_status(self):
        return self.process.wait(DEADLINE_S)

    def pause(self):
        """SIGSTOP, and waits until the process has really stopped."""
        self.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        wait_until(f"{self} stopped", lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")

    def resume(self):
        self.send_signal(signal.SIGCONT)

    # ---- its log

    def _file(self, suffix, start=None):
        return self.folder / f"{start or self.starts}.{suffix}"

    def log(self, start=None):
        """What this start (or another) has written to stderr so far."""
        return self._file("err", start).read_text(errors="replace")

    def log_files(self):
        return [self._file(suffix, s) for s in range(1, self.starts + 1) for suffix in ("out", "err")]

    def logged(self, pattern):
        return re.search(pattern, self.log())

    def wait_logged(self, pattern):
        return wait_until(f"{self} logs {pattern!r}", lambda: self.logged(pattern))

    # ---- its HTTP port

    def request(self, method, path, body=None, headers=None, timeout_s=DEADLINE_S):
        return client.request(self.port, method, path, body, headers, timeout_s)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def put(self, document_id, body, collection="items", **options):
        return self.request("PUT", document_path(collection, document_id), body, **options)

    def connect(self):
        return Connection(self.port)

    def about(self):
        """GET /, quickly: for polling a node that may not answer yet."""
        return self.get("/", timeout_s=2).json()

    def view(self):
        """GET /v1/cluster: the cluster as this node sees it."""
        return self.get("/v1/cluster", timeout_s=2).json()

    # ---- its UDP sockets

    @property
    def holds_election_port(self):
        return kernel.holds_udp_port(self.pid, self.election_port)

    def own_udp_port(self):
        """The port of the socket that it has for life, beside the election address."""
        (port,) = [p for p in kernel.udp_ports_of(self.pid) if p != self.election_port]
        return port


class Cluster:
    """Nodes a, b, c, ... on one election address; none is started yet."""

    def __init__(self, folder, size=3, options=()):
        self.folder = Path(folder)
        self.election_port = free_port()
        self.options = list(options)
        self.closed = False  # its test is over; conftest.py's
        self.nodes = [self.new_node("abcdefghi"[i]) for i in range(size)]

    def new_node(self, name, port=None, options=(), folder=None):
        """A further node of this election address. It is the caller's to add to `nodes`."""
        return Node(folder or self.folder / name, self.election_port, name, [*self.options, *options], port)

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
        leader; else why not."""
        abouts = [n.about() for n in nodes]
        leaders = [n for n, about in zip(nodes, abouts) if about["role"] == "leader"]
        if len(leaders) != 1:
            return None, f"{len(leaders)} leaders"
        if any(a["leader"] is None or a["leader"]["http"] != leaders[0].url for a in abouts):
            return None, "no agreement on the leader"
        states = [(a["role"], a["term"]) for a in abouts]
        if len({term for _, term in states}) != 1 or any(role == "candidate" for role, _ in states):
            return None, f"unsettled: {states}"
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
