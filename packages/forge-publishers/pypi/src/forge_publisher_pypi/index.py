"""What an index holds, and uploads to it. Blocking: requests, pypi-simple and twine do the work."""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import requests
import rich
from pypi_simple import (
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from twine.exceptions import TwineException
from twine.package import PackageFile
from twine.settings import Settings

from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError
from forge_sdk.secrets import Secret

TIMEOUT = (5.0, 60.0)
MAX_DOWNLOAD = 2 * 2**30
UNAUTHORIZED = {401, 403}
TAKEN = {400, 409}
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
ANSWER = 500


@dataclass(frozen=True)
class Credentials:
    """User and password (or token) for uploads, and the reference that they came from, for messages."""

    user: str
    password: Secret
    reference: str


class TakenError(Exception):
    """The index refused an upload in a way that may mean that the name is taken."""


class Index:
    """One package index."""

    def __init__(self, index_url: str, upload_url: str, credentials: Credentials | None) -> None:
        self.index_url, self._upload_url, self._credentials = index_url, upload_url, credentials

    def digests_of(self, project: str, filenames: Collection[str]) -> dict[str, str]:
        """The digests (`sha256:<hex>`) of those files that the index has, by name.

        What the index itself says counts; a file of which it gives no SHA-256 is downloaded.
        """
        with self._session() as session, PyPISimple(self.index_url, session=session) as simple:
            listed = {package.filename: package for package in self._packages(simple, project)}
            found = {name: listed[name] for name in filenames if name in listed}
            return {name: f"sha256:{self._digest(session, package)}" for name, package in found.items()}

    def upload(self, path: Path) -> None:
        """Upload one file. Raises `TakenError` where its name may be taken, else a `PlatformError` that says what was refused."""
        user, password = (
            (self._credentials.user, self._credentials.password.reveal()) if self._credentials else ("", "")
        )
        settings = Settings(
            repository_url=self._upload_url,
            username=user,
            password=password,
            non_interactive=True,
            disable_progress_bar=True,
            config_file=os.devnull,
        )
        # twine prints a line for each upload, which would stand in the worker's log.
        rich.get_console().quiet = True
        repository = settings.create_repository()
        try:
            response = repository.upload(PackageFile.from_filename(str(path), None), max_redirects=1)
        except requests.RequestException as error:
            raise TransientError(f"the index at {self._upload_url} can't be reached: {type(error).__name__}") from error
        except TwineException as error:
            raise PlatformError(f"{path.name} can't be uploaded: {error}", code=ErrorCode.PUBLISH_FAILED) from error
        finally:
            repository.close()
        self._check(response, path.name)

    def _packages(self, simple: PyPISimple, project: str) -> list[DistributionPackage]:
        try:
            packages: list[DistributionPackage] = simple.get_project_page(project, timeout=TIMEOUT).packages
        except NoSuchProjectError:
            return []
        except requests.HTTPError as error:
            if error.response is not None:
                self._check(error.response, project)
            raise PlatformError(
                f"the index at {self.index_url} gave no answer that can be used", code=ErrorCode.PUBLISH_FAILED
            ) from error
        except requests.RequestException as error:
            raise TransientError(f"the index at {self.index_url} can't be reached: {type(error).__name__}") from error
        except (UnsupportedRepoVersionError, UnsupportedContentTypeError) as error:
            raise PlatformError(
                f"{self.index_url} is no package index: {error}", code=ErrorCode.PUBLISH_FAILED
            ) from error
        return packages

    def _digest(self, session: requests.Session, package: DistributionPackage) -> str:
        return str((package.digests or {}).get("sha256") or self._downloaded_digest(session, package))

    def _downloaded_digest(self, session: requests.Session, package: DistributionPackage) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            with session.get(package.url, stream=True, timeout=TIMEOUT) as response:
                response.raise_for_status()
                for chunk in response.iter_content(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
                    if size > MAX_DOWNLOAD:
                        raise PlatformError(
                            f"{package.filename} of the index is too large to compare", code=ErrorCode.PUBLISH_FAILED
                        )
        except requests.RequestException as error:
            raise TransientError(
                f"{package.filename} of the index can't be read to compare it: {type(error).__name__}"
            ) from error
        return digest.hexdigest()

    def _session(self) -> requests.Session:
        session = requests.Session()
        if self._credentials is not None:
            session.auth = (self._credentials.user, self._credentials.password.reveal())
        return session

    def _check(self, response: requests.Response, what: str) -> None:
        if response.status_code < 400:  # noqa: PLR2004 - HTTP's own border
            return
        answer = f"{response.status_code} {response.reason}: {response.text[:ANSWER].strip()}"
        if response.status_code in UNAUTHORIZED:
            used = f"credentials {self._credentials.reference}" if self._credentials else "no credentials"
            raise AuthenticationError(
                f"the index at {self._upload_url} refused {used} ({response.status_code} {response.reason})"
            )
        if response.status_code in TRANSIENT:
            retry_after = response.headers.get("Retry-After", "")
            raise TransientError(
                f"the index answered {answer}", retry_after=float(retry_after) if retry_after.isdigit() else None
            )
        if response.status_code in TAKEN:
            raise TakenError(answer)
        raise PlatformError(f"the index refused {what}: {answer}", code=ErrorCode.PUBLISH_FAILED)
