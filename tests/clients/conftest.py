"""What every test starts from: a store, a proxy in front of it, root with MFA devices, and a user."""

import shutil
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from rig import upstreams
from rig.authority import Authority
from rig.clients import REGION, Credentials
from rig.codes import Codes
from rig.proxy import Proxy
from rig.raw import Raw

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--upstream", choices=upstreams.KINDS, default="embedded", help="the store behind the proxy")
    parser.addoption("--tls", action="store_true", help="reach the proxy over TLS, as SDKs do in production")
    parser.addoption("--binary", type=Path, default=TOP / "target" / "debug" / "portcullis", help="the proxy to test")


def pytest_report_header(config):
    way = "over TLS" if config.getoption("tls") else "in the clear"
    return f"proxy: {config.getoption('binary')}, {way}, upstream: {config.getoption('upstream')}"


@pytest.fixture(scope="session")
def binary(request) -> Path:
    path = request.config.getoption("binary")
    assert path.is_file(), f"{path} is not there; build it with `cargo build`"
    return path


@pytest.fixture(scope="session")
def upstream(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("upstream")
    started = upstreams.start(request.config.getoption("upstream"), directory)
    yield started
    upstreams.stop(started, directory)


@pytest.fixture(scope="session")
def authority(request, tmp_path_factory) -> Authority | None:
    """Who certifies the proxy, where it is reached over TLS."""
    return Authority(tmp_path_factory.mktemp("authority")) if request.config.getoption("tls") else None


@pytest.fixture(scope="session")
def proxy(binary, upstream, authority, tmp_path_factory):
    started = Proxy(binary, tmp_path_factory.mktemp("proxy"), upstream, authority=authority).start()
    yield started
    started.stop()
    shutil.rmtree(started.state, ignore_errors=True)


@pytest.fixture(scope="session")
def codes(proxy) -> Codes:
    return Codes(proxy)


@pytest.fixture(autouse=True)
def more_devices(codes):
    """Devices are enrolled between tests, as soon as an older one has a code to spare."""
    codes.grow()


@pytest.fixture
def root(proxy):
    return proxy.client()


@pytest.fixture
def aws(proxy):
    return proxy.aws()


@pytest.fixture
def calling(proxy):
    """Makes clients of a service, root's unless told otherwise."""

    def made(service: str, credentials: Credentials | None = None):
        keys = credentials or proxy.root
        return boto3.client(
            service,
            endpoint_url=proxy.endpoint,
            region_name=REGION,
            verify=str(proxy.ca_file) if proxy.ca_file else None,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.session_token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return made


@pytest.fixture
def raw(proxy) -> Raw:
    return Raw(proxy.place, proxy.root)


@pytest.fixture(scope="session")
def alice_key(proxy) -> Credentials:
    made = proxy.json("user", "add", "alice")
    return Credentials(made["accessKeyId"], made["secretAccessKey"])


@pytest.fixture
def alice(proxy, alice_key):
    return proxy.client(alice_key)


@pytest.fixture
def offering(proxy):
    """Makes clients whose requests all carry an offer, also where the SDK has no parameter for it."""

    def made(offer: str, credentials: Credentials | None = None):
        client = proxy.client(credentials)
        client.meta.events.register("before-sign.s3", lambda request, **_: request.headers.add_header("x-amz-mfa", offer))
        return client

    return made


@pytest.fixture
def witness(proxy):
    """Sees what the store itself holds, whatever the proxy says."""
    return proxy.store.directly()


@pytest.fixture
def key() -> str:
    return f"key-{uuid.uuid4().hex[:12]}"


def new_name() -> str:
    return f"b-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def bucket(root) -> str:
    """A bucket that was never versioned."""
    name = new_name()
    root.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(root, bucket) -> str:
    """A versioned bucket without MFA Delete."""
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def protect(client, name: str, codes: Codes, status: str = "Enabled") -> None:
    """Turns MFA Delete on, or keeps it on with another status."""
    client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": status, "MFADelete": "Enabled"}, MFA=codes.take()
    )


@pytest.fixture(scope="session")
def vault(proxy, codes) -> str:
    """A protected bucket for tests that leave its configuration alone."""
    client, name = proxy.client(), new_name()
    client.create_bucket(Bucket=name)
    protect(client, name, codes)
    return name


@pytest.fixture
def own_vault(root, codes) -> str:
    """A protected bucket for one test."""
    name = new_name()
    root.create_bucket(Bucket=name)
    protect(root, name, codes)
    return name


@pytest.fixture(scope="session")
def suspended(proxy, codes) -> tuple[str, str]:
    """A protected bucket whose versioning is suspended, and a key in it that has a null version."""
    client, name, old = proxy.client(), new_name(), "written-before-versioning"
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key=old, Body=b"the null version")
    protect(client, name, codes)
    client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Suspended"}, MFA=codes.take()
    )
    return name, old
