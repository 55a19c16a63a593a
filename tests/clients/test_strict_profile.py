"""Where the strict profile asks for a code and AWS does not, because what stands behind the proxy can be walked around."""

import json

import pytest

from conftest import new_name, protect
from rig.refusals import MFA_REQUIRED, NOT_BUCKET_OWNER, NOT_VERSIONED, Refusal, refused


# A suspended bucket


def a_plain_delete_in_a_suspended_bucket_needs_a_code(root, witness, suspended):
    name, key = suspended

    with refused(MFA_REQUIRED):
        root.delete_object(Bucket=name, Key=key)

    assert witness.get_object(Bucket=name, Key=key)["Body"].read() == b"the null version"


@pytest.mark.parametrize("fresh", [False, True], ids=["over-the-null-version", "of-a-new-key"])
def a_write_into_a_suspended_bucket_needs_a_code(root, alice, witness, suspended, key, fresh):
    name, old = suspended
    target = key if fresh else old
    for client in (root, alice):
        with refused(MFA_REQUIRED):
            client.put_object(Bucket=name, Key=target, Body=b"over it")
        with refused(MFA_REQUIRED):
            client.copy_object(Bucket=name, Key=target, CopySource={"Bucket": name, "Key": old})
        with refused(MFA_REQUIRED):
            client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": target}]})

    assert witness.get_object(Bucket=name, Key=old)["Body"].read() == b"the null version"


def a_multipart_upload_into_a_suspended_bucket_is_completed_with_a_code_only(root, witness, suspended, key):
    name, _ = suspended
    upload = root.create_multipart_upload(Bucket=name, Key=key)["UploadId"]
    part = root.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]

    # In the words of either refusal: the store may settle the version when the upload is opened.
    with refused(Refusal(403, "AccessDenied")) as seen:
        root.complete_multipart_upload(
            Bucket=name, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
        )

    assert seen["error"]["Message"].startswith("Mfa Authentication must be used")
    assert "Versions" not in witness.list_object_versions(Bucket=name, Prefix=key)
    root.abort_multipart_upload(Bucket=name, Key=key, UploadId=upload)


def root_writes_into_a_suspended_bucket_with_a_code(offering, codes, root, suspended, key):
    name, _ = suspended

    told = offering(codes.take()).put_object(Bucket=name, Key=key, Body=b"approved")

    assert told["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert root.get_object(Bucket=name, Key=key)["Body"].read() == b"approved"


def a_user_does_not_write_into_a_suspended_bucket_even_with_a_code(offering, alice_key, codes, witness, suspended, key):
    name, _ = suspended

    with refused(NOT_BUCKET_OWNER):
        offering(codes.lend(), alice_key).put_object(Bucket=name, Key=key, Body=b"x")

    assert "Versions" not in witness.list_object_versions(Bucket=name, Prefix=key)


def a_suspended_bucket_is_not_protected_anew_until_it_is_enabled(root, codes, versioned):
    with refused(NOT_VERSIONED):
        protect(root, versioned, codes, status="Suspended")

    told = root.get_bucket_versioning(Bucket=versioned)
    assert told["Status"] == "Enabled" and "MFADelete" not in told


# A bucket that goes and comes back


def a_protected_bucket_goes_with_a_code_and_its_name_stays_guarded(root, offering, codes, own_vault):
    with refused(MFA_REQUIRED):
        root.delete_bucket(Bucket=own_vault)
    root.head_bucket(Bucket=own_vault)

    offering(codes.take()).delete_bucket(Bucket=own_vault)

    with refused(MFA_REQUIRED):
        root.create_bucket(Bucket=own_vault)
    assert own_vault not in [one["Name"] for one in root.list_buckets()["Buckets"]]
    offering(codes.take()).create_bucket(Bucket=own_vault)
    root.head_bucket(Bucket=own_vault)


def an_unprotected_bucket_goes_and_comes_back_freely(root, alice, versioned):
    alice.delete_bucket(Bucket=versioned)
    root.create_bucket(Bucket=versioned)

    assert "Status" not in root.get_bucket_versioning(Bucket=versioned)


# What weakens a protected bucket's protection


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:DeleteObjectVersion", "Resource": "arn:aws:s3:::{bucket}/*"}
    ],
}

WEAKENING = {
    "policy": lambda s3, b: s3.put_bucket_policy(Bucket=b, Policy=json.dumps(POLICY).replace("{bucket}", b)),
    "no-policy": lambda s3, b: s3.delete_bucket_policy(Bucket=b),
    "acl": lambda s3, b: s3.put_bucket_acl(Bucket=b, ACL="public-read-write"),
    "encryption": lambda s3, b: s3.put_bucket_encryption(
        Bucket=b,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}]
        },
    ),
    "encryption-removed": lambda s3, b: s3.delete_bucket_encryption(Bucket=b),
    "no-public-access-block": lambda s3, b: s3.delete_public_access_block(Bucket=b),
    "no-replication": lambda s3, b: s3.delete_bucket_replication(Bucket=b),
    "tags": lambda s3, b: s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
    "no-tags": lambda s3, b: s3.delete_bucket_tagging(Bucket=b),
    "notification": lambda s3, b: s3.put_bucket_notification_configuration(Bucket=b, NotificationConfiguration={}),
    "logging": lambda s3, b: s3.put_bucket_logging(Bucket=b, BucketLoggingStatus={}),
    "ownership": lambda s3, b: s3.put_bucket_ownership_controls(
        Bucket=b, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    ),
}

@pytest.mark.parametrize("what", WEAKENING)
def a_protected_bucket_is_not_weakened_without_a_code(root, alice, upstream, vault, what):
    # A sub-resource that the store does not know would make it carry out another operation on the bucket.
    unknown = upstream.difference(f"no-{what}")
    for client in (root, alice):
        with refused(Refusal(501, "NotImplemented") if unknown else MFA_REQUIRED):
            WEAKENING[what](client, vault)


def an_unprotected_bucket_is_tagged_without_a_code(root, bucket):
    WEAKENING["tags"](root, bucket)

    assert root.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "b"}]


def a_protected_bucket_is_tagged_with_a_code(root, offering, codes, vault):
    WEAKENING["tags"](offering(codes.take()), vault)

    assert root.get_bucket_tagging(Bucket=vault)["TagSet"] == [{"Key": "a", "Value": "b"}]


def a_missing_name_is_made_freely(alice, root):
    name = new_name()
    alice.create_bucket(Bucket=name)
    root.head_bucket(Bucket=name)
