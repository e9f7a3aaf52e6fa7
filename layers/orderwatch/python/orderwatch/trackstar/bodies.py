"""The body of an answer, read within bounds: of its size, packed and unpacked, and of the time that it takes."""

import zlib
from collections.abc import Iterable, Iterator

from orderwatch import clock

MEBIBYTE = 2**20
MAX_BODY = 32 * MEBIBYTE
"""Bytes of an answer, packed and unpacked: a page of 1,000 large orders has about ten million."""
MAX_REFUSAL = 64 * 1024
"""Bytes that are read of an answer that is no 200: enough for the vendor's sentence."""
MAX_SECONDS = 30.0
"""Seconds in which an answer must be there whole."""

ENCODING = "gzip"
"""What is asked for (`Accept-Encoding`)."""
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(Exception):
    """The body is larger than `MAX_BODY`; it will be the next time as well."""


class UnreadableBodyError(Exception):
    """The body took too long or cannot be unpacked: the next one may be whole. Its text says which."""


def read_body(chunks: Iterable[bytes], *, encoding: str, seconds: float) -> bytes:
    """Read a body whole.

    Args:
        chunks: The bytes as they come over the wire.
        encoding: The header `Content-Encoding`.
        seconds: The most that it may take.

    Raises:
        TooLargeError: It is larger than `MAX_BODY`.
        UnreadableBodyError: It took longer, or it cannot be unpacked.
    """
    body = bytearray()
    for part in _unpacked(_in_time(chunks, min(seconds, MAX_SECONDS)), encoding):
        body += part
        if len(body) > MAX_BODY:
            raise TooLargeError(f"the answer is larger than {MAX_BODY // MEBIBYTE} MiB")
    return bytes(body)


def read_refusal(chunks: Iterable[bytes], *, encoding: str, seconds: float) -> bytes:
    """Read the beginning of a body, or nothing where it cannot be read: it explains a refusal, which stands anyway."""
    body = bytearray()
    try:
        for part in _unpacked(_in_time(chunks, min(seconds, MAX_SECONDS)), encoding):
            body += part
            if len(body) >= MAX_REFUSAL:
                break
    except UnreadableBodyError:
        return b""
    return bytes(body[:MAX_REFUSAL])


def _in_time(chunks: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    ends_at = clock.monotonic() + seconds
    for chunk in chunks:
        if clock.monotonic() > ends_at:
            raise UnreadableBodyError(f"the answer was not there whole within {seconds:.0f} s")
        yield chunk


def _unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body in parts of at most a mebibyte: a small one may unpack to a thousand times its size."""
    if encoding.strip().lower() in ("", "identity"):
        yield from chunks
        return
    if encoding.strip().lower() != ENCODING:
        raise UnreadableBodyError("the answer cannot be unpacked: it is not packed with gzip")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            yield from _parts(unpacker, chunk)
    except zlib.error:
        raise UnreadableBodyError("the answer cannot be unpacked: it is damaged") from None
    if not unpacker.eof:
        raise UnreadableBodyError("the answer cannot be unpacked: it was cut off")


def _parts(unpacker: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    while chunk and not unpacker.eof:
        yield unpacker.decompress(chunk, MEBIBYTE)
        chunk = unpacker.unconsumed_tail
