"""Goal: the consensus core is a library that others can embed, and needs nothing of the system but memory.

    library.py TEST

where TEST is one of the functions at the end. Which programs and folders to use comes in the environment, as
CMakeLists.txt sets it. Exit status: 0 passed, 1 failed, 77 left out, with the reason.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE, BUILD = (pathlib.Path(os.environ[name]) for name in ("SOURCE", "BUILD"))
CC, CMAKE, NM, PKG_CONFIG = (os.environ[name] for name in ("CC", "CMAKE", "NM", "PKG_CONFIG"))
SANITIZE, COVERAGE = os.environ["SANITIZE"], os.environ["COVERAGE"] == "1"

HEADER = SOURCE / "include/coracle/raft.h"
EXAMPLE = SOURCE / "docs/examples/counter.c"
WORK = BUILD / "library"
STAGE = WORK / "stage"

# All that the core may ask of the system: memory, its bytes, and a way to end when an assertion fails.
ALLOWED = {"malloc", "calloc", "realloc", "free", "memcpy", "memmove", "memset", "memcmp", "__assert_fail"}
# What compilers and linkers put into any library: hardening, and the way it is loaded and unloaded.
ALLOWED_BY_TOOLS = {"__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
ALLOWED_WHEN_LOADED = {"__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}

LEFT_OUT = 77


def fail(text):
    sys.exit(text)


def leave_out(reason):
    print("left out:", reason)
    sys.exit(LEFT_OUT)


def run(*words, **environment):
    """What it prints; the test fails when it does."""
    words = [str(word) for word in words]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    )
    if done.returncode != 0:
        fail(f"{' '.join(words)}\nfailed with {done.returncode}:\n{done.stdout}")
    return done.stdout


def instrumentation():
    """Whoever links an instrumented library has to link what it calls."""
    return [f"-fsanitize={SANITIZE}"] * bool(SANITIZE) + ["--coverage"] * COVERAGE


def fresh_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# ---- The header ----


def declarations():
    """(name, the comment right before it) of every function that raft.h declares."""
    found, comment = [], ""
    text = HEADER.read_text().partition('extern "C" {')[2]
    for match in re.finditer(r"/\*.*?\*/|^#.*?$|[^;{}/#]*\b(coracle_raft_\w+)\([^;{}/#]*\);|[;{}]", text, re.S | re.M):
        if match.group().startswith("/*"):
            comment = match.group()
        elif match.group(1):
            found.append((match.group(1), comment))
            comment = ""
        else:
            comment = ""
    return found


def names_declared():
    return {name for name, _ in declarations()}


def symbols_of(path, *options):
    """Names as nm prints them, without versions: one in the last column of each line that has columns."""
    lines = run(NM, "-P", *options, path).splitlines()
    return {line.split()[0].partition("@")[0] for line in lines if len(line.split()) > 1}


def same(what, found, expected):
    if found != expected:
        fail(f"{what}: not expected {sorted(found - expected)}, missing {sorted(expected - found)}")


# ---- The example ----


def output_in_the_documentation():
    text = (SOURCE / "docs/library.md").read_text()
    block = re.search(r"^    \$ \./counter\n((?:    .*\n)+)", text, re.M).group(1)
    return re.sub(r"^    ", "", block, flags=re.M)


def check_example(program, **environment):
    """It says what the documentation says that it does, and the same again; other seeds differ and succeed."""
    first = run(program, **environment)
    if first != output_in_the_documentation():
        fail(f"{program} printed\n{first}\nbut docs/library.md says\n{output_in_the_documentation()}")
    seeds = [run(program, seed, **environment) for seed in range(1, 21)]
    if seeds[0] != first:
        fail(f"{program} with seed 1 is not what it is without:\n{seeds[0]}")
    if len(set(seeds)) < 2:
        fail(f"{program} does the same whatever the seed is")


# ---- The tests ----


def symbols():
    """Goal: no socket, file, clock or thread, and no names but those of the header."""
    if SANITIZE or COVERAGE:
        leave_out("an instrumented library needs what instruments it")
    archive, shared = BUILD / "lib/libcoracle_raft.a", BUILD / "lib/libcoracle_raft.so"
    for path, allowed in ((archive, set()), (shared, ALLOWED_WHEN_LOADED)):
        options = ["-D"] if path == shared else []
        beyond = symbols_of(path, "-u", *options) - ALLOWED - ALLOWED_BY_TOOLS - allowed
        if beyond:
            fail(f"{path.name} needs {', '.join(sorted(beyond))}, which is not in the list")
        same(f"{path.name} defines", symbols_of(path, "-g", "--defined-only", *options), names_declared())


def header():
    """Goal: it is plain C11 by itself, and says of each function what to know."""
    source = fresh_folder(WORK / "header") / "header.c"
    source.write_text("#include <coracle/raft.h>\n#include <coracle/raft.h>\nint main(void) { return 0; }\n")
    strict = ["-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror"]
    run(CC, *strict, f"-I{HEADER.parent.parent}", "-c", source, "-o", source.with_suffix(".o"))
    if len(declarations()) < 10:
        fail(f"found no more functions in {HEADER} than {declarations()}")
    silent = [name for name, comment in declarations() if not comment]
    if silent:
        fail(f"{HEADER} says nothing of {', '.join(silent)}")


def cplusplus():
    """Goal: the header is C++17 as well, and the library links to it."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        leave_out("there is neither g++ nor clang++")
    if SANITIZE or COVERAGE:
        leave_out("the C++ compiler may not be of the kind that instrumented the library")
    folder = fresh_folder(WORK / "cplusplus")
    (folder / "use.cpp").write_text(
        "#include <coracle/raft.h>\n"
        "int main() {\n"
        "  coracle_raft_options options = {};\n"
        "  coracle_raft *raft = nullptr;\n"
        "  coracle_raft_event event = {};\n"
        "  coracle_raft_effects effects = {};\n"
        "  options.id = 1;\n"
        "  options.heartbeat_ms = 20;\n"
        "  options.election_timeout_ms = 100;\n"
        "  event.type = CORACLE_RAFT_START;\n"
        "  if (coracle_raft_new(&options, &raft) != 0 || coracle_raft_step(raft, &event, &effects) != 0) return 1;\n"
        "  coracle_raft_free(raft);\n"
        "}\n"
    )
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{HEADER.parent.parent}"]
    run(compiler, *strict, folder / "use.cpp", BUILD / "lib/libcoracle_raft.a", "-o", folder / "use")
    run(folder / "use")


def in_tree():
    """Goal: the example keeps its counts with both libraries as they are built."""
    for program in os.environ["EXAMPLES"].split(":"):
        check_example(program)


def install():
    """Goal: what is installed is all there, and none of the rooms. Leaves the stage to the tests after it."""
    fresh_folder(STAGE)
    run(CMAKE, "--install", BUILD, "--prefix", STAGE, DESTDIR="")
    run(STAGE / "bin/coracle", "--version")
    headers = {str(path.relative_to(STAGE)) for path in STAGE.rglob("*.h")}
    same("headers installed", headers, {"include/coracle/raft.h", "include/coracle/version.h"})
    libraries = {path.name.partition(".so.")[0] for path in STAGE.rglob("lib*.*") if path.suffix != ".md"}
    same("libraries installed", libraries, {"libcoracle_raft.a", "libcoracle_raft.so", "libcoracle_raft"})
    for name in ("README.md", "LICENSE", "library.md", "counter.c"):
        if not list((STAGE / "share/doc").rglob(name)):
            fail(f"{name} was not installed")


def pkg_config():
    """Goal: cc and pkg-config are enough, with the shared library and with the static one."""
    (pc,) = STAGE.rglob("coracle-raft.pc")
    folder = fresh_folder(WORK / "pkg_config")

    def ask(what):
        return run(PKG_CONFIG, what, "coracle-raft", PKG_CONFIG_PATH=str(pc.parent)).split()

    libdir = ask("--variable=libdir")[0]
    for name, libraries in (("shared", ask("--libs")), ("static", [f"{libdir}/libcoracle_raft.a"])):
        run(CC, *ask("--cflags"), *instrumentation(), EXAMPLE, "-o", folder / name, *libraries)
        check_example(folder / name, LD_LIBRARY_PATH=libdir)


def find_package():
    """Goal: the example's own project finds the package, of this version and no later one, either kind of it."""
    flags = " ".join(instrumentation())
    for kind in ("OFF", "ON"):
        folder = fresh_folder(WORK / f"find_package_{kind}")
        run(CMAKE, "-S", EXAMPLE.parent, "-B", folder, f"-DCMAKE_PREFIX_PATH={STAGE}", f"-DCMAKE_C_COMPILER={CC}",
            f"-DCMAKE_C_FLAGS={flags}", f"-DCoracleRaft_USE_STATIC_LIBS={kind}")  # fmt: skip
        run(CMAKE, "--build", folder)
        check_example(folder / "counter")
        if ("libcoracle_raft.so" in run("readelf", "-d", folder / "counter")) != (kind == "OFF"):
            fail(f"CoracleRaft_USE_STATIC_LIBS={kind} was not heard")


if __name__ == "__main__":
    tests = {f.__name__: f for f in (symbols, header, cplusplus, in_tree, install, pkg_config, find_package)}
    tests[sys.argv[1]]()
