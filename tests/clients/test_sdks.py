"""A day's work with the SDKs that applications use, each as its makers ship it.

The programs are in `sdks/`, and `sdks/build .sdks` builds them. Over TLS half of these SDKs sign no document,
and each sends headers of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TOP, new_name

PROGRAMS = Path(__file__).parent / "sdks"
BUILT = TOP / ".sdks"

# What each does, and how it ends.
WORK = {
    "make-bucket": "ok",
    "put": "ok",
    "get": "ok",
    "head": "ok",
    "put-large": "ok",
    "get-large": "ok",
    "list": "ok",
    "copy": "ok",
    "tags": "ok",
    "enable-versioning": "ok",
    "delete-many": "ok",
    "list-versions": "ok",
    "presigned-get": "ok",
    "presigned-put": "ok",
    "location": "ok",
    "put-protected": "ok",
    "delete-version": "AccessDenied",
    "delete-versions-with-code": "ok",
}
# What an SDK has no call for.
MISSING = {
    "minio-go": {"delete-versions-with-code"},
    "minio-js": {"location", "delete-versions-with-code"},
    "minio-py": {"location", "delete-versions-with-code"},
}


def trust_of_java(proxy, tmp_path) -> list[str]:
    """The options by which Java trusts the authority of the tests."""
    if not proxy.ca_file:
        return []
    store = tmp_path / "trust.p12"
    command = ["keytool", "-importcert", "-noprompt", "-alias", "tests", "-file", proxy.ca_file, "-keystore", store]
    run = subprocess.run([*map(str, command), "-storepass", "changeit"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]


def java(proxy, tmp_path):
    return ["java", *trust_of_java(proxy, tmp_path), "-cp", f"{BUILT}/java/classes:{BUILT}/java/lib/*", "Work"]


def node(program: str):
    return lambda proxy, tmp_path: ["node", BUILT / "js" / program]


COMMANDS = {
    "aws-java-2": java,
    "aws-js-2": node("v2.mjs"),
    "aws-js-3": node("v3.mjs"),
    "minio-go": lambda proxy, tmp_path: [BUILT / "minio_go"],
    "minio-js": node("minio.mjs"),
    "minio-py": lambda proxy, tmp_path: [sys.executable, PROGRAMS / "minio_py.py"],
}


@pytest.mark.parametrize("sdk", COMMANDS)
def an_sdk_does_a_days_work(proxy, codes, vault, tmp_path, sdk):
    expected = {step: outcome for step, outcome in WORK.items() if step not in MISSING.get(sdk, ())}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "S3_ENDPOINT": proxy.endpoint,
        "S3_ACCESS_KEY": proxy.root.access_key,
        "S3_SECRET_KEY": proxy.root.secret_key,
        "S3_BUCKET": new_name(),
        "S3_VAULT": vault,
        **({"S3_MFA": codes.take()} if "delete-versions-with-code" in expected else {}),
        **({"SSL_CERT_FILE": str(proxy.ca_file), "NODE_EXTRA_CA_CERTS": str(proxy.ca_file)} if proxy.ca_file else {}),
    }
    command = [str(word) for word in COMMANDS[sdk](proxy, tmp_path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    told = dict(line.split("\t", 1) for line in run.stdout.splitlines() if "\t" in line)
    assert told == expected, run.stderr[-2000:]
