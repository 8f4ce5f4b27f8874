"""Options and the start: one line on stderr and exit 2 for a bad option, exit 1 for what the system refuses,
before anything was sent or made."""

import socket
import subprocess

import pytest
from client import wait_until
from node import BINARY, clean_environment, die_with_parent, free_port

BAD = {
    "unknown option": ["--bogus", "1"],
    "unknown option with a near name": ["--heartbeat", "1"],
    "one dash": ["-http", "127.0.0.1:8001"],
    "an argument": ["8001"],
    "no value": ["--http"],
    "an option for a value": ["--http", "--name", "a"],
    "given twice": ["--name", "a", "--name", "b"],
    "port 65536": ["--http", "127.0.0.1:65536"],
    "port -1": ["--http", "127.0.0.1:-1"],
    "port 80x": ["--http", "127.0.0.1:80x"],
    "no port": ["--http", "127.0.0.1"],
    "empty port": ["--http", "127.0.0.1:"],
    "no host": ["--http", ":8001"],
    "empty address": ["--http="],
    "host name": ["--http", "no.such.host.invalid:8001"],
    "bad IPv4": ["--http", "127.0.0.256:8001"],
    "IPv6 without brackets": ["--http", "::1:8001"],
    "wildcard without --advertise": ["--http", "0.0.0.0:8001"],
    "election port 0": ["--election", "127.0.0.1:0"],
    "election port 65536": ["--election", "127.0.0.1:65536"],
    "election on the network without a secret": ["--election", "192.0.2.1:8000"],
    "election at a wildcard": ["--election", "0.0.0.0:8000", "--secret-file", "s"],
    "election with a scope": ["--election", "[fe80::1%lo]:8000", "--secret-file", "s"],
    "election at a link-local address": ["--election", "[fe80::1]:8000", "--secret-file", "s"],
    "election at IPv4 in IPv6": ["--election", "[::ffff:192.0.2.1]:8000", "--secret-file", "s"],
    "IPv6 wildcard without --advertise": ["--http", "[::]:8001"],
    "advertise a wildcard": ["--http", "0.0.0.0:8001", "--advertise", "0.0.0.0"],
    "advertise a name": ["--http", "0.0.0.0:8001", "--advertise", "here"],
    "advertise IPv6 without brackets": ["--http", "0.0.0.0:8001", "--advertise", "::1"],
    "peers without this node": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9002,127.0.0.1:9003"],
    "a peer twice": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9002"],
    "a peer twice, spelled twice": ["--election", "[::1]:9", "--peers", "[::1]:9,[0:0::1]:9"],
    "a peer without a port": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,127.0.0.1"],
    "a peer with port 0": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,127.0.0.1:0"],
    "a peer at a wildcard": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,0.0.0.0:9002"],
    "a peer with a scope": ["--election", "[::1]:9001", "--peers", "[::1]:9001,[fe80::1%lo]:9002"],
    "an empty peer": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,,127.0.0.1:9002"],
    "empty peers": ["--peers="],
    "peers of two kinds": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,[::1]:9002"],
    "loopback and other peers": ["--election", "127.0.0.1:9001", "--peers", "127.0.0.1:9001,192.0.2.1:9002"],
    "17 peers": ["--election", "127.0.0.1:1", "--peers", ",".join(f"127.0.0.1:{i}" for i in range(1, 18))],
    "expect 0": ["--expect", "0"],
    "expect 17": ["--expect", "17"],
    "remote peers and no HTTP address": [
        "--election", "192.0.2.1:1", "--secret-file", "s", "--peers", "192.0.2.1:1,192.0.2.2:1",
    ],
    "remote peers and HTTP on loopback": [
        "--election", "192.0.2.1:1", "--secret-file", "s", "--peers", "192.0.2.1:1,192.0.2.2:1",
        "--http", "[::1]:8001",
    ],
    "heartbeat of 0": ["--heartbeat-ms", "0"],
    "heartbeat negative": ["--heartbeat-ms", "-50"],
    "heartbeat with a unit": ["--heartbeat-ms", "50ms"],
    "heartbeat too long for 64 bits": ["--heartbeat-ms", "18446744073709551617"],
    "heartbeat not below the timeout": ["--heartbeat-ms", "500", "--election-timeout-ms", "500"],
    "timeout below the default heartbeat": ["--election-timeout-ms", "40"],
    "empty name": ["--name", ""],
    "name too long": ["--name", "a" * 65],
    "name with a space": ["--name", "a b"],
    "name with a newline": ["--name", "a\nb"],
    "follower writes": ["--follower-writes", "maybe"],
    "a page without a scheme": ["--cors-origin", "app.example"],
    "a page with a path": ["--cors-origin", "https://app.example/"],
    "a page beside all": ["--cors-origin", "https://app.example,*"],
    "an empty page": ["--cors-origin", "https://app.example,"],
    "no page": ["--cors-origin", ""],
    "log level": ["--log-level", "loud"],
    "document of 0": ["--max-document-bytes", "0"],
    "document too large": ["--max-document-bytes", "99999999"],
    "no connections": ["--max-connections", "0"],
    "empty data directory": ["--data-dir", ""],
    "a secret in argv": ["--secret", "abc"],
}


def run(folder, arguments, environment=None):
    """Runs the binary to its end, which must come soon."""
    return subprocess.run(
        [BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        cwd=folder, env=clean_environment(folder) | (environment or {}), preexec_fn=die_with_parent,
    )  # fmt: skip


def check_one_line(result, status):
    assert result.returncode == status, result
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.isprintable() or result.stderr[:-1].isprintable()
    assert len(result.stderr) < 400


@pytest.mark.parametrize("case", BAD)
def test_a_bad_option_is_one_line_and_exit_2(tmp_path, case):
    given = [a.split("=")[0] for a in BAD[case]]
    fine = [] if "--election" in given else ["--election", f"127.0.0.1:{free_port()}"]
    result = run(tmp_path, ["serve", *fine, *BAD[case]])
    check_one_line(result, 2)
    assert list(tmp_path.iterdir()) == []  # nothing was made


@pytest.mark.parametrize("variable, value", [("CORACLE_HTTP", "80x"), ("CORACLE_HEARTBEAT_MS", "-1")])
def test_a_bad_variable_is_named(tmp_path, variable, value):
    result = run(tmp_path, ["serve"], {variable: value})
    check_one_line(result, 2)
    assert variable in result.stderr and value in result.stderr


@pytest.mark.parametrize("arguments", [["bogus"], ["serv"], ["--bogus"]])
def test_an_unknown_command_is_one_line_and_exit_2(tmp_path, arguments):
    check_one_line(run(tmp_path, arguments), 2)


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["serve", "--help"], ["version"], ["--version"]])
def test_help_and_version(tmp_path, arguments):
    result = run(tmp_path, arguments)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout


def test_the_environment_sets_options(make_cluster):
    """Goal: CORACLE_… does what the command line does, which wins."""
    cluster = make_cluster(1)
    (node,) = cluster.nodes
    taken = free_port()
    environment = {
        "CORACLE_ELECTION": f"127.0.0.1:{cluster.election_port}", "CORACLE_HTTP": node.address,
        "CORACLE_NAME": "from-environment", "CORACLE_DATA_DIR": str(node.data_dir),
    }  # fmt: skip
    process = subprocess.Popen(
        [BINARY, "serve", "--name", "from-line"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=clean_environment(node.folder) | environment,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        assert wait_until("it answers", node.about)["node"] == "from-line"
        assert node.data_dir.is_dir() and node.port != taken
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)


def test_a_taken_http_port_is_one_line_and_exit_1_before_any_datagram(make_cluster):
    """Goal: a mistake in the set-up disturbs no cluster. Method: the test holds the HTTP port and the
    election address, and hears nothing."""
    cluster = make_cluster(1)
    (node,) = cluster.nodes
    with socket.socket() as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        listener.bind(("127.0.0.1", node.port))
        listener.listen()
        holder.bind(("127.0.0.1", cluster.election_port))
        result = run(node.folder, node.arguments()[1:])
        check_one_line(result, 1)
        assert node.address in result.stderr
        assert "in use" in result.stderr or "taken" in result.stderr
        holder.settimeout(0.5)
        with pytest.raises(TimeoutError):
            holder.recvfrom(65536)


def test_a_taken_http_port_of_a_node(trio):
    """Goal: the same where the port's owner is a node of the cluster, which goes on."""
    leader, followers = trio.wait_formed()
    double = trio.new_node("d", port=followers[0].port)
    check_one_line(run(double.folder, double.arguments()[1:]), 1)
    assert trio.wait_formed()[0] is leader
    assert "d" not in leader.log().split()


def test_a_data_directory_has_one_process(make_cluster):
    """Goal: a second process on a data directory exits 1 and says which; the first goes on. A killed one
    leaves no lock behind."""
    cluster = make_cluster(3).start()
    cluster.wait_formed()
    first = cluster.nodes[0]
    second = cluster.new_node("second", folder=cluster.folder / "second")
    second.data_dir = first.data_dir
    result = run(second.folder, second.arguments()[1:])
    check_one_line(result, 1)
    assert str(first.data_dir) in result.stderr
    cluster.wait_formed()
    first.kill()
    first.start()
    cluster.wait_formed()


def test_a_data_directory_that_cannot_be(tmp_path):
    """Goal: a file where the folder should be is one line and exit 1."""
    (tmp_path / "file").write_text("")
    election, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    base = ["serve", "--election", election, "--http", http, "--data-dir"]
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        result = run(tmp_path, [*base, str(path)])
        check_one_line(result, 1)
        assert str(path) in result.stderr
