"""Adding, naming, moving and removing models; nothing outside of the home is ever touched."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homespun.models import copying, storage
from homespun.models.errors import HomeError, ModelError, ModelFileError, UnknownModelError
from homespun.models.home import Home


@pytest.fixture(scope="module")
def tiny(byte_level_gguf) -> Path:
    return byte_level_gguf("gpt-2", r"\s*\S+\s*")


@pytest.fixture(scope="module")
def other(sentencepiece_gguf) -> Path:
    return sentencepiece_gguf


def files_in(home: Home) -> list[str]:
    return sorted(path.name for path in home.models_path.rglob("*") if path.is_file())


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMESPUN_HOME", str(tmp_path / "a" / "b"))
    home = Home.open()
    assert home.root == tmp_path / "a" / "b"
    for folder in ("models", "embedders", "libraries", "adapters", "cache"):
        assert getattr(home, f"{folder}_path") == home.root / folder and (home.root / folder).is_dir()


def test_add_copies_and_registers(home, tiny):
    seen = []
    model = home.add_model(tiny, progress=lambda *step: seen.append(step))
    assert model.path.read_bytes() == tiny.read_bytes() and tiny.is_file()
    assert model.path.is_relative_to(home.models_path)
    assert (model.architecture, model.size_bytes, model.is_reference) == ("llama", tiny.stat().st_size, False)
    assert model.quantization == {"F32": 1.0}
    assert home.model() == home.model(model.name) == home.model(model.name.upper()) == model
    assert home.models() == [model] and home.default_model == model.name
    assert seen[-1] == (f"Copying {tiny.name}", model.size_bytes, model.size_bytes)


def test_starter_gets_a_name_to_type(home, starter_gguf):
    model = home.add_model(starter_gguf, reference=True)
    assert model.name == "smollm2"
    assert list(model.quantization) == ["Q4_1", "Q8_0", "F32"]
    assert sum(model.quantization.values()) == pytest.approx(1, abs=1e-5)


def test_adding_again_changes_nothing(home, tiny):
    first = home.add_model(tiny)
    before = (home.root / "home.json").read_bytes()
    assert home.add_model(tiny) == first
    assert (home.root / "home.json").read_bytes() == before


def test_a_lost_copy_is_made_again(home, tiny):
    home.add_model(tiny, "x").path.unlink()
    with pytest.raises(UnknownModelError, match="no longer there"):
        home.model("x")
    home.remove_model("x")
    assert home.add_model(tiny, "x").path.is_file()


def test_names(home, tiny, other):
    first, second = home.add_model(tiny), home.add_model(other)
    assert first.name != second.name and home.default_model == first.name
    with pytest.raises(ModelError, match="already that of another model"):
        home.add_model(other, first.name)
    for name in ("", " x", "../x", "a/b", "a\\b", ".x", "a\nb"):
        with pytest.raises(ModelError):
            home.add_model(tiny, name or " ")
    home.set_default_model(second.name)
    assert home.model() == second
    with pytest.raises(UnknownModelError, match="there is no model 'zebra'"):
        home.set_default_model("zebra")


def test_no_model_yet(home):
    with pytest.raises(UnknownModelError, match=r"no model yet.*homespun models add"):
        home.model()
    with pytest.raises(UnknownModelError, match="no embedder yet"):
        home.embedder()


def test_a_reference_leaves_the_file_where_it_is(home, tiny):
    model = home.add_model(tiny, reference=True)
    assert model.path == tiny and model.is_reference and files_in(home) == []
    home.remove_model(model.name)
    assert tiny.is_file() and home.models() == []


def test_remove_deletes_only_its_own_file(home, tiny, other):
    first, second = home.add_model(tiny, "a"), home.add_model(other, "b")
    home.remove_model("a")
    assert not first.path.exists() and not first.path.parent.exists() and second.path.is_file()
    assert home.default_model == "b"
    with pytest.raises(UnknownModelError, match="'a'"):
        home.remove_model("a")


def test_a_path_that_leaves_the_home_is_not_deleted(home, tiny, tmp_path):
    home.add_model(tiny, "a")
    precious = tmp_path / "precious.gguf"
    precious.write_bytes(b"mine")
    state_path = home.root / "home.json"
    state = json.loads(state_path.read_text())
    state["models"]["a"]["path"] = "models/../../precious.gguf"
    state_path.write_text(json.dumps(state))
    home.remove_model("a")
    assert precious.is_file()


def test_the_home_can_be_moved(home, tiny, tmp_path):
    name = home.add_model(tiny).name
    home.root.rename(tmp_path / "moved")
    moved = Home.open(tmp_path / "moved")
    assert moved.model(name).path.is_relative_to(tmp_path / "moved") and moved.model(name).path.is_file()
    assert str(home.root) not in (moved.root / "home.json").read_text()


def test_a_file_that_lies_in_the_home_is_not_copied(home, tiny):
    inside = home.models_path / "mine.gguf"
    shutil.copyfile(tiny, inside)
    assert home.add_model(inside).path == inside and files_in(home) == ["mine.gguf"]


def test_a_bad_file_changes_nothing(home, tmp_path):
    path = tmp_path / "page.gguf"
    path.write_text("<html>")
    with pytest.raises(ModelFileError, match="web page"):
        home.add_model(path)
    assert home.models() == [] and files_in(home) == []


def test_a_full_disk_is_seen_before_the_copy(home, tiny, monkeypatch):
    full = shutil.disk_usage(home.root)._replace(free=1000)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: full)
    with pytest.raises(HomeError, match="disk is too full"):
        home.add_model(tiny)
    assert home.models() == [] and files_in(home) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(home, tiny, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copying.os, "fsync", refuse)
    with pytest.raises(HomeError, match="the disk is full"):
        home.add_model(tiny)
    assert not [path for path in home.root.rglob("*") if path.suffix in (".gguf", ".part")]
    monkeypatch.undo()
    assert home.models() == [] and home.add_model(tiny).path.is_file()


def test_a_copy_that_differs_is_not_kept(tiny, tmp_path):
    with pytest.raises(HomeError, match="checksum"):
        copying.copy_verified(tiny, tmp_path / "x" / "copy.gguf", "0" * 64, lambda n_bytes: None)
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1}', '{"models": {}}', "null", "\0"])
def test_a_damaged_list_of_models(home, content):
    (home.root / "home.json").write_text(content)
    with pytest.raises(HomeError, match="list of models") as caught:
        Home.open(home.root)
    assert "\n" not in str(caught.value)


def test_a_damaged_entry(home, tiny):
    home.add_model(tiny, "a")
    state = json.loads((home.root / "home.json").read_text())
    del state["models"]["a"]["path"]
    (home.root / "home.json").write_text(json.dumps(state))
    with pytest.raises(HomeError, match="the entry 'a'"):
        home.models()


def test_a_home_of_a_newer_version(home):
    (home.root / "home.json").write_text('{"version": 99}')
    with pytest.raises(HomeError, match="newer Homespun"):
        home.models()


def test_a_home_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeError, match="cannot be written"):
        Home.open(tmp_path / "file" / "home")


ADD = """
import sys
from pathlib import Path
from homespun.models.home import Home
Home.open(Path(sys.argv[1])).add_model(Path(sys.argv[2]), sys.argv[3], reference=True)
"""


def test_several_processes_at_once_lose_nothing(home, tiny):
    names = [f"model-{number}" for number in range(4)]
    arguments = [sys.executable, "-c", ADD, str(home.root), str(tiny)]
    workers = [subprocess.Popen([*arguments, name]) for name in names]
    assert [worker.wait() for worker in workers] == [0] * len(names)
    assert [model.name for model in home.models()] == names
    assert not list(home.root.glob(".home.json*"))


def test_embedders(home, tmp_path):
    folder = home.embedders_path / "small"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    found = home.register_embedder("small", folder, "d" * 64)
    assert home.embedder() == home.embedder("small") == found and found.size_bytes == 2
    assert home.embedders() == [found]
    with pytest.raises(HomeError, match="must lie in the home"):
        home.register_embedder("outside", tmp_path, "d" * 64)
