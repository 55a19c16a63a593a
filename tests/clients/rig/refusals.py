"""What AWS answers, word for word."""

from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Refusal:
    """An S3 error as a client sees it."""

    status: int
    code: str
    message: str | None = None


MFA_REQUIRED = Refusal(403, "AccessDenied", "Mfa Authentication must be used for this request")
NOT_BUCKET_OWNER = Refusal(403, "AccessDenied", "This operation may only be performed by the bucket owner")
SESSION_WITH_MFA = Refusal(
    400, "InvalidRequest", "DevPay and Mfa are mutually exclusive authorization methods."
)
MALFORMED_MFA = Refusal(
    400,
    "InvalidArgument",
    "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}",
)
WRONG_CODE = Refusal(
    400, "TokenCodeInvalidError", "The serial number and/or token code you provided is not valid."
)
MORE_CODES_NEEDED = Refusal(
    400,
    "TokenCodeInvalidError",
    "The serial number and/or token code you provided is not valid. Wrong codes were offered within a year, so that the"
    " device asks for consecutive codes, separated by spaces: two, or three while two are tried too often.",
)
HEADER_NOT_SIGNED = Refusal(403, "AccessDenied", "There were headers present in the request which were not signed")
LIFECYCLE_PRESENT = Refusal(
    409,
    "InvalidBucketState",
    "Mfa Authentication is not supported on a bucket with lifecycle configuration. "
    "Delete lifecycle configuration before enabling Mfa Authentication.",
)
LIFECYCLE_ON_PROTECTED = Refusal(
    409,
    "InvalidBucketState",
    "Lifecycle configuration is not supported on a bucket with Mfa Authentication enabled. "
    "Disable Mfa Authentication before adding lifecycle configuration.",
)
NOT_VERSIONED = Refusal(
    409, "InvalidBucketState", "Mfa Authentication can only be enabled on a bucket whose versioning is Enabled."
)
NO_STATUS = Refusal(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
MALFORMED_XML = Refusal(
    400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
)


def foreign_device(serial: str, code: str) -> Refusal:
    """The device is not the caller's."""
    message = f"The device with serial number {serial} that generated token {code} is not owned by the authenticated user"
    return Refusal(400, "NotDeviceOwnerError", message)


@contextmanager
def refused(expected: Refusal):
    """Runs a call that must be refused just so; yields a dict that gets the request's id."""
    seen = {}
    with pytest.raises(ClientError) as caught:
        yield seen
    response = caught.value.response
    error, metadata = response["Error"], response["ResponseMetadata"]
    seen["request_id"] = metadata.get("RequestId")
    seen["error"] = error
    got = Refusal(metadata["HTTPStatusCode"], error["Code"], error.get("Message") if expected.message else None)
    assert got == expected
