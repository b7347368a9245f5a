"""Outputs of jobs: inline, or in object storage where they are large."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from forge_api.pipeline.facts import RunFacts
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import job_id
from forge_sdk.models.discovery import DiscoveryDocument
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.object_storage import ObjectStore
from forge_sdk.retry import RetryPolicy
from forge_sdk.storage_keys import result_key

Model = TypeVar("Model", bound=BaseModel)
MAX_OUTPUT = 64 * 2**20
"""Bytes; a larger output is refused."""
STORAGE_RETRY = RetryPolicy(attempts=6, base_delay=0.5, max_delay=15.0, jitter=0.5)


class Outputs:
    """Reads outputs from where the results say they are."""

    def __init__(self, storage: ObjectStore) -> None:
        self._storage = storage

    async def read(self, job: Job, result: JobResult, model: type[Model]) -> Model:
        """The output of a job as `model`. `PlatformError` where it does not fit or is not the job's own object."""
        if result.output_ref is None:
            return result.output_as(model)
        if result.output_ref != result_key(job.run_id, job.id):
            raise PlatformError(
                f"the result of {job.type} job {job.id} names an object that is not its own: {result.output_ref}",
                code=ErrorCode.VALIDATION_ERROR,
                component="pipeline",
            )
        return await self.load(result.output_ref, model)

    async def load(self, key: str, model: type[Model]) -> Model:
        """The object at `key` as `model`."""
        data = await STORAGE_RETRY.call(lambda: self._storage.get(key, limit=MAX_OUTPUT))
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            raise PlatformError(
                f"{key} does not fit {model.__name__}: {error.errors()[0]['msg']}; upgrade the older of API and worker",
                code=ErrorCode.VALIDATION_ERROR,
                component="pipeline",
            ) from error

    async def keep_document(self, job: Job, result: JobResult) -> tuple[DiscoveryDocument, str]:
        """The discovery document and its key; an inline one is stored, since a resumed run reads it again."""
        document = await self.read(job, result, DiscoveryDocument)
        key = result_key(job.run_id, job.id)
        if result.output_ref is None:
            await self._store(key, document)
        return document, key

    async def store_document(self, run: RunFacts, document: DiscoveryDocument) -> str:
        """Store the document of a run that needed no discovery, and return its key."""
        key = result_key(run.id, job_id(run.id, "discovery"))
        await self._store(key, document)
        return key

    async def _store(self, key: str, document: DiscoveryDocument) -> None:
        data = document.model_dump_json().encode()
        await STORAGE_RETRY.call(lambda: self._storage.put(key, data, content_type="application/json"))
