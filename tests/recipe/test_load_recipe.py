"""Recipes: names stay strings, mistakes are named, YAML comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extune.errors import RecipeError
from extune.recipe.adapters import METHODS, FullAdapter, LoraAdapter, QloraAdapter
from extune.recipe.load import dump_recipe, find_changes, load_recipe, recipe_from_values
from extune.recipe.sections import Recipe
from extune.recipe.yaml_text import parse_yaml

MINIMAL = "task: {kind: extraction, types: {drug: a medicine}}\n"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "ner.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def failure(path: Path, *overrides: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, *overrides)
    assert caught.value.expected
    assert caught.value.fix
    return caught.value


def test_names_stay_what_the_user_wrote(tmp_path: Path) -> None:
    names = ["NO", "01", "1.0", "on", "2024-05-01", "null", "~", "0x1f", "1_000", "<<", "中药"]
    recipe = load_recipe(write(tmp_path, "task: {kind: extraction, types: {" + ", ".join(f"{n}: about" for n in names) + "}}"))
    assert list(recipe.task.types) == names
    recipe = load_recipe(write(tmp_path, "task: {kind: extraction, types: [" + ", ".join(names) + "]}"))
    assert list(recipe.task.types) == names


def test_numbers_and_truth_values_get_their_types(recipe_file: Path) -> None:
    recipe = load_recipe(
        recipe_file, "training.learning_rate=2e-4", "training.seeds=[1, 2]", "prompt.constrain=false", "data.train_limit="
    )
    assert recipe.training.learning_rate == 2e-4
    assert recipe.training.seeds == (1, 2)
    assert recipe.prompt.constrain is False
    assert recipe.data.train_limit is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("true", "shared_prefix"), ("False", "plain"), ("shared_prefix", "shared_prefix"), ("plain", "plain"), ("off", "off")],
)
def test_packing_has_three_ways_of_which_two_were_truth_values(tmp_path: Path, written: str, meant: str) -> None:
    recipe = load_recipe(write(tmp_path, f"{MINIMAL}training: {{packing: {written}}}\n"))
    assert recipe.training.packing == meant
    assert load_recipe(write(tmp_path, dump_recipe(recipe))) == recipe


def test_another_way_of_packing_is_refused(recipe_file: Path) -> None:
    assert "shared_prefix" in str(failure(recipe_file, "training.packing=dense"))


def test_the_file_names_the_recipe_unless_it_says_so_itself(tmp_path: Path, recipe_file: Path) -> None:
    assert load_recipe(recipe_file).name == "ner"
    assert load_recipe(write(tmp_path, "name: other\n" + MINIMAL)).name == "other"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (MINIMAL + "training:\n  learning_rat: 1e-3\n", 3, "did you mean training.learning_rate?"),
        (MINIMAL + "trainin: {}\n", 2, "did you mean training?"),
        (MINIMAL + "learning_rate: 1e-3\n", 2, "did you mean training.learning_rate?"),
        ("task:\n  kind: extraction\n  type: [a]\n  types: [a]\n", 3, "did you mean task.types?"),
        (MINIMAL + "data: {train: a, train: b}\n", 2, "stands twice"),
        (MINIMAL + "training: {seed: seven}\n", 2, "'seven'"),
        (MINIMAL + "prompt: {format: line}\n", 2, "'lines'"),
        ("task:\n  kind: extractin\n  types: [a]\n", 2, "'extractin'"),
        ("task:\n  kind: extraction\n  types: [a, a]\n", 3, "twice"),
        (MINIMAL + "data: [", 2, "not YAML"),
        (MINIMAL + "name: !!python/object:os.system x\n", 2, "tag"),
        (MINIMAL + "adapter:\n  method: full\n  r: 16\n", 4, "method full has none"),
        (MINIMAL + "adapter: {num_virtual_tokens: 8}\n", 2, "adapter.method=prefix_tuning"),
        (MINIMAL + "adapter: {lora_alfa: 8}\n", 2, "did you mean adapter.lora_alpha?"),
        (MINIMAL + "adapter: {method: lor}\n", 2, "one of lora, qlora"),
        (MINIMAL + "adapter: {method: qlora}\nbase: {dtype: float32}\n", None, "holds the base in 4 bits"),
        (
            MINIMAL + "adapter: {method: prefix_tuning}\ntraining: {gradient_checkpointing: true}\n",
            None,
            "take no keys and values from outside",
        ),
        (MINIMAL + "parallel: {strategy: zero4}\n", 2, "'zero2'"),
        ("task: {kind: record, fields: {a: {kind: text, distinct: true}}}\n", 1, "distinct is for verbatim lists"),
        (MINIMAL + "parallel: {strategy: zero1}\ntraining: {optim: adafactor}\n", None, "it needs whole matrices"),
        (MINIMAL + "parallel: {strategy: zero3}\n", 2, "fsdp divides the same"),
        (MINIMAL + "parallel: {strategy: fsdp}\nadapter: {method: qlora}\n", None, "matrices in 4 bits"),
        (MINIMAL + "parallel: {strategy: fsdp}\nadapter: {method: p_tuning}\n", None, "stand outside of the layers"),
        (MINIMAL + "parallel: {strategy: fsdp}\nadapter: {use_dora: true}\n", None, "whole weight columns"),
        (
            MINIMAL + "parallel: {strategy: fsdp}\nadapter: {method: full}\ntraining: {optim: adamw_8bit}\n",
            None,
            "bitsandbytes takes no pieces",
        ),
        ("a: &x {b: 1}\ntask: *x\n", 2, "aliases"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    path = write(tmp_path, text)
    error = failure(path)
    assert (str(path) if line is None else f"{path}:{line}") in str(error)
    assert words in str(error)


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just words"])
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str) -> None:
    failure(write(tmp_path, text))


def test_several_mistakes_are_listed(recipe_file: Path) -> None:
    error = failure(recipe_file, "training.seed=x", "adapter.r=0", "prompt.formt=lines")
    for words in ("training.seed", "adapter.r", "prompt.format?"):
        assert words in str(error)


@pytest.mark.parametrize(
    "override", ["training.seed", "=3", "training.=3", "name.x.y=3", "training.sed=3", "task={}", "training=5"]
)
def test_bad_overrides(recipe_file: Path, override: str) -> None:
    assert override.partition("=")[0] in str(failure(recipe_file, override))


def test_an_override_keeps_text_that_yaml_would_split(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, r"data.train=C:\new data\a: #1.txt", "task.types.v1.2=Version: #2", "task.instruction=NO")
    assert recipe.data.train == r"C:\new data\a: #1.txt"
    assert recipe.task.types == {"drug": "a medicine", "v1.2": "Version: #2"}
    assert recipe.task.instruction == "NO"


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    assert "no such recipe" in str(failure(tmp_path / "nothing.yaml"))
    assert "folder" in str(failure(tmp_path))


def test_changes_name_the_keys(recipe_file: Path) -> None:
    before = load_recipe(recipe_file)
    after = load_recipe(recipe_file, "training.seed=3", "task.types.sign=a finding")
    assert find_changes(before, before) == ()
    assert find_changes(before, after) == ("task.types.sign: None -> 'a finding'", "training.seed: 17 -> 3")


def test_an_adapter_section_without_method_is_lora(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, MINIMAL)).adapter == LoraAdapter()
    assert load_recipe(write(tmp_path, MINIMAL + "adapter: {r: 8}\n")).adapter == LoraAdapter(r=8)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_on_the_command_line_drops_what_it_does_not_have_and_says_so(
    method: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, MINIMAL + "adapter: {r: 8, lora_dropout: 0.2}\n")
    adapter = load_recipe(path, f"adapter.method={method}").adapter
    assert type(adapter) is METHODS[method]
    if "r" in type(adapter).model_fields:
        assert adapter == METHODS[method](method=method, r=8, lora_dropout=0.2)
        assert not caplog.text
    else:
        assert adapter == METHODS[method](method=method)
        assert all(words in caplog.text for words in (str(path), method, "r: 8", "lora_dropout: 0.2"))


def test_keys_on_the_command_line_are_meant(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "adapter: {method: full}\n")
    assert "method full has none" in str(failure(path, "adapter.r=8"))
    assert "method full has none" in str(failure(path, "adapter.method=full", "adapter.r=8"))
    assert "method full has none" in str(failure(path, "adapter.r=8", "adapter.method=full"))
    assert load_recipe(path, "adapter.method=qlora", "adapter.r=8").adapter == QloraAdapter(r=8)
    assert "one of lora" in str(failure(path, "adapter.method=non"))


def test_recipes_resolved_before_methods_had_sections_are_still_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flat = "{method: full, r: 16, lora_alpha: 32.0, lora_dropout: 0.05, target_modules: all-linear, use_rslora: false}"
    assert load_recipe(write(tmp_path, MINIMAL + f"adapter: {flat}\n")).adapter == FullAdapter()
    assert "are not used" in caplog.text


names = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable()) | st.sampled_from(
    [
        "null",
        "~",
        "NO",
        "01",
        "1e3",
        "true",
        "- x",
        "a: b",
        "# c",
        "'q'",
        '"',
        " x ",
        "=",
        "<<",
        "*a",
        "&a",
        "!t",
        "%",
        "\u3000",
    ]
)


@given(st.dictionaries(names, names | st.just(""), min_size=1, max_size=5), names, st.floats(1e-9, 10), st.integers())
@settings(max_examples=100, deadline=None)
def test_dumped_recipes_load_as_they_were(types: dict[str, str], name: str, rate: float, seed: int) -> None:
    recipe = Recipe.model_validate(
        {"name": name, "task": {"kind": "extraction", "types": types}, "training": {"learning_rate": rate, "seed": seed}}
    )
    text = dump_recipe(recipe)
    assert recipe_from_values(parse_yaml(text, "dump")[0]) == recipe
    for section in ("data", "base", "prompt", "adapter", "training", "selection"):
        for key in getattr(recipe, section).model_dump():
            assert f"  {key}:" in text


KINDS = {
    "extraction": "{kind: extraction, types: [a]}",
    "record": "{kind: record, fields: {a: {kind: verbatim}, b: {kind: text}}}",
    "verbatim": "{kind: record, fields: {a: {kind: verbatim}}}",
    "classification": "{kind: classification, label_names: [a, b]}",
    "several": "{kind: classification, multi_label: true}",
    "generation": "{kind: generation}",
}


@pytest.mark.parametrize(
    ("kind", "answer_format", "metric"),
    [
        ("extraction", "lines", "f1"),
        ("record", "fields", "f1"),
        ("classification", "choice", "accuracy"),
        ("several", "choices", "accuracy"),
        ("generation", "answer", "loss"),
    ],
)
def test_format_and_metric_follow_the_task(tmp_path: Path, kind: str, answer_format: str, metric: str) -> None:
    recipe = load_recipe(write(tmp_path, f"task: {KINDS[kind]}"))
    assert (recipe.answer_format, recipe.metric) == (answer_format, metric)
    assert recipe_from_values(parse_yaml(dump_recipe(recipe), "dump")[0]) == recipe


@pytest.mark.parametrize(
    ("kind", "override", "words"),
    [
        ("record", "prompt.format=lines", "fields"),
        ("extraction", "prompt.format=choice", "lines, pairs"),
        ("classification", "prompt.format=choices", "choice"),
        ("generation", "selection.metric=f1", "loss, rouge_l"),
        ("extraction", "selection.metric=accuracy", "f1, loss"),
        ("record", "data.on_too_long=window", "not all verbatim"),
        ("generation", "data.on_too_long=window", "task.kind: generation"),
        ("record", "data.on_too_long=shorten", "task.kind: record"),
        ("several", "task.label_names=[a]", "only 'a'"),
    ],
)
def test_choices_that_do_not_suit_the_task_are_refused(tmp_path: Path, kind: str, override: str, words: str) -> None:
    assert words in str(failure(write(tmp_path, f"task: {KINDS[kind]}"), override))


def test_windows_suit_records_of_verbatim_fields(tmp_path: Path) -> None:
    path = write(tmp_path, f"task: {KINDS['verbatim']}")
    assert load_recipe(path, "data.on_too_long=window").data.on_too_long == "window"


HUB_TASK = "task: {kind: extraction, types: {药: ''}}\n"


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        ("{model: 'hf:Qwen'}", "not hf:ORG/NAME"),
        ("{model: 'hf:../Qwen'}", "not hf:ORG/NAME"),
        ("{model: 'modelscope:qwen/a/b'}", "not hf:ORG/NAME or modelscope:ORG/NAME"),
        ("{model: 'hf:Qwen/Qwen2-7B@main'}", "the revision stands in base.revision"),
        ("{model: embedded, revision: main}", "base.revision: main belongs to a model of a hub"),
        ("{model: ./Qwen2, endpoint: 'https://mirror'}", "base.endpoint: https://mirror belongs to a model of a hub"),
        ("{model: 'hf:Qwen/Qwen2-7B', endpoint: mirror}", "base.endpoint is 'mirror'"),
    ],
)
def test_a_hub_s_model_is_named_as_such(base: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HUB_TASK}base: {base}\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert problem in str(caught.value)
    assert str(path) in caught.value.where


def test_a_hub_s_model_has_a_revision_and_a_mirror(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    section = "{model: 'hf:Qwen/Qwen2-7B', revision: v1.0, endpoint: 'https://hf-mirror.com'}"
    path.write_text(f"{HUB_TASK}base: {section}\n", encoding="utf-8")
    recipe = load_recipe(str(path))
    assert (recipe.base.revision, recipe.base.endpoint) == ("v1.0", "https://hf-mirror.com")
    with pytest.raises(RecipeError, match=r"base\.revision= takes it out"):
        load_recipe(str(path), "base.model=embedded")
    assert load_recipe(str(path), "base.model=embedded", "base.revision=", "base.endpoint=").base.model == "embedded"
