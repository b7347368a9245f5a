"""Secret references, resolved secrets that can't be shown by accident, and masking of streams."""

import base64
import urllib.parse
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field

MASK = "***"
MIN_MASKED_LENGTH = 4
"""Shorter values are not masked: they would blank out half of every log."""
_INSIDE, _OUTSIDE = 1, 0
_NO_CLASSES = bytes([_OUTSIDE]) * 256


class SecretReference(BaseModel):
    """Where a secret is: the provider's name and that provider's own fields. Never a value."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="allow")

    provider: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)

    @property
    def fields(self) -> dict[str, Any]:
        """The provider's own fields."""
        return dict(self.model_extra or {})

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in sorted(self.fields.items()))
        return f"{self.provider}({fields})"


class Secret:
    """A resolved secret. `reveal()` gives the value; text, representation, JSON and pickles show `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the moment of use."""
        return self._value

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return (Secret, (MASK,))

    def __iter__(self) -> NoReturn:
        raise TypeError("a secret can't be iterated over")


class Masker:
    """Replaces registered values in text and in byte streams, also in their base64 and URL-encoded forms."""

    def __init__(self) -> None:
        self._needles: tuple[bytes, ...] = ()
        self._beginnings: frozenset[bytes] = frozenset()
        self._classes, self._run = _NO_CLASSES, b""

    def register(self, secret: Secret) -> None:
        """From now on the secret's value is masked."""
        for value in (secret.reveal(), *secret.reveal().splitlines()):
            if len(value) >= MIN_MASKED_LENGTH:
                forms = {*self._needles, *_forms(value.encode())}
                self._needles = tuple(sorted(forms, key=len, reverse=True))
        self._beginnings = frozenset(needle[:size] for needle in self._needles for size in range(1, len(needle)))
        self._classes, self._run = _filter(self._needles)

    def text(self, text: str) -> str:
        """`text` with every registered value replaced by `***`."""
        return self.data(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def data(self, data: bytes) -> bytes:
        """`data` with every registered value replaced by `***`."""
        # Most output has nothing that may be a value; to see that takes one pass instead of one for each form of each value.
        if self._run not in data.translate(self._classes):
            return data
        for needle in self._needles:
            data = data.replace(needle, MASK.encode())
        return data

    @property
    def longest(self) -> int:
        """Length in bytes of the longest registered form."""
        return max(map(len, self._needles), default=0)

    def partial_match(self, data: bytes) -> int:
        """Length of the longest end of `data` that may be the beginning of a registered value."""
        sizes = range(min(len(data), self.longest - 1), 0, -1)
        return next((size for size in sizes if data[-size:] in self._beginnings), 0)


class StreamMasker:
    """Masks a stream that arrives in chunks: holds back only what may be the beginning of a registered value."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be written of everything fed so far."""
        data = self._masker.data(self._held + chunk)
        keep = self._masker.partial_match(data)
        self._held = data[len(data) - keep :] if keep else b""
        return data[: len(data) - keep] if keep else data

    def finish(self) -> bytes:
        """The rest, at the end of the stream."""
        held, self._held = self._held, b""
        return held


def _filter(needles: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """A table that leaves of bytes only whether they occur in `needles`, and what every needle has in it then.

    That is a run of such bytes as long as the shortest needle; white space is not counted, else lines of text would be runs.
    """
    alphabet = frozenset(b"".join(needles)) - frozenset(b" \t\r\n")
    classes = bytes(_INSIDE if byte in alphabet else _OUTSIDE for byte in range(256))
    runs = (max(map(len, needle.translate(classes).split(bytes([_OUTSIDE])))) for needle in needles)
    return classes, bytes([_INSIDE]) * min(runs, default=0)


def _forms(value: bytes) -> set[bytes]:
    forms = {value, urllib.parse.quote(value, safe="").encode(), urllib.parse.quote_plus(value).encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # The value may start at any of three offsets within a base64 text; the characters that depend on
        # its neighbours are left out at both ends.
        for offset in range(3):
            encoded = encode(b"\x00" * offset + value)
            start, rest = -(-offset * 8 // 6), (offset + len(value)) % 3
            core = encoded.rstrip(b"=")[start : None if rest == 0 else -1]
            if len(core) >= MIN_MASKED_LENGTH:
                forms.add(core)
    return forms
