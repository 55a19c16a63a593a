"""Requests that two readers could read differently: the proxy refuses them, and the store never sees them.

Each is signed with root's own key over the reading that its sender hopes for, so that only the proxy's own care can
stop it: a wrong signature would be refused for the wrong reason.
"""

import pytest

from rig.raw import Raw


@pytest.fixture
def two(root, vault, key) -> tuple[str, str]:
    """A key with an older and a newer version."""
    return tuple(root.put_object(Bucket=vault, Key=key, Body=text)["VersionId"] for text in (b"older", b"newer"))


@pytest.fixture
def untouched(witness, vault, key, two):
    """Asserts that the key has just its two versions."""

    def check():
        told = witness.list_object_versions(Bucket=vault, Prefix=key)
        assert sorted(one["VersionId"] for one in told.get("Versions", [])) == sorted(two)
        assert "DeleteMarkers" not in told

    return check


# The target as sent, and the reading over which it is signed where the two differ.
TARGETS = {
    "two-version-ids": ("/{b}/{k}?versionId={old}&versionId={new}", None),
    "empty-then-version-id": ("/{b}/{k}?versionId=&versionId={old}", None),
    "version-id-then-empty": ("/{b}/{k}?versionId={old}&versionId=", None),
    "empty-version-id": ("/{b}/{k}?versionId=", None),
    "bare-version-id": ("/{b}/{k}?versionId", "/{b}/{k}?versionId="),
    "lower-case-name": ("/{b}/{k}?versionid={old}", None),
    "upper-case-name": ("/{b}/{k}?VERSIONID={old}", None),
    "encoded-equals-sign": ("/{b}/{k}?versionId%3D{old}", "/{b}/{k}?versionId%3D{old}="),
    "encoded-ampersand": ("/{b}/{k}?x-id=DeleteObject%26versionId={old}", None),
    "second-question-mark": ("/{b}/{k}??versionId={old}", "/{b}/{k}?%3FversionId={old}"),
    "semicolon": ("/{b}/{k}?x-id=DeleteObject;versionId={old}", "/{b}/{k}?x-id=DeleteObject%3BversionId%3D{old}"),
    "empty-pair": ("/{b}/{k}?&versionId={old}", "/{b}/{k}?versionId={old}"),
    "bad-escape": ("/{b}/{k}?versionId={old}%zz", None),
    "acl": ("/{b}/{k}?acl&versionId={old}", "/{b}/{k}?acl=&versionId={old}"),
    "retention": ("/{b}/{k}?retention&versionId={old}", "/{b}/{k}?retention=&versionId={old}"),
    "torrent": ("/{b}/{k}?torrent&versionId={old}", "/{b}/{k}?torrent=&versionId={old}"),
    "upload-id-and-version-id": ("/{b}/{k}?uploadId=&versionId={old}", None),
    "unknown-sub-resource": ("/{b}/{k}?xyzzy&versionId={old}", "/{b}/{k}?versionId={old}&xyzzy="),
    "two-slashes-before-the-bucket": ("//{b}/{k}?versionId={old}", None),
    "two-slashes-before-the-key": ("/{b}//{k}?versionId={old}", None),
    "dot-segment": ("/{b}/./{k}?versionId={old}", None),
    "dot-dot-segment": ("/{b}/x/../{k}?versionId={old}", None),
    "encoded-slash-after-the-bucket": ("/{b}%2F{k}?versionId={old}", None),
    "tenant": ("/:{b}/{k}?versionId={old}", "/%3A{b}/{k}?versionId={old}"),
    "fragment": ("/{b}/{k}?versionId={old}#&versionId={new}", "/{b}/{k}?versionId={old}"),
    "nul": ("/{b}/{k}%00?versionId={old}", None),
    "not-utf-8": ("/{b}/{k}%FF?versionId={old}", None),
    "line-feed": ("/{b}/{k}%0A?versionId={old}", None),
    "backslash": ("/{b}\\{k}?versionId={old}", "/{b}%5C{k}?versionId={old}"),
    "admin-path": ("/admin/bucket?bucket={b}&purge-objects=true", None),
    "swift-path": ("/swift/v1/{b}/{k}", None),
    "minio-path": ("/minio/admin/v3/info", None),
}


@pytest.mark.parametrize("what", TARGETS)
def a_target_of_two_readings_is_refused(raw, untouched, vault, key, two, what):
    names = {"b": vault, "k": key, "old": two[0], "new": two[1]}
    sent, signed = (text and text.format(**names) for text in TARGETS[what])

    reply = raw.send("DELETE", sent, signed_target=signed)

    assert 400 <= reply.status < 502 and reply.status != 500, reply.body
    untouched()


def an_encoded_letter_is_the_letter_and_needs_its_code(raw, untouched, vault, key, two):
    plain = f"/{vault}/{key}?versionId={two[0]}"
    for sent in (f"/{vault}/{key}?%76ersionId={two[0]}", f"/%{ord(vault[0]):x}{vault[1:]}/{key}?versionId={two[0]}"):
        for signed in (plain, sent):
            assert raw.send("DELETE", sent, signed_target=signed).status in (400, 403)
    untouched()


def an_encoded_letter_of_a_key_names_that_key(raw, root, vault, key):
    root.put_object(Bucket=vault, Key=key, Body=b"same")

    reply = raw.send("GET", f"/{vault}/%6b{key[1:]}", signed_target=f"/{vault}/{key}")

    assert reply.status in (200, 403)
    assert reply.status == 403 or reply.body == b"same"


def a_target_with_a_scheme_and_a_host_is_refused(proxy, untouched, vault, key, two):
    """An absolute target carries a second host, which may be another than the header's."""
    raw = Raw(proxy.place, proxy.root)
    target = f"/{vault}/{key}?versionId={two[0]}"

    reply = raw.send("DELETE", f"{proxy.endpoint}{target}", signed_target=target)

    assert reply.status == 400
    untouched()


BODIES = {
    "two-version-ids": "<Object><Key>{k}</Key><VersionId>{old}</VersionId><VersionId>{new}</VersionId></Object>",
    "empty-version-id": "<Object><Key>{k}</Key><VersionId></VersionId></Object>",
    "empty-then-version-id": "<Object><Key>{k}</Key><VersionId></VersionId><VersionId>{old}</VersionId></Object>",
    "spaces-around-the-version-id": "<Object><Key>{k}</Key><VersionId> {old} </VersionId></Object>",
    "comment-in-the-version-id": "<Object><Key>{k}</Key><VersionId>{first}<!-- -->{rest}</VersionId></Object>",
    "cdata-in-the-version-id": "<Object><Key>{k}</Key><VersionId><![CDATA[{old}]]></VersionId></Object>",
    "lower-case-version-id": "<Object><Key>{k}</Key><versionid>{old}</versionid></Object>",
    "two-keys": "<Object><Key>{k}-x</Key><Key>{k}</Key><VersionId>{old}</VersionId></Object>",
    "foreign-prefix": '<Object xmlns:o="urn:other"><o:Key>{k}</o:Key><o:VersionId>{old}</o:VersionId></Object>',
    "no-object": "",
    "purge-status": "<Object><Key>{k}</Key><VersionPurgeStatus>COMPLETE</VersionPurgeStatus></Object>",
    "marker-status": "<Object><Key>{k}</Key><DeleteMarkerReplicationStatus>x</DeleteMarkerReplicationStatus></Object>",
    "processing-instruction": "<?php {old} ?><Object><Key>{k}</Key></Object>",
}


@pytest.mark.parametrize("what", BODIES)
def a_body_of_two_readings_is_refused(raw, untouched, vault, key, two, what):
    names = {"k": key, "old": two[0], "new": two[1], "first": two[0][:3], "rest": two[0][3:]}
    body = f"<Delete>{BODIES[what].format(**names)}</Delete>".encode()

    reply = raw.send("POST", f"/{vault}?delete", body=body, headers=checked(body), signed_target=f"/{vault}?delete=")

    # A reading under which the version is named may also be refused for want of a code.
    assert reply.status in (400, 403, 501), reply.body
    untouched()


def a_document_type_an_other_root_and_other_encodings_are_refused(raw, untouched, vault, key, two):
    entry = f"<Object><Key>{key}</Key></Object>"
    version = f"<Object><Key>{key}</Key><VersionId>&v;</VersionId></Object>"
    for body in (
        f'<!DOCTYPE d [<!ENTITY v "{two[0]}">]><Delete>{version}</Delete>'.encode(),
        f"<Remove>{entry}</Remove>".encode(),
        f"<Delete>{entry}</Delete>junk".encode(),
        f"<Delete>{entry}</Delete><Delete>{entry}</Delete>".encode(),
        f'<?xml version="1.0" encoding="UTF-16"?><Delete>{entry}</Delete>'.encode("utf-16"),
        f"<Delete>{entry}".encode(),
        f"<Delete>{entry * 1001}</Delete>".encode(),
        b"",
    ):
        reply = raw.send("POST", f"/{vault}?delete", body=body, headers=checked(body), signed_target=f"/{vault}?delete=")
        assert reply.status == 400, (body[:80], reply.body)
    untouched()


def checked(body: bytes) -> dict[str, str]:
    """The checksum that DeleteObjects must carry."""
    import base64
    import hashlib

    return {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}


# Headers by which one store or another destroys versions

HEADERS = {
    "minio-force-delete": ("DELETE", "/{b}/{k}", {"x-minio-force-delete": "true"}),
    "minio-force-delete-bucket": ("DELETE", "/{b}", {"x-minio-force-delete": "true"}),
    "minio-force-create": ("PUT", "/{b}", {"x-minio-force-create": "true"}),
    "minio-replica": ("DELETE", "/{b}/{k}", {"x-minio-source-replication-request": "true"}),
    "rustfs-force-delete": ("DELETE", "/{b}/{k}", {"x-rustfs-force-delete": "true"}),
    "replication-status": ("PUT", "/{b}/{k}", {"x-amz-replication-status": "REPLICA"}),
    "snowball": ("PUT", "/{b}/{k}", {"x-amz-meta-snowball-auto-extract": "true"}),
    "rename": ("PUT", "/{b}/{k}-renamed?renameObject=", {"x-amz-rename-source": "/{b}/{k}"}),
    "write-offset": ("PUT", "/{b}/{k}", {"x-amz-write-offset-bytes": "1"}),
    "unknown-amz": ("PUT", "/{b}/{k}", {"x-amz-no-such-thing": "1"}),
    "put-of-a-version": ("PUT", "/{b}/{k}?versionId={old}", {}),
    "upload-of-a-version": ("POST", "/{b}/{k}?uploads=&versionId={old}", {}),
    "append": ("PUT", "/{b}/{k}?append=&position=0", {}),
    "extra-in-the-query": ("GET", "/{b}/{k}?rgwx-uid=root", {}),
    "session": ("GET", "/{b}?session=", {}),
    "sts": ("POST", "/?Action=AssumeRole&Version=2011-06-15", {}),
    "sts-form": ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}),
    "post-delete-on-an-object": ("POST", "/{b}/{k}?delete=", {}),
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("signing", ["signed", "unsigned"])
def a_way_around_versioning_is_refused(raw, untouched, vault, key, two, what, signing):
    names = {"b": vault, "k": key, "old": two[0]}
    method, target, headers = HEADERS[what]
    headers = {name: value.format(**names) for name, value in headers.items()}
    if signing == "signed":
        reply = raw.send(method, target.format(**names), headers)
    else:
        reply = raw.send(method, target.format(**names), extra=list(headers.items()))

    assert 400 <= reply.status < 502 and reply.status != 500, reply.body
    untouched()


def a_method_that_s3_has_not_is_refused(raw, untouched, vault, key):
    for method in ("PURGE", "PATCH", "TRACE", "delete", "CONNECT", "COPY"):
        assert 400 <= raw.send(method, f"/{vault}/{key}").status < 502, method
    untouched()


def a_method_override_is_no_method(raw, untouched, vault, key):
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        raw.send("GET", f"/{vault}/{key}", {name: "DELETE"})
    untouched()


def two_hosts_are_refused(raw, untouched, vault, key, two):
    reply = raw.send("DELETE", f"/{vault}/{key}?versionId={two[0]}", extra=[("Host", "elsewhere.example")])

    assert reply.status == 400
    untouched()


def a_connection_header_cannot_strip_the_code(raw, codes, untouched, vault, key, two):
    """A proxy that drops what Connection names would judge another request than it forwards."""
    reply = raw.send("DELETE", f"/{vault}/{key}?versionId={two[0]}", extra=[("Connection", "x-amz-mfa")])

    assert 400 <= reply.status < 500
    untouched()


def two_lengths_are_refused(raw, untouched, vault, key):
    reply = raw.send("PUT", f"/{vault}/{key}", body=b"abc", extra=[("Content-Length", "3"), ("Content-Length", "0")])
    assert reply.status == 400
    reply = raw.send("PUT", f"/{vault}/{key}", body=b"0\r\n\r\n", extra=[("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    assert reply.status >= 400
    untouched()
