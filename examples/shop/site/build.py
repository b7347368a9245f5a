"""Builds the site: each page in the layout, and all of it as dist/site.tar.gz, with the same bytes for the same pages."""

import gzip
import html
import io
import os
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
PAGES = HERE / "pages"
LAYOUT = HERE / "layout.html"


def render(title: str, text: str) -> str:
    """A page: paragraphs are separated by empty lines."""
    paragraphs = "\n".join(f"<p>{html.escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())
    return LAYOUT.read_text().replace("{title}", html.escape(title)).replace("{content}", paragraphs)


def pages() -> dict[str, str]:
    """Every page by file name; the first line of its source is the title."""
    found = {}
    for source in sorted(PAGES.glob("*.txt")):
        title, _, text = source.read_text().partition("\n")
        found[f"{source.stem}.html"] = render(title, text)
    return found


def archive(contents: dict[str, str], modified: int) -> bytes:
    """The pages as tar.gz; `modified` is the time of every file."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=modified) as compressed, tarfile.open(
        fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT
    ) as tar:
        for name, text in contents.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), modified, 0o644
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def main(target: Path) -> None:
    """Writes the archive to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive(pages(), int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dist" / "site.tar.gz")
