"""Whether a release image may be deployed: signed by the platform, whole, and of the release that a pointer names."""

import asyncio
from collections.abc import Sequence

from pydantic import JsonValue

from forge_oci.core.errors import OciError
from forge_oci.core.keys import PublicKey
from forge_oci.core.names import repository_path
from forge_oci.core.release import Release, unpack_release
from forge_oci.registry import verify_image
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.releases import PointerSpec
from forge_worker.jobs import Services

COMPONENT = "deployment"
MAX_BYTES = 64 * 2**20
_REFUSED = {ErrorCode.SIGNATURE_INVALID, ErrorCode.NOT_FOUND, ErrorCode.REGISTRY_FAILED}


async def verify_release(services: Services, spec: PointerSpec) -> None:
    """Verify the image that `spec` names.

    Raises `deployment_refused` that says which link does not hold; what a registry does in passing is raised as it is.
    """
    prefix = services.configuration.registry.release_prefix
    try:
        repository = repository_path(prefix, spec.repository, spec.project)
        await verify_image(services.registry, repository, spec.digest, await _keys(services))
        release = await _pull(services, repository, spec.digest)
    except OciError as error:
        raise _refused(spec, str(error), reason=error.reason.value) from error
    except PlatformError as error:
        if error.transient or error.code not in _REFUSED:
            raise
        raise _refused(spec, error.message, **error.context) from error
    _check_identity(release, spec)


async def _keys(services: Services) -> Sequence[PublicKey]:
    files = services.configuration.signing.public_key_files
    if not files:
        return [await services.signer.public_key()]
    return await asyncio.to_thread(lambda: [PublicKey.from_file(path) for path in files])


async def _pull(services: Services, repository: str, digest: str) -> Release:
    image = await services.registry.pull(repository, digest, max_bytes=MAX_BYTES)
    return await asyncio.to_thread(unpack_release, image)


def _check_identity(release: Release, spec: PointerSpec) -> None:
    source = release.metadata.get("source")
    found = {
        "repository": release.metadata.get("repository"),
        "project": release.metadata.get("project"),
        "commit": source.get("commit") if isinstance(source, dict) else None,
    }
    wanted = {"repository": spec.repository, "project": spec.project, "commit": spec.release}
    for name, value in wanted.items():
        if found[name] != value:
            raise _refused(spec, f"the image is of another {name}: {str(found[name])[:200]!r}")


def _refused(spec: PointerSpec, why: str, **context: JsonValue) -> PlatformError:
    return PlatformError(
        f"the release image {spec.digest} of {spec.repository}/{spec.project} may not be deployed: {why}",
        code=ErrorCode.DEPLOYMENT_REFUSED,
        component=COMPONENT,
        context={**context, "digest": spec.digest},
    )
