import base64
import hashlib
import http.client
import json
import os
import signal

import pytest

from forge_servers import RegistryServer, ServerError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
# The bcrypt hash of "secret".
HASH = "$2b$05$EHAl0pvlBYN/tM58nxBy8eJ627owtPhMb0qDhGP.e4UvAr2HzNmoi"


def request(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(server.host, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def push(server, blob=b"{}"):
    """A manifest whose config and only layer is `blob`; returns the manifest's digest."""
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    _, headers, _ = request(server, "POST", "/v2/app/blobs/uploads/")
    place = headers["Location"].removeprefix(server.url)
    assert request(server, "PUT", f"{place}&digest={digest}", blob)[0] == 201
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": len(blob)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": descriptor, "layers": [descriptor]}
    status, headers, _ = request(
        server, "PUT", "/v2/app/manifests/1", json.dumps(manifest), {"Content-Type": MANIFEST_TYPE}
    )
    assert status == 201
    return headers["Docker-Content-Digest"]


def test_what_was_pushed_survives_a_kill(make_oci_registry):
    server = make_oci_registry()
    digest = push(server)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_blocking(10)
    server.start_blocking()
    status, headers, _ = request(server, "GET", "/v2/app/manifests/1", headers={"Accept": MANIFEST_TYPE})
    assert (status, headers["Docker-Content-Digest"]) == (200, digest)


def test_an_upload_goes_on_after_a_kill(make_oci_registry):
    server = make_oci_registry()
    place = request(server, "POST", "/v2/app/blobs/uploads/")[1]["Location"].removeprefix(server.url)
    place = request(server, "PATCH", place, b"first ")[1]["Location"].removeprefix(server.url)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_blocking(10)
    server.start_blocking()
    digest = "sha256:" + hashlib.sha256(b"first second").hexdigest()
    assert request(server, "PUT", f"{place}&digest={digest}", b"second")[0] == 201


def test_a_manifest_may_be_deleted(oci_registry):
    digest = push(oci_registry)
    assert request(oci_registry, "DELETE", f"/v2/app/manifests/{digest}")[0] == 202


def test_requests_are_logged_only_where_asked(make_oci_registry, wait_until):
    quiet, telling = make_oci_registry(), make_oci_registry(access_log=True)
    for server in (quiet, telling):
        push(server)
    wait_until(lambda: "/v2/app/manifests/1" in telling.log_file.read_text())
    assert quiet.log_file.read_text() == ""


def test_only_users_of_the_file_get_in(make_oci_registry, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"ann:{HASH}\n")
    server = make_oci_registry(htpasswd=users)
    credentials = base64.b64encode(b"ann:secret").decode()
    assert request(server, "GET", "/v2/")[0] == 401
    assert request(server, "GET", "/v2/", headers={"Authorization": f"Basic {credentials}"})[0] == 200


def test_a_missing_users_file_is_reported(directory, tmp_path):
    with pytest.raises(ServerError, match="missing doesn't exist: write it"):
        RegistryServer(directory, htpasswd=tmp_path / "missing").start_blocking()
