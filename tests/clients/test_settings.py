"""Proxies with other settings than the standard ones, in front of the same store."""

import threading
import time

import pytest

from conftest import new_name, protect
from rig.codes import Codes
from rig.proxy import Proxy
from rig.raw import Raw
from rig.refusals import LIFECYCLE_ON_PROTECTED, MFA_REQUIRED, Refusal, foreign_device, refused
from test_mfa_delete import EXPIRE
from test_versioning_document import document

INSECURE = Refusal(
    400, "InvalidRequest", "Requests specifying x-amz-mfa must be made over a secure connection."
)
PROTECT = document("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>")


@pytest.fixture
def other_proxy(binary, upstream, tmp_path):
    """Starts a further proxy with these variables in its environment."""
    started = []

    def start(**settings: str) -> Proxy:
        started.append(Proxy(binary, tmp_path / "proxy", upstream, {f"PORTCULLIS_{k}": v for k, v in settings.items()}))
        return started[0].start()

    yield start
    for proxy in started:
        proxy.stop()


def a_code_needs_tls_where_the_operator_says_always(other_proxy):
    proxy = other_proxy(MFA__REQUIRE_TLS="always")
    root, name = proxy.client(), new_name()
    root.create_bucket(Bucket=name)
    raw = Raw(proxy.place, proxy.root)

    assert raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT).refusal == INSECURE
    # The forwarded scheme is believed only of proxies that are named.
    told = raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT, extra=[("X-Forwarded-Proto", "https")])
    assert told.refusal == INSECURE


def a_hop_that_ends_tls_counts_where_it_is_named(other_proxy):
    proxy = other_proxy(MFA__REQUIRE_TLS="always", LISTEN__TRUSTED_PROXIES="127.0.0.1/32")
    root, name = proxy.client(), new_name()
    root.create_bucket(Bucket=name)
    raw = Raw(proxy.place, proxy.root)

    def send(*extra):
        return raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT, extra=extra).refusal

    # The transport is judged before the device, so another refusal tells that it was good enough.
    assert send(("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7")) == foreign_device("20899872", "123456")
    assert send(("X-Forwarded-Proto", "http"), ("X-Forwarded-For", "192.0.2.7")) == INSECURE
    assert any(event["sourceIPAddress"] == "192.0.2.7" for event in proxy.events("--bucket", name))


def the_aws_profile_asks_for_a_code_where_aws_does_and_nowhere_else(other_proxy, key):
    proxy = other_proxy(MFA_DELETE__PROFILE="aws")
    codes, root, name = Codes(proxy), proxy.client(), new_name()
    root.create_bucket(Bucket=name)
    null = root.put_object(Bucket=name, Key=key, Body=b"the null version")
    assert null["ResponseMetadata"]["HTTPStatusCode"] == 200
    protect(root, name, codes)
    version = root.put_object(Bucket=name, Key=f"{key}-2", Body=b"x")["VersionId"]

    with refused(MFA_REQUIRED):
        root.delete_object(Bucket=name, Key=f"{key}-2", VersionId=version)
    with refused(MFA_REQUIRED):
        root.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    with refused(LIFECYCLE_ON_PROTECTED):
        root.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=EXPIRE)
    root.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})

    root.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"}, MFA=codes.take())
    root.put_object(Bucket=name, Key=key, Body=b"over it")
    assert root.get_object(Bucket=name, Key=key)["Body"].read() == b"over it"
    root.delete_object(Bucket=name, Key=key)
    with refused(MFA_REQUIRED):
        root.delete_object(Bucket=name, Key=key, VersionId="null")


def a_protected_bucket_without_versions_goes_without_a_code_in_the_aws_profile(other_proxy):
    proxy = other_proxy(MFA_DELETE__PROFILE="aws")
    codes, root, name = Codes(proxy), proxy.client(), new_name()
    root.create_bucket(Bucket=name)
    protect(root, name, codes)

    root.delete_bucket(Bucket=name)
    root.create_bucket(Bucket=name)

    assert "MFADelete" not in root.get_bucket_versioning(Bucket=name)


def an_unknown_setting_in_the_environment_stops_the_start(binary, proxy, tmp_path):
    run = Proxy(binary, tmp_path / "proxy", proxy.upstream, {"PORTCULLIS_MFA_DELETE__PROFIL": "aws"}).run("dev", "--listen", "127.0.0.1:0")

    assert run.returncode == 2
    assert "PORTCULLIS_MFA_DELETE__PROFIL" in run.stderr
    assert not run.stdout


def the_codes_of_new_devices_are_as_long_as_the_operator_chose(other_proxy):
    proxy = other_proxy(MFA__DIGITS="8")

    assert "digits=8" in proxy.json("mfa", "add", "--name", "long", "--no-activate")["otpauthUri"]


def a_code_that_nothing_would_ask_for_is_a_mistake(proxy):
    run = proxy.run("mfa", "add", "--name", "unused", "--no-activate", "--mfa", "20899872 123456")

    assert run.returncode == 2 and "portcullis mfa activate --mfa" in run.stderr
    assert not any(device["name"] == "unused" for device in proxy.json("mfa", "list"))


def an_idle_connection_outlives_the_time_of_a_head_and_ends_without_a_record(other_proxy):
    proxy = other_proxy(LIMITS__HEADER_TIMEOUT="200ms", LIMITS__KEEP_ALIVE="2s")
    with proxy.place.connect() as link:
        for _ in range(2):
            link.sendall(b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")
            assert link.recv(65536).startswith(b"HTTP/1.1 403 ")
            time.sleep(0.6)
        link.settimeout(10)
        assert link.recv(1) == b""
    assert not any(event["eventName"] == "ConnectionError" for event in proxy.events())


def one_client_has_no_more_connections_than_the_operator_says(other_proxy):
    proxy = other_proxy(LIMITS__CONNECTIONS_PER_ADDRESS="1")
    with proxy.place.connect() as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")
        assert link.recv(65536).startswith(b"HTTP/1.1 403 ")
        with proxy.place.connect() as another:
            assert another.recv(65536).startswith(b"HTTP/1.1 503 ")
    turned_away = [event for event in proxy.events() if event["eventName"] == "ConnectionError"]
    assert [event["errorCode"] for event in turned_away] == ["SlowDown"]


def a_document_that_finds_no_room_is_told_to_slow_down(other_proxy):
    proxy = other_proxy(LIMITS__DOCUMENTS="1", LIMITS__BODY_IDLE="1s")
    raw, target = Raw(proxy.place, proxy.root), f"/{new_name()}?versioning"
    lines = raw.signed("PUT", target, body=PROTECT)
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, ("Content-Length", len(PROTECT))])
    with proxy.place.connect() as stalled:
        stalled.sendall(f"PUT {target} HTTP/1.1\r\n{head}\r\n".encode())
        # Trickles, so that it keeps its room while the other one waits.
        stalled.sendall(PROTECT[:1])
        time.sleep(0.2)
        trickle = threading.Timer(0.5, lambda: stalled.sendall(PROTECT[1:2]))
        trickle.start()
        try:
            refusal = raw.send("PUT", target, body=PROTECT).refusal
        finally:
            trickle.join()
    assert (refusal.status, refusal.code) == (503, "SlowDown")
