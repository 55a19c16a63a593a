"""Gates with other settings than the standard ones, in front of the same store."""

import pytest

from conftest import new_name, protect
from rig.codes import Codes
from rig.gate import Gate
from rig.raw import Raw
from rig.refusals import LIFECYCLE_ON_PROTECTED, MFA_REQUIRED, Refusal, foreign_device, refused
from test_mfa_delete import EXPIRE
from test_versioning_document import document

INSECURE = Refusal(
    400, "InvalidRequest", "Requests specifying x-amz-mfa must be made over a secure connection."
)
PROTECT = document("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>")


@pytest.fixture
def other_gate(binary, upstream, tmp_path):
    """Starts a further gate with these variables in its environment."""
    started = []

    def start(**settings: str) -> Gate:
        started.append(Gate(binary, tmp_path / "gate", upstream, {f"PORTCULLIS_{k}": v for k, v in settings.items()}))
        return started[0].start()

    yield start
    for gate in started:
        gate.stop()


def a_code_needs_tls_where_the_operator_says_always(other_gate):
    gate = other_gate(MFA__REQUIRE_TLS="always")
    root, name = gate.client(), new_name()
    root.create_bucket(Bucket=name)
    raw = Raw(gate.endpoint, gate.root)

    assert raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT).refusal == INSECURE
    # The forwarded scheme is believed of nobody who was not named.
    told = raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT, extra=[("X-Forwarded-Proto", "https")])
    assert told.refusal == INSECURE


def a_hop_that_ends_tls_counts_where_it_is_named(other_gate):
    gate = other_gate(MFA__REQUIRE_TLS="always", LISTEN__TRUSTED_PROXIES="127.0.0.1/32")
    root, name = gate.client(), new_name()
    root.create_bucket(Bucket=name)
    raw = Raw(gate.endpoint, gate.root)

    def send(*extra):
        return raw.send("PUT", f"/{name}?versioning", {"x-amz-mfa": "20899872 123456"}, PROTECT, extra=extra).refusal

    # The transport is judged before the device, so another refusal tells that it was good enough.
    assert send(("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7")) == foreign_device("20899872", "123456")
    assert send(("X-Forwarded-Proto", "http"), ("X-Forwarded-For", "192.0.2.7")) == INSECURE
    assert any(event["sourceIPAddress"] == "192.0.2.7" for event in gate.events("--bucket", name))


def the_aws_profile_asks_for_a_code_where_aws_does_and_nowhere_else(other_gate, key):
    gate = other_gate(MFA_DELETE__PROFILE="aws")
    codes, root, name = Codes(gate), gate.client(), new_name()
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


def a_protected_bucket_without_versions_goes_without_a_code_in_the_aws_profile(other_gate):
    gate = other_gate(MFA_DELETE__PROFILE="aws")
    codes, root, name = Codes(gate), gate.client(), new_name()
    root.create_bucket(Bucket=name)
    protect(root, name, codes)

    root.delete_bucket(Bucket=name)
    root.create_bucket(Bucket=name)

    assert "MFADelete" not in root.get_bucket_versioning(Bucket=name)


def an_unknown_setting_in_the_environment_stops_the_start(binary, gate, tmp_path):
    run = Gate(binary, tmp_path / "gate", gate.upstream, {"PORTCULLIS_MFA_DELETE__PROFIL": "aws"}).run("dev", "--listen", "127.0.0.1:0")

    assert run.returncode == 2
    assert "PORTCULLIS_MFA_DELETE__PROFIL" in run.stderr
    assert not run.stdout
