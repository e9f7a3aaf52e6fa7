"""Ends a command when whoever read its output has left, as `head` does: quietly, and at once.

Waiting for the next line to fail would be too late: `orderwatch up` may have nothing to say for hours.
"""

import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

_LOOK_EVERY_MS = 200


@contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """Leave the block, and the program with exit code 0, when standard output is a pipe that nobody reads any more.

    Used in the main thread alone: it is interrupted as by Ctrl-C, so everything that was started is stopped.
    """
    if not _is_pipe(sys.stdout.fileno()):
        yield
        return
    # A copy: whoever meets the closed pipe first may put /dev/null in the place of standard output.
    pipe, over = os.dup(sys.stdout.fileno()), threading.Event()
    watcher = threading.Thread(target=_interrupt_when_closed, args=(pipe, over), daemon=True)
    watcher.start()
    try:
        yield
    except (BrokenPipeError, KeyboardInterrupt, SystemExit):  # Rich makes SystemExit of a broken pipe
        if not _is_closed(pipe, timeout_ms=0):
            raise
        _discard_output()
        raise typer.Exit(0) from None
    finally:
        over.set()
        watcher.join()
        os.close(pipe)


def _is_pipe(file: int) -> bool:
    mode = os.fstat(file).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _interrupt_when_closed(pipe: int, over: threading.Event) -> None:
    while not over.is_set():
        if _is_closed(pipe, timeout_ms=_LOOK_EVERY_MS):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return


def _is_closed(pipe: int, *, timeout_ms: int) -> bool:
    """Whether a pipe's other end is closed; waits at most so long for it."""
    poll = select.poll()
    poll.register(pipe, 0)  # an end that is closed is always told
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout_ms))


def _discard_output() -> None:
    """Standard output leads nowhere from now on: Python flushes it once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
