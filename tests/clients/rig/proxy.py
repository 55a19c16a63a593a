"""The binary under test, run as a user runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from .authority import Authority
from .clients import REGION, AwsCli, Credentials, s3
from .place import Place
from .upstreams import Upstream

READY = "portcullis listening on "


class CommandFailed(AssertionError):
    """A command that should have succeeded did not."""


class Proxy:
    """`portcullis dev` with its state in a directory of its own."""

    def __init__(
        self,
        binary: Path,
        directory: Path,
        upstream: Upstream,
        environment: dict[str, str] | None = None,
        authority: Authority | None = None,
    ):
        self.binary = binary
        self.directory = directory
        self.state = directory / "state"
        self.upstream = upstream
        self.listen = "127.0.0.1:0"
        # Over TLS, where there is an authority to certify the proxy; in the clear else.
        self.authority = authority
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PORTCULLIS_"))},
            "PORTCULLIS_DATA": str(self.state),
            "HOME": str(directory),
            **(authority.settings if authority else {}),
            **(environment or {}),
        }
        self.process = None
        self.said = []
        directory.mkdir(parents=True, exist_ok=True)

    # Life

    def start(self) -> "Proxy":
        """Starts the proxy and returns when it serves."""
        command = [str(self.binary), "dev", "--data", str(self.state), "--listen", self.listen]
        environment = dict(self.environment)
        if self.upstream.endpoint:
            keys = self.directory / "upstream.env"
            keys.touch(mode=0o600)
            keys.write_text(
                f"AWS_ACCESS_KEY_ID={self.upstream.credentials.access_key}\n"
                f"AWS_SECRET_ACCESS_KEY={self.upstream.credentials.secret_key}\n"
                f"AWS_DEFAULT_REGION={REGION}\n"
            )
            command += ["--upstream", self.upstream.endpoint, "--upstream-credentials", str(keys)]
            environment["PORTCULLIS_UPSTREAM__PROFILE"] = self.upstream.profile
        ready = threading.Event()
        self.process = self.launch(command, environment)
        self.said = []
        threading.Thread(target=self._listen, args=(self.process.stdout, ready), daemon=True).start()
        assert ready.wait(60) and self.endpoint, f"the proxy does not serve: {self.log()[-2000:]}"
        # A later start takes the same address, as a user's exports expect.
        self.listen = urlsplit(self.endpoint).netloc
        return self

    def launch(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen:
        """Starts the process, with its log in a file."""
        with (self.directory / "stderr.log").open("ab") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)

    def _listen(self, lines, ready: threading.Event) -> None:
        for line in lines:
            text = line.decode().rstrip("\n")
            self.said.append(text)
            if text.startswith(READY):
                ready.set()
        ready.set()

    @property
    def endpoint(self) -> str | None:
        """Where the proxy says it listens."""
        return next((line.removeprefix(READY).strip() for line in self.said if line.startswith(READY)), None)

    @property
    def store(self) -> Upstream:
        """The store behind the proxy; where it is the proxy's own, with its address as the banner tells it."""
        if self.upstream.endpoint:
            return self.upstream
        told = re.search(r"^\s*store\s+(http://\S+)", "\n".join(self.said), re.M)
        lines = (self.state / "store.env").read_text().split()
        keys = dict(line.split("=", 1) for line in lines)
        return replace(
            self.upstream,
            endpoint=told[1],
            credentials=Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]),
        )

    def stop(self) -> None:
        """Ends the proxy as an operator does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) is not None

    def kill(self) -> None:
        """Ends the proxy as a power switch does."""
        self.process.kill()
        self.process.wait(10)

    def log(self) -> str:
        """What the proxy wrote on stderr."""
        return (self.directory / "stderr.log").read_text(errors="replace")

    # Its clients

    @property
    def ca_file(self) -> Path | None:
        """The certificate that its clients trust, where it serves over TLS."""
        return self.authority.certificate if self.authority else None

    @property
    def place(self) -> Place:
        """Where and how it is reached by those who write to the socket themselves."""
        return Place(self.endpoint, self.ca_file)

    @property
    def exports(self) -> dict[str, str]:
        """The variables of `root.env`."""
        words = (shlex.split(line) for line in (self.state / "root.env").read_text().splitlines() if line.strip())
        return dict(word.split("=", 1) for line in words for word in line if "=" in word)

    @property
    def root(self) -> Credentials:
        """Root's access key."""
        return Credentials(self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"])

    def client(self, credentials: Credentials | None = None, **options):
        """A boto3 client of this proxy, root's unless told otherwise."""
        return s3(self.endpoint, credentials or self.root, self.ca_file, **options)

    def aws(self, credentials: Credentials | None = None) -> AwsCli:
        """The aws command with this proxy's exports."""
        return AwsCli(self.endpoint, credentials or self.root, self.directory, self.ca_file)

    # Its commands

    def run(self, *arguments, input: str | None = None) -> subprocess.CompletedProcess:
        """Runs one of the proxy's commands with root's exports, whatever becomes of it."""
        exports = self.exports if (self.state / "root.env").exists() else {}
        return subprocess.run(
            [str(self.binary), *map(str, arguments)],
            env={**self.environment, **exports},
            input=input or "",
            capture_output=True,
            text=True,
            timeout=60,
        )

    def command(self, *arguments) -> str:
        """Runs one command that must succeed, and returns what it printed."""
        run = self.run(*arguments)
        if run.returncode != 0:
            raise CommandFailed(f"portcullis {arguments[0]} {arguments[1:2]}: {run.returncode}: {run.stderr.strip()}")
        return run.stdout

    def json(self, *arguments):
        """Runs one command with `--json` and returns what it says."""
        return json.loads(self.command(*arguments, "--json"))

    # Its records

    def events(self, *filters) -> list[dict]:
        """The recorded events, oldest first."""
        lines = self.command("events", "--json", *filters).splitlines()
        return sorted((json.loads(line) for line in lines if line.strip()), key=lambda event: event["eventTime"])

    def events_of(self, request_id: str) -> list[dict]:
        """The events of one request: its record is there before its reply has ended, so nothing is waited for."""
        return [event for event in self.events() if event["requestID"] == request_id]

    def event_of(self, request_id: str) -> dict:
        """The one event of one request."""
        found = self.events_of(request_id)
        assert len(found) == 1, f"{len(found)} events for {request_id}"
        return found[0]
