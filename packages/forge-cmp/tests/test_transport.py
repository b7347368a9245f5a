import base64
import contextlib
import http.server
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest

from forge_oci.core.release import pack_release

OBJECT = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
METADATA = {
    "repository": "acme/Shop",
    "project": "api",
    "source": {"commit": "0123456789abcdef0123456789abcdef01234567"},
    "artifacts": [],
}


class Front:
    """A server in front of an image, whose behaviour the test gives: `reply(handler, path) -> True` if it answered."""

    def __init__(self, reply):
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.image = pack_release(METADATA, {"a.yaml": OBJECT})
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                front.requests.append((self.path, dict(self.headers)))
                if not reply(self, front):
                    front.serve(self)

            def log_message(self, *_):
                pass

            def send(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"

    def serve(self, handler):
        name = handler.path.rpartition("/")[2]
        if "/manifests/" in handler.path:
            known = name == self.image.digest
            return handler.send(200 if known else 404, self.image.manifest_bytes if known else b"")
        if "/blobs/" in handler.path:
            return handler.send(200, self.image.blobs[name])
        return handler.send(404)


@contextmanager
def front(reply):
    server = Front(reply)
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def _run(application, server, **environment):
    application.point(server.image.digest)
    return application.run(FORGE_REGISTRY=server.host, FORGE_REQUIRE_SIGNATURE="false", **environment)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_tried_again(application, status):
    def reply(handler, server):
        return len(server.requests) <= 2 and handler.send(status, Retry_After="0")

    with front(reply) as server:
        assert _run(application, server).status == 0
        assert len(server.requests) == 5


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden"), (404, "image_missing")])
def test_refusals_are_not_tried_again(application, status, code):
    with front(lambda handler, _: handler.send(status)) as server:
        run = _run(application, server)
        assert (run.status, run.code, run.stdout) == (1, code, "")
        assert len(server.requests) == 1


def test_a_failing_registry_ends_with_the_deadline(application):
    with front(lambda handler, _: handler.send(503)) as server:
        run = _run(application, server, FORGE_DEADLINE_SECONDS="1")
    assert (run.code, run.stdout) == ("registry_unavailable", "")
    assert server.host in run.stderr


def test_a_wait_that_would_outlast_the_deadline_is_not_begun(application):
    with front(lambda handler, _: handler.send(429, Retry_After="30")) as server:
        started = time.monotonic()
        run = _run(application, server, FORGE_DEADLINE_SECONDS="20")
        assert len(server.requests) == 1
    assert (run.code, time.monotonic() - started < 15) == ("registry_unavailable", True)


def test_a_registry_that_drips_ends_with_the_deadline(application):
    """A byte now and then keeps every single wait short: only the deadline of the whole run ends it."""

    def reply(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b"x")
                time.sleep(0.1)  # what the server is about
        return True

    with front(reply) as server:
        run = _run(application, server, FORGE_DEADLINE_SECONDS="1")
    assert (run.code, run.stdout) == ("registry_unreachable", "")


def test_an_unreachable_registry_is_named(application):
    with front(lambda handler, _: None) as server:
        pass
    run = _run(application, server, FORGE_DEADLINE_SECONDS="1")
    assert (run.code, run.stdout) == ("registry_unreachable", "")


def test_a_connection_that_breaks_is_tried_again(application):
    def reply(handler, server):
        if len(server.requests) > 1:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "10000")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True
        return True

    with front(reply) as server:
        assert _run(application, server).status == 0


def test_a_body_larger_than_promised_is_refused(application):
    def reply(handler, server):
        return "/blobs/" in handler.path and handler.send(200, b"x" * 1_000_000)

    with front(reply) as server:
        assert _run(application, server).code == "too_large"


def test_basic_credentials_come_from_the_environment(application, tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    expected = "Basic " + base64.b64encode(b"me:s3cret").decode()

    def reply(handler, _):
        return handler.headers.get("Authorization") != expected and handler.send(
            401, WWW_Authenticate='Basic realm="r"'
        )

    with front(reply) as server:
        credentials = {"FORGE_REGISTRY_USERNAME": "me", "FORGE_REGISTRY_PASSWORD_FILE": str(tmp_path / "password")}
        assert _run(application, server, **credentials).status == 0
        (tmp_path / "password").write_text("wrong-password")
        run = _run(application, server, **credentials, FORGE_CACHE_DIR="")
        assert run.code == "unauthorized"
        assert "wrong-password" not in run.stderr


def test_bearer_tokens_come_from_the_token_service(application, tmp_path):
    docker = tmp_path / "home" / ".docker"
    docker.mkdir()

    def reply(handler, server):
        if handler.path.startswith("/token"):
            assert "scope=repository%3Aacme%2Fshop%2Fapi%3Apull" in handler.path
            basic = handler.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:pw").decode()
            return handler.send(200 if basic else 401, json.dumps({"token": "t0ken"}).encode())
        challenge = f'Bearer realm="http://{server.host}/token",service="r",scope="repository:acme/shop/api:pull"'
        return handler.headers.get("Authorization") != "Bearer t0ken" and handler.send(401, WWW_Authenticate=challenge)

    with front(reply) as server:
        assert _run(application, server).code == "unauthorized"
        auths = {server.host: {"auth": base64.b64encode(b"me:pw").decode()}}
        (docker / "config.json").write_text(json.dumps({"auths": auths}))
        assert _run(application, server).status == 0


def test_an_identity_token_is_exchanged(application, tmp_path):
    forms = []

    def do_post(handler):
        forms.append(parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode()))
        handler.send(200, json.dumps({"access_token": "t0ken"}).encode())

    def reply(handler, server):
        type(handler).do_POST = do_post
        challenge = f'Bearer realm="http://{server.host}/token",service="r",scope="repository:acme/shop/api:pull"'
        return handler.headers.get("Authorization") != "Bearer t0ken" and handler.send(401, WWW_Authenticate=challenge)

    with front(reply) as server:
        docker = tmp_path / "home" / ".docker"
        docker.mkdir()
        (docker / "config.json").write_text(json.dumps({"auths": {server.host: {"identitytoken": "refresh-me"}}}))
        assert _run(application, server).status == 0
    assert (forms[0]["grant_type"], forms[0]["refresh_token"]) == (["refresh_token"], ["refresh-me"])


def test_a_token_that_expires_meanwhile_is_renewed(application):
    issued = []

    def reply(handler, server):
        if handler.path.startswith("/token"):
            issued.append(f"t{len(issued)}")
            return handler.send(200, json.dumps({"token": issued[-1]}).encode())
        # Each token is good for one request.
        good = issued and handler.headers.get("Authorization") == f"Bearer {issued[-1]}" and issued[-1] not in used
        if good:
            used.append(issued[-1])
            return False
        challenge = f'Bearer realm="http://{server.host}/token",service="r"'
        return handler.send(401, WWW_Authenticate=challenge)

    used = []
    with front(reply) as server:
        assert _run(application, server).status == 0
    assert len(used) == 3


def test_a_mounted_token_is_used_as_it_is(application, tmp_path):
    (tmp_path / "token").write_text("mounted-token\n")

    def reply(handler, server):
        challenge = f'Bearer realm="http://{server.host}/token",service="r"'
        good = handler.headers.get("Authorization") == "Bearer mounted-token"
        return not good and handler.send(401, WWW_Authenticate=challenge)

    with front(reply) as server:
        run = _run(application, server, FORGE_REGISTRY_TOKEN_FILE=str(tmp_path / "token"))
        assert run.status == 0, run.stderr
        assert not [path for path, _ in server.requests if path.startswith("/token")]
        (tmp_path / "token").write_text("expired-token")
        run = _run(application, server, FORGE_REGISTRY_TOKEN_FILE=str(tmp_path / "token"), FORGE_CACHE_DIR="")
    assert run.code == "unauthorized"
    assert "expired-token" not in run.stderr
    assert "FORGE_REGISTRY_TOKEN_FILE" in run.stderr


def test_a_credential_helper_is_asked(application, tmp_path):
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\nread host\necho "{\\"Username\\": \\"me\\", \\"Secret\\": \\"pw\\"}"\n')
    helper.chmod(0o755)
    (tmp_path / "home" / ".docker").mkdir()
    (tmp_path / "home" / ".docker" / "config.json").write_text('{"credsStore": "test"}')
    expected = "Basic " + base64.b64encode(b"me:pw").decode()

    def reply(handler, _):
        return handler.headers.get("Authorization") != expected and handler.send(401, WWW_Authenticate="Basic")

    with front(reply) as server:
        assert _run(application, server, PATH=f"{helper.parent}:/usr/bin:/bin").status == 0


def test_redirects_lose_the_authorization(application, tmp_path):
    (tmp_path / "password").write_text("pw")
    with front(lambda handler, _: None) as storage:

        def reply(handler, _):
            if "Authorization" not in handler.headers:
                return handler.send(401, WWW_Authenticate="Basic")
            return "/blobs/" in handler.path and handler.send(307, Location=f"http://{storage.host}{handler.path}")

        with front(reply) as server:
            credentials = {"FORGE_REGISTRY_USERNAME": "me", "FORGE_REGISTRY_PASSWORD_FILE": str(tmp_path / "password")}
            assert _run(application, server, **credentials).status == 0
        assert len(storage.requests) == 2
        assert not [headers for _, headers in storage.requests if "Authorization" in headers]


def test_endless_redirects_end(application):
    with front(lambda handler, server: handler.send(302, Location="/v2/again")) as server:
        assert _run(application, server).code == "registry_protocol"
        assert len(server.requests) == 6


def test_one_connection_serves_the_whole_run(application):
    ports = set()

    def reply(handler, server):
        type(handler).protocol_version = "HTTP/1.1"
        ports.add(handler.client_address)
        return False

    with front(reply) as server:
        _run(application, server)  # before the server's class knows that it keeps connections
        ports.clear()
        assert _run(application, server, FORGE_CACHE_DIR="").status == 0
    assert len(ports) == 1


def test_a_kept_connection_that_the_other_side_closed_is_opened_again(application):
    """Answered as if it were kept, then closed: what an idle time-out looks like. No pause, no failure."""

    def reply(handler, server):
        type(handler).protocol_version = "HTTP/1.1"
        server.serve(handler)
        handler.close_connection = True
        return True

    with front(reply) as server:
        _run(application, server)
        server.requests.clear()
        run = _run(application, server, FORGE_CACHE_DIR="", FORGE_DEADLINE_SECONDS="30")
        assert run.status == 0, run.stderr
        assert len(server.requests) == 3
