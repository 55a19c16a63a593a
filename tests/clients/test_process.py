"""What the proxy's process leaves lying about on the machine it runs on: nothing that anybody else could read."""

import os
import stat
from pathlib import Path

import pytest

from conftest import new_name
from rig.proxy import Proxy


@pytest.fixture
def careless(binary, upstream, tmp_path):
    """A proxy that was started by a user whose new files are open to everyone."""
    before = os.umask(0)
    try:
        proxy = Proxy(binary, tmp_path / "proxy", upstream).start()
    finally:
        os.umask(before)
    yield proxy
    proxy.stop()


def what_the_proxy_writes_is_its_owners_alone(careless):
    client, name = careless.client(), new_name()
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="a", Body=b"a")
    careless.json("mfa", "add", "--name", "phone", "--no-activate")
    careless.stop()
    careless.start()

    paths = [careless.state, *careless.state.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths}
    assert len(paths) > 10
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def the_process_leaves_no_core(careless):
    limits = Path(f"/proc/{careless.process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
