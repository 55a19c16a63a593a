"""Services beside S3, CloudTrail and IAM at the same endpoint, with the unchanged aws-cli and boto3."""

import ssl
import urllib.request
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from rig.clients import REGION, Credentials

# A call of each service that is not answered: as aws-cli says it, and as the error and the event say it.
REFUSED = [
    ("ec2 describe-instances", "DescribeInstances", "InvalidAction"),
    ("kms list-keys", "ListKeys", "UnknownOperationException"),
    ("logs describe-log-groups", "DescribeLogGroups", "UnknownOperationException"),
    ("organizations list-accounts", "ListAccounts", "UnknownOperationException"),
    ("sns list-topics", "ListTopics", "InvalidAction"),
    ("sts get-access-key-info --access-key-id AKIAIOSFODNN7EXAMPLE", "GetAccessKeyInfo", "InvalidAction"),
]


@pytest.mark.parametrize("command, operation, code", REFUSED, ids=[command for command, _, _ in REFUSED])
def each_other_call_is_refused_in_words_that_aws_cli_prints_and_recorded(proxy, aws, command, operation, code):
    service = command.split()[0]
    before = {event["eventID"] for event in proxy.events("--event-name", operation)}
    said = aws.fails(*command.split())
    assert f"({code}) when calling the {operation} operation: {service}:{operation} is not offered" in said
    [event] = [event for event in proxy.events("--event-name", operation) if event["eventID"] not in before]
    assert event["eventSource"] == f"{service}.amazonaws.com"
    assert event["errorCode"] == (f"Client.{code}" if service == "ec2" else code)
    assert (event["userIdentity"]["type"], event["readOnly"], event["managementEvent"]) == ("Root", True, True)


def the_caller_is_told_who_they_are(proxy, aws, calling, alice_key):
    told = aws("sts", "get-caller-identity")
    assert told["Arn"] == f"arn:aws:iam::{told['Account']}:root"
    reply = calling("sts", alice_key).get_caller_identity()
    assert (reply["Account"], reply["Arn"]) == (told["Account"], f"arn:aws:iam::{told['Account']}:user/alice")
    event = proxy.event_of(reply["ResponseMetadata"]["RequestId"])
    assert (event["eventSource"], event["eventName"]) == ("sts.amazonaws.com", "GetCallerIdentity")
    assert (event["userIdentity"]["arn"], event["userIdentity"]["principalId"]) == (reply["Arn"], reply["UserId"])


def the_one_region_is_described_and_filtered(proxy, aws, calling):
    [region] = aws("ec2", "describe-regions")["Regions"]
    assert (region["RegionName"], region["OptInStatus"]) == (REGION, "opt-in-not-required")
    opted = [{"Name": "opt-in-status", "Values": ["opt-in-not-required", "opted-in"]}]
    reply = calling("ec2").describe_regions(AllRegions=True, Filters=opted)
    assert reply["Regions"] == [region]
    event = proxy.event_of(reply["ResponseMetadata"]["RequestId"])
    assert event["requestParameters"]["filterSet"]["items"][0]["name"] == "opt-in-status"
    assert calling("ec2").describe_regions(Filters=[{"Name": "region-name", "Values": ["eu-*"]}])["Regions"] == []
    assert "(InvalidParameterValue)" in aws.fails("ec2", "describe-regions", "--region-names", "eu-west-9")
    assert "(DryRunOperation)" in aws.fails("ec2", "describe-regions", "--dry-run")


def the_account_is_in_no_organization(aws, calling):
    said = aws.fails("organizations", "describe-organization")
    assert "(AWSOrganizationsNotInUseException) when calling the DescribeOrganization operation" in said
    client = calling("organizations")
    with pytest.raises(client.exceptions.AWSOrganizationsNotInUseException):
        client.describe_account(AccountId="123456789012")


@pytest.mark.parametrize(
    "service, operation, code",
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("ec2", "describe_regions", "SignatureDoesNotMatch"),
        ("organizations", "describe_organization", "InvalidSignatureException"),
    ],
)
def a_wrong_secret_is_told_in_each_protocol(proxy, calling, service, operation, code):
    wrong = Credentials(proxy.root.access_key, "wrong")
    with pytest.raises(ClientError) as error:
        getattr(calling(service, wrong), operation)()
    assert error.value.response["Error"]["Code"] == code
    event = proxy.event_of(error.value.response["ResponseMetadata"]["RequestId"])
    assert (event["eventSource"], event["userIdentity"]["type"]) == (f"{service}.amazonaws.com", "Unknown")


def a_session_reads_and_writes_and_never_stands_for_a_code(proxy, aws, calling, codes, versioned, key):
    serial, code = codes.take().split()
    made = aws("sts", "get-session-token", "--serial-number", serial, "--token-code", code)["Credentials"]
    session = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    client = proxy.client(session, signature_version="s3v4")
    client.put_object(Bucket=versioned, Key=key, Body=b"of a session")
    reply = client.get_object(Bucket=versioned, Key=key)
    assert reply["Body"].read() == b"of a session"
    identity = proxy.event_of(reply["ResponseMetadata"]["RequestId"])["userIdentity"]
    assert (identity["type"], identity["accessKeyId"]) == ("Root", session.access_key)
    assert identity["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"
    url = client.generate_presigned_url("get_object", Params={"Bucket": versioned, "Key": key})
    with urllib.request.urlopen(url, context=proxy.ca_file and ssl.create_default_context(cafile=proxy.ca_file)) as got:
        assert got.read() == b"of a session"
    with pytest.raises(ClientError) as error:
        client.put_bucket_versioning(
            Bucket=versioned, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}, MFA=codes.lend()
        )
    assert error.value.response["Error"]["Code"] == "InvalidRequest"
    assert calling("sts", session).get_caller_identity()["Arn"].endswith(":root")
    for ask in (calling("sts", session).get_session_token, calling("iam", session).list_users):
        with pytest.raises(ClientError) as error:
            ask()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def a_wrong_code_makes_no_session(calling, codes):
    serial, code = codes.wrong().split()
    with pytest.raises(ClientError, match="MultiFactorAuthentication failed") as error:
        calling("sts").get_session_token(SerialNumber=serial, TokenCode=code)
    assert error.value.response["Error"]["Code"] == "AccessDenied"


def a_session_token_is_told_to_be_invalid(proxy, calling):
    with pytest.raises(ClientError) as error:
        calling("sts", replace(proxy.root, session_token="none-were-issued")).get_caller_identity()
    assert error.value.response["Error"]["Code"] == "InvalidClientTokenId"
