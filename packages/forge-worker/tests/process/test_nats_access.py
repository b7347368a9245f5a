"""A worker on a NATS with TLS and users, which lets it do what it needs and nothing else."""

import datetime as dt
import ipaddress
import ssl

import nats
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from forge_sdk.messaging import cancel_key
from forge_sdk.nats_permissions import PERMISSIONS
from forge_servers import NatsSettings, NatsTls, NatsUser

PASSWORD = "correct-horse"


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = (tmp_path / "server.crt", tmp_path / "server.key")
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture
async def platform(make_nats_server, certificate, platform_on):
    """The streams, made by the API's user over TLS."""
    users = tuple(
        NatsUser(name=name, password=PASSWORD, publish=found.publish, subscribe=found.subscribe)
        for name, found in PERMISSIONS.items()
    )
    server = make_nats_server(
        settings=NatsSettings(users=users, tls=NatsTls(certificate=certificate[0], key=certificate[1]))
    )
    connection = await nats.connect(
        server.bare_url,
        user="api",
        password=PASSWORD,
        tls=ssl.create_default_context(cafile=str(certificate[0])),
        inbox_prefix=b"_INBOX_api",
    )
    async with platform_on(connection, server) as platform:
        yield platform


@pytest.fixture
def nats_section(worker_file, platform, certificate, tmp_path):
    """Writes the section `nats` of the worker's configuration."""
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)

    def write(**changed):
        values = yaml.safe_load(worker_file.read_text())
        values["nats"] = {
            "url": platform.server.bare_url,
            "user": "worker",
            "password_file": str(password),
            "ca_file": str(certificate[0]),
            "inbox_prefix": "_INBOX_worker",
            **changed,
        }
        worker_file.write_text(yaml.safe_dump(values))

    return write


async def test_a_worker_does_its_jobs_over_tls_with_its_own_permissions(
    platform, source, start_worker, nats_section, ci_job, eventually, tmp_path
):
    nats_section()
    start_worker()
    job = ci_job(platform, source, "cat file")
    await platform.publish(job)
    assert (await platform.result(job.id, 30)).status == "success"
    await eventually(lambda: platform.replies, "the reply reaches the API's inbox")
    assert "permissions violation" not in (tmp_path / "worker-0.log").read_text().lower()


async def test_it_hears_a_cancellation_and_may_send_logs(
    platform, source, start_worker, nats_section, ci_job, eventually, tmp_path
):
    nats_section()
    lines = []

    async def arrived(message):
        lines.append(message.data)

    await platform.connection.subscribe("forge.logs.>", cb=arrived)
    start_worker()
    job = ci_job(platform, source, "echo started; sleep 600")
    await platform.publish(job)
    await eventually(lambda: b"started\n" in lines, "the log is live", 30)
    await platform.cancel(cancel_key(job.run_id))
    assert (await platform.result(job.id, 30)).status == "cancelled"
    assert "permissions violation" not in (tmp_path / "worker-0.log").read_text().lower()


async def test_an_untrusted_server_is_not_talked_to(start_worker, nats_section, platform, eventually, tmp_path, ended):
    nats_section(ca_file=None)
    process = start_worker()
    await eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in (tmp_path / "worker-0.log").read_text(), "the refusal", 30)
    process.terminate()
    assert await ended(process) == 0


async def test_a_wrong_password_is_told(start_worker, nats_section, ended, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("other")
    nats_section(password_file=str(wrong))
    start = start_worker()
    assert await ended(start, 70) != 0
    assert "refused user worker" in (tmp_path / "worker-0.log").read_text()
