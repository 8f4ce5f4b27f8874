"""File systems of our own, for tests that break them: an ext4 in a file that can be cut off from its disk as a
power failure does it, and a small tmpfs. Both take root; why_not() says what is missing.

The mounts are made in a mount namespace of the run's, where that can be had: with the last of its processes
they are gone, whatever happens."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from client import wait_until

CLONE_NEWNS = 0x20000
LIBC = ctypes.CDLL(None, use_errno=True)
# linux/fs.h and fs/ext4/ext4.h: _IOR('X', 125, __u32), and not even the journal is flushed
EXT4_IOC_SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125
NO_LOG_FLUSH = 2
UNMOUNT_S = 10.0
TOOLS = ("mount", "umount", "mkfs.ext4")


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


def enter_namespace():
    """One of this process's own; in a chroot, whose root is no mount, there is none to be had."""
    if LIBC.unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)


class Mount:
    """Something mounted on a new folder; `with` sees to its end."""

    def __init__(self, folder):
        self.point = Path(folder)
        self.point.mkdir(parents=True)

    def __enter__(self):
        self.mount()
        return self

    def __exit__(self, *_):
        """The lazy way is for what a test that failed has left open."""
        with contextlib.suppress(OSError):
            self.unmount()
        if os.path.ismount(self.point):
            command("umount", "--lazy", self.point)

    def unmount(self):
        """Whoever was killed in there may take a moment to be gone."""
        wait_until(f"{self.point} is unmounted", self._unmount_now, UNMOUNT_S, every_s=0.05)

    def _unmount_now(self):
        command("umount", self.point)
        return True


class Ext4(Mount):
    def __init__(self, folder, megabytes=256):
        super().__init__(folder)
        self.image = self.point.with_suffix(".ext4")
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        command("mkfs.ext4", "-q", "-F", self.image)

    def mount(self):
        command("mount", "-o", "loop", self.image, self.point)

    def cut_power(self):
        """From now on nothing reaches the disk any more: what the kernel holds of files and of the journal is
        lost, and every call on the file system fails. unmount() and mount() are the machine's restart."""
        folder = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def __exit__(self, *_):
        super().__exit__()
        self.image.unlink()


class Tmpfs(Mount):
    def __init__(self, folder, megabytes):
        super().__init__(folder)
        self.megabytes = megabytes

    def mount(self):
        command("mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "tmpfs", self.point)

    @property
    def free_bytes(self):
        return shutil.disk_usage(self.point).free


def why_not():
    """None when file systems can be mounted here and cut off, else what it takes."""
    if os.geteuid() != 0:
        return "mounting a file system takes root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Ext4(Path(folder) / "probe", 8) as disk:
                disk.cut_power()
        except OSError as error:
            return f"no ext4 can be mounted and cut off here: {error}"
    return None
