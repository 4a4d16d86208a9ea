"""Every shipped recipe loads, names itself, explains itself, and its sample data can be read and rendered as it says."""

from __future__ import annotations

import pytest

from extune.data.readers import read_examples
from extune.domain.annotation import Extraction
from extune.domain.task import ExtractionTask, GenerationTask, RecordTask, Task
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.prompts.alignment import read_extraction
from extune.prompts.formats import build_format
from extune.prompts.formats.base import require_representable
from extune.recipe.adapters import LoraAdapter, QloraAdapter
from extune.recipe.load import dump_recipe, load_recipe
from extune.recipe.shipped import SAMPLE_PREFIX, find_recipe, list_recipes, resolve_data_path
from extune.training.precision import choose_precision

RECIPES = list_recipes()


def sample_files(name: str) -> list[str]:
    data = load_recipe(name).data
    return [value for value in (data.train, data.dev, data.test) if value is not None and value.startswith(SAMPLE_PREFIX)]


def abouts(task: Task) -> list[str | None]:
    """What a task says about each of its names; of a generation, its instruction."""
    if isinstance(task, RecordTask):
        return [field.about for field in task.fields.values()]
    if isinstance(task, GenerationTask):
        return [task.instruction]
    return list((task.types if isinstance(task, ExtractionTask) else task.label_names).values())


SAMPLES = [(name, value) for name in RECIPES for value in sample_files(name)]


def test_the_recipes_are_there() -> None:
    assert {"clinic-notes", "fudan-news", "medical-dialogue", "medical-qa", "msra-ner", "tcm-ner", "tcm-ner-ptuning"} <= set(
        RECIPES
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_bears_the_name_of_its_file(name: str) -> None:
    assert load_recipe(name).name == name


@pytest.mark.parametrize("name", RECIPES)
def test_a_resolved_recipe_reads_back_as_itself(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    recipe = load_recipe(name)
    resolved = tmp_path_factory.mktemp("recipes") / "recipe.yaml"
    resolved.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(str(resolved)) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_commented_and_describes_its_types(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert all(abouts(load_recipe(name).task))


@pytest.mark.parametrize(("name", "value"), SAMPLES)
def test_sample_data_survives_the_recipe_s_answer_format(name: str, value: str) -> None:
    recipe = load_recipe(name)
    assert isinstance(recipe.task, ExtractionTask)
    answer_format = build_format(recipe.prompt.format)
    result = read_examples(resolve_data_path(value), reader=recipe.data.reader, task=recipe.task)
    assert result.examples
    assert not result.skipped
    for example in result.examples:
        gold = example.gold
        assert isinstance(gold, Extraction)
        require_representable(answer_format, recipe.task, example.text, gold, str(example.source))
        completion = answer_format.render_target(recipe.task, example.text, gold)
        assert read_extraction(recipe.task, answer_format, example.text, completion) == (gold, ())


def test_tcm_ner_is_the_setting_it_stands_for() -> None:
    recipe = load_recipe("tcm-ner")
    assert recipe.adapter.model_dump(include={"method", "r", "lora_alpha", "lora_dropout", "target_modules"}) == {
        "method": "lora",
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.2,
        "target_modules": "all-linear",
    }
    training = recipe.training
    assert (training.learning_rate, training.num_train_epochs, training.lr_scheduler_type) == (1e-4, 5, "cosine")
    assert (training.per_device_train_batch_size, training.gradient_accumulation_steps) == (4, 4)
    assert (training.warmup_ratio, recipe.selection.eval_steps, recipe.selection.early_stopping_patience) == (0.05, 200, 5)


def settings(name: str) -> tuple[object, ...]:
    """Method, rank, alpha, dropout, rate, epochs, examples a step, and steps between dev scores."""
    recipe = load_recipe(name)
    adapter, training = recipe.adapter, recipe.training
    assert isinstance(adapter, LoraAdapter | QloraAdapter)
    batch = training.per_device_train_batch_size, training.gradient_accumulation_steps
    shape = adapter.method, adapter.r, adapter.lora_alpha, adapter.lora_dropout
    return (*shape, training.learning_rate, training.num_train_epochs, *batch, recipe.selection.eval_steps)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("medical-dialogue", ("qlora", 16, 64, 0.1, 1e-4, 3, 2, 4, 100)),
        ("msra-ner", ("qlora", 8, 16, 0.05, 3e-4, 1, 8, 8, 70)),
        ("fudan-news", ("lora", 8, 32, 0.1, 1e-4, 3, 4, 4, 100)),
    ],
)
def test_a_recipe_has_the_settings_of_the_project_it_stands_for(name: str, wanted: tuple[object, ...]) -> None:
    assert settings(name) == wanted


def test_medical_dialogue_divides_gradients_among_gpus() -> None:
    assert {name: load_recipe(name).parallel.strategy for name in RECIPES} == {
        name: "zero2" if name == "medical-dialogue" else "ddp" for name in RECIPES
    }


def test_tcm_ner_ptuning_is_tcm_ner_with_a_prefix() -> None:
    prefix, lora = load_recipe("tcm-ner-ptuning"), load_recipe("tcm-ner")
    assert (prefix.task, prefix.data) == (lora.task, lora.data)
    assert prefix.adapter.model_dump() == {"method": "prefix_tuning", "num_virtual_tokens": 1024}
    training = prefix.training
    assert (training.learning_rate, training.max_steps, training.gradient_accumulation_steps) == (2e-2, 400, 16)
    assert (training.per_device_train_batch_size, prefix.prompt.max_input_tokens, prefix.prompt.max_answer_tokens) == (
        1,
        512,
        128,
    )


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("clinic-notes", "embedded"),
        ("medical-dialogue", "hf:Qwen/Qwen-1_8B-Chat"),
        ("medical-qa", "hf:Qwen/Qwen1.5-0.5B"),
        ("tcm-ner", "hf:Qwen/Qwen2-7B-Instruct"),
        ("tcm-ner-ptuning", "hf:THUDM/chatglm3-6b"),
        ("msra-ner", "hf:baichuan-inc/Baichuan-7B"),
        ("fudan-news", "modelscope:qwen/Qwen1.5-7B-Chat"),
    ],
)
def test_a_recipe_names_its_real_base_and_takes_the_embedded_one(name: str, base: str) -> None:
    named, embedded = load_recipe(name), load_recipe(name, "base.model=embedded")
    assert named.base.model == base
    assert embedded == named.model_copy(update={"base": named.base.model_copy(update={"model": "embedded"})})


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_on_the_embedded_base_resolves_for_a_cpu(name: str, caplog: pytest.LogCaptureFixture) -> None:
    recipe = load_recipe(name, "base.model=embedded")
    folder = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(folder)
    precision = choose_precision(recipe.base.dtype, recipe.adapter.method, "cpu")
    contract = draft_contract(recipe, folder, tokenizer, dtype=precision.weights)  # the budgets fit
    assert (contract.base, contract.base_revision, contract.dtype) == ("embedded", None, "float32")
    assert ("takes its place" in caplog.text) == (recipe.base.dtype == "float16")
