"""Content types and cache rules of objects."""

import mimetypes
import re

IMMUTABLE = "public, max-age=31536000, immutable"
PAGE = "public, max-age=0, must-revalidate"
ASSET = "public, max-age=300"
# Only the library's own table: that of the machine would make the result depend on the worker.
_TYPES = mimetypes.MimeTypes(filenames=())
_MORE = {
    ".avif": "image/avif",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".whl": "application/zip",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
for _suffix, _type in _MORE.items():
    _TYPES.add_type(_type, _suffix)
_ENCODED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_UTF8 = {"application/javascript", "application/json", "application/xml", "image/svg+xml"}
_FINGERPRINT = re.compile(r"[.-](?=[0-9a-f]*\d)[0-9a-f]{8,64}\.[^/]+$|[.-](?=\w*\d)(?=\w*[A-Z])\w{8,32}\.[^./]+$")


def content_type(path: str) -> str:
    """The media type for the file name; text is UTF-8, an unknown kind is `application/octet-stream`."""
    kind, encoding = _TYPES.guess_type(f"file:///{path}", strict=False)
    if encoding is not None:
        return _ENCODED.get(encoding, "application/octet-stream")
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _UTF8 else kind


def is_page(path: str) -> bool:
    """Whether readers arrive at it, so that it must not lead to what isn't there yet."""
    return content_type(path).startswith(("text/html", "application/xhtml"))


def site_cache(path: str, configured: str | None) -> str:
    """The cache rule of a site's file: pages are checked at each visit, names with a hash of their content never again."""
    if is_page(path):
        return PAGE
    return IMMUTABLE if _FINGERPRINT.search(path) else configured or ASSET
