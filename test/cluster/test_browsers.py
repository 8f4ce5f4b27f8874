"""What web pages may do, as curl would do it for them: Host, Origin, CORS and preflights, on every node of a cluster.
And, where Chromium is installed, what a page can do in a browser."""

import functools
import html
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import threading

import pytest
from client import LOOPBACK, wait_until
from node import Node, die_with_parent

APP = "https://app.example"
OTHER = "http://localhost:3000"
EVIL = "http://evil.example"
ITEM = "/v1/collections/items/a"

READS = [("GET", "/"), ("GET", "/v1/collections"), ("GET", ITEM), ("GET", "/openapi.json"), ("HEAD", ITEM)]
WRITES = [
    ("PUT", ITEM, "{}"),
    ("POST", "/v1/collections/items", "{}"),
    ("PATCH", ITEM, "{}"),
    ("DELETE", ITEM, None),
    ("DELETE", "/v1/collections/items", None),
    ("POST", "/v1/transactions", '{"operations":[]}'),
]


class Everywhere(Node):
    """Listens on the wildcard."""

    def arguments(self):
        listens = [f"0.0.0.0:{self.port}" if a == self.address else a for a in super().arguments()]
        return [*listens, "--advertise", LOOPBACK]


class Seen:
    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in self.headers, f"{name} came twice: {head}"
            self.headers[name.lower()] = value

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]}>"


def curl(node, method, path, body=None, headers=(), host=None):
    """What `curl -i` shows of one request, with a page's headers."""
    arguments = ["curl", "-s", "-i", "--max-time", "20", f"http://{host or LOOPBACK}:{node.port}{path}"]
    arguments += ["-I"] if method == "HEAD" else ["-X", method]
    if host is not None:
        arguments += ["--resolve", f"{host}:{node.port}:{LOOPBACK}"]
    if body is not None:
        arguments += ["--json", body]
    for header in headers:
        arguments += ["-H", header]
    result = subprocess.run(arguments, capture_output=True, timeout=30, check=True, preexec_fn=die_with_parent)
    return Seen(result.stdout.decode())


def origin(value):
    return f"Origin: {value}"


def preflight(page, method):
    return [origin(page), f"Access-Control-Request-Method: {method}", "Access-Control-Request-Headers: content-type,if-match"]


@pytest.fixture(scope="module", params=["redirect", "reject", "forward"])
def open_trio(request, tmp_path_factory):
    """Three nodes that let two pages in, as followers of each kind."""
    from conftest import Maker

    maker = Maker(tmp_path_factory.mktemp("browsers"))
    cluster = maker(3, ["--cors-origin", f"{APP},{OTHER}", "--follower-writes", request.param]).start()
    cluster.wait_formed()
    yield cluster
    maker.close()


def test_a_rebound_name_gets_nothing(shared_trio):
    """Goal: a page whose own name was made to be 127.0.0.1 can neither read nor write: what comes with a name that is none
    of this host's is 403, without and with the Origin that goes with it. The host's own names are fine."""
    for node in shared_trio.nodes:
        for headers in ([], [origin(f"http://rebound.example:{node.port}")]):
            for method, path, *body in READS + WRITES + [("OPTIONS", ITEM)]:
                seen = curl(node, method, path, *body, headers=headers, host="rebound.example")
                assert seen.status == 403, (method, path, seen)
                if method != "HEAD":
                    assert '"code":"host_not_allowed"' in seen.body
        for host in ("localhost", "db.localhost", None):
            assert curl(node, "GET", "/v1/collections", host=host).status == 200


def test_other_pages_get_nothing_unless_they_are_let_in(shared_trio):
    """Goal: without --cors-origin every request that says it comes from a page of elsewhere is 403, reads and preflights
    too, and changes nothing; a page of the node's own address is none of elsewhere."""
    for node in shared_trio.nodes:
        for page in (EVIL, "null", f"https://{LOOPBACK}:{node.port}", f"http://{LOOPBACK}:{node.port + 1}"):
            for method, path, *body in READS + WRITES:
                seen = curl(node, method, path, *body, headers=[origin(page)])
                assert seen.status == 403, (method, path, seen)
                assert seen["Access-Control-Allow-Origin"] is None and seen["Vary"] is None
            assert curl(node, "OPTIONS", ITEM, headers=preflight(page, "PUT")).status == 403
        own = origin(f"http://{LOOPBACK}:{node.port}")
        assert curl(node, "GET", "/v1/collections", headers=[own]).status == 200
        assert curl(node, "GET", "/v1/collections").body == "[]"


def test_a_page_that_is_let_in(open_trio):
    """Goal: on every node and with every --follower-writes a page of --cors-origin may read every answer: documents, lists,
    problems, redirects, what a leader has answered to a follower, and what is no request; others still get 403."""
    leader, followers = open_trio.wait_formed()
    for node in [leader, *followers]:
        for page in (APP, OTHER):
            for method, path, *body in READS + WRITES:
                seen = curl(node, method, path, *body, headers=[origin(page)])
                assert seen["Access-Control-Allow-Origin"] == page, (method, path, seen)
                assert "Coracle-Revision" in seen["Access-Control-Expose-Headers"]
                assert seen["Vary"] == "Origin"
                assert seen.status != 403 or '"code":"not_leader"' in seen.body, seen
            lines = curl(node, "GET", "/v1/collections/items", headers=[origin(page), "Accept: application/x-ndjson"])
            assert (lines.status, lines["Access-Control-Allow-Origin"]) == (200, page)
            lines = curl(node, "POST", "/v1/collections/items", "{}\n", [origin(page), "Content-Type: application/x-ndjson"])
            assert lines.status in (200, 307, 403) and lines["Access-Control-Allow-Origin"] == page
            too_long = curl(node, "GET", "/" + "x" * 9000, headers=[origin(page)])
            assert (too_long.status, too_long["Access-Control-Allow-Origin"]) == (414, None)  # no header was read
            too_large = node.request("PUT", ITEM, "x" * 2_000_000, headers={"Origin": page})
            assert (too_large.status, too_large.header("access-control-allow-origin")) == (413, page)
        for method, path, *body in READS + WRITES:
            seen = curl(node, method, path, *body, headers=[origin(EVIL)])
            assert (seen.status, seen["Access-Control-Allow-Origin"], seen["Vary"]) == (403, None, "Origin")
            seen = curl(node, method, path, *body)
            assert (seen["Access-Control-Allow-Origin"], seen["Vary"]) == (None, "Origin")


def test_preflights(open_trio):
    """Goal: what a browser asks before it sends a page's write is answered on every node, for each method of each path."""
    for node in open_trio.nodes:
        for method, path, *_ in READS + WRITES:
            seen = curl(node, "OPTIONS", path, headers=preflight(APP, method))
            assert (seen.status, seen.body) == (204, "")
            assert seen["Access-Control-Allow-Origin"] == APP
            assert method in seen["Access-Control-Allow-Methods"].split(", ")
            assert {"Content-Type", "If-Match", "Idempotency-Key"} <= set(seen["Access-Control-Allow-Headers"].split(", "))
            assert int(seen["Access-Control-Max-Age"]) > 0
        assert curl(node, "OPTIONS", ITEM, headers=preflight(EVIL, "PUT")).status == 403


def test_with_a_star_every_page_is_let_in(make_cluster):
    """Goal: `*` answers `*` to every page, one that has no name too; a rebound name stays out."""
    cluster = make_cluster(1, ["--cors-origin", "*"]).start()
    cluster.wait_formed()
    (node,) = cluster.nodes
    for headers in ([origin(EVIL)], [origin("null")], []):
        seen = curl(node, "PUT", ITEM, "{}", headers=headers)
        assert (seen.status, seen["Access-Control-Allow-Origin"], seen["Vary"]) in ((200, "*", None), (201, "*", None))
    assert curl(node, "GET", ITEM, headers=[origin(EVIL)], host="rebound.example").status == 403


def test_off_loopback_every_host_is_fine(make_cluster):
    """Goal: a port that others reach has names that it does not know; pages of elsewhere are refused there all the same."""
    cluster = make_cluster(1)
    node = Everywhere(cluster.folder / "everywhere", cluster.election_port, "a", cluster.options)
    cluster.nodes = [node.start()]
    wait_until("it leads", lambda: node.get("/readyz").status == 200)
    assert curl(node, "PUT", ITEM, "{}", host="db.example").status == 201
    assert curl(node, "PUT", ITEM, "{}", headers=[origin(EVIL)], host="db.example").status == 403


# ---- In a browser ----

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (Debian: chromium)")
READS_OF_PAGE = {"list": 200, "export": 200, "missing": 404}
WRITES_OF_PAGE = {"put": 201, "post": 201, "patch": 200, "transaction": 200}


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page_server():
    """Serves page.html, from an origin of its own."""
    files = functools.partial(QuietFiles, directory=pathlib.Path(__file__).parent)
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()
    server.server_close()


def browse(page, nodes, folder):
    """What the script of the page was shown by each node: {what: [status, header, body]}."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    command += ["--virtual-time-budget=20000", "--dump-dom"]
    command.append(f"{page}/page.html#" + ",".join(node.url for node in nodes))
    dom = subprocess.run(command, capture_output=True, timeout=120, check=True, preexec_fn=die_with_parent).stdout.decode()
    text = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)[1]
    lines = [json.loads(line) for line in html.unescape(text).splitlines()]
    assert lines.pop() == ["done"], dom
    return [{what: seen for url, what, *seen in lines if url == node.url} for node in nodes]


def statuses(seen):
    return {what: status for what, (status, *_) in seen.items()}


@browser
@pytest.mark.parametrize("follower_writes", ["redirect", "forward"])
def test_in_a_browser(make_cluster, page_server, tmp_path, follower_writes):
    """Goal: a real browser shows a page that is let in every answer and the headers that count, from every node; but for
    writes that a follower redirects, which the page has to send to the leader (docs/api.md, "Browsers")."""
    cluster = make_cluster(3, ["--cors-origin", page_server, "--follower-writes", follower_writes]).start()
    leader, followers = cluster.wait_formed()
    assert leader.put("x", "{}", collection="seen").status == 201
    at_leader, at_follower = browse(page_server, [leader, followers[0]], tmp_path)
    assert statuses(at_leader) == READS_OF_PAGE | WRITES_OF_PAGE
    assert at_leader["list"][1:] == ["1", '[{"id":"x"}]'] and at_leader["export"][2] == '{"id":"x"}\n'
    assert at_leader["post"][1] == "/v1/collections/pages/p"
    assert re.fullmatch(r'"\d+"', at_leader["put"][1]) and at_leader["patch"][2] == '{"id":"a","n": 0.10,"m":2}'
    assert statuses({what: at_follower[what] for what in READS_OF_PAGE}) == READS_OF_PAGE
    assert at_follower["missing"][1] == "follower"
    if follower_writes == "redirect":
        assert statuses({what: at_follower[what] for what in WRITES_OF_PAGE}) == dict.fromkeys(WRITES_OF_PAGE, 0)
    else:  # the second one to send the key is told of the first
        assert statuses({what: at_follower[what] for what in WRITES_OF_PAGE}) == WRITES_OF_PAGE | {"transaction": 409}


@browser
def test_in_a_browser_that_is_not_let_in(make_cluster, page_server, tmp_path):
    """Goal: a page that is not let in is shown nothing by a real browser, and changes nothing."""
    cluster = make_cluster(3).start()
    leader, followers = cluster.wait_formed()
    for seen in browse(page_server, [leader, followers[0]], tmp_path):
        assert set(statuses(seen).values()) == {0}
    assert leader.get("/v1/collections").body == b"[]"
