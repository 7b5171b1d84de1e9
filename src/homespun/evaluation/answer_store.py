"""Answers kept between runs, a line each, under the digest of the way that gave them."""

import json
import os
from collections.abc import Mapping

from homespun.evaluation.ways import Answered, from_row, to_row
from homespun.models.home import Home
from homespun.models.storage import disk_error

FOLDER = "answers"


class AnswerStore:
    """The answers of one way. A kill loses at most the line that was being written."""

    def __init__(self, home: Home, digest: str) -> None:
        self.path = home.cache_path / FOLDER / f"{digest}.jsonl"

    def read(self) -> dict[str, Answered]:
        """Answers by the key of their question; lines that are broken do not count."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return {}
        found: dict[str, Answered] = {}
        for line in lines:
            try:
                row = json.loads(line)
                key = row.pop("key")
                found[key] = from_row(row)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return found

    def add(self, answers: Mapping[str, Answered]) -> None:
        """Put answers behind the others, by the key of their question; failed ones are not kept.

        Raises:
            HomeError: the disk refuses.
        """
        rows = [{"key": key, **to_row(one)} for key, one in answers.items() if one.error is None]
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        if not text:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                end = os.lseek(handle, 0, os.SEEK_END)
                if end and os.pread(handle, 1, end - 1) != b"\n":
                    text = b"\n" + text  # a line that a kill cut off
                written = 0
                while written < len(text):
                    written += os.write(handle, text[written:])
            finally:
                os.close(handle)
        except OSError as error:
            raise disk_error(error, self.path) from error
