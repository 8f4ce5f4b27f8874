"""The command lines of the documentation, and what they are shown to print.

In a block, between ``` lines or indented, what stands behind "$ " is a command; the lines up to the next
one are its output: all of it. Where it differs each time the page has "…", which stands for anything within
a line, and on a line of its own for any lines; an id that a POST has made stands for any other. A Terminal
runs commands as they are, in one shell on a terminal, so that curl does what it does for a person."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from client import DEADLINE_S, LOOPBACK
from node import BINARY, clean_environment, die_with_parent

PORTS = (8000, 8001, 8002, 8003)  # that the pages use
OWN_NETWORK = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
ESCAPES = re.compile(r"\x1b(?:\[[0-9;]*m|\]8;;.*?\x1b\\)")  # bold, and links: curl writes headers so
JOB_ENDED = re.compile(r"bash: line \d+: +\d+ Killed .*\n")  # shells say so each in their own way
MARK = "\x01"  # ends the output of a command, with its exit status behind
# Commands come on a file descriptor, the script's only argument, each ended by NUL; they have no input.
LOOP = r"""while IFS= read -r -d '' -u $1 line; do eval "$line" </dev/null; printf '\001%s\002' $?; done"""


class Shown:
    """A command of a page."""

    def __init__(self, number, command):
        self.number = number  # of its line
        self.command = command
        self.output = []  # lines

    def pattern(self):
        parts = ["(?:.*\n)*?" if line == "…" else self._line(line) + r"\n" for line in self.output]
        return re.compile("".join(parts))

    def _line(self, line):
        pieces = [re.escape(piece).replace("…", ".*") for piece in ULID.split(line)]
        return ULID.pattern.join(pieces)

    def __repr__(self):
        return f"line {self.number}: {self.command}"


def is_whole(command):
    """A command goes on in the next line behind a backslash, or inside quotes."""
    return not command.endswith("\\") and command.count("'") % 2 == 0


def commands_of(page):
    """[Shown] of a page, in order."""
    found, current, fenced = [], None, False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            fenced, current = not fenced, None
        elif fenced or line.startswith("    "):
            text = line if fenced else line[4:]
            if current and not is_whole(current.command):
                current.command += "\n" + text
            elif text.startswith("$ "):
                current = Shown(number, text[2:])
                found.append(current)
            elif current:
                current.output.append(text)
        else:
            current = None
    return found


class Terminal:
    """A shell in a folder, with `path` in front of PATH. All that it started ends with the block."""

    def __init__(self, folder, path, wrapper=()):
        self.screen, terminal = pty.openpty()
        reader, self.commands = os.pipe()
        environment = clean_environment(folder)
        environment["PATH"] = f"{path}:{environment['PATH']}"
        self.process = subprocess.Popen(
            [*wrapper, "bash", "--noprofile", "--norc", "-c", LOOP, "bash", str(reader)],
            cwd=folder,
            env=environment | {"TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            preexec_fn=die_with_parent,
            pass_fds=(reader,),
            start_new_session=True,
        )
        os.close(reader)
        os.close(terminal)

    def run(self, command, deadline_s=DEADLINE_S):
        """(what it prints, its exit status)."""
        os.write(self.commands, command.encode() + b"\0")
        seen, end = "", time.monotonic() + deadline_s
        while "\x02" not in seen:
            ready = select.select([self.screen], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"{command}: no end in {deadline_s} s, after {seen!r}"
            seen += os.read(self.screen, 65536).decode(errors="replace")
        output, status = seen.rstrip("\x02").split(MARK)
        return JOB_ENDED.sub("", ESCAPES.sub("", output.replace("\r", ""))), int(status)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.commands)
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait(DEADLINE_S)
        os.close(self.screen)


def own_network():
    """What to put before a command so that it has a loopback of its own; None where that is not to be had."""
    if shutil.which("unshare") is None:
        return None
    for unshare in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        command = [*unshare, *OWN_NETWORK]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def taken(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return True
    return False


def open_terminal(folder):
    """In a new folder, with the binary on its PATH and nobody else on the pages' ports: in a network of its
    own where that can be had; otherwise the test is skipped if others have them."""
    wrapper = own_network()
    if wrapper is None and (used := [port for port in PORTS if taken(port)]):
        pytest.skip(f"no network of our own here, and others use {used}")
    folder.mkdir(parents=True)
    return Terminal(folder, Path(BINARY).parent, wrapper or ())


def run_page(terminal, shown):
    """Runs each, and holds what it prints against the page."""
    for one in shown:
        output, _ = terminal.run(one.command)
        if output and not output.endswith("\n"):
            output += "\n"
        told = f"{one}\nprints\n{output}\nand the page has\n" + "\n".join(one.output)
        assert one.pattern().fullmatch(output), told
