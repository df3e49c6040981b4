"""Archives of others: what is whole is read byte for byte, and nothing in one can reach outside, hide or blow up."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from sightline.captures.containers.archives import SafeZip
from sightline.errors import CaptureError


def zipped(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, payload in members.items():
            archive.writestr(name, payload)
    return path


def special(path: Path, name: str, payload: bytes = b"x", *, mode: int = 0) -> Path:
    """An archive with one innocent member and one whose directory entry is made by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.txt", b"good")
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, payload)
    return path


def test_members_come_back_byte_for_byte(tmp_path):
    members = {"a.txt": b"hello", "sub/b.bin": bytes(range(256)) * 9000, "empty": b""}
    with SafeZip(zipped(tmp_path / "one.zip", members)) as archive:
        assert archive.names() == tuple(members)
        assert {name: archive.read(name, max_bytes=1 << 24) for name in members} == members
        assert archive.size("sub/b.bin") == len(members["sub/b.bin"])
        paths = archive.extract(["sub/b.bin", "a.txt"], tmp_path / "out")
    assert paths["sub/b.bin"] == tmp_path / "out" / "sub" / "b.bin"
    assert {name: path.read_bytes() for name, path in paths.items()} == {name: members[name] for name in paths}


def test_folders_and_stored_members_are_fine(tmp_path):
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.mkdir("sub")
        archive.writestr("sub/a", b"1")
    with SafeZip(tmp_path / "one.zip") as archive:
        assert archive.names() == ("sub/a",) and "sub/" not in archive and "sub/a" in archive


def test_a_large_archive_with_zip64_records_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_STORED) as archive:
        for index in range(66_000):
            archive.writestr(f"{index}", b"")
    with SafeZip(tmp_path / "many.zip") as archive:
        assert len(archive.names()) == 66_000
    with pytest.raises(CaptureError, match="at most 1000 files in the archive, found about 66000"):
        SafeZip(tmp_path / "many.zip", max_members=1000)


NAMES = {  # B25, B26
    "parent": ("../outside.txt", "leads elsewhere"),
    "parent in the middle": ("a/../../outside.txt", "leads elsewhere"),
    "absolute": ("/etc/outside.txt", "absolute"),
    "drive": ("C:/outside.txt", "absolute"),
    "backslashes": ("..\\outside.txt", "backslashes"),
    "a line break": ("good\nevil.txt", "control letters"),
    "a doubled slash": ("a//b", "leads elsewhere"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_that_lead_outside_are_refused_before_anything_is_read(case, tmp_path):
    name, message = NAMES[case]
    path = special(tmp_path / "evil.zip", name)
    with pytest.raises(CaptureError, match=message) as caught:
        SafeZip(path)
    assert "evil.zip" in str(caught.value) and "member" in str(caught.value) and "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == ["evil.zip"]


def test_a_name_with_nul_is_refused_though_libraries_cut_it_there(tmp_path):
    path = special(tmp_path / "evil.zip", "good.pngX.sh")
    path.write_bytes(path.read_bytes().replace(b"good.pngX.sh", b"good.png\0.sh"))
    with pytest.raises(CaptureError, match="without NUL"):
        SafeZip(path)


@pytest.mark.parametrize("mode", [0o120777, 0o060666, 0o020666, 0o010666, 0o140777], ids=["symlink", "block", "char", "fifo", "socket"])
def test_links_and_devices_are_refused(mode, tmp_path):
    with pytest.raises(CaptureError, match="member 'link': expected a file or a folder, found a link or a device"):
        SafeZip(special(tmp_path / "evil.zip", "link", b"/etc/passwd", mode=mode))


def test_the_same_name_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("metadata", b"1")
        archive.writestr("metadata", b"2")
    with pytest.raises(CaptureError, match="member 'metadata': expected every name once"):
        SafeZip(tmp_path / "evil.zip")


def test_encrypted_members_and_other_compressions_are_refused(tmp_path):
    path = zipped(tmp_path / "locked.zip", {"a": b"secret"}, method=zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(CaptureError, match="encrypted"):
        SafeZip(path)
    with pytest.raises(CaptureError, match="compression method 12"):
        SafeZip(zipped(tmp_path / "b.zip", {"a": b"1"}, method=zipfile.ZIP_BZIP2))


def test_a_bomb_is_refused_by_its_stated_ratio(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {"a": bytes(40 << 20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(CaptureError, match="expected at most 200 times its"):
        SafeZip(path)


def test_a_member_that_lies_about_its_size_is_found_out(tmp_path):
    honest = zipped(tmp_path / "a.zip", {"a": b"0123456789" * 5000}).read_bytes()
    for claimed in (100, 60_000):
        lying = honest.replace(struct.pack("<L", 50_000), struct.pack("<L", claimed))
        assert lying != honest
        (tmp_path / "lying.zip").write_bytes(lying)
        with SafeZip(tmp_path / "lying.zip") as archive, pytest.raises(CaptureError, match="damaged|as stated"):
            archive.read("a", max_bytes=1 << 20)


def test_limits_hold_for_one_member_for_all_and_for_what_is_read_in_the_end(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a": b"1" * 600, "b": b"2" * 600})
    with pytest.raises(CaptureError, match="member 'a': expected at most 500 bytes, found 600"):
        SafeZip(path, max_member_bytes=500)
    with pytest.raises(CaptureError, match="at most 1000 bytes once inflated, found 1200"):
        SafeZip(path, max_total_bytes=1000)
    with SafeZip(path, max_total_bytes=1500) as archive:
        with pytest.raises(CaptureError, match="member 'b': expected at most 10 bytes, found 600"):
            archive.read("b", max_bytes=10)
        archive.read("a", max_bytes=600)
        archive.read("a", max_bytes=600)
        with pytest.raises(CaptureError, match="at most 1500 bytes from the archive"):
            archive.read("a", max_bytes=600)


def test_every_truncation_and_no_archive_at_all_are_named(tmp_path):
    whole = zipped(tmp_path / "a.zip", {"a": b"12345" * 100, "b": b"67890" * 100}).read_bytes()
    cut = tmp_path / "cut.zip"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(CaptureError, match="expected a zip archive"):
            SafeZip(cut)
    with pytest.raises(CaptureError, match="expected a zip archive"):
        SafeZip(tmp_path / "none.zip")
    with SafeZip(tmp_path / "a.zip") as archive, pytest.raises(CaptureError, match="member 'c': expected this file"):
        archive.read("c", max_bytes=1)


def test_any_flipped_byte_gives_the_same_bytes_or_one_clear_refusal(tmp_path):
    members = {"a": b"12345" * 100, "b/c": bytes(range(200))}
    whole = zipped(tmp_path / "a.zip", members).read_bytes()
    flipped = tmp_path / "flipped.zip"
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        flipped.write_bytes(damaged)
        try:
            with SafeZip(flipped) as archive:
                found = {name: archive.read(name, max_bytes=1 << 20) for name in archive.names()}
        except CaptureError:
            continue
        assert all(payload in members.values() for payload in found.values())


def test_nothing_is_overwritten_and_a_file_that_is_also_a_folder_is_refused(tmp_path):
    with SafeZip(zipped(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"})) as archive, pytest.raises(CaptureError, match="expected to write"):
        archive.extract(archive.names(), tmp_path / "out")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_bytes(b"mine")
    with SafeZip(tmp_path / "a.zip") as archive, pytest.raises(CaptureError, match="expected to write"):
        archive.extract(["a"], tmp_path / "kept")
    assert (tmp_path / "kept" / "a").read_bytes() == b"mine"


def test_a_directory_entry_that_overlaps_another_cannot_multiply_its_bytes(tmp_path):
    """One stored kernel of data that many entries point to: the bytes really read are counted against the total."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1 << 20))
        first = archive.infolist()[0]
        for index in range(50):
            copy = zipfile.ZipInfo(f"copy{index}")
            copy.compress_type, copy.CRC, copy.header_offset = first.compress_type, first.CRC, first.header_offset
            copy.file_size, copy.compress_size = first.file_size, first.compress_size
            archive.filelist.append(copy)
    (tmp_path / "overlap.zip").write_bytes(raw.getvalue())
    with pytest.raises(CaptureError):
        with SafeZip(tmp_path / "overlap.zip", max_total_bytes=60 << 20) as archive:
            for name in archive.names():
                archive.read(name, max_bytes=2 << 20)
