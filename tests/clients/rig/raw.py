"""Requests that no well-behaved client sends: signed by botocore, written to the socket byte by byte."""

import hashlib
import hmac
import re
import socket
from dataclasses import dataclass
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from .clients import REGION, Credentials
from .place import Place
from .refusals import Refusal

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> Refusal:
        """The error in the body."""
        root = ElementTree.fromstring(self.body)
        return Refusal(self.status, root.findtext("Code"), root.findtext("Message"))

    def element(self, name: str) -> str | None:
        """One element of the error in the body."""
        return ElementTree.fromstring(self.body).findtext(name)


@dataclass
class Raw:
    """Sends requests with one key to one proxy."""

    place: Place
    credentials: Credentials

    @property
    def endpoint(self) -> str:
        return self.place.endpoint

    def signed(self, method: str, target: str, headers=None, body: bytes = b"", payload: str | None = None):
        """The headers botocore would send for this target, in the order it would send them."""
        headers = dict(headers or {})
        request = AWSRequest(method, self.endpoint + target, headers=headers, data=body)
        request.headers["X-Amz-Content-SHA256"] = payload or hashlib.sha256(body).hexdigest()
        signer = _Signer(self._keys(), "s3", REGION)
        signer.payload_hash = request.headers["X-Amz-Content-SHA256"]
        signer.add_auth(request)
        return [("Host", self.place.host), *((name, str(value)) for name, value in request.headers.items())]

    def presigned(self, method: str, target: str, expires: int = 300) -> str:
        """The target with its signature in the query."""
        request = AWSRequest(method, self.endpoint + target)
        S3SigV4QueryAuth(self._keys(), "s3", REGION, expires=expires).add_auth(request)
        return request.url.removeprefix(self.endpoint)

    def send(self, method: str, target: str, headers=None, body: bytes = b"", signed_target=None, extra=(), payload=None):
        """Signs `signed_target` (else the target), then sends the target with the further header lines."""
        lines = [*self.signed(method, signed_target or target, headers, body, payload), *extra]
        return exchange(self.place, method, target, lines, body)

    def chunked(self, target: str, chunks: list[bytes], trailer=None, spoil=None) -> Reply:
        """A PUT in aws-chunked form: signed chunks, with or without a trailer, one of them spoilt if asked."""
        size = sum(map(len, chunks))
        headers = {"x-amz-decoded-content-length": str(size), "content-encoding": "aws-chunked"}
        payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        if trailer:
            headers["x-amz-trailer"] = trailer[0]
            payload += "-TRAILER"
        lines = self.signed("PUT", target, headers, payload=payload)
        body = self._sign_chunks(dict(lines), chunks, trailer, spoil)
        return exchange(self.place, "PUT", target, lines, body)

    def unsigned_trailer(self, target: str, chunks: list[bytes], trailer, headers=None) -> Reply:
        """A PUT as current SDKs send it over TLS: unsigned chunks and a checksum at the end."""
        size = sum(map(len, chunks))
        named = {
            "x-amz-decoded-content-length": str(size),
            "content-encoding": "aws-chunked",
            "x-amz-trailer": trailer[0],
            **(headers or {}),
        }
        lines = self.signed("PUT", target, named, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        body += b"0\r\n" + f"{trailer[0]}:{trailer[1]}\r\n\r\n".encode()
        return exchange(self.place, "PUT", target, lines, body)

    def _keys(self) -> BotoCredentials:
        keys = self.credentials
        return BotoCredentials(keys.access_key, keys.secret_key, keys.session_token)

    def _sign_chunks(self, headers: dict[str, str], chunks, trailer, spoil) -> bytes:
        moment, previous = headers["X-Amz-Date"], headers["Authorization"].rsplit("Signature=", 1)[1]
        scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
        key = b"AWS4" + self.credentials.secret_key.encode()
        for part in (moment[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()

        def sign(kind: str, *rest: str) -> str:
            text = "\n".join([kind, moment, scope, previous, *rest])
            return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

        body = b""
        for index, chunk in enumerate([*chunks, b""]):
            previous = sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, hashlib.sha256(chunk).hexdigest())
            sent = chunk if spoil != index else bytes([chunk[0] ^ 1]) + chunk[1:]
            body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + sent
            body += b"\r\n" if chunk or not trailer else b""
        if trailer:
            line = f"{trailer[0]}:{trailer[1]}"
            signature = sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
            body += f"{line}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()
        return body


class _Signer(S3SigV4Auth):
    payload_hash = ""

    def payload(self, request) -> str:
        return self.payload_hash


def exchange(place: Place, method: str, target: str, headers, body: bytes = b"") -> Reply:
    """Writes one request as given and reads its reply."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    names = {name.lower() for name, _ in headers}
    if not names & {"content-length", "transfer-encoding"} and (body or method in ("PUT", "POST")):
        lines.append(f"Content-Length: {len(body)}")
    lines += ["Connection: close", "", ""]
    with place.connect() as link:
        try:
            link.sendall("\r\n".join(lines).encode("latin-1") + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # A proxy that has refused need not read the rest.
        received = b""
        while part := _receive(link):
            received += part
    return parse(received)


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(65536)
    except ConnectionResetError:
        return b""


def parse(received: bytes) -> Reply:
    """Reads a whole reply."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    match = re.match(r"HTTP/1\.[01] (\d{3})", lines[0])
    assert match, f"not an HTTP reply: {received[:200]!r}"
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _dechunk(body)
    return Reply(int(match[1]), headers, body)


def _dechunk(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole
