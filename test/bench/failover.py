#!/usr/bin/env python3
"""How long writes fail when the leader is killed: from `kill -9` to the next accepted write, seen by a client.

    python3 test/bench/failover.py BUILD/coracle [--rounds 20]

Three nodes on this machine. A client writes to the leader all the time, one document every few
milliseconds. In each round the leader is killed at a random moment; the client then tries both survivors,
each again 0.2 ms after it has refused, over connections that are open already. The killed node is started
again, and the next round begins when all three nodes are voters. At the end every acknowledged write must
be on every node as it was written; the exit status is 1 if one is missing, or if the cluster does not come
together again.

Everything happens in one loop over non-blocking sockets, so that the client costs the nodes little of the
machine."""

import argparse
import collections
import ctypes
import json
import math
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEADY_S = 0.005  # between writes while there is a leader
RETRY_S = 0.0002  # between a refusal and the next try at the same node, after the kill
BEFORE_KILL_S = (0.05, 0.25)  # of writing, drawn anew for each round
LOOK_S = 0.01  # between looks at the cluster while it comes together
ANSWER_S = 1.0  # a connection that has not answered by then is closed
DEADLINE_S = 30.0  # for anything that must happen at all
PAGE = 1000  # documents in one answer, at the end
LOG_LINES_SHOWN = 30

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    pass


def free_ports(n, kind):
    """Below the range of outgoing connections, so that no client sits on the port of a node that is down."""
    held = []
    while len(held) < n:
        probe = socket.socket(socket.AF_INET, kind)
        try:
            probe.bind(("127.0.0.1", random.randrange(10000, 32768)))
            held.append(probe)
        except OSError:
            probe.close()
    ports = [probe.getsockname()[1] for probe in held]
    for probe in held:
        probe.close()
    return ports


class Node:
    def __init__(self, binary, folder, name, port, election):
        self.folder, self.name, self.port = folder, name, port
        self.process = None
        self.arguments = [
            binary, "serve", "--election", f"127.0.0.1:{election}", "--http", f"127.0.0.1:{port}",
            "--name", name, "--data-dir", str(folder / name), "--secret-file", str(folder / "secret"),
        ]  # fmt: skip

    def start(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
            )

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def log_tail(self):
        lines = (self.folder / f"{self.name}.log").read_text(errors="replace").splitlines()
        return "\n".join([f"---- {self.name}", *lines[-LOG_LINES_SHOWN:]])


Answer = collections.namedtuple("Answer", "status head body")  # status 0: the connection failed


class Wire:
    """A connection to a node that is opened when it is needed and stays open. One request at a time."""

    def __init__(self, selector, node):
        self.selector, self.node = selector, node
        self.socket = None
        self.on_answer = None
        self.received = b""
        self.unsent = b""
        self.deadline = 0.0

    @property
    def is_idle(self):
        return self.on_answer is None

    def request(self, method, path, body, on_answer):
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.node.port}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.unsent = head.encode() + b"\r\n" + body
        self.on_answer = on_answer
        self.deadline = time.perf_counter() + ANSWER_S
        if self.socket is None:
            self._connect()
        else:
            self._send()

    def _connect(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", self.node.port))  # what goes wrong is told when it is written to
        self.selector.register(self.socket, selectors.EVENT_WRITE, self)

    def _send(self):
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.fail()
            return
        wanted = selectors.EVENT_WRITE if self.unsent else selectors.EVENT_READ
        self.selector.modify(self.socket, wanted, self)

    def _receive(self):
        try:
            piece = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.fail()
            return
        self.received += piece
        head, gap, rest = self.received.partition(b"\r\n\r\n")
        if not gap:
            return
        head = head.decode("latin-1").lower()
        length = int(field(head, "content-length") or 0)
        if len(rest) < length:
            return
        self.received = rest[length:]
        if field(head, "connection") == "close":
            self._hang_up()
        self._answer(Answer(int(head.split(" ", 2)[1]), head, rest[:length]))

    def handle(self, events):
        if events & selectors.EVENT_WRITE:
            self._send()
        else:
            self._receive()

    def _answer(self, answer):
        on_answer, self.on_answer = self.on_answer, None
        if on_answer is not None:
            on_answer(answer)

    def _hang_up(self):
        if self.socket is not None:
            self.selector.unregister(self.socket)
            self.socket.close()
        self.socket, self.received, self.unsent = None, b"", b""

    def fail(self):
        self._hang_up()
        self._answer(Answer(0, "", b""))


def field(head, name):
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return None


class Bench:
    def __init__(self, binary, folder):
        (election,) = free_ports(1, socket.SOCK_DGRAM)
        ports = free_ports(3, socket.SOCK_STREAM)
        self.nodes = [Node(binary, folder, name, port, election) for name, port in zip("abc", ports)]
        self.selector = selectors.SelectSelector()  # epoll would round its timeouts up to a millisecond
        self.writers = {node: Wire(self.selector, node) for node in self.nodes}
        self.lookers = {node: Wire(self.selector, node) for node in self.nodes}
        self.targets = list(self.nodes)  # whom the client writes to: the leader, or all that may lead
        self.pause_s = STEADY_S  # after an answer
        self.next_write = {node: 0.0 for node in self.nodes}
        self.written = 0
        self.acknowledged = {}  # id: body
        self.last = (0.0, None)  # when the newest acknowledgement came, and from which node
        self.views = {}

    # ---- the loop

    def turn(self):
        """The client writes where it should, and whatever has arrived is handled."""
        now = time.perf_counter()
        for node in self.targets:
            if self.writers[node].is_idle and self.next_write[node] <= now:
                self.write(node)
        for key, events in self.selector.select(RETRY_S / 2):
            key.data.handle(events)
        for wire in (*self.writers.values(), *self.lookers.values()):
            if not wire.is_idle and wire.deadline < now:
                wire.fail()

    def run_until(self, what, condition):
        deadline = time.perf_counter() + DEADLINE_S
        while not condition():
            if time.perf_counter() > deadline:
                raise Failure(f"{what}: not within {DEADLINE_S:.0f} s; {self.views}")
            self.turn()

    def run_for(self, seconds):
        end = time.perf_counter() + seconds
        self.run_until("time passes", lambda: time.perf_counter() >= end)

    # ---- writing

    def write(self, node):
        """Every attempt has an id of its own, so that no answer is taken for another's."""
        self.written += 1
        document_id = f"w{self.written:08}"
        body = b'{"id":"%s","by":"%s","n":%d}' % (document_id.encode(), node.name.encode(), self.written)
        self.writers[node].request(
            "PUT",
            f"/v1/collections/writes/{document_id}",
            body,
            lambda answer: self.on_written(node, document_id, body, answer),
        )

    def on_written(self, node, document_id, body, answer):
        now = time.perf_counter()
        self.next_write[node] = now + self.pause_s
        if answer.status // 100 == 2:
            self.acknowledged[document_id] = body
            self.last = (now, node)
        elif answer.status == 307 and len(self.targets) == 1:
            where = field(answer.head, "location") or ""
            self.targets = [n for n in self.nodes if f"//127.0.0.1:{n.port}/" in where] or self.targets

    # ---- looking

    def look(self, node):
        def on_answer(answer):
            self.views[node] = json.loads(answer.body) if answer.status == 200 else None

        if self.lookers[node].is_idle:
            self.lookers[node].request("GET", "/v1/cluster", b"", on_answer)

    def is_formed(self):
        """Every node says that these three are the voters, and who of them leads."""
        views = [self.views.get(node) for node in self.nodes]
        if not all(view and view["cluster_id"] and view["leader"] for view in views):
            return False
        nodes = {view["self"] for view in views}
        return (
            len({view["cluster_id"] for view in views}) == 1
            and len({view["leader"]["id"] for view in views}) == 1
            and all({m["id"] for m in view["members"] if m["role"] == "voter"} == nodes for view in views)
        )

    def wait_formed(self):
        self.views = {}
        next_look = 0.0

        def formed():
            nonlocal next_look
            now = time.perf_counter()
            if now >= next_look:
                next_look = now + LOOK_S
                for node in self.nodes:
                    self.look(node)
            for node in self.nodes:
                if node.process.poll() is not None:
                    raise Failure(f"{node.name} ended by itself with {node.process.returncode}")
            return self.is_formed()

        self.run_until("three voters under one leader", formed)
        leader = self.views[self.nodes[0]]["leader"]["id"]
        return next(node for node in self.nodes if self.views[node]["self"] == leader)

    # ---- the rounds

    def round(self):
        """(seconds from the kill to the next accepted write, seconds from the restart to three voters)."""
        leader = self.wait_formed()
        self.targets, self.pause_s = [leader], STEADY_S
        self.run_for(random.uniform(*BEFORE_KILL_S))
        survivors = [node for node in self.nodes if node is not leader]
        self.connect(survivors)

        killed_at = time.perf_counter()
        os.kill(leader.process.pid, signal.SIGKILL)
        self.targets, self.pause_s = survivors, RETRY_S
        self.run_until("a write is accepted", lambda: self.last[1] in survivors and self.last[0] > killed_at)
        accepted_at, successor = self.last

        self.writers[leader].fail()
        self.lookers[leader].fail()
        leader.process.wait()
        self.targets, self.pause_s = [successor], STEADY_S
        restarted_at = time.perf_counter()
        leader.start()
        self.wait_formed()
        return accepted_at - killed_at, time.perf_counter() - restarted_at

    def connect(self, nodes):
        """A read over each writing connection leaves it open for what comes."""
        answers = {}
        for node in nodes:
            self.run_until("an idle connection", lambda node=node: self.writers[node].is_idle)
            self.writers[node].request("GET", "/", b"", lambda a, node=node: answers.update({node: a}))
        self.run_until("followers answer", lambda: len(answers) == len(nodes))

    # ---- the end

    def documents(self, node):
        """All that a node has: {id: body}."""
        found, after, pages = {}, "", []
        while True:
            path = f"/v1/collections/writes?limit={PAGE}" + (f"&after={after}" if after else "")
            self.run_until("an idle connection", lambda: self.lookers[node].is_idle)
            pages.clear()
            self.lookers[node].request("GET", path, b"", pages.append)
            self.run_until(f"{node.name} lists its documents", lambda: pages)
            if pages[0].status != 200:
                raise Failure(f"{node.name} answered {pages[0].status} to {path}")
            page = json.loads(pages[0].body)
            found.update((document["id"], document) for document in page)
            if len(page) < PAGE:
                return found
            after = page[-1]["id"]

    def missing(self):
        """Acknowledged writes that some node does not have as they were, once all have the last of them."""
        self.wait_formed()
        self.run_until("the client has its last answer", self.client_is_done)
        last = max(self.acknowledged)
        expected = {document_id: json.loads(body) for document_id, body in self.acknowledged.items()}
        missing = []
        for node in self.nodes:
            deadline = time.perf_counter() + DEADLINE_S
            found = self.documents(node)
            while last not in found and time.perf_counter() < deadline:
                found = self.documents(node)
            missing += [f"{i} on {node.name}" for i, document in expected.items() if found.get(i) != document]
        return missing

    def client_is_done(self):
        self.targets = []
        return all(wire.is_idle for wire in self.writers.values())


def quantile(values, part):
    """By nearest rank."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def measure(bench, rounds):
    for node in bench.nodes:
        node.start()
    took_ms = []
    for i in range(rounds):
        failover_s, return_s = bench.round()
        took_ms.append(failover_s * 1000)
        print(
            f"round {i + 1:2}: next accepted write after {took_ms[-1]:7.2f} ms; "
            f"three voters {return_s * 1000:5.0f} ms after the restart",
            flush=True,
        )
    missing = bench.missing()
    print(
        f"{rounds} rounds, milliseconds from kill -9 to the next accepted write: "
        f"min {min(took_ms):.2f}, median {quantile(took_ms, 0.5):.2f}, p90 {quantile(took_ms, 0.9):.2f}, "
        f"max {max(took_ms):.2f}"
    )
    print(f"{len(bench.acknowledged)} acknowledged writes, {len(missing)} missing {' '.join(missing[:10])}")
    return not missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    folder = Path(tempfile.mkdtemp(prefix="coracle-failover-"))
    binary = os.path.abspath(options.binary)
    subprocess.run([binary, "secret", "generate", str(folder / "secret")], check=True)
    bench = Bench(binary, folder)
    try:
        return 0 if measure(bench, options.rounds) else 1
    except Failure as failure:
        print(f"failed: {failure}", file=sys.stderr)
        print("\n".join(node.log_tail() for node in bench.nodes), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        for node in bench.nodes:
            node.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
