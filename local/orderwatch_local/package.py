"""`make package`: the files of a release, the same bytes whenever and wherever they are built from the same sources.

`orderwatch-aws-VERSION.zip` has the template beside the zipped code of its functions and its layer, so that
`sam deploy` needs neither a checkout nor a build. The wheel is the command line. `SHA256SUMS` has their checksums.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from orderwatch_local.cloud.processes import tail
from orderwatch_local.cloud.sam import PROJECT, build, this_architecture
from orderwatch_local.errors import BuildFailedError

CHECKSUMS = "SHA256SUMS"
LAYER = "OrderwatchLayer"
_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the earliest that a zip can hold."""
_WITH_THE_TEMPLATE = ("samconfig.toml", "LICENSE", "CHANGELOG.md")


def package(folder: Path, *, project: Path = PROJECT) -> list[Path]:
    """Build the files of a release.

    Args:
        folder: Where they are written; it is created.
        project: The checkout.

    Returns:
        The files; the last one is the list of checksums.

    Raises:
        ToolMissingError: SAM CLI is not installed.
        BuildFailedError: `sam build` or the build of the wheel failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]
    archive = folder / f"orderwatch-aws-{version}.zip"
    archive.write_bytes(_zipped(_deployable(project), prefix=f"orderwatch-{version}/"))
    files = [archive, _wheel(folder, project, version)]
    checksums = folder / CHECKSUMS
    checksums.write_text("".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files))
    return [*files, checksums]


def _deployable(project: Path) -> dict[str, bytes]:
    """The files that `sam deploy` takes, by their paths in the archive."""
    built = build(this_architecture(), project=project).parent
    code = {f"{each.name}.zip": _zipped(_files_of(each)) for each in built.iterdir() if each.is_dir()}
    template = packaged_template((project / "template.yaml").read_text())
    optional = {f"integrations/{each.name}": each.read_bytes() for each in (project / "integrations").iterdir()}
    beside = {name: (project / name).read_bytes() for name in _WITH_THE_TEMPLATE}
    return {"template.yaml": template.encode(), **code, **optional, **beside}


def packaged_template(text: str) -> str:
    """Return the template with the zipped code beside it in place of the folders of the sources."""
    text = re.sub(
        r"(?<=CodeUri: )functions/(\w+)/", lambda found: f"{found[1].title().replace('_', '')}Function.zip", text
    )
    return text.replace("ContentUri: layers/orderwatch/python", f"ContentUri: {LAYER}.zip")


def _files_of(folder: Path) -> dict[str, bytes]:
    """The files of a function or of the layer, which alone has bytecode (docs/decisions/07-layer-bytecode.md)."""
    found = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if folder.name == LAYER or "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


def _zipped(files: Mapping[str, bytes], *, prefix: str = "") -> bytes:
    """Zip files in the order of their names, with one time and the same permissions for all."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(prefix + name, _MOMENT)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _wheel(folder: Path, project: Path, version: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=project, text=True, capture_output=True, check=False)  # noqa: S603 - built here
    if done.returncode:
        raise BuildFailedError(f"the wheel could not be built:\n{tail(done.stdout + done.stderr)}")
    [wheel] = folder.glob(f"orderwatch-{version}-*.whl")
    return wheel


def main() -> None:
    """Write the files of a release to the folder in the command line, and list them."""
    for path in package(Path(sys.argv[1]).resolve()):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
