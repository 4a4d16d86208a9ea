"""Models of a hub: what is fetched, how it goes on after a cut, and what is said where there is none. Against loopback only."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.models.hub.hub_server import Files, HubServer, commit_of, serve_hub, serve_silence

from extune.errors import ExtuneError, ModelError, RecipeError
from extune.models.hub.cache import Hub, download_model, find_commit, hub_root, open_hub
from extune.models.hub.download import Patience
from extune.models.hub.refusals import HubUnreachableError
from extune.recipe.hub_name import HubModel

HUBS = ("hf", "modelscope")
MODEL = "someone/Tiny-1B"
IMPATIENT = Patience(connect=5, read=5, waits=(0, 0))
WEIGHTS = bytes(range(256)) * 400
FILES: Files = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "README.md": b"a card",
    "modeling_tiny.py": b"raise SystemExit",
    "pytorch_model.bin": b"the same again",
    "consolidated.safetensors": b"and again",
    "onnx/model.safetensors": b"and elsewhere",
}
NEEDED = {"config.json", "tokenizer.json", "model.safetensors"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may write into the user's own cache."""
    folder = tmp_path / "home"
    monkeypatch.setattr(Path, "home", lambda: folder)
    return folder


@pytest.fixture
def server() -> Iterator[HubServer]:
    with serve_hub(HubServer({MODEL: {"v1": FILES}})) as running:
        yield running


@pytest.fixture(params=HUBS)
def hub(request: pytest.FixtureRequest, server: HubServer) -> Hub:
    """The model at a mirror of each hub."""
    return open_hub(HubModel(request.param, MODEL), server.url, IMPATIENT)


def pass_all(*_: object) -> None:
    """Look at nothing."""


def refusal(kind: type[ExtuneError], hub: Hub, revision: str | None = None) -> ExtuneError:
    with pytest.raises(kind) as caught:
        download_model(hub, revision, pass_all)
    error = caught.value
    assert all((error.what, error.where, error.expected, error.fix))
    return error


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_base_needs_is_fetched_once_and_nothing_else(hub: Hub, server: HubServer, home: Path) -> None:
    folder = download_model(hub, None, pass_all)
    assert folder.name == commit_of(FILES)
    assert home in folder.parents
    assert read_folder(folder) == {name: FILES[name] for name in NEEDED}
    assert {asked.name for asked in server.asked} == NEEDED
    assert len(server.asked) == len(NEEDED)
    listings = server.listings
    assert download_model(hub, commit_of(FILES), pass_all) == folder
    assert (len(server.asked), server.listings) == (len(NEEDED), listings)


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub, server: HubServer) -> None:
    old = {**FILES, "config.json": b'{"model_type": "llama", "old": true}'}
    server.models[MODEL]["v0"] = old
    for revision in ("v0", commit_of(old)):
        assert find_commit(hub, revision) == commit_of(old)
        assert (download_model(hub, revision, pass_all) / "config.json").read_bytes() == old["config.json"]
    assert (download_model(hub, None, pass_all) / "config.json").read_bytes() == FILES["config.json"]


def test_a_branch_that_moved_is_another_folder(hub: Hub, server: HubServer) -> None:
    before = download_model(hub, None, pass_all)
    server.models[MODEL] = {"v2": {**FILES, "tokenizer.json": b'{"new": 1}'}}
    after = download_model(hub, None, pass_all)
    assert before != after
    assert ((before / "tokenizer.json").read_bytes(), (after / "tokenizer.json").read_bytes()) == (b"{}", b'{"new": 1}')


def test_a_cut_goes_on_where_it_was(hub: Hub, server: HubServer) -> None:
    server.cuts = [1000, 70000]
    folder = download_model(hub, None, pass_all)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [asked.range for asked in server.asked if asked.name == "model.safetensors"]
    assert ranges == [None, "bytes=1000-", "bytes=71000-"]


def test_an_ended_command_goes_on_where_it_was(hub: Hub, server: HubServer) -> None:
    server.cuts = [1000, 0, 0]  # nothing arrives any more: patience ends
    error = refusal(HubUnreachableError, hub)
    assert "model.safetensors after 1,000 bytes" in error.what
    assert "goes on from there" in error.expected
    del server.asked[:]
    folder = download_model(hub, None, pass_all)
    assert [(asked.name, asked.range) for asked in server.asked] == [("model.safetensors", "bytes=1000-")]
    assert read_folder(folder) == {name: FILES[name] for name in NEEDED}


def test_a_mirror_without_ranges_sends_the_whole_file(hub: Hub, server: HubServer) -> None:
    server.cuts, server.ignores_ranges = [1000], True
    assert (download_model(hub, None, pass_all) / "model.safetensors").read_bytes() == WEIGHTS


def test_damaged_bytes_are_fetched_again_and_named_when_they_stay(hub: Hub, server: HubServer) -> None:
    server.damaged = 2
    error = refusal(ModelError, hub)
    assert "config.json arrives damaged" in error.what
    server.damaged = 1
    assert (download_model(hub, None, pass_all) / "config.json").read_bytes() == FILES["config.json"]


def test_an_unknown_model_and_an_unknown_revision(hub: Hub, server: HubServer) -> None:
    error = refusal(RecipeError, hub, "v9")
    assert (error.where, "no revision 'v9'" in error.what) == ("base.revision", True)
    del server.models[MODEL]
    error = refusal(RecipeError, hub)
    assert (error.where, f"no model {MODEL!r}" in error.what) == ("base.model", True)


@pytest.mark.parametrize(("name", "login"), [("hf", "hf auth login"), ("modelscope", "modelscope-token")])
def test_a_closed_model_needs_a_token_that_only_the_hub_itself_gets(name: str, login: str, server: HubServer) -> None:
    server.gated, server.token = {MODEL}, "secret"
    mirror = open_hub(HubModel(name, MODEL), server.url, IMPATIENT)
    assert mirror.token is None
    error = refusal(ModelError, mirror)
    assert "leave base.endpoint out" in error.fix
    assert login in error.fix
    own = dataclasses.replace(mirror, asked=dataclasses.replace(mirror.asked, is_own=True))
    for token in (None, "wrong"):
        error = refusal(ModelError, dataclasses.replace(own, token=token))
        assert login in error.fix
        assert "secret" not in str(error)
        assert "wrong" not in str(error)
    assert not server.asked
    assert download_model(dataclasses.replace(own, token="secret"), None, pass_all).is_dir()
    assert {asked.token for asked in server.asked} == {"secret"}


def test_a_gated_model_with_a_public_list(hub: Hub, server: HubServer) -> None:
    server.gated, server.token, server.lists_gated = {MODEL}, "secret", True
    error = refusal(ModelError, hub)
    assert "answers 401 for config.json" in error.what
    own = dataclasses.replace(hub, asked=dataclasses.replace(hub.asked, is_own=True), token="secret")
    assert download_model(own, None, pass_all).is_dir()


def test_a_token_does_not_follow_to_another_address(hub: Hub, server: HubServer) -> None:
    server.token, server.redirects, server.cuts = "secret", True, [1000]
    folder = download_model(dataclasses.replace(hub, token="secret"), None, pass_all)
    assert read_folder(folder) == {name: FILES[name] for name in NEEDED}
    assert {asked.token for asked in server.asked} == {None}
    assert "bytes=1000-" in {asked.range for asked in server.asked}


def test_a_token_of_this_machine_is_not_sent_to_a_mirror(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "mine")
    (home / ".config" / "extune").mkdir(parents=True)
    (home / ".config" / "extune" / "modelscope-token").write_text("mine\n", encoding="utf-8")
    for name in HUBS:
        assert open_hub(HubModel(name, MODEL), None).token == "mine"
        assert open_hub(HubModel(name, MODEL), "https://mirror.example").token is None


@pytest.mark.parametrize("name", HUBS)
def test_a_hub_that_does_not_answer(name: str) -> None:
    with serve_silence() as url:
        error = refusal(HubUnreachableError, open_hub(HubModel(name, MODEL), url, Patience(connect=0.1, read=0.1, waits=())))
    assert "time-out" in error.what
    assert "base.model=FOLDER" in error.fix
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody listens there
        error = refusal(HubUnreachableError, open_hub(HubModel(name, MODEL), url, IMPATIENT))
    assert "cannot be reached" in error.what


@pytest.mark.parametrize("name", HUBS)
def test_without_a_connection_the_last_known_commit_is_taken_and_said(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve_hub(HubServer({MODEL: {"v1": FILES}})) as server:
        hub = open_hub(HubModel(name, MODEL), server.url, IMPATIENT)
        folder = download_model(hub, "v1", pass_all)
    caplog.clear()
    assert download_model(hub, "v1", pass_all) == folder
    assert f"taking commit {commit_of(FILES)[:12]}" in caplog.text
    caplog.clear()
    assert download_model(hub, commit_of(FILES), pass_all) == folder
    assert not caplog.records
    assert isinstance(refusal(ExtuneError, hub, "v2"), HubUnreachableError)


def test_a_model_that_is_refused_costs_no_weights(hub: Hub, server: HubServer) -> None:
    def refuse(folder: Path, names: object) -> None:
        assert names == NEEDED
        raise ModelError(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])

    with pytest.raises(ModelError, match="llama"):
        download_model(hub, None, refuse)
    assert {asked.name for asked in server.asked} == {"config.json"}
    assert not any(path.name == commit_of(FILES) for path in hub_root().rglob("*"))


@pytest.mark.parametrize("names", [("config.json",), ("config.json", "model.Q4_K_M.gguf"), ("model.safetensors",), ()])
def test_a_repository_without_a_model(names: tuple[str, ...], hub: Hub, server: HubServer) -> None:
    server.models[MODEL] = {"v1": dict.fromkeys(names, b"x")}
    error = refusal(ModelError, hub)
    assert "the model has no " in error.what
    assert not server.asked


def test_a_disk_that_is_too_small_is_known_before_the_download(hub: Hub, server: HubServer) -> None:
    server.lies = 10**18
    error = refusal(ModelError, hub)
    assert "GB are free" in error.what
    assert not server.asked


def test_two_at_once_fetch_once(hub: Hub, server: HubServer) -> None:
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: download_model(hub, None, pass_all), range(2)))
    assert folders[0] == folders[1]
    assert len(server.asked) == len(NEEDED)


@pytest.mark.parametrize("hashes", [True, False])
def test_a_hub_without_hashes_is_named(hashes: bool, server: HubServer, caplog: pytest.LogCaptureFixture) -> None:
    server.names_hashes = hashes
    download_model(open_hub(HubModel("hf", MODEL), server.url, IMPATIENT), None, pass_all)
    assert "downloading 3 files" in caplog.text
    assert ("names no hash of config.json, tokenizer.json, model.safetensors" in caplog.text) == (not hashes)


def test_files_in_the_cache_of_hugging_face_are_taken_where_they_are_right(server: HubServer, tmp_path: Path) -> None:
    hub = open_hub(HubModel("hf", MODEL), server.url, IMPATIENT)
    cached = tmp_path / "hf" / "models--someone--Tiny-1B" / "snapshots" / commit_of(FILES)
    cached.mkdir(parents=True)
    (cached / "model.safetensors").write_bytes(WEIGHTS)
    (cached / "tokenizer.json").write_bytes(b"[]")  # damaged: as long as the right one
    folder = download_model(dataclasses.replace(hub, cache=tmp_path / "hf"), None, pass_all)
    assert read_folder(folder) == {name: FILES[name] for name in NEEDED}
    assert {asked.name for asked in server.asked} == {"config.json", "tokenizer.json"}
    assert (folder / "model.safetensors").samefile(cached / "model.safetensors")
