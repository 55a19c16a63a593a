"""The embedded store as boto3 sees it, over HTTP and without the proxy.

`cargo build --example embedded && pytest tests/embedded`; PORTCULLIS_EMBEDDED names another binary.
"""

import base64
import concurrent.futures
import datetime
import hashlib
import io
import json
import os
import pathlib
import subprocess
import zlib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PORTCULLIS_EMBEDDED", ROOT / "target/debug/examples/embedded")
KEY, SECRET = "AKIAEMBEDDEDSTORE001", "a-secret-that-guards-nothing"
MIB = 1024 * 1024


class Server:
    def __init__(self, directory):
        self.directory = directory
        self.start()

    def start(self):
        environment = dict(os.environ, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        command = [str(BINARY), str(self.directory), "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().rsplit(" ", 1)[-1].strip()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def client(self, secret=SECRET, **options):
        retries = {"max_attempts": 1, "mode": "standard"}
        config = Config(s3={"addressing_style": "path"}, retries=retries, **options)
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=config,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("store"))
    yield server
    server.kill()


@pytest.fixture
def s3(server):
    return server.client()


@pytest.fixture
def bucket(s3, request):
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3, bucket):
    set_versioning(s3, bucket, "Enabled")
    return bucket


def set_versioning(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def read(s3, bucket, key, **options):
    return s3.get_object(Bucket=bucket, Key=key, **options)["Body"].read()


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response


def code(call, **arguments):
    return refused(call, **arguments)[:2]


def versions(s3, bucket, **options):
    found = s3.list_object_versions(Bucket=bucket, **options)
    entries = [(entry["Key"], entry["VersionId"], entry["IsLatest"], "version") for entry in found.get("Versions", [])]
    entries += [(e["Key"], e["VersionId"], e["IsLatest"], "marker") for e in found.get("DeleteMarkers", [])]
    return entries


# Buckets


def a_wrong_secret_is_refused(server):
    wrong = server.client(secret="another-secret")
    assert code(wrong.list_buckets) == (403, "SignatureDoesNotMatch")


def a_bucket_is_made_once_listed_and_deleted(s3):
    s3.create_bucket(Bucket="made-once")
    assert code(s3.create_bucket, Bucket="made-once") == (409, "BucketAlreadyOwnedByYou")
    assert "made-once" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket="made-once")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="made-once")["LocationConstraint"] is None
    s3.delete_bucket(Bucket="made-once")
    assert code(s3.head_bucket, Bucket="made-once") == (404, "404")
    assert code(s3.list_objects_v2, Bucket="made-once") == (404, "NoSuchBucket")


def a_bucket_with_only_a_marker_is_not_empty(s3, versioned):
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    assert code(s3.delete_bucket, Bucket=versioned) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    s3.delete_bucket(Bucket=versioned)


# Versioning


def versioning_is_unset_until_it_is_set_and_mfa_delete_is_ignored(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    configuration = {"Status": "Enabled", "MFADelete": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration, MFA="serial 123456")
    answer = s3.get_bucket_versioning(Bucket=bucket)
    assert (answer["Status"], "MFADelete" in answer) == ("Enabled", False)
    set_versioning(s3, bucket, "Suspended")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
    status = code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "enabled"})
    assert status == (400, "MalformedXML")
    status = code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={})
    assert status == (400, "IllegalVersioningConfigurationException")


def each_put_makes_a_version_and_each_can_be_read(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="k", Body=body)["VersionId"] for body in (b"one", b"two", b"three")]
    assert len(set(ids)) == 3
    assert read(s3, versioned, "k") == b"three"
    assert [read(s3, versioned, "k", VersionId=id) for id in ids] == [b"one", b"two", b"three"]
    assert [entry[1:3] for entry in versions(s3, versioned)] == [(ids[2], True), (ids[1], False), (ids[0], False)]
    assert s3.head_object(Bucket=versioned, Key="k")["VersionId"] == ids[2]


def a_delete_adds_a_marker_and_deleting_the_marker_restores(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    answer = s3.delete_object(Bucket=versioned, Key="k")
    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True

    status, name, response = refused(s3.get_object, Bucket=versioned, Key="k")
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert (status, name) == (404, "NoSuchKey")
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)

    status, name, response = refused(s3.get_object, Bucket=versioned, Key="k", VersionId=marker)
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert (status, name) == (405, "MethodNotAllowed")
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")
    assert refused(s3.head_object, Bucket=versioned, Key="k")[0] == 404
    assert refused(s3.head_object, Bucket=versioned, Key="k", VersionId=marker)[0] == 405
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    assert versions(s3, versioned) == [("k", kept, False, "version"), ("k", marker, True, "marker")]

    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"kept"


def deleting_a_version_destroys_only_that_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"one")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"two")["VersionId"]
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert (answer["VersionId"], "DeleteMarker" in answer) == (second, False)
    assert read(s3, versioned, "k") == b"one"
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId=second) == (404, "NoSuchVersion")
    assert s3.delete_object(Bucket=versioned, Key="k", VersionId=second)["VersionId"] == second
    assert code(s3.get_object, Bucket=versioned, Key="k", VersionId="nonsense") == (400, "InvalidArgument")
    assert code(s3.delete_object, Bucket=versioned, Key="k", VersionId="nonsense") == (400, "InvalidArgument")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=first)
    assert versions(s3, versioned) == []


def without_versioning_a_put_replaces_and_a_delete_destroys(s3, bucket):
    for body in (b"one", b"two"):
        assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert versions(s3, bucket) == [("k", "null", True, "version")]
    assert read(s3, bucket, "k", VersionId="null") == b"two"
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert "DeleteMarker" not in answer and "VersionId" not in answer
    assert versions(s3, bucket) == []


def a_suspended_bucket_has_one_null_version_beside_the_old_ones(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    set_versioning(s3, bucket, "Enabled")
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    assert versions(s3, bucket) == [("k", old, True, "version"), ("k", "null", False, "version")]
    set_versioning(s3, bucket, "Suspended")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"null")["VersionId"] == "null"
    assert versions(s3, bucket) == [("k", "null", True, "version"), ("k", old, False, "version")]
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, "null")
    assert versions(s3, bucket) == [("k", old, False, "version"), ("k", "null", True, "marker")]
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket, "k") == b"old"


def delete_objects_answers_each_entry(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="b", Body=b"2")
    entries = [{"Key": "a", "VersionId": first}, {"Key": "b"}, {"Key": "a", "VersionId": "nonsense"}]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": entries})
    assert answer["Deleted"][0] == {"Key": "a", "VersionId": first}
    assert (answer["Deleted"][1]["Key"], answer["Deleted"][1]["DeleteMarker"]) == ("b", True)
    assert [error["Code"] for error in answer["Errors"]] == ["InvalidArgument"]
    marker = answer["Deleted"][1]["DeleteMarkerVersionId"]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "b", "VersionId": marker}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert read(s3, versioned, "b") == b"2"


# Listings


def listings_page_and_group(s3, bucket):
    keys = ["a", "dir/1", "dir/2", "dir2/x", "é ü+&.txt", "z"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for listing, contents in (("list_objects", "Contents"), ("list_objects_v2", "Contents"), ("list_object_versions", "Versions")):
        for size in (1, 2, 5, 1000):
            pages = s3.get_paginator(listing).paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
            found = [entry["Key"] for page in pages for entry in page.get(contents, [])]
            assert found == sorted(keys, key=str.encode), (listing, size)
            pages = list(
                s3.get_paginator(listing).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size})
            )
            found = [entry["Key"] for page in pages for entry in page.get(contents, [])]
            groups = [group["Prefix"] for page in pages for group in page.get("CommonPrefixes", [])]
            assert (found, groups) == (["a", "z", "é ü+&.txt"], ["dir/", "dir2/"]), (listing, size)
            pages = s3.get_paginator(listing).paginate(Bucket=bucket, Prefix="dir/", PaginationConfig={"PageSize": size})
            assert [entry["Key"] for page in pages for entry in page.get(contents, [])] == ["dir/1", "dir/2"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, StartAfter="dir2/x")["Contents"]] == keys[5:] + keys[4:5]


def versions_page_inside_a_key(s3, versioned):
    for key in "ab":
        for body in range(4):
            s3.put_object(Bucket=versioned, Key=key, Body=str(body))
    whole = [entry[:2] for entry in versions(s3, versioned)]
    for size in (1, 3, 4, 5, 8):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": size})
        assert [(entry["Key"], entry["VersionId"]) for page in pages for entry in page["Versions"]] == whole


def deleting_all_versions_while_paging_leaves_nothing(server, s3, versioned):
    for key in range(7):
        for body in range(3):
            s3.put_object(Bucket=versioned, Key=f"k{key}", Body=str(body))
        s3.delete_object(Bucket=versioned, Key=f"k{key}")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": 5}):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=versioned, Key=entry["Key"], VersionId=entry["VersionId"])
    assert versions(s3, versioned) == []


# Objects


def headers_and_metadata_come_back(s3, bucket):
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    given = {
        "CacheControl": "no-cache",
        "ContentDisposition": "inline",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/plain",
        "Metadata": {"colour": "blue", "size": "xl"},
        "WebsiteRedirectLocation": "/elsewhere",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, Tagging="a=1&b=2", **given)
    for answer in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert {name: answer[name] for name in given} == given
        assert answer["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'
        assert answer["ContentLength"] == 1
        assert answer["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    answer = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/html", ResponseCacheControl="private")
    assert (answer["ContentType"], answer["CacheControl"]) == ("text/html", "private")


@pytest.mark.parametrize("size", [0, 1, 4096, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 7])
def bodies_of_every_size_and_their_ranges_come_back(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert read(s3, bucket, "k") == body
    for first, last in ((0, 0), (size // 2, size - 1), (size - 1, size + 100), (1, size - 2)):
        if 0 <= first <= last and first < size:
            answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
            assert answer["Body"].read() == body[first : last + 1]
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert answer["ContentRange"] == f"bytes {first}-{min(last, size - 1)}/{size}"
    if size > 10:
        assert read(s3, bucket, "k", Range="bytes=-7") == body[-7:]
        assert read(s3, bucket, "k", Range=f"bytes={size - 3}-") == body[-3:]
        answer = s3.head_object(Bucket=bucket, Key="k", Range="bytes=2-5")
        assert (answer["ContentLength"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (4, 206)
    assert code(s3.get_object, Bucket=bucket, Key="k", Range=f"bytes={size}-") == (416, "InvalidRange")


def conditions_on_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    arguments = {"Bucket": bucket, "Key": "k"}
    assert read(s3, bucket, "k", IfMatch=etag) == b"x"
    assert refused(s3.get_object, IfMatch='"0"', **arguments)[:2] == (412, "PreconditionFailed")
    assert refused(s3.get_object, IfNoneMatch=etag, **arguments)[0] == 304
    assert read(s3, bucket, "k", IfNoneMatch='"0"') == b"x"
    assert read(s3, bucket, "k", IfModifiedSince=now - hour) == b"x"
    assert refused(s3.get_object, IfModifiedSince=now + hour, **arguments)[0] == 304
    assert read(s3, bucket, "k", IfUnmodifiedSince=now + hour) == b"x"
    assert refused(s3.get_object, IfUnmodifiedSince=now - hour, **arguments)[0] == 412
    assert refused(s3.head_object, IfNoneMatch=etag, **arguments)[0] == 304


def conditions_on_writes(s3, bucket):
    arguments = {"Bucket": bucket, "Key": "k"}
    assert code(s3.put_object, Body=b"x", IfMatch='"0"', **arguments) == (404, "NoSuchKey")
    etag = s3.put_object(Body=b"x", IfNoneMatch="*", **arguments)["ETag"]
    assert code(s3.put_object, Body=b"y", IfNoneMatch="*", **arguments) == (412, "PreconditionFailed")
    assert code(s3.put_object, Body=b"y", IfMatch='"0"', **arguments) == (412, "PreconditionFailed")
    s3.put_object(Body=b"y", IfMatch=etag, **arguments)
    assert code(s3.delete_object, IfMatch=etag, **arguments) == (412, "PreconditionFailed")
    assert read(s3, bucket, "k") == b"y"


def only_one_of_many_first_writers_wins(server, bucket):
    def write(number):
        try:
            server.client().put_object(Bucket=bucket, Key="k", Body=str(number), IfNoneMatch="*")
            return number
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(8)) if number is not None]
    assert len(winners) == 1
    assert read(server.client(), bucket, "k") == str(winners[0]).encode()


def reads_and_overwrites_at_once_see_whole_objects(server, bucket):
    bodies = [bytes([number]) * (300 * 1024) for number in range(4)]
    s3 = server.client()
    s3.put_object(Bucket=bucket, Key="k", Body=bodies[0])

    def work(number):
        client = server.client()
        for _ in range(10):
            if number % 2:
                client.put_object(Bucket=bucket, Key="k", Body=bodies[number])
            else:
                assert read(client, bucket, "k") in bodies

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


@pytest.mark.parametrize("style", ["space and +", "a//b/", "/leading", "ünï/cödé", "a%2Fb", "q?x=1&y#f", "." , ".."])
def keys_of_any_characters(s3, bucket, style):
    s3.put_object(Bucket=bucket, Key=style, Body=style.encode())
    assert read(s3, bucket, style) == style.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [style]
    s3.delete_object(Bucket=bucket, Key=style)


def a_key_of_1024_bytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"x")
    assert read(s3, bucket, "k" * 1024) == b"x"
    assert code(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"x") == (400, "KeyTooLongError")


# Copies


def copies_keep_or_replace_the_description(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"one", ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket=versioned, Key="a", Body=b"two")
    source = {"Bucket": versioned, "Key": "a", "VersionId": first["VersionId"]}
    answer = s3.copy_object(Bucket=versioned, Key="b/é +", CopySource=source)
    assert answer["CopySourceVersionId"] == first["VersionId"]
    assert answer["CopyObjectResult"]["ETag"] == first["ETag"]
    copy = s3.get_object(Bucket=versioned, Key="b/é +")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"], copy["TagCount"]) == (b"one", "text/x", {"m": "1"}, 1)
    source = {"Bucket": versioned, "Key": "b/é +"}
    options = {"MetadataDirective": "REPLACE", "ContentType": "text/y", "TaggingDirective": "REPLACE", "Tagging": "u=2&v=3"}
    s3.copy_object(Bucket=versioned, Key="b/é +", CopySource=source, **options)
    copy = s3.get_object(Bucket=versioned, Key="b/é +")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"], copy["TagCount"]) == (b"one", "text/y", {}, 2)
    assert code(s3.copy_object, Bucket=versioned, Key="b/é +", CopySource=source) == (400, "InvalidRequest")
    # Copying an old version onto its key is how AWS restores one.
    source = {"Bucket": versioned, "Key": "a", "VersionId": first["VersionId"]}
    s3.copy_object(Bucket=versioned, Key="a", CopySource=source)
    assert read(s3, versioned, "a") == b"one"
    for entry in versions(s3, versioned, Prefix="a"):
        s3.delete_object(Bucket=versioned, Key="a", VersionId=entry[1])
    assert read(s3, versioned, "b/é +") == b"one"


def copies_of_what_is_not_there_are_refused(s3, versioned):
    arguments = {"Bucket": versioned, "Key": "b"}
    etag = s3.put_object(Bucket=versioned, Key="a", Body=b"x")["ETag"]
    source = {"Bucket": versioned, "Key": "a"}
    assert code(s3.copy_object, CopySource=source, CopySourceIfNoneMatch=etag, **arguments) == (412, "PreconditionFailed")
    marker = s3.delete_object(Bucket=versioned, Key="a")["VersionId"]
    assert code(s3.copy_object, CopySource=source, **arguments) == (404, "NoSuchKey")
    assert code(s3.copy_object, CopySource={**source, "VersionId": marker}, **arguments) == (400, "InvalidRequest")


# Multipart


def upload(s3, bucket, key, bodies, **options):
    id = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=id, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    return id, parts


def parts_make_an_object(s3, versioned):
    bodies = [os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(123)]
    id, parts = upload(s3, versioned, "k", bodies, ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1")
    assert [entry["UploadId"] for entry in s3.list_multipart_uploads(Bucket=versioned)["Uploads"]] == [id]
    pages = s3.get_paginator("list_parts").paginate(Bucket=versioned, Key="k", UploadId=id, PaginationConfig={"PageSize": 2})
    listed = [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]]
    assert listed == [(1, 5 * MIB), (2, 5 * MIB), (3, 123)]
    answer = s3.complete_multipart_upload(Bucket=versioned, Key="k", UploadId=id, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert answer["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    whole = b"".join(bodies)
    found = s3.get_object(Bucket=versioned, Key="k")
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (whole, "text/x", {"m": "1"})
    assert found["VersionId"] == answer["VersionId"]
    first, last = 5 * MIB - 10, 10 * MIB + 10
    assert read(s3, versioned, "k", Range=f"bytes={first}-{last}") == whole[first : last + 1]
    part = s3.get_object(Bucket=versioned, Key="k", PartNumber=3)
    assert (part["Body"].read(), part["PartsCount"]) == (bodies[2], 3)
    attributes = s3.get_object_attributes(Bucket=versioned, Key="k", ObjectAttributes=["ObjectParts", "ObjectSize", "ETag"])
    assert (attributes["ObjectParts"]["TotalPartsCount"], attributes["ObjectSize"]) == (3, len(whole))
    arguments = {"Bucket": versioned, "Key": "k", "UploadId": id}
    assert code(s3.list_parts, **arguments) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=versioned)
    s3.copy_object(Bucket=versioned, Key="copy", CopySource={"Bucket": versioned, "Key": "k"})
    assert s3.head_object(Bucket=versioned, Key="copy")["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'
    s3.delete_object(Bucket=versioned, Key="k", VersionId=answer["VersionId"])
    assert read(s3, versioned, "copy") == whole


def wrong_parts_are_refused(s3, bucket):
    id, parts = upload(s3, bucket, "k", [b"small", b"last"])
    arguments = {"Bucket": bucket, "Key": "k", "UploadId": id}

    def complete(parts):
        return code(s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **arguments)

    assert complete(parts) == (400, "EntityTooSmall")
    assert complete(parts[::-1]) == (400, "InvalidPartOrder")
    assert complete([{"PartNumber": 1, "ETag": '"0"'}]) == (400, "InvalidPart")
    assert complete([{"PartNumber": 7, "ETag": parts[0]["ETag"]}]) == (400, "InvalidPart")
    assert code(s3.upload_part, PartNumber=10001, Body=b"x", **arguments) == (400, "InvalidArgument")
    s3.abort_multipart_upload(**arguments)
    assert code(s3.abort_multipart_upload, **arguments) == (404, "NoSuchUpload")
    assert code(s3.upload_part, PartNumber=1, Body=b"x", **arguments) == (404, "NoSuchUpload")


def a_part_may_be_sent_again_and_may_be_left_out(s3, bucket):
    id, parts = upload(s3, bucket, "k", [b"first try", b"left out"])
    arguments = {"Bucket": bucket, "Key": "k", "UploadId": id}
    etag = s3.upload_part(PartNumber=1, Body=b"second try", **arguments)["ETag"]
    assert code(s3.complete_multipart_upload, MultipartUpload={"Parts": parts[:1]}, **arguments) == (400, "InvalidPart")
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **arguments)
    assert read(s3, bucket, "k") == b"second try"


def parts_are_copied_from_ranges(s3, bucket):
    body = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    id = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    arguments = {"Bucket": bucket, "Key": "k", "UploadId": id, "CopySource": {"Bucket": bucket, "Key": "source"}}
    one = s3.upload_part_copy(PartNumber=1, **arguments)["CopyPartResult"]["ETag"]
    two = s3.upload_part_copy(PartNumber=2, CopySourceRange="bytes=10-19", **arguments)["CopyPartResult"]["ETag"]
    status = code(s3.upload_part_copy, PartNumber=3, CopySourceRange=f"bytes=0-{6 * MIB}", **arguments)
    assert status == (400, "InvalidArgument")
    parts = [{"PartNumber": 1, "ETag": one}, {"PartNumber": 2, "ETag": two}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=id, MultipartUpload={"Parts": parts})
    assert read(s3, bucket, "k") == body + body[10:20]


def uploads_are_listed_in_pages_and_groups(s3, bucket):
    ids = [(key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]) for key in ("a", "a", "d/1", "d/2", "e")]
    for size in (1, 2, 10):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        found = [(entry["Key"], entry["UploadId"]) for page in pages for entry in page.get("Uploads", [])]
        assert found == sorted(ids), size
    answer = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [group["Prefix"] for group in answer["CommonPrefixes"]] == ["d/"]
    assert [entry["Key"] for entry in answer["Uploads"]] == ["a", "a", "e"]
    s3.delete_bucket(Bucket=bucket)


def the_transfer_functions_of_boto3_work(s3, bucket):
    body = os.urandom(20 * MIB + 1)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "k", back, Config=config)
    assert back.getvalue() == body
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-3"')


# Tags and settings


def tags_of_objects_and_versions(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"1", Tagging="a=1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"2")

    def tags(**options):
        return s3.get_object_tagging(Bucket=versioned, Key="k", **options)["TagSet"]

    assert (tags(), tags(VersionId=first)) == ([], [{"Key": "a", "Value": "1"}])
    new = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]
    s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=first, Tagging={"TagSet": new})
    assert (tags(), tags(VersionId=first)) == ([], new)
    s3.delete_object_tagging(Bucket=versioned, Key="k", VersionId=first)
    assert tags(VersionId=first) == []
    assert read(s3, versioned, "k", VersionId=first) == b"1"
    twice = [{"Key": "b", "Value": "2"}, {"Key": "b", "Value": "3"}]
    assert code(s3.put_object_tagging, Bucket=versioned, Key="k", Tagging={"TagSet": twice}) == (400, "InvalidTag")


def settings_are_kept_and_forgotten(s3, bucket):
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}}
    cors = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    access = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    tags = [{"Key": "team", "Value": "a"}]
    cases = [
        ("bucket_lifecycle_configuration", "bucket_lifecycle", {"LifecycleConfiguration": {"Rules": [rule]}}, "Rules", [rule], "NoSuchLifecycleConfiguration"),
        ("bucket_cors", "bucket_cors", {"CORSConfiguration": {"CORSRules": [cors]}}, "CORSRules", [cors], "NoSuchCORSConfiguration"),
        ("bucket_policy", "bucket_policy", {"Policy": policy}, "Policy", policy, "NoSuchBucketPolicy"),
        ("bucket_tagging", "bucket_tagging", {"Tagging": {"TagSet": tags}}, "TagSet", tags, "NoSuchTagSet"),
        ("public_access_block", "public_access_block", {"PublicAccessBlockConfiguration": access}, "PublicAccessBlockConfiguration", access, "NoSuchPublicAccessBlockConfiguration"),
        ("bucket_ownership_controls", "bucket_ownership_controls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}, "OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}, "OwnershipControlsNotFoundError"),
        ("bucket_encryption", "bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": [encryption]}}, "ServerSideEncryptionConfiguration", {"Rules": [encryption]}, "ServerSideEncryptionConfigurationNotFoundError"),
    ]
    for name, deleted, document, field, expected, absent in cases:
        get, put, delete = (getattr(s3, f"{verb}_{noun}") for verb, noun in (("get", name), ("put", name), ("delete", deleted)))
        assert code(get, Bucket=bucket) == (404, absent)
        put(Bucket=bucket, **document)
        assert get(Bucket=bucket)[field] == expected
        delete(Bucket=bucket)
        assert code(get, Bucket=bucket) == (404, absent)
    assert code(s3.get_object_lock_configuration, Bucket=bucket) == (404, "ObjectLockConfigurationNotFoundError")
    s3.get_bucket_notification_configuration(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"


def what_the_store_cannot_do_is_refused(s3, bucket):
    arguments = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    assert code(s3.put_object, ServerSideEncryption="aws:kms", **arguments) == (501, "NotImplemented")
    assert code(s3.put_object, ACL="public-read", **arguments) == (400, "AccessControlListNotSupported")
    assert code(s3.put_object, ObjectLockLegalHoldStatus="ON", **arguments) == (400, "InvalidRequest")
    assert code(s3.create_bucket, Bucket="with-lock", ObjectLockEnabledForBucket=True) == (501, "NotImplemented")


# Checksums


@pytest.mark.parametrize(
    ("algorithm", "hexadecimal"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ],
)
def checksums_are_checked_and_given_back(s3, bucket, algorithm, hexadecimal):
    # The published check values, because botocore computes two of them only with a further library.
    field, value = f"Checksum{algorithm}", base64.b64encode(bytes.fromhex(hexadecimal)).decode()
    arguments = {"Bucket": bucket, "Key": "k"}
    assert s3.put_object(Body=b"123456789", **{field: value}, **arguments)[field] == value
    assert s3.head_object(ChecksumMode="ENABLED", **arguments)[field] == value
    assert field not in s3.head_object(**arguments)
    assert read(s3, bucket, "k", ChecksumMode="ENABLED") == b"123456789"
    assert s3.get_object_attributes(ObjectAttributes=["Checksum"], **arguments)["Checksum"][field] == value
    assert code(s3.put_object, Body=b"123456780", **{field: value}, **arguments) == (400, "BadDigest")


def a_wrong_digest_is_refused_and_nothing_is_stored(s3, bucket):
    wrong = {
        "ChecksumCRC32": base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode(),
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(b"other").digest()).decode(),
        "ContentMD5": base64.b64encode(hashlib.md5(b"other").digest()).decode(),
    }
    for field, value in wrong.items():
        assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"body", **{field: value}) == (400, "BadDigest")
    assert versions(s3, bucket) == []


@pytest.mark.parametrize(("algorithm", "scope"), [("CRC32", "FULL_OBJECT"), ("CRC32", "COMPOSITE"), ("SHA256", "COMPOSITE")])
def checksums_of_multipart_uploads(s3, bucket, algorithm, scope):
    bodies = [os.urandom(5 * MIB), b"last"]
    id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=scope)["UploadId"]
    arguments = {"Bucket": bucket, "Key": "k", "UploadId": id}
    field, parts = f"Checksum{algorithm}", []
    for number, body in enumerate(bodies, 1):
        answer = s3.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm=algorithm, **arguments)
        parts.append({"PartNumber": number, "ETag": answer["ETag"], field: answer[field]})
    answer = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, ChecksumType=scope, **arguments)
    if scope == "FULL_OBJECT":
        expected = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    else:
        digests = b"".join(base64.b64decode(part[field]) for part in parts)
        digest = zlib.crc32(digests).to_bytes(4, "big") if algorithm == "CRC32" else hashlib.sha256(digests).digest()
        expected = f"{base64.b64encode(digest).decode()}-2"
    assert (answer[field], answer["ChecksumType"]) == (expected, scope)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[field] == expected


# After a crash


def everything_is_there_again_after_a_kill(tmp_path):
    server = Server(tmp_path / "store")
    s3 = server.client()
    s3.create_bucket(Bucket="kept")
    set_versioning(s3, "kept", "Enabled")
    ids = [s3.put_object(Bucket="kept", Key="k", Body=body, Tagging="a=1")["VersionId"] for body in (b"one", b"two")]
    s3.delete_object(Bucket="kept", Key="k")
    s3.put_bucket_cors(Bucket="kept", CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    id, parts = upload(s3, "kept", "m", [b"part"])
    before = versions(s3, "kept")
    server.kill()
    # What a crash in the middle of a write leaves behind.
    orphan = server.directory / "buckets/kept/bodies/ff/ffffffffffffffffffffffffffffffff"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"half a body")
    record = next((server.directory / "buckets/kept/versions").rglob("*.json"))
    record.with_suffix(".tmp").write_bytes(b"half a record")

    server.start()
    s3 = server.client()
    assert versions(s3, "kept") == before
    assert not orphan.exists() and not record.with_suffix(".tmp").exists()
    assert [read(s3, "kept", "k", VersionId=id) for id in ids] == [b"one", b"two"]
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    assert len(s3.get_bucket_cors(Bucket="kept")["CORSRules"]) == 1
    s3.complete_multipart_upload(Bucket="kept", Key="m", UploadId=id, MultipartUpload={"Parts": parts})
    assert read(s3, "kept", "m") == b"part"
    assert s3.put_object(Bucket="kept", Key="k", Body=b"new")["VersionId"] > max(ids)
    server.kill()
