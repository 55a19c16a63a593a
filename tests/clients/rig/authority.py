"""A certificate authority of the tests' own, and the certificate that it gives a proxy on this machine."""

import subprocess
from pathlib import Path


class Authority:
    """Made with openssl, in a directory of its own."""

    def __init__(self, directory: Path):
        self.certificate = directory / "ca.pem"
        self.cert_file, self.key_file = directory / "proxy.pem", directory / "proxy.key"
        ca_key, request, names = directory / "ca.key", directory / "proxy.csr", directory / "names"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", self.certificate, "-days", 2, "-subj", "/CN=tests")
        openssl("req", "-new", *curve, "-keyout", self.key_file, "-out", request, "-subj", "/CN=localhost")
        signed_by = ("-CA", self.certificate, "-CAkey", ca_key, "-CAcreateserial")
        openssl("x509", "-req", "-in", request, *signed_by, "-days", 2, "-extfile", names, "-out", self.cert_file)
        self.key_file.chmod(0o600)

    @property
    def settings(self) -> dict[str, str]:
        """What a proxy needs to serve with the certificate, and its commands to trust it."""
        return {
            "PORTCULLIS_LISTEN__CERT_FILE": str(self.cert_file),
            "PORTCULLIS_LISTEN__KEY_FILE": str(self.key_file),
            "AWS_CA_BUNDLE": str(self.certificate),
        }


def openssl(*arguments) -> None:
    run = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"openssl {arguments[0]}: {run.stderr}"
