"""The publish ledger of one artifact: rows are written before and after each external call."""

from collections.abc import Iterable
from uuid import UUID

from forge_sdk.errors import AlreadyExists
from forge_sdk.models.api import LedgerUpdate, Publication
from forge_sdk.models.artifacts import PublishedFile, PublisherResult
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.statuses import PublicationState
from forge_worker.jobs import JobContext
from forge_worker.verification import VerifiedArtifact


class Ledger:
    """The rows of one artifact, one for each publisher and file (or image), kept here and in the API."""

    def __init__(self, context: JobContext, release_id: UUID, artifact: str, verified: VerifiedArtifact) -> None:
        self._context, self._release_id, self._artifact = context, release_id, artifact
        self._subjects = verified.subjects
        self._rows: dict[tuple[str, str], Publication] = {}

    def rows(self, publisher: str | None = None) -> tuple[Publication, ...]:
        """The rows of `publisher`, or all, in the order of publishers and files."""
        return tuple(row for (name, _), row in self._rows.items() if publisher in {None, name})

    def adopt(self, results: Iterable[PublisherResult]) -> None:
        """Take over the rows of publishers whose results stand; the API has them already.

        Raises `already_exists` where one published other content than this artifact: a rebuild gave another digest.
        """
        digests = dict(self._subjects)
        for result in results:
            for file in result.files:
                built = digests.get(file.file)
                if file.state.reached_target and built != file.digest:
                    raise AlreadyExists(
                        f"publisher {result.publisher!r} has published {file.file} with other content ({file.digest}, now: "
                        f"{built}): the build is not reproducible, so a new commit is needed",
                        existing_digest=file.digest,
                        digest=built or "",
                        component="artifact",
                    )
                self._rows[result.publisher, file.file] = self._row(result.publisher, file)

    async def plan(self, publishers: Iterable[str]) -> None:
        """Write a row `planned` for each file of each publisher; the API leaves alone what has reached its target."""
        rows = [
            self._row(publisher, PublishedFile(file=file, digest=digest, state=PublicationState.PLANNED))
            for publisher in publishers
            for file, digest in self._subjects
        ]
        await self._write(rows)

    async def record(self, publisher: str, files: Iterable[PublishedFile]) -> None:
        """Write what became of `files`; those that are recorded like that already are not sent again."""
        rows = [self._row(publisher, file) for file in files]
        await self._write([row for row in rows if self._rows.get((publisher, row.file)) != row])

    async def settle(
        self,
        publisher: str,
        state: PublicationState,
        *,
        uri: str = "",
        error: ErrorDetail | None = None,
        digest: str | None = None,
    ) -> None:
        """Write `state` for every file of the publisher (with `digest`, where given) that is still `planned`."""
        open_rows = [
            row
            for row in self.rows(publisher)
            if row.state is PublicationState.PLANNED and digest in {None, row.digest}
        ]
        await self._write([row.model_copy(update={"state": state, "uri": uri, "error": error}) for row in open_rows])

    def files(self, publisher: str) -> tuple[PublishedFile, ...]:
        """What became of each file at the publisher's target."""
        return tuple(
            PublishedFile(file=row.file, digest=row.digest, state=row.state, uri=row.uri, error=row.error)
            for row in self.rows(publisher)
        )

    def _row(self, publisher: str, file: PublishedFile) -> Publication:
        return Publication(
            artifact=self._artifact,
            publisher=publisher,
            file=file.file,
            digest=file.digest,
            state=file.state,
            uri=file.uri,
            error=file.error,
        )

    async def _write(self, rows: list[Publication]) -> None:
        if not rows:
            return
        body = LedgerUpdate(job_id=self._context.job.id, token=self._context.token, rows=tuple(rows))
        await self._context.services.api.update_publications(self._release_id, body)
        self._rows.update({(row.publisher, row.file): row for row in rows})
