"""`python -m tools.samples --out src/extune/shipped/samples`: write all samples. The same seed gives the same bytes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.samples.clinic_notes import build_notes
from tools.samples.dialogues import build_dialogues
from tools.samples.news import build_news
from tools.samples.qa import build_questions

SEED = 17

README = """# Samples · 样例数据

**Synthetic.** Every row was made by `tools/samples` from word lists and sentence templates of extune's own; no row describes
a real person, and nothing was copied from a data set. Drugs, doses and advice are combined at random: **never use them as
medical advice**. They may be used under extune's licence (Apache-2.0).

**合成数据。** 每一行都由 `tools/samples` 用自编的词表和句式生成，不涉及任何真实的人，也没有抄自任何数据集。
药物、剂量和建议是随机组合的，**不可作为医疗依据**。许可与 extune 相同（Apache-2.0）。

| folder · 目录 | task · 任务 | train / dev / test |
|---|---|---|
| `clinic-notes` | typed spans, seven types · 实体抽取，七类 | {clinic-notes} |
| `dialogues` | record of eight fields · 八字段要素抽取 | {dialogues} |
| `news` | classification, eight classes · 文本分类，八类 | {news} |
| `qa` | questions and answers · 问答生成 | {qa} |

In each folder the sentence templates of test differ from those of train. In `clinic-notes` about two fifths of the mentions of
test do not occur in train.
每个目录里，test 的句式都与 train 不同；`clinic-notes` 的 test 约有五分之二的实体没有在 train 中出现过。

Rules of annotation in `clinic-notes` · `clinic-notes` 的标注规则:

* All that belongs to a mention is marked, every time it occurs: `阵发性右上腹绞痛`, `2片每日3次`, `3年余前`.
  属于实体的字全部标出，每次出现都标。
* A body part of two or more characters is marked with its side wherever it stands, also inside a symptom, disease or
  examination (`右上腹` in `右上腹绞痛`), but not inside a drug.
  两个字以上的部位连同左右一起标，症状、疾病、检查里的也标，药名里的不标。
* Rooms (`CT室`), vital signs, laboratory values, ages and findings in images are not marked.
  科室、生命体征、化验数值、年龄和影像所见不标。

Made again with · 重新生成: `python -m tools.samples --out src/extune/shipped/samples`
"""


def build_files(seed: int = SEED) -> dict[str, str]:
    """Contents by path relative to the samples folder."""
    notes, dialogues, news, questions = build_notes(seed), build_dialogues(seed), build_news(seed), build_questions(seed)
    files: dict[str, str] = {}
    sizes: dict[str, str] = {}
    for name, splits in (("clinic-notes", notes), ("dialogues", dialogues), ("news", news)):
        files |= {f"{name}/{split}.jsonl": _to_jsonl(rows) for split, rows in splits.items()}
        sizes[name] = _describe(splits)
    files |= {f"qa/{split}.json": json.dumps(rows, ensure_ascii=False, indent=1) + "\n" for split, rows in questions.items()}
    sizes["qa"] = _describe(questions)
    files["README.md"] = README.format_map(sizes)
    return files


def _to_jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _describe(splits: Mapping[str, list[Any]]) -> str:
    return " / ".join(str(len(splits[split])) for split in ("train", "dev", "test"))


def main() -> None:
    """Write the files and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    for path, text in build_files(arguments.seed).items():
        target = arguments.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
        print(f"{target}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
