"""A text that a person types, or names the file of."""

from pathlib import Path

from homespun.cli.flags import OptionError


def typed_text(value: str, option: str) -> str:
    """The text itself, or with @FILE the text of that file.

    Raises:
        OptionError: the file cannot be read.
        UnreadableFile: it is no text.
    """
    if not value.startswith("@"):
        return value
    from homespun.documents.decode import decode_text

    path = Path(value[1:]).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OptionError(f"{option}: {path} cannot be read ({error.strerror})") from None
    return decode_text(data).text
