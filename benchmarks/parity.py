"""Keep the figures of `extune parity`: `python -m benchmarks.parity NAME RUN --what WHAT [--engines ...] [--variants ...]`.

Writes `benchmarks/results/parity-NAME.json`: the report of the command without any text, with the machine and the versions.
With engine vllm it runs in that engine's environment (docs/engines.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.scores import RESULTS, describe_machine
from extune.stages.parity import parity


def main() -> None:
    """Parse the command line, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    parser.add_argument("--what", required=True, help="names the run")
    parser.add_argument("--engines", default="transformers,vllm")
    parser.add_argument("--variants", default="", help="apart by commas; default: all of the run")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    variants = [name for name in arguments.variants.split(",") if name]
    report = parity(arguments.run, arguments.engines.split(","), variants, split=arguments.split)
    found = report.to_json()
    for other in found["others"]:
        other["flips"] = [{key: flip[key] for key in ("example_id", "place", "margin")} for flip in other["flips"]]
    command = f"python -m benchmarks.parity {arguments.name} RUN --engines {arguments.engines}"
    command += f" --variants {arguments.variants}" if variants else ""
    command += "" if arguments.split == "test" else f" --split {arguments.split}"
    found["file"] = Path(found["file"]).name
    result = {"what": arguments.what, "command": command, "machine": describe_machine(), **found}
    text = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
    (RESULTS / f"parity-{arguments.name}.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
