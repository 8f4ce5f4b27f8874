#!/usr/bin/env python3
"""How long a node with many documents takes from its start to its first answer, and how much disk it uses.

    python3 test/bench/restart.py BUILD/coracle [--documents 1000000] [--restarts 5]

A single node, and then three, get a million documents of 140 bytes over HTTP. They are killed and started
again several times, twice over: when the log holds all of them, and when a snapshot does, after writing went
on until the log was compacted. What is measured is the time from starting the process to the first 200 for a
linearizable read of a document, and, after the compaction, the bytes that the data directory takes of the disk.
The exit status is 1 if a document is missing or old afterwards."""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from failover import Failure, Node, free_ports

DOCUMENT_BYTES = 140
CONNECTIONS = 4
PIPELINED = 250  # requests on their way on one connection
DEADLINE_S = 120.0
POLL_S = 0.001
COMPACT_LATER = 1 << 40
COMPACT_AT = 64 << 20


def identifier(number):
    return f"d{number:08}"


def body_of(number, generation):
    """A document of exactly so many bytes."""
    start = f'{{"id":"{identifier(number)}","generation":{generation},"filling":"'
    return start + "x" * (DOCUMENT_BYTES - len(start) - 2) + '"}'


def put(number, generation):
    body = body_of(number, generation)
    return (
        f"PUT /v1/collections/d/{identifier(number)} HTTP/1.1\r\nHost: localhost\r\nPrefer: return=minimal\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


class Pipe:
    """A connection with many writes under way."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.due = 0

    def send(self, requests):
        self.socket.sendall("".join(requests).encode())
        self.due += len(requests)

    def finish(self):
        """Waits for all answers; each must be a success."""
        received = b""
        while received.count(b"\r\n\r\n") < self.due:
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise Failure("a node closed a connection")
            received += piece
        if received.count(b"HTTP/1.1 2") != self.due:
            raise Failure(f"a write was refused: {received[-400:]}")
        self.due = 0


def get(node, path, timeout_s=DEADLINE_S):
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def view_of(node):
    return json.loads(get(node, "/v1/cluster")[1])


def cpu_seconds(pid):
    """So far, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(folder):
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


class Bench:
    def __init__(self, binary, folder, size, documents):
        (election,) = free_ports(1, socket.SOCK_DGRAM)
        self.folder, self.documents = folder, documents
        self.nodes = [
            Node(binary, folder, name, port, election)
            for name, port in zip("abc"[:size], free_ports(size, socket.SOCK_STREAM))
        ]
        self.arguments = {node: node.arguments for node in self.nodes}
        self.generations = [0] * documents
        self.generation = 0

    def start(self, compact_bytes):
        for node in self.nodes:
            node.arguments = [*self.arguments[node], "--compact-bytes", str(compact_bytes)]
            node.start()

    def kill(self):
        for node in self.nodes:
            os.kill(node.process.pid, signal.SIGKILL)
        for node in self.nodes:
            node.process.wait()

    def stop(self):
        for node in self.nodes:
            os.kill(node.process.pid, signal.SIGTERM)
        if any(node.process.wait() != 0 for node in self.nodes):
            raise Failure("a node did not end well")

    def wait(self, what, look):
        deadline = time.perf_counter() + DEADLINE_S
        while True:
            try:
                found = look()
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                found = None
            if found:
                return found
            if time.perf_counter() > deadline:
                raise Failure(f"{what}: not within {DEADLINE_S:.0f} s")
            time.sleep(POLL_S)

    def wait_formed(self):
        """The leader, when all are voters."""

        def look():
            views = [view_of(node) for node in self.nodes]
            voters = [sorted(m["id"] for m in v["members"] if m["role"] == "voter") for v in views]
            leaders = {v["leader"]["id"] for v in views}
            if len(leaders) != 1 or any(v != sorted(w["self"] for w in views) for v in voters):
                return None
            (leader,) = [n for n, v in zip(self.nodes, views) if v["self"] in leaders]
            return leader if get(leader, "/readyz")[0] == 200 else None

        return self.wait("the nodes are one cluster", look)

    def write(self, numbers):
        """Writes these documents anew, as fast as the leader takes them; seconds."""
        leader = self.wait_formed()
        begin = time.perf_counter()
        self.generation += 1
        pipes = [Pipe(leader.port) for _ in range(CONNECTIONS)]
        for first in range(numbers.start, numbers.stop, CONNECTIONS * PIPELINED):
            for pipe, start in zip(pipes, range(first, numbers.stop, PIPELINED)):
                pipe.send([put(n, self.generation) for n in range(start, min(start + PIPELINED, numbers.stop))])
            for pipe in pipes:
                pipe.finish()
        for pipe in pipes:
            pipe.socket.close()
        for number in numbers:
            self.generations[number] = self.generation
        return time.perf_counter() - begin

    def snapshots(self):
        return [sorted(p.name for p in (self.folder / n.name / "snapshot").glob("0*")) for n in self.nodes]

    def write_until_compacted(self):
        before = self.snapshots()
        first = 0
        while any(b == s for b, s in zip(before, self.snapshots())):
            last = min(first + 20_000, self.documents)
            self.write(range(first, last))
            first = last % self.documents
        self.wait("no snapshot is under way", lambda: all(len(s) == 1 for s in self.snapshots()))
        time.sleep(1)

    def restart(self, end, compact_bytes):
        """Seconds from the start to an answer, and those of CPU until then: where something else runs on the
        machine, the first are more than it takes."""
        end()
        wanted = body_of(self.documents - 1, self.generations[-1]).encode()
        begin = time.perf_counter()
        self.start(compact_bytes)

        def look():
            for node in self.nodes:
                status, body = get(node, f"/v1/collections/d/{identifier(self.documents - 1)}")
                if status == 200:
                    if body != wanted:
                        raise Failure(f"an old document: {body}")
                    return True
            return False

        self.wait("a read is answered", look)
        return time.perf_counter() - begin, max(cpu_seconds(node.process.pid) for node in self.nodes)

    def restarts(self, what, times, compact_bytes):
        both = [self.restart(end, compact_bytes) for _, end in zip(range(times), [self.kill, self.stop] * times)]
        took, cpu = zip(*both)
        log = (self.folder / f"{self.nodes[0].name}.log").read_text()
        print(f"  {what}: {re.findall('recovered in .*', log)[-1]}")
        print(
            f"    start to first answer: median {statistics.median(took):.2f} s of {[round(t, 2) for t in took]}; "
            f"{statistics.median(cpu):.2f} s of CPU in the node that took most"
        )

    def check(self):
        """Every document is on every node as it was written last."""
        self.wait_formed()
        for node in self.nodes:
            connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=DEADLINE_S)
            path, found = "/v1/collections/d?limit=1000", 0
            while path:
                connection.request("GET", path)
                answer = connection.getresponse()
                for document in json.loads(answer.read()):
                    if document["generation"] != self.generations[found] or document["id"] != identifier(found):
                        raise Failure(f"{node.name} has {document} in place {found}")
                    found += 1
                link = re.match("<(.*)>", answer.getheader("Link") or "")
                path = link and link.group(1)
            if found != self.documents:
                raise Failure(f"{node.name} has {found} documents")

    def measure(self, restarts):
        print(f"{len(self.nodes)} node(s), {self.documents} documents of {DOCUMENT_BYTES} bytes", flush=True)
        self.start(COMPACT_LATER)
        took = self.write(range(self.documents))
        print(f"  written in {took:.1f} s, {self.documents / took:.0f} a second")
        self.restarts("all in the log", restarts, COMPACT_LATER)
        self.restart(self.kill, COMPACT_AT)
        self.write_until_compacted()
        data = view_of(self.nodes[0])["data_bytes"]
        for node in self.nodes:
            used = disk_bytes(self.folder / node.name)
            print(
                f"  {node.name} after a compaction: {used / 1e6:.0f} MB of the disk for {data / 1e6:.0f} MB of data, "
                f"{used / data:.2f} times as much"
            )
        self.restarts("after a compaction", restarts, COMPACT_AT)
        self.check()
        self.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--nodes", type=int, choices=(1, 3), action="append", help="default: one, then three")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    binary = os.path.abspath(options.binary)
    for size in options.nodes or (1, 3):
        folder = Path(tempfile.mkdtemp(prefix="coracle-restart-"))
        subprocess.run([binary, "secret", "generate", str(folder / "secret")], check=True)
        bench = Bench(binary, folder, size, options.documents)
        try:
            bench.measure(options.restarts)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
