#!/usr/bin/env python3
"""How fast a collection of many documents goes in and comes out as NDJSON, what memory that takes, and whether
anything is late by it.

    python3 test/bench/export.py BUILD/coracle [--documents 1000000]

Three nodes on this machine. curl imports a million documents of 140 bytes at the leader, and exports them again
from the leader and from a follower; what came out must be what went in. All the while the followers are asked
every few milliseconds how old their state is: a heartbeat that is late shows there. Memory is the resident one of
the node that imports or exports, beyond what it had before; an import's also beyond what it has when everything is
at rest again, the documents and their log. The exit status is 1 if the bytes differ."""

import argparse
import filecmp
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from failover import Failure
from restart import Bench, body_of, view_of

NDJSON = "application/x-ndjson"
LOOK_S = 0.003
REST_S = 2.0


def memory_bytes(node):
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


class Watch:
    """Looks all the time at a node's memory and at how old the state of others is."""

    def __init__(self, node, others):
        self.node, self.others = node, others
        self.before = self.peak = memory_bytes(node)
        self.staleness_ms, self.answers_ms = [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.begin = time.perf_counter()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.took_s = time.perf_counter() - self.begin
        self.stopping.set()
        self.thread.join()

    def _run(self):
        connections = [http.client.HTTPConnection("127.0.0.1", other.port, timeout=30) for other in self.others]
        while not self.stopping.wait(LOOK_S):
            for connection in connections:
                begin = time.perf_counter()
                connection.request("GET", "/v1/collections/none?consistency=stale&limit=1")
                answer = connection.getresponse()
                answer.read()
                self.answers_ms.append((time.perf_counter() - begin) * 1000)
                self.staleness_ms.append(int(answer.getheader("Coracle-Staleness-Ms")))
            self.peak = max(self.peak, memory_bytes(self.node))

    def tell(self, what, documents, size):
        print(
            f"  {what}: {self.took_s:.2f} s, {documents / self.took_s:.0f} documents and "
            f"{size / self.took_s / 1e6:.0f} MB a second; memory grew by {(self.peak - self.before) / 2**20:.1f} MiB"
        )
        print(
            f"    {len(self.staleness_ms)} looks at other nodes: state at most {max(self.staleness_ms)} ms old, "
            f"slowest answer {max(self.answers_ms):.0f} ms",
            flush=True,
        )


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--fail-with-body", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise Failure(f"curl: {done.stderr.decode()} {done.stdout[:300]}")
    return done.stdout


def measure(bench, documents):
    folder = bench.folder
    with open(folder / "in", "w") as lines:
        lines.writelines(body_of(n, 1) + "\n" for n in range(documents))
    size = (folder / "in").stat().st_size
    for node in bench.nodes:
        node.start()
    leader = bench.wait_formed()
    others = [n for n in bench.nodes if n is not leader]
    url = f"http://127.0.0.1:{leader.port}/v1/collections/d"
    print(f"{documents} documents, {size / 1e6:.0f} MB", flush=True)

    with Watch(leader, others) as watch:
        said = curl(
            "-X", "POST", "-T", str(folder / "in"),
            "-H", f"Content-Type: {NDJSON}", "-H", "Prefer: return=minimal", url,
        )  # fmt: skip
    if said:
        raise Failure(f"lines failed: {said[:300]}")
    watch.tell("import", documents, size)
    bench.wait("all is applied", lambda: len({view_of(n)["applied"] for n in bench.nodes}) == 1)
    time.sleep(REST_S)
    print(f"    of that {(watch.peak - memory_bytes(leader)) / 2**20:.1f} MiB more than at rest afterwards")

    for node in (leader, others[0]):
        with Watch(node, others if node is leader else [others[1]]) as watch:
            curl("-o", str(folder / "out"), "-H", f"Accept: {NDJSON}", url.replace(str(leader.port), str(node.port)))
        watch.tell(f"export from the {'leader' if node is leader else 'follower'}", documents, size)
        if not filecmp.cmp(folder / "in", folder / "out", shallow=False):
            raise Failure("what came out is not what went in")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("--documents", type=int, default=1_000_000)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    binary = os.path.abspath(options.binary)
    folder = Path(tempfile.mkdtemp(prefix="coracle-export-"))
    subprocess.run([binary, "secret", "generate", str(folder / "secret")], check=True)
    bench = Bench(binary, folder, 3, 0)
    try:
        measure(bench, options.documents)
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
