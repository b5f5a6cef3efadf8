from collections.abc import Iterator
from pathlib import Path

import pytest

from .loopback import Loopback


@pytest.fixture
def public_sets() -> Path:
    """The folder of converted public sets beside the checkout, where a developer has one."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the public sets are not beside this checkout ({folder.name} folder missing)")
    return folder


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A scripted web server, reached past any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Loopback()
    yield server
    server.close()
