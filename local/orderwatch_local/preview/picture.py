"""Takes the pictures of the docs: screenshots of the preview page in headless Chromium.

`make pictures` runs `python -m orderwatch_local.preview.picture docs/images`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from orderwatch_local.errors import LocalCloudError, ToolMissingError
from orderwatch_local.preview.page import page
from orderwatch_local.preview.samples import SAMPLES


class Picture(NamedTuple):
    """A picture.

    Attributes:
        kind: The kind of the sample.
        window: Width and height in CSS pixels; the page may be longer.
    """

    kind: str
    window: tuple[int, int]


PICTURES = {
    "alert.png": Picture("order.late", (1230, 1200)),
    "summary.png": Picture("summary.daily", (1230, 900)),
}
SCALE = 1.0
MAX_BYTES = 300_000
TIMEOUT_SECONDS = 60
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    f"--force-device-scale-factor={SCALE}",
)


class PictureError(LocalCloudError):
    """The browser took no picture, or a picture over `MAX_BYTES`."""


def take(path: Path) -> None:
    """Take a picture.

    Args:
        path: The PNG to write; its name is one of `PICTURES`.

    Raises:
        ToolMissingError: Chromium is not on PATH.
        PictureError: Chromium took no picture, or a picture over `MAX_BYTES`.
    """
    browser, (kind, (width, height)) = _browser(), PICTURES[path.name]
    with tempfile.TemporaryDirectory(prefix="orderwatch-picture-") as scratch:
        html, taken = Path(scratch, "preview.html"), Path(scratch, "picture.png")
        html.write_text(page(SAMPLES[kind]), encoding="utf-8")
        size = f"--window-size={width},{height}"
        command = [browser, *_FLAGS, size, f"--user-data-dir={scratch}/profile", f"--screenshot={taken}", html.as_uri()]
        done = subprocess.run(  # noqa: S603 - the command is built here
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if not taken.exists():
            raise PictureError(f"{browser} took no picture:\n{done.stderr[-2000:]}")
        if taken.stat().st_size > MAX_BYTES:
            raise PictureError(f"the picture has {taken.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}")
        shutil.copyfile(taken, path)


def _browser() -> str:
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise ToolMissingError(
            f"{', '.join(_BROWSERS)}: none is on PATH; install Chromium (Debian: apt-get install chromium)"
        )
    return found


def main() -> None:
    """Take all pictures into the directory in the command line."""
    try:
        for name in PICTURES:
            take(Path(sys.argv[1], name))
    except LocalCloudError as error:
        sys.exit(f"orderwatch: {error}")


if __name__ == "__main__":
    main()
