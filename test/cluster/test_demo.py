"""`coracle demo`: it works with no set-up, tells the eight steps in order, and leaves nothing behind,
however it ends.

By hand: CORACLE_BIN=BUILD/coracle python3 -m pytest -p no:cacheprovider test/cluster/test_demo.py"""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time
from pathlib import Path

import client
import pytest
from client import wait_until
from node import BINARY, clean_environment, die_with_parent

END_S = 120  # for a demo to end: its own deadlines are far below
GOES_ON = "Ctrl-C stops all of it"  # the last line of the tour


def of_nodes(folder):
    """The processes that keep their data below that folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if any(argument.startswith(f"{folder}/coracle-demo-".encode()) for argument in arguments):
            found.append(int(entry.name))
    return found


def as_from_a_shell():
    """Whatever started the tests may have ignored it, as nohup does."""
    die_with_parent()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def as_from_a_terminal():
    """Its Ctrl-C is then a signal to the demo's process group."""
    as_from_a_shell()
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)


class Demo:
    """A demo that runs, with a folder of its own for temporary files."""

    def __init__(self, folder, *options, terminal=False, pipe_bytes=None, **environment):
        self.folder = folder / "tmp"
        self.folder.mkdir()
        self.text = ""
        self.reader, writer = pty.openpty() if terminal else os.pipe()
        if pipe_bytes is not None:
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, pipe_bytes)
        self.errors = open(folder / "err", "w+")
        self.process = subprocess.Popen(
            [BINARY, "demo", *options],
            stdin=writer if terminal else subprocess.DEVNULL,
            stdout=writer,
            stderr=self.errors,
            env=clean_environment(folder) | {"TMPDIR": str(self.folder)} | environment,
            start_new_session=terminal,
            preexec_fn=as_from_a_terminal if terminal else as_from_a_shell,
        )
        os.close(writer)

    def read(self):
        """More of its output; False at the end."""
        try:
            piece = os.read(self.reader, 65536)
        except OSError:  # how a terminal without a process behind it ends
            piece = b""
        self.text += piece.decode(errors="replace")
        return piece != b""

    def wait_for(self, words):
        while words not in self.text:
            assert self.read(), f"ended before {words!r}:\n{self.text}"
        return self

    def status(self):
        """Its exit status, all its output read."""
        while self.reader >= 0 and self.read():
            pass
        return self.process.wait(END_S)

    def stop_reading(self):
        os.close(self.reader)
        self.reader = -1

    def assert_nothing_left(self):
        assert of_nodes(self.folder) == []
        assert list(self.folder.iterdir()) == []

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # and its nodes die with it
        self.process.wait()
        if self.reader >= 0:
            os.close(self.reader)
        self.errors.close()


@pytest.fixture
def start_demo(tmp_path, request):
    """start_demo(*options, **environment) is a Demo that was started."""
    started = []

    def start(*options, **how):
        started.append(Demo(tmp_path, *options, **how))
        return started[-1]

    yield start
    for demo in started:
        print(demo.text)  # shown if the test failed
        demo.close()
    wait_until("the nodes of a killed demo end", lambda: of_nodes(tmp_path / "tmp") == [])


def headings(text):
    return re.findall(r"^== (.*)$", text, re.M)


def assert_whole_tour(text, nodes):
    """The tour of so many nodes, nothing of it failed."""
    assert "!!" not in text, text
    assert re.findall(r"-- Step (\d) of 8", text) == list("12345678")
    for step in range(1, 9):
        (told,) = re.findall(rf"-- Step {step} of 8.*\n((?:     .*\n)*)", text)
        lines = told.splitlines()
        assert lines and all(re.search(rf"\b[a-g]: step {step}: ", line) for line in lines), told
    assert len(headings(text)) >= 6
    assert f"ok: {nodes} voters" in text
    assert re.search(r"307 Temporary Redirect   Location: http://127\.0\.0\.1:\d+/v1/collections/", text)
    assert re.search(r"accepted a write \d+\.\d ms after the kill", text)
    summary = text[text.index("== Summary") :]
    assert len(re.findall(r"has 20 of 20 documents, byte for byte", summary)) == nodes


def test_once(start_demo):
    """Goal: the whole tour goes well, in plain text where there is no terminal."""
    demo = start_demo("--once")
    assert demo.status() == 0, demo.text
    assert_whole_tour(demo.text, 3)
    assert "\033" not in demo.text
    demo.assert_nothing_left()
    demo.errors.seek(0)
    assert demo.errors.read() == ""


def test_five_nodes(start_demo):
    """Goal: as many nodes as asked for, and nothing of the user's own settings for servers reaches them."""
    demo = start_demo("--nodes", "5", "--once", CORACLE_LOG_LEVEL="error", CORACLE_MAX_CONNECTIONS="1")
    assert demo.status() == 0, demo.text
    assert_whole_tour(demo.text, 5)
    demo.assert_nothing_left()


def test_a_proxy_is_not_used(start_demo):
    """Goal: http_proxy is for others; the nodes are on this machine."""
    with socket.socket() as nobody:  # bound, and listening to no one
        nobody.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert start_demo("--once", http_proxy=proxy, ALL_PROXY=proxy).status() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_goes_on_until_stopped(start_demo, number):
    """Goal: after the tour the nodes serve on, at the addresses that were told, until a signal ends all."""
    demo = start_demo().wait_for(GOES_ON)
    last_part = demo.text.split("== ")[-1]
    addresses = re.findall(r"^  [a-c]: http://127\.0\.0\.1:(\d+), process \d+", last_part, re.M)
    assert len(addresses) == 3
    for port in addresses:
        found = client.request(int(port), "GET", "/v1/collections/boats/boat-01")
        assert found.status == 200 and found.json()["name"] == "Boat 1"
    assert demo.process.poll() is None
    demo.process.send_signal(number)
    assert demo.status() == 0
    demo.assert_nothing_left()


@pytest.mark.parametrize(
    "moment", ["election address:", "A document's life", "A follower", "kill -9", "comes back"]
)
def test_stopped_during_the_tour(start_demo, moment):
    """Goal: Ctrl-C at any moment ends the nodes, removes their data, and is no success."""
    demo = start_demo().wait_for(moment)
    demo.process.send_signal(signal.SIGINT)
    assert demo.status() == 128 + signal.SIGINT
    demo.assert_nothing_left()
    assert "!!" not in demo.text


def test_stopped_at_once(start_demo):
    """Goal: the same before there is anything to be seen: as soon as the first data directory is made."""
    demo = start_demo()
    wait_until("a directory", lambda: list(demo.folder.iterdir()))
    demo.process.send_signal(signal.SIGTERM)
    assert demo.status() == 128 + signal.SIGTERM
    demo.assert_nothing_left()


def test_killed(start_demo):
    """Goal: not even SIGKILL of the demo leaves a node behind: the kernel ends them (PR_SET_PDEATHSIG)."""
    demo = start_demo().wait_for(GOES_ON)
    assert len(of_nodes(demo.folder)) == 3
    demo.process.kill()
    assert demo.status() == -signal.SIGKILL
    wait_until("no node is left", lambda: of_nodes(demo.folder) == [])


@pytest.mark.parametrize("moment", ["", "== ", GOES_ON], ids=["before it begins", "tour", "after it"])
def test_its_reader_goes(start_demo, moment):
    """Goal: `coracle demo | head` ends, and leaves nothing behind, even if nothing more is to be said."""
    demo = start_demo().wait_for(moment)
    demo.stop_reading()
    assert demo.status() == (0 if moment == GOES_ON else 1)
    demo.assert_nothing_left()


def test_its_reader_stops(start_demo):
    """Goal: a reader who no longer reads does not keep the demo from being stopped. Method: a pipe of
    one page, which takes the first line and no second."""
    demo = start_demo(pipe_bytes=4096)
    wait_until("a first line", lambda: select.select([demo.reader], [], [], 0)[0])
    time.sleep(0.2)  # for the demo to come to its second
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(END_S) == 128 + signal.SIGINT
    demo.assert_nothing_left()


def test_on_a_terminal(start_demo):
    """Goal: colours there, and Ctrl-C as typed, which the terminal sends to the demo's process group."""
    demo = start_demo(terminal=True).wait_for(GOES_ON)
    assert "\033[" in demo.text
    assert "!!" not in demo.text
    os.write(demo.reader, b"\x03")
    assert demo.status() == 0
    demo.assert_nothing_left()


def test_no_color(start_demo):
    """Goal: NO_COLOR is obeyed on a terminal."""
    demo = start_demo("--once", terminal=True, NO_COLOR="1")
    assert demo.status() == 0
    assert "\033" not in demo.text


def test_a_node_that_dies_is_told(start_demo):
    """Goal: the user kills the leader and reads about it, and about its successor; the demo goes on."""
    demo = start_demo().wait_for(GOES_ON)
    (leader,) = re.findall(r"process (\d+), leader$", demo.text, re.M)
    os.kill(int(leader), signal.SIGKILL)
    demo.wait_for(f"(pid {leader}) ended unexpectedly: killed by signal 9 (Killed)")
    demo.wait_for("leading term")
    demo.process.send_signal(signal.SIGINT)
    assert demo.status() == 0
    demo.assert_nothing_left()


@pytest.mark.parametrize(
    "options",
    [["--nodes", "2"], ["--nodes", "8"], ["--nodes", "three"], ["--nodes"], ["--onc"], ["--once=1"], ["now"]],
    ids=" ".join,
)
def test_bad_options(options):
    """Goal: one line on stderr that names the option, exit status 2, nothing started."""
    done = subprocess.run([BINARY, "demo", *options], capture_output=True, text=True, timeout=END_S)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"coracle demo: .+\n", done.stderr)
    assert options[0].lstrip("-").split("=")[0] in done.stderr


def test_help():
    done = subprocess.run([BINARY, "demo", "--help"], capture_output=True, text=True, timeout=END_S)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "--once" in done.stdout and "--nodes" in done.stdout
