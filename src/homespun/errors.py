"""What a person is told when something fails.

Every failure that a user can meet is a subclass of `HomespunError`, defined in the room that meets it
(`models/errors.py`, `engines/errors.py`, ...). Only the command line exits; it prints the one
sentence of the error and leaves with code 2.
"""


class HomespunError(Exception):
    """A failure that the user can act on.

    Args:
        what: what happened, with the value and what was allowed.
        where: the file, row, option or address that it happened at.
        remedy: what to do next, usually a command.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The whole message on one line."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        head = " ".join(head.split())
        if not self.remedy:
            return head
        return f"{head.rstrip('.')}. {' '.join(self.remedy.split())}"
