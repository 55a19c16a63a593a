"""A day's work with MinIO's SDK for Python."""

import io
import os
import urllib.request
from datetime import timedelta
from urllib.parse import urlsplit

from minio import Minio
from minio.commonconfig import ENABLED, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

place = urlsplit(os.environ["S3_ENDPOINT"])
bucket, vault = os.environ["S3_BUCKET"], os.environ["S3_VAULT"]
# No region, so that the SDK asks for it.
s3 = Minio(
    endpoint=place.netloc,
    access_key=os.environ["S3_ACCESS_KEY"],
    secret_key=os.environ["S3_SECRET_KEY"],
    secure=place.scheme == "https",
)
LARGE = b"x" * (12 << 20)
version = None


def step(name):
    def run(work):
        outcome = "ok"
        try:
            work()
        except S3Error as refused:
            outcome = refused.code
        except Exception as failed:
            outcome = repr(failed)
        print(f"{name}\t{outcome}", flush=True)

    return run


def same(got, expected):
    assert got == expected, f"{got} is not {expected}"


def read(key):
    with s3.get_object(bucket_name=bucket, object_name=key) as reply:
        return reply.read()


def put(key, body, into=bucket, **more):
    return s3.put_object(bucket_name=into, object_name=key, data=io.BytesIO(body), length=len(body), **more)


@step("make-bucket")
def _():
    s3.make_bucket(bucket_name=bucket)


@step("put")
def _():
    put("a b+c", b"hello", metadata={"colour": "red"})


@step("get")
def _():
    same(read("a b+c"), b"hello")


@step("head")
def _():
    same(s3.stat_object(bucket_name=bucket, object_name="a b+c").metadata["x-amz-meta-colour"], "red")


@step("put-large")
def _():
    put("large", LARGE, part_size=5 << 20)


@step("get-large")
def _():
    same(len(read("large")), len(LARGE))


@step("list")
def _():
    same([one.object_name for one in s3.list_objects(bucket_name=bucket, recursive=True)], ["a b+c", "large"])


@step("copy")
def _():
    s3.copy_object(bucket_name=bucket, object_name="copy", source=CopySource(bucket_name=bucket, object_name="a b+c"))


@step("tags")
def _():
    tags = Tags.new_object_tags()
    tags["shape"] = "round"
    s3.set_object_tags(bucket_name=bucket, object_name="copy", tags=tags)
    same(dict(s3.get_object_tags(bucket_name=bucket, object_name="copy")), {"shape": "round"})


@step("enable-versioning")
def _():
    s3.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))


@step("delete-many")
def _():
    both = [DeleteObject("copy"), DeleteObject("large")]
    same(list(s3.remove_objects(bucket_name=bucket, delete_object_list=both)), [])


@step("list-versions")
def _():
    listed = s3.list_objects(bucket_name=bucket, recursive=True, include_version=True)
    same(len([one for one in listed if one.is_delete_marker]), 2)


@step("presigned-get")
def _():
    url = s3.presigned_get_object(bucket_name=bucket, object_name="a b+c", expires=timedelta(minutes=5))
    same(urllib.request.urlopen(url).read(), b"hello")


@step("presigned-put")
def _():
    url = s3.presigned_put_object(bucket_name=bucket, object_name="by url", expires=timedelta(minutes=5))
    urllib.request.urlopen(urllib.request.Request(url, b"by url", {"Content-Type": "text/plain"}, method="PUT"))
    same(read("by url"), b"by url")


@step("put-protected")
def _():
    global version
    version = put(bucket, b"x", into=vault).version_id


@step("delete-version")
def _():
    s3.remove_object(bucket_name=vault, object_name=bucket, version_id=version)
