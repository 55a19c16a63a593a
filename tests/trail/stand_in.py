"""As much of AWS as `aws cloudtrail validate-logs` asks, over files and keys of our own: no proxy signs a forgery."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from archive import Archive, File


class Forger:
    """The holder of the key that signs."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.der = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        self.fingerprint = hashlib.md5(self.der).hexdigest()

    def public_keys(self) -> dict:
        """The answer of ListPublicKeys."""
        value = base64.b64encode(self.der).decode()
        return {"PublicKeyList": [{"Value": value, "Fingerprint": self.fingerprint,
                                   "ValidityStartTime": 1_500_000_000, "ValidityEndTime": 4_000_000_000}]}

    def sign(self, file: File, content: dict, algorithm=hashes.SHA256) -> File:
        """A digest with this content, signed."""
        signed = file.holding(content)
        plain = json.dumps(content).encode()
        text = "\n".join([content["digestEndTime"], f"{content['digestS3Bucket']}/{content['digestS3Object']}",
                          hashlib.sha256(plain).hexdigest(), content["previousDigestSignature"] or "null"])
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm()).hex()
        return replace(signed, metadata={**file.metadata, "signature": signature})

    def sign_all(self, archive: Archive, keys: list[str]) -> dict[str, File]:
        """The digests of these keys as one chain of the forger's, with the logs they name."""
        made, previous = {}, None
        for key in keys:
            content = {**archive.files[key].content, "digestPublicKeyFingerprint": self.fingerprint}
            if previous is None:
                content |= dict.fromkeys((name for name in content if name.startswith("previousDigest")), None)
            else:
                content["previousDigestSignature"] = made[previous].metadata["signature"]
                plain = json.dumps(made[previous].content).encode()
                content["previousDigestHashValue"] = hashlib.sha256(plain).hexdigest()
                # The signer knows that the proxy says it twice.
                content["portcullis"]["previousDigest"]["hashValue"] = content["previousDigestHashValue"]
            made[key] = self.sign(archive.files[key], content)
            made |= {log["s3Object"]: archive.files[log["s3Object"]] for log in content["logFiles"]}
            previous = key
        return made


@contextmanager
def serving(archive: Archive, forger: Forger, files: dict[str, File]):
    """Serves the files and the forger's key; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
            trail = {"TrailARN": archive.arn, "S3BucketName": archive.bucket, "HomeRegion": "us-east-1",
                     "Name": archive.arn.rsplit("/", 1)[1]}
            answers = {"DescribeTrails": {"trailList": [trail]}, "ListPublicKeys": forger.public_keys()}
            self.answer(200, json.dumps(answers[operation]).encode(), "application/x-amz-json-1.1")

        def do_GET(self):
            asked = urlsplit(self.path)
            query = parse_qs(asked.query, keep_blank_values=True)
            key = unquote(asked.path.removeprefix(f"/{archive.bucket}").lstrip("/"))
            if "location" in query:
                self.answer(200, b"<LocationConstraint/>")
            elif not key:
                prefix, marker = query.get("prefix", [""])[0], query.get("marker", [""])[0]
                found = sorted(name for name in files if name.startswith(prefix) and name > marker)
                listed = "".join(f"<Contents><Key>{escape(name)}</Key></Contents>" for name in found)
                self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>".encode())
            elif key in files:
                self.answer(200, files[key].body, "application/gzip", files[key].metadata)
            else:
                self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>No such key.</Message></Error>")

        def answer(self, status, body, kind="application/xml", metadata=None):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (metadata or {}).items():
                self.send_header(f"x-amz-meta-{name}", value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
