"""A recipe may name a legacy folder: it is converted once, and again only when its content changes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from tests.models.legacy.made_checkpoints import make_tensors, write_checkpoint, write_weights

from extune.errors import ModelError
from extune.models.base_model import EMBEDDED, hash_base, load_tokenizer, resolve_base
from extune.models.legacy.cache import cache_root


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may write into the user's own cache."""
    folder = tmp_path / "home"
    monkeypatch.setattr(Path, "home", lambda: folder)
    return folder


def test_a_legacy_folder_is_converted_once_and_said(tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_checkpoint(tmp_path / "legacy", "qwen1")
    native = resolve_base(str(source))
    assert home in native.parents
    assert hash_base(native)
    assert load_tokenizer(native).chat_template
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(caplog.records)
    assert "Qwen-1 checkpoint; converting" in caplog.text
    assert "Exact up to 8192 tokens" in caplog.text
    caplog.clear()
    written = (native / "config.json").stat().st_mtime_ns
    assert resolve_base(str(source)) == native
    assert (native / "config.json").stat().st_mtime_ns == written
    assert not caplog.records


def test_the_same_content_elsewhere_is_the_same_conversion_and_other_content_another(tmp_path: Path) -> None:
    one, two = (write_checkpoint(tmp_path / place / "legacy", "qwen1") for place in ("a", "b"))
    native = resolve_base(str(one))
    assert resolve_base(str(two)) == native
    write_weights(two, {name: tensor + 1 for name, tensor in make_tensors("qwen1").items()})
    assert resolve_base(str(two)) != native
    config = two / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"seq_length": 2048}), encoding="utf-8")
    assert resolve_base(str(two)) not in (native, resolve_base(str(one)))


def test_a_native_folder_is_taken_as_it_is(home: Path) -> None:
    embedded = resolve_base(EMBEDDED)
    assert resolve_base(str(embedded)) == embedded
    assert not home.exists()


def test_a_refused_checkpoint_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "legacy", "baichuan2", max_position_embeddings=None)
    with pytest.raises(ModelError, match="ALiBi"):
        resolve_base(str(source))
    assert not cache_root().exists()
