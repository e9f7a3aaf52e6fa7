"""Commands as processes: their output as it arrives, and the processes that they start."""

import os
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

ORDERWATCH = Path(sys.executable).with_name("orderwatch")
WITHIN = 300.0
"""Seconds for a build, a deployment, or the next output on a busy machine."""


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of orderwatch, and kill it at the end."""
    process = subprocess.Popen(
        [ORDERWATCH, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
            stream.close()


class Lines:
    """The lines of a stream, as they arrive.

    Attributes:
        text: Every line that was awaited.
    """

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream
        self.text = ""
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(ValueError):  # the test closes it at its end
            for line in self._stream:
                self._lines.put(line)

    def until(self, text: str) -> str:
        """Wait for a line with this text, and return it."""
        while text not in (line := self._lines.get(timeout=WITHIN)):
            self.text += line
        self.text += line
        return line


def children_of(pid: int) -> list[int]:
    """All descendants of a process, from /proc."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                child = int(stat.parent.name)
                found += [child, *children_of(child)]
    return found


def ends(pid: int) -> bool:
    """Whether the process ends within ten seconds."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)
