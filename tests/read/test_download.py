from collections.abc import Callable
from pathlib import Path

import pytest

from projgraph.errors import InputError
from projgraph.read.download import Patience, download

from .loopback import Loopback

CONTENT = bytes(range(256)) * 1000
QUICK = Patience(attempts=3, first_wait=0.0, timeout=5.0)


@pytest.fixture
def fetched(tmp_path: Path) -> Callable[[str], bytes]:
    def fetch(url: str) -> bytes:
        download(url, tmp_path / "file", patience=QUICK)
        return (tmp_path / "file").read_bytes()

    return fetch


def test_whole_file_and_progress(tmp_path: Path, loopback: Loopback) -> None:
    loopback.files["/file"] = CONTENT
    seen: list[tuple[str, int, int | None]] = []
    download(loopback.url("/file"), tmp_path / "file", progress=lambda *state: seen.append(state), patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen[0] == ("file", 0, len(CONTENT))
    assert seen[-1] == ("file", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_transfer_is_resumed(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["cut 100000", "cut 50000", "whole"]
    assert fetched(loopback.url("/file")) == CONTENT
    assert loopback.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_tries_are_counted_from_the_last_byte_that_came(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["cut 10", "500", "cut 10", "503", "cut 10", "429", "whole"]
    assert fetched(loopback.url("/file")) == CONTENT
    assert loopback.ranges[-1] == "bytes=30-"


def test_a_later_call_goes_on(tmp_path: Path, loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["cut 70000", "500", "500", "500"]
    with pytest.raises(InputError, match=r"/file: not fetched after 3 tries \(the server answers 500 .*what has"):
        fetched(loopback.url("/file"))
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:70000]
    loopback.ranges.clear()
    loopback.script = ["whole"]
    assert fetched(loopback.url("/file")) == CONTENT
    assert loopback.ranges == ["bytes=70000-"]


def test_500_then_success(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["500", "503", "whole"]
    assert fetched(loopback.url("/file")) == CONTENT


def test_a_server_without_ranges(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["cut 1000", "no range"]
    assert fetched(loopback.url("/file")) == CONTENT


def test_a_wrong_range_starts_anew(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["cut 1000", "wrong range", "whole"]
    assert fetched(loopback.url("/file")) == CONTENT
    assert loopback.ranges == [None, "bytes=1000-", None]


def test_a_part_of_something_longer_starts_anew(
    tmp_path: Path, loopback: Loopback, fetched: Callable[[str], bytes]
) -> None:
    loopback.files["/file"] = b"short"
    (tmp_path / "file.part").write_bytes(b"much longer than that")
    assert fetched(loopback.url("/file")) == b"short"


def test_without_a_length(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    loopback.files["/file"] = CONTENT
    loopback.script = ["no length"]
    assert fetched(loopback.url("/file")) == CONTENT


def test_a_missing_file_is_not_tried_again(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    with pytest.raises(InputError, match=r"/gone: the server answers 404 Not Found; the file may have moved"):
        fetched(loopback.url("/gone"))
    assert len(loopback.ranges) == 1


def test_nobody_answers(loopback: Loopback, fetched: Callable[[str], bytes]) -> None:
    url = loopback.url("/file")
    loopback.close()
    with pytest.raises(InputError, match=r"not fetched after 3 tries \(.*refused.*\); check the network"):
        fetched(url)


@pytest.mark.parametrize("url", ["http://example.org/file", "file:///etc/hostname", "ftp://example.org/file", "file"])
def test_only_https(fetched: Callable[[str], bytes], url: str) -> None:
    with pytest.raises(InputError, match=r": expected an https:// address"):
        fetched(url)
