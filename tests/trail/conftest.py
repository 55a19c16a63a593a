"""A proxy whose clock the tests set ahead, and a trail that has seen much."""

import mmap
import os
import struct
import time
from pathlib import Path

import pytest

from archive import Archive
from rig.clients import AwsCli
from rig.proxy import Proxy
from rig.upstreams import Upstream

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--binary", type=Path, default=TOP / "target" / "debug" / "portcullis", help="the proxy to test")


class Clock:
    """The clock that the proxy, its store, the clients and the tests have in common."""

    def __init__(self, path: Path):
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 8)

    def advance(self, seconds: float) -> None:
        """Lets time go by."""
        offset, = struct.unpack("<q", self.map)
        self.map[:] = struct.pack("<q", offset + int(seconds * 1_000_000_000))


@pytest.fixture(scope="session")
def clock() -> Clock:
    path = os.environ.get("CLOCK_OFFSET")
    assert path, "these tests set the clock ahead; run them with tests/trail/run"
    return Clock(Path(path))


class TimedProxy(Proxy):
    """A proxy on the common clock, whose trails are delivered at once and have a digest a minute."""

    def aws(self, credentials=None) -> AwsCli:
        """The aws command, on the common clock too."""
        cli = super().aws(credentials)
        cli.environment |= {name: os.environ[name] for name in ("LD_PRELOAD", "CLOCK_OFFSET")}
        return cli


@pytest.fixture(scope="session")
def proxy(request, tmp_path_factory, clock):
    binary = request.config.getoption("binary")
    assert binary.is_file(), f"{binary} is not there; build it with `cargo build`"
    often = {"PORTCULLIS_TRAIL__LOG_PERIOD": "1s", "PORTCULLIS_TRAIL__DIGEST_PERIOD": "60s"}
    started = TimedProxy(binary, tmp_path_factory.mktemp("proxy"), Upstream("embedded"), often).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def aws(proxy) -> AwsCli:
    return proxy.aws()


@pytest.fixture(scope="session")
def archive(proxy, clock) -> Archive:
    """A trail of more than fifty digests, over a change of keys, a restart, a crash and what it delivered late."""
    return Archive.record(proxy, clock)


def until(holds, what: str, limit: float = 60):
    """Waits for what the proxy does by itself; not by the common clock, which goes by leaps."""
    deadline = time.monotonic() + limit
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {limit} s"
        time.sleep(0.05)
    return found
