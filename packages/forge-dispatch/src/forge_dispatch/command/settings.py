"""What the command reads from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import ValidationError

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.stages import Stage, StageQuery
from forge_sdk.nats_permissions import DISPATCHER, inbox_prefix

COMPONENT = "dispatch"
OUTPUTS = Path("/tmp/outputs")  # noqa: S108 - where workflow templates look for outputs of a container
_SELECTORS = {
    Stage.DISCOVERY: None,
    Stage.PHASE_GROUP: ("group", "GROUP"),
    Stage.RELEASE: ("project", "PROJECT"),
    Stage.DEPLOYMENT: ("deployment", "DEPLOYMENT_ID"),
}


@dataclass(frozen=True, slots=True)
class NatsConnection:
    """The connection to NATS; `url` may name several servers, with commas between them."""

    url: str
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    inbox_prefix: str = inbox_prefix(DISPATCHER)


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Where the API is and how a token for it is got: from a file that somebody renews, or from the issuer."""

    url: str
    ca_file: Path | None = None
    token_file: Path | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """One call of the command."""

    stage: Stage
    run_id: UUID
    query: StageQuery
    nats: NatsConnection
    api: ApiAccess
    outputs: Path = OUTPUTS

    @property
    def name(self) -> str:
        """The stage as a person would name it."""
        selected = [str(value) for value in self.query.model_dump().values() if value is not None]
        return " ".join([self.stage.value, *selected])


def settings_of(stage: str | None, environment: Mapping[str, str]) -> CommandSettings:
    """The settings for `stage`, or for the one that `JOB_TYPE` names; `ConfigurationError` names the variable that is wrong."""
    found = _stage(stage or environment.get("JOB_TYPE") or "")
    return CommandSettings(
        stage=found,
        run_id=_uuid(_required(environment, "RUN_ID"), "RUN_ID"),
        query=_query(found, environment),
        nats=NatsConnection(
            url=_required(environment, "NATS_URL"),
            user=environment.get("NATS_USER") or None,
            password_file=_path(environment, "NATS_PASSWORD_FILE"),
            ca_file=_path(environment, "NATS_CA_FILE"),
            inbox_prefix=environment.get("NATS_INBOX_PREFIX") or inbox_prefix(DISPATCHER),
        ),
        api=_api(environment),
        outputs=_path(environment, "OUTPUTS_DIRECTORY") or OUTPUTS,
    )


def _stage(name: str) -> Stage:
    if name not in list(Stage):
        raise ConfigurationError(
            f"{name or 'nothing'} is no stage: give one of {', '.join(Stage)} as argument, or in JOB_TYPE",
            component=COMPONENT,
        )
    return Stage(name)


def _query(stage: Stage, environment: Mapping[str, str]) -> StageQuery:
    selector = _SELECTORS[stage]
    if selector is None:
        return StageQuery()
    name, variable = selector
    try:
        return StageQuery.model_validate({name: _required(environment, variable)})
    except ValidationError as error:
        _wrong(variable, error.errors()[0]["msg"])


def _api(environment: Mapping[str, str]) -> ApiAccess:
    access = ApiAccess(
        url=_http_url(_required(environment, "FORGE_API_URL"), "FORGE_API_URL").rstrip("/"),
        ca_file=_path(environment, "FORGE_API_CA_FILE"),
        token_file=_path(environment, "FORGE_TOKEN_FILE"),
        token_url=environment.get("FORGE_TOKEN_URL") or None,
        client_id=environment.get("FORGE_CLIENT_ID") or None,
        client_secret_file=_path(environment, "FORGE_CLIENT_SECRET_FILE"),
    )
    if access.token_file is None:
        for variable in ("FORGE_TOKEN_URL", "FORGE_CLIENT_ID", "FORGE_CLIENT_SECRET_FILE"):
            if not environment.get(variable):
                _wrong(variable, "it is needed where FORGE_TOKEN_FILE is not set")
        _http_url(access.token_url or "", "FORGE_TOKEN_URL")
    return access


def _required(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable, "")
    if not value:
        _wrong(variable, "it is not set")
    return value


def _uuid(value: str, variable: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        _wrong(variable, f"{value!r} is no id")


def _http_url(value: str, variable: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        _wrong(variable, "it is no http or https URL without user information")
    return value


def _path(environment: Mapping[str, str], variable: str) -> Path | None:
    return Path(environment[variable]) if environment.get(variable) else None


def _wrong(variable: str, problem: str) -> NoReturn:
    raise ConfigurationError(f"environment variable {variable}: {problem}", component=COMPONENT)
