"""The clients: each does its own mixed work, as fast as it gets answers."""

import random
import re
import socket
import threading
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError, ClientError
from ledger import Entry, Ledger
from wire import AdminLink, Answer, Link, md5
from world import World

VERSIONING = '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</VersioningConfiguration>'


class Traffic:
    """Lets the clients work, or has them wait."""

    def __init__(self):
        self._turn = threading.Condition()
        self._open = False
        self._ended = False
        self._working = 0
        self.started = 0

    def enter(self) -> bool:
        """Waits until a request may be sent; false when it is all over."""
        with self._turn:
            self._turn.wait_for(lambda: self._open or self._ended)
            if self._ended:
                return False
            self._working += 1
            self.started += 1
            self._turn.notify_all()
            return True

    def leave(self) -> None:
        """The request has come to its end."""
        with self._turn:
            self._working -= 1
            self._turn.notify_all()

    def let(self) -> None:
        """Lets the clients work."""
        with self._turn:
            self._open = True
            self._turn.notify_all()

    def until(self, started: int, limit: float) -> None:
        """Returns when so many requests were begun."""
        with self._turn:
            self._turn.wait_for(lambda: self.started >= started, limit)

    def halt(self) -> None:
        """Sends no further request, and returns when those under way have ended."""
        with self._turn:
            self._open = False
            assert self._turn.wait_for(lambda: self._working == 0, 120), "a client waits for ever"

    def end(self) -> None:
        """Sends the clients home."""
        with self._turn:
            self._open, self._ended = False, True
            self._turn.notify_all()


class Client(threading.Thread):
    """One client; its choices come from a generator of its own."""

    def __init__(self, name: str, seed: str, world: World, traffic: Traffic, ledger: Ledger):
        super().__init__(name=name, daemon=True)
        self.random = random.Random(f"{seed}/{name}")
        self.world, self.traffic, self.ledger = world, traffic, ledger
        self.number = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Works until the traffic ends."""
        while self.traffic.enter():
            try:
                self.step()
            except Exception as error:  # pylint: disable=broad-except; the harness tells it
                self.failure = self.failure or error
            finally:
                self.traffic.leave()

    def step(self) -> None:
        """One request."""
        raise NotImplementedError

    def choose(self, *ways) -> None:
        """Takes one of the (weight, work) given."""
        self.random.choices([work for _, work in ways], [weight for weight, _ in ways])[0]()

    def fresh_key(self) -> str:
        """A key that is not used yet."""
        self.number += 1
        return f"{self.name}/{self.number}"

    def body(self) -> bytes:
        """Content of an object, mostly small."""
        size = self.random.choices([0, 700, 9_000, 300_000], [1, 12, 5, 1])[0]
        return self.random.randbytes(size)

    def enter(self, entry: Entry, answer: Answer) -> Entry:
        """Puts into the ledger what came back."""
        if not answer.sent:
            return entry
        entry.status, entry.code = answer.status, answer.code
        entry.request_id = answer.headers.get("x-amz-request-id") or answer.headers.get("x-amzn-requestid")
        entry.acknowledged = answer.whole
        entry.undone = answer.whole and b"was not carried out" in answer.body
        self.ledger.enter(entry)
        return entry


class S3Client(Client):
    """A client over HTTP with one key."""

    def __init__(self, *arguments, credentials):
        super().__init__(*arguments)
        self.link = Link(self.world.proxy, credentials)

    def call(self, event, method, bucket=None, key=None, *, query=None, headers=None, body=b"", offer=None, keys=(),
             spoil=False) -> tuple[Entry, Answer]:
        """Sends one request and enters it."""
        query, headers = query or {}, dict(headers or {})
        entry = Entry(self.ledger.tag(), event, self.name, bucket, key, query.get("versionId"), tuple(keys), offer,
                      changes=method not in ("GET", "HEAD"))
        headers["user-agent"] = entry.tag
        if offer:
            headers["x-amz-mfa"] = offer
        path = "/" + "/".join(part for part in (bucket, key) if part)
        answer = self.link.send(method, path, query, headers, body, spoil)
        return self.enter(entry, answer), answer

    def put(self, bucket: str, key: str | None = None) -> Entry:
        """Writes an object."""
        key = key or self.fresh_key()
        entry, answer = self.call("PutObject", "PUT", bucket, key, body=self.body())
        self.world.wrote(entry, answer.headers.get("x-amz-version-id"))
        return entry

    def batch(self, bucket: str, doomed: list[tuple[str, str | None]], offer: str | None = None) -> Entry:
        """DeleteObjects."""
        entries = "".join(
            f"<Object><Key>{escape(key)}</Key>{f'<VersionId>{version}</VersionId>' if version else ''}</Object>"
            for key, version in doomed
        )
        body = f"<Delete>{entries}</Delete>".encode()
        entry, answer = self.call("DeleteObjects", "POST", bucket, query={"delete": ""}, body=body, offer=offer,
                                  headers={"content-md5": md5(body)}, keys=[key for key, _ in doomed])
        if entry.done and b"<Error>" in answer.body:
            entry.code = "partly"
        return entry

    def versioning(self, bucket: str, status: str, mfa: str | None = None, offer: str | None = None) -> Entry:
        """PutBucketVersioning."""
        inner = f"<Status>{status}</Status>" + (f"<MfaDelete>{mfa}</MfaDelete>" if mfa else "")
        entry, _ = self.call("PutBucketVersioning", "PUT", bucket, query={"versioning": ""},
                             body=VERSIONING.format(inner).encode(), offer=offer)
        return entry


class Worker(S3Client):
    """Ordinary work, and attempts at what must not be."""

    def step(self) -> None:
        world = self.world
        self.choose(
            (20, lambda: self.put(world.plain)),
            (8, lambda: self.put(world.vault)),
            (12, self.get),
            (4, self.head),
            (3, lambda: self.call("ListObjects", "GET", world.plain, query={"list-type": "2", "max-keys": "20"})),
            (2, lambda: self.call("ListObjectVersions", "GET", world.vault, query={"versions": "", "max-keys": "20"})),
            (2, lambda: self.call("GetBucketVersioning", "GET", world.vault, query={"versioning": ""})),
            (8, self.hide),
            (5, self.delete_version),
            (5, self.delete_protected_version),
            (5, self.batch_of_keys),
            (3, self.batch_of_versions),
            (2, self.batch_of_protected_versions),
            (3, self.copy),
            (3, self.tag),
            (5, self.multipart),
            (2, self.bucket),
            (2, self.not_signed_well),
        )

    def get(self) -> None:
        found = self.world.some(self.random, self.world.plain)
        key = found[0] if found else "none"
        self.call("GetObject", "GET", self.world.plain, key)

    def head(self) -> None:
        found = self.world.some(self.random, self.world.vault)
        self.call("HeadObject", "HEAD", self.world.vault, found[0] if found else "none")

    def hide(self) -> None:
        bucket = self.random.choice([self.world.plain, self.world.vault])
        found = self.world.some(self.random, bucket)
        if found:
            self.call("DeleteObject", "DELETE", bucket, found[0])

    def delete_version(self) -> None:
        found = self.world.pop(self.random, self.world.plain)
        if found:
            self.call("DeleteObject", "DELETE", self.world.plain, found[0], query={"versionId": found[1]})

    def delete_protected_version(self) -> None:
        found = self.world.some(self.random, self.world.vault)
        if found:
            self.call("DeleteObject", "DELETE", self.world.vault, found[0], query={"versionId": found[1]})

    def batch_of_keys(self) -> None:
        bucket = self.random.choice([self.world.plain, self.world.vault])
        count = self.random.choices([3, 40, 250], [10, 4, 1])[0]
        prefix = self.fresh_key()
        self.batch(bucket, [(f"{prefix}/{number}", None) for number in range(count)])

    def batch_of_versions(self) -> None:
        doomed = [self.world.pop(self.random, self.world.plain) for _ in range(self.random.randint(1, 6))]
        doomed = list(dict.fromkeys(found for found in doomed if found))
        if doomed:
            self.batch(self.world.plain, doomed)

    def batch_of_protected_versions(self) -> None:
        found = self.world.some(self.random, self.world.vault)
        if found:
            self.batch(self.world.vault, [found, (self.fresh_key(), None)])

    def copy(self) -> None:
        found = self.world.some(self.random, self.world.plain)
        if found:
            source = f"/{self.world.plain}/{found[0]}?versionId={found[1]}"
            self.call("CopyObject", "PUT", self.world.plain, self.fresh_key(), headers={"x-amz-copy-source": source})

    def tag(self) -> None:
        found = self.world.some(self.random, self.world.plain)
        if found:
            body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
            self.call("PutObjectTagging", "PUT", self.world.plain, found[0], query={"tagging": ""}, body=body,
                      headers={"content-md5": md5(body)})

    def multipart(self) -> None:
        """A whole upload, as far as it gets; the traffic counts it as one."""
        bucket = self.random.choice([self.world.plain, self.world.vault])
        key = self.fresh_key()
        begun, answer = self.call("CreateMultipartUpload", "POST", bucket, key, query={"uploads": ""})
        upload = re.search(rb"<UploadId>([^<]+)</UploadId>", answer.body)
        if not begun.done or not upload:
            return
        upload = upload[1].decode()
        part, answer = self.call("UploadPart", "PUT", bucket, key, query={"partNumber": "1", "uploadId": upload},
                                 body=self.body())
        if not part.done:
            return
        if self.random.random() < 0.25:
            self.call("AbortMultipartUpload", "DELETE", bucket, key, query={"uploadId": upload})
            return
        etag = answer.headers.get("etag", "")
        body = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{escape(etag)}</ETag></Part>"
                "</CompleteMultipartUpload>").encode()
        entry, answer = self.call("CompleteMultipartUpload", "POST", bucket, key, query={"uploadId": upload}, body=body)
        self.world.wrote(entry, answer.headers.get("x-amz-version-id"))

    def bucket(self) -> None:
        self.number += 1
        name = f"{self.name.lower()}-{self.number}-{self.world.nonce}"
        made, _ = self.call("CreateBucket", "PUT", name)
        if made.done and self.random.random() < 0.7:
            self.call("DeleteBucket", "DELETE", name)

    def not_signed_well(self) -> None:
        self.call("PutObject", "PUT", self.world.vault, self.fresh_key(), body=b"forged", spoil=True)


class Owner(S3Client):
    """Root with the devices: does with a code what cannot be done without."""

    def step(self) -> None:
        world = self.world
        self.choose(
            (4, lambda: self.put(world.vault)),
            (3, self.spend),
            (1, lambda: self.versioning(world.vault, "Suspended")),
            (1, lambda: self.versioning(self.random.choice(world.loose), self.random.choice(["Enabled", "Suspended"]))),
        )

    def spend(self) -> None:
        offer = self.world.codes.take()
        if offer is None:
            self.put(self.world.vault)
            return
        self.choose((3, lambda: self.destroy(offer)), (2, lambda: self.destroy_several(offer)), (3, lambda: self.flip(offer)))

    def destroy(self, offer: str) -> None:
        found = self.world.pop(self.random, self.world.vault)
        if found:
            self.call("DeleteObject", "DELETE", self.world.vault, found[0], query={"versionId": found[1]}, offer=offer)

    def destroy_several(self, offer: str) -> None:
        doomed = [self.world.pop(self.random, self.world.vault) for _ in range(self.random.randint(1, 4))]
        doomed = list(dict.fromkeys(found for found in doomed if found))
        if doomed:
            self.batch(self.world.vault, doomed, offer)

    def flip(self, offer: str) -> None:
        bucket, now = self.world.flip(self.random)
        entry = self.versioning(bucket, "Enabled", "Disabled" if now else "Enabled", offer)
        self.world.flipped(bucket, not now, entry)


class Sdk(Client):
    """boto3, as most clients are."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.client = self.world.proxy.client()
        self.client.meta.events.register("before-send.s3", self._name_it)
        self.entry = None

    def _name_it(self, request, **_):
        # After the signature, of which the user agent is no part.
        request.headers["User-Agent"] = self.entry.tag

    def step(self) -> None:
        self.choose(
            (4, lambda: self.call("PutObject", "put_object", Key=self.fresh_key(), Body=self.body())),
            (3, lambda: self.call("GetObject", "get_object", Key=self.known())),
            (2, lambda: self.call("DeleteObject", "delete_object", Key=self.fresh_key())),
            (1, lambda: self.call("ListObjects", "list_objects_v2", MaxKeys=10)),
        )

    def known(self) -> str:
        found = self.world.some(self.random, self.world.plain)
        return found[0] if found else "none"

    def call(self, event: str, method: str, **parameters) -> None:
        """One call of the SDK."""
        self.entry = Entry(self.ledger.tag(), event, self.name, self.world.plain, parameters.get("Key"),
                           changes=method not in ("get_object", "list_objects_v2"))
        answer = Answer()
        try:
            said = getattr(self.client, method)(Bucket=self.world.plain, **parameters)
            answer = self._answer(said)
            if "Body" in said:
                answer.whole = False
                said["Body"].read()
            answer.whole = True
        except ClientError as error:
            answer = self._answer(error.response)
            answer.whole = answer.status is not None
            said = error.response["Error"]
            answer.body = f"<Code>{said['Code']}</Code><Message>{said.get('Message', '')}</Message>".encode()
        except (BotoCoreError, OSError) as error:
            answer.sent = "Could not connect" not in str(error)
        except Exception as error:  # pylint: disable=broad-except; urllib3's own come through where a body breaks off
            if type(error).__module__.split(".")[0] != "urllib3":
                raise
        self.enter(self.entry, answer)

    @staticmethod
    def _answer(said: dict) -> Answer:
        metadata = said.get("ResponseMetadata", {})
        headers = {name.lower(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
        return Answer(metadata.get("HTTPStatusCode"), headers)


class Operator(Client):
    """Users and keys, through the admin socket."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.link = AdminLink(str(self.world.proxy.state / "admin.sock"))
        self.users: list[str] = []

    def step(self) -> None:
        self.choose((5, self.add), (3, self.remove), (3, lambda: self.ask("ListUsers")), (2, lambda: self.ask("ListVirtualMFADevices")))

    def add(self) -> None:
        self.number += 1
        user = f"crash-{self.number}"
        if self.ask("CreateUser", UserName=user).done:
            self.users.append(user)
            self.ask("CreateAccessKey", UserName=user)

    def remove(self) -> None:
        if self.users:
            self.ask("GetUser", UserName=self.users.pop(0))

    def ask(self, action: str, **parameters) -> Entry:
        """One question."""
        entry = Entry(self.ledger.tag(), action, self.name, key=parameters.get("UserName"),
                      changes=not action.startswith(("List", "Get")))
        answer = self.link.ask(action, entry.tag, **parameters)
        found = re.search(rb"<RequestId>([^<]+)</RequestId>", answer.body)
        answer.headers["x-amz-request-id"] = found[1].decode() if found else None
        self.enter(entry, answer)
        if entry.code:
            entry.code += "Exception"  # As CloudTrail names IAM's errors.
        return entry


class Lout(Client):
    """No client at all: leaves in the middle, or says what is not HTTP."""

    def step(self) -> None:
        host, port = self.world.proxy.place.host.split(":")
        said = self.random.choice([
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"PUT /vault/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ])
        try:
            with socket.create_connection((host, int(port)), timeout=10) as link:
                link.sendall(said)
                link.settimeout(self.random.uniform(0.001, 0.05))
                while link.recv(4096):
                    pass
        except OSError:
            pass
