"""The S3 stores a proxy is put in front of, and what each of them does otherwise than AWS."""

import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .clients import Credentials, s3

SCRIPTS = Path(__file__).resolve().parents[2] / "upstreams"
KINDS = ("embedded", "ceph", "moto", "external")


@dataclass(frozen=True)
class Upstream:
    """A store, with the credential that only the proxy should have."""

    kind: str
    endpoint: str | None = None
    credentials: Credentials | None = None
    profile: str | None = None
    differences: dict[str, str] = field(default_factory=dict)
    # Adds a user to the store, where one can be added here.
    add_user: Callable[[str], Credentials] | None = None

    def directly(self):
        """A client that goes around the proxy."""
        return s3(self.endpoint, self.credentials)

    def difference(self, name: str) -> str | None:
        """Why this store behaves otherwise, or None where it behaves as AWS does."""
        return self.differences.get(name)


# What a test must expect of one store and not of the others. Each entry is asserted where it is named: a store
# that stops being different fails the test as loudly as a proxy that starts to be.
DIFFERENCES = {
    "embedded": {
        "no-acl": "the embedded store has no ACLs",
        "no-logging": "the embedded store has no access log",
        "one-user": "the embedded store has one user",
    },
    "ceph": {
        "trailing-checksums": "Ceph is not known to take a checksum after the data, so it is sent the data alone",
        "no-encryption": "Ceph takes PUT ?encryption for CreateBucket",
        "no-ownership": "Ceph takes PUT ?ownershipControls for CreateBucket",
    },
    "moto": {
        "bare-plus-in-a-folded-prefix": "moto's ListObjects does not encode CommonPrefixes when asked to, so that "
        "clients decode a plus into a space",
        "trailing-checksums": "a generic store is not known to take a checksum after the data",
        "no-encryption": "a generic store may be Ceph, which takes PUT ?encryption for CreateBucket",
        "no-logging": "a generic store may be MinIO, which takes PUT ?logging for CreateBucket",
        "no-ownership": "a generic store may be Ceph or MinIO, which take PUT ?ownershipControls for CreateBucket",
        "mistakes": "GetObjectRetention",
        "one-user": "moto takes every key",
        "silent-about-markers": "moto does not say that what was deleted by its id was a marker",
    },
}
# What a store of one's own does by its profile.
DIFFERENCES_BY_PROFILE = {
    "minio": {
        "no-logging": "MinIO takes PUT ?logging for CreateBucket",
        "no-ownership": "MinIO takes PUT ?ownershipControls for CreateBucket",
        "versioning-without-a-bucket": "MinIO takes a versioning document for a bucket that it does not have",
        "narrow-tags": "MinIO takes no letters beyond ASCII in a tag's key",
    },
}


def start(kind: str, directory: Path) -> Upstream:
    """Starts the store of this kind, or takes the one that PORTCULLIS_TEST_UPSTREAM names."""
    if kind == "embedded":
        return Upstream(kind, differences=DIFFERENCES[kind])
    if kind == "external":
        return external(os.environ.get("PORTCULLIS_TEST_UPSTREAM", ""))
    run = subprocess.run(
        [SCRIPTS / f"{kind}-up", directory, str(free_port())], stdout=subprocess.PIPE, text=True, timeout=180
    )
    assert run.returncode == 0, f"{kind}-up failed, see above"
    told = dict(line.split("=", 1) for line in run.stdout.splitlines())
    return Upstream(
        kind,
        told["S3_ENDPOINT"],
        Credentials(told["S3_ACCESS_KEY"], told["S3_SECRET_KEY"]),
        {"ceph": "ceph", "moto": "generic"}[kind],
        DIFFERENCES[kind],
        partial(add_ceph_user, directory) if kind == "ceph" else None,
    )


def add_ceph_user(directory: Path, name: str) -> Credentials:
    """A further user of the gateway, who may make two buckets."""
    made = Credentials(f"{name.upper()}STORE", f"secret-of-{name}")
    run = subprocess.run(
        ["radosgw-admin", "-c", directory / "ceph.conf", "user", "create", f"--uid={name}", f"--display-name={name}",
         f"--access-key={made.access_key}", f"--secret-key={made.secret_key}", "--max-buckets=2"],
        capture_output=True, text=True, timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return made


def stop(upstream: Upstream, directory: Path) -> None:
    """Ends what `start` started."""
    if upstream.kind in ("ceph", "moto"):
        subprocess.run([SCRIPTS / f"{upstream.kind}-down", directory], timeout=60, check=True)


def external(url: str) -> Upstream:
    """Reads `http://ACCESS:SECRET@HOST:PORT`, both halves of the key percent-encoded."""
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https") and parts.username and parts.password and parts.hostname, (
        "PORTCULLIS_TEST_UPSTREAM must be http://ACCESS:SECRET@HOST:PORT"
    )
    host = parts.netloc.rsplit("@", 1)[1]
    profile = os.environ.get("PORTCULLIS_TEST_UPSTREAM_PROFILE", "minio")
    credentials = Credentials(unquote(parts.username), unquote(parts.password))
    return Upstream("external", f"{parts.scheme}://{host}", credentials, profile, DIFFERENCES_BY_PROFILE.get(profile, {}))


def free_port() -> int:
    """A port without a listener at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
