"""Parts of one file by hash: nothing lost, nothing twice, groups whole, stable, in any order."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from extune.data.partition import assign_parts
from extune.data.splits import SPLITS, find_split, read_split
from extune.domain.annotation import Labels
from extune.domain.example import Example, Source
from extune.domain.task import ClassificationTask, GenerationTask
from extune.errors import DataError, RecipeError
from extune.recipe.load import recipe_from_values
from extune.recipe.sections import DataSection, SplitSection

SIZES = st.one_of(st.none(), st.floats(0.01, 0.45), st.integers(1, 12))
SPLIT_SECTIONS = st.builds(
    SplitSection, dev=SIZES, test=st.one_of(st.floats(0.01, 0.45), st.integers(1, 12)), seed=st.integers(0, 9)
)


def make(numbers: list[int], classes: int = 3) -> list[Example]:
    return [Example(f"n{number}", f"text {number}", Labels((str(number % classes),))) for number in numbers]


def parts(examples: list[Example], split: SplitSection, groups: dict[str, str] | None = None) -> dict[str, str]:
    return dict(zip([one.id for one in examples], assign_parts(examples, groups or {}, split), strict=True))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 500), unique=True, min_size=1, max_size=80), SPLIT_SECTIONS, st.randoms())
def test_every_row_gets_one_part_whatever_the_order(numbers: list[int], split: SplitSection, random: object) -> None:
    examples = make(numbers)
    found = parts(examples, split)
    assert set(found.values()) <= set(SPLITS)
    shuffled = list(examples)
    random.shuffle(shuffled)
    assert parts(shuffled, split) == found
    if split.dev is None:
        assert "dev" not in found.values()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 500), unique=True, min_size=1, max_size=80),
    st.lists(st.integers(501, 900), unique=True, max_size=40),
    st.floats(0.05, 0.45),
    st.floats(0.05, 0.45),
)
def test_added_rows_never_move_old_ones_with_shares(old: list[int], new: list[int], dev: float, test: float) -> None:
    split = SplitSection(dev=dev, test=test)
    before, after = parts(make(old), split), parts(make(new + old), split)
    assert {key: after[key] for key in before} == before


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 500), unique=True, min_size=20, max_size=80),
    st.lists(st.integers(501, 900), unique=True, max_size=40),
    st.integers(1, 9),
)
def test_a_number_is_exact_and_train_never_becomes_test(old: list[int], new: list[int], size: int) -> None:
    split = SplitSection(test=size, dev=5)
    before, after = parts(make(old), split), parts(make(old + new), split)
    assert Counter(before.values()) == {"test": size, "dev": 5, "train": len(old) - size - 5}
    moved = {(before[key], after[key]) for key in before if before[key] != after[key]}
    assert moved <= {("test", "train"), ("dev", "train")}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 500), unique=True, min_size=1, max_size=80), SPLIT_SECTIONS, st.booleans(), st.integers(1, 15))
def test_a_group_never_straddles(numbers: list[int], split: SplitSection, stratify: bool, groups: int) -> None:
    examples = make(numbers)
    of = {example.id: f"g{number % groups}" for example, number in zip(examples, numbers, strict=True)}
    found = parts(examples, split.model_copy(update={"stratify": stratify}), of)
    by_group = defaultdict(set)
    for key, part in found.items():
        by_group[of[key]].add(part)
    assert all(len(names) == 1 for names in by_group.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2000), unique=True, min_size=30, max_size=200), st.floats(0.1, 0.4), st.integers(2, 5))
def test_strata_give_their_shares(numbers: list[int], share: float, classes: int) -> None:
    examples = make(numbers, classes)
    found = parts(examples, SplitSection(dev=share, stratify=True))
    assert list(found.values()).count("dev") == round(share * len(numbers))
    for name, count in Counter(example.gold.names[0] for example in examples).items():
        dev = sum(found[example.id] == "dev" for example in examples if example.gold.names == (name,))
        assert abs(dev - share * count) <= 1.5  # the total is rounded, then each class


def test_a_share_is_near_its_size_and_seeds_differ() -> None:
    examples = make(list(range(4000)))
    first, second = (parts(examples, SplitSection(dev=0.1, test=0.2, seed=seed)) for seed in (1, 2))
    for found in (first, second):
        sizes = Counter(found.values())
        assert abs(sizes["dev"] - 400) < 80  # four standard deviations of a binomial
        assert abs(sizes["test"] - 800) < 102
    assert first != second


def test_numbered_rows_are_known_by_their_content() -> None:
    """A row put in before the others changes their numbers, not their part; equal texts stay together."""
    texts = [f"text {number % 40}" for number in range(60)]
    split = SplitSection(dev=0.3, test=0.3)

    def assign(texts: list[str]) -> list[tuple[str, str]]:
        rows = [Example(f"a-{n}", text, source=Source("x/a.jsonl", n)) for n, text in enumerate(texts, 1)]
        return list(zip(texts, assign_parts(rows, {}, split), strict=True))

    found = assign(texts)
    assert len(set(found)) == 40
    assert set(assign(["another", *texts])) - {assign(["another"])[0]} == set(found)


def write_rows(folder: Path, count: int) -> Path:
    path = folder / "all.csv"
    lines = [f"{number},p{number // 3},frage {number},antwort" for number in range(count)]
    path.write_text("\n".join(["id,patient,text,answer", *lines]), encoding="utf-8")
    return path


def test_a_split_of_one_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path, 60)
    data = DataSection(train=str(path), split=SplitSection(dev=0.2, test=9, by="patient", seed=3))
    results = {split: read_split(data, split, GenerationTask()) for split in SPLITS}
    ids = [example.id for result in results.values() for example in result]
    assert sorted(ids, key=int) == [str(number) for number in range(60)]
    patients = [{int(example.id) // 3 for example in result} for result in results.values()]
    assert len(set.union(*patients)) == sum(map(len, patients))
    sizes = f"{len(results['train'].examples)} train, {len(results['dev'].examples)} dev, 9 test"
    for split, result in results.items():
        asked = "{dev: 0.2, test: 9, by: patient, stratify: False, seed: 3}"
        assert result.notes[-1] == f"{split} of data.split {asked}: {sizes}"
        assert find_split(data, split) == path


def test_a_part_stands_beside_a_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path, 30)
    data = DataSection(train=str(path), dev=str(path), split=SplitSection(test=10))
    sizes = [len(read_split(data, split, GenerationTask()).examples) for split in SPLITS]
    assert sizes == [20, 30, 10]


def test_classes_are_divided_evenly(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "\n".join(f"t{n},{'ab'[n % 5 == 0]}" for n in range(100)), encoding="utf-8")
    data = DataSection(train=str(path), split=SplitSection(dev=0.1, stratify=True))
    dev = read_split(data, "dev", ClassificationTask(label_names={"a": "", "b": ""}))
    assert Counter(example.gold.names[0] for example in dev) == {"a": 8, "b": 2}


def test_an_empty_part_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    path = write_rows(tmp_path, 5)
    with pytest.raises(DataError, match="leaves nothing for train: 5 examples become 0 train, 0 dev, 5 test"):
        read_split(DataSection(train=str(path), split=SplitSection(test=5)), "train", GenerationTask())
    with pytest.raises(DataError, match="no row has a column 'arzt'") as caught:
        read_split(DataSection(train=str(path), split=SplitSection(test=2, by="arzt")), "train", GenerationTask())
    assert caught.value.fix == "data.split.by=NAME"
    path.write_text(path.read_text(encoding="utf-8").replace(",p1,", ",,"), encoding="utf-8")
    with pytest.raises(DataError, match="has no 'patient'") as caught:
        read_split(DataSection(train=str(path), split=SplitSection(test=2, by="patient")), "train", GenerationTask())
    assert caught.value.where == f"{path}:5"
    with pytest.raises(RecipeError, match=r"data\.test is not set"):
        read_split(DataSection(train=str(path)), "test", GenerationTask())


@pytest.mark.parametrize(
    "section", [{}, {"dev": 0}, {"dev": -1}, {"dev": 1.5}, {"dev": 0.5, "test": 0.5}, {"dev": "x"}, {"dve": 1}]
)
def test_a_split_that_cannot_be_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SplitSection.model_validate(section)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"dev": "dev.csv", "split": {"dev": 0.1}}, "keep one"),
        ({"split": {"dev": 0.1, "stratify": True}}, "needs classes"),
        ({"split": {"dve": 0.1}}, r"unknown key data\.split\.dve"),
        ({"columns": {"txt": "a"}}, r"unknown key data\.columns\.txt"),
    ],
)
def test_a_recipe_with_such_a_split_is_refused_when_it_is_read(data: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipe_from_values({"task": {"kind": "generation"}, "data": data})
