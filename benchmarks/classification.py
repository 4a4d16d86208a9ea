"""How fast labels are weighed, against writing them: `python -m benchmarks.classification --data FOLDER [--repeats N]`.

On the first rows of titles (`titles/thucnews_dev.jsonl`, ten labels) and of Fudan news (`fudan_news/test.jsonl`, two to five
candidates a row, texts up to 2,048 tokens), with the embedded base, untrained: what is computed does not depend on the weights.
Three ways, in turn, several times:

* plain: transformers' own `generate`, 16 prompts at once in the order of the file, for as many tokens as the longest gold label
  of the batch has;
* written: extune's engine decodes under the grammar of the labels;
* weighed: `extune predict` as it is, with a probability for every label.

Seconds are of the processor on a CPU, so that other work counts little, and of the clock on a GPU.
Prompts are encoded before. Writes `benchmarks/results/classification.json`: the median of each way, and of the ratios to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import GenerationConfig

import extune
from benchmarks.scores import describe_machine
from extune.domain.annotation import Labels
from extune.domain.example import Example
from extune.domain.prompt import Prompt
from extune.domain.task import ClassificationTask
from extune.engines.transformers_engine import TransformersEngine
from extune.files import write_json
from extune.predicting.draft import open_untrained
from extune.predicting.label_choice import choose_labels
from extune.predicting.predictor import Predictor
from extune.recipe.sections import Recipe

RESULT = Path(__file__).parent / "results" / "classification.json"
_PLAIN_BATCH = 16

Asked = list[tuple[Example, Prompt]]
Way = Callable[[Predictor, Asked], list[str]]


def read_rows(path: Path, count: int, gold: str, candidates: str | None) -> list[Example]:
    """The first rows of a file."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(count), file, strict=False)]
    return [
        Example(str(number), row["text"], Labels((row[gold],)), candidates=tuple(row[candidates]) if candidates else None)
        for number, row in enumerate(rows)
    ]


def write_plainly(predictor: Predictor, asked: Asked) -> list[str]:
    """Whole prompts, padded on the left, each row to the same length."""
    engine, tokenizer = predictor.engine, predictor.encoder.tokenizer
    assert isinstance(engine, TransformersEngine)
    texts = []
    for start in range(0, len(asked), _PLAIN_BATCH):
        batch = asked[start : start + _PLAIN_BATCH]
        length = max(len(predictor.encoder.encode_rows(one)[0].ids) - len(prompt.ids) for one, prompt in batch)
        longest = max(len(prompt.ids) for _, prompt in batch)
        ids = torch.tensor([[0] * (longest - len(prompt.ids)) + list(prompt.ids) for _, prompt in batch], device=engine.device)
        mask = torch.tensor([[0] * (longest - len(prompt.ids)) + [1] * len(prompt.ids) for _, prompt in batch])
        config = GenerationConfig(max_new_tokens=length, min_new_tokens=length, do_sample=False, pad_token_id=0, eos_token_id=2)
        output = engine.model.generate(ids, attention_mask=mask.to(engine.device), generation_config=config)
        texts += tokenizer.batch_decode(output[:, longest:])
    return texts


def write_constrained(predictor: Predictor, asked: Asked) -> list[str]:
    """What `extune predict` did before labels were weighed, and does with several labels a text."""
    return [one.text for one in predictor.engine.complete([prompt for _, prompt in asked], predictor.options)]


def weigh(predictor: Predictor, asked: Asked) -> list[str]:
    """What `extune predict` does."""
    chooser = choose_labels(predictor.encoder, predictor.engine, predictor.options)
    assert chooser is not None
    return [one.text for one in chooser.choose(asked)]


WAYS: dict[str, Way] = {"plain": write_plainly, "written": write_constrained, "weighed": weigh}


def measure(recipe: Recipe, examples: list[Example], repeats: int) -> dict[str, Any]:
    """Seconds and ratios of the three ways on the same prompts, and at one prompt after the other."""
    predictor = open_untrained(recipe, "embedded")
    engine = predictor.engine
    assert isinstance(engine, TransformersEngine)
    clock = time.process_time if engine.device.type == "cpu" else time.perf_counter
    asked = [(one, prompt) for one in examples for prompt in predictor.encoder.encode_prompts(one)]
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    texts = {name: way(predictor, asked[:2]) for name, way in WAYS.items()}  # compiles, and checks the first tree
    for _ in range(repeats):
        for name, way in WAYS.items():
            began = clock()
            texts[name] = way(predictor, asked)
            seconds[name].append(clock() - began)
    single: dict[str, list[float]] = {name: [] for name in WAYS}
    for pair in asked[:8]:
        for name, way in WAYS.items():
            began = clock()
            way(predictor, [pair])
            single[name].append(clock() - began)
    ratios = {
        f"weighed_against_{name}": round(median(a / b for a, b in zip(seconds[name], seconds["weighed"], strict=True)), 2)
        for name in ("plain", "written")
    }
    return {
        "rows": len(asked),
        "prompt_tokens": round(sum(len(prompt.ids) for _, prompt in asked) / len(asked), 1),
        "seconds": {name: round(median(values), 3) for name, values in seconds.items()},
        **ratios,
        "milliseconds_of_one_prompt": {name: round(1000 * median(values), 1) for name, values in single.items()},
        "equal_to_written": round(sum(a == b for a, b in zip(texts["weighed"], texts["written"], strict=True)) / len(asked), 3),
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with titles/ and fudan_news/")
    parser.add_argument("--titles", type=int, default=128, help="rows")
    parser.add_argument("--fudan", type=int, default=12, help="rows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    file = arguments.data / "titles" / "thucnews_dev.jsonl"
    with file.open(encoding="utf-8") as opened:
        names = json.loads(opened.readline())["labels"]
    titles = Recipe(task=ClassificationTask(label_names=dict.fromkeys(names, "")))
    fudan = extune.load_recipe("fudan-news", "base.model=embedded")
    result = {
        "command": f"python -m benchmarks.classification --data FOLDER --titles {arguments.titles} --fudan {arguments.fudan} "
        f"--repeats {arguments.repeats} --threads {arguments.threads}",
        "machine": describe_machine(),
        "base": "embedded, untrained",
        "titles": measure(titles, read_rows(file, arguments.titles, "label", None), arguments.repeats),
        "fudan": measure(
            fudan,
            read_rows(arguments.data / "fudan_news" / "test.jsonl", arguments.fudan, "output", "category"),
            max(3, arguments.repeats // 2),
        ),
    }
    RESULT.parent.mkdir(exist_ok=True)
    write_json(RESULT, result)
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
