"""S3 in as few instructions as will do, so that the clients keep the proxy busy and not themselves."""

import base64
import hashlib
import hmac
import http.client
import re
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from rig.clients import REGION, Credentials
from rig.proxy import Proxy

LIMIT = 60


@dataclass
class Answer:
    """What came back of one request, as far as it came."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    # There was no connection to send it on.
    sent: bool = True

    @property
    def code(self) -> str | None:
        """The error's code."""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return found and found[1].decode()


class Link:
    """One client's connection, made again when it breaks; a request is sent once and never again."""

    def __init__(self, proxy: Proxy, credentials: Credentials):
        self.proxy = proxy
        self.host = urlsplit(proxy.endpoint).netloc
        self.credentials = credentials
        self.connection = None
        # The process at the other end: a request on a connection to one that is gone would be lost for nothing.
        self.peer = None

    def send(self, method: str, path: str, query: dict | None = None, headers: dict | None = None, body: bytes = b"",
             spoil: bool = False) -> Answer:
        """Signs a request, sends it and reads what comes."""
        asked = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                         for name, value in sorted((query or {}).items()))
        lines = signed(method, self.host, quote(path, safe="/-_.~"), asked, headers or {}, body, self.credentials)
        if spoil:
            lines["authorization"] = lines["authorization"][:-4] + "0000"
        return self.exchange(method, quote(path, safe="/-_.~") + (f"?{asked}" if asked else ""), lines, body)

    def exchange(self, method: str, target: str, lines: dict, body: bytes) -> Answer:
        """Sends a request as it is given."""
        answer = Answer()
        if self.peer is not self.proxy.process:
            self.close()
        if self.connection is None:
            self.peer = self.proxy.process
            host, port = self.host.split(":")
            self.connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT)
            try:
                self.connection.connect()
            except OSError:
                self.close()
                return Answer(sent=False)
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.connection.request(method, target, body or None, lines)
            reply = self.connection.getresponse()
            answer.status = reply.status
            answer.headers = {name.lower(): value for name, value in reply.getheaders()}
            answer.body = reply.read()
            answer.whole = True
            if reply.will_close:
                self.close()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, http.client.IncompleteRead):
                answer.body = error.partial
            self.close()
        return answer

    def close(self) -> None:
        """Leaves the connection."""
        if self.connection:
            self.connection.close()
        self.connection = None


def signed(method: str, host: str, path: str, query: str, headers: dict, body: bytes, keys: Credentials,
           service: str = "s3") -> dict:
    """The headers of a request with its SigV4 signature, every one of them signed."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    lines = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
    lines = {name.lower(): value for name, value in lines.items()}
    names = sorted(lines)
    canonical = "\n".join([method, path, query, *(f"{name}:{lines[name]}" for name in names), "", ";".join(names), digest])
    scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + keys.secret_key.encode()
    for part in (now[:8], REGION, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    lines["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return lines


def md5(body: bytes) -> str:
    """`Content-MD5`."""
    return base64.b64encode(hashlib.md5(body).digest()).decode()


class AdminLink:
    """The admin socket, a connection for each question."""

    def __init__(self, path: str):
        self.path = path

    def ask(self, action: str, tag: str, **parameters) -> Answer:
        """Asks one IAM question."""
        form = "&".join([f"Action={action}", "Version=2010-05-08",
                         *(f"{name}={quote(value, safe='')}" for name, value in parameters.items())]).encode()
        head = (f"POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {tag}\r\nContent-Length: {len(form)}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n").encode()
        received = b""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(LIMIT)
                try:
                    link.connect(self.path)
                except OSError:
                    return Answer(sent=False)
                link.sendall(head + form)
                while part := link.recv(65536):
                    received += part
        except OSError:
            pass
        head, end, body = received.partition(b"\r\n\r\n")
        if not end:
            return Answer()
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        whole = length is not None and len(body) == int(length[1])
        return Answer(int(head.split()[1]), {}, body, whole)
