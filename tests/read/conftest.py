from pathlib import Path

import pytest


@pytest.fixture
def public_sets() -> Path:
    """The folder of converted public sets beside the checkout, where a developer has one."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the public sets are not beside this checkout ({folder.name} folder missing)")
    return folder
