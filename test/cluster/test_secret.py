"""The cluster secret: three processes that find none agree on one; what may have been read or changed by others
is refused; clusters with different secrets do not hear each other; `coracle secret generate`."""

import os
import re
import stat
import subprocess

import pytest
from client import wait_until
from documents import wait_same
from node import BINARY, clean_environment, die_with_parent, free_port
from sealing import write_secret

LINE = re.compile(r"[0-9a-f]{64}\n")


def run(folder, *arguments, environment=None, timeout_s=30):
    return subprocess.run(
        [BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s,
        cwd=folder, env=clean_environment(folder) | (environment or {}), preexec_fn=die_with_parent,
    )  # fmt: skip


def serve_with(folder, secret_file):
    return run(
        folder, "serve", "--election", f"127.0.0.1:{free_port()}", "--http", f"127.0.0.1:{free_port()}",
        "--data-dir", str(folder / "data"), "--secret-file", str(secret_file),
    )  # fmt: skip


def check_refused(result, path, remedy):
    """One line, exit 2, with the file and what to do."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("coracle serve: "), result.stderr
    assert str(path) in result.stderr and remedy in result.stderr, result.stderr


@pytest.mark.parametrize("variable", ["HOME", "XDG_CONFIG_HOME"])
def test_three_at_once_make_one_secret(make_cluster, tmp_path, variable):
    """Goal: three processes of one user, started at the same instant without a secret file, are one cluster:
    one of them makes the file, private, and all read it. Again and again."""
    for number in range(5):
        home = tmp_path / f"home{number}"
        home.mkdir()
        cluster = make_cluster(3, ["--secret-file", "see below"])
        for node in cluster.nodes:
            node.options = []
            node.environment = {variable: str(home)}
        path = home / (".config" if variable == "HOME" else ".") / "coracle" / "secret"
        cluster.start_together()
        cluster.wait_formed()
        about = path.stat()
        assert stat.S_IMODE(about.st_mode) == 0o600 and LINE.fullmatch(path.read_text())
        assert [p.name for p in path.parent.iterdir()] == ["secret"]
        logged = [re.search(r"secret file (\S+?)(, made just now)?\n", n.log()) for n in cluster.nodes]
        assert all(os.path.samefile(found.group(1), path) for found in logged)
        assert sum(found.group(2) is not None for found in logged) == 1
        assert not any(path.read_text().strip() in n.log() for n in cluster.nodes)  # and nobody tells it
        before = path.read_text()
        victim = cluster.nodes[number % 3]
        victim.kill()
        victim.start()
        cluster.wait_formed()
        assert path.read_text() == before
        make_cluster.end(cluster)


def damaged(path, kind):
    """Makes of a good secret file one that is refused; what is said about it."""
    good = path.read_text()
    if kind == "empty":
        path.write_text("")
    elif kind == "one digit short":
        path.write_text(good[1:])
    elif kind == "no newline":
        path.write_text(good[:-1])
    elif kind == "not hexadecimal":
        path.write_text("g" + good[1:])
    elif kind == "a line more":
        path.write_text(good + "\n")
    elif kind == "very long":
        path.write_text(good * 100000)
    elif kind == "another format":
        path.write_text("# secret\n" + good)
    elif kind.startswith("mode "):
        path.chmod(int(kind.split()[1], 8))
        return "chmod 600"
    elif kind == "directory":
        path.unlink()
        path.mkdir()
        return "not a regular file"
    elif kind == "FIFO":
        path.unlink()
        os.mkfifo(path, 0o600)
        return "not a regular file"
    elif kind == "device":
        path.unlink()
        path.symlink_to("/dev/zero")
        return "not a regular file"
    elif kind == "missing":
        path.unlink()
        return "coracle secret generate"
    elif kind == "link to nothing":
        path.unlink()
        path.symlink_to("nothing")
        return "coracle secret generate"
    elif kind == "another user's":
        os.chown(path, 12345, -1)
        return "chown"
    return "coracle secret generate"


KINDS = [
    "empty", "one digit short", "no newline", "not hexadecimal", "a line more", "very long", "another format",
    "mode 604", "mode 640", "mode 644", "mode 660", "mode 622", "mode 602", "mode 666", "mode 777",
    "directory", "FIFO", "device", "missing", "link to nothing", "another user's",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_file_that_will_not_do(tmp_path, kind):
    """Goal: one line and exit 2, before anything is bound or made."""
    if kind == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = tmp_path / "its secret"
    write_secret(path)
    remedy = damaged(path, kind)
    check_refused(serve_with(tmp_path, path), path, remedy)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", ["empty", "mode 644", "directory"])
def test_the_default_file_is_no_better(tmp_path, kind):
    """Goal: a default file that will not do is refused as well, and not replaced."""
    path = tmp_path / ".config" / "coracle" / "secret"
    path.parent.mkdir(parents=True)
    write_secret(path)
    remedy = damaged(path, kind)
    before = path.read_text() if path.is_file() else None
    result = run(tmp_path, "serve", "--election", f"127.0.0.1:{free_port()}", "--http", "127.0.0.1:0")
    check_refused(result, path, remedy)
    assert (path.read_text() if path.is_file() else None) == before


def test_without_a_home_there_is_no_default(tmp_path):
    result = subprocess.run(
        [BINARY, "serve", "--election", f"127.0.0.1:{free_port()}", "--data-dir", str(tmp_path / "data")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={k: v for k, v in clean_environment(tmp_path).items() if k != "HOME"},
    )  # fmt: skip
    check_refused(result, "HOME", "--secret-file")


@pytest.mark.parametrize("arguments", [["--secret", "ab" * 32], ["--secret=" + "ab" * 32]])
def test_a_secret_in_argv_is_refused(tmp_path, arguments):
    """Goal: everybody can read a process's arguments; the answer names the option to use, and does not repeat
    the secret."""
    result = run(tmp_path, "serve", *arguments)
    check_refused(result, "--secret", "--secret-file")
    assert "abab" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_across_hosts_a_secret_file_must_be_named(tmp_path):
    result = run(tmp_path, "serve", "--election", "192.0.2.1:8000")
    check_refused(result, "--election", "--secret-file")
    assert list(tmp_path.iterdir()) == []


def test_different_secrets_are_different_clusters(make_cluster):
    """Goal: at one election address a node with another secret waits and says why; the cluster that is there
    goes on, says now and then that it drops something, and answers nothing. When it has gone, the other has
    the address, and founds a cluster of its own."""
    cluster = make_cluster(3).start()
    leader, _ = cluster.wait_formed()
    assert leader.put("kept", "{}").status == 201
    stranger = make_cluster(1)
    stranger.nodes[0].election_port = cluster.election_port
    stranger.start()
    (node,) = stranger.nodes
    expected = "does not answer: a hung process, another secret, or another program"
    wait_until("it says why", lambda: expected in node.get("/readyz").json().get("detail", ""))
    assert node.put("other", "{}").status == 503
    assert node.view()["cluster_id"] is None
    dropped = "dropped a datagram from .*: bad seal"
    wait_until("the other side notices", lambda: any(n.logged(dropped) for n in cluster.nodes))
    assert cluster.wait_formed()[0] is leader
    assert sorted(wait_same(cluster.nodes)) == [("items", "kept")]
    for other in cluster.nodes:
        other.stop()
    stranger.wait_formed()
    assert node.put("other", "{}").status == 201
    assert node.get("/v1/collections/items/kept").status == 404


def test_generate(tmp_path):
    """Goal: without a path the line on stdout, another each time; with one a private file, never in place of
    something."""
    lines = [run(tmp_path, "secret", "generate") for _ in range(3)]
    assert all(r.returncode == 0 and r.stderr == "" and LINE.fullmatch(r.stdout) for r in lines)
    assert len({r.stdout for r in lines}) == 3

    path = tmp_path / "new" / "secret"
    made = run(tmp_path, "secret", "generate", str(path))
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and LINE.fullmatch(path.read_text())
    before = path.read_text()
    again = run(tmp_path, "secret", "generate", str(path))
    assert again.returncode == 1 and again.stdout == ""
    assert again.stderr.count("\n") == 1 and str(path) in again.stderr and "exists" in again.stderr
    assert path.read_text() == before
    beside = run(tmp_path, "secret", "generate", "beside")  # here, without a folder in the path
    assert beside.returncode == 0 and LINE.fullmatch((tmp_path / "beside").read_text())
    below = run(tmp_path, "secret", "generate", str(path / "below"))
    assert below.returncode == 1 and below.stderr.count("\n") == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["secret"]


@pytest.mark.parametrize("arguments", [[], ["make"], ["generate", ""], ["generate", "--x"], ["generate", "a", "b"]])
def test_generate_is_used_so(tmp_path, arguments):
    result = run(tmp_path, "secret", *arguments)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == "usage: coracle secret generate [PATH]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_generated_file_serves(make_cluster, tmp_path):
    path = tmp_path / "shared"
    assert run(tmp_path, "secret", "generate", str(path)).returncode == 0
    cluster = make_cluster(3, ["--secret-file", str(path)]).start()
    leader, _ = cluster.wait_formed()
    assert leader.put("x", "{}").status == 201
