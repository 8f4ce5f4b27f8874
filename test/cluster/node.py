"""A Node is one `coracle serve` process, which can be started any number of times.

Its ports lie below the kernel's ephemeral range: a port that the kernel may hand to somebody's unbound socket
is not free for long. The process dies with the test's process (PDEATHSIG). Each start has files of its own
for stdout and stderr; conftest.py prints them when a test fails."""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import client
import kernel
from client import DEADLINE_S, LOOPBACK, Connection, document_path, wait_until

BINARY = os.environ.get("CORACLE_BIN", "")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

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

    host = LOOPBACK  # where its HTTP port is

    def __init__(self, folder, election_port, name, options=(), port=None, log_level="info"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.election_port = election_port
        self.name = name
        self.port = port or free_port()
        self.options = list(options)
        self.log_level = log_level
        self.data_dir = self.folder / "data"
        self.environment = {}  # beside what clean_environment() leaves
        self.wrapper = []  # a command to be run with the node's as its arguments
        self.starts = 0
        self.process = None
        self.expected_down = True  # a process that ends while this is false fails its test

    def __repr__(self):
        return f"<node {self.name} on {self.port}>"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

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
        command = [*self.wrapper, *self.arguments()]
        if gate is not None:
            command = ["/bin/sh", "-c", 'read -r line; exec "$@" </dev/null', "sh", *command]
        with open(self._file("out"), "wb") as out, open(self._file("err"), "wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=gate if gate is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environment(self.folder) | self.environment,
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

    def wipe(self):
        """As a disk that was replaced."""
        assert not self.is_running, self
        shutil.rmtree(self.data_dir)

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
        return client.request(self.port, method, path, body, headers, timeout_s, self.host)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def put(self, document_id, body, collection="items", **options):
        return self.request("PUT", document_path(collection, document_id), body, **options)

    def connect(self):
        return Connection(self.port, host=self.host)

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
