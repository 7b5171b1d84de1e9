"""An adapter by its name in the home, or by its folder."""

import pytest

from homespun.models.adapter_path import adapter_path
from homespun.models.errors import UnknownModelError


def test_by_name_and_by_folder(home, tmp_path):
    for folder in (home.adapters_path / "tone", tmp_path / "mine"):
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
    assert adapter_path(home, "tone") == home.adapters_path / "tone"
    assert adapter_path(home, str(tmp_path / "mine")) == tmp_path / "mine"
    with pytest.raises(UnknownModelError, match="no adapter 'other'; this home has tone"):
        adapter_path(home, "other")


@pytest.mark.parametrize("name", ["..", ".", "", "../adapters/tone", "a/b"])
def test_what_is_no_name_is_not_looked_for_in_the_home(home, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (home.adapters_path / "adapter_config.json").write_text("{}")
    (home.root / "adapter_config.json").write_text("{}")
    with pytest.raises(UnknownModelError):
        adapter_path(home, name)
