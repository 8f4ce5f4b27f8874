"""coracle-scenario itself: it must fail where it should, say where, and rewrite what it is told to.

    check_program.py CORACLE_SCENARIO"""

import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = sys.argv[1]

GOOD = """# A comment.

> cluster 1
  1 has 1.1 {1}, 2.1 noop
> propose 1 x
  1 appends 3.1 x
  1 commits 3
> expect 1 commit 3
"""

# What a script that is not good has in it, and what is said of it.
BAD = {
    "another word": (GOOD.replace("commits 3", "commits 4"), "script.txt:5: propose 1 x"),
    "a word too many": (GOOD + "  1 commits 3\n", "script.txt:8: expect 1 commit 3"),
    "a word missing": (GOOD.replace("  1 commits 3\n", ""), "script.txt:5: propose 1 x"),
    "an expectation": (GOOD.replace("commit 3\n", "commit 2\n"), "script.txt:8: expect 1 commit 2: the commit index"),
    "no command": ("# Nothing.\n", "there is no command"),
    "an unknown command": ("> dance\n", "script.txt:1: dance: there is no command dance"),
    "no server": (GOOD + "> propose 2 x\n", "script.txt:9: propose 2 x: there is no server 2"),
    "nobody at all": ("> propose 1 x\n", "script.txt:1: propose 1 x: there is no server 1"),
    "no message": (GOOD + "> deliver 1->* append\n", "script.txt:9: deliver 1->* append: nothing of that"),
    "text without a command": ("hello\n" + GOOD, "script.txt:1: neither a command"),
    "a failed invariant": (
        "> cluster 3\n> inject 2->1 append-reply term 1 has 4\n> hold 2\n> propose 1 x\n> stabilise\n"
        "> inject 2->1 append-reply term 1 has 5\n",
        "script.txt:6: inject 2->1 append-reply term 1 has 5",
    ),
}  # fmt: skip


def run(*arguments):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout + result.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.txt"
        for what, (text, words) in BAD.items():
            script.write_text(text)
            status, output = run(str(script))
            assert status == 1 and words in output, (what, status, output)
            assert script.read_text() == text, what

        script.write_text(GOOD)
        assert run(str(script))[0] == 0
        script.write_text(GOOD.replace("commits 3", "commits 4").replace("  1 has 1.1 {1}, 2.1 noop\n", ""))
        assert run("--update", str(script))[0] == 0
        assert script.read_text() == GOOD

        # What a script insists on is not rewritten.
        bad = BAD["an expectation"][0]
        script.write_text(bad)
        assert run("--update", str(script))[0] == 1
        assert script.read_text() == bad

    assert run()[0] == 2
    assert run("/nowhere/script.txt")[0] == 1


main()
