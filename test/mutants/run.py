#!/usr/bin/env python3
"""Puts known bugs back in, one at a time, and shows that the tests find each.

    run.py BUILD                      all of them; exit 1 unless every one is caught
    run.py BUILD NAME...              these
    run.py BUILD --write docs/testing.md   the table too, between its markers

A mutant is a patch in this folder. Before the patch it says, a line each:

    Pitfall: the bug, in a few words, and where it was seen
    Look: scenario | unit NAME | sim    where to look for it, at least one; all are tried, in this order

It is applied to a copy of the tree in BUILD, which is built as a release. A patch that does not apply, or
does not compile, fails as one that nothing catches does. "sim" runs seeds from 1 on until one fails, for at
most CORACLE_MUTANT_SEEDS (200) of them."""

import filecmp
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COPIED = ("CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "cmake", "docs", "include", "src", "test")
SEEDS = int(os.environ.get("CORACLE_MUTANT_SEEDS", "200"))
JOBS = os.environ.get("JOBS", "2")
LIMIT_S = 300  # for one look
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"


def run(words, **options):
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options
    )


class Mutant:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        head = path.read_text().split("\n--- ", 1)[0]
        self.pitfall = re.search(r"^Pitfall: (.+)$", head, re.M).group(1)
        self.looks = [look.split() for look in re.findall(r"^Look: (.+)$", head, re.M)]
        assert self.looks, f"{path}: says nowhere to look"


def bring(source, target):
    """Makes target equal to source. A file that is equal already is left alone, whatever its time: one that a
    patch changed and gave back is newer than what was built from it, and must stay so."""
    if source.is_dir():
        target.mkdir(exist_ok=True)
        for extra in set(os.listdir(target)) - set(os.listdir(source)):
            shutil.rmtree(target / extra) if (target / extra).is_dir() else (target / extra).unlink()
        for name in os.listdir(source):
            if name != "__pycache__":
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
        return run(["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "-i", mutant.path, *options], cwd=self.tree)

    def make(self, targets):
        return run(["cmake", "--build", self.build, "-j", JOBS, "--target", *targets])


def targets_of(mutants):
    names = {"coracle-scenario", "coracle-sim"}
    return sorted(names | {look[1] for m in mutants for look in m.looks if look[0] == "unit"})


def look_at_scenarios(copy):
    """Which scripts tell something else now."""
    for script in sorted((copy.tree / "test/scenario").glob("*.txt")):
        if script.name == "CMakeLists.txt":
            continue
        done = run([copy.build / "coracle-scenario", script], timeout=LIMIT_S)
        if done.returncode != 0:
            place = re.search(rf"{re.escape(script.name)}:(\d+)", done.stdout)
            return f"scenario `{script.stem}`" + (f", line {place.group(1)}" if place else "")
    return None


def look_at_unit(copy, name):
    done = run([copy.build / "test/unit" / name], timeout=LIMIT_S)
    if done.returncode == 0:
        return None
    failed = re.search(r"\[  FAILED  \] (\w+)", done.stdout)
    return f"`{name}`" + (f", {failed.group(1)}" if failed else "")


def look_at_sim(copy):
    done = run([copy.build / "coracle-sim", "--first", str(SEEDS), "--jobs", JOBS], timeout=LIMIT_S)
    if done.returncode == 0:
        return None
    seed = re.search(r"coracle-sim --seed (\d+)", done.stdout)
    if seed is None:
        return f"sim: {done.stdout.strip().splitlines()[-1][:80]}"
    return f"sim seed {seed.group(1)}" + steps_of(done.stdout)


def steps_of(text):
    found = re.search(r"(?:after|event) (\d+)(?: events| steps)?", text)
    return f", after {found.group(1)} events" if found else ""


def judge(copy, mutant):
    """(caught, where or why not)."""
    try:
        applied = copy.patch(mutant)
        if applied.returncode != 0:
            return False, "the patch does not apply"
        kinds = {look[0] for look in mutant.looks}
        wanted = [f"coracle-{kind}" for kind in ("scenario", "sim") if kind in kinds]
        built = copy.make(wanted + [look[1] for look in mutant.looks if look[0] == "unit"])
        if built.returncode != 0:
            errors = [line for line in built.stdout.splitlines() if "error" in line]
            return False, f"does not compile: {errors[:1]}"
        found = []
        for kind, *name in mutant.looks:
            where = {"scenario": look_at_scenarios, "sim": look_at_sim}.get(kind, lambda c: look_at_unit(c, *name))(copy)
            found += [where] if where else []
        return bool(found), "; ".join(found) or "NOT CAUGHT"
    finally:
        if copy.patch(mutant, "--dry-run", "-R", "--force").returncode == 0:
            copy.patch(mutant, "-R", "--force")


def write_table(path, rows):
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    table = "| bug put back in | found by |\n|---|---|\n" + "".join(f"| {p} | {w} |\n" for p, w in rows)
    path.write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def main(arguments):
    build, names, page = Path(arguments.pop(0)).resolve(), [], None
    while arguments:
        word = arguments.pop(0)
        if word == "--write":
            page = Path(arguments.pop(0))
        else:
            names.append(word)
    mutants = [Mutant(p) for p in sorted(HERE.glob("*.patch")) if not names or p.stem in names]
    assert mutants, "no such mutant"
    copy = Copy(build)
    clean = copy.make(targets_of(mutants))
    assert clean.returncode == 0, clean.stdout[-3000:]
    assert look_at_scenarios(copy) is None, "the scenarios fail without a mutant"
    rows, escaped = [], []
    for mutant in mutants:
        caught, where = judge(copy, mutant)
        print(f"{'caught ' if caught else 'ESCAPED'} {mutant.name}: {where}", flush=True)
        rows.append((mutant.pitfall, where))
        if not caught:
            escaped.append(mutant.name)
    print(f"{len(mutants) - len(escaped)} of {len(mutants)} caught")
    if page:
        write_table(page, rows)
    return 1 if escaped else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
