"""System calls of a node that fail, are late, or kill it, by way of strace.

    with tampering(node, "fdatasync:error=EIO:when=3", paths=log_paths(node)):
        ...

A call that fails or kills was not carried out; to be killed after one call is to be killed before the next.
`when=` counts the calls of each thread by itself, from the moment that strace began. A node with sanitizers
must not look for leaks in there (ptrace stands in the way)."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from client import wait_until

SEGMENTS = 64  # so many names of them are known to strace
KILL = "signal=KILL"

# What changes the data directory, or reads it. (posix_fallocate() is fallocate.)
CHANGES = ("pwrite64", "fdatasync", "fsync", "fallocate", "renameat", "unlinkat")
READS = ("openat", "pread64", "getdents64")
SPELLED = {"renameat": "?renameat,?renameat2"}  # which of the two there is depends on the machine


def why_not():
    """None when processes can be traced here, else what it takes."""
    if shutil.which("strace") is None:
        return "not installed: strace"
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace does not work here: {probe.stderr.strip()}" if probe.returncode != 0 else None


def log_paths(node):
    """The write-ahead log."""
    log = node.data_dir / "log"
    return [log, log / "spare", *(log / f"{number:016x}" for number in range(1, SEGMENTS + 1))]


def data_paths(node):
    """Everything that has a name which is known beforehand."""
    data, snapshots = node.data_dir, node.data_dir / "snapshot"
    return [data, data / "meta-1", data / "meta-2", snapshots, snapshots / "incoming", *log_paths(node)]


def arguments(injection, paths, output):
    calls, effect = injection.split(":", 1)
    calls = ",".join(SPELLED.get(call, call) for call in calls.split(","))
    words = ["strace", "-f", "-q", "-o", str(output), "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}"]
    for path in paths:
        words += ["-P", str(path)]
    return words


def trace_file(node):
    return node.folder / f"{node.starts}.strace"


def was_injected(node):
    """Whether it came to the call in its last start."""
    return "INJECTED" in trace_file(node).read_text(errors="replace")


def is_traced(pid):
    statuses = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status")]
    return statuses and all("TracerPid:\t0\n" not in status for status in statuses)


def attach(node, injection, paths=()):
    """From now on; the strace process. It ends with the node."""
    words = arguments(injection, paths, trace_file(node))
    tracer = subprocess.Popen([*words, "-p", str(node.pid)], stderr=subprocess.DEVNULL)
    wait_until(f"strace has {node}", lambda: tracer.poll() is not None or is_traced(node.pid))
    return tracer


def detach(tracer):
    if tracer.poll() is None:
        tracer.send_signal(signal.SIGTERM)
    tracer.wait(10)


@contextlib.contextmanager
def tampering(node, injection, paths=()):
    tracer = attach(node, injection, paths)
    try:
        yield tracer
    finally:
        detach(tracer)


@contextlib.contextmanager
def started(node, injection, paths=()):
    """The node is started with it, from its first call on."""
    node.starts += 1  # the name of the file that start() will come to
    words = arguments(injection, paths, trace_file(node))
    node.starts -= 1
    node.wrapper = [*words, "-D"]
    node.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    try:
        yield node.start()
    finally:
        node.wrapper = []
        del node.environment["ASAN_OPTIONS"]


def without_leak_check(nodes):
    """For nodes that strace will be attached to."""
    for node in nodes:
        node.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
