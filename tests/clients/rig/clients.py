"""Stock clients, made so that one call is one request."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """An access key."""

    access_key: str
    secret_key: str
    session_token: str | None = None


def s3(endpoint: str, credentials: Credentials, ca_file: Path | None = None, **options):
    """A boto3 client that neither retries nor reads the machine's own configuration."""
    options = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **options}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        verify=str(ca_file) if ca_file else None,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
        config=Config(read_timeout=60, connect_timeout=5, **options),
    )


class AwsCli:
    """The aws command as a user with these exports has it."""

    def __init__(self, endpoint: str, credentials: Credentials, home: Path, ca_file: Path | None = None):
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            **({"AWS_CA_BUNDLE": str(ca_file)} if ca_file else {}),
        }

    def with_sigv4(self) -> "AwsCli":
        """The same command, told to presign as SigV4; aws-cli's first version still presigns as SigV2."""
        config = self.home / "sigv4.config"
        config.write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        self.environment["AWS_CONFIG_FILE"] = str(config)
        return self

    def run(self, *arguments, input: bytes | None = None) -> subprocess.CompletedProcess:
        """Runs one command, whatever becomes of it."""
        # The script next to this interpreter, so that it is the pinned version.
        command = [sys.executable, str(Path(sys.executable).parent / "aws"), *map(str, arguments)]
        return subprocess.run(command, env=self.environment, input=input, capture_output=True, timeout=300)

    def __call__(self, *arguments, input: bytes | None = None):
        """Runs one command that must succeed, and returns its JSON, text or None."""
        run = self.run(*arguments, input=input)
        assert run.returncode == 0, f"aws {' '.join(map(str, arguments))}: {run.stderr.decode()}"
        text = run.stdout.decode()
        try:
            return json.loads(text) if text.strip() else None
        except json.JSONDecodeError:
            return text

    def fails(self, *arguments) -> str:
        """Runs one command that must fail, and returns what it says."""
        run = self.run(*arguments)
        assert run.returncode != 0, f"aws {' '.join(map(str, arguments))} succeeded: {run.stdout.decode()}"
        return run.stderr.decode().strip()
