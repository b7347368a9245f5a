"""Roles, and the right to use a route: deny by default."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from forge_sdk.errors import AuthenticationError


class Role(StrEnum):
    """What a token may say of its subject."""

    DEVELOPER = "developer"
    APPROVER = "approver"
    OPERATOR = "operator"
    SERVICE_ACCOUNT = "service-account"


READERS = frozenset(Role)
"""Everybody who has a role may read."""
DEVELOPERS = frozenset({Role.DEVELOPER})
OPERATORS = frozenset({Role.OPERATOR})
AUDITORS = frozenset({Role.OPERATOR, Role.APPROVER})
SERVICES = frozenset({Role.SERVICE_ACCOUNT})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: `subject` is the token's `sub`, `name` a verified mail address where the token has one."""

    subject: str
    name: str
    roles: frozenset[Role]


def require_role(principal: Principal, allowed: AbstractSet[Role]) -> None:
    """Raises `permission_denied`, which names the roles that may, where the principal has none of them."""
    if principal.roles.isdisjoint(allowed):
        wanted = " or ".join(sorted(allowed))
        raise AuthenticationError(f"this needs the role {wanted}: ask an operator of the platform", component="api")
