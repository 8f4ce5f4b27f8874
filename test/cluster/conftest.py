"""Fixtures for tests over real coracle processes. By hand:

    export CORACLE_BIN=BUILD/coracle
    python3 -B -m pytest test/cluster                                   # all of them
    python3 -B -m pytest test/cluster/test_failover.py -k thousand -x   # one
    CORACLE_RACES=100 python3 -B -m pytest test/cluster/test_races.py   # the long races

A failed test prints the log of each of its nodes. At the end of every test its nodes are sent SIGTERM and
must exit with 0, so each test is a test for leaks as well when CORACLE_BIN was built with the asan preset.
Nothing a test starts outlives it."""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster  # noqa: E402
from node import BINARY  # noqa: E402

TEST_LIMIT_S = 300  # for one test; @pytest.mark.limit_s(N) sets another
LOG_LINES_SHOWN = 200  # of each start of each node, the newest

_clusters = []  # those alive now, for the report of a failure
_measured = []  # lines for the end of the run
_failed = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "limit_s(seconds): how long the test may take before it is stopped")
    if not BINARY or not os.access(BINARY, os.X_OK):
        pytest.exit("set CORACLE_BIN to the coracle binary to test", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[_failed] = True
        report.sections += [section for cluster in _clusters for section in log_sections(cluster)]
    if report.when == "teardown":
        _clusters[:] = [cluster for cluster in _clusters if not cluster.closed]


def log_sections(cluster):
    for node in cluster.nodes:
        for file in node.log_files():
            lines = file.read_text(errors="replace").splitlines()
            if lines:
                yield f"{node} {file.name}, {len(lines)} lines", "\n".join(lines[-LOG_LINES_SHOWN:])


def pytest_terminal_summary(terminalreporter):
    for line in _measured:
        terminalreporter.write_line(line)


@pytest.fixture
def measured():
    """Call it with a line to be shown at the end of the run."""
    return _measured.append


@pytest.fixture(autouse=True)
def limit(request):
    """No test hangs: SIGALRM interrupts whatever it waits for."""
    marker = request.node.get_closest_marker("limit_s")
    seconds = marker.args[0] if marker else TEST_LIMIT_S

    def give_up(*_):
        raise RuntimeError(f"the test took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(seconds))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


class Maker:
    """Makes clusters, and ends them: first with SIGTERM, to see that they end well, then for certain."""

    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count()
        self.made = []

    def __call__(self, size=3, options=()):
        return self.adopt(Cluster(self.folder / f"cluster{next(self.numbers)}", size, options))

    def adopt(self, cluster):
        """Sees to the end of one that was made in another way."""
        self.made.append(cluster)
        _clusters.append(cluster)
        return cluster

    def end(self, cluster):
        """Ends one before the test does, for tests that make many."""
        self._end_well(cluster)
        self._remove(cluster)
        self.made.remove(cluster)
        _clusters.remove(cluster)

    def _end_well(self, cluster):
        cluster.check_alive()
        bad = cluster.shut_down() + cluster.complaints()
        assert not bad, bad

    def _remove(self, cluster):
        """What is on the disk: tens of megabytes for each node."""
        cluster.kill_all()
        for node in cluster.nodes:
            shutil.rmtree(node.data_dir, ignore_errors=True)

    def close(self, gently=True):
        """A test that failed is not closed gently: its nodes' data stays to be looked at."""
        try:
            if gently:
                for cluster in self.made:
                    self._end_well(cluster)
                for cluster in self.made:
                    self._remove(cluster)
        finally:
            for cluster in self.made:
                cluster.kill_all()
                cluster.closed = True


@pytest.fixture
def make_cluster(tmp_path, request):
    """make_cluster(size, options) is a Cluster whose nodes are not started yet."""
    maker = Maker(tmp_path)
    yield maker
    maker.close(gently=not request.node.stash.get(_failed, False))


@pytest.fixture
def trio(make_cluster):
    """Three nodes that have formed a cluster."""
    cluster = make_cluster(3).start()
    cluster.wait_formed()
    return cluster


@pytest.fixture(params=["disk", "memory"])
def storage(request):
    """The option, once for each kind."""
    return [f"--storage={request.param}"]


@pytest.fixture
def stored_trio(make_cluster, storage):
    """The same, once with each kind of storage."""
    cluster = make_cluster(3, storage).start()
    cluster.wait_formed()
    return cluster


@pytest.fixture
def forgetful_trio(make_cluster):
    """The same, of nodes that forget everything when they end."""
    cluster = make_cluster(3, ["--storage=memory"]).start()
    cluster.wait_formed()
    return cluster


@pytest.fixture(scope="module")
def shared_trio(tmp_path_factory):
    """The same for all tests of a file: for those that must leave no trace."""
    maker = Maker(tmp_path_factory.mktemp("shared"))
    cluster = maker(3).start()
    cluster.wait_formed()
    yield cluster
    maker.close()
