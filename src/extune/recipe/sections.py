"""The sections of a recipe. Closed (`extra="forbid"`), frozen, at most 15 fields each; descriptions give the units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from extune.domain.task import Task

FormatName = Literal["lines", "pairs", "json", "inline", "bio"]


class Section(BaseModel):
    """A closed, frozen part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def _as_names(value: object) -> object:
    """Accept one name as well as a list of names."""
    return (value,) if isinstance(value, str) else value


ColumnNames = Annotated[tuple[str, ...] | None, BeforeValidator(_as_names)]


class ColumnsSection(Section):
    """Which columns (keys) of a row hold what: a name, or several of which the first that a row has counts.

    None takes the usual names, `[]` no column at all.
    """

    id: ColumnNames = Field(None, description="usually id; without one rows are numbered")
    text: ColumnNames = Field(None, description="usually text or input; where it is empty the instruction is the text")
    instruction: ColumnNames = Field(None, description="usually instruction; replaces the task's own for its row")
    system: ColumnNames = Field(None, description="usually system; stands before the instruction")
    answer: ColumnNames = Field(None, description="usually entities, fields, label or labels by task, else answer or output")
    history: ColumnNames = Field(None, description="usually history; earlier [question, answer] pairs")
    candidates: ColumnNames = Field(None, description="usually candidates; the label names that are allowed for this row")
    messages: ColumnNames = Field(None, description="usually messages or conversations; a list of turns")


class SplitSection(Section):
    """Parts of the training file that become dev and test, by hash: the same rows on every machine, in any order."""

    dev: int | float | None = Field(None, gt=0, description="below 1 a share, else a number of examples")
    test: int | float | None = Field(None, gt=0, description="below 1 a share, else a number of examples")
    by: str | None = Field(None, description="column whose equal values stay together; None: the id, or the text without ids")
    stratify: bool = Field(False, description="the same shares in every class; added rows may then move rows at the border")
    seed: int = 17

    @model_validator(mode="after")
    def _leaves_something(self) -> SplitSection:
        sizes = [size for size in (self.dev, self.test) if size is not None]
        if not sizes:
            raise ValueError("data.split needs dev or test")
        if any(size > 1 and size != int(size) for size in sizes):
            raise ValueError(f"data.split: {sizes} are neither shares below 1 nor whole numbers")
        if sum(size for size in sizes if size < 1) >= 1:
            raise ValueError("data.split: the shares of dev and test leave nothing to train on")
        return self


class DataSection(Section):
    """Files and how to read them. Paths are relative to the current folder.

    A file may also be a folder, `sample:` (shipped), `hf:ORG/NAME[@REVISION][:FILE]` or `modelscope:` the same (data sets of
    a hub), or `dataset_info.json:NAME` (an entry of LLaMA-Factory's list of data sets).
    """

    train: str | None = Field(None, description="file of training examples")
    dev: str | None = Field(None, description="file for choosing the best checkpoint")
    test: str | None = Field(None, description="file that is scored once, at the end")
    reader: Literal["auto", "bio", "spans", "rows"] = Field(
        "auto", description="bio: token-label columns; spans: JSONL with offsets; rows: named columns in any other shape"
    )
    columns: ColumnsSection | None = Field(None, description="names of the columns, such as {text: query, answer: reply}")
    answer_format: FormatName | None = Field(None, description="syntax of answers that are text; None: JSON only")
    nothing: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        ("无", "没有"), description="answers and values that mean: nothing there"
    )
    split: SplitSection | None = Field(None, description="take dev or test from the training file, such as {dev: 0.1}")
    encoding: str | None = Field(None, description="None detects UTF-8 (with or without BOM), UTF-16 with BOM and GB18030")
    joiner: str | None = Field(None, description="bio: text between tokens; None: nothing for single characters, else a space")
    on_bad_row: Literal["error", "skip"] = "error"
    on_too_long: Literal["error", "drop", "window"] = "error"
    window_overlap: int = Field(48, ge=0, description="characters that neighbouring windows share at least")
    train_limit: int | None = Field(None, ge=1, description="use only the first N training examples; for trying things out")

    @model_validator(mode="after")
    def _one_source_a_split(self) -> DataSection:
        for name in ("dev", "test"):
            if self.split is not None and getattr(self.split, name) is not None and getattr(self, name) is not None:
                raise ValueError(f"data.{name} names a file and data.split.{name} takes another part of data.train: keep one")
        return self


class BaseSection(Section):
    """The frozen model."""

    model: str = Field("embedded", description="`embedded`, or a local directory in Hugging Face layout")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="auto: what trains fastest here")


class PromptSection(Section):
    """How an example becomes text and its answer becomes spans again."""

    format: FormatName = "lines"
    language: Literal["zh", "en"] = Field("zh", description="language of extune's own wording")
    max_input_tokens: int = Field(1024, ge=16, description="tokens of the whole prompt, template included")
    max_answer_tokens: int = Field(512, ge=4, description="tokens of the answer, stop token included")
    constrain: bool = Field(True, description="allow only completions that parse and whose mentions are in the text")


class AdapterSection(Section):
    """What is trained."""

    method: Literal["lora", "full"] = Field("lora", description="full trains every weight: for small bases")
    r: int = Field(16, ge=1, description="rank of LoRA")
    lora_alpha: float = Field(32, gt=0)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"
    use_rslora: bool = Field(False, description="scale by alpha / sqrt(r) instead of alpha / r")


class TrainingSection(Section):
    """The optimisation. A batch counts examples; memory only decides how it is subdivided."""

    learning_rate: float = Field(2e-4, gt=0, description="peak rate of AdamW")
    num_train_epochs: float = Field(3, gt=0)
    max_steps: int = Field(-1, description="optimizer steps; -1: decided by num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="examples")
    gradient_accumulation_steps: int = Field(1, ge=1)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    gradient_checkpointing: bool = False
    packing: bool = Field(True, description="compute the prompt prefix that a batch shares once")
    seed: int = 17
    seeds: tuple[int, ...] = Field((), description="train once per seed and report mean and standard deviation")
    logging_steps: int = Field(10, ge=1, description="optimizer steps between lines of log.jsonl")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds are listed twice: {list(seeds)}")
        return seeds


class SelectionSection(Section):
    """When the dev set is predicted and scored, and which checkpoint is kept."""

    eval_steps: int | None = Field(None, ge=1, description="optimizer steps between dev scores; None: once per epoch")
    metric: Literal["f1", "loss"] = Field("f1", description="f1: strict micro F1 of the predicted dev set")
    dev_limit: int | None = Field(None, ge=1, description="score only the first N dev examples while training")
    early_stopping_patience: int | None = Field(None, ge=1, description="dev scores without improvement; None: never stop")
    save_total_limit: int = Field(2, ge=1, description="checkpoints kept besides the best one")


class Recipe(Section):
    """Everything about one training."""

    name: str = Field("recipe", min_length=1, description="names the run directory")
    task: Task
    data: DataSection = DataSection()
    base: BaseSection = BaseSection()
    prompt: PromptSection = PromptSection()
    adapter: AdapterSection = AdapterSection()
    training: TrainingSection = TrainingSection()
    selection: SelectionSection = SelectionSection()

    @model_validator(mode="after")
    def _windows_need_verbatim_answers(self) -> Recipe:
        if self.data.on_too_long == "window" and self.task.kind != "extraction":
            raise ValueError(f"data.on_too_long: window cannot be used with task.kind: {self.task.kind}")
        return self

    @model_validator(mode="after")
    def _strata_need_classes(self) -> Recipe:
        if self.data.split is not None and self.data.split.stratify and self.task.kind != "classification":
            raise ValueError(f"data.split.stratify needs classes; task.kind is {self.task.kind}")
        return self
