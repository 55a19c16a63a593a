"""Users of another store: their keys work here, and may do what they might there, and no more."""

import json
import shutil

import pytest
from botocore.exceptions import ClientError

from conftest import TOP
from rig.clients import Credentials
from rig.proxy import Proxy

# What a MinIO told of its users: editors may read and write `photos` but not read `photos/private`, bob has a home, and
# alice's service account `alice-limited` is limited to reading `photos/public`.
EXPORT = TOP / "crates/import/src/fixtures/minio-export.zip"
BUCKETS = ("photos", "home")
OBJECTS = (("photos", "private/a"), ("photos", "public/a"), ("home", "bob/a"), ("home", "alice/a"))
COMMAND = ("import", "minio", "--from", str(EXPORT), "--root", "minioadmin", "--leave-out", "bob-trial")


@pytest.fixture(scope="module")
def own(binary, upstream, authority, tmp_path_factory):
    """A proxy without users of other tests, in front of the same store."""
    started = Proxy(binary, tmp_path_factory.mktemp("import"), upstream, authority=authority).start()
    yield started
    started.stop()
    shutil.rmtree(started.state, ignore_errors=True)


@pytest.fixture(scope="module")
def imported(own) -> dict:
    """The result of the import; the buckets that its policies name hold an object each."""
    done = own.json(*COMMAND, "--apply")
    root = own.client()
    for bucket in BUCKETS:
        # The store may be one that is in use.
        assert outcome(root.head_bucket, Bucket=bucket) == "404", f"bucket {bucket} is there already"
        root.create_bucket(Bucket=bucket)
    for bucket, key in OBJECTS:
        root.put_object(Bucket=bucket, Key=key, Body=b"x")
    yield done
    for bucket, key in OBJECTS:
        root.delete_object(Bucket=bucket, Key=key)
    for bucket in BUCKETS:
        root.delete_bucket(Bucket=bucket)


def outcome(call, **parameters) -> str:
    """`done`, or the code of the refusal."""
    try:
        call(**parameters)
        return "done"
    except ClientError as error:
        return error.response["Error"]["Code"]


def a_plan_is_shown_before_anything_is_made(own):
    planned = own.json(*COMMAND)

    assert planned["applied"] is False and planned["faults"] == []
    assert {step["standing"] for step in planned["steps"]} <= {"to do", "there already"}
    assert "alice-secret-1" not in json.dumps(planned)


def an_import_can_be_repeated(own, imported):
    assert imported["applied"] is True
    again = own.json(*COMMAND, "--apply")

    assert {step["standing"] for step in again["steps"]} == {"there already"}


def each_key_may_do_what_it_might_in_the_other_store(own, imported):
    told = []
    for key, secret in (
        ("alice", "alice-secret-1"),
        ("alice-ci", "alice-ci-secret"),
        ("alice-limited", "alice-limited-secret"),
        ("bob", "bob-secret-1"),
        ("root-limited", "root-limited-secret"),
    ):
        s3 = own.client(Credentials(key, secret))
        told.append((
            key,
            outcome(s3.get_object, Bucket="photos", Key="public/a"),
            outcome(s3.get_object, Bucket="photos", Key="private/a"),
            outcome(s3.put_object, Bucket="photos", Key="private/a", Body=b"x"),
            outcome(s3.list_objects_v2, Bucket="photos"),
            outcome(s3.get_object, Bucket="home", Key="bob/a"),
            outcome(s3.get_object, Bucket="home", Key="alice/a"),
        ))

    no = "AccessDenied"
    assert told == [
        ("alice", "done", no, "done", "done", no, no),
        ("alice-ci", "done", no, "done", "done", no, no),
        ("alice-limited", "done", no, no, no, no, no),
        ("bob", "done", no, "done", "done", "done", no),
        ("root-limited", no, no, no, no, no, no),
    ]


def a_key_that_was_disabled_stays_disabled(own, imported):
    for key in ("dave", "erin"):
        s3 = own.client(Credentials(key, f"{key}-secret-1"))
        assert outcome(s3.list_buckets) == "InvalidAccessKeyId"


