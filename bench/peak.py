"""The peak of a process's memory."""

import re
from pathlib import Path


def peak_megabytes() -> float:
    """The peak of resident memory of this process since its program began, on Linux.

    `ru_maxrss` would not do: it begins with what the process held that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1024
