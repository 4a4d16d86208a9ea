"""What the benchmark of training takes for equal, counts and refuses. Nothing is trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import training_table
from benchmarks.peers.comparing import (
    WARM_UP,
    find_difference,
    find_disagreement,
    measure_speed,
    ratios,
    summarise,
)
from benchmarks.peers.configurations import CONFIGURATIONS, EXTUNE
from benchmarks.peers.environments import ENVIRONMENTS, leave_out
from benchmarks.peers.measuring import IGNORED, describe_row, find_rows, join_batches
from benchmarks.peers.workloads import WORKLOADS, Prepared
from benchmarks.training import Benchmark, report
from hypothesis import given
from hypothesis import strategies as st

Pair = tuple[list[int], list[int]]
IDS = st.lists(st.integers(0, 9), min_size=1, max_size=6)
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=6)


def label(pair: Pair) -> Pair:
    prompt, target = pair
    return prompt + target, [IGNORED] * len(prompt) + target


@given(PAIRS, st.integers(0, 5))
def test_rows_are_found_in_padded_lines(pairs: list[Pair], padding: int) -> None:
    lines = [(ids + [0] * padding, labels + [IGNORED] * padding) for ids, labels in map(label, pairs)]
    assert find_rows(lines) == [describe_row(*pair) for pair in pairs]


@given(PAIRS)
def test_rows_are_found_in_one_packed_line(pairs: list[Pair]) -> None:
    lines = [label(pair) for pair in pairs]
    packed = [token for ids, _ in lines for token in ids], [token for _, labels in lines for token in labels]
    assert find_rows([packed]) == [describe_row(*pair) for pair in pairs]


def test_a_row_is_described_by_its_ids() -> None:
    assert describe_row([1, 2], [3])[:2] == [2, 1]
    assert describe_row([1, 2], [3]) != describe_row([1], [2, 3])
    assert describe_row([1, 2], [3]) != describe_row([1, 4], [3])


def rows(*pairs: Pair) -> list[list[Any]]:
    return [describe_row(*pair) for pair in pairs]


FIRST, SECOND = rows(([1, 2], [3]), ([4], [5, 6])), rows(([7], [8]))


def test_the_same_rows_in_the_same_steps_do_not_differ() -> None:
    assert find_difference([FIRST, SECOND], [FIRST, SECOND], same_order=True) is None


def test_another_order_differs_only_where_it_matters() -> None:
    assert "another order" in str(find_difference([FIRST, SECOND], [SECOND, FIRST], same_order=True))
    assert find_difference([FIRST, SECOND], [[*FIRST, *SECOND]], same_order=False) is None


@pytest.mark.parametrize("same_order", [True, False])
def test_another_target_is_found_and_counted(same_order: bool) -> None:
    seen = [FIRST, rows(([7], [8, 9]))]
    reason = find_difference([FIRST, SECOND], seen, same_order=same_order)
    assert reason is not None
    assert reason.startswith("1 of 3 rows are not trained as they were given")
    assert reason.endswith("1 prompt tokens and 2 targets instead of 1 prompt tokens and 1 targets")


def test_a_missing_row_is_found() -> None:
    assert "1 of 3 rows" in str(find_difference([FIRST, SECOND], [FIRST], same_order=False))


def test_a_peer_that_accumulates_more_batches_is_found() -> None:
    assert join_batches([FIRST, SECOND], 1) == [FIRST, SECOND]
    accumulated = join_batches([FIRST, SECOND], 8)
    assert "another order" in str(find_difference([FIRST, SECOND], accumulated, same_order=True))


def test_losses_agree_within_the_noise_of_bfloat16() -> None:
    assert find_disagreement([11.97, 11.95], [11.98, 11.94]) is None
    assert "first step" in str(find_disagreement([12.2, 11.95], [11.98, 11.94]))
    assert "last step" in str(find_disagreement([11.97, 11.2], [11.98, 11.94]))
    assert "1 steps" in str(find_disagreement([11.97], [11.98, 11.94]))


def seen(step_seconds: float, batches: list[list[list[Any]]], peak: float = 2.0) -> dict[str, Any]:
    ends = [30.0 + step * step_seconds for step in range(3)]
    return {"ends": ends, "losses": [11.9, 11.8, 11.7], "batches": batches, "peak_gib": peak, "threads": 2}


def test_the_first_step_is_not_timed() -> None:
    assert WARM_UP == 1
    speed = measure_speed(seen(2.0, [FIRST, SECOND, FIRST]))
    assert speed["rows_per_second"] == pytest.approx(3 / 4)
    assert speed["target_tokens_per_second"] == pytest.approx((1 + 1 + 2) / 4)
    assert speed["first_step_seconds"] == 30.0


def test_packed_lines_are_trained_again_where_they_are_fewer_than_steps() -> None:
    assert measure_speed(seen(1.0, [FIRST, SECOND]))["rows_per_second"] == pytest.approx((1 + 2) / 2)


def test_nothing_is_timed_without_a_second_step() -> None:
    with pytest.raises(ValueError, match="nothing to time"):
        measure_speed(seen(1.0, [FIRST]) | {"ends": [30.0]})


def test_the_median_repeat_counts() -> None:
    summary = summarise([seen(seconds, [FIRST] * 3) for seconds in (1.0, 50.0, 2.0)])
    assert (summary["rows_per_second"], summary["repeats"]) == (1.0, 3)
    assert summary["rows_per_second_range"] == [0.04, 2.0]


def test_ratios_compare_with_each_of_ours_but_itself() -> None:
    figures = {
        "extune": {"rows_per_second": 4.0, "peak_gib": 2.0},
        "other": {"rows_per_second": 1.0, "peak_gib": 8.0},
    }
    assert ratios(figures, ["extune", "unmeasured"]) == {"extune": {}, "other": {"extune": {"speed": 4.0, "memory": 0.25}}}


def test_requirements_are_left_out_by_name() -> None:
    given_ones = ["torch>=2.4.0", "torchaudio>=2.4.0", "torchvision", "trl<=0.24.0,>=0.18.0", "torch-data<1"]
    assert leave_out(given_ones, ["torchvision", "torchaudio"]) == ["torch>=2.4.0", "trl<=0.24.0,>=0.18.0", "torch-data<1"]


def test_every_configuration_can_be_started() -> None:
    scripts = Path(training_table.__file__).parent / "peers"
    for one in CONFIGURATIONS.values():
        assert (scripts / one.script).is_file()
        assert one.environment is None or one.environment in ENVIRONMENTS


def test_a_workload_with_checkpointing_is_trained_with_it() -> None:
    suited = [one for one in CONFIGURATIONS.values() if one.suits(True)]
    assert CONFIGURATIONS[EXTUNE] in suited
    assert all(one.checkpoints(True) for one in suited)
    assert all(one.suits(False) for one in CONFIGURATIONS.values())


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Benchmark:
    """Two steps of MSRA's batch size whose rows are known, measured by nobody yet."""
    size = WORKLOADS["msra"].batch
    lines = [{"prompt_ids": [1, number], "target_ids": [2, 3]} for number in range(2 * size)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    described = {"what": "MSRA entities", "batch": size, "tokens_per_row": 4.0, "targets_per_row": 2.0, "checkpointing": False}
    names = ("extune", "plain", "trl", "ms-swift")
    return Benchmark(
        workload="msra",
        chosen=names,
        cache=tmp_path,
        base=tmp_path,
        prepared=Prepared(tmp_path / "rows.jsonl", (), (), described),
        steps=2,
        pythons=dict.fromkeys(names, Path("python")),
        versions={name: {name: "1.0"} for name in names},
    )


def keep(benchmark: Benchmark, name: str, **changes: Any) -> None:
    """Put a measurement where the benchmark keeps it."""
    size = WORKLOADS["msra"].batch
    all_rows = [describe_row([1, number], [2, 3]) for number in range(2 * size)]
    found = {"ends": [9.0, 11.0], "losses": [11.9, 11.8], "peak_gib": 4.0, "threads": 2}
    place = benchmark.place(name, 0)
    place.mkdir(parents=True)
    content = found | {"batches": [all_rows[:size], all_rows[size:]]} | changes
    (place / "seen.json").write_text(json.dumps(content), encoding="utf-8")


def test_who_trained_other_rows_or_to_another_loss_is_refused(benchmark_folder: Benchmark) -> None:
    keep(benchmark_folder, "plain")
    keep(benchmark_folder, "extune", ends=[9.0, 9.5], peak_gib=2.0)
    keep(benchmark_folder, "trl", batches=[[describe_row([1], [2])]])
    keep(benchmark_folder, "ms-swift", losses=[9.0, 8.0])
    result = report(benchmark_folder, repeats=3, failed={"llamafactory": "ended with 1"})
    assert sorted(result["configurations"]) == ["extune", "plain"]
    assert sorted(result["refused"]) == ["llamafactory", "ms-swift", "trl"]
    assert result["configurations"]["plain"]["extune_beside_it"] == {"extune": {"speed": 4.0, "memory": 0.5}}
    assert result["losses_compared"]


def test_a_result_becomes_a_table(benchmark_folder: Benchmark, tmp_path: Path) -> None:
    keep(benchmark_folder, "plain")
    keep(benchmark_folder, "extune", ends=[9.0, 9.5], peak_gib=2.0)
    result = {"command": "python -m benchmarks.training msra", **report(benchmark_folder, 1, {"trl": "ended with 1"})}
    (tmp_path / "training-msra.json").write_text(json.dumps(result), encoding="utf-8")
    table = training_table.render_training(tmp_path)
    assert (
        "| plain Trainer, padded batch | 8.00 (8.00 to 8.00) | 16.0 | 4.00 GiB | 11.800 | extune 4.00x | extune 0.50x |"
        in table
    )
    assert "refused: trl, ended with 1" in table


@pytest.mark.parametrize("page", training_table.PAGES)
def test_published_speeds_are_those_measured(page: str) -> None:
    before, after = training_table.update(page)
    assert before == after, "run python -m benchmarks.training_table"
