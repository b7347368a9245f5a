import bz2
import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import tar_gz, zipped

from forge_publisher_s3.archives import Limits, unpack
from forge_publisher_s3.headers import content_type, site_cache
from forge_sdk.errors import ErrorCode, PlatformError

NAMES = st.from_regex(r"[a-zäö0-9_. -]{1,60}(/[a-z0-9]{1,60}){0,4}", fullmatch=True).filter(
    lambda name: not any(part in {".", ".."} for part in name.split("/"))
)
FILES = st.dictionaries(NAMES, st.binary(max_size=2000), max_size=6)


def read(tmp_path, data, **limits):
    archive, folder = tmp_path / "archive", tmp_path / "folder"
    archive.write_bytes(data)
    folder.mkdir()
    entries = unpack(archive, folder, Limits(**limits))
    return {entry.path: entry.location.read_bytes() for entry in entries}


@settings(deadline=None)
@given(FILES, st.sampled_from([tar_gz, zipped, lambda files: bz2.compress(gzip.decompress(tar_gz(files)))]))
def test_what_was_packed_comes_out(tmp_path_factory, files, pack):
    assert read(tmp_path_factory.mktemp("archive"), pack(files)) == files


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 3000), st.sampled_from([tar_gz, zipped]))
def test_damage_is_an_error_of_ours(tmp_path_factory, noise, position, pack):
    data = pack({"a.html": b"a" * 500, "b/c.html": b"b" * 700})
    position %= len(data)
    damaged = data[:position] + noise + data[position + len(noise) :]
    try:
        found = read(tmp_path_factory.mktemp("archive"), damaged)
    except PlatformError as error:
        found = error
    assert isinstance(found, dict) or found.code is ErrorCode.OUTPUT_INVALID


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", "x" * 600])
@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_paths_that_are_no_plain_names_are_refused(tmp_path, name, pack):
    with pytest.raises(PlatformError, match="path"):
        read(tmp_path, pack({name: b"1"}))


def test_a_leading_dot_folder_is_dropped(tmp_path):
    assert read(tmp_path, tar_gz({"./a/b.html": b"1"})) == {"a/b.html": b"1"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(PlatformError, match="link, a device, sparse"):
        read(tmp_path, stream.getvalue())


def test_links_in_zip_archives_are_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(PlatformError, match="link"):
        read(tmp_path, stream.getvalue())


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("limits", [{"total_bytes": 2**20}, {"file_bytes": 2**20}])
def test_bombs_are_cut_off(tmp_path, pack, limits):
    with pytest.raises(PlatformError, match="larger than is unpacked"):
        read(tmp_path, pack({"zeros": bytes(20 * 2**20)}), **limits)
    assert sum(path.stat().st_size for path in (tmp_path / "folder").iterdir()) <= 2**20


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_too_many_files_are_refused(tmp_path, pack):
    with pytest.raises(PlatformError):
        read(tmp_path, pack({str(number): b"" for number in range(50)}), files=20)


def test_a_name_given_twice_is_refused(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(PlatformError, match="twice"):
        read(tmp_path, stream.getvalue())


def test_an_extension_header_of_gigabytes_is_not_kept(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 200 * 2**20
    data = gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(200 * 2**20), compresslevel=1)
    tracemalloc.start()
    with pytest.raises(PlatformError, match="extension header"):
        read(tmp_path, data)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_a_zip_directory_of_gigabytes_is_not_read(tmp_path):
    data = bytearray(zipped({"a": b"1"}))
    struct.pack_into("<I", data, len(data) - 10, 2**31)
    with pytest.raises(PlatformError):
        read(tmp_path, bytes(data))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("a/b.mjs", "text/javascript; charset=utf-8"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("font.woff2", "font/woff2"),
        ("sitemap.xml.gz", "application/gzip"),
        ("LICENSE", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_content_types_do_not_depend_on_the_machine(path, kind):
    assert content_type(path) == kind


@pytest.mark.parametrize(
    ("path", "is_immutable"),
    [("app.3f2a1b9c8d.js", True), ("chunk-B1x9Qz7_.css", True), ("main.css", False), ("jquery-3.7.1.min.js", False),
     ("background.png", False), ("index.abcdef12.html", False)],
)  # fmt: skip
def test_only_names_with_a_hash_are_kept_for_ever(path, is_immutable):
    assert ("immutable" in site_cache(path, None)) is is_immutable
