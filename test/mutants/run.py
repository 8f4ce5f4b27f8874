#!/usr/bin/env python3
"""Puts known bugs back in, one at a time, and shows that the tests find each.

    run.py BUILD                           all of them; exit 1 unless every one is caught
    run.py BUILD NAME...                   these
    run.py BUILD --write docs/testing.md   all, and the table too, between its markers
    run.py --check-applies                 builds nothing: does each patch still fit the tree?

A mutant is a patch in this folder. Before the patch it says, a line each:

    Pitfall: the bug, in a few words, and where it was seen
    Look: scenario NAME | unit NAME | sim    where to look for it, at least one; all are tried, in this order

It is applied to a copy of the tree in BUILD, which is built as a release. A patch that does not apply, or
does not compile, fails as one that nothing catches does. "sim" runs seeds from 1 on until one fails, for at
most CORACLE_MUTANT_SEEDS (500) of them, and names the first, how many events of its world had happened by
then, and what was wrong."""

import filecmp
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COPIED = ("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "cmake", "docs", "include", "src", "test")
SEEDS = int(os.environ.get("CORACLE_MUTANT_SEEDS", "500"))
JOBS = os.environ.get("JOBS", "2")
PATCH = ("patch", "-p1", "--fuzz=0", "--force", "--no-backup-if-mismatch", "--silent")
BUILD_LIMIT_S, SIM_LIMIT_S, TEST_LIMIT_S = 900, 300, 60
MEMORY_BYTES_MAX = 1 << 30  # of a test
HANGS = -signal.SIGKILL  # the status of what was ended for taking too long
WHAT_CHARACTERS = 90  # of what was wrong, in the table
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"


def run(words, limit_s=BUILD_LIMIT_S, **options):
    """With all that it starts, for at most so long."""
    process = subprocess.Popen(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        **options,
    )
    try:
        output = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(words, process.returncode, output)


def run_test(words, limit_s):
    """A bug may well be a loop without an end, that takes memory."""
    limit = (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX)
    return run(words, limit_s, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))


class Mutant:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        head = path.read_text().split("\n--- ", 1)[0]
        self.pitfall = re.search(r"^Pitfall: (.+)$", head, re.M).group(1)
        self.looks = [look.split() for look in re.findall(r"^Look: (.+)$", head, re.M)]
        assert self.looks, f"{path}: says nowhere to look"
        assert all(look[0] in LOOKS for look in self.looks), f"{path}: looks where nothing is"

    def applies(self, tree):
        return run([*PATCH, "--dry-run", "-d", tree, "-i", self.path]).returncode == 0

    def targets(self):
        programs = {"scenario": "coracle-scenario", "sim": "coracle-sim"}
        return sorted({programs.get(look[0], look[-1]) for look in self.looks})


def bring(source, target):
    """Makes target equal to source. A file that is equal already is left alone, whatever its time: one that a
    patch changed and gave back is newer than what was built from it, and must stay so."""
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for extra in set(os.listdir(target)) - set(os.listdir(source)):
            shutil.rmtree(target / extra) if (target / extra).is_dir() else (target / extra).unlink()
        for name in os.listdir(source):
            if name not in ("__pycache__", "node_modules"):
                bring(source / name, target / name)
    elif not target.exists() or not filecmp.cmp(source, target, shallow=False):
        shutil.copyfile(source, target)


class Copy:
    """The tree that the patches go into, and what is built of it; both stay for the next run."""

    def __init__(self, build):
        self.tree, self.build = build / "tree", build / "built"
        self.tree.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            bring(ROOT / name, self.tree / name)
        done = run(["cmake", "--preset", "release", "-S", self.tree, "-B", self.build], cwd=self.tree)
        assert done.returncode == 0, done.stdout

    def patch(self, mutant, *options):
        done = run([*PATCH, *options, "-d", self.tree, "-i", mutant.path])
        assert done.returncode == 0, done.stdout

    def make(self, targets):
        return run(["cmake", "--build", self.build, "-j", JOBS, "--target", *targets])


# ---- Where to look: each says what it has found, or None ----


def look_at_scenario(copy, name):
    script = copy.tree / f"test/scenario/{name}.txt"
    assert script.exists(), f"there is no scenario {name}"
    done = run_test([copy.build / "coracle-scenario", script], TEST_LIMIT_S)
    if done.returncode == 0:
        return None
    line = re.search(rf"{re.escape(script.name)}:(\d+)", done.stdout)
    return f"scenario `{name}`" + (f", line {line.group(1)}" if line else "")


def look_at_unit(copy, name):
    done = run_test([copy.build / "test/unit" / name], TEST_LIMIT_S)
    if done.returncode == 0:
        return None
    failed = re.search(r"\[  FAILED  \] (\w+)", done.stdout)
    return f"`{name}`" + (f", {failed.group(1)}" if failed else "")


def run_seeds(copy, last):
    return run_test([copy.build / "coracle-sim", "--first", last, "--jobs", JOBS], SIM_LIMIT_S)


def look_at_sim(copy):
    """The lowest seed that fails, whichever of several processes was the first to find one."""
    seed, last = None, SEEDS
    while last > 0 and (done := run_seeds(copy, last)).returncode != 0:
        if done.returncode == HANGS:
            return "sim: it hangs"
        seed, text = int(re.search(r"FAILED: seed (\d+)", done.stdout).group(1)), done.stdout
        last = seed - 1
    return f"sim, seed {seed}" + what_failed(text) if seed else None


def what_failed(text):
    found = re.search(r"^seed \d+, after (\d+) events, at [\d.]+ ms: (.*)$", text, re.M)
    if found is None:
        return ""
    asserted = re.search(r"Assertion `(.*)' failed", text)
    what = f"`{asserted.group(1)}`" if asserted else found.group(2).split("/")[-1].rstrip(":")
    what = what if len(what) <= WHAT_CHARACTERS else what[: WHAT_CHARACTERS - 2] + " …"
    return f", after {int(found.group(1)):,} events: {what}"


LOOKS = {"scenario": look_at_scenario, "unit": look_at_unit, "sim": look_at_sim}


# ---- All of them ----


def judge(copy, mutant):
    """(caught, where or why not)."""
    if not mutant.applies(copy.tree):
        return False, "the patch does not apply"
    copy.patch(mutant)
    try:
        built = copy.make(mutant.targets())
        if built.returncode != 0:
            errors = [line for line in built.stdout.splitlines() if "error" in line]
            return False, f"does not compile: {errors[:1]}"
        found = [LOOKS[kind](copy, *name) for kind, *name in mutant.looks]
        missed = [" ".join(look) for look, where in zip(mutant.looks, found) if where is None]
        text = "; ".join(where for where in found if where) or "NOT CAUGHT"
        return any(found), text + (f"; not by {', '.join(missed)}" if missed else "")
    finally:
        copy.patch(mutant, "-R")


def write_table(path, rows):
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    lines = [f"| `{name}` | {pitfall} | {where.replace('|', chr(92) + '|')} |\n" for name, pitfall, where in rows]
    table = "| patch | the bug put back in | found by |\n|---|---|---|\n" + "".join(lines)
    path.write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def check_applies(mutants):
    stale = [mutant.name for mutant in mutants if not mutant.applies(ROOT)]
    for name in stale:
        print(f"test/mutants/{name}.patch does not apply any more: make it anew, by hand and with diff -u")
    return 1 if stale else 0


def check_clean(copy, mutants):
    """What fails without a bug finds none. (The simulator's seeds are another test's affair.)"""
    built = copy.make(sorted({target for mutant in mutants for target in mutant.targets()}))
    assert built.returncode == 0, built.stdout[-3000:]
    looks = {tuple(look) for mutant in mutants for look in mutant.looks if look[0] != "sim"}
    found = [LOOKS[kind](copy, *name) for kind, *name in sorted(looks)]
    assert not any(found), f"without a mutant: {[where for where in found if where]}"


def run_all(build, mutants, page):
    copy, began = Copy(build), time.monotonic()
    check_clean(copy, mutants)
    rows, escaped = [], []
    for mutant in mutants:
        caught, where = judge(copy, mutant)
        print(f"{'caught ' if caught else 'ESCAPED'} {mutant.name}: {where}", flush=True)
        rows.append((mutant.name, mutant.pitfall, where))
        escaped += [] if caught else [mutant.name]
    by_sim = sum("sim, seed" in where for *_, where in rows)
    print(
        f"{len(rows) - len(escaped)} of {len(rows)} caught, {by_sim} of them by the simulator, "
        f"in {time.monotonic() - began:.0f} s"
    )
    if page:
        write_table(page, rows)
    return 1 if escaped else 0


def main(arguments):
    words, page = [], None
    while arguments:
        word = arguments.pop(0)
        if word == "--write" and arguments:
            page = Path(arguments.pop(0))
        else:
            words.append(word)
    build = words.pop(0) if words else None
    if build is None or (build.startswith("-") and build != "--check-applies"):
        sys.exit(__doc__)
    known = sorted(path.stem for path in HERE.glob("*.patch"))
    unknown = set(words) - set(known)
    assert not unknown, f"no such mutant: {', '.join(sorted(unknown))}"
    mutants = [Mutant(HERE / f"{name}.patch") for name in known if not words or name in words]
    assert mutants, "there are no mutants"
    if build == "--check-applies":
        return check_applies(mutants)
    return run_all(Path(build).resolve(), mutants, page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
