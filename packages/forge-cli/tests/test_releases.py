"""Commands of releases and deployments, against an API that answers what a test says."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import pytest
from aiohttp import web

from forge_cli.errors import UnreachableError
from forge_cli.releases.images import find_registry
from forge_cli.releases.projects import find_project
from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import Deployment, Environment, Hold, Page, Publication, Release

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
SHA = "a" * 40


def deployment(**values):
    return Deployment(
        **{
            "id": uuid7(),
            "environment": "dev",
            "repository": "acme/shop",
            "project": "api",
            "slug": "shop-api",
            "release_id": uuid7(),
            "commit_sha": SHA,
            "release_number": 1,
            "status": "active",
            "deployed_by": "bob [x]",
            "created_at": NOW,
            **values,
        }
    )


def release(**values):
    return Release(
        **{
            "id": uuid7(),
            "canonical_id": f"acme/shop/api/{SHA}",
            "repository": "acme/shop",
            "project": "api",
            "commit_sha": SHA,
            "release_number": 1,
            "status": "complete",
            "oci_uri": f"acme/shop/api:{SHA}",
            "oci_digest": DIGEST,
            "created_by": "alice",
            "created_at": NOW,
            **values,
        }
    )


class Api:
    """Answers of an API by method and path; `bodies` are the requests' bodies."""

    def __init__(self):
        self.answers, self.bodies, self.port = {}, {}, 0

    def answer(self, method, path, *models, status=200):
        self.answers[(method, path)] = [(model, status) for model in models]

    async def handle(self, request):
        key = (request.method, request.path)
        self.bodies[key] = json.loads(await request.text() or "null")
        queue = self.answers.get(key)
        if not queue:
            return web.json_response({"error": {"code": "not_found", "message": f"no {key}"}}, status=404)
        model, status = queue.pop(0) if len(queue) > 1 else queue[0]
        text = model if isinstance(model, str) else model.model_dump_json(by_alias=True) if model is not None else ""
        return web.Response(text=text, status=status, content_type="application/json")


@pytest.fixture
def api(monkeypatch, tmp_path):
    """The API that the commands talk to."""
    found, loop, ready = Api(), asyncio.new_event_loop(), threading.Event()

    async def serve():
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", found.handle)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    token = tmp_path / "token"
    token.write_text("t")
    monkeypatch.setenv("FORGE_API_URL", f"http://127.0.0.1:{found.port}")
    monkeypatch.setenv("FORGE_TOKEN_FILE", str(token))
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_a_deployment_is_waited_for_and_shown(api, run_forge):
    pending = deployment(status="pending")
    api.answer("POST", "/v1/deployments", pending)
    active = deployment(id=pending.id, gitops_commit_sha="c" * 40)
    api.answer(
        "GET",
        "/v1/deployments/dev/acme/shop/api",
        Page[Deployment](items=(pending,)),
        Page[Deployment](items=(active,)),
    )
    done = run_forge("deploy", "dev", "acme/shop/api", "1")
    assert (done.return_value, "active" in done.output, "bob [x]" in done.output) == (0, True, True)
    assert api.bodies[("POST", "/v1/deployments")]["release"] == "1"


def test_a_refused_deployment_shows_why_and_fails(api, run_forge):
    refusal = PlatformError("dev holds b, and a does not descend from it", code="deployment_refused").to_detail()
    api.answer("POST", "/v1/deployments", deployment(status="refused", error=refusal))
    done = run_forge("deploy", "dev", "acme/shop/api", "1")
    assert (done.return_value, "does not descend" in done.stderr) == (1, True)


def test_a_policys_refusal_is_the_error(api, run_forge):
    text = json.dumps({"error": {"code": "deployment_refused", "message": "it requires tag, the release has manual"}})
    api.answer("POST", "/v1/deployments", text, status=409)
    error = run_forge("deploy", "production", "acme/shop/api", "1").exception
    assert (error.code, error.message) == ("deployment_refused", "it requires tag, the release has manual")


def test_a_rollback_says_how_to_lift_its_hold(api, run_forge):
    api.answer("POST", "/v1/deployments", deployment(intent="rollback"))
    done = run_forge("rollback", "dev", "acme/shop/api")
    assert "forge env hold lift dev acme/shop/api" in done.stderr
    body = api.bodies[("POST", "/v1/deployments")]
    assert (body["rollback"], body["release"]) == (True, None)


def test_what_reached_the_world_is_a_table(api, run_forge):
    error = PlatformError("the index is [down]\nsince noon").to_detail()
    rows = (
        Publication(
            artifact="docs", publisher="site", file="a.tar", digest=DIGEST, state="published", uri="https://x/a"
        ),
        Publication(artifact="wheel", publisher="index", file="a.whl", digest=DIGEST, state="failed", error=error),
    )
    api.answer("GET", "/v1/releases/acme/shop/api/1", release(status="partial", publications=rows))
    lines = run_forge("release", "show", "acme/shop/api", "1").output.splitlines()
    table = [line.strip().split(maxsplit=4) for line in lines if ".tar" in line or ".whl" in line]
    assert table == [
        ["docs", "site", "a.tar", "published", "https://x/a"],
        ["wheel", "index", "a.whl", "failed", "the index is [down] since noon"],
    ]


def test_a_release_that_is_still_partial_fails_the_retry(api, run_forge):
    asked = {"canonical_id": f"acme/shop/api/{SHA}", "status": "partial"}
    api.answer("POST", "/v1/releases/acme/shop/api/1/retry", json.dumps(asked))
    api.answer("GET", f"/v1/releases/acme/shop/api/{SHA}", release(status="partial"))
    done = run_forge("release", "retry", "acme/shop/api", "1", "--rebuild", "--json")
    assert (done.return_value, json.loads(done.stdout)["status"]) == (1, "partial")
    assert api.bodies[("POST", "/v1/releases/acme/shop/api/1/retry")] == {"rebuild": True}


def test_environments_show_policy_holds_and_what_runs(api, run_forge):
    policy = {"promotion_policy": {"after": ["dev"], "allow_partial": True}}
    api.answer("GET", "/v1/environments", Page[Environment](items=(Environment(name="production", policy=policy),)))
    api.answer("GET", "/v1/environments/production/deployments", Page[Deployment](items=(deployment(),)))
    hold = Hold(
        environment="production",
        repository="acme/shop",
        project="api",
        reason="rollback to release 1",
        set_by="eve",
        created_at=NOW,
    )
    api.answer("GET", "/v1/holds", Page[Hold](items=(hold,)))
    output = run_forge("env").output
    for text in ("after: dev; allow_partial: yes", "acme/shop/api", "rollback to release 1"):
        assert text in output


def test_outside_of_a_checkout_a_release_needs_the_whole_sha(api, run_forge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = run_forge("release", "create", "acme/shop/api", "abc1234").exception
    assert isinstance(error, ConfigurationError)
    assert "full SHA" in error.message


def test_a_project_is_short_inside_a_checkout(repository, monkeypatch):
    monkeypatch.chdir(repository)
    found = find_project("api")
    assert (str(found), found.checkout is not None) == ("local/my-shop/api", True)
    assert find_project("acme/shop/api").checkout is None


@pytest.mark.parametrize("text", ["", "a/b", "a/b/c/d", "/a/b"])
def test_what_is_no_project_is_refused(repository, monkeypatch, text):
    monkeypatch.chdir(repository)
    with pytest.raises(ConfigurationError):
        find_project(text)


def test_a_short_project_outside_of_a_checkout_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        find_project("api")


def test_the_registry_is_that_of_the_variables_or_is_asked_for(home, tmp_path):
    variables = {"FORGE_REGISTRY": "registry.test", "FORGE_PUBLIC_KEY_FILES": "/a.pub,/b.pub"}
    found = find_registry(environment=variables)
    assert (found.host, found.plain_http, [str(file) for file in found.key_files]) == (
        "registry.test",
        False,
        ["/a.pub", "/b.pub"],
    )
    with pytest.raises(ConfigurationError, match="FORGE_REGISTRY"):
        find_registry(environment={})


@pytest.mark.parametrize(
    "command", [("release", "list", "a/b/c"), ("deploy", "dev", "a/b/c", "1"), ("env",), ("rollback", "dev", "a/b/c")]
)
def test_without_a_platform_the_way_to_one_is_said(home, run_forge, command):
    assert isinstance(run_forge(*command).exception, UnreachableError)
