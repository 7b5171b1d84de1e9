"""Where a library's rows are kept: its own folder, object storage or a Postgres server, by address."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from homespun.retrieval.errors import LibraryError

if TYPE_CHECKING:
    from homespun.retrieval.store import Store

#: Kinds of object storage that LanceDB opens by itself, with the keys that its maker's tools read.
_OBJECTS = ("s3", "gs", "az")
_POSTGRES = ("postgresql", "postgres")


def check_store(url: str) -> None:
    """Refuse an address that is no store, or one with a password in it.

    Raises:
        LibraryError: naming what is allowed.
    """
    parts = urlsplit(url)
    if parts.scheme not in (*_OBJECTS, *_POSTGRES):
        raise LibraryError(
            f"{url!r} is no place for a library.",
            remedy="Give postgresql://USER@HOST:PORT/DATABASE, or s3://, gs:// or az://BUCKET/PATH.",
        )
    if parts.password:
        raise LibraryError(
            "The address has a password in it, which library.json would keep for everyone to read.",
            remedy="Leave it out; Postgres reads PGPASSWORD or ~/.pgpass.",
        )


def open_store(url: str, folder: Path, name: str, dimensions: int) -> "Store":
    """Open the rows of a library; nothing is sent anywhere for one in its own folder (an empty address).

    Raises:
        LibraryError: it cannot be opened.
    """
    if not url:
        from homespun.retrieval.tables import LanceStore

        return LanceStore(folder, dimensions)
    check_store(url)
    if urlsplit(url).scheme in _OBJECTS:
        from homespun.retrieval.tables import LanceStore

        return LanceStore(f"{url.rstrip('/')}/{name}", dimensions)
    try:
        from homespun.retrieval.postgres_store import PostgresStore
    except ImportError as error:
        raise LibraryError(
            "Libraries on a Postgres server need psycopg.", remedy='Run: pip install "homespun[server]"'
        ) from error
    return PostgresStore(url, name, dimensions)
