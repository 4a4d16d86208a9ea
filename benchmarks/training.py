"""How fast extune trains beside what people use: `python -m benchmarks.training WORKLOAD --cache DIR [--only NAME ...]`.

Every configuration trains the same rows on the same base with the same LoRA, in turns, each time in a fresh process. Figures
are medians over the repeats. Environments of the peers, the base, the rows and each measurement are kept in DIR, so that a
benchmark which was interrupted goes on, and `--prepare` makes all that has to be made before anything is measured. Writes
`benchmarks/results/training-WORKLOAD.json`; a configuration that trained other rows, or to another loss, is refused there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers.base import make_base
from benchmarks.peers.comparing import WARM_UP, find_difference, find_disagreement, ratios, summarise
from benchmarks.peers.configurations import CONFIGURATIONS, EXTUNE, Configuration
from benchmarks.peers.measuring import describe_row
from benchmarks.peers.workloads import WORKLOADS, Prepared, prepare
from extune.files import hash_files, hash_text, write_json

RESULTS = Path(__file__).parent / "results"
_SCRIPTS = Path(__file__).parent / "peers"
_REFERENCE = "plain"


@dataclass(frozen=True)
class Benchmark:
    """One workload and who trains it.

    Attributes:
        workload: name.
        chosen: the configurations to measure; others are reported where they were measured before.
        cache: folder that keeps what was made and measured.
        base: folder of the model.
        prepared: the rows.
        pythons: by configuration.
        versions: by configuration.
    """

    workload: str
    chosen: tuple[str, ...]
    cache: Path
    base: Path
    prepared: Prepared
    steps: int
    pythons: dict[str, Path]
    versions: dict[str, dict[str, str]]

    def place(self, name: str, repeat: int) -> Path:
        """Where a measurement is kept; another one where anything that could change it differs."""
        identity = {
            "configuration": asdict(CONFIGURATIONS[name]),
            "versions": self.versions[name],
            "rows": str(self.prepared.rows),
            "sources": _hash_sources(CONFIGURATIONS[name]),
        }
        key = hash_text(json.dumps(identity, sort_keys=True))[:12]
        return self.cache / "measurements" / f"{self.workload}-{self.steps}" / f"{name}-{key}-{repeat}"


def _hash_sources(configuration: Configuration) -> str:
    files = [_SCRIPTS / configuration.script, _SCRIPTS / "measuring.py"]
    if configuration.is_extune:
        import extune

        files += sorted(Path(str(extune.__file__)).parent.rglob("*.py"))
    return hash_files(files)


def build(arguments: argparse.Namespace) -> Benchmark:
    """Make what is missing: environments, base and rows."""
    workload = WORKLOADS[arguments.workload]
    suited = {name: one for name, one in CONFIGURATIONS.items() if one.suits(workload.checkpointing)}
    chosen = tuple(name for name in suited if name in (arguments.only or suited))
    found = {name: one.find_python(arguments.cache, make=name in chosen) for name, one in suited.items()}
    pythons = {name: python for name, python in found.items() if python is not None}
    base = arguments.base.resolve() if arguments.base else make_base(arguments.cache / "base")
    return Benchmark(
        workload=arguments.workload,
        chosen=chosen,
        cache=arguments.cache,
        base=base,
        prepared=prepare(arguments.workload, base, arguments.cache / "rows", arguments.steps),
        steps=arguments.steps,
        pythons=pythons,
        versions={name: CONFIGURATIONS[name].list_versions(python) for name, python in pythons.items()},
    )


def measure(benchmark: Benchmark, name: str, repeat: int, limit: float) -> str | None:
    """Train once, or take what was measured already. Returns why there is no measurement, if so."""
    place = benchmark.place(name, repeat)
    if (place / "seen.json").is_file():
        return None
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    configuration, prepared = CONFIGURATIONS[name], benchmark.prepared
    workload = WORKLOADS[benchmark.workload]
    checkpointing = configuration.checkpoints(workload.checkpointing)
    job = {
        "base": str(benchmark.base),
        "rows": str(prepared.rows),
        "out": str(place / "seen.json"),
        "folder": str(place / "work"),
        "batch": workload.batch,
        "steps": benchmark.steps,
        "checkpointing": checkpointing,
        "settings": configuration.settings,
    }
    if configuration.is_extune:
        switch = f"training.gradient_checkpointing={json.dumps(checkpointing)}"
        overrides = [*prepared.overrides, *configuration.overrides, switch]
        job |= {"recipe": workload.recipe, "overrides": overrides, "example_ids": prepared.example_ids}
    write_json(place / "job.json", job)
    command = [str(benchmark.pythons[name]), str(_SCRIPTS / configuration.script), str(place / "job.json")]
    inherited = dict(os.environ)
    if configuration.environment is not None:
        inherited.pop("PYTHONPATH", None)  # what is installed there, and nothing of this environment
    with (place / "output.txt").open("w", encoding="utf-8") as output:
        try:
            done = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=inherited | {"HF_HUB_OFFLINE": "1"},
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"took longer than {limit:.0f} s"
    shutil.rmtree(place / "work", ignore_errors=True)
    return None if (place / "seen.json").is_file() else f"ended with {done.returncode}, see {place / 'output.txt'}"


def collect(benchmark: Benchmark, repeats: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """What each configuration's repeats saw; and why a configuration is refused, where its rows are not those it was given."""
    rows = [json.loads(line) for line in benchmark.prepared.rows.read_text(encoding="utf-8").splitlines()]
    size = WORKLOADS[benchmark.workload].batch
    described = [describe_row(row["prompt_ids"], row["target_ids"]) for row in rows]
    expected = [described[start : start + size] for start in range(0, len(described), size)]
    measured: dict[str, list[dict[str, Any]]] = {}
    refused: dict[str, str] = {}
    for name in benchmark.pythons:
        files = [benchmark.place(name, repeat) / "seen.json" for repeat in range(repeats)]
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        for seen in found:
            difference = find_difference(expected, seen["batches"], same_order=CONFIGURATIONS[name].same_order)
            if difference is not None:
                refused[name] = difference
        if found and name not in refused:
            measured[name] = found
    reference = measured.get(_REFERENCE)
    for name in list(measured) if reference else ():
        disagreement = find_disagreement(measured[name][0]["losses"], reference[0]["losses"]) if reference else None
        if disagreement is not None and CONFIGURATIONS[name].same_order:
            refused[name] = disagreement
            del measured[name]
    return measured, refused


def report(benchmark: Benchmark, repeats: int, failed: dict[str, str]) -> dict[str, Any]:
    """The result file's content."""
    measured, refused = collect(benchmark, repeats)
    configurations = {name: summarise(found) for name, found in measured.items()}
    ours = [name for name in configurations if CONFIGURATIONS[name].is_extune]
    compared = ratios(configurations, ours)
    for name, one in configurations.items():
        one["what"] = CONFIGURATIONS[name].what
        one["same_order"] = CONFIGURATIONS[name].same_order
        one["versions"] = benchmark.versions[name]
        one["extune_beside_it"] = compared[name]
    return {
        **benchmark.prepared.described,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "steps": benchmark.steps,
        "losses_compared": _REFERENCE in measured,
        "configurations": configurations,
        "refused": refused | failed,
    }


def describe_machine() -> dict[str, Any]:
    """The processor, or the GPU, and memory."""
    import torch

    cpu = platform.processor()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        lines = listing.read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
    }


def run(benchmark: Benchmark, repeats: int, limit: float) -> dict[str, str]:
    """Measure in turns. Returns who failed, and why; the others are measured all the same."""
    failed: dict[str, str] = {}
    for repeat in range(repeats):
        for name in benchmark.chosen:
            if name in failed:
                continue
            print(f"{datetime.now(UTC):%H:%M:%S} repeat {repeat + 1} of {repeats}: {CONFIGURATIONS[name].what}", flush=True)
            reason = measure(benchmark, name, repeat, limit)
            if reason is not None:
                failed[name] = reason
                print(f"  failed: {reason}", flush=True)
    return failed


def show(result: dict[str, Any]) -> str:
    """The figures on a terminal."""
    lines = [f"{result['what']}: {result['rows']} rows, batch {result['batch']}, {result['tokens_per_row']} tokens a row"]
    for name, one in result["configurations"].items():
        times = one["extune_beside_it"].get(EXTUNE, {}).get("speed")
        lines.append(
            f"{name:18} {one['rows_per_second']:7.3f} rows/s {one['target_tokens_per_second']:8.2f} targets/s "
            f"{one['peak_gib']:6.2f} GiB  loss {one['losses'][0]:.4f} to {one['losses'][-1]:.4f}"
            + (f"  extune {times:.2f} x" if times else "")
        )
    lines += [f"{name:18} refused: {reason}" for name, reason in result["refused"].items()]
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line, make what is missing, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--cache", type=Path, required=True, help="keeps environments (7 GB), base, rows and measurements")
    parser.add_argument("--only", nargs="+", choices=CONFIGURATIONS, metavar="NAME", help=" ".join(CONFIGURATIONS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of each training; the first one is not timed")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one training may take")
    parser.add_argument("--base", type=Path, help="folder of another Qwen2 base; else a random one like Qwen2.5-0.5B is made")
    parser.add_argument("--out", type=Path, help="the result file; else benchmarks/results/training-WORKLOAD.json")
    parser.add_argument("--prepare", action="store_true", help="make environments, base and rows, and measure nothing")
    arguments = parser.parse_args(given)
    if arguments.steps <= WARM_UP:
        parser.error(f"--steps {arguments.steps} leaves nothing to time: {WARM_UP} of them is warm-up")
    arguments.cache = arguments.cache.resolve()
    benchmark = build(arguments)
    if arguments.prepare:
        return
    failed = run(benchmark, arguments.repeats, arguments.limit)
    command = "python -m benchmarks.training " + shlex.join(_without_cache(given or sys.argv[1:]))
    result = {"command": command, **report(benchmark, arguments.repeats, failed)}
    write_json(arguments.out or RESULTS / f"training-{benchmark.workload}.json", result)
    print(show(result))


def _without_cache(words: Sequence[str]) -> list[str]:
    """The command line, with a name for the folder that is nobody else's business."""
    at = list(words).index("--cache") if "--cache" in words else None
    return [*words] if at is None else [*words[:at], "--cache", "DIR", *words[at + 2 :]]


if __name__ == "__main__":
    main()
