"""The unchanged `aws cloudtrail validate-logs` finds a trail valid, and tampered with where it can see that; ours sees the rest."""

import gzip
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes

from archive import Archive, File
from stand_in import Forger, serving

HASH = "INVALID: hash value doesn't match"
MISSING = "INVALID: not found"
UNSIGNED = "INVALID: signature verification failed"
FORMAT = "INVALID: invalid format"


def validate(aws, archive: Archive, start: str, *more):
    """What the aws command says, stdout and stderr."""
    run = aws.run("cloudtrail", "validate-logs", "--trail-arn", archive.arn, "--start-time", start, *more)
    return run.returncode, (run.stdout + run.stderr).decode()


@pytest.fixture(scope="module")
def public_keys(aws, tmp_path_factory):
    """The trail's keys, as an auditor keeps them."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_text(json.dumps(aws("cloudtrail", "list-public-keys", "--start-time", "2000-01-01")))
    return path


@pytest.fixture(scope="module")
def head(proxy, archive, public_keys, tmp_path_factory):
    """The newest digests that were there when all was well, as an auditor keeps them."""
    directory = tmp_path_factory.mktemp("head")
    archive.lay_out(directory / "copy")
    arguments = ["trail", "validate", "story", "--folder", directory / "copy", "--public-keys", public_keys]
    proxy.command(*arguments, "--write-head", directory / "head.json")
    return directory / "head.json"


@pytest.fixture
def ours(proxy, archive, public_keys, head, tmp_path):
    """What `portcullis trail validate` says of a copy."""

    def said(files: dict[str, File], start: str | None = None, keys=None):
        copy = archive.lay_out(tmp_path / "copy", files)
        arguments = ["trail", "validate", "story", "--folder", copy, "--public-keys", keys or public_keys]
        arguments += ["--start-time", start] if start else []
        arguments += [] if keys else ["--expect-head", head]
        run = proxy.run(*arguments)
        return run.returncode, run.stdout + run.stderr

    return said


def the_whole_trail_is_valid_to_the_unchanged_aws_command(aws, archive):
    # From when logging began again: what was before has a gap behind it, which another test looks at.
    ends = [key for key in archive.digests if archive.files[key].content["digestEndTime"] > archive.started]
    digests, backfill = len(ends), len(archive.backfill)
    logs = sum(len(archive.files[key].content["logFiles"]) for key in [*ends, *archive.backfill])
    assert digests >= 50 and backfill >= 1 and logs >= 50

    status, said = validate(aws, archive, archive.started)

    assert (status, "INVALID" in said) == (0, False), said
    assert f"{digests}/{digests} digest files valid" in said
    assert f"{backfill}/{backfill} backfill digest files valid" in said
    assert f"{logs}/{logs} log files valid" in said
    assert "No log files were delivered" not in said


def the_time_in_which_nothing_was_logged_is_told_and_is_no_fault(aws, archive):
    status, said = validate(aws, archive, archive.created)
    assert status == 0, said
    stopped, again = (archive.files[key].content for key in archive.digests_around_the_pause)
    assert f"No log files were delivered by CloudTrail between {stopped['digestEndTime']} and {again['digestStartTime']}" in said


def the_whole_trail_is_proven_to_us(archive, ours):
    status, said = ours(archive.files)
    assert status == 0, said
    assert f"{len(archive.digests)}/{len(archive.digests)} digest files valid" in said


def the_chain_goes_over_a_change_of_keys(aws, archive):
    fingerprints = [archive.files[key].content["digestPublicKeyFingerprint"] for key in archive.digests]
    assert len(dict.fromkeys(fingerprints)) == 2
    listed = aws("cloudtrail", "list-public-keys", "--start-time", archive.started)["PublicKeyList"]
    assert {key["Fingerprint"] for key in listed} == set(fingerprints)


def each_digest_follows_from_the_one_before(archive):
    previous, starts = None, 0
    for key in archive.digests:
        content = archive.files[key].content
        if content["previousDigestS3Object"]:
            before = archive.files[previous]
            assert content["digestStartTime"] == before.content["digestEndTime"], key
            assert content["previousDigestS3Object"] == previous
            assert content["previousDigestSignature"] == before.metadata["signature"]
            assert content["previousDigestHashValue"] == hashlib.sha256(gzip.decompress(before.body)).hexdigest()
        else:
            starts += 1
        previous = key
    # Where logging began, and where it began again.
    assert starts == 2


# Tampering. Each takes the files and gives what is different, None for what is gone.


def log_edited(archive, digests):
    key = archive.files[digests[4]].content["logFiles"][0]["s3Object"]
    content = archive.files[key].content
    content["Records"][0]["sourceIPAddress"] = "203.0.113.7"
    return {key: archive.files[key].holding(content)}


def log_gone(archive, digests):
    return {archive.files[digests[4]].content["logFiles"][0]["s3Object"]: None}


def log_not_gzip(archive, digests):
    key = archive.files[digests[4]].content["logFiles"][0]["s3Object"]
    return {key: replace(archive.files[key], body=gzip.decompress(archive.files[key].body))}


def digest_gone(archive, digests):
    return {digests[4]: None}


def digest_edited(archive, digests):
    content = archive.files[digests[4]].content
    content["logFiles"] = []
    return {digests[4]: archive.files[digests[4]].holding(content)}


def signature_altered(archive, digests):
    file = archive.files[digests[4]]
    return {digests[4]: replace(file, metadata={**file.metadata, "signature": "00" * 256})}


def digest_moved(archive, digests):
    return {digests[4]: archive.files[digests[3]]}


def key_unknown(archive, digests):
    content = archive.files[digests[4]].content
    content["digestPublicKeyFingerprint"] = "0" * 32
    return {digests[4]: archive.files[digests[4]].holding(content)}


def member_appended_to_log(archive, digests):
    key = archive.files[digests[4]].content["logFiles"][0]["s3Object"]
    forged = gzip.compress(json.dumps({"Records": archive.files[key].content["Records"][:1]}).encode())
    return {key: replace(archive.files[key], body=archive.files[key].body + forged)}


def member_appended_to_digest(archive, digests):
    file = archive.files[digests[4]]
    return {digests[4]: replace(file, body=file.body + file.body)}


def log_added(archive, digests):
    key = archive.files[digests[4]].content["logFiles"][0]["s3Object"]
    return {f"{key[:-24]}AAAAAAAAAAAAAAAA.json.gz": archive.files[key]}


def newest_digests_gone(_, digests):
    return {key: None for key in digests[-2:]}


def everything_gone(archive, _):
    return {key: None for key in archive.files}


TAMPERED = [
    (log_edited, HASH, 1),
    (log_gone, MISSING, 1),
    (log_not_gzip, FORMAT, 1),
    (digest_gone, MISSING, 1),
    (digest_edited, UNSIGNED, 1),
    (signature_altered, UNSIGNED, 1),
    (digest_moved, "INVALID: has been moved from its original location", 1),
    (key_unknown, "INVALID: public key not found in region us-east-1 for fingerprint 00000000000000000000000000000000", 1),
    # Earlier versions of the aws command took it for valid.
    (member_appended_to_log, "INVALID: unexpected data after end of compressed stream", 1),
    # What the aws command does not see.
    (member_appended_to_digest, "8/8 digest files valid", 0),
    (log_added, "8/8 digest files valid", 0),
    (newest_digests_gone, "6/6 digest files valid", 0),
    (everything_gone, "No digests found", 0),
]


@pytest.mark.parametrize("tamper, text, exit_code", TAMPERED, ids=[tamper.__name__ for tamper, _, _ in TAMPERED])
def each_tampering_is_told(tamper, text, exit_code, aws, proxy, archive, ours):
    start, digests = archive.late()
    changed = tamper(archive, digests)
    store = proxy.store.directly()
    try:
        for key, file in changed.items():
            put(store, archive.bucket, key, file)
        status, said = validate(aws, archive, start)
    finally:
        for key in changed:
            put(store, archive.bucket, key, archive.files.get(key))
    assert (status, text in said) == (exit_code, True), said
    if exit_code == 0:
        assert "INVALID" not in said

    tampered = {key: file for key, file in {**archive.files, **changed}.items() if file}
    status, said = ours(tampered)
    assert status == 1, said


def put(store, bucket: str, key: str, file: File | None) -> None:
    """Writes past the proxy, as the holder of the store's own keys can."""
    if file is None:
        store.delete_object(Bucket=bucket, Key=key)
    else:
        store.put_object(Bucket=bucket, Key=key, Body=file.body, Metadata=file.metadata)


# The holder of the private key


@pytest.fixture(scope="module")
def forger() -> Forger:
    return Forger()


@pytest.fixture
def against_forger(proxy, archive, forger, ours, tmp_path):
    """What both say of files that the forger signed, his key being the trail's."""
    keys = tmp_path / "forged-keys.json"
    keys.write_text(json.dumps(forger.public_keys()))

    def said(files: dict[str, File], start: str):
        with serving(archive, forger, files) as endpoint:
            aws = proxy.aws()
            aws.environment["AWS_ENDPOINT_URL"] = endpoint
            return validate(aws, archive, start), ours(files, start, keys)

    return said


def digests_signed_by_the_key_are_valid_to_both(archive, forger, against_forger):
    start, digests = archive.late()
    (status, said), (our_status, our_said) = against_forger(forger.sign_all(archive, digests), start)
    assert (status, "8/8 digest files valid" in said) == (0, True), said
    assert our_status == 0, our_said


def a_middle_digest_that_the_keys_holder_wrote_anew_is_told_by_us_alone(archive, forger, against_forger):
    start, digests = archive.late()
    files = forger.sign_all(archive, digests)
    hidden = files[digests[4]].content
    for log in hidden["logFiles"]:
        del files[log["s3Object"]]
    files[digests[4]] = forger.sign(files[digests[4]], {**hidden, "logFiles": [], "newestEventTime": None,
                                                        "oldestEventTime": None})

    (status, said), (our_status, our_said) = against_forger(files, start)

    assert (status, "8/8 digest files valid" in said, "INVALID" in said) == (0, True, False), said
    assert our_status == 1, our_said


def a_signature_of_another_algorithm_is_told_by_us_alone(archive, forger, against_forger):
    start, digests = archive.late()
    files = forger.sign_all(archive, digests)
    newest = digests[-1]
    files[newest] = forger.sign(files[newest], files[newest].content, hashes.SHA512)

    (status, said), (our_status, our_said) = against_forger(files, start)

    assert (status, "8/8 digest files valid" in said, "INVALID" in said) == (0, True, False), said
    assert our_status == 1, our_said


