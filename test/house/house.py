"""Holds the tree against the rules of the house, and prints each violation as FILE:LINE: what is wrong.

    house.py SOURCE BUILD

SOURCE is the project's folder, BUILD a folder that CMake has configured (for compile_commands.json and the generated
version header). The rules: who may include whom, read from the #include lines and, including what comes along
through other headers, from the compiler's own list of dependencies; which room may include which library; every
source file is built, with asserts; no file is too long; nothing names a place on one person's machine.
Exit status: 0 all is well, 1 violations.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

RAFT_H = "coracle/raft.h"  # raft's public types
VERSION_H = "coracle/version.h"  # nothing but a number; every room may name it

# Which rooms, and which public headers, a room may include beside its own.
MAY_INCLUDE = {
    "base": set(),
    "raft": {"base", RAFT_H},
    "store": {"base"},
    "http": {"base"},
    "json": {"base"},
    "wire": {"base", RAFT_H},
    "disk": {"base", RAFT_H},
    "offline": {"disk", "store", "base", RAFT_H},
    "join": {"base", RAFT_H},
    "replica": {"raft", RAFT_H, "store", "disk", "base"},
    "api": {"http", "json", "replica", "base"},
    "node": {"api", "http", "replica", "join", "wire", "base", RAFT_H},
    "net": {"node", "disk", "base"},
    "cli": {"base"},
}

# Which rooms may include a library's header, directly or through another header.
LIBRARIES = {
    "uv.h": {"net"},
    "jansson.h": {"cli", "offline"},
    "llhttp.h": {"http"},
}

FILE_LINES_MAX = 600
SKIPPED_FOLDERS = {"build", "__pycache__", "node_modules"}  # and hidden ones, but for SHOWN_FOLDERS
SHOWN_FOLDERS = {".ci"}
SOURCE_SUFFIXES = {".c", ".h", ".in", ".py", ".sh", ".cmake"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
PERSONAL_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|work)/\w|\.\./shared\b")


def rooms_reachable(room):
    """All that may come along when a source of that room is compiled: the closure of MAY_INCLUDE."""
    reachable, waiting = set(), [room]
    while waiting:
        for other in MAY_INCLUDE.get(waiting.pop(), set()) - reachable:
            reachable.add(other)
            waiting.append(other)
    return reachable


def room_of(path):
    """The room of a path relative to the source folder: "store", "main" for main.c, "public" for include/."""
    if path.parts[0] == "include":
        return "public"
    return path.parts[1] if len(path.parts) > 2 else path.stem


def library_violation(room, header):
    library = pathlib.PurePath(header).name
    if room == "main" or room in LIBRARIES.get(library, {room}):
        return None
    return f"{room}/ must not include <{library}>: only {', '.join(sorted(LIBRARIES[library]))} may"


def include_violation(room, header):
    """What is wrong with the line #include "header" in a source of that room, or None."""
    target = header if header.startswith("coracle/") else header.partition("/")[0]
    if target != VERSION_H and target != RAFT_H and ("/" not in header or target not in MAY_INCLUDE):
        return f'"{header}" is neither ROOM/FILE.h nor a public header'
    if room == "main" or target in (room, VERSION_H) or target in MAY_INCLUDE.get(room, set()):
        return None
    return f'{room}/ must not include "{header}"'


def left_by_tools(folder):
    hidden = folder.name.startswith(".") and folder.name not in SHOWN_FOLDERS
    return hidden or folder.name in SKIPPED_FOLDERS or (folder / "CMakeCache.txt").exists()


def files_of(source):
    """Every file of the project, without what tools and builds leave in the tree, and without symbolic links."""
    for path in sorted(source.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir() and not left_by_tools(path):
            yield from files_of(path)
        elif path.is_file():
            yield path


def check_include_lines(source):
    for folder in ("src", "include"):
        for path in files_of(source / folder):
            if not path.name.endswith((".c", ".h", ".h.in")):
                continue
            name = path.relative_to(source)
            room = room_of(name)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quoted, system = match.groups()
                wrong = include_violation(room, quoted) if quoted else library_violation(room, system)
                if wrong:
                    yield f"{name}:{number}: {wrong}"


def compile_commands(source, build):
    """(path relative to source, arguments, folder) of every source of the project that is compiled."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        folder = pathlib.Path(entry["directory"])
        path = (folder / entry["file"]).resolve()
        if path.is_relative_to(source) and not path.is_relative_to(build):
            yield path.relative_to(source), shlex.split(entry["command"]), folder


def dependencies(arguments, folder):
    """The paths that the compiler reads for one source, headers of the system included."""
    arguments = list(arguments)
    output = arguments.index("-o")
    del arguments[output : output + 2]
    rule = subprocess.run(
        [a for a in arguments if a != "-c"] + ["-M"], cwd=folder, capture_output=True, text=True
    )
    if rule.returncode != 0:
        sys.exit(rule.stderr)
    return [(folder / word).resolve() for word in rule.stdout.partition(":")[2].replace("\\\n", " ").split()]


def dependency_violation(room, path, source, build):
    """What is wrong with the compiler reading `path` for a source of that room, or None."""
    for root in (build / "include", source / "include", source / "src"):
        if path.is_relative_to(root):
            header = path.relative_to(root)
            target = str(header) if header.parts[0] == "coracle" else header.parts[0]
            if target in (room, VERSION_H) or target in rooms_reachable(room):
                return None
            return f"{room}/ must not come to include {header}, through any other header either"
    return library_violation(room, path)


def check_dependencies(source, build):
    for name, arguments, folder in compile_commands(source, build):
        if name.parts[0] != "src" or room_of(name) == "main":
            continue
        for path in dependencies(arguments, folder):
            if path == source / name:
                continue
            wrong = dependency_violation(room_of(name), path, source, build)
            if wrong:
                yield f"{name}:1: {wrong}"


def check_all_is_built(source, build):
    """A source file that no target compiles is neither checked nor tested, and asserts must be compiled in."""
    built = {}
    for name, arguments, _ in compile_commands(source, build):
        built[name] = arguments
    for folder in ("src", "test/unit"):
        for path in files_of(source / folder):
            name = path.relative_to(source)
            if path.suffix == ".c" and name not in built:
                yield f"{name}:1: no target compiles this file"
    for name, arguments in built.items():
        last = [a for a in arguments if a in ("-DNDEBUG", "-UNDEBUG")][-1:]
        if last == ["-DNDEBUG"]:
            yield f"{name}:1: compiled without asserts"


def check_lengths(source):
    for folder in ("src", "include", "test", "cmake"):
        for path in files_of(source / folder):
            lines = path.read_bytes().count(b"\n") if path.suffix in SOURCE_SUFFIXES else 0
            if lines > FILE_LINES_MAX:
                yield f"{path.relative_to(source)}:{FILE_LINES_MAX + 1}: {lines} lines, at most {FILE_LINES_MAX}"


def check_no_personal_paths(source):
    for path in files_of(source):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = PERSONAL_PATH.search(line)
            if match:
                yield f"{path.relative_to(source)}:{number}: a path of one machine: {match.group()}"


def check(source, build):
    yield from check_include_lines(source)
    yield from check_dependencies(source, build)
    yield from check_all_is_built(source, build)
    yield from check_lengths(source)
    yield from check_no_personal_paths(source)


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: house.py SOURCE BUILD")
    source, build = (pathlib.Path(a).resolve() for a in arguments)
    violations = list(check(source, build))
    for violation in violations:
        print(violation)
    if violations:
        sys.exit(f"{len(violations)} violations")
    built = sum(1 for _ in compile_commands(source, build))
    print(f"{built} compiled sources keep the rules of the house")


if __name__ == "__main__":
    main(sys.argv[1:])
