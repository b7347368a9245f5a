"""Versions of configurations and of the platform."""

import re
from dataclasses import dataclass

_VERSION = re.compile(r"v(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


@dataclass(frozen=True, order=True)
class Version:
    """A version `vMAJOR.MINOR.PATCH`."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version that `text` names; `ValueError` where it names none."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no version: write vMAJOR.MINOR.PATCH")
        return cls(*(int(part) for part in match.groups()))
