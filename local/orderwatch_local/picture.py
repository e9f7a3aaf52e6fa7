"""The picture of an alert in the README: a screenshot of the preview's page, taken by headless Chromium.

`python -m orderwatch_local.picture docs/images/alert.png`, which is `make picture`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orderwatch_local.errors import LocalCloudError, ToolMissingError
from orderwatch_local.preview_page import page
from orderwatch_local.samples import SAMPLES

KIND = "order.exception"
WINDOW = (1230, 1090)
"""CSS pixels: the page of `KIND`, just."""
SCALE = 1.0
MAX_BYTES = 300_000
WITHIN = 60
"""Seconds."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(f"--force-device-scale-factor={SCALE}", f"--window-size={WINDOW[0]},{WINDOW[1]}"),
)


class PictureError(LocalCloudError):
    """The browser took no picture, or one that is too large for a README."""


def take(picture: Path) -> None:
    """Take the picture of the sample alert.

    Args:
        picture: The PNG to write; its directory must exist.

    Raises:
        ToolMissingError: There is no Chromium on PATH.
        PictureError: It took no picture, or one over `MAX_BYTES`.
    """
    browser = _browser()
    with tempfile.TemporaryDirectory(prefix="orderwatch-picture-") as scratch:
        html, taken = Path(scratch, "preview.html"), Path(scratch, "picture.png")
        html.write_text(page(SAMPLES[KIND]), encoding="utf-8")
        command = [browser, *_FLAGS, f"--user-data-dir={scratch}/profile", f"--screenshot={taken}", html.as_uri()]
        done = subprocess.run(  # noqa: S603 - the command is ours
            command, capture_output=True, text=True, timeout=WITHIN, check=False
        )
        if not taken.exists():
            raise PictureError(f"{browser} took no picture:\n{done.stderr[-2000:]}")
        if taken.stat().st_size > MAX_BYTES:
            raise PictureError(f"the picture has {taken.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
        shutil.copyfile(taken, picture)


def _browser() -> str:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise ToolMissingError(
            f"no {', '.join(_BROWSERS)} on PATH: install Chromium (Debian: apt-get install chromium)"
        )
    return found


def main() -> None:
    """Take the picture into the file that the command line names."""
    try:
        take(Path(sys.argv[1]))
    except LocalCloudError as error:
        sys.exit(f"orderwatch: {error}")


if __name__ == "__main__":
    main()
