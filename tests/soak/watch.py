"""What the proxy uses while it runs: memory, descriptors, disk and log."""

import contextlib
import fcntl
import os
import resource
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

from rig.proxy import Proxy

# The soft limit of most systems.
SOFT_FILES = 1024
# What the proxy raises it to, at the most: enough for two thousand connections, since one has four with this store.
HARD_FILES = 8192


class SoakProxy(Proxy):
    """The proxy with its log in a small pipe, and with as few descriptors as systems give."""

    pipe: "LogPipe | None" = None

    def launch(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen:
        self.pipe = LogPipe(self.directory / "stderr.log")
        try:
            hard = min(HARD_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            return subprocess.Popen(["prlimit", f"--nofile={SOFT_FILES}:{hard}", *command],
                                    stdout=subprocess.PIPE, stderr=self.pipe.writer, env=environment)
        finally:
            self.pipe.read()


class LogPipe:
    """The proxy's log: a pipe that is read, or is not."""

    def __init__(self, file: Path):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self.file = file
        self.bytes = 0
        self._reading = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def read(self) -> None:
        """Reads what comes from now on."""
        self._reading.set()

    def stall(self) -> None:
        """Reads no further, and fills the pipe, so that not a byte more fits."""
        self._reading.clear()
        # Opened again, since the proxy's own end must stay one that blocks.
        full = os.open(f"/proc/self/fd/{self.writer}", os.O_WRONLY | os.O_NONBLOCK)
        deadline = time.monotonic() + 10
        filled = 0
        # The reader may take a first few bytes yet.
        while filled < 4 and time.monotonic() < deadline:
            try:
                os.write(full, b"the log is not read\n")
                filled = 0
            except BlockingIOError:
                filled += 1
                time.sleep(0.05)
        os.close(full)

    def _read(self) -> None:
        with self.file.open("ab") as file:
            while True:
                self._reading.wait()
                data = os.read(self.reader, 4096)
                if not data:
                    return
                file.write(data)
                file.flush()
                self.bytes += len(data)


class Watch(threading.Thread):
    """Looks once a second, and keeps the worst of each phase."""

    def __init__(self, proxy: SoakProxy, disk: Path, used):
        super().__init__(name="watch", daemon=True)
        self.proxy, self.disk, self.used = proxy, disk, used
        self.phase = "start"
        self.most: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(1):
            self.look()

    def look(self) -> None:
        """Looks once."""
        process, most = Path(f"/proc/{self.proxy.process.pid}"), self.most[self.phase]
        try:
            seen = {
                "memory": memory(process),
                "descriptors": descriptors(process),
                "disk": self.used(self.disk),
            }
        except OSError:
            return  # It has ended, which the harness tells.
        for name, value in seen.items():
            most[name] = max(most[name], value)

    def end(self) -> None:
        """Looks no more."""
        self._ended.set()
        self.join()


def memory(process: Path) -> float:
    """The resident memory of a process in MiB."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def descriptors(process: Path) -> float:
    """How many descriptors a process has open; none where only its owner may know."""
    try:
        return len(os.listdir(process / "fd"))
    except PermissionError:
        return 0


def processor(pid: int) -> float:
    """The seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_of_disk(disk: Path) -> float:
    """What a file system has in use, in MiB."""
    told = os.statvfs(disk)
    return (told.f_blocks - told.f_bfree) * told.f_frsize / (1 << 20)


def used_by_files(folder: Path) -> float:
    """What the files of a folder have in use, in MiB."""
    blocks = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            blocks += file.lstat().st_blocks
    return blocks * 512 / (1 << 20)
