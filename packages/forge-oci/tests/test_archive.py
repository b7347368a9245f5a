import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_oci.core.archive import write_archive
from forge_oci.core.errors import ArchiveError, Reason
from forge_oci.core.unpack import DEFAULT_LIMITS, Limits, decompress, read_archive

segments = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=40)
files = st.dictionaries(segments.map(lambda name: f"dir/{name.casefold()}.yaml"), st.binary(max_size=2000), max_size=5)


def archive(*entries):
    """Make a tar+gzip archive as an attacker would: whatever entries they like."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as output:
        for entry in entries:
            output.addfile(entry)
    return gzip.compress(buffer.getvalue())


def entry(name, kind=tarfile.REGTYPE, **attributes):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


@given(files)
def test_files_survive_packing(files):
    assert read_archive(write_archive(files)) == files


@given(files)
def test_the_order_of_files_does_not_change_the_bytes(files):
    assert write_archive(files) == write_archive(dict(reversed(files.items())))


@given(files)
def test_ordinary_tools_read_the_archive(files):
    with tarfile.open(fileobj=io.BytesIO(write_archive(files))) as source:
        read = {member.name: source.extractfile(member).read() for member in source}
    assert read == files


def test_times_and_owners_are_fixed():
    content = write_archive({"a.yaml": b"x"})
    with tarfile.open(fileobj=io.BytesIO(content)) as source:
        member = source.getmember("a.yaml")
    assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
    assert content[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"


def test_long_names_survive():
    name = "/".join(["directory" * 5] * 6) + "/é.yaml"
    assert read_archive(write_archive({name: b"x"})) == {name: b"x"}


def test_directories_are_accepted_and_left_out():
    assert read_archive(archive(entry("a", tarfile.DIRTYPE), entry("a/b.yaml"))) == {"a/b.yaml": b""}


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([entry("../x")], Reason.PATH_TRAVERSAL),
        ([entry("a/../../x")], Reason.PATH_TRAVERSAL),
        ([entry("../x", tarfile.DIRTYPE)], Reason.PATH_TRAVERSAL),
        ([entry("/etc/passwd")], Reason.ABSOLUTE_PATH),
        ([entry("C:/x")], Reason.ABSOLUTE_PATH),
        ([entry("a//b")], Reason.INVALID_PATH),
        ([entry("./a")], Reason.INVALID_PATH),
        ([entry("a\\..\\b")], Reason.INVALID_PATH),
        ([entry("a\nb")], Reason.INVALID_PATH),
        ([entry("a", tarfile.SYMTYPE, linkname="/etc/passwd")], Reason.LINK),
        ([entry("a", tarfile.LNKTYPE, linkname="b")], Reason.LINK),
        ([entry("a", tarfile.CHRTYPE)], Reason.DEVICE),
        ([entry("a", tarfile.BLKTYPE)], Reason.DEVICE),
        ([entry("a", tarfile.FIFOTYPE)], Reason.DEVICE),
        ([entry("a", b"S")], Reason.SPARSE),
        ([entry("a", pax_headers={"GNU.sparse.major": "1"})], Reason.SPARSE),
        ([entry("a", pax_headers={"linkpath": "/etc/passwd"})], Reason.UNSUPPORTED_ENTRY),
        ([entry("a", b"7")], Reason.UNSUPPORTED_ENTRY),
        ([entry("a"), entry("a")], Reason.DUPLICATE_PATH),
        ([entry("a"), entry("A")], Reason.DUPLICATE_PATH),
        ([entry("a"), entry("a/b")], Reason.DUPLICATE_PATH),
        ([entry("a", size=17 * 1024 * 1024)], Reason.TOO_LARGE),
        ([entry("a", size=20_000)], Reason.TRUNCATED),
    ],
)
def test_a_hostile_archive_is_refused_with_its_reason(entries, reason):
    with pytest.raises(ArchiveError) as caught:
        read_archive(archive(*entries))
    assert caught.value.reason is reason


def refusal(content, limits=DEFAULT_LIMITS):
    with pytest.raises(ArchiveError) as caught:
        read_archive(content, limits)
    return caught.value.reason


def test_too_many_entries_are_refused():
    assert refusal(archive(*[entry(str(i)) for i in range(4)]), Limits(entries=3)) is Reason.TOO_MANY_ENTRIES


def test_a_bomb_is_refused_by_its_ratio():
    assert refusal(gzip.compress(bytes(10 * 1024 * 1024))) is Reason.COMPRESSION_BOMB


def test_a_bomb_is_refused_by_its_size():
    assert refusal(gzip.compress(bytes(4096)), Limits(unpacked_bytes=4095)) is Reason.COMPRESSION_BOMB


def test_a_large_archive_is_refused_before_it_is_unpacked():
    assert refusal(b"x" * 100, Limits(compressed_bytes=99)) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.TRUNCATED),
        (b"not gzip", Reason.MALFORMED),
        (write_archive({"a": b"x"})[:-9], Reason.TRUNCATED),
        (write_archive({"a": b"x"}) + b"more", Reason.TRAILING_DATA),
        (gzip.compress(decompress(write_archive({"a": b"x"})) + b"more"), Reason.TRAILING_DATA),
        (gzip.compress(b"x" * 512), Reason.MALFORMED),
        (gzip.compress(b""), Reason.TRUNCATED),
    ],
)
def test_a_damaged_archive_is_refused_with_its_reason(content, reason):
    assert refusal(content) is reason


@given(st.binary(max_size=3000))
def test_any_tar_bytes_are_files_or_refused(content):
    with pytest.raises(ArchiveError):
        read_archive(gzip.compress(b"x" + content))


@given(st.integers(0, 1535), st.binary(min_size=1, max_size=8))
def test_a_changed_header_never_escapes(position, change):
    data = bytearray(decompress(write_archive({"a/b.yaml": b"content"})))
    data[position : position + len(change)] = change
    try:
        read = read_archive(gzip.compress(bytes(data)))
    except ArchiveError:
        return
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in read)


def test_the_writer_refuses_what_the_reader_would_refuse():
    with pytest.raises(ArchiveError):
        write_archive({"../x": b""})
