"""Models that are split into several GGUF files: name-00001-of-00003.gguf and so on.

The first part holds the metadata, each part its own tensors; `split.no` counts from 0.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homespun.models.errors import ModelFileError

_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_GET_ALL = (
    "Put all parts into one folder under their own names, or join them with `llama-gguf-split --merge`."
)


def part_paths(path: Path) -> tuple[Path, ...]:
    """All parts of the model that a file belongs to, by its name; for any other file, itself alone."""
    found = _NAME.search(path.name)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        return (path,)
    stem, ending = path.name[: found.start()], path.name[-5:]
    n_parts = int(found[2])
    return tuple(path.with_name(f"{stem}-{n:05}-of-{n_parts:05}{ending}") for n in range(1, n_parts + 1))


def check_parts_there(paths: Sequence[Path]) -> None:
    """Refuse a model of which parts are not there.

    Raises:
        ModelFileError: with the names of those that are missing.
    """
    missing = [path.name for path in paths if not path.exists()]
    if len(paths) == 1 or not missing:
        return
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise ModelFileError(
        f"the model is split into {len(paths)} files, and {', '.join(missing[:3])}{more} "
        f"{'is' if len(missing) == 1 else 'are'} not there",
        where=str(paths[0].parent),
        remedy=_GET_ALL,
    )


def check_part(metadata: Mapping[str, Any], number: int, n_parts: int, path: Path) -> None:
    """Refuse a file that says it is another part than its name says.

    Raises:
        ModelFileError: another place, another number of parts, or a split file under a name of its own.
    """
    count = metadata.get("split.count", n_parts if n_parts == 1 else None)
    if n_parts == 1 and isinstance(count, int) and count > 1:
        raise ModelFileError(
            f"this is one of {count} parts of a split model, and its name does not say which",
            where=str(path),
            remedy=_GET_ALL,
        )
    if n_parts > 1 and (count != n_parts or metadata.get("split.no") != number):
        raise ModelFileError(
            f"its name says that it is part {number + 1} of {n_parts}, but the file does not",
            where=str(path),
            remedy=_GET_ALL,
        )


def joined_digest(digests: Sequence[str]) -> str:
    """One digest for all parts; that of the file itself where there is one."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
