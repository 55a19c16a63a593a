"""Every form of the x-amz-mfa header, and what the proxy says of each."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from rig.codes import settle, wait_for_step
from rig.raw import exchange
from rig.refusals import (
    HEADER_NOT_SIGNED,
    MALFORMED_MFA,
    MFA_REQUIRED,
    MORE_CODES_NEEDED,
    SESSION_WITH_MFA,
    WRONG_CODE,
    foreign_device,
    refused,
)


@pytest.fixture
def version(root, vault, key) -> str:
    return root.put_object(Bucket=vault, Key=key, Body=b"keep me")["VersionId"]


@pytest.fixture
def target(vault, key, version) -> str:
    return f"/{vault}/{key}?versionId={version}"


def held(witness, bucket: str, key: str, version: str) -> bool:
    told = witness.list_object_versions(Bucket=bucket, Prefix=key)
    return version in [one["VersionId"] for one in told.get("Versions", [])]


@pytest.mark.parametrize("between", [" ", "  ", "     "], ids=["one", "two", "five"])
def one_or_more_spaces_stand_between_serial_and_code(raw, codes, witness, vault, key, version, target, between):
    offer = codes.take().replace(" ", between)

    assert raw.send("DELETE", target, {"x-amz-mfa": offer}).status == 204
    assert not held(witness, vault, key, version)


@pytest.mark.parametrize("offer", ["970589", "a b c d e"], ids=["no-serial", "five-parts"])
def a_header_that_is_not_serial_and_code_is_malformed(raw, witness, vault, key, version, target, offer):
    reply = raw.send("DELETE", target, {"x-amz-mfa": offer})

    assert reply.refusal == MALFORMED_MFA
    assert reply.element("ArgumentName") == "x-amz-mfa"
    assert held(witness, vault, key, version)


def a_malformed_header_is_refused_on_any_operation(raw, bucket, key):
    for method, target in [("GET", f"/{bucket}?versioning"), ("PUT", f"/{bucket}/{key}"), ("GET", "/")]:
        assert raw.send(method, target, {"x-amz-mfa": "970589"}).refusal == MALFORMED_MFA


def an_empty_header_gives_nothing(raw, witness, vault, key, version, target):
    reply = raw.send("DELETE", target, {"x-amz-mfa": ""})

    assert reply.refusal == MALFORMED_MFA
    assert held(witness, vault, key, version)


def a_tab_is_no_space(raw, codes, witness, vault, key, version, target):
    offer = codes.lend().replace(" ", "\t")

    assert raw.send("DELETE", target, {"x-amz-mfa": offer}).status in (400, 403)
    assert held(witness, vault, key, version)


def a_device_of_nobody_is_named_with_its_code(root, vault, key, version):
    serial = "arn:aws:iam::123456789012:mfa/nobody"

    with refused(foreign_device(serial, "123456")):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=f"{serial} 123456")


def a_foreign_device_is_found_foreign_before_its_code_is_read(root, vault, key, version):
    with refused(foreign_device("20899872", "mfa-code")):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA="20899872 mfa-code")


def a_wrong_code_is_refused_and_the_next_right_one_taken(root, codes, witness, vault, key, version):
    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=codes.wrong())
    assert held(witness, vault, key, version)

    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=codes.take())
    assert not held(witness, vault, key, version)


def a_code_that_is_no_number_is_refused_and_not_counted(root, codes, witness, vault, key, version):
    device, step = codes.idle()
    for digits in ("abcdef", "+12345", "12345", "1234567"):
        with refused(WRONG_CODE):
            root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=f"{device.serial} {digits}")
    assert held(witness, vault, key, version)

    # Two counted failures would have made one code too few.
    device.spent = step
    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=device.offer(step))


def a_used_code_is_refused_in_its_own_and_in_the_next_time_step(root, codes, witness, vault, key):
    first, second = (root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"] for _ in range(2))
    offer = codes.take()
    step = settle()
    root.delete_object(Bucket=vault, Key=key, VersionId=first, MFA=offer)

    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=second, MFA=codes.replayed(offer))
    wait_for_step(step + 1)
    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=second, MFA=codes.replayed(offer))

    assert held(witness, vault, key, second)


def a_code_of_the_step_before_is_taken_and_an_older_one_is_not(root, codes, witness, vault, key, version):
    device, step = codes.idle(rested=3)

    device.failures += 1
    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=device.offer(step - 2))
    assert held(witness, vault, key, version)
    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=device.offer(step - 1))

    device.spent = step
    assert not held(witness, vault, key, version)


def a_code_of_the_next_step_comes_too_early(root, codes, witness, vault, key, version):
    device, step = codes.idle()

    device.failures += 1
    with refused(WRONG_CODE):
        root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=device.offer(step + 1))

    assert held(witness, vault, key, version)


def two_failures_make_two_consecutive_codes_necessary(root, codes, witness, vault, key):
    first, second = (root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"] for _ in range(2))
    device, step = codes.idle(rested=2)
    for _ in range(2):
        with refused(WRONG_CODE):
            root.delete_object(Bucket=vault, Key=key, VersionId=first, MFA=f"{device.serial} {wrong_for(device, step)}")
    device.failures = 2

    with refused(MORE_CODES_NEEDED):
        root.delete_object(Bucket=vault, Key=key, VersionId=first, MFA=device.offer(step))
    assert held(witness, vault, key, first)
    root.delete_object(Bucket=vault, Key=key, VersionId=first, MFA=device.offer(step - 1, step))
    assert not held(witness, vault, key, first)

    # The success takes no failure away: the device goes on asking for two codes.
    wait_for_step(step + 2)
    step = settle()
    device.spent = step
    with refused(MORE_CODES_NEEDED):
        root.delete_object(Bucket=vault, Key=key, VersionId=second, MFA=device.offer(step))
    root.delete_object(Bucket=vault, Key=key, VersionId=second, MFA=device.offer(step - 1, step))
    assert not held(witness, vault, key, second)


def wrong_for(device, step: int) -> str:
    near = {device.code(step + off) for off in range(-5, 6)}
    return next(code for code in map("{:06}".format, range(100)) if code not in near)


def two_headers_are_refused_without_spending_either(raw, codes, witness, vault, key, version, target):
    offer = codes.take()

    reply = raw.send("DELETE", target, {"x-amz-mfa": offer}, extra=[("x-amz-mfa", offer)])
    assert reply.status == 400, reply.body
    assert held(witness, vault, key, version)

    assert raw.send("DELETE", target, {"x-amz-mfa": offer}).status == 204


def an_unsigned_header_is_refused_without_spending_its_code(raw, codes, witness, vault, key, version, target):
    offer = codes.take()

    reply = raw.send("DELETE", target, extra=[("x-amz-mfa", offer)])
    assert reply.refusal == HEADER_NOT_SIGNED
    assert reply.element("HeadersNotSigned") == "x-amz-mfa"
    assert held(witness, vault, key, version)

    assert raw.send("DELETE", target, {"x-amz-mfa": offer}).status == 204


def unsigned(raw, target: str, extra=()):
    """Sends a DELETE whose signature, if any, is in its target."""
    return exchange(raw.place, "DELETE", target, [("Host", raw.place.host), *extra])


@pytest.fixture
def presigner(proxy):
    """botocore presigns as SigV2 unless it is told otherwise."""
    return proxy.client(signature_version="s3v4")


def a_presigned_url_deletes_no_version(raw, presigner, codes, witness, vault, key, version):
    url = presigner.generate_presigned_url("delete_object", {"Bucket": vault, "Key": key, "VersionId": version})
    relative = url.removeprefix(raw.endpoint)

    assert unsigned(raw, relative).refusal == MFA_REQUIRED
    with_header = unsigned(raw, relative, [("x-amz-mfa", codes.lend())])
    assert with_header.refusal.status == 403
    assert held(witness, vault, key, version)


def a_presigned_url_that_signs_the_header_deletes_no_version_either(raw, presigner, codes, witness, vault, key, version):
    offer = codes.lend()
    url = presigner.generate_presigned_url(
        "delete_object", {"Bucket": vault, "Key": key, "VersionId": version, "MFA": offer}
    )

    reply = unsigned(raw, url.removeprefix(raw.endpoint), [("x-amz-mfa", offer)])

    assert reply.refusal == MFA_REQUIRED
    assert held(witness, vault, key, version)


def a_code_in_the_query_is_no_code(raw, codes, witness, vault, key, version, target):
    offer = codes.lend().replace(" ", "%20").replace(":", "%3A").replace("/", "%2F")

    reply = raw.send("DELETE", f"{target}&X-Amz-Mfa={offer}")

    assert reply.status in (400, 403, 501)
    assert held(witness, vault, key, version)


def a_session_token_and_a_code_exclude_each_other(raw, codes, witness, vault, key, version, target):
    headers = {"x-amz-mfa": codes.lend(), "x-amz-security-token": "a-token-of-elsewhere"}

    assert raw.send("DELETE", target, headers).refusal == SESSION_WITH_MFA
    assert held(witness, vault, key, version)


def a_session_token_nobody_issued_is_invalid(raw, bucket):
    reply = raw.send("GET", f"/{bucket}?versioning", {"x-amz-security-token": "a-token-of-elsewhere"})

    assert reply.refusal.status == 400
    assert reply.refusal.code == "InvalidToken"


def a_code_survives_a_request_with_a_wrong_signature(proxy, raw, codes, witness, vault, key, version, target):
    offer = codes.take()
    lines = [
        (name, value[:-4] + "beef" if name.lower() == "authorization" else value)
        for name, value in raw.signed("DELETE", target, {"x-amz-mfa": offer})
    ]

    reply = exchange(raw.place, "DELETE", target, lines)
    assert reply.refusal.code == "SignatureDoesNotMatch"
    assert held(witness, vault, key, version)

    assert raw.send("DELETE", target, {"x-amz-mfa": offer}).status == 204


def a_read_ignores_an_offer_without_spending_it(root, offering, codes, witness, vault, key, version):
    offer = codes.take()

    assert offering(offer).get_object(Bucket=vault, Key=key)["Body"].read() == b"keep me"

    root.delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)
    assert not held(witness, vault, key, version)


def a_code_is_spent_by_one_of_many_requests_that_offer_it(proxy, root, codes, vault, key):
    """Eight requests race with one code: each a version of its own, so that only the code can stop them."""
    doomed = [root.put_object(Bucket=vault, Key=key, Body=b"x")["VersionId"] for _ in range(8)]
    device, step = codes.idle()
    offer = device.offer(step)
    device.spent = step

    def delete(version: str) -> str:
        try:
            proxy.client().delete_object(Bucket=vault, Key=key, VersionId=version, MFA=offer)
            return "deleted"
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(len(doomed)) as racers:
        ended = sorted(racers.map(delete, doomed))

    assert ended.count("deleted") == 1, ended
    assert set(ended) <= {"deleted", "TokenCodeInvalidError", "SlowDown"}
    left = [one["VersionId"] for one in root.list_object_versions(Bucket=vault, Prefix=key)["Versions"]]
    assert len(left) == len(doomed) - 1

    # The losers were failures, so the device owes two codes; with those it is as good as new.
    wait_for_step(step + 2)
    step = settle()
    device.spent = step
    root.delete_object(Bucket=vault, Key=key, VersionId=left[0], MFA=device.offer(step - 1, step))
