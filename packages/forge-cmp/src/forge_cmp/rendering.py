"""From the files of a release to the YAML stream that Argo CD gets."""

from collections.abc import Mapping
from typing import Any

from .documents import Document, read_documents
from .errors import CmpError
from .inputs import ENVIRONMENT_FILE

MAX_DOCUMENTS = 10_000
_SUFFIXES = (".yaml", ".yml", ".json")


def render(files: Mapping[str, bytes]) -> bytes:
    """The documents of all `files`, checked, sorted by kind, name and namespace, as one stream.

    Raises `CmpError`: `unexpected_file`, `document_invalid`, `too_many_documents`, `no_resources`, or what
    `read_documents` refuses.
    """
    documents = [document for path in sorted(files) for document in _read(path, files[path])]
    if len(documents) > MAX_DOCUMENTS:
        raise CmpError("too_many_documents", f"the release holds more than {MAX_DOCUMENTS} documents")
    if not documents:
        # Argo CD takes an empty stream for an application without resources, and may prune everything.
        raise CmpError("no_resources", "the release holds no resources: nothing is printed, so that nothing is pruned")
    return stream(sorted(documents, key=_order))


def render_environment(content: bytes) -> bytes:
    """The documents of `env.yml` as a stream, in their order; raises `CmpError` as `render` does."""
    documents = read_documents(content, ENVIRONMENT_FILE, code="environment_invalid")
    return stream([_checked(document, ENVIRONMENT_FILE, "environment_invalid") for document in documents])


def stream(documents: list[Document]) -> bytes:
    """The documents one after the other, each with its separator."""
    texts = (document.text.removeprefix("---\n") for document in documents)
    return "".join(text if text.startswith("--- ") else f"---\n{text}" for text in texts).encode()


def _read(path: str, content: bytes) -> list[Document]:
    file = f"{path} in the release image"
    if not path.endswith(_SUFFIXES):
        raise CmpError("unexpected_file", "is neither YAML nor JSON: it can't be a resource", file=file)
    return [_checked(document, file, "document_invalid") for document in read_documents(content, file)]


def _checked(document: Document, file: str, code: str) -> Document:
    value = document.value
    metadata = value.get("metadata")
    fields = {
        "apiVersion": value.get("apiVersion"),
        "kind": value.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, dict) else None,
    }
    for name, found in fields.items():
        if not isinstance(found, str) or not found:
            raise CmpError(code, f"holds a document without {name}: it is no Kubernetes object", file=file)
    return document


def _order(document: Document) -> tuple[str, str, str]:
    metadata: Mapping[str, Any] = document.value["metadata"]
    namespace = metadata.get("namespace")
    return document.value["kind"], metadata["name"], namespace if isinstance(namespace, str) else ""
