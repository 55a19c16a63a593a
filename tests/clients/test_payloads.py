"""Every form in which S3 clients send a payload, and what becomes of one that is not what it was signed as."""

import base64
import hashlib
import socket
import zlib

import pytest

from rig.raw import exchange
from rig.refusals import Refusal

MEBIBYTE = 1 << 20
BODY = bytes(range(256)) * 1024


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def parts(body: bytes, size: int = 64 * 1024) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.fixture
def target(versioned, key) -> str:
    return f"/{versioned}/{key}"


@pytest.fixture
def stored(witness, versioned, key):
    """The bytes the store holds under the key, or None."""

    def read():
        told = witness.list_object_versions(Bucket=versioned, Prefix=key)
        if not told.get("Versions"):
            return None
        return witness.get_object(Bucket=versioned, Key=key)["Body"].read()

    return read


@pytest.mark.parametrize("size", [0, 1, 4096, 5 * MEBIBYTE], ids=["empty", "one-byte", "4-KiB", "5-MiB"])
def a_signed_payload_arrives_whole(root, versioned, key, stored, size):
    body = (BODY * 21)[:size]
    root.put_object(Bucket=versioned, Key=key, Body=body)

    assert stored() == body


def an_unsigned_payload_arrives_from_this_machine(raw, target, stored):
    assert raw.send("PUT", target, body=BODY, payload="UNSIGNED-PAYLOAD").status == 200
    assert stored() == BODY


@pytest.mark.parametrize("chunk", [8192, 64 * 1024, len(BODY)])
def a_payload_of_signed_chunks_arrives_whole(raw, target, stored, chunk):
    assert raw.chunked(target, parts(BODY, chunk)).status == 200
    assert stored() == BODY


def a_payload_of_signed_chunks_with_a_signed_trailer_arrives_whole(raw, target, stored):
    assert raw.chunked(target, parts(BODY), trailer=("x-amz-checksum-crc32", crc32(BODY))).status == 200
    assert stored() == BODY


def a_trailing_checksum_is_kept_with_the_object_where_the_store_takes_one(
    upstream, root, witness, raw, target, versioned, key
):
    taken = not upstream.difference("trailing-checksums")
    trailer = ("x-amz-checksum-sha1", base64.b64encode(hashlib.sha1(BODY).digest()).decode())
    for reply in (raw.chunked(target, parts(BODY), trailer=trailer), raw.unsigned_trailer(target, parts(BODY), trailer)):
        assert reply.status == 200, reply.body
        for client in (root, witness):
            told = client.head_object(Bucket=versioned, Key=key, ChecksumMode="ENABLED")
            assert told.get("ChecksumSHA1") == (trailer[1] if taken else None)


def the_trailing_checksum_of_an_empty_object_is_kept_as_well(upstream, witness, raw, target, versioned, key):
    taken = not upstream.difference("trailing-checksums")
    empty = base64.b64encode(hashlib.sha1(b"").digest()).decode()
    assert raw.unsigned_trailer(target, [], ("x-amz-checksum-sha1", empty)).status == 200

    told = witness.head_object(Bucket=versioned, Key=key, ChecksumMode="ENABLED")
    assert told.get("ChecksumSHA1") == (empty if taken else None)


def a_payload_of_unsigned_chunks_with_a_trailer_arrives_whole(raw, target, stored):
    reply = raw.unsigned_trailer(target, parts(BODY), ("x-amz-checksum-crc32", crc32(BODY)))

    assert reply.status == 200, reply.body
    assert stored() == BODY


def the_content_encoding_of_the_transfer_is_not_the_objects(raw, target, root, versioned, key):
    assert raw.chunked(target, parts(BODY)).status == 200

    assert "aws-chunked" not in root.head_object(Bucket=versioned, Key=key).get("ContentEncoding", "")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def a_checksum_of_the_clients_choice_is_checked_on_the_way(root, versioned, key, stored, algorithm):
    from botocore.exceptions import MissingDependencyException

    if algorithm in ("CRC32C", "CRC64NVME"):
        # botocore computes these only with the awscrt extension, which the pinned clients come without.
        with pytest.raises(MissingDependencyException):
            root.put_object(Bucket=versioned, Key=key, Body=BODY, ChecksumAlgorithm=algorithm)
        return
    root.put_object(Bucket=versioned, Key=key, Body=BODY, ChecksumAlgorithm=algorithm)

    assert stored() == BODY


@pytest.mark.parametrize("calculation", ["when_supported", "when_required"])
def a_client_sends_checksums_as_it_is_configured(proxy, versioned, key, stored, calculation):
    client = proxy.client(request_checksum_calculation=calculation, response_checksum_validation=calculation)
    client.put_object(Bucket=versioned, Key=key, Body=BODY)

    assert client.get_object(Bucket=versioned, Key=key)["Body"].read() == BODY


def a_payload_that_is_not_the_signed_one_is_not_stored(raw, target, stored):
    lines = raw.signed("PUT", target, body=BODY)
    reply = exchange(raw.place, "PUT", target, lines, bytes([BODY[0] ^ 1]) + BODY[1:])

    assert (reply.status, reply.refusal.code) == (400, "XAmzContentSHA256Mismatch")
    assert stored() is None


@pytest.mark.parametrize("spoilt", [0, 1, 3], ids=["first", "second", "last"])
def a_spoilt_chunk_stores_nothing(raw, target, stored, spoilt):
    reply = raw.chunked(target, parts(BODY), spoil=spoilt)

    assert (reply.status, reply.refusal.code) == (403, "SignatureDoesNotMatch")
    assert stored() is None


def a_wrong_trailing_checksum_stores_nothing(raw, target, stored):
    wrong = ("x-amz-checksum-crc32", crc32(b"something else"))
    for reply in (raw.chunked(target, parts(BODY), trailer=wrong), raw.unsigned_trailer(target, parts(BODY), wrong)):
        assert (reply.status, reply.refusal.code) == (400, "BadDigest")
    assert stored() is None


def a_wrong_checksum_header_stores_nothing(raw, target, stored):
    reply = raw.send("PUT", target, {"x-amz-checksum-crc32": crc32(b"something else")}, BODY)
    assert (reply.status, reply.refusal.code) == (400, "BadDigest")
    wrong = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
    reply = raw.send("PUT", target, {"content-md5": wrong}, BODY)
    assert (reply.status, reply.refusal.code) == (400, "BadDigest")
    assert stored() is None


def a_body_that_ends_early_stores_nothing(proxy, raw, target, stored):
    lines = raw.signed("PUT", target, body=BODY, payload="UNSIGNED-PAYLOAD")
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, ("Content-Length", len(BODY))])
    with proxy.place.connect() as link:
        link.sendall(f"PUT {target} HTTP/1.1\r\n{head}\r\n".encode() + BODY[:-1])
        link.shutdown(socket.SHUT_WR)
        while link.recv(65536):
            pass

    assert stored() is None


def a_streamed_payload_is_refused_where_a_document_is_due(raw, versioned, root):
    body = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    for payload in ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        reply = raw.send("PUT", f"/{versioned}?versioning", body=body, payload=payload, signed_target=f"/{versioned}?versioning=")
        assert reply.status in (400, 403, 411), (payload, reply.body)
    assert root.get_bucket_versioning(Bucket=versioned)["Status"] == "Enabled"


def an_unsigned_document_is_taken_over_tls_and_from_this_machine(raw, versioned, root):
    body = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    reply = raw.send("PUT", f"/{versioned}?versioning", body=body, payload="UNSIGNED-PAYLOAD", signed_target=f"/{versioned}?versioning=")
    assert reply.status == 200, reply.body
    assert root.get_bucket_versioning(Bucket=versioned)["Status"] == "Suspended"


# Who signed


def nothing_is_answered_without_a_signature(raw, versioned, key):
    host = ("Host", raw.place.host)
    for method, target in [("GET", "/"), ("GET", f"/{versioned}"), ("PUT", f"/{versioned}/{key}"), ("DELETE", f"/{versioned}")]:
        assert exchange(raw.place, method, target, [host]).refusal.code == "AccessDenied"


def a_signature_by_another_secret_is_refused(proxy, raw, target):
    raw.credentials = type(raw.credentials)(raw.credentials.access_key, "not the secret")

    assert raw.send("GET", target).refusal.code == "SignatureDoesNotMatch"


def a_key_nobody_has_is_refused(raw, target):
    raw.credentials = type(raw.credentials)("AKIAIOSFODNN7EXAMPLE", "not the secret")

    assert raw.send("GET", target).refusal == Refusal(
        403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
    )


def a_signature_of_another_time_is_refused(raw, target):
    lines = [
        (name, "20200101T000000Z" if name == "X-Amz-Date" else value) for name, value in raw.signed("GET", target)
    ]
    assert exchange(raw.place, "GET", target, lines).refusal.status == 403


def a_changed_request_is_refused(raw, target):
    lines = raw.signed("GET", target)

    assert exchange(raw.place, "GET", target + "-other", lines).refusal.code == "SignatureDoesNotMatch"
    assert exchange(raw.place, "DELETE", target, lines).refusal.code == "SignatureDoesNotMatch"


def a_presigned_url_reads_and_writes_until_it_expires(proxy, raw, versioned, key, target, stored):
    presigner = proxy.client(signature_version="s3v4")
    url = presigner.generate_presigned_url("put_object", {"Bucket": versioned, "Key": key}).removeprefix(raw.endpoint)
    host = ("Host", raw.place.host)
    assert exchange(raw.place, "PUT", url, [host], BODY).status == 200
    assert stored() == BODY

    url = raw.presigned("GET", target)
    assert exchange(raw.place, "GET", url, [host]).body == BODY
    assert exchange(raw.place, "GET", url.replace("Expires=300", "Expires=301"), [host]).status == 403
    assert exchange(raw.place, "GET", raw.presigned("GET", target, expires=604801), [host]).status == 400
    assert exchange(raw.place, "GET", url, [host, ("x-amz-acl", "public-read")]).status == 403
