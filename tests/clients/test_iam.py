"""IAM at the same endpoint, with the unchanged aws-cli and boto3."""

import base64
import uuid

import pytest
from botocore.exceptions import ClientError

from rig.clients import Credentials
from rig.codes import Device, settle

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def name() -> str:
    return f"u-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def iam(calling):
    return calling("iam")


@pytest.fixture
def offering_iam(calling):
    """Makes clients whose calls all carry a code, for which aws-cli and SDKs have no parameter here."""

    def made(offer: str):
        client = calling("iam")
        client.meta.events.register("before-sign.iam", lambda request, **_: request.headers.add_header("x-amz-mfa", offer))
        return client

    return made


def code_of(error) -> str:
    return error.value.response["Error"]["Code"]


def the_users_and_their_keys_are_managed(proxy, aws, name):
    made = aws("iam", "create-user", "--user-name", name)["User"]
    account = aws("sts", "get-caller-identity")["Account"]
    assert (made["Arn"], made["Path"]) == (f"arn:aws:iam::{account}:user/{name}", "/")
    assert aws("iam", "get-user", "--user-name", name)["User"] == made
    assert made in aws("iam", "list-users")["Users"]
    assert "(EntityAlreadyExists) when calling the CreateUser operation" in aws.fails("iam", "create-user", "--user-name", name)

    key = aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
    theirs = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    assert proxy.aws(theirs)("sts", "get-caller-identity")["Arn"] == made["Arn"]
    assert "AccessDenied" in proxy.aws(theirs).fails("s3api", "list-buckets")
    policy = ["--user-name", name, "--policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    aws("iam", "attach-user-policy", *policy)
    proxy.client(theirs).list_buckets()
    [listed] = aws("iam", "list-access-keys", "--user-name", name)["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["Status"]) == (key["AccessKeyId"], "Active")
    of_key = ["--user-name", name, "--access-key-id", key["AccessKeyId"]]
    aws("iam", "update-access-key", *of_key, "--status", "Inactive")
    assert "(InvalidClientTokenId)" in proxy.aws(theirs).fails("sts", "get-caller-identity")
    assert "(DeleteConflict)" in aws.fails("iam", "delete-user", "--user-name", name)
    aws("iam", "delete-access-key", *of_key)
    assert "(DeleteConflict)" in aws.fails("iam", "delete-user", "--user-name", name)
    aws("iam", "detach-user-policy", *policy)
    aws("iam", "delete-user", "--user-name", name)
    assert "(NoSuchEntity)" in aws.fails("iam", "get-user", "--user-name", name)
    [event] = [event for event in proxy.events("--event-name", "CreateUser") if name in str(event["responseElements"])]
    assert (event["eventSource"], event["userIdentity"]["type"]) == ("iam.amazonaws.com", "Root")
    assert event["userIdentity"]["accessKeyId"] == proxy.root.access_key


def a_device_comes_with_its_seed_or_a_picture_of_it(aws, name, tmp_path):
    for method in ("QRCodePNG", "Base32StringSeed"):
        file = tmp_path / method
        command = ["create-virtual-mfa-device", "--virtual-mfa-device-name", name, "--outfile", str(file)]
        serial = aws("iam", *command, "--bootstrap-method", method)["VirtualMFADevice"]["SerialNumber"]
        content = file.read_bytes()
        assert content.startswith(PNG) if method == "QRCodePNG" else len(base64.b32decode(content)) == 20
        unassigned = aws("iam", "list-virtual-mfa-devices", "--assignment-status", "Unassigned")["VirtualMFADevices"]
        assert serial in [device["SerialNumber"] for device in unassigned]
        aws("iam", "delete-virtual-mfa-device", "--serial-number", serial)


def a_change_of_devices_takes_a_code(proxy, aws, iam, codes, offering_iam, name):
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
    step = settle()
    device = Device(made["SerialNumber"], made["Base32StringSeed"].decode(), step)
    enabling = {"SerialNumber": device.serial, "UserName": "AWS ROOT USER"}
    enabling |= {"AuthenticationCode1": device.code(step - 1), "AuthenticationCode2": device.code(step)}
    with pytest.raises(ClientError, match="Mfa Authentication must be used") as error:
        iam.enable_mfa_device(**enabling)
    assert code_of(error) == "AccessDenied"
    try:
        reply = offering_iam(codes.take()).enable_mfa_device(**enabling)
        event = proxy.event_of(reply["ResponseMetadata"]["RequestId"])
        assert event["additionalEventData"]["MfaDelete"]["result"] == "Accepted"
        assert event["requestParameters"]["userName"] == "AWS ROOT USER"
        [found] = [one for one in aws("iam", "list-mfa-devices")["MFADevices"] if one["SerialNumber"] == device.serial]
        [listed] = [
            one for one in aws("iam", "list-virtual-mfa-devices", "--assignment-status", "Assigned")["VirtualMFADevices"]
            if one["SerialNumber"] == device.serial
        ]
        assert listed["EnableDate"] == found["EnableDate"] and listed["User"]["Arn"].endswith(":root")
        assert "(DeleteConflict)" in aws.fails("iam", "delete-virtual-mfa-device", "--serial-number", device.serial)
        assert "Mfa Authentication must be used" in aws.fails("iam", "deactivate-mfa-device", "--serial-number", device.serial)
        offering_iam(codes.take()).deactivate_mfa_device(SerialNumber=device.serial)
    finally:
        iam.delete_virtual_mfa_device(SerialNumber=device.serial)


def the_roots_keys_change_by_a_code(iam, codes, offering_iam):
    with pytest.raises(ClientError, match="Mfa Authentication must be used"):
        iam.create_access_key()
    key = offering_iam(codes.take()).create_access_key()["AccessKey"]
    assert "UserName" not in key
    with pytest.raises(ClientError, match="Mfa Authentication must be used"):
        iam.delete_access_key(AccessKeyId=key["AccessKeyId"])
    offering_iam(codes.take()).delete_access_key(AccessKeyId=key["AccessKeyId"])


def a_user_is_refused_as_one_without_policies(proxy, calling, alice_key):
    client = calling("iam", alice_key)
    for ask in (client.list_users, client.get_user, client.create_access_key, client.get_account_summary):
        with pytest.raises(ClientError, match="because no identity-based policy allows the iam:") as error:
            ask()
        assert code_of(error) == "AccessDenied"
        event = proxy.event_of(error.value.response["ResponseMetadata"]["RequestId"])
        assert (event["errorCode"], event["userIdentity"]["userName"]) == ("AccessDenied", "alice")


def the_quotas_and_names_are_awss(iam, name):
    iam.create_user(UserName=name)
    keys = [iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    with pytest.raises(iam.exceptions.LimitExceededException, match="AccessKeysPerUser: 2"):
        iam.create_access_key(UserName=name)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=name.upper())
    with pytest.raises(ClientError, match="1 validation error detected") as error:
        iam.create_user(UserName="a b")
    assert code_of(error) == "ValidationError"
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_user(UserName=name)
    for key in keys:
        iam.delete_access_key(UserName=name, AccessKeyId=key)
    iam.delete_user(UserName=name)


def a_list_comes_in_pages(iam, name):
    names = [f"{name}-{number}" for number in range(5)]
    for one in names:
        iam.create_user(UserName=one)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    listed = [user["UserName"] for page in pages for user in page["Users"]]
    assert all(len(page["Users"]) <= 2 for page in pages) and listed == sorted(listed)
    assert [one for one in listed if one.startswith(f"{name}-")] == names
    for one in names:
        iam.delete_user(UserName=one)


def what_auditors_ask_of_the_account_is_answered(aws, iam, alice_key):
    summary = aws("iam", "get-account-summary")["SummaryMap"]
    assert (summary["AccountMFAEnabled"], summary["AccountAccessKeysPresent"], summary["UsersQuota"]) == (1, 1, 5000)
    assert summary["Users"] == len(iam.list_users(MaxItems=1000)["Users"])
    assert summary["MFADevicesInUse"] == len(iam.list_mfa_devices()["MFADevices"])
    assert aws("iam", "list-account-aliases")["AccountAliases"] == []
    assert aws("iam", "generate-credential-report")["State"] == "COMPLETE"
    report = base64.b64decode(aws("iam", "get-credential-report")["Content"]).decode().splitlines()
    [of_root] = [line.split(",") for line in report if line.startswith("<root_account>,")]
    assert dict(zip(report[0].split(","), of_root))["mfa_active"] == "true"
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    assert iam.list_service_specific_credentials(UserName="alice")["ServiceSpecificCredentials"] == []
    assert iam.list_signing_certificates(UserName="alice")["Certificates"] == []
    assert iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"] == []
    assert iam.list_user_tags(UserName="alice")["Tags"] == []
    for ask in (iam.get_account_password_policy, lambda: iam.get_login_profile(UserName="alice")):
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            ask()


def the_machines_own_is_unknown_here(aws):
    said = aws.fails("iam", "create-role", "--role-name", "r", "--assume-role-policy-document", "{}")
    assert "(InvalidAction) when calling the CreateRole operation: Could not find operation CreateRole" in said
    assert "(InvalidInput)" in aws.fails("iam", "create-user", "--user-name", "tagged", "--tags", "Key=a,Value=b")
