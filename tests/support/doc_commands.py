"""The commands that the pages for people show: those of their code blocks, whole, and those within their sentences."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.template import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_QUOTED_OR_COMMENT = re.compile(r"""('[^']*'|"[^"]*")|(?<!\S)#[^\n]*""")
_WITHIN_SENTENCES = re.compile(r"(?:\w+=\S+ )*(?:\.venv/bin/)?(?:orderwatch|aws|sam|make)(?=\s|$)")
_ENDS_A_COMMAND = re.compile(r"[;&|()\n]+")
_REDIRECTS = re.compile(r"[<>]+")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)
_SHELLS_OWN = {"{", "}", "!", "while", "do", "if", "then"}
"""Words after which a command begins."""


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        page: Its path in the repository.
        program: The name of what runs, without its folder.
        words: What follows it.
        is_whole: Whether it can be pasted; a command within a sentence, or with `...` in it, may lack something.
    """

    page: str
    program: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        """The page and the command, as the name of a test."""
        return f"{self.page}: {shlex.join((self.program, *self.words))}"


def commands_of(page: Path) -> Iterator[Command]:
    """All commands that a page shows."""
    text, name = page.read_text(), page.relative_to(ROOT).as_posix()
    for language, block in _BLOCK.findall(text):
        if language in {"sh", "bash"}:
            yield from commands_in(block, name, is_whole=True)
    for span in _SPAN.findall(_BLOCK.sub("", text)):
        if _WITHIN_SENTENCES.match(span):
            yield from commands_in(span.replace("\n", " "), name, is_whole=False)


def commands_in(script: str, page: str, *, is_whole: bool) -> Iterator[Command]:
    """The commands of a shell script: comments, variables and redirections are left out."""
    script = _QUOTED_OR_COMMENT.sub(lambda found: found[1] or "", re.sub(r"\\\n\s*", " ", script))
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    is_target = False
    for token in [*lexer, "\n"]:
        if _ENDS_A_COMMAND.fullmatch(token):
            yield from _command(words, page, is_whole=is_whole)
            words = []
        elif not is_target and not _REDIRECTS.fullmatch(token):
            words.append(token)
        is_target = bool(_REDIRECTS.fullmatch(token))


def _command(words: list[str], page: str, *, is_whole: bool) -> Iterator[Command]:
    while words and (words[0] in _SHELLS_OWN or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    if words:
        program, *rest = words
        whole = is_whole and "..." not in rest
        yield Command(page, Path(program).name, tuple(word for word in rest if word != "..."), whole)
