"""What a trail delivered: how it came about, and copies of it to tamper with."""

import gzip
import json
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pyotp
from botocore.exceptions import ClientError
from rig.clients import REGION, Credentials
from rig.codes import PERIOD as STEP, now_step
from rig.raw import Raw

EVERYTHING = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}],
    }
]
PERIOD = 60
MONTH = 31 * 86400
WRITTEN = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class File:
    """One delivered object."""

    body: bytes
    metadata: dict[str, str]

    @property
    def content(self) -> dict:
        """The JSON in it."""
        return json.loads(gzip.decompress(self.body))

    def holding(self, content: dict) -> "File":
        """The same with other content."""
        return File(gzip.compress(json.dumps(content).encode(), mtime=0), self.metadata)


@dataclass
class Archive:
    """A trail, and all it delivered."""

    proxy: object
    arn: str
    bucket: str
    created: str
    started: str = ""
    files: dict[str, File] = field(default_factory=dict)

    # How it came about

    @classmethod
    def record(cls, proxy, clock) -> "Archive":
        """Lets a trail live."""
        aws, name, bucket = proxy.aws(), "story", "trail-of-the-story"
        created = stamp()
        made = aws("cloudtrail", "create-trail", "--name", name, "--s3-bucket-name", bucket, "--enable-log-file-validation")
        aws("cloudtrail", "put-event-selectors", "--trail-name", name, "--event-selectors", json.dumps(EVERYTHING))
        story = cls(proxy, made["TrailARN"], bucket, created)
        device = Device(proxy)
        work = Work(proxy)
        # Logs for a little while, and then again for long.
        aws("cloudtrail", "start-logging", "--name", name)
        work.some()
        story.next_digest(clock)
        device.stop_logging(clock, name)
        story.final_digest()
        clock.advance(10 * PERIOD)
        story.started = stamp()
        aws("cloudtrail", "start-logging", "--name", name)
        for _ in range(24):
            work.some()
            story.next_digest(clock)
        clock.advance(MONTH)  # The key is too old by then.
        proxy.command("clock", "accept")  # The time since the boot of the machine says otherwise.
        for _ in range(12):
            work.some()
            story.next_digest(clock)
        work.attack(made["TrailARN"])
        proxy.stop()
        proxy.start()
        for _ in range(12):
            work.some()
            story.next_digest(clock)
        story.crash(clock)
        for _ in range(4):
            work.some()
            story.next_digest(clock)
        # So that nothing more comes while it is looked at.
        device.stop_logging(clock, name)
        story.final_digest()
        story.take()
        return story

    def crash(self, clock) -> None:
        """Kills the proxy over an upload that began before the last digests: its record comes after them."""
        raw = Raw(self.proxy.place, self.proxy.root)
        lines = raw.signed("PUT", "/desk/never-whole", body=b"x" * 100_000)
        head = "\r\n".join(["PUT /desk/never-whole HTTP/1.1", *(f"{name}: {value}" for name, value in lines),
                            "Content-Length: 100000", "", ""])
        place = urlsplit(self.proxy.endpoint)
        with socket.create_connection((place.hostname, place.port)) as link:
            link.sendall(head.encode() + b"x" * 70_000)
            time.sleep(1)
            self.next_digest(clock)
            self.next_digest(clock)
            self.proxy.kill()
        self.proxy.start()

    def next_digest(self, clock) -> None:
        """Goes on by one period, and waits for the digest at its end."""
        from conftest import until

        before = len(self.listed("CloudTrail-Digest"))
        clock.advance(PERIOD)
        until(lambda: len(self.listed("CloudTrail-Digest")) > before, "a digest")

    def final_digest(self) -> None:
        """Waits until nothing more comes: what was stopped has one digest more."""
        quiet, seen = 0, None
        while quiet < 40:
            now = self.listed("CloudTrail-Digest")
            quiet, seen = (quiet + 1 if now == seen else 0), now
            time.sleep(0.1)

    def listed(self, kind: str) -> list[str]:
        """The keys that are there, as the store itself lists them."""
        store = self.proxy.store.directly()
        found = []
        for page in store.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="AWSLogs/"):
            found += [item["Key"] for item in page.get("Contents", []) if f"/{kind}/" in item["Key"]]
        return found

    def take(self) -> None:
        """Takes a copy of all files."""
        store = self.proxy.store.directly()
        self.files = {}
        for kind in ("CloudTrail", "CloudTrail-Digest"):
            for key in self.listed(kind):
                found = store.get_object(Bucket=self.bucket, Key=key)
                self.files[key] = File(found["Body"].read(), found["Metadata"])

    # What is in it

    @property
    def digests(self) -> list[str]:
        """The keys of the digests but the backfill ones, oldest first."""
        return sorted((key for key in self.files if "/CloudTrail-Digest/" in key and "_backfill" not in key), key=end_of)

    @property
    def backfill(self) -> list[str]:
        """The keys of the backfill digests."""
        return sorted(key for key in self.files if "_backfill" in key)

    @property
    def logs(self) -> list[str]:
        """The keys of the log files."""
        return sorted(key for key in self.files if "/CloudTrail/" in key)

    @property
    def digests_around_the_pause(self) -> tuple[str, str]:
        """The last digest before logging was stopped for a while, and the first one after."""
        started = [place for place, key in enumerate(self.digests) if not self.files[key].content["previousDigestS3Object"]]
        return self.digests[started[1] - 1], self.digests[started[1]]

    def late(self) -> tuple[str, list[str]]:
        """A moment within the first of the last digests, so that little need be validated, and the keys of these."""
        digests = self.digests[-8:]
        began = datetime.fromisoformat(self.files[digests[0]].content["digestStartTime"])
        return (began + timedelta(seconds=1)).strftime(WRITTEN), digests

    def records(self) -> list[dict]:
        """All events that were delivered."""
        return [record for key in self.logs for record in self.files[key].content["Records"]]

    # Elsewhere

    def lay_out(self, directory: Path, files: dict[str, File] | None = None) -> Path:
        """Writes the files into a folder as `portcullis trail validate` reads them."""
        directory.mkdir(parents=True)
        for key, file in (self.files if files is None else files).items():
            path = directory / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.body)
            path.with_name(f"{path.name}.metadata.json").write_text(json.dumps(file.metadata))
        return directory


class Device:
    """Root's device; a code is waited for by letting the time go by."""

    def __init__(self, proxy):
        self.proxy = proxy
        made = proxy.json("mfa", "add", "--name", "phone", "--no-activate")
        self.serial, self.device = made["serialNumber"], pyotp.TOTP(made["base32Seed"])
        step = now_step()
        proxy.command("mfa", "activate", "--serial", self.serial, *(self.device.generate_otp(at) for at in (step - 1, step)))

    def stop_logging(self, clock, trail: str) -> None:
        """Stops a trail, as root with a code."""
        clock.advance(STEP)
        client = cloudtrail(self.proxy)
        offer = f"{self.serial} {self.device.generate_otp(now_step())}"
        client.meta.events.register("before-sign.cloudtrail", lambda request, **_: request.headers.add_header("x-amz-mfa", offer))
        client.stop_logging(Name=trail)
        clock.advance(5)


class Work:
    """What people do all day."""

    def __init__(self, proxy):
        self.proxy = proxy
        proxy.client().create_bucket(Bucket="desk")
        self.number = 0

    def some(self) -> None:
        """A few requests, one of which is refused."""
        client = self.proxy.client()
        self.number += 1
        client.put_object(Bucket="desk", Key=f"k{self.number}", Body=b"x")
        client.get_object(Bucket="desk", Key=f"k{self.number}")["Body"].read()
        client.list_objects_v2(Bucket="desk", MaxKeys=3)
        client.delete_object(Bucket="desk", Key=f"k{self.number}")

    def attack(self, trail: str) -> None:
        """An attacker has root's key, but not root's device; a user goes on working."""
        client = self.proxy.client()
        client.create_bucket(Bucket="prey")
        for status in ("Enabled", "Suspended"):
            client.put_bucket_versioning(Bucket="prey", VersioningConfiguration={"Status": status})
        client.put_object(Bucket="prey", Key="k", Body=b"x")
        for end in (lambda: client.delete_bucket(Bucket="prey"), lambda: cloudtrail(self.proxy).stop_logging(Name=trail)):
            try:
                end()
                raise AssertionError("a bucket with objects, or a trail without a code, came to its end")
            except ClientError:
                pass
        for version in client.list_object_versions(Bucket="prey")["Versions"]:
            client.delete_object(Bucket="prey", Key=version["Key"], VersionId=version["VersionId"])
        client.delete_bucket(Bucket="prey")
        made = self.proxy.json("user", "add", "alice")
        alice = self.proxy.client(Credentials(made["accessKeyId"], made["secretAccessKey"]))
        alice.put_object(Bucket="desk", Key="by-alice", Body=b"x")

def cloudtrail(proxy):
    """A client of CloudTrail's API with root's key."""
    keys = proxy.root
    return boto3.client("cloudtrail", endpoint_url=proxy.endpoint, region_name=REGION,
                        aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key)


def end_of(key: str) -> str:
    """The moment in a digest's name."""
    return key.removesuffix("_backfill.json.gz").removesuffix(".json.gz")[-16:]


def stamp() -> str:
    """Now, as the aws command takes it."""
    return datetime.now(UTC).strftime(WRITTEN)
