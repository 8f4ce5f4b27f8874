"""The test of the house's own test: it must fail on planted violations and pass a tree that has none.

Each case writes a small tree, compiles nothing but lets the compiler list its dependencies, and looks at what
house.py says of it.
"""

import json
import os
import pathlib
import tempfile
import unittest

import house

CC = os.environ.get("CC", "cc")


class House(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = pathlib.Path(folder.name).resolve() / "tree"
        self.build = self.source / "build"
        for name in ("include/coracle", "src", "test/unit", "cmake", "build/include/coracle", "system"):
            (self.source / name).mkdir(parents=True)
        for library in house.LIBRARIES:
            self.write(f"system/{library}", "")
        self.write("include/coracle/raft.h", "#include <stdint.h>\n")
        self.write("build/include/coracle/version.h", "")
        self.write("src/base/list.h", "#include <stddef.h>\n")
        self.write("src/main.c", '#include "net/serve.h"\n#include "cli/demo.h"\n#include "coracle/version.h"\n')
        self.write("src/cli/demo.h", "")
        self.write("src/net/serve.h", '#include "node/node.h"\n')
        self.write("src/net/serve.c", '#include "net/serve.h"\n#include <uv.h>\n')
        self.write("src/node/node.h", '#include "api/api.h"\n#include "coracle/raft.h"\n')
        self.write("src/api/api.h", '#include "replica/replica.h"\n#include "http/request.h"\n')
        self.write("src/http/request.h", '#include "base/list.h"\n')
        self.write("src/replica/replica.h", '#include "store/store.h"\n#include "coracle/raft.h"\n')
        self.write("src/store/store.h", '#include "base/list.h"\n')

    def write(self, name, text):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def violations(self, flags="-DNDEBUG -UNDEBUG", left_out=()):
        """What house.py says of the tree, every .c file but those left out being compiled."""
        includes = f"-I{self.source}/src -I{self.source}/include -I{self.build}/include -isystem {self.source}/system"
        sources = [str(p) for p in self.source.rglob("*.c") if p.name not in left_out]
        commands = [
            {"directory": str(self.build), "file": s, "command": f"{CC} {flags} {includes} -o x.o -c {s}"}
            for s in sources
        ]
        (self.build / "compile_commands.json").write_text(json.dumps(commands))
        return list(house.check(self.source, self.build))

    def expect(self, *expected, **how):
        self.assertEqual(sorted(self.violations(**how)), sorted(expected))

    def test_a_good_tree_passes(self):
        self.expect()

    def test_a_room_beyond_the_table(self):
        self.write("src/store/store.c", '#include "store/store.h"\n#include "raft/log.h"\n')
        self.write("src/raft/log.h", "")
        self.expect(
            'src/store/store.c:2: store/ must not include "raft/log.h"',
            "src/store/store.c:1: store/ must not come to include raft/log.h, through any other header either",
        )

    def test_the_public_types_of_raft_are_not_for_all(self):
        self.write("src/store/store.c", '#include "coracle/raft.h"\n')
        self.write("src/join/join.c", '#include "coracle/raft.h"\n')
        self.expect(
            'src/store/store.c:1: store/ must not include "coracle/raft.h"',
            "src/store/store.c:1: store/ must not come to include coracle/raft.h, through any other header either",
        )

    def test_what_a_neighbour_includes_comes_along_but_may_not_be_named(self):
        self.write("src/net/loop.c", '#include "node/node.h"\n')
        self.expect()
        self.write("src/net/loop.c", '#include "api/api.h"\n')
        self.expect('src/net/loop.c:1: net/ must not include "api/api.h"')

    def test_a_neighbours_bad_header_is_seen_from_outside_too(self):
        self.write("src/base/list.h", '#include "cli/demo.h"\n')
        self.write("src/http/request.c", '#include "http/request.h"\n')
        self.expect(
            'src/base/list.h:1: base/ must not include "cli/demo.h"',
            "src/http/request.c:1: http/ must not come to include cli/demo.h, through any other header either",
            "src/net/serve.c:1: net/ must not come to include cli/demo.h, through any other header either",
        )

    def test_an_include_hidden_in_a_macro(self):
        self.write("src/store/store.c", '#define HEADER "cli/demo.h"\n#include HEADER\n')
        self.expect("src/store/store.c:1: store/ must not come to include cli/demo.h, through any other header either")

    def test_a_header_named_without_its_room(self):
        self.write("src/store/store.c", '#include "store.h"\n')
        self.expect('src/store/store.c:1: "store.h" is neither ROOM/FILE.h nor a public header')

    def test_a_public_header_depends_on_no_room(self):
        self.write("include/coracle/raft.h", '#include "base/list.h"\n')
        self.expect('include/coracle/raft.h:1: public/ must not include "base/list.h"')

    def test_a_library_outside_its_room(self):
        self.write("src/store/store.c", "#include <uv.h>\n")
        self.write("src/cli/options.c", "#include <jansson.h>\n")
        self.expect(
            "src/store/store.c:1: store/ must not include <uv.h>: only net may",
            "src/store/store.c:1: store/ must not include <uv.h>: only net may",
        )

    def test_a_library_that_leaks_through_a_header(self):
        self.write("src/http/request.h", "#include <llhttp.h>\n")
        self.expect("src/net/serve.c:1: net/ must not include <llhttp.h>: only http may")

    def test_a_source_that_nobody_builds(self):
        self.write("src/store/left_over.c", "")
        self.expect("src/store/left_over.c:1: no target compiles this file", left_out=["left_over.c"])

    def test_a_build_without_asserts(self):
        self.expect(
            "src/main.c:1: compiled without asserts", "src/net/serve.c:1: compiled without asserts", flags="-DNDEBUG"
        )

    def test_a_long_file(self):
        self.write("src/store/store.c", "\n" * house.FILE_LINES_MAX)
        self.expect()
        self.write("src/store/store.c", "\n" * (house.FILE_LINES_MAX + 1))
        self.expect("src/store/store.c:601: 601 lines, at most 600")

    def test_a_path_of_one_machine(self):
        place = "/".join(["", "home", "ann", "coracle"])  # put together here so that this file names none
        self.write("docs/notes.md", f"see https://example.org/work/ and ~/.config\nrun {place}/coracle\n")
        self.expect(f"docs/notes.md:2: a path of one machine: {place[:7]}")


if __name__ == "__main__":
    unittest.main()
