"""Keys of remote servers: from the environment, or from the system's key store. Never anywhere else."""

import os
from typing import Any

from homespun.engines.errors import RemoteError
from homespun.engines.providers import PROVIDERS, Provider, remote_model

_SERVICE = "homespun"


def find_key(provider: Provider) -> str | None:
    """The key of a provider: its environment variable, else what the key store holds.

    Raises:
        RemoteError: it needs one and there is none.
    """
    key = os.environ.get(provider.key_variable) or _stored(provider.name)
    if key is None and provider.needs_key:
        raise RemoteError(
            f"{provider.name} needs a key, and there is none",
            remedy=f"Set the environment variable {provider.key_variable}, or run "
            f"`homespun keys set {provider.name}`.",
        )
    return key


def store_key(name: str, key: str) -> None:
    """Keep a key in the system's key store.

    Raises:
        RemoteError: an empty key, no such provider, or no key store here.
    """
    name = _checked(name)
    if not key.strip():
        raise RemoteError("the key is empty")
    keyring = _keyring()
    try:
        keyring.set_password(_SERVICE, name, key.strip())
    except Exception as error:  # each system's store has errors of its own
        raise _no_store(error) from None


def remove_key(name: str) -> None:
    """Forget a kept key.

    Raises:
        RemoteError: none is kept, or there is no key store here.
    """
    name = _checked(name)
    if _stored(name) is None:
        raise RemoteError(f"no key of {name} is kept")
    try:
        _keyring().delete_password(_SERVICE, name)
    except Exception as error:
        raise _no_store(error) from None


def known_keys() -> dict[str, str]:
    """Where each provider's key comes from: its environment variable, or the key store. Never the key."""
    found = {}
    for provider in PROVIDERS.values():
        if os.environ.get(provider.key_variable):
            found[provider.name] = f"environment ({provider.key_variable})"
        elif _stored(provider.name) is not None:
            found[provider.name] = "key store"
    return found


def _checked(name: str) -> str:
    """The name that keys are kept under. What was typed is not repeated: it may be a key."""
    if name in PROVIDERS:
        return name
    remote = remote_model(name) if name.startswith(("http://", "https://")) else None
    if remote is None:
        raise RemoteError(f"a key is kept for a URL or for one of {', '.join(PROVIDERS)}")
    return remote.provider.name


def _stored(name: str) -> str | None:
    try:
        key: str | None = _keyring().get_password(_SERVICE, name)
    except Exception:  # no store, a locked one, none without a screen: the same as no key
        return None
    return key


def _keyring() -> Any:
    import keyring

    return keyring


def _no_store(error: Exception) -> RemoteError:
    return RemoteError(
        f"this system's key store cannot be used ({type(error).__name__})",
        remedy="Put the key into the provider's environment variable instead (see `homespun keys list`).",
    )
