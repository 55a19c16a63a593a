"""What the proxy reads from PUT ?versioning and tells in GET ?versioning."""

import pytest

from rig.refusals import MALFORMED_XML, NO_STATUS, Refusal

S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(inner: str, root: str = "VersioningConfiguration") -> bytes:
    return f"<{root} {S3}>{inner}</{root}>".encode()


@pytest.mark.parametrize("inner", ["", "<MfaDelete>Disabled</MfaDelete>"], ids=["empty", "mfa-delete-alone"])
def a_document_without_a_status_is_refused(raw, bucket, inner):
    assert raw.send("PUT", f"/{bucket}?versioning", body=document(inner)).refusal == NO_STATUS


@pytest.mark.parametrize(
    "inner",
    [
        "<Status>enabled</Status>",
        "<Status>Disabled</Status>",
        "<Status> Enabled</Status>",
        "<Status>Enabled</Status><MFADelete>Disabled</MFADelete>",
        "<Status>Enabled</Status><MfaDelete>disabled</MfaDelete>",
        "<Status>Enabled</Status><MfaDelete></MfaDelete>",
        "<Status>Enabled</Status><Status>Suspended</Status>",
        "<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete><MfaDelete>Enabled</MfaDelete>",
        "<Status>Enabled</Status><Unknown/>",
        "<Status>Ena<b/>bled</Status>",
        "<Status>Enabled</Status",
    ],
)
def a_document_outside_the_schema_is_refused(raw, root, bucket, inner):
    assert raw.send("PUT", f"/{bucket}?versioning", body=document(inner)).refusal == MALFORMED_XML

    assert "Status" not in root.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize(
    "body",
    [
        document("<Status>Enabled</Status>", root="Versioning"),
        document("<Status>Enabled</Status>") + b"<More/>",
        document("<Status>Enabled</Status>") + b"junk",
        b'<!DOCTYPE v [<!ENTITY e "Enabled">]>' + document("<Status>&e;</Status>"),
        document("<Status>Enabled</Status>").decode().encode("utf-16"),
        b"",
    ],
    ids=["other-root", "two-roots", "trailing-junk", "doctype", "utf-16", "no-body"],
)
def a_body_that_is_not_one_plain_document_is_refused(raw, root, bucket, body):
    reply = raw.send("PUT", f"/{bucket}?versioning", body=body)

    assert reply.status == 400, reply.body
    assert "Status" not in root.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize("inner", ["<ExcludedPrefixes><Prefix>*</Prefix></ExcludedPrefixes>", "<ExcludeFolders>true</ExcludeFolders>"])
def a_document_that_excludes_keys_from_versioning_is_refused(raw, root, bucket, inner):
    reply = raw.send("PUT", f"/{bucket}?versioning", body=document(f"<Status>Enabled</Status>{inner}"))

    assert reply.status in (400, 501), reply.body
    assert "Status" not in root.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize(
    "inner",
    ["<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>", "<MfaDelete>Disabled</MfaDelete><Status>Enabled</Status>"],
    ids=["status-first", "mfa-delete-first"],
)
def the_elements_come_in_either_order(raw, root, bucket, inner):
    assert raw.send("PUT", f"/{bucket}?versioning", body=document(inner)).status == 200

    told = root.get_bucket_versioning(Bucket=bucket)
    assert (told["Status"], told["MFADelete"]) == ("Enabled", "Disabled")


def a_bucket_that_was_never_versioned_says_nothing(raw, bucket):
    reply = raw.send("GET", f"/{bucket}?versioning")

    assert reply.status == 200
    assert b"Status" not in reply.body and b"MfaDelete" not in reply.body
    assert b"VersioningConfiguration" in reply.body


def a_bucket_without_mfa_delete_says_its_status_alone(raw, versioned):
    reply = raw.send("GET", f"/{versioned}?versioning")

    assert b"<Status>Enabled</Status>" in reply.body
    assert b"MfaDelete" not in reply.body


def a_protected_bucket_says_so_in_the_element_aws_uses(raw, vault):
    reply = raw.send("GET", f"/{vault}?versioning")

    assert b"<Status>Enabled</Status>" in reply.body
    assert b"<MfaDelete>Enabled</MfaDelete>" in reply.body


def a_bucket_may_be_suspended_first_of_all(root, bucket):
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    assert root.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"


def the_store_never_hears_of_mfa_delete(upstream, witness, vault):
    told = witness.get_bucket_versioning(Bucket=vault)
    # Ceph says Disabled of every bucket that was ever versioned.
    assert told.get("MFADelete") == ("Disabled" if upstream.kind == "ceph" else None)


def a_user_reads_whether_a_bucket_is_protected(alice, vault):
    assert alice.get_bucket_versioning(Bucket=vault)["MFADelete"] == "Enabled"


def a_missing_bucket_has_no_versioning(raw, upstream):
    assert raw.send("GET", "/b-that-is-not-there?versioning").refusal.code == "NoSuchBucket"
    reply = raw.send("PUT", "/b-that-is-not-there?versioning", body=document("<Status>Enabled</Status>"))
    if upstream.difference("versioning-without-a-bucket"):
        assert reply.status == 200
        return
    assert (reply.status, reply.refusal.code) == (404, "NoSuchBucket")
    assert isinstance(reply.refusal, Refusal)
