"""The test of docs.py: it must pass what is documented, and find what is not.

Each case writes the few files that docs.py reads, with one route, one parameter and one problem, and changes one of them.
"""

import json
import pathlib
import tempfile
import unittest

import docs

ROUTES = """#define PATH_ITEMS "/items"
#define PATH_ITEM PATH_ITEMS "/{id}"
  LISTING = PARAMETER_LIMIT,
    {PATH_ITEMS, HTTP_GET_, ACCESS_READ, LISTING, MEDIA_JSON, NULL, items_get},
    {PATH_ITEM, HTTP_PUT_, ACCESS_WRITE, 0, 0, NULL, item_put},
"""
PARAMETERS = '    {"limit", PARAMETER_LIMIT, read_limit},\n'
PROBLEMS = '  X(NOT_FOUND, 404, "not_found", "There is nothing") \\\n'
FAULTS = '  X(HEADER, 400, "malformed_request", "A header is wrong.")\n'
CLIENTS = '      408, "request_timeout",\n'
PAGE = """| status | code | | |
|---|---|---|---|
| 400 | `malformed_request` | | |
| 404, 408 | `not_found` | | |
"""


def operation(*parameters):
    return {"parameters": [{"name": name, "in": "query"} for name in parameters], "responses": {}}


class Docs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = pathlib.Path(folder.name)
        self.write("src/api/routes.c", ROUTES)
        self.write("src/api/parameters.c", PARAMETERS)
        self.write("src/api/problem.h", PROBLEMS)
        self.write("src/http/fault.h", FAULTS)
        self.write("src/node/clients.c", CLIENTS)
        self.page = PAGE.replace("| 404, 408 | `not_found`", "| 404 | `not_found` | | |\n| 408 | `request_timeout`")
        self.document = {
            "info": {"description": "`not_found`, `malformed_request` or `request_timeout`"},
            "paths": {
                "/items": {"get": operation("limit"), "head": operation("limit"), "options": operation()},
                "/items/{id}": {"put": operation(), "options": operation()},
            },
            "components": {"schemas": {"ProblemCode": {"enum": ["not_found", "malformed_request", "request_timeout"]}}},
        }

    def write(self, name, text):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def expect(self, *expected):
        self.write("docs/api.md", self.page)
        self.write("docs/openapi.json", json.dumps(self.document))
        self.assertEqual(sorted(docs.check(self.source)), sorted(expected))

    def test_what_is_documented_passes(self):
        self.expect()

    def test_a_route_that_is_not_there(self):
        del self.document["paths"]["/items/{id}"]["put"]
        del self.document["paths"]["/items"]
        self.expect(
            "docs/openapi.json: lacks GET /items",
            "docs/openapi.json: lacks HEAD /items",
            "docs/openapi.json: lacks OPTIONS /items",
            "docs/openapi.json: lacks PUT /items/{id}",
        )

    def test_a_route_too_much(self):
        self.document["paths"]["/items/{id}"]["patch"] = operation()
        self.document["paths"]["/metrics"] = {"get": operation()}
        self.expect(
            "docs/openapi.json: has GET /metrics, which is no route",
            "docs/openapi.json: has PATCH /items/{id}, which is no route",
        )

    def test_parameters(self):
        self.document["paths"]["/items"]["get"] = operation()
        self.document["paths"]["/items/{id}"]["put"] = operation("limit")
        self.expect(
            "docs/openapi.json: GET /items lacks the parameter: limit",
            "docs/openapi.json: PUT /items/{id} has a parameter too much: limit",
        )

    def test_parameters_of_the_path_and_by_reference(self):
        self.document["components"]["parameters"] = {"Limit": {"name": "limit", "in": "query"}}
        self.document["paths"]["/items"]["get"]["parameters"] = [{"$ref": "#/components/parameters/Limit"}]
        self.expect()

    def test_a_problem_that_is_nowhere(self):
        self.write("src/api/problem.h", PROBLEMS + '  X(BUSY, 503, "busy", "Too much")\n')
        self.expect(
            "docs/api.md: the table of problems lacks 503 busy",
            "docs/openapi.json: ProblemCode lacks busy",
            "docs/openapi.json: no response says when it is busy",
        )

    def test_a_status_that_is_another_one(self):
        self.page = PAGE
        self.expect(
            "docs/api.md: the table of problems has 408 not_found",
            "docs/api.md: the table of problems lacks 408 request_timeout",
        )


if __name__ == "__main__":
    unittest.main()
