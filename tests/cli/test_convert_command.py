"""`homespun convert` says what it wrote and what that lost."""

import json

from folder_writer import write_folder
from homespun.cli.main import exit_code


def test_a_folder_is_converted_and_its_loss_told(tmp_path, capsys):
    folder, out = write_folder(tmp_path / "tiny", "qwen2"), tmp_path / "tiny.gguf"
    assert exit_code(["convert", str(folder), "--to", "q4_k_m", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert out.is_file() and "mean KL" in text
    assert "Q5_0 instead of Q4_K: 12 tensors" in text and "Q8_0 instead of Q6_K: 3 tensors" in text
    assert (
        exit_code(["convert", str(folder), "--to", "F16", "--out", str(tmp_path / "b.gguf"), "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["loss"]["mean_kl_nats"] < 1e-5 and said["conversion"]["formats"]["F16"] == 15
    assert exit_code(["convert", str(folder), "--to", "F16", "--out", str(out)]) == 2
    assert "already" in capsys.readouterr().err
