"""The sections of a recipe. Closed (`extra="forbid"`), frozen, at most 15 fields each; descriptions give the units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from extune.domain.task import RecordTask, Task
from extune.recipe.adapters import AnyAdapter, LoraAdapter
from extune.recipe.endpoint import EndpointSection
from extune.recipe.engines import AnyEngine
from extune.recipe.hub_name import parse_hub_model
from extune.recipe.section import Section
from extune.recipe.strategy import require_offered, strategy_obstacle

ExtractionFormatName = Literal["lines", "pairs", "json", "inline", "bio"]
FormatName = Literal["lines", "pairs", "json", "inline", "bio", "fields", "choice", "choices", "answer"]
ReaderName = Literal["auto", "bio", "spans", "rows", "label-studio", "prodigy", "doccano", "cluener", "cmeee", "uie", "brat"]
StrategyName = Literal["ddp", "zero1", "zero2", "fsdp"]
TrackerName = Literal["tensorboard", "wandb", "swanlab", "mlflow"]
PackingName = Literal["shared_prefix", "plain", "off"]
MetricName = Literal["f1", "macro_f1", "accuracy", "rouge_l", "loss"]
METRICS: Mapping[str, tuple[MetricName, ...]] = {
    "extraction": ("f1", "loss"),
    "record": ("f1", "macro_f1", "loss"),
    "classification": ("accuracy", "f1", "macro_f1", "loss"),
    "generation": ("loss", "rouge_l"),
}
"""By what a checkpoint can be chosen, by task kind, the default first."""


def _as_names(value: object) -> object:
    """Accept one name as well as a list of names."""
    return (value,) if isinstance(value, str) else value


def _as_packing(value: object) -> object:
    """Recipes of earlier versions say true or false."""
    return {"true": "shared_prefix", "false": "plain"}.get(str(value).lower(), value)


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
    reader: ReaderName = Field(
        "auto",
        description="bio: token-label columns; spans: JSONL with offsets; rows: named columns; else the tool that wrote it",
    )
    columns: ColumnsSection | None = Field(None, description="names of the columns, such as {text: query, answer: reply}")
    answer_format: ExtractionFormatName | None = Field(
        None, description="extraction: syntax of answers that are text; None: JSON only"
    )
    nothing: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        ("无", "没有"), description="answers and values that mean: nothing there"
    )
    split: SplitSection | None = Field(None, description="take dev or test from the training file, such as {dev: 0.1}")
    encoding: str | None = Field(None, description="None detects UTF-8 (with or without BOM), UTF-16 with BOM and GB18030")
    joiner: str | None = Field(None, description="bio: text between tokens; None: nothing for single characters, else a space")
    on_bad_row: Literal["error", "skip"] = "error"
    on_too_long: Literal["error", "drop", "window", "shorten"] = Field(
        "error",
        description="of a prompt; window: verbatim answers only; shorten: leave out a text's middle, classification only. "
        "An answer beyond prompt.max_answer_tokens is an error, but for window",
    )
    window_overlap: int = Field(48, ge=0, description="characters that neighbouring windows share at least")
    train_limit: int | None = Field(None, ge=1, description="use only the first N training examples; for trying things out")
    cache: bool = Field(True, description="keep training rows in ~/.cache/extune/tokens; false: in memory, encoded each time")

    @model_validator(mode="after")
    def _one_source_a_split(self) -> DataSection:
        for name in ("dev", "test"):
            if self.split is not None and getattr(self.split, name) is not None and getattr(self, name) is not None:
                raise ValueError(f"data.{name} names a file and data.split.{name} takes another part of data.train: keep one")
        return self


class BaseSection(Section):
    """The frozen model."""

    model: str = Field("embedded", description="`embedded`, a local folder, hf:ORG/NAME or modelscope:ORG/NAME")
    revision: str | None = Field(None, min_length=1, description="of a hub's model: branch, tag or commit; None: main branch")
    endpoint: str | None = Field(None, pattern="^https?://.", description="address of a mirror of the hub; None: the hub's own")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="auto: what trains fastest here")
    adapter: str | None = Field(None, description="an earlier run of this base, whose weights are trained further")
    compile: bool = Field(False, description="train through compiled layers: faster after a first step of up to a minute")

    @model_validator(mode="after")
    def _only_hubs_have_revisions(self) -> BaseSection:
        if parse_hub_model(self.model) is None:
            for key, value in (("revision", self.revision), ("endpoint", self.endpoint)):
                if value is not None:
                    raise ValueError(
                        f"base.{key}: {value} belongs to a model of a hub; base.model: {self.model} is none"
                        f" (base.{key}= takes it out)"
                    )
        return self


class PromptSection(Section):
    """How an example becomes text and its answer becomes spans again."""

    format: FormatName | None = Field(None, description="of the answer; None: the task's first (extraction: lines)")
    template: str | None = Field(None, description="JSON or YAML file with prompt_input, {instruction} and {input}; None: own")
    language: Literal["zh", "en"] = Field("zh", description="language of extune's own wording")
    max_input_tokens: int = Field(1024, ge=16, description="tokens of the whole prompt, template included")
    max_answer_tokens: int = Field(512, ge=4, description="tokens of the answer, stop token included")
    lookup: bool = Field(
        False,
        description="extraction, record: the prompt also shows which strings of the text the training data label, and how",
    )
    constrain: bool = Field(True, description="allow only completions that parse and whose mentions are in the text")


class TrainingSection(Section):
    """The optimisation. A batch counts examples; memory only decides how it is subdivided."""

    learning_rate: float = Field(2e-4, gt=0, description="peak rate")
    num_train_epochs: float = Field(3, gt=0)
    max_steps: int = Field(-1, description="optimizer steps; -1: decided by num_train_epochs")
    per_device_train_batch_size: int = Field(8, ge=1, description="examples")
    gradient_accumulation_steps: int = Field(1, ge=1)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps")
    optim: Literal["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "adafactor"] = "adamw_torch_fused"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    gradient_checkpointing: bool | Literal["auto"] = Field(
        "auto", description="compute layers again to save memory; auto: where the longest row does not fit without"
    )
    packing: Annotated[PackingName, BeforeValidator(_as_packing)] = Field(
        "shared_prefix",
        description="shared_prefix: prompt prefixes that rows of a batch share are computed once; plain: padded rows, logits"
        " of answers only; off: padded rows, every logit, as other tools do. The gradient is the same",
    )
    seed: int = 17
    seeds: tuple[int, ...] = Field((), description="train once per seed and report mean and standard deviation")
    logging_steps: int = Field(10, ge=1, description="optimizer steps between lines of log.jsonl")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds are listed twice: {list(seeds)}")
        return seeds


class ParallelSection(Section):
    """How the processes of one training (`extune train RECIPE --nproc 2`) divide it; one process does all of it."""

    strategy: Annotated[StrategyName, BeforeValidator(require_offered)] = Field(
        "ddp",
        description="ddp: the rows; DeepSpeed's zero1: the optimizer's states too; zero2: the gradients too; torch's fsdp: the"
        " base's weights too",
    )


class SelectionSection(Section):
    """When the dev set is predicted and scored, and which checkpoint is kept."""

    eval_steps: int | None = Field(None, ge=1, description="optimizer steps between dev scores; None: once per epoch")
    metric: MetricName | None = Field(
        None,
        description="f1 (extraction, record), accuracy (classification), rouge_l, loss (generation), macro_f1; None: by task",
    )
    dev_limit: int | None = Field(None, ge=1, description="score only the first N dev examples while training")
    min_confidence: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        0.0, description="extraction, record: items of which the model is less sure are left out; auto: what scores best on dev"
    )
    early_stopping_patience: int | None = Field(None, ge=1, description="dev scores without improvement; None: never stop")
    save_total_limit: int = Field(2, ge=1, description="checkpoints kept besides the best one")


class TrackingSection(Section):
    """Where the curves of a training go besides log.jsonl and curves.svg. Loss, learning rate and dev scores, never a text."""

    report_to: Annotated[tuple[TrackerName, ...], BeforeValidator(_as_names)] = Field(
        (), description="of tensorboard, wandb, swanlab, mlflow"
    )
    project: str = Field("extune", min_length=1, description="W&B and SwanLab: the project; MLflow: the experiment")
    run_name: str | None = Field(None, description="None: the name of the run directory; several seeds add theirs")
    offline: bool = Field(False, description="W&B, SwanLab and MLflow write into the run; nothing leaves the machine")

    @field_validator("report_to")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"trackers are listed twice: {list(names)}")
        return names


class Recipe(Section):
    """Everything about one training."""

    name: str = Field("recipe", min_length=1, description="names the run directory")
    task: Task
    data: DataSection = DataSection()
    base: BaseSection = BaseSection()
    prompt: PromptSection = PromptSection()
    adapter: AnyAdapter = LoraAdapter()
    training: TrainingSection = TrainingSection()
    parallel: ParallelSection = ParallelSection()
    selection: SelectionSection = SelectionSection()
    engine: AnyEngine | None = None
    tracking: TrackingSection = TrackingSection()

    @property
    def answer_format(self) -> str:
        """Name of the answer format: the chosen one, or the task's first."""
        return self.prompt.format or self.task.answer_formats[0]

    @property
    def metric(self) -> MetricName:
        """What chooses the checkpoint: the chosen figure, or the one of the task's kind."""
        return self.selection.metric or METRICS[self.task.kind][0]

    @property
    def endpoint(self) -> EndpointSection | None:
        """The server that the engine section names, or None."""
        return self.engine if isinstance(self.engine, EndpointSection) else None

    @model_validator(mode="after")
    def _long_texts_can_be_handled(self) -> Recipe:
        kind, choice = self.task.kind, self.data.on_too_long
        if choice == "window" and kind != "extraction" and not (isinstance(self.task, RecordTask) and self.task.is_verbatim):
            why = " whose fields are not all verbatim" if kind == "record" else ""
            raise ValueError(f"data.on_too_long: window cannot be used with task.kind: {kind}{why}")
        if choice == "shorten" and kind != "classification":
            raise ValueError(f"data.on_too_long: shorten leaves out text, which cannot be used with task.kind: {kind}")
        return self

    @model_validator(mode="after")
    def _choices_suit_the_task(self) -> Recipe:
        for key, value, allowed in (
            ("prompt.format", self.prompt.format, self.task.answer_formats),
            ("selection.metric", self.selection.metric, METRICS[self.task.kind]),
        ):
            if value is not None and value not in allowed:
                raise ValueError(f"{key}: {value} cannot be used with this {self.task.kind}, but " + ", ".join(allowed))
        return self

    @model_validator(mode="after")
    def _methods_need_what_they_can_have(self) -> Recipe:
        method = self.adapter.method
        if method == "prefix_tuning" and self.training.gradient_checkpointing is True:
            raise ValueError(
                "training.gradient_checkpointing: true cannot be used with adapter.method: prefix_tuning: checkpointed layers"
                " take no keys and values from outside, and these are what is trained"
            )
        if self.base.compile and (method == "qlora" or self.training.gradient_checkpointing is True):
            key = "adapter.method: qlora" if method == "qlora" else "training.gradient_checkpointing: true"
            raise ValueError(f"base.compile: true cannot be used with {key}, whose code runs uncompiled")
        if method == "qlora" and self.base.dtype == "float32":
            raise ValueError(
                "base.dtype: float32 cannot be used with adapter.method: qlora, which holds the base in 4 bits;"
                " lora keeps it in float32"
            )
        return self

    @model_validator(mode="after")
    def _strategy_divides_what_is_trained(self) -> Recipe:
        reason = strategy_obstacle(self.parallel.strategy, self.adapter, self.training.optim)
        if reason is not None:
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _json_mode_has_json(self) -> Recipe:
        if self.endpoint is not None and self.endpoint.json_mode and self.answer_format != "json":
            raise ValueError(f"engine.json_mode: true needs prompt.format: json; it is {self.answer_format}")
        return self

    @model_validator(mode="after")
    def _lookups_have_strings(self) -> Recipe:
        lists = isinstance(self.task, RecordTask) and any(field.kind == "verbatim" for field in self.task.fields.values())
        if self.prompt.lookup and not lists and self.task.kind != "extraction":
            what = "a record without verbatim fields" if self.task.kind == "record" else f"task.kind: {self.task.kind}"
            raise ValueError(f"prompt.lookup: true shows verbatim strings, of which {what} has none")
        return self

    @model_validator(mode="after")
    def _items_can_be_left_out(self) -> Recipe:
        if self.selection.min_confidence != 0 and self.task.kind not in ("extraction", "record"):
            raise ValueError(f"selection.min_confidence leaves out items of an answer; task.kind: {self.task.kind} has one")
        return self

    @model_validator(mode="after")
    def _readings_suit_the_task(self) -> Recipe:
        if self.data.answer_format is not None and self.task.kind != "extraction":
            raise ValueError(f"data.answer_format is how mentions are written; task.kind: {self.task.kind} has none")
        if self.data.split is not None and self.data.split.stratify and self.task.kind != "classification":
            raise ValueError(f"data.split.stratify needs classes; task.kind is {self.task.kind}")
        return self
