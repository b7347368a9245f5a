"""Typed client of the Platform API (extra `client`)."""

from forge_sdk.client.api import ApiClient
from forge_sdk.client.tokens import ClientCredentialsTokens, StaticToken, TokenSource

__all__ = ["ApiClient", "ClientCredentialsTokens", "StaticToken", "TokenSource"]
