"""A cluster of three for the JavaScript suites, which cannot start one by themselves: lib/cluster.js runs
this.

    CORACLE_BIN=BUILD/coracle serve_cluster.py [OPTION...]

Prints a line of JSON when the nodes, with these options, are one cluster, and obeys until its standard
input ends; then it ends them, and exits with 0 if each of them ended well and no sanitizer or assertion
had anything to say. Its commands are lines: "kill NAME" and "start NAME", each of which is answered with
such a line."""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cluster"))

from cluster import Cluster  # noqa: E402
from node import BINARY  # noqa: E402


def say(cluster):
    """Once what runs is one cluster."""
    leader = cluster.wait_leader()
    nodes = [{"name": n.name, "url": n.url, "leads": n is leader} for n in cluster.running]
    print(json.dumps({"nodes": nodes}), flush=True)


def serve(folder):
    cluster = Cluster(folder, 3, sys.argv[1:]).start()
    by_name = {node.name: node for node in cluster.nodes}
    try:
        cluster.wait_formed()
        say(cluster)
        for line in sys.stdin:
            command, name = line.split()
            {"kill": by_name[name].kill, "start": by_name[name].start}[command]()
            say(cluster)
        cluster.check_alive()
        return cluster.shut_down() + cluster.complaints()
    finally:
        cluster.kill_all()


def main():
    if not BINARY:
        sys.exit("set CORACLE_BIN to the coracle binary to test")
    with tempfile.TemporaryDirectory(prefix="coracle-clients-") as folder:
        wrong = serve(folder)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
