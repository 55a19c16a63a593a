"""IAM policies on users and groups, given and met with the unchanged aws-cli and boto3."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from rig.clients import Credentials


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.fixture
def iam(calling):
    return calling("iam")


@pytest.fixture
def member(proxy, iam):
    """Makes a user with a key that may do what these statements say."""

    def made(*statements) -> tuple[str, object]:
        name = f"u-{uuid.uuid4().hex[:12]}"
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return name, proxy.client(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    return made


def denied(call, **arguments) -> str:
    """The message of a refusal by policy."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] in ("AccessDenied", "403"), error.value
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return error.value.response["Error"]["Message"]


def a_user_does_what_its_policy_allows_and_nothing_else(root, versioned, member):
    root.put_object(Bucket=versioned, Key="own/a", Body=b"a")
    root.put_object(Bucket=versioned, Key="other/b", Body=b"b")
    arn = f"arn:aws:s3:::{versioned}"
    name, s3 = member(
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{arn}/own/*"),
        allow("s3:ListBucket", arn, Condition={"StringLike": {"s3:prefix": "own/*"}}),
    )
    assert s3.get_object(Bucket=versioned, Key="own/a")["Body"].read() == b"a"
    s3.put_object(Bucket=versioned, Key="own/new", Body=b"new")
    listed = s3.list_objects_v2(Bucket=versioned, Prefix="own/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["own/a", "own/new"]
    s3.delete_object(Bucket=versioned, Key="own/new")
    message = denied(s3.get_object, Bucket=versioned, Key="other/b")
    assert message.startswith("User: arn:aws:iam::") and f"user/{name} is not authorized to perform: s3:GetObject" in message
    denied(s3.put_object, Bucket=versioned, Key="other/c", Body=b"c")
    denied(s3.list_objects_v2, Bucket=versioned)
    denied(s3.list_buckets)
    denied(s3.get_bucket_versioning, Bucket=versioned)
    version = root.head_object(Bucket=versioned, Key="own/a")["VersionId"]
    denied(s3.get_object, Bucket=versioned, Key="own/a", VersionId=version)
    denied(s3.delete_object, Bucket=versioned, Key="own/a", VersionId=version)
    # Who may not list the bucket without a prefix is not told what is missing.
    denied(s3.get_object, Bucket=versioned, Key="own/missing")


def each_key_of_a_batch_is_decided_by_itself(proxy, root, bucket, member):
    for key in ("own/a", "other/b"):
        root.put_object(Bucket=bucket, Key=key, Body=b"x")
    _, s3 = member(allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/own/*"))
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "own/a"}, {"Key": "other/b"}]})
    assert [entry["Key"] for entry in reply["Deleted"]] == ["own/a"]
    assert [(entry["Key"], entry["Code"]) for entry in reply["Errors"]] == [("other/b", "AccessDenied")]
    assert [entry["Key"] for entry in root.list_objects_v2(Bucket=bucket)["Contents"]] == ["other/b"]
    told = proxy.events_of(reply["ResponseMetadata"]["RequestId"])
    of_keys = {event["requestParameters"]["key"]: event for event in told if event["eventName"] == "DeleteObject"}
    assert of_keys["other/b"]["errorCode"] == "AccessDenied" and "errorCode" not in of_keys["own/a"]
    assert of_keys["other/b"]["additionalEventData"]["Policy"]["decision"] == "ImplicitDeny"


def a_group_gives_its_members_policies_and_an_explicit_deny_wins(iam, root, bucket, member):
    root.put_object(Bucket=bucket, Key="k", Body=b"k")
    group = f"g-{uuid.uuid4().hex[:12]}"
    name, s3 = member()
    denied(s3.get_object, Bucket=bucket, Key="k")
    iam.create_group(GroupName=group)
    iam.attach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
    deny = {"Sid": "NotThis", "Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/k"}
    iam.put_group_policy(GroupName=group, PolicyName="deny", PolicyDocument=document(deny))
    assert "with an explicit deny in an identity-based policy" in denied(s3.get_object, Bucket=bucket, Key="k")
    iam.delete_group_policy(GroupName=group, PolicyName="deny")
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary="arn:aws:iam::aws:policy/writeonly")
    assert "because no permissions boundary allows" in denied(s3.get_object, Bucket=bucket, Key="k")
    iam.delete_user_permissions_boundary(UserName=name)
    iam.remove_user_from_group(GroupName=group, UserName=name)
    denied(s3.get_object, Bucket=bucket, Key="k")
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_group(GroupName=group)
    iam.detach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    iam.delete_group(GroupName=group)


def the_aws_cli_manages_policies_and_their_versions(aws, tmp_path):
    name = f"p-{uuid.uuid4().hex[:12]}"
    made = aws("iam", "create-policy", "--policy-name", name, "--policy-document", document(allow("s3:GetObject")))["Policy"]
    arn = made["Arn"]
    assert (made["DefaultVersionId"], made["AttachmentCount"]) == ("v1", 0)
    second = document(allow("s3:PutObject"))
    added = aws("iam", "create-policy-version", "--policy-arn", arn, "--policy-document", second, "--set-as-default")
    assert added["PolicyVersion"]["VersionId"] == "v2"
    told = aws("iam", "get-policy-version", "--policy-arn", arn, "--version-id", "v2")["PolicyVersion"]
    assert told["Document"] == json.loads(second) and told["IsDefaultVersion"]
    assert [version["VersionId"] for version in aws("iam", "list-policy-versions", "--policy-arn", arn)["Versions"]] == ["v1", "v2"]
    assert name in [policy["PolicyName"] for policy in aws("iam", "list-policies", "--scope", "Local")["Policies"]]
    assert "readwrite" in [policy["PolicyName"] for policy in aws("iam", "list-policies")["Policies"]]
    wrong = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Conditon":{}}}'
    refused = aws.fails("iam", "create-policy", "--policy-name", f"{name}-2", "--policy-document", wrong)
    assert "(MalformedPolicyDocument)" in refused and "Conditon" in refused
    assert "(DeleteConflict)" in aws.fails("iam", "delete-policy", "--policy-arn", arn)
    aws("iam", "delete-policy-version", "--policy-arn", arn, "--version-id", "v1")
    aws("iam", "delete-policy", "--policy-arn", arn)
    assert "(NoSuchEntity)" in aws.fails("iam", "get-policy", "--policy-arn", arn)


def the_commands_give_and_take_policies(proxy, root, bucket, tmp_path):
    name = f"u-{uuid.uuid4().hex[:12]}"
    file = tmp_path / "only-gets.json"
    file.write_text(document(allow("s3:GetObject")))
    made = proxy.json("user", "add", name, "--policy", file)
    s3 = proxy.client(Credentials(made["accessKeyId"], made["secretAccessKey"]))
    root.put_object(Bucket=bucket, Key="k", Body=b"k")
    s3.get_object(Bucket=bucket, Key="k")
    denied(s3.put_object, Bucket=bucket, Key="k", Body=b"")
    proxy.command("policy", "attach", "writeonly", "--user", name)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    shown = proxy.json("user", "show", name)
    assert shown["attachedPolicies"] == ["arn:aws:iam::aws:policy/writeonly"] and shown["inlinePolicies"] == ["only-gets"]
    proxy.command("policy", "detach", "only-gets", "--user", name)
    denied(s3.get_object, Bucket=bucket, Key="k")
    proxy.command("user", "remove", name)
    file.write_text('{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject"}}')
    refused = proxy.run("user", "add", name, "--policy", file)
    assert refused.returncode != 0 and "must contain resources" in refused.stderr
    assert name not in [user["userName"] for user in proxy.json("user", "list")]
