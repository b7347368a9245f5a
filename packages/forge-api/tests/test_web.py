"""What holds for every request."""

import asyncio
import io
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from structlog.testing import capture_logs

from forge_api.database import idempotency
from forge_api.database.idempotency import IdempotentRequest, claim
from forge_api.web.clone_urls import require_usable
from forge_api.web.parsing import MAX_BODY, pointer
from forge_sdk.errors import ErrorCode, PlatformError, TransientError

SHA = "0123456789abcdef0123456789abcdef01234567"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
BODY = {"repository": "acme/shop", "commit_sha": SHA}


async def error_of(answer, status):
    assert answer.status == status
    return (await answer.json())["error"]


async def test_the_openapi_document_is_valid_and_holds_every_route(http):
    document = orjson.loads(await (await http.get("/v1/openapi.json")).read())
    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/v1/runs/{run_id}"]["get"]
    assert operation["parameters"][0] == {
        "in": "path",
        "name": "run_id",
        "required": True,
        "schema": {"format": "uuid", "title": "Run Id", "type": "string"},
    }
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Run"
    }
    assert set(operation["responses"]) == {"200", "304", "default"}


async def test_all_problems_of_a_body_come_with_their_places(http, bearer):
    body = {"repository": "shop", "commit_sha": "main", "github_context": {"pr_number": "x"}, "surprise": 1}
    error = await error_of(await http.post("/v1/runs", json=body, headers=bearer()), 422)
    assert error["code"] == "validation_error"
    assert {detail["pointer"] for detail in error["details"]} == {
        "/repository",
        "/commit_sha",
        "/github_context/pr_number",
        "/surprise",
    }


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
async def test_what_is_not_a_json_object_is_a_validation_error(http, bearer, data):
    headers = {**bearer(), "Content-Type": "application/json"}
    assert (await error_of(await http.post("/v1/runs", data=data, headers=headers), 422))["code"] == "validation_error"


async def test_another_content_type_is_refused(http, bearer):
    error = await error_of(await http.post("/v1/runs", data=BODY, headers=bearer()), 422)
    assert "application/json" in error["message"]


async def test_nul_is_refused_with_its_place(http, bearer, repository):
    body = {**BODY, "branch": "a\x00b"}
    error = await error_of(await http.post("/v1/runs", json=body, headers=bearer()), 422)
    assert [detail["pointer"] for detail in error["details"]] == ["/branch"]


async def test_unknown_parameters_and_malformed_ids_are_refused(http, bearer):
    error = await error_of(await http.get("/v1/runs?sort=up&limit=9999", headers=bearer()), 422)
    assert {detail["pointer"] for detail in error["details"]} == {"/sort", "/limit"}
    assert (await error_of(await http.get("/v1/runs/17", headers=bearer()), 422))["details"][0]["pointer"] == "/run_id"


async def test_a_body_above_the_limit_is_refused(http, bearer):
    headers = {**bearer(), "Content-Type": "application/json"}
    error = await error_of(await http.post("/v1/runs", data=io.BytesIO(b" " * (MAX_BODY + 1)), headers=headers), 413)
    assert error["code"] == "validation_error"


async def test_parameters_of_a_route_that_takes_none_are_refused(http, bearer):
    async with http.get("/v1/plugins", params={"limit": "1"}, headers=bearer()) as answer:
        error = await error_of(answer, 422)
    assert error["details"][0]["pointer"] == "/limit"


async def test_unknown_paths_and_methods_answer_in_the_same_form(http):
    assert (await error_of(await http.get("/v1/nothing"), 404))["code"] == "not_found"
    answer = await http.put("/v1/runs")
    await error_of(answer, 405)
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST", "HEAD"} & set(answer.headers["Allow"].split(","))


async def test_request_and_trace_ids_are_kept(http):
    headers = {"X-Request-Id": "my-request", "traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
    answer = await http.get("/v1/runs", headers=headers)
    assert answer.headers["X-Request-Id"] == "my-request"
    assert (await answer.json())["error"]["trace_id"] == TRACE_ID


async def test_ids_that_are_not_well_formed_are_replaced(http):
    answer = await http.get("/v1/runs", headers={"X-Request-Id": "a b{}", "traceparent": "garbage"})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert re.fullmatch(r"[0-9a-f]{32}", (await answer.json())["error"]["trace_id"])


async def test_a_fault_of_the_platform_shows_nothing_internal(http, bearer, services, monkeypatch):
    def fail():
        raise RuntimeError("password=hunter2 in /etc/forge")

    monkeypatch.setattr(services.deployments, "environments", fail)
    with capture_logs() as logs:
        answer = await http.get("/v1/environments", headers=bearer())
    error = await error_of(answer, 500)
    assert error["code"] == "internal_error"
    assert "hunter2" not in await answer.text()
    assert [(entry["event"], entry["exc_info"]) for entry in logs] == [("request_failed", True)]


async def test_a_database_that_is_away_is_unavailable(http, bearer, services):
    await services.database.close()
    assert (await error_of(await http.get("/v1/runs", headers=bearer()), 503))["code"] == "unavailable"
    assert "database" in (await error_of(await http.get("/readyz"), 503))["message"]
    assert (await http.get("/healthz")).status == 200


async def test_without_nats_the_api_is_not_ready(http, services):
    assert (await http.get("/readyz")).status == 200
    await services.connection.close()
    assert "NATS" in (await error_of(await http.get("/readyz"), 503))["message"]


async def test_metrics_count_requests_by_route(http, bearer):
    await http.get("/v1/runs/01900000-0000-7000-8000-000000000000", headers=bearer())
    await http.get("/v1/whatever/secret-name")
    text = await (await http.get("/metrics")).text()
    count = 'forge_http_request_duration_seconds_count{method="GET",route="/v1/runs/{run_id}",status="404"} 1.0'
    assert count in text
    assert "secret-name" not in text


async def test_a_repeated_key_gives_the_first_answer_and_does_the_work_once(http, bearer, repository, services):
    headers = {**bearer(), "Idempotency-Key": "key-1"}
    body = {**BODY, "retry": True}
    first = await http.post("/v1/runs", json=body, headers=headers)
    second = await http.post("/v1/runs", json=body, headers=headers)
    assert await first.read() == await second.read()
    assert (first.status, second.status) == (201, 201)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(services.engine.submitted) == 1


async def test_a_key_belongs_to_one_request_and_one_caller(http, bearer, repository):
    key = {"Idempotency-Key": "key-1"}
    await http.post("/v1/runs", json=BODY, headers={**bearer(), **key})
    other = await http.post("/v1/runs", json={**BODY, "retry": True}, headers={**bearer(), **key})
    assert (await error_of(other, 409))["code"] == "conflict"
    someone_else = await http.post("/v1/runs", json=BODY, headers={**bearer(sub="bob"), **key})
    assert someone_else.status == 200


async def test_a_failed_request_leaves_its_key_free(http, bearer, client, repository):
    headers = {**bearer(), "Idempotency-Key": "key-1"}
    assert (await http.post("/v1/runs", json={**BODY, "repository": "acme/new"}, headers=headers)).status == 404
    assert (await http.post("/v1/runs", json=BODY, headers=headers)).status == 201


async def test_simultaneous_requests_with_one_key_do_the_work_once(http, bearer, repository, services):
    headers = {**bearer(), "Idempotency-Key": "key-1"}
    body = {**BODY, "retry": True}
    answers = await asyncio.gather(*(http.post("/v1/runs", json=body, headers=headers) for _ in range(6)))
    assert len(services.engine.submitted) == 1
    assert {answer.status for answer in answers} <= {201, 503}


async def test_a_key_whose_first_request_has_just_failed_can_be_tried_again(database, monkeypatch):
    request = IdempotentRequest("alice", "key-1", "digest")
    # Between the two statements the first request releases the key.
    monkeypatch.setattr(idempotency, "_CLAIM", "select null from (values ($1, $2, $3, $4)) as given(a, b, c, d)")
    async with database.transaction() as connection:
        with pytest.raises(TransientError, match="try again"):
            await claim(connection, request)


async def test_a_key_whose_process_died_may_be_used_again(database):
    request = IdempotentRequest("alice", "key-1", "digest")
    async with database.transaction() as connection:
        await claim(connection, request)
    with pytest.raises(PlatformError, match="has not ended"):
        async with database.transaction() as connection:
            await claim(connection, request)
    async with database.transaction() as connection:
        await connection.execute("update idempotency_keys set created_at = now() - interval '5 minutes'")
        assert await claim(connection, request) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/shop.git",
        "ssh://git@github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "file:///srv/git/shop",
    ],
)
def test_usual_clone_urls_are_accepted(url):
    require_usable(url, allow_local=True)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ext::id",
        "--upload-pack=id",
        "http://github.com/acme/shop.git",
        "git://github.com/acme/shop.git",
        "https://user:token@github.com/acme/shop.git",
        "https://token@github.com/acme/shop.git",
        "ssh://-oProxyCommand=id/x",
        "ssh://-oProxyCommand=id@host/x",
        "-oProxyCommand=id@host:path",
        "file://server/share",
        "/srv/git/shop",
        "https://github.com/acme/shop\n.git",
        "https://[::1/x",
        "",
    ],
)
def test_dangerous_clone_urls_are_refused(url):
    with pytest.raises(PlatformError) as failure:
        require_usable(url, allow_local=True)
    assert failure.value.code is ErrorCode.VALIDATION_ERROR


def test_file_urls_are_for_an_embedded_platform_only():
    with pytest.raises(PlatformError, match="allow_local_repositories"):
        require_usable("file:///srv/git/shop", allow_local=False)


@given(st.lists(st.one_of(st.integers(min_value=0), st.text(min_size=1))))
def test_json_pointers_can_be_read_back(location):
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer(location).split("/")[1:]]
    assert parts == [str(part) for part in location]


async def test_registering_again_changes_nothing_and_a_change_is_audited(http, bearer, database):
    body = {"repository": "acme/shop", "clone_url": "https://github.com/acme/shop.git"}
    answers = [
        await http.post("/v1/repositories", json=body, headers=bearer()),
        await http.post("/v1/repositories", json=body, headers=bearer()),
        await http.post("/v1/repositories", json={**body, "default_branch": "trunk"}, headers=bearer()),
    ]
    assert [answer.status for answer in answers] == [201, 200, 200]
    assert (await answers[2].json())["default_branch"] == "trunk"
    async with database.connection() as connection:
        actions = await connection.fetch("select action from audit_events order by sequence")
    assert [row["action"] for row in actions] == ["repository.registered", "repository.changed"]


async def test_repositories_are_listed_in_pages_without_their_credentials(http, bearer):
    for name in ("c", "a", "b"):
        body = {
            "repository": f"acme/{name}",
            "clone_url": "https://github.com/acme/x.git",
            "git_credentials": {"provider": "local", "key": "ci/github"},
        }
        await http.post("/v1/repositories", json=body, headers=bearer())
    first = await (await http.get("/v1/repositories?limit=2", headers=bearer())).json()
    query = {"limit": "2", "cursor": first["next_cursor"]}
    second = await (await http.get("/v1/repositories", params=query, headers=bearer())).json()
    assert [item["repository"] for item in (*first["items"], *second["items"])] == ["acme/a", "acme/b", "acme/c"]
    assert "ci/github" not in str(first)
