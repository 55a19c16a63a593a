"""MFA Delete as AWS defines it: each row of its matrix of request, state and principal."""

import pytest

from conftest import new_name, protect
from rig.refusals import (
    LIFECYCLE_ON_PROTECTED,
    LIFECYCLE_PRESENT,
    MFA_REQUIRED,
    NOT_BUCKET_OWNER,
    WRONG_CODE,
    Refusal,
    refused,
)

EXPIRE = {
    "Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}]
}


def versions(client, bucket: str, key: str) -> list[str]:
    """The ids of a key's versions and delete markers."""
    told = client.list_object_versions(Bucket=bucket, Prefix=key)
    return [one["VersionId"] for one in told.get("Versions", []) + told.get("DeleteMarkers", []) if one["Key"] == key]


@pytest.fixture
def version(root, vault, key) -> str:
    return root.put_object(Bucket=vault, Key=key, Body=b"keep me")["VersionId"]


@pytest.fixture(params=["root", "alice"])
def client(request):
    return request.getfixturevalue(request.param)


# Deleting without a version id


def a_plain_delete_makes_a_marker_and_needs_no_code(client, witness, vault, key, version):
    told = client.delete_object(Bucket=vault, Key=key)

    assert told["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert told["DeleteMarker"] is True
    assert sorted(versions(witness, vault, key)) == sorted([version, told["VersionId"]])


def a_plain_delete_ignores_a_wrong_code(root, codes, vault, key, version):
    told = root.delete_object(Bucket=vault, Key=key, MFA=codes.wrong())

    assert told["DeleteMarker"] is True


# Deleting a version by its id


def a_version_is_not_deleted_without_a_code(client, witness, vault, key, version):
    with refused(MFA_REQUIRED):
        client.delete_object(Bucket=vault, Key=key, VersionId=version)

    assert versions(witness, vault, key) == [version]


def a_delete_marker_is_not_deleted_without_a_code(client, root, witness, vault, key, version):
    marker = root.delete_object(Bucket=vault, Key=key)["VersionId"]

    with refused(MFA_REQUIRED):
        client.delete_object(Bucket=vault, Key=key, VersionId=marker)

    assert marker in versions(witness, vault, key)


@pytest.mark.parametrize("absent", ["null", "NULL", "00000000-0000-0000-0000-000000000000", "no.such-version-1"])
def a_version_id_that_names_nothing_needs_a_code_too(client, vault, key, absent):
    with refused(MFA_REQUIRED):
        client.delete_object(Bucket=vault, Key=key, VersionId=absent)


def root_deletes_a_version_with_a_code(root, codes, witness, vault, key, version):
    told = root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=codes.take())

    assert told["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert told["VersionId"] == version
    assert versions(witness, vault, key) == []


def root_restores_an_object_by_deleting_its_marker_with_a_code(root, upstream, codes, vault, key, version):
    marker = root.delete_object(Bucket=vault, Key=key)["VersionId"]

    told = root.delete_object(Bucket=vault, Key=key, VersionId=marker, MFA=codes.take())

    assert told.get("DeleteMarker") is (None if upstream.difference("silent-about-markers") else True)
    assert root.get_object(Bucket=vault, Key=key)["Body"].read() == b"keep me"


def a_user_is_refused_even_with_a_right_code_which_stays_unspent(root, alice, codes, witness, vault, key, version):
    offer = codes.take()

    with refused(NOT_BUCKET_OWNER):
        alice.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)

    assert versions(witness, vault, key) == [version]
    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)
    assert versions(witness, vault, key) == []


def a_version_in_an_unprotected_bucket_needs_no_code(root, alice, versioned, key):
    for client in (root, alice):
        version = root.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"]
        client.delete_object(Bucket=versioned, Key=key, VersionId=version)
        assert versions(root, versioned, key) == []


def an_unprotected_bucket_ignores_an_offer_without_spending_it(root, codes, versioned, vault, key, version):
    other = root.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"]
    offer = codes.take()

    root.delete_object(Bucket=versioned, Key=key, VersionId=other, MFA=offer)

    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)
    assert versions(root, vault, key) == []


# Deleting many


def a_batch_without_version_ids_needs_no_code(client, root, vault, key):
    names = [f"{key}-{number}" for number in range(3)]
    for name in names:
        root.put_object(Bucket=vault, Key=name, Body=b"x")

    told = client.delete_objects(Bucket=vault, Delete={"Objects": [{"Key": name} for name in names]})

    assert sorted(one["Key"] for one in told["Deleted"]) == names
    assert all(one["DeleteMarker"] for one in told["Deleted"])


def a_batch_with_one_version_id_fails_whole_without_a_code(client, witness, vault, key, version):
    client.put_object(Bucket=vault, Key=f"{key}-plain", Body=b"x")

    with refused(MFA_REQUIRED):
        client.delete_objects(
            Bucket=vault, Delete={"Objects": [{"Key": f"{key}-plain"}, {"Key": key, "VersionId": version}]}
        )

    assert versions(witness, vault, key) == [version]
    assert len(versions(witness, vault, f"{key}-plain")) == 1


def a_batch_with_a_wrong_code_fails_whole_even_without_version_ids(root, codes, witness, vault, key, version):
    with refused(WRONG_CODE):
        root.delete_objects(Bucket=vault, Delete={"Objects": [{"Key": key}]}, MFA=codes.wrong())

    assert versions(witness, vault, key) == [version]


def one_code_covers_a_whole_batch(root, codes, witness, vault, key):
    put = [(f"{key}-{number}", root.put_object(Bucket=vault, Key=f"{key}-{number}", Body=b"x")["VersionId"]) for number in range(20)]

    told = root.delete_objects(
        Bucket=vault, Delete={"Objects": [{"Key": name, "VersionId": version} for name, version in put]}, MFA=codes.take()
    )

    assert sorted((one["Key"], one["VersionId"]) for one in told["Deleted"]) == sorted(put)
    assert not [name for name, _ in put if versions(witness, vault, name)]


def a_user_is_refused_a_batch_with_a_version_id_and_a_code(alice, codes, witness, vault, key, version):
    with refused(NOT_BUCKET_OWNER):
        alice.delete_objects(Bucket=vault, Delete={"Objects": [{"Key": key, "VersionId": version}]}, MFA=codes.lend())

    assert versions(witness, vault, key) == [version]


# Turning it on and off


def an_unprotected_bucket_is_not_protected_without_a_code(client, root, versioned):
    with refused(MFA_REQUIRED):
        client.put_bucket_versioning(
            Bucket=versioned, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}
        )

    assert "MFADelete" not in root.get_bucket_versioning(Bucket=versioned)


def a_user_cannot_protect_a_bucket(alice, root, codes, versioned):
    with refused(NOT_BUCKET_OWNER):
        alice.put_bucket_versioning(
            Bucket=versioned, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA=codes.lend()
        )

    assert "MFADelete" not in root.get_bucket_versioning(Bucket=versioned)


@pytest.mark.parametrize(
    "document",
    [
        {"Status": "Enabled"},
        {"Status": "Enabled", "MFADelete": "Enabled"},
        {"Status": "Enabled", "MFADelete": "Disabled"},
        {"Status": "Suspended"},
        {"Status": "Suspended", "MFADelete": "Disabled"},
    ],
    ids=lambda document: "-".join(document.values()),
)
def no_versioning_document_is_taken_without_a_code_while_protected(client, witness, root, vault, document):
    with refused(MFA_REQUIRED):
        client.put_bucket_versioning(Bucket=vault, VersioningConfiguration=document)

    assert root.get_bucket_versioning(Bucket=vault)["MFADelete"] == "Enabled"
    assert witness.get_bucket_versioning(Bucket=vault)["Status"] == "Enabled"


def one_request_suspends_versioning_and_ends_protection(root, codes, witness, own_vault):
    root.put_bucket_versioning(
        Bucket=own_vault, VersioningConfiguration={"Status": "Suspended", "MFADelete": "Disabled"}, MFA=codes.take()
    )

    told = root.get_bucket_versioning(Bucket=own_vault)
    assert (told["Status"], told["MFADelete"]) == ("Suspended", "Disabled")
    assert witness.get_bucket_versioning(Bucket=own_vault)["Status"] == "Suspended"


def a_bucket_whose_protection_ended_gives_up_its_versions_again(root, alice, codes, own_vault, key):
    version = root.put_object(Bucket=own_vault, Key=key, Body=b"x")["VersionId"]

    root.put_bucket_versioning(
        Bucket=own_vault, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Disabled"}, MFA=codes.take()
    )

    alice.delete_object(Bucket=own_vault, Key=key, VersionId=version)
    assert versions(root, own_vault, key) == []


def a_document_without_mfa_delete_keeps_the_protection(root, codes, own_vault):
    root.put_bucket_versioning(
        Bucket=own_vault, VersioningConfiguration={"Status": "Suspended"}, MFA=codes.take()
    )

    assert root.get_bucket_versioning(Bucket=own_vault)["MFADelete"] == "Enabled"


def a_user_may_say_disabled_where_it_never_was_enabled(alice, root, bucket):
    alice.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Disabled"}
    )

    assert root.get_bucket_versioning(Bucket=bucket)["MFADelete"] == "Disabled"


# Lifecycle


def a_bucket_with_lifecycle_rules_is_not_protected(root, codes, versioned):
    root.put_bucket_lifecycle_configuration(Bucket=versioned, LifecycleConfiguration=EXPIRE)

    with refused(LIFECYCLE_PRESENT):
        protect(root, versioned, codes)

    assert "MFADelete" not in root.get_bucket_versioning(Bucket=versioned)


def a_protected_bucket_takes_no_lifecycle_rules(client, witness, vault):
    with refused(LIFECYCLE_ON_PROTECTED):
        client.put_bucket_lifecycle_configuration(Bucket=vault, LifecycleConfiguration=EXPIRE)

    with refused(Refusal(404, "NoSuchLifecycleConfiguration")):
        witness.get_bucket_lifecycle_configuration(Bucket=vault)


def a_protected_bucket_still_tells_and_drops_its_lifecycle_rules(root, vault):
    with refused(Refusal(404, "NoSuchLifecycleConfiguration")):
        root.get_bucket_lifecycle_configuration(Bucket=vault)

    root.delete_bucket_lifecycle(Bucket=vault)


# What needs no code


def an_object_in_a_protected_bucket_is_read_written_copied_and_tagged_without_a_code(alice, vault, key):
    alice.put_object(Bucket=vault, Key=key, Body=b"one")
    second = alice.put_object(Bucket=vault, Key=key, Body=b"two")["VersionId"]
    alice.put_object_tagging(Bucket=vault, Key=key, Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]})
    alice.delete_object_tagging(Bucket=vault, Key=key, VersionId=second)
    alice.copy_object(Bucket=vault, Key=f"{key}-copy", CopySource={"Bucket": vault, "Key": key, "VersionId": second})

    assert alice.get_object(Bucket=vault, Key=f"{key}-copy")["Body"].read() == b"two"
    assert len(versions(alice, vault, key)) == 2


def a_bucket_that_still_holds_versions_is_not_deleted(root, offering, codes, own_vault, key):
    root.put_object(Bucket=own_vault, Key=key, Body=b"x")
    root.delete_object(Bucket=own_vault, Key=key)

    with refused(MFA_REQUIRED):
        root.delete_bucket(Bucket=own_vault)
    with refused(Refusal(409, "BucketNotEmpty")):
        offering(codes.take()).delete_bucket(Bucket=own_vault)

    assert root.get_bucket_versioning(Bucket=own_vault)["MFADelete"] == "Enabled"


def a_missing_bucket_is_missing(root, codes):
    with refused(Refusal(404, "NoSuchBucket")):
        protect(root, new_name(), codes)

