"""A picture of a demo page: python docs/screenshot.py PAGE.html "a sentence" OUT.png [CHROMIUM]."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def screenshot(page_path: Path, sentence: str, out: Path, chromium: str) -> None:
    """Open the page without a network, type the sentence and wait until the clock had time to settle."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_context(viewport={"width": 1120, "height": 900}, offline=True).new_page()
        page.goto(page_path.resolve().as_uri())
        page.wait_for_function("window.projgraph")
        for end in range(1, len(sentence) + 1):
            page.fill("#text", sentence[:end])
        page.screenshot(path=out, full_page=True)
        browser.close()


if __name__ == "__main__":
    given = sys.argv[4] if len(sys.argv) > 4 else shutil.which("chromium") or "chromium"
    screenshot(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), given)
