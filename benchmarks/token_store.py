"""Memory and speed of preparing training rows: `python -m benchmarks.token_store [--rows 100000 1000000]`.

`--tables` only writes the tables of docs/token-store*.md again.
Each size runs in a process of its own, from a JSONL file to a token store that can be trained from. The rows are the first
sentences of the bundled clinic notes, again and again, each with a number of its own. Writes
`benchmarks/results/token-store.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import extune
from benchmarks.pages import ROOT, read_page, replace_block
from extune.data.splits import read_split
from extune.domain.annotation import Extraction
from extune.files import write_json
from extune.models.base_model import load_tokenizer, resolve_base
from extune.predicting.draft import draft_contract
from extune.predicting.encoding import BatchEncoder
from extune.predicting.training_rows import prepare_rows
from extune.runs.manifest import installed_version
from extune.tokens.encode import EncodedRow
from extune.tokens.encoding_processes import usable_processes
from extune.tokens.lengths import LengthReport
from extune.tokens.token_store import EncodedBatch, TokenStore, open_store, pack_rows

RESULT = Path(__file__).parent / "results" / "token-store.json"
PAGES = {
    "docs/token-store.md": (
        "rows",
        "JSONL",
        "store",
        "RSS before",
        "peak RSS",
        "of a process",
        "rows/s",
        "rows/CPU s",
        "s reused",
    ),
    "docs/token-store.zh-CN.md": ("行", "JSONL", "存储", "之前", "峰值 RSS", "每个进程", "行/秒", "行/CPU 秒", "复用，秒"),
}
SIZES = (100_000, 1_000_000)
_LIBRARIES = ("extune", "pyarrow", "tokenizers", "transformers")
_DRAWN = 20_000
_TOKENS = 245
_MIB = 1 << 20


def write_examples(path: Path, count: int) -> None:
    """JSONL of `count` short, different, labelled texts."""
    recipe = extune.load_recipe("clinic-notes")
    stems = []
    for example in read_split(recipe.data, "train", recipe.task).examples:
        first = re.match(r"[^。；]*[。；]", example.text)
        gold = example.gold
        if first is not None and isinstance(gold, Extraction):
            spans = [span for span in gold.spans if span.end <= first.end()]
            stems.append((first[0], [{"start": span.start, "end": span.end, "type": span.type} for span in spans]))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, (text, entities) in enumerate(islice(cycle(stems), count)):
            file.write(json.dumps({"text": f"{text}第{number}例。", "entities": entities}, ensure_ascii=False) + "\n")


def measure(path: Path, root: Path) -> dict[str, Any]:
    """Prepare the rows of a file in this process and those that it starts; sizes in MiB."""
    recipe = extune.load_recipe("clinic-notes", f"data.train={path}")
    base = resolve_base(recipe.base.model)
    tokenizer = load_tokenizer(base)
    contract = draft_contract(recipe, base, tokenizer)
    before, began, cpu = _peak(resource.RUSAGE_SELF), time.perf_counter(), _cpu_seconds()
    rows = prepare_rows(recipe, BatchEncoder(tokenizer, contract), base, root).rows
    seconds, peak, used = time.perf_counter() - began, _peak(resource.RUSAGE_SELF), _cpu_seconds() - cpu
    if not isinstance(rows, TokenStore):
        raise SystemExit("the rows were not stored")
    began = time.perf_counter()
    again = prepare_rows(recipe, BatchEncoder(tokenizer, contract), base, root)
    reopened = time.perf_counter() - began
    began = time.perf_counter()
    for at in random.Random(17).sample(range(len(rows)), min(_DRAWN, len(rows))):
        rows[at]
    drawn = time.perf_counter() - began
    return {
        "rows": len(rows),
        "tokens_per_row": round(sum(rows.lengths) / len(rows), 1),
        "file_mib": round(path.stat().st_size / _MIB, 1),
        "store_mib": round((rows.folder / "rows.arrow").stat().st_size / _MIB, 1),
        "rss_before_mib": round(before),
        "peak_rss_mib": round(peak),
        "peak_rss_of_a_worker_mib": round(_peak(resource.RUSAGE_CHILDREN)),
        "seconds": round(seconds, 1),
        "rows_per_second": round(len(rows) / seconds),
        "cpu_seconds": round(used, 1),
        "rows_per_cpu_second": round(len(rows) / used),
        "reused": again.reused,
        "seconds_when_reused": round(reopened, 2),
        "microseconds_per_drawn_row": round(drawn / min(_DRAWN, len(rows)) * 1e6, 1),
    }


def measure_opening(count: int, root: Path) -> dict[str, Any]:
    """Write and open a store of `count` equal rows that cost nothing to encode: what it takes of memory, in MiB."""
    rows = [EncodedRow(f"row {number}", tuple(range(_TOKENS)), _TOKENS - 20, "字" * 25) for number in range(1000)]
    batch = EncodedBatch(pack_rows(rows), LengthReport(len(rows)), {"rows": len(rows)})
    before = _peak(resource.RUSAGE_SELF)
    store, _ = open_store(root, "key", lambda: (batch for _ in range(count // len(rows))), lambda totals: dict(totals.counts))
    return {"rows": len(store), "rss_before_mib": round(before, 1), "peak_rss_mib": round(_peak(resource.RUSAGE_SELF), 1)}


def _peak(who: int) -> float:
    """Highest resident memory so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / _MIB


def _cpu_seconds() -> float:
    """Of this process, and of those it started that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def update(page: str) -> tuple[str, str]:
    """A page's text as it is and as the results want it."""
    before = read_page(page)
    keys = ("file_mib", "store_mib", "rss_before_mib", "peak_rss_mib", "peak_rss_of_a_worker_mib")
    rates = ("rows_per_second", "rows_per_cpu_second", "seconds_when_reused")
    lines = ["| " + " | ".join(PAGES[page]) + " |", "|" + "---:|" * len(PAGES[page])]
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    for size in result["sizes"]:
        cells = [f"{size['rows']:,}", *(f"{size[key]:,.0f}" for key in keys), *(f"{size[key]:,}" for key in rates)]
        lines.append("| " + " | ".join(cells) + " |")
    after = replace_block(before, "token-store", partial(_join, lines))
    lines = ["| " + " | ".join(PAGES[page][at] for at in (0, 3, 4)) + " |", "|---:|---:|---:|"]
    lines += [f"| {one['rows']:,} | {one['rss_before_mib']} | {one['peak_rss_mib']} |" for one in result["openings"]]
    return before, replace_block(after, "token-store-alone", partial(_join, lines))


def _join(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def write_tables() -> None:
    """Write the tables into the pages."""
    for page in PAGES:
        (ROOT / page).write_text(update(page)[1], encoding="utf-8")


def _run_alone(*words: str) -> dict[str, Any]:
    """A measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.token_store", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Parse the command line, measure each size in its own process, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--one", nargs=2, type=Path, metavar=("FILE", "ROOT"), help=argparse.SUPPRESS)
    parser.add_argument("--opening", nargs=2, metavar=("ROWS", "ROOT"), help=argparse.SUPPRESS)
    parser.add_argument("--tables", action="store_true")
    arguments = parser.parse_args()
    if arguments.tables:
        write_tables()
        return
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return
    if arguments.opening:
        print(json.dumps(measure_opening(int(arguments.opening[0]), Path(arguments.opening[1]))))
        return
    sizes, openings = [], []
    for count in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            write_examples(path, count)
            measured = _run_alone("--one", str(path), str(Path(folder) / "stores"))
            sizes.append(measured | {"load_average": round(os.getloadavg()[0], 1)})
            openings.append(_run_alone("--opening", str(count), str(Path(folder) / "others")))
            print(sizes[-1], openings[-1], flush=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "processes": usable_processes()}
    result = {
        "what": "training rows from JSONL to a token store",
        "command": "python -m benchmarks.token_store",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "versions": {"python": platform.python_version()} | {name: installed_version(name) for name in _LIBRARIES},
        "note": "rates depend on what else ran (load_average, one minute); rows_per_cpu_second and memory hardly do",
        "sizes": sizes,
        "openings": openings,
    }
    write_json(arguments.out, result)
    if arguments.out == RESULT:
        write_tables()


if __name__ == "__main__":
    main()
