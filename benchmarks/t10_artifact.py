"""T10: an artifact verified, sealed (object storage and tracking image) and published to S3, and the memory that it takes."""

import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from measure import Memory, Row, SkippedError
from pydantic import JsonValue

from forge_oci.core.keys import write_key_pair
from forge_oci.registry import KeySigner, RegistryClient
from forge_sdk.configuration import Storage
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, CreateArtifactResponse, PublishArtifactRequest
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.secrets import Secret
from forge_sdk.testing import LocalContext
from forge_servers.registry import RegistryServer
from forge_servers.s3 import S3Server
from forge_worker.beside import beside
from forge_worker.sealing.copies import Built, SealedCopies
from forge_worker.sealing.tracking import Facts, seal
from forge_worker.verification import verify_artifact

SIZES = {"T10.1": (100, 5), "T10.3": (2048, 5)}
MEMORY = {"T10.1": "T10.2", "T10.3": "T10.4"}
RATIO, MEMORY_MIB = 1.3, 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHUNK = 2**20
REFERENCE: dict[str, JsonValue] = {"provider": "local", "key": "s3"}


async def rows() -> list[Row]:
    found = []
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as name:
        folder = Path(name)
        with S3Server(folder / "s3") as storage, RegistryServer(folder / "registry") as registry:
            for identifier, (size, repetitions) in SIZES.items():
                path = folder / f"{size}.zip"
                _make(path, size)
                place = {
                    "endpoint": storage.endpoint_url,
                    "access": storage.access_key,
                    "secret": storage.secret_key,
                    "region": storage.region,
                    "registry": registry.host,
                }
                figures = [await _turn(place, folder, path) for _ in range(repetitions + 1)][1:]
                found += _rows(identifier, size, figures)
                path.unlink()
    return found


def _rows(identifier: str, size: int, figures: list[dict[str, dict[str, float]]]) -> list[Row]:
    floor = statistics.median(figure["floor"]["seconds"] for figure in figures) * 1000
    ours = statistics.median(figure["ours"]["seconds"] for figure in figures) * 1000
    memory = statistics.median(figure["ours"]["memory"] for figure in figures)
    bare = statistics.median(figure["floor"]["memory"] for figure in figures)
    what = f"artifact of {size} MiB verified, sealed and published to S3, against reading, hashing and the two uploads"
    ratio = ours / floor
    return [
        Row(identifier, what, "ms", floor, ours, ratio, f"<= {RATIO:g}x", ratio <= RATIO),
        Row(
            MEMORY[identifier],
            f"its memory above idle ({size} MiB)",
            "MiB",
            bare,
            memory,
            None,
            f"<= {MEMORY_MIB} MiB",
            memory <= MEMORY_MIB,
        ),
    ]


async def _turn(place: dict[str, str], folder: Path, path: Path) -> dict[str, dict[str, float]]:
    """Each in a process of its own, so that neither finds what the other has left in memory."""
    return {mode: await asyncio.to_thread(_process, mode, place, folder, path) for mode in ("floor", "ours")}


def _process(mode: str, place: dict[str, str], folder: Path, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, mode, json.dumps(place), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if done.returncode != 0:
        raise SkippedError(f"the {mode} failed: {done.stderr[-500:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _make(path: Path, size: int) -> None:
    block = os.urandom(CHUNK)
    with path.open("wb") as file:
        for number in range(size):
            file.write(number.to_bytes(8, "big") + block[8:])


def _client(place: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=place["endpoint"],
        aws_access_key_id=place["access"],
        aws_secret_access_key=place["secret"],
        region_name=place["region"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def _bucket(place: dict[str, str]) -> str:
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    client = _client(place)
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="warm-up", Body=b"1")
    return bucket


def _empty(place: dict[str, str], bucket: str) -> None:
    """Two gigabytes twice for each turn would fill the disk."""
    client = _client(place)
    listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": entry["Key"]} for entry in listed]})


def _floor(place: dict[str, str], path: Path) -> dict[str, float]:
    bucket, client = _bucket(place), _client(place)
    client.head_object(Bucket=bucket, Key="warm-up")
    memory, started = Memory(), time.perf_counter()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    for key in ("sealed", "published"):
        client.upload_file(str(path), bucket, key)
    figures = {"seconds": time.perf_counter() - started, "memory": memory.growth}
    _empty(place, bucket)
    return figures


async def _ours(place: dict[str, str], path: Path) -> dict[str, float]:
    bucket = await asyncio.to_thread(_bucket, place)
    work = path.parent / bucket
    staging = work / "staging"
    await asyncio.to_thread(staging.mkdir, parents=True)
    os.link(path, staging / path.name)
    write_key_pair(work / "forge.key", work / "forge.pub")
    storage = S3ObjectStore(_storage(place, bucket, work))
    await storage.put("warm-up", b"1")
    publisher = load_plugins().publisher("s3")
    context = LocalContext(secrets={"local(key=s3)": Secret(f"{place['access']}:{place['secret']}")})
    async with RegistryClient(place["registry"], plain_http=True) as client:
        await client.tags("acme/none")
        await publisher.publish(_request(place, bucket, _small(work), work), context)
        response = _response(path)
        memory, started = Memory(), time.perf_counter()
        definition = ArtifactDefinition(name="tool", type=ArtifactType.ARCHIVE, producer="command")
        verified = await verify_artifact(definition, "api", response, staging)
        now = datetime.now(UTC)
        built = Built(response=response, started_at=now, built_at=now)
        signer = KeySigner(work / "forge.key")
        async with beside(SealedCopies(storage, "sealed/").store(verified, built, COMMIT)) as copied:
            await seal(client, signer, verified, _facts(bucket, now), prefix="", sbom=None, copied=copied)
        await publisher.publish(_request(place, bucket, response, staging), context)
        figures = {"seconds": time.perf_counter() - started, "memory": memory.growth}
    await asyncio.to_thread(_empty, place, bucket)
    return figures


def _small(work: Path) -> CreateArtifactResponse:
    """Publishing it first makes imports and connections part of being idle, as in a worker."""
    (work / "small.zip").write_bytes(b"1")
    return _response(work / "small.zip")


def _response(path: Path) -> CreateArtifactResponse:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    size = path.stat().st_size
    file = ArchiveFile(path=path.name, format="zip", size=size, digest=f"sha256:{digest.hexdigest()}")
    return CreateArtifactResponse(
        name="tool", project="api", type=ArtifactType.ARCHIVE, output=ArchiveOutput(files=(file,))
    )


def _request(
    place: dict[str, str], bucket: str, response: CreateArtifactResponse, staging: Path
) -> PublishArtifactRequest:
    return PublishArtifactRequest(
        project="api",
        project_path=".",
        repository="acme/shop",
        repository_path=".",
        commit_sha=COMMIT,
        git=GitContext(),
        release_id=uuid.uuid4(),
        artifact=response,
        staging_path=str(staging),
        publisher="s3",
        repo_config={
            "bucket": bucket,
            "endpoint": place["endpoint"],
            "region": place["region"],
            "credentials": REFERENCE,
        },
    )


def _facts(name: str, now: datetime) -> Facts:
    return Facts(
        repository=f"acme/{name}",
        project="api",
        artifact="tool",
        commit=COMMIT,
        source_uri="git+https://example.org/acme/shop@refs/heads/main",
        builder="https://example.org/worker",
        invocation="1",
        started_at=now,
        built_at=now,
        metadata={"artifact": {}, "source": {}, "build": {}},
        parameters={},
    )


def _storage(place: dict[str, str], bucket: str, work: Path) -> Storage:
    files = {}
    for name in ("access", "secret"):
        files[name] = work / name
        files[name].touch(mode=0o600)
        files[name].write_text(place[name])
    return Storage(
        endpoint_url=place["endpoint"],
        region=place["region"],
        bucket=bucket,
        access_key_file=files["access"],
        secret_key_file=files["secret"],
    )


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(asyncio.run(_ours(*arguments)) if sys.argv[1] == "ours" else _floor(*arguments)))
