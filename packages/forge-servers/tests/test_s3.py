import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from forge_servers import S3Server, ServerError

ATTRIBUTES = {"ContentType": "text/x-forge", "Metadata": {"digest": "abc"}}


@pytest.fixture
def connect():
    clients = []

    def make(server, **options):
        keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key} | options
        style = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        client = boto3.client("s3", endpoint_url=server.endpoint_url, region_name=server.region, config=style, **keys)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def read(client):
    answer = client.get_object(Bucket="bucket", Key="folder/key")
    with answer["Body"] as body:
        return body.read(), answer["ContentType"], answer["Metadata"]


def write(client):
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="folder/key", Body=b"data", **ATTRIBUTES)


def test_objects_and_their_metadata_survive_a_kill(make_s3_server, connect):
    server = make_s3_server()
    write(connect(server))
    os.kill(server.pid, signal.SIGKILL)
    server.wait_blocking(10)
    server.start_blocking()
    assert read(connect(server)) == (b"data", "text/x-forge", {"digest": "abc"})


def test_an_object_that_exists_is_not_overwritten_where_that_was_forbidden(s3_client, s3_bucket):
    s3_client.put_object(Bucket=s3_bucket.bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3_client.put_object(Bucket=s3_bucket.bucket, Key="k", Body=b"2", IfNoneMatch="*")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system without extended attributes")
def test_metadata_lies_beside_the_objects_where_there_are_no_extended_attributes(directory, connect):
    directory.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", directory], check=True)
    try:
        with S3Server(directory / "s3") as server:
            write(connect(server))
            os.kill(server.pid, signal.SIGKILL)
            server.wait_blocking(10)
            server.start_blocking()
            assert read(connect(server)) == (b"data", "text/x-forge", {"digest": "abc"})
        assert any((directory / "s3" / "metadata").iterdir())
    finally:
        subprocess.run(["umount", directory], check=True)


def test_no_sidecar_is_made_where_extended_attributes_work(make_s3_server, connect):
    server = make_s3_server()
    write(connect(server))
    assert not (server.directory / "metadata").exists()


def test_metadata_that_lies_beside_the_objects_stays_there(directory, connect):
    (directory / "metadata" / "elsewhere").mkdir(parents=True)
    with S3Server(directory) as server:
        write(connect(server))
    assert (directory / "metadata" / "bucket").is_dir()


def test_keys_are_neither_in_the_command_line_nor_in_the_log(make_s3_server):
    server = make_s3_server(access_key="AKIDTEST", secret_key="sehr-geheim-123")
    shown = Path(f"/proc/{server.pid}/cmdline").read_text() + server.log_file.read_text()
    assert "sehr-geheim-123" not in shown
    assert "AKIDTEST" not in shown


def test_a_made_secret_is_kept(directory):
    secret = S3Server(directory).secret_key
    assert S3Server(directory).secret_key == secret
    assert (directory / "secret").stat().st_mode & 0o777 == 0o600


def test_a_wrong_secret_and_a_stranger_are_refused(s3_server, connect):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        connect(s3_server, aws_secret_access_key="wrong-secret").list_buckets()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(s3_server.endpoint_url, timeout=5)
    with refused.value as error:
        assert error.code == 403


def test_requests_are_logged_only_where_asked(make_s3_server, connect, directory, wait_until):
    directory.mkdir()
    quiet, telling = make_s3_server(), make_s3_server(access_log=directory / "access.log")
    for server in (quiet, telling):
        write(connect(server))
    wait_until(lambda: "folder/key" in (directory / "access.log").read_text())
    assert "folder/key" not in quiet.log_file.read_text()


@pytest.mark.parametrize("options", [{"access_key": "a b c"}, {"access_key": ""}, {"secret_key": "short"}])
def test_bad_keys_are_refused(directory, options):
    with pytest.raises(ServerError, match=r"an S3 (access|secret) key has"):
        S3Server(directory, **options)
