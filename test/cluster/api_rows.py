"""The API as a table: requests, and what the leader answers. test_api_matrix.py asks them of every kind of
node.

In paths, bodies and headers {collection} is a collection of the row's own, {id} the id of the document
that is there before (unless the row makes none), and {etag} its ETag. The patterns are regular
expressions; None: the header is not there."""

import dataclasses
import re

ETAG = r'"\d+"'
ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
DOCUMENT = "/v1/collections/{collection}/{id}"
COLLECTION = "/v1/collections/{collection}"
NDJSON = "application/x-ndjson"
MERGE = {"Content-Type": "application/merge-patch+json"}
PATCH = {"Content-Type": "application/json-patch+json"}


@dataclasses.dataclass
class Row:
    name: str
    method: str
    path: str
    status: int
    code: str = None
    body: str = None
    headers: dict = dataclasses.field(default_factory=dict)
    expected: dict = dataclasses.field(default_factory=dict)  # headers of the answer
    shows: str = None  # in its body
    makes: str = '{"id":"{id}","n": 1,"price":0.10}'  # the document that is there before; None: none
    before: list = dataclasses.field(default_factory=list)  # more (method, path, body, headers) at the leader
    is_refused_anywhere: bool = False  # by every node, leader or not
    streams: bool = False  # its body: such a request is not sent on

    @property
    def is_write(self):
        return self.method in ("POST", "PUT", "PATCH", "DELETE")

    @property
    def is_read(self):
        return self.path.startswith("/v1/collections") and not self.is_write and self.method != "OPTIONS"

    @property
    def is_stale(self):
        return "consistency=stale" in self.path

    def at(self, place):
        """With names filled in."""
        return dataclasses.replace(
            self,
            path=place.fill(self.path),
            body=place.fill(self.body),
            headers={name: place.fill(value) for name, value in self.headers.items()},
        )


class Place:
    """A collection and a document of one request's own."""

    def __init__(self, name):
        self.collection = re.sub(r"[^A-Za-z0-9]", "-", name)
        self.id = "d-" + self.collection
        self.etag = '"1"'
        self.revision = "1"  # as of which all of it is there

    def fill(self, text):
        if text is None:
            return None
        for name in ("collection", "id", "etag", "revision"):
            text = text.replace("{%s}" % name, getattr(self, name))
        return text

    def prepare(self, leader, row):
        if row.makes is not None and (row.is_read or row.is_write):
            made = leader.put(self.id, self.fill(row.makes), self.collection)
            assert made.status == 201, made
            self.etag, self.revision = made.header("etag"), made.header("coracle-revision")
        for method, path, body, headers in row.before:
            headers = {name: self.fill(value) for name, value in headers.items()}
            answer = leader.request(method, self.fill(path), self.fill(body), headers)
            assert answer.status < 400, answer
            self.revision = answer.header("coracle-revision")


def both(*rows):
    """Reads, and the same of the node's own memory."""
    found = []
    for row in rows:
        path = row.path + ("&" if "?" in row.path else "?") + "consistency=stale&min_revision={revision}"
        expected = {**row.expected, "coracle-staleness-ms": r"\d+"}
        found += [row, dataclasses.replace(row, name=row.name + ", stale", path=path, expected=expected)]
    return found


STORED = {"etag": ETAG, "content-type": "application/json"}
NO_STORE = {"cache-control": "no-store"}

READS = both(
    Row("collections", "GET", "/v1/collections", 200, shows=r'\{"name":"collections[^"]*","count":1\}'),
    Row("list", "GET", COLLECTION, 200, expected={"x-total-count": "1", "link": None},
        shows=r'^\[\{"id":"{id}",.*\}\]$'),
    Row("page", "GET", COLLECTION + "?limit=1", 200, before=[("PUT", COLLECTION + "/z", "{}", {})],
        expected={"x-total-count": "2", "link": r'<[^>]*\?[^>]*after=[^>]*>; rel="next"'},
        shows=r'^\[\{"id":"{id}"[^\[]*\}\]$'),
    Row("last page", "GET", COLLECTION + "?limit=1&after=a", 200, expected={"link": None}),
    Row("list of nothing", "GET", COLLECTION, 200, makes=None, expected={"x-total-count": "0"},
        shows=r"^\[\]$"),
    Row("export", "GET", COLLECTION, 200, headers={"Accept": NDJSON}, expected={"content-type": NDJSON},
        shows=r'^\{"id":"{id}","n": 1,"price":0.10\}\n$'),
    Row("collections, head", "HEAD", "/v1/collections", 200, expected={"content-length": r"\d+"}),
    Row("list, head", "HEAD", COLLECTION, 200, expected={"x-total-count": "1"}),
    Row("read", "GET", DOCUMENT, 200, expected={**STORED, "cache-control": "no-cache"},
        shows=r'^\{"id":"{id}","n": 1,"price":0.10\}$'),
    Row("head", "HEAD", DOCUMENT, 200, expected={**STORED, "content-length": r"\d\d"}),
    Row("read of nothing", "GET", DOCUMENT, 404, "document_not_found", makes=None),
    Row("read if none match any", "GET", DOCUMENT, 304, headers={"If-None-Match": "*"},
        expected={"etag": ETAG}),
    Row("read if match another", "GET", DOCUMENT, 412, "precondition_failed",
        headers={"If-Match": '"999999999"'}),
)  # fmt: skip

CONDITIONED_READS = [
    Row("read if none match", "GET", DOCUMENT, 304, headers={"If-None-Match": "{etag}"},
        expected={"etag": ETAG}),
    Row("read if match", "GET", DOCUMENT, 200, headers={"If-Match": "{etag}"}),
]

CREATES = [
    Row("post", "POST", COLLECTION, 201, body='{"n": 1.0}', makes=None,
        expected={**STORED, "location": "/v1/collections/[^/]+/" + ULID, **NO_STORE},
        shows=r'^\{"id":"' + ULID + r'","n": 1.0\}$'),
    Row("post with an id", "POST", COLLECTION, 201, body='{"n":1,"id":"{id}"}', makes=None,
        expected={**STORED, "location": "/v1/collections/[^/]+/d-.*"}, shows=r'^\{"n":1,"id":"{id}"\}$'),
    Row("post with a number as id", "POST", COLLECTION, 201, body='{"id": 17}', makes=None,
        expected={"location": "/v1/collections/[^/]+/17"}, shows=r'^\{"id": 17\}$'),
    Row("post of what exists", "POST", COLLECTION, 409, "document_exists", body='{"id":"{id}"}',
        expected={"etag": ETAG},
        shows=r'"current":\{"id":"{id}","n": 1,'),
    Row("post if match another", "POST", COLLECTION, 412, "precondition_failed", body='{"id":"{id}"}',
        headers={"If-Match": '"999999999"'}, expected={"etag": ETAG}),
    Row("put of a new one", "PUT", DOCUMENT, 201, body='{"n":1}', makes=None, expected=STORED,
        shows=r'^\{"id":"{id}","n":1\}$'),
    Row("put if none match", "PUT", DOCUMENT, 201, body="{}", makes=None, headers={"If-None-Match": "*"}),
    Row("put if none match, of what exists", "PUT", DOCUMENT, 412, "precondition_failed", body="{}",
        headers={"If-None-Match": "*"}, expected={"etag": ETAG}, shows=r'"current":\{"id":"{id}","n": 1,'),
    Row("post, minimal", "POST", COLLECTION, 204, body="{}", makes=None, headers={"Prefer": "return=minimal"},
        expected={"etag": ETAG, "location": ".*" + ULID, "preference-applied": "return=minimal"}, shows="^$"),
]  # fmt: skip

REPLACES = [
    Row("put", "PUT", DOCUMENT, 200, body='{"id":"{id}","n":2}', expected=STORED,
        shows=r'^\{"id":"{id}","n":2\}$'),
    Row("put if match", "PUT", DOCUMENT, 200, body='{"n":2}', headers={"If-Match": "{etag}"}),
    Row("put if match any", "PUT", DOCUMENT, 200, body='{"n":2}', headers={"If-Match": "*"}),
    Row("put if match any, of nothing", "PUT", DOCUMENT, 412, "precondition_failed", body="{}", makes=None,
        headers={"If-Match": "*"}, expected={"etag": None}, shows=r'"current":null'),
    Row("put if match another", "PUT", DOCUMENT, 412, "precondition_failed", body="{}",
        headers={"If-Match": '"999999999"'},
        expected={"etag": ETAG}, shows=r'"current":\{"id":"{id}",'),
    Row("put of another id", "PUT", DOCUMENT, 400, "id_mismatch", body='{"id":"other"}'),
    Row("put of what is no JSON", "PUT", DOCUMENT, 400, "invalid_json", body='{"n":}', shows=r'"offset":5'),
    Row("put of a list", "PUT", DOCUMENT, 400, "not_an_object", body="[]"),
    Row("put as a form", "PUT", DOCUMENT, 415, "unsupported_media_type", body="{}",
        headers={"Content-Type": "application/x-www-form-urlencoded"}, shows="curl .*--json"),
    Row("put compressed", "PUT", DOCUMENT, 415, "unsupported_content_encoding", body="{}",
        headers={"Content-Encoding": "gzip"},
        is_refused_anywhere=True),
    Row("put, minimal", "PUT", DOCUMENT, 204, body="{}", headers={"Prefer": "return=minimal"},
        expected={"etag": ETAG}, shows="^$"),
    Row("put if none match a tag", "PUT", DOCUMENT, 400, "invalid_precondition", body="{}",
        headers={"If-None-Match": '"17"'}),
]  # fmt: skip

PATCHES = [
    Row("merge patch", "PATCH", DOCUMENT, 200, body='{"n": null,"m":[2.50]}', headers=MERGE, expected=STORED,
        shows=r'^\{"id":"{id}","price":0.10,"m":\[2.50\]\}$'),
    Row("merge patch as JSON", "PATCH", DOCUMENT, 200, body='{"n":2}',
        shows=r'^\{"id":"{id}","n": 2,"price":0.10\}$'),
    Row("JSON patch", "PATCH", DOCUMENT, 200, headers=PATCH, expected=STORED,
        shows=r'^\{"id":"{id}","n": 1,"price":0.20\}$',
        body='[{"op":"test","path":"/n","value":1.0},{"op":"replace","path":"/price","value":0.20}]'),
    Row("patch of nothing", "PATCH", DOCUMENT, 404, "document_not_found", body="{}", makes=None),
    Row("patch if match", "PATCH", DOCUMENT, 200, body="{}", headers={"If-Match": "{etag}"}),
    Row("patch if match another", "PATCH", DOCUMENT, 412, "precondition_failed", body="{}",
        headers={"If-Match": '"999999999"'},
        expected={"etag": ETAG}, shows=r'"current":\{"id":"{id}",'),
    Row("patch, minimal", "PATCH", DOCUMENT, 204, body="{}", headers={"Prefer": "return=minimal"},
        expected={"etag": ETAG}),
    Row("patch of another type", "PATCH", DOCUMENT, 415, "unsupported_media_type", body="{}",
        headers={"Content-Type": "text/plain"},
        expected={"accept-patch": ".*merge-patch.*json-patch.*"}),
]  # fmt: skip

DELETES = [
    Row("delete", "DELETE", DOCUMENT, 204, shows="^$"),
    Row("delete of nothing", "DELETE", DOCUMENT, 404, "document_not_found", makes=None),
    Row("delete if match", "DELETE", DOCUMENT, 204, headers={"If-Match": "{etag}"}),
    Row("delete if match another", "DELETE", DOCUMENT, 412, "precondition_failed",
        headers={"If-Match": '"999999999"'},
        expected={"etag": ETAG}, shows=r'"current":\{"id":"{id}",'),
    Row("drop", "DELETE", COLLECTION, 204, shows="^$"),
    Row("drop of nothing", "DELETE", COLLECTION, 204, makes=None),
]  # fmt: skip

MANY = [
    Row("import", "POST", COLLECTION, 200, headers={"Content-Type": NDJSON},
        expected={"content-type": NDJSON}, streams=True,
        body='{"id":"a"}\n{"id":\n{"n":1}\n{"id":"{id}"}',
        shows=r'^\{.*201.*\n\{.*400.*invalid_json.*\n\{.*201.*\n\{.*409.*\n$'),
    Row("transaction", "POST", "/v1/transactions", 200, shows=r"201.*200.*204", before=[("PUT",
        COLLECTION + "/gone", "{}", {})],
        body='{"operations":[{"method":"put","path":"{collection}/new","body":{}},'
        '{"method":"put","path":"{collection}/{id}","body":{"n":0.10}},'
        '{"method":"delete","path":"{collection}/gone"}]}'),
    Row("transaction, minimal", "POST", "/v1/transactions", 204, headers={"Prefer": "return=minimal"},
        shows="^$",
        body='{"operations":[{"method":"patch","path":"{collection}/{id}","body":{"n":2}}]}'),
    Row("transaction that fails", "POST", "/v1/transactions", 409, "transaction_failed",
        shows=r"1.*precondition_failed",
        body='{"operations":[{"method":"put","path":"{collection}/new","body":{}},'
        '{"method":"put","path":"{collection}/{id}","if_none_match":"*","body":{}}]}'),
]  # fmt: skip

KEYED = {"Idempotency-Key": '"{id}"'}
REPLAYED = {"idempotency-replayed": "true"}
KEYS = [
    Row("key", "POST", COLLECTION, 201, body="{}", makes=None, headers=KEYED,
        expected={"idempotency-replayed": None}),
    Row("key again", "POST", COLLECTION, 201, body="{}", makes=None, headers=KEYED,
        before=[("POST", COLLECTION, "{}", KEYED)],
        expected={**REPLAYED, "etag": ETAG, "location": ".*" + ULID}, shows="^$"),
    Row("key again, of a put", "PUT", DOCUMENT, 200, body='{"n":7}', headers=KEYED, shows="^$",
        before=[("PUT", DOCUMENT, '{"n":7}', KEYED), ("DELETE", DOCUMENT, None, {})],
        expected={**REPLAYED, "etag": ETAG}),
    Row("key again, of a delete", "DELETE", DOCUMENT, 204, headers=KEYED,
        before=[("DELETE", DOCUMENT, None, KEYED)], expected=REPLAYED),
    Row("key of another", "POST", COLLECTION, 422, "idempotency_key_reused", body='{"n":2}', makes=None,
        headers=KEYED,
        before=[("POST", COLLECTION, '{"n":1}', KEYED)]),
    Row("key that is none", "POST", COLLECTION, 400, "invalid_idempotency_key", body="{}", makes=None,
        headers={"Idempotency-Key": '"'}),
]  # fmt: skip

ANYWHERE = [
    Row("no such path", "GET", "/v1/nothing", 404, "not_found"),
    Row("no such path, written", "POST", "/v1/nothing", 404, "not_found", body="{}",
        is_refused_anywhere=True),
    Row("no such method", "POST", DOCUMENT, 405, "method_not_allowed", body="{}", is_refused_anywhere=True,
        expected={"allow": "GET, HEAD, OPTIONS, PUT, PATCH, DELETE"}),
    Row("foreign origin", "POST", COLLECTION, 403, "origin_not_allowed", body="{}",
        headers={"Origin": "https://example.org"},
        is_refused_anywhere=True),
    Row("unknown host", "GET", COLLECTION + "?consistency=stale", 403, "host_not_allowed",
        headers={"Host": "example.org"}),
    Row("not acceptable", "GET", COLLECTION + "?consistency=stale", 406, "not_acceptable",
        headers={"Accept": "text/html"}),
    Row("too long", "GET", "/livez?" + "x" * 9000, 414, "uri_too_long"),
    Row("too many headers", "GET", "/livez", 431, "headers_too_large", headers={"X": "x" * 17000}),
    Row("unknown expectation", "GET", "/livez", 417, "expectation_failed", headers={"Expect": "tea"}),
    Row("unknown method", "BREW", "/livez", 501, "not_implemented"),
    Row("unknown parameter", "GET", COLLECTION + "?consistency=stale&x=1", 400, "invalid_parameter"),
    Row("options of a document", "OPTIONS", DOCUMENT, 204,
        expected={"allow": "GET, HEAD, OPTIONS, PUT, PATCH, DELETE"}),
    Row("options of a collection", "OPTIONS", COLLECTION, 204,
        expected={"allow": "GET, HEAD, OPTIONS, POST, DELETE"}),
]  # fmt: skip

CLUSTER = [
    Row("root", "GET", "/", 200,
        shows=r'^\{"name":"coracle","version":.*"node":.*"id":.*"role":.*"term":.*"leader":.*"links":'),
    Row("cluster", "GET", "/v1/cluster", 200, shows='"cluster_id":.*"members":'),
    Row("livez", "GET", "/livez", 200),
    Row("livez, head", "HEAD", "/livez", 200),
    Row("readyz, stale", "GET", "/readyz?consistency=stale", 200),
    Row("openapi", "GET", "/openapi.json", 200, expected={"content-type": "application/json"},
        shows='"openapi": ?"3.1'),
    Row("replication", "GET", "/v1/replication", 426, "upgrade_required"),
]  # fmt: skip

ROWS = [*READS, *CONDITIONED_READS, *CREATES, *REPLACES, *PATCHES, *DELETES, *MANY, *KEYS, *ANYWHERE,
*CLUSTER]
