"""Holds the documentation of the API against the source, and prints what one of them lacks as FILE: what.

    docs.py SOURCE

SOURCE is the project's folder. docs/openapi.json has every route of src/api/routes.c, with its methods and query
parameters, and no other; every code of a problem, with its status, is in docs/openapi.json and in the table of
docs/api.md, and no other. What "coracle serve --help" prints is in docs/options.md; that is looked at when the binary is
named as a second argument.
Exit status: 0 all is well, 1 something is missing.
"""

import json
import pathlib
import re
import subprocess
import sys

ROUTE = re.compile(r"^    \{((?:\"[^\"]*\"|[A-Z_]+)), HTTP_(\w+)_, (\w+), ([^,]+),", re.MULTILINE)
DEFINE = re.compile(r"^#define (PATH_\w+) (.+)$", re.MULTILINE)
PARAMETER_SET = re.compile(r"^  (\w+) = ((?:\w+ \| )*\w+),$", re.MULTILINE)
PARAMETER = re.compile(r'^    \{"(\w+)", (PARAMETER_\w+), ', re.MULTILINE)
PROBLEM = re.compile(r'X\(\w+, (\d+), "(\w+)",')
TIMEOUT = re.compile(r'(408), "(\w+)",')  # the one problem that is made where the clock is
ROW = re.compile(r"^\| ([\d, ]+) \| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
METHODS_OF_ALL = {"options"}


def paths_of(text):
    """PATH_DOCUMENT and what it stands for."""
    paths = {}
    for name, value in DEFINE.findall(text):
        paths[name] = "".join(paths.get(word, word.strip('"')) for word in value.split())
    return paths


def routes_of(source):
    """{path: {method: set of query parameters}}, of the route table; OPTIONS everywhere, HEAD where there is GET."""
    text = (source / "src/api/routes.c").read_text()
    names = dict((bit, name) for name, bit in PARAMETER.findall((source / "src/api/parameters.c").read_text()))
    paths, sets = paths_of(text), {}

    def parameters(expression):
        found = set()
        for word in expression.split(" | "):
            found |= sets[word] if word in sets else set() if word == "0" else {names[word]}
        return found

    for name, value in PARAMETER_SET.findall(text):
        sets[name] = parameters(value)
    routes = {}
    for path, method, _, expression in ROUTE.findall(text):
        methods = routes.setdefault(paths.get(path, path.strip('"')), {m: set() for m in METHODS_OF_ALL})
        methods[method.lower()] = parameters(expression)
        if method == "GET":
            methods["head"] = parameters(expression)
    return routes


def problems_of(source):
    """{(status, code)}"""
    found = set()
    for name, pattern in (("api/problem.h", PROBLEM), ("http/fault.h", PROBLEM), ("node/clients.c", TIMEOUT)):
        text = (source / "src" / name).read_text()
        found |= {(int(status), code) for status, code in pattern.findall(text)}
    return found


def resolve(document, thing):
    while "$ref" in thing:
        target = document
        for key in thing["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        thing = target
    return thing


def parameters_of(document, item, operation):
    every = [resolve(document, p) for p in item.get("parameters", []) + operation.get("parameters", [])]
    return {p["name"] for p in every if p["in"] == "query"}


def check_routes(source, document):
    routes, described = routes_of(source), document["paths"]
    for path in sorted(routes.keys() | described.keys()):
        methods = routes.get(path, {})
        operations = {k: v for k, v in described.get(path, {}).items() if k not in ("parameters", "summary", "description")}
        for method in sorted(methods.keys() - operations.keys()):
            yield f"docs/openapi.json: lacks {method.upper()} {path}"
        for method in sorted(operations.keys() - methods.keys()):
            yield f"docs/openapi.json: has {method.upper()} {path}, which is no route"
        for method in sorted(operations.keys() & methods.keys()):
            named = parameters_of(document, described[path], operations[method])
            for name in sorted(named ^ methods[method]):
                what = "has a parameter too much" if name in named else "lacks the parameter"
                yield f"docs/openapi.json: {method.upper()} {path} {what}: {name}"


def check_problems(source, document):
    problems = problems_of(source)
    codes = {code for _, code in problems}
    listed = set(document["components"]["schemas"]["ProblemCode"]["enum"])
    for code in sorted(codes ^ listed):
        yield f"docs/openapi.json: ProblemCode {'has' if code in listed else 'lacks'} {code}"
    page = (source / "docs/api.md").read_text()
    told = set()
    for statuses, names in ROW.findall(page):
        told |= {(int(s), name) for s in statuses.split(",") for name in re.findall(r"\w+", names)}
    for status, code in sorted(problems ^ told):
        yield f"docs/api.md: the table of problems {'has' if (status, code) in told else 'lacks'} {status} {code}"
    text = json.dumps(document)
    for code in sorted(codes):
        if f"`{code}`" not in text and f'"code": "{code}"' not in text:
            yield f"docs/openapi.json: no response says when it is {code}"


def check_options(source, binary):
    shown = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    if shown not in (source / "docs/options.md").read_text():
        yield "docs/options.md: is not what coracle serve --help prints"


def check(source, binary=None):
    document = json.loads((source / "docs/openapi.json").read_text())
    yield from check_routes(source, document)
    yield from check_problems(source, document)
    if binary is not None:
        yield from check_options(source, binary)


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit("usage: docs.py SOURCE [BINARY]")
    missing = list(check(pathlib.Path(arguments[0]).resolve(), *arguments[1:]))
    for line in missing:
        print(line)
    if missing:
        sys.exit(f"{len(missing)} things are not as documented")
    print("the documentation has every route, parameter, problem and option")


if __name__ == "__main__":
    main(sys.argv[1:])
