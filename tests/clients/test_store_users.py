"""Users who act in the store as users of its own."""

import json

import pytest

from conftest import new_name, protect
from rig.clients import Credentials
from rig.refusals import MFA_REQUIRED, Refusal, refused

DENIED = Refusal(403, "AccessDenied")
UNKNOWN_KEY = Refusal(
    503,
    "ServiceUnavailable",
    "The storage behind the proxy does not accept the credentials with which the proxy acts there for this user. "
    "Please tell its operator.",
)


def written(directory, credentials: Credentials):
    """A file of credentials that only its owner reads."""
    path = directory / f"{credentials.access_key}.env"
    path.touch(mode=0o600)
    path.write_text(
        f"AWS_ACCESS_KEY_ID={credentials.access_key}\nAWS_SECRET_ACCESS_KEY={credentials.secret_key}\n"
    )
    return path


def new_user(proxy, *options) -> tuple[str, Credentials]:
    name = f"user-{new_name()}"
    made = proxy.json("user", "add", name, *options)
    return name, Credentials(made["accessKeyId"], made["secretAccessKey"])


@pytest.fixture
def carol(proxy, tmp_path):
    """A user of the proxy who is a user of the store, and the store user's own key."""
    if not proxy.store.add_user:
        assert proxy.store.difference("one-user") or proxy.store.kind == "external"
        pytest.skip("the store has one user")
    name = new_name().replace("-", "")
    theirs = proxy.store.add_user(name)
    _, key = new_user(proxy, "--upstream-credentials", written(tmp_path, theirs))
    return proxy.client(key)


def a_key_that_the_store_does_not_know_is_told_as_the_operators_to_mend(proxy, bucket, key, tmp_path):
    unknown = Credentials("NOKEYOFTHESTORE", "no-secret-of-the-store")
    name, credentials = new_user(proxy, "--upstream-credentials", written(tmp_path, unknown))
    assert next(user for user in proxy.json("user", "list") if user["userName"] == name)[
        "upstreamAccessKeyId"
    ] == unknown.access_key
    client = proxy.client(credentials)

    if proxy.store.kind != "moto":
        with refused(UNKNOWN_KEY):
            client.put_object(Bucket=bucket, Key=key, Body=b"content")
        with refused(Refusal(503, "503")):
            client.head_object(Bucket=bucket, Key=key)

    proxy.command("user", "upstream", name, "--remove")
    client.put_object(Bucket=bucket, Key=key, Body=b"content")
    told = proxy.log() + json.dumps(proxy.events()) + proxy.command("user", "list")
    assert unknown.secret_key not in told


def what_the_store_denies_a_user_the_user_is_denied_through_the_proxy(root, carol, versioned, key):
    version = root.put_object(Bucket=versioned, Key=key, Body=b"root's")["VersionId"]
    attempts = [
        lambda: carol.get_object(Bucket=versioned, Key=key),
        lambda: carol.put_object(Bucket=versioned, Key=key, Body=b"carol's"),
        lambda: carol.delete_object(Bucket=versioned, Key=key, VersionId=version),
        lambda: carol.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": key, "VersionId": version}]}),
        lambda: carol.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"}),
        lambda: carol.delete_bucket(Bucket=versioned),
    ]
    for attempt in attempts:
        with refused(DENIED):
            attempt()
    assert root.get_object(Bucket=versioned, Key=key, VersionId=version)["Body"].read() == b"root's"


def a_users_own_bucket_is_the_users_and_the_stores_quota_holds(root, carol, key):
    first, second = new_name(), new_name()
    for name in (first, second):
        carol.create_bucket(Bucket=name)
    with refused(Refusal(400, "TooManyBuckets", "You have attempted to create more buckets than allowed")):
        carol.create_bucket(Bucket=new_name())
    assert {found["Name"] for found in carol.list_buckets()["Buckets"]} == {first, second}
    carol.put_bucket_versioning(Bucket=first, VersioningConfiguration={"Status": "Enabled"})
    version = carol.put_object(Bucket=first, Key=key, Body=b"content")["VersionId"]
    carol.delete_object(Bucket=first, Key=key, VersionId=version)
    with refused(DENIED):
        root.list_objects_v2(Bucket=first)


def a_users_own_bucket_is_protected_once_portcullis_may_read_it(root, carol, codes, key):
    name = new_name()
    carol.create_bucket(Bucket=name)
    with refused(Refusal(409, "InvalidBucketState")):
        protect(root, name, codes)

    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam:::user/portcullis"]},
        "Action": ["s3:*"],
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }
    carol.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    protect(root, name, codes)

    version = carol.put_object(Bucket=name, Key=key, Body=b"content")["VersionId"]
    for attempt in (
        lambda: carol.delete_object(Bucket=name, Key=key, VersionId=version),
        lambda: carol.delete_bucket_policy(Bucket=name),
    ):
        with refused(MFA_REQUIRED):
            attempt()
    root.delete_object(Bucket=name, Key=key, VersionId=version, MFA=codes.take())
