"""What is recorded of each request: one CloudTrail record, with what AWS would say and never a secret."""

import json
import os
import re
import socket
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest

from conftest import new_name
from rig.raw import exchange, parse
from rig.refusals import MFA_REQUIRED, NOT_BUCKET_OWNER, WRONG_CODE, Refusal, refused

ORDER = [
    *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress"),
    *("userAgent", "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData"),
    *("requestID", "eventID", "readOnly", "resources", "eventType", "apiVersion", "managementEvent"),
    *("recipientAccountId", "sharedEventID", "addendum", "eventCategory", "tlsDetails"),
]


def request_id(told: dict) -> str:
    return told["ResponseMetadata"]["RequestId"]


def each_request_is_recorded_once_under_its_own_name(proxy, root, versioned, key):
    made = {}

    def note(name: str, told: dict) -> dict:
        made[request_id(told)] = name
        return told

    bucket = {"Bucket": versioned}
    where = {**bucket, "Key": key}
    note("PutObject", root.put_object(**where, Body=b"x"))
    note("GetObject", root.get_object(**where))
    note("HeadObject", root.head_object(**where))
    note("ListObjects", root.list_objects(**bucket))
    note("ListObjects", root.list_objects_v2(**bucket))
    note("ListObjectVersions", root.list_object_versions(**bucket))
    note("PutObjectTagging", root.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}))
    note("GetObjectTagging", root.get_object_tagging(**where))
    note("DeleteObject", root.delete_object(**where))
    note("HeadBucket", root.head_bucket(**bucket))
    note("ListBuckets", root.list_buckets())
    note("GetBucketVersioning", root.get_bucket_versioning(**bucket))
    note("GetBucketLocation", root.get_bucket_location(**bucket))
    upload = note("CreateMultipartUpload", root.create_multipart_upload(**where))["UploadId"]
    tag = note("UploadPart", root.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x"))["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    note("ListParts", root.list_parts(**where, UploadId=upload))
    note("CompleteMultipartUpload", root.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts))
    note("CopyObject", root.copy_object(**bucket, Key=f"{key}-copy", CopySource=where))

    recorded = [(event["requestID"], event["eventName"]) for event in proxy.events() if event["requestID"] in made]
    assert Counter(recorded) == Counter(made.items())


def a_record_has_the_shape_of_cloudtrails_own(proxy, root, vault, key, codes):
    put = root.put_object(Bucket=vault, Key=key, Body=b"12345")
    event = proxy.event_of(request_id(put))

    assert [name for name in ORDER if name in event] == list(event)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["eventTime"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event["eventID"])
    assert re.fullmatch(r"[0-9A-Z]{16}", event["requestID"])
    assert event["eventSource"] == "s3.amazonaws.com"
    assert event["eventType"] == "AwsApiCall"
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert event["userAgent"].startswith("[Boto3/") and event["userAgent"].endswith("]")
    assert event["requestParameters"]["bucketName"] == vault
    assert event["requestParameters"]["key"] == key
    assert event["responseElements"]["x-amz-version-id"] == put["VersionId"]
    assert event["additionalEventData"]["SignatureVersion"] == "SigV4"
    assert event["additionalEventData"]["AuthenticationMethod"] == "AuthHeader"
    assert event["additionalEventData"]["bytesTransferredIn"] == 5
    assert event["readOnly"] is False
    assert (event["managementEvent"], event["eventCategory"]) == (False, "Data")
    assert {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{vault}/{key}"} in event["resources"]
    assert "errorCode" not in event and "errorMessage" not in event


def root_and_users_are_told_apart(proxy, root, alice, alice_key, vault, codes):
    account = codes.devices[0].serial.split(":")[4]
    by_root = proxy.event_of(request_id(root.head_bucket(Bucket=vault)))["userIdentity"]
    by_alice = proxy.event_of(request_id(alice.head_bucket(Bucket=vault)))["userIdentity"]

    assert by_root == {
        "type": "Root",
        "principalId": account,
        "arn": f"arn:aws:iam::{account}:root",
        "accountId": account,
        "accessKeyId": proxy.root.access_key,
    }
    assert by_alice.pop("principalId").startswith("AIDA")
    assert by_alice == {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{account}:user/alice",
        "accountId": account,
        "accessKeyId": alice_key.access_key,
        "userName": "alice",
    }


@pytest.fixture
def version(root, vault, key) -> str:
    return root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"]


def a_refusal_is_recorded_with_its_reason(proxy, root, alice, codes, vault, key, version):
    delete = {"Bucket": vault, "Key": key, "VersionId": version}
    unknown = "arn:aws:iam::123456789012:mfa/nobody 123456"
    wrong, right = codes.wrong(), codes.take()
    cases = [
        (root, {}, MFA_REQUIRED, "Missing", None),
        (root, {"MFA": wrong}, WRONG_CODE, "BadCode", wrong.split()[0]),
        (root, {"MFA": unknown}, Refusal(400, "NotDeviceOwnerError"), "UnknownDevice", None),
        (root, {"MFA": "970589"}, Refusal(400, "InvalidArgument"), "Malformed", None),
        (alice, {"MFA": right}, NOT_BUCKET_OWNER, "NotRoot", None),
    ]
    for client, offer, refusal, result, serial in cases:
        with refused(refusal) as seen:
            client.delete_object(**delete, **offer)
        event = proxy.event_of(seen["request_id"])
        said = event["additionalEventData"]["MfaDelete"]
        assert (event["eventName"], event["errorCode"], said["result"]) == ("DeleteObject", refusal.code, result)
        assert event["errorMessage"]
        assert event["requestParameters"]["versionId"] == version
        if serial:
            assert said["serialNumber"] == serial

    told = root.delete_object(**delete, MFA=right)
    event = proxy.event_of(request_id(told))
    assert event["additionalEventData"]["MfaDelete"]["result"] == "Accepted"
    assert event["additionalEventData"]["MfaDelete"]["serialNumber"] == right.split()[0]
    assert "errorCode" not in event

    with refused(WRONG_CODE) as seen:
        root.delete_object(**delete, MFA=codes.replayed(right))
    assert proxy.event_of(seen["request_id"])["additionalEventData"]["MfaDelete"]["result"] == "Replayed"


def a_change_of_mfa_delete_is_recorded_with_its_document(proxy, root, codes, bucket):
    told = root.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA=codes.take()
    )

    event = proxy.event_of(request_id(told))
    assert event["eventName"] == "PutBucketVersioning"
    assert (event["managementEvent"], event["eventCategory"]) == (True, "Management")
    document = event["requestParameters"]["VersioningConfiguration"]
    assert (document["Status"], document["MfaDelete"]) == ("Enabled", "Enabled")
    assert "x-amz-mfa" not in json.dumps(event)


def a_batch_is_recorded_once_and_once_per_key(proxy, root, vault, key):
    names = [f"{key}-{number}" for number in range(3)]
    told = root.delete_objects(Bucket=vault, Delete={"Objects": [{"Key": name} for name in names]})

    events = proxy.events_of(request_id(told))
    batch = [event for event in events if event["eventName"] == "DeleteObjects"]
    single = [event for event in events if event["eventName"] == "DeleteObject"]
    assert (len(batch), len(events)) == (1, 4)
    assert batch[0]["requestParameters"]["delete"] == ""
    assert sorted(event["requestParameters"]["key"] for event in single) == names
    assert len({event["eventID"] for event in events}) == 4


def an_error_of_the_store_is_recorded(proxy, root, vault, key):
    with refused(Refusal(404, "NoSuchKey")) as seen:
        root.get_object(Bucket=vault, Key=key)

    event = proxy.event_of(seen["request_id"])
    assert (event["eventName"], event["errorCode"], event["readOnly"]) == ("GetObject", "NoSuchKey", True)


def a_request_without_or_with_a_wrong_signature_is_recorded(proxy, raw, vault, key):
    host = ("Host", proxy.place.host)
    anonymous = exchange(proxy.place, "GET", f"/{vault}/{key}", [host])
    raw.credentials = type(raw.credentials)(raw.credentials.access_key, "not the secret")
    forged = raw.send("DELETE", f"/{vault}/{key}")

    event = proxy.event_of(anonymous.headers["x-amz-request-id"])
    assert event["errorCode"] == "AccessDenied"
    assert event["userIdentity"]["accountId"] == "anonymous"
    event = proxy.event_of(forged.headers["x-amz-request-id"])
    assert event["errorCode"] == "SignatureDoesNotMatch"
    assert event["userIdentity"]["type"] != "Root"


def a_malformed_request_is_recorded(proxy, raw, vault, key):
    for method, target in [
        ("DELETE", f"/{vault}/{key}?versionId=a&versionId=b"),
        ("DELETE", f"/{vault}/{key}?xyzzy="),
        ("PURGE", f"/{vault}/{key}"),
        ("GET", f"/{vault}%2F{key}"),
    ]:
        reply = raw.send(method, target)
        event = proxy.event_of(reply.headers["x-amz-request-id"])
        assert event["errorCode"] == reply.refusal.code, target


def what_is_not_even_http_is_recorded(proxy):
    before = len(proxy.events())
    for bytes_sent in (b"GET / HTTP/1.1\r\nbad header line\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"G" * 70_000 + b"\r\n\r\n"):
        # The proxy may hang up before it has heard everything.
        with proxy.place.connect() as link, suppress(OSError):
            link.sendall(bytes_sent)
            link.shutdown(socket.SHUT_WR)
            while link.recv(65536):
                pass

    assert len(proxy.events()) == before + 3


def a_download_that_its_client_leaves_is_recorded(proxy, raw, root, bucket, key):
    root.put_object(Bucket=bucket, Key=key, Body=os.urandom(32 << 20))
    lines = raw.signed("GET", f"/{bucket}/{key}")
    with proxy.place.connect() as link:
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        link.sendall(f"GET /{bucket}/{key} HTTP/1.1\r\n{head}\r\n".encode())
        received = link.recv(65536)
    told = parse(received.split(b"\r\n\r\n")[0] + b"\r\n\r\n")

    event = wait_for_event(proxy, told.headers["x-amz-request-id"])
    assert event["eventName"] == "GetObject"
    assert event["additionalEventData"]["bytesTransferredOut"] < 32 << 20


def wait_for_event(proxy, wanted: str) -> dict:
    """A reply that never ended is recorded when the proxy notices; there is nothing else to wait on."""
    deadline = time.monotonic() + 15
    while not (found := proxy.events_of(wanted)):
        assert time.monotonic() < deadline, "the aborted request was not recorded"
        time.sleep(0.2)
    assert len(found) == 1
    return found[0]


def the_command_filters_events(proxy, root, alice, key):
    name = new_name()
    alice.create_bucket(Bucket=name)
    root.put_object(Bucket=name, Key=key, Body=b"x")
    with refused(Refusal(404, "NoSuchKey")):
        alice.get_object(Bucket=name, Key=f"{key}-none")
    of_bucket = proxy.events("--bucket", name)

    assert [event["eventName"] for event in of_bucket] == ["CreateBucket", "PutObject", "GetObject"]
    assert [event["eventName"] for event in proxy.events("--bucket", name, "--event-name", "PutObject")] == ["PutObject"]
    assert [event["eventName"] for event in proxy.events("--bucket", name, "--principal", "alice")] == ["CreateBucket", "GetObject"]
    assert [event["eventName"] for event in proxy.events("--bucket", name, "--error", "NoSuchKey")] == ["GetObject"]
    recent = (datetime.now(timezone.utc) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert all(event["eventTime"] > recent for event in proxy.events("--since", "1h"))
    assert len(proxy.events("--bucket", name, "--since", "1h")) == 3
    assert name in proxy.command("events", "--bucket", name)

    def names(*filters):
        return [event["eventName"] for event in proxy.events("--bucket", name, *filters)]

    assert names("--resource", f"{name}/{key}") == names("--resource", f"arn:aws:s3:::{name}/{key}") == ["PutObject"]
    assert names("--resource", name) == ["CreateBucket", "PutObject", "GetObject"]
    assert names("--source-ip", "127.0.0.1") == names() and names("--source-ip", "192.0.2.1") == []
    assert names("--mfa-result", "Accepted") == []
    assert names("--until", "1h") == [] and names("--until", "0s") == names()
    assert names("--limit", "2") == ["PutObject", "GetObject"]


def what_was_recorded_is_found_also_while_the_proxy_does_not_run(proxy, root, key):
    """The history answers for what it holds, and the journal for what came after."""
    name = new_name()
    root.create_bucket(Bucket=name)
    for number in range(3):
        root.put_object(Bucket=name, Key=f"{key}-{number}", Body=b"x")
    expected = ["CreateBucket", "PutObject", "PutObject", "PutObject"]

    def names(*filters):
        return [event["eventName"] for event in proxy.events("--bucket", name, *filters)]

    proxy.stop()
    try:
        assert names() == expected
        assert names("--resource", f"{name}/{key}-1") == ["PutObject"]
        found = [path for path in (proxy.state / "history").iterdir() if path.suffix == ".sqlite"]
        assert found and all(path.stat().st_mode & 0o077 == 0 for path in found)
        for path in found:
            path.write_bytes(b"not what sqlite wrote")
        assert names() == expected
    finally:
        proxy.start()
    root.delete_object(Bucket=name, Key=f"{key}-0")
    proxy.kill()
    try:
        assert names() == [*expected, "DeleteObject"]
    finally:
        proxy.start()
    assert names() == [*expected, "DeleteObject"]


def no_secret_is_ever_written(proxy, root, raw, codes, vault, key, version, alice_key, upstream):
    """The files of the state directory are read byte by byte, whatever their form."""
    wrong, right = codes.wrong(), codes.take()
    lines = raw.signed("DELETE", f"/{vault}/{key}?versionId={version}", {"x-amz-mfa": wrong})
    exchange(proxy.place, "DELETE", f"/{vault}/{key}?versionId={version}", lines)
    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=right)
    url = raw.presigned("GET", f"/{vault}/{key}")
    exchange(proxy.place, "GET", url, [("Host", proxy.place.host)])

    signature = dict(lines)["Authorization"].rsplit("=", 1)[1]
    secrets = {
        "signature": signature,
        "presigned signature": url.rsplit("=", 1)[1],
        "root's secret key": proxy.root.secret_key,
        "alice's secret key": alice_key.secret_key,
        "upstream secret key": upstream.credentials.secret_key if upstream.credentials else "(none)",
        **{f"seed of {device.serial}": device.seed for device in codes.devices},
    }
    written = {path: path.read_bytes() for path in proxy.state.rglob("*") if path.is_file() and path.name != "root.env"}
    written[proxy.directory / "stderr.log"] = proxy.log().encode()
    # The embedded store holds the users' own bytes, which no test here made of secrets.
    for name, secret in secrets.items():
        found = [str(path) for path, content in written.items() if secret.encode() in content]
        assert not found, f"{name} is in {found}"
    events = "\n".join(map(json.dumps, proxy.events())) + proxy.log()
    for code in (wrong.split()[1], right.split()[1]):
        # Six digits may occur within a longer number by chance, never as a word of their own.
        assert not re.search(rf"(?<![0-9a-fA-F]){code}(?![0-9a-fA-F])", events), "a code was recorded"


def what_only_root_and_the_proxy_may_read_is_theirs_alone(proxy):
    assert proxy.state.stat().st_mode & 0o077 == 0
    assert (proxy.state / "root.env").stat().st_mode & 0o777 == 0o600
    for path in proxy.state.iterdir():
        if path.is_socket() or "key" in path.name:
            assert path.stat().st_mode & 0o077 == 0, path
