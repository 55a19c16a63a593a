"""Where a proxy listens, for requests that are written to the socket byte by byte."""

import socket
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Place:
    """An endpoint, and the authority that its certificate must come from, where it has one."""

    endpoint: str
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """What goes into the Host header."""
        return urlsplit(self.endpoint).netloc

    def connect(self) -> socket.socket:
        """A connection that gives up after a while."""
        parts = urlsplit(self.endpoint)
        link = socket.create_connection((parts.hostname, parts.port), timeout=30)
        return self._trust().wrap_socket(link, server_hostname=parts.hostname) if self.ca_file else link

    def open(self, url: str):
        """Reads a whole URL, as curl does."""
        return urllib.request.urlopen(url, timeout=10, context=self._trust() if self.ca_file else None)

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)
