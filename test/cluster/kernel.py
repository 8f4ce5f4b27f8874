"""What the kernel knows of a node's sockets, read from /proc: which process holds a UDP port, and which
connections no process has accepted yet."""

import os
from pathlib import Path

TCP_ESTABLISHED = "01"


def _table(name):
    """Rows of /proc/net/NAME as (local port, remote port, state, inode); IPv4 only, as the tests are."""
    for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
        field = line.split()
        yield (int(field[1].split(":")[1], 16), int(field[2].split(":")[1], 16), field[3], int(field[9]))


def udp_inodes(port):
    """The sockets bound to that UDP port."""
    return [inode for local, _, _, inode in _table("udp") if local == port]


def _socket_inodes(pid):
    inodes = set()
    folder = f"/proc/{pid}/fd"
    try:
        for descriptor in os.listdir(folder):
            target = os.readlink(f"{folder}/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError:
        pass  # it ended, or closed one, while we looked
    return inodes


def udp_ports_of(pid):
    """The UDP ports that a process has bound."""
    mine = _socket_inodes(pid)
    return sorted(local for local, _, _, inode in _table("udp") if inode in mine)


def holds_udp_port(pid, port):
    mine = _socket_inodes(pid)
    return any(inode in mine for inode in udp_inodes(port))


def is_unaccepted(server_port, client_port):
    """True while a connection is established but still waits in the listener's backlog: its server side
    belongs to no file descriptor, so the kernel shows inode 0."""
    return any(
        local == server_port and remote == client_port and state == TCP_ESTABLISHED and inode == 0
        for local, remote, state, inode in _table("tcp")
    )
