"""Ordinary S3 work with stock clients: what a user does all day, through the proxy."""

import filecmp
import hashlib
import os
import urllib.error
from pathlib import Path

import pytest

from conftest import new_name
from rig.refusals import Refusal, refused

MEBIBYTE = 1 << 20


@pytest.fixture
def big(tmp_path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(20 * MEBIBYTE))
    return path


# aws-cli


def a_bucket_is_made_listed_and_removed(aws):
    name = new_name()

    assert f"make_bucket: {name}" in aws("s3", "mb", f"s3://{name}")
    assert name in aws("s3", "ls")
    assert f"remove_bucket: {name}" in aws("s3", "rb", f"s3://{name}")
    assert name not in (aws("s3", "ls") or "")


def a_file_goes_up_and_comes_back(aws, bucket, tmp_path):
    (tmp_path / "up").write_bytes(b"hello")

    aws("s3", "cp", tmp_path / "up", f"s3://{bucket}/a b+c&d=e/ü.txt")
    aws("s3", "cp", f"s3://{bucket}/a b+c&d=e/ü.txt", tmp_path / "down")

    assert (tmp_path / "down").read_bytes() == b"hello"
    assert "ü.txt" in aws("s3", "ls", f"s3://{bucket}/a b+c&d=e/")


def a_stream_goes_up_and_comes_back(aws, bucket):
    aws("s3", "cp", "-", f"s3://{bucket}/stream", input=b"from stdin")

    assert aws("s3", "cp", f"s3://{bucket}/stream", "-") == "from stdin"


def a_large_file_goes_up_in_parts_and_comes_back_in_ranges(aws, root, versioned, big, tmp_path):
    aws("s3", "cp", big, f"s3://{versioned}/big")
    aws("s3", "cp", f"s3://{versioned}/big", tmp_path / "down")

    assert filecmp.cmp(big, tmp_path / "down", shallow=False)
    assert root.head_object(Bucket=versioned, Key="big")["ETag"].endswith('-3"')


def a_folder_is_synchronised(aws, bucket, tmp_path):
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(12):
        (source / "deep" / "er" / f"{number}.txt").write_text(str(number))
    (source / "top.txt").write_text("top")

    aws("s3", "sync", source, f"s3://{bucket}/tree")
    aws("s3", "sync", f"s3://{bucket}/tree", back)
    (source / "top.txt").unlink()
    aws("s3", "sync", "--delete", source, f"s3://{bucket}/tree")

    assert len(list(back.rglob("*.txt"))) == 13
    assert "top.txt" not in aws("s3", "ls", "--recursive", f"s3://{bucket}/tree")


def an_object_is_copied_moved_and_removed(aws, bucket, tmp_path):
    (tmp_path / "one").write_text("one")
    aws("s3", "cp", tmp_path / "one", f"s3://{bucket}/one")

    aws("s3", "cp", f"s3://{bucket}/one", f"s3://{bucket}/two")
    aws("s3", "mv", f"s3://{bucket}/two", f"s3://{bucket}/three")
    aws("s3", "rm", f"s3://{bucket}/one")

    listed = aws("s3", "ls", f"s3://{bucket}")
    assert "three" in listed and "one" not in listed and "two" not in listed
    aws("s3", "rm", "--recursive", f"s3://{bucket}")
    aws("s3", "rb", f"s3://{bucket}")


def a_presigned_url_is_read_by_anybody(proxy, aws, bucket):
    aws("s3", "cp", "-", f"s3://{bucket}/shared", input=b"for you")

    url = aws.with_sigv4()("s3", "presign", f"s3://{bucket}/shared").strip()

    with proxy.place.open(url) as reply:
        assert reply.read() == b"for you"


def a_url_presigned_in_the_old_way_is_refused_with_the_remedy(proxy, aws, bucket):
    url = aws("s3", "presign", f"s3://{bucket}/shared").strip()
    assert "AWSAccessKeyId=" in url, "aws-cli presigns as SigV4 by now; drop with_sigv4"

    with pytest.raises(urllib.error.HTTPError) as caught:
        proxy.place.open(url)
    assert caught.value.code == 400
    assert b"Please use AWS4-HMAC-SHA256" in caught.value.read()


def a_protected_version_is_refused_and_given_up_in_the_words_of_aws(aws, codes, vault, key, tmp_path):
    (tmp_path / "x").write_text("x")
    put = aws("s3api", "put-object", "--bucket", vault, "--key", key, "--body", tmp_path / "x")
    delete = ["s3api", "delete-object", "--bucket", vault, "--key", key, "--version-id", put["VersionId"]]

    assert aws.fails(*delete).endswith(
        "An error occurred (AccessDenied) when calling the DeleteObject operation: "
        "Mfa Authentication must be used for this request"
    )
    assert aws(*delete, "--mfa", codes.take()) == {"VersionId": put["VersionId"]}


def a_bucket_is_protected_with_the_command_of_the_walkthrough(aws, codes, bucket):
    aws(
        *("s3api", "put-bucket-versioning", "--bucket", bucket),
        *("--versioning-configuration", "Status=Enabled,MFADelete=Enabled", "--mfa", codes.take()),
    )

    assert aws("s3api", "get-bucket-versioning", "--bucket", bucket) == {"Status": "Enabled", "MFADelete": "Enabled"}


# boto3


def a_user_does_everyday_work(alice, key):
    name = new_name()
    alice.create_bucket(Bucket=name)
    alice.put_object(Bucket=name, Key=key, Body=b"hers")

    assert alice.get_object(Bucket=name, Key=key)["Body"].read() == b"hers"
    alice.delete_object(Bucket=name, Key=key)
    alice.delete_bucket(Bucket=name)


def an_object_keeps_its_metadata(root, bucket, key):
    root.put_object(
        Bucket=bucket,
        Key=key,
        Body=b"x",
        Metadata={"colour": "red", "shape": "round  thing"},
        ContentType="text/x-test",
        CacheControl="max-age=5",
        ContentDisposition='attachment; filename="x.txt"',
        ContentLanguage="de",
    )

    told = root.head_object(Bucket=bucket, Key=key)
    assert told["Metadata"]["colour"] == "red"
    assert (told["ContentType"], told["CacheControl"], told["ContentLanguage"]) == ("text/x-test", "max-age=5", "de")
    assert told["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'


def a_range_is_read(root, bucket, key):
    root.put_object(Bucket=bucket, Key=key, Body=b"0123456789")

    for asked, got, says in [("bytes=2-4", b"234", "bytes 2-4/10"), ("bytes=-3", b"789", "bytes 7-9/10"), ("bytes=8-", b"89", "bytes 8-9/10")]:
        told = root.get_object(Bucket=bucket, Key=key, Range=asked)
        assert (told["Body"].read(), told["ContentRange"]) == (got, says)
    with refused(Refusal(416, "InvalidRange")):
        root.get_object(Bucket=bucket, Key=key, Range="bytes=10-")


def a_condition_is_kept(root, bucket, key):
    tag = root.put_object(Bucket=bucket, Key=key, Body=b"x")["ETag"]

    assert root.get_object(Bucket=bucket, Key=key, IfMatch=tag)["Body"].read() == b"x"
    with refused(Refusal(412, "PreconditionFailed")):
        root.get_object(Bucket=bucket, Key=key, IfMatch='"0"')
    with refused(Refusal(304, "304")):
        root.head_object(Bucket=bucket, Key=key, IfNoneMatch=tag)


def an_object_keeps_its_tags(root, upstream, bucket, key):
    root.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="a=1&b=two%20words")
    assert root.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "two words"},
    ]

    odd = {"Key": "ü", "Value": "+-=._:/@ ä"}
    if upstream.difference("narrow-tags"):
        with refused(Refusal(400, "InvalidTag")):
            root.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [odd]})
        odd = {"Key": "u", "Value": "+-=._:/@ a"}
    root.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [odd]})
    assert root.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [odd]

    root.delete_object_tagging(Bucket=bucket, Key=key)
    assert root.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == []


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
def a_listing_is_paged_and_folded(root, upstream, bucket, operation):
    for number in range(5):
        root.put_object(Bucket=bucket, Key=f"a/{number}", Body=b"x")
    root.put_object(Bucket=bucket, Key="b c+d%/ü", Body=b"x")
    pages = root.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [one["Key"] for page in pages for one in page.get("Contents", []) + page.get("Versions", [])]

    assert found == [*(f"a/{number}" for number in range(5)), "b c+d%/ü"]
    folded = getattr(root, operation)(Bucket=bucket, Delimiter="/")
    bare = operation == "list_objects" and upstream.difference("bare-plus-in-a-folded-prefix")
    assert [one["Prefix"] for one in folded["CommonPrefixes"]] == ["a/", "b c d%/" if bare else "b c+d%/"]


def an_upload_is_aborted_and_leaves_nothing(root, bucket, key):
    upload = root.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    root.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 100)
    assert [one["Size"] for one in root.list_parts(Bucket=bucket, Key=key, UploadId=upload)["Parts"]] == [100]
    assert [one["UploadId"] for one in root.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]

    root.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)

    assert "Uploads" not in root.list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in root.list_objects_v2(Bucket=bucket)


def an_object_is_put_together_from_copied_ranges(root, bucket, key):
    body = os.urandom(11 * MEBIBYTE)
    root.put_object(Bucket=bucket, Key=key, Body=body)
    upload = root.create_multipart_upload(Bucket=bucket, Key=f"{key}-copy")["UploadId"]
    done = []
    for number, (first, last) in enumerate([(0, 6 * MEBIBYTE - 1), (6 * MEBIBYTE, len(body) - 1)], 1):
        told = root.upload_part_copy(
            Bucket=bucket,
            Key=f"{key}-copy",
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": key},
            CopySourceRange=f"bytes={first}-{last}",
        )
        done.append({"PartNumber": number, "ETag": told["CopyPartResult"]["ETag"]})

    root.complete_multipart_upload(Bucket=bucket, Key=f"{key}-copy", UploadId=upload, MultipartUpload={"Parts": done})

    assert root.get_object(Bucket=bucket, Key=f"{key}-copy")["Body"].read() == body


def an_object_keeps_its_versions(root, versioned, key):
    first, second = (root.put_object(Bucket=versioned, Key=key, Body=text)["VersionId"] for text in (b"1", b"2"))
    marker = root.delete_object(Bucket=versioned, Key=key)

    with refused(Refusal(404, "NoSuchKey")):
        root.get_object(Bucket=versioned, Key=key)
    assert root.get_object(Bucket=versioned, Key=key, VersionId=first)["Body"].read() == b"1"
    assert marker["DeleteMarker"] is True
    told = root.list_object_versions(Bucket=versioned, Prefix=key)
    assert [one["VersionId"] for one in told["Versions"]] == [second, first]
    assert [one["VersionId"] for one in told["DeleteMarkers"]] == [marker["VersionId"]]


def an_error_of_the_store_comes_through_with_its_code(root, bucket, key):
    with refused(Refusal(404, "NoSuchKey")) as seen:
        root.get_object(Bucket=bucket, Key=key)
    assert seen["error"]["Message"], "aws-cli falls over an empty message"
    with refused(Refusal(404, "NoSuchBucket")):
        root.list_objects_v2(Bucket=new_name())
    with refused(Refusal(404, "404")):
        root.head_object(Bucket=bucket, Key=key)


def a_request_that_expects_a_go_ahead_gets_it(proxy, bucket, key):
    """botocore sends Expect: 100-continue with every streamed body."""
    client = proxy.client()
    client.put_object(Bucket=bucket, Key=key, Body=open("/proc/self/exe", "rb"))

    assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == os.path.getsize("/proc/self/exe")
