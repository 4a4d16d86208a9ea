"""Decoding with a transformers model in this process.

In: prompts' ids. Out: completions in the same order. It knows nothing about tasks, formats and where weights come from.
The keys and values of the tokens with which all prompts of a call begin are computed once; batches are left-padded
after that prefix, sorted by length, and give up answers that are finished. Greedy answers are guessed some tokens ahead,
and one forward pass judges the guess. All of it is exact: it only saves work.
Learned virtual tokens (prompt, prefix and p-tuning) begin that prefix: the base goes on behind their keys and values.
Shapes: B answers, P prefix tokens, virtual ones included, T tokens of the longest rest, V vocabulary.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from random import Random
from typing import TypeVar

import torch
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from extune.domain.prediction import Completion
from extune.domain.prompt import Prompt
from extune.engines.attending import attends_everywhere, takes_masks
from extune.engines.constraint import GrammarCompiler, Mask, Matcher
from extune.engines.decoding import Answer, choose_greedily, choose_tokens, score_tokens
from extune.engines.drafting import Drafter
from extune.engines.engine import DecodingOptions
from extune.engines.grouped_attention import grouped_attention_in
from extune.engines.label_trie import Question, TrieRow, join_rows, lay_out, plan_rows, read_scores, score_each, trees_hold
from extune.engines.memory import GrowingMemory, Memory, PrefixMemory, SlotMemory
from extune.errors import EngineError
from extune.models.adapters import count_virtual_tokens, fill_cache_with_virtual_tokens
from extune.tokens.plain_text import decode_completion

_LOG = logging.getLogger(__name__)
# A shorter prefix saves less than copying its keys and values to every answer costs.
_SHORTEST_PREFIX = 8
# Copying the cache to get rid of finished answers pays once this share of the batch is finished.
_FINISHED_SHARE = 0.25
# Where labels are weighed on a CPU, what so many tokens leave between two operations stays in a core's cache.
_CPU_TOKENS = 1024

_Result = TypeVar("_Result")


class TransformersEngine:
    """Greedy (or sampled) decoding with a model and its tokenizer.

    Args:
        model: on its device; switched to evaluation mode during a call and back after it.
        tokenizer: turns produced ids into text.
        stop_token_ids: ids that end an answer.
        max_answer_tokens: budget of one answer, stop token included.
        batch_tokens: prompt tokens of one batch, padding included; halved when the memory does not suffice.
        draft_tokens: of an answer that are guessed and judged in one forward pass; 0 decodes token by token. The answers are
            the same, up to rounding.
    """

    name = "transformers"

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        stop_token_ids: Sequence[int],
        max_answer_tokens: int,
        batch_tokens: int = 8192,
        draft_tokens: int = 4,
    ) -> None:
        self._model = model
        self._virtual_tokens = count_virtual_tokens(model)
        self._decoder = model.get_base_model() if self._virtual_tokens else model
        # padding must not stand between virtual tokens and a prompt where layers count it as distance
        self._one_at_a_time = self._virtual_tokens > 0 and not attends_everywhere(model)
        if self._one_at_a_time:
            _LOG.warning("prompts are completed one at a time: this base has layers that see only the nearest tokens")
        self._tokenizer = tokenizer
        self._stop_token_ids = frozenset(stop_token_ids)
        self._max_answer_tokens = max_answer_tokens
        self._batch_tokens = batch_tokens
        self._draft_tokens = draft_tokens
        self._drafts = draft_tokens > 0 and attends_everywhere(model) and takes_masks(model)
        self._compiler: GrammarCompiler | None = None
        self._reads_tries: bool | None = None  # found out with the first candidates

    @property
    def model(self) -> PreTrainedModel | PeftModel:
        """The model that decodes; whoever computes its losses takes it from here."""
        return self._model

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self._model.device)

    def complete(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[Completion]:
        """One completion per prompt, in the order of the prompts.

        Raises:
            EngineError: a grammar that cannot be compiled, or not enough memory for a single prompt.
        """
        with _evaluation(self._model), torch.no_grad():
            prefix, prefix_length = self._share(prompts)

            def write(batch: Sequence[int]) -> dict[int, Completion]:
                answers = [self._start(index, prompts[index], prefix_length, options) for index in batch]
                self._decode(answers, prefix, prefix_length, options)
                return {answer.index: self._finish(answer) for answer in answers}

            return self._in_batches([len(prompt.ids) for prompt in prompts], write)

    def score_answers(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> list[tuple[float, ...] | None]:
        """How probable given answers are: what `complete` would have computed, had it been made to write them.

        Args:
            prompts: with their grammars.
            answers: ids of one answer for each prompt, stop id included; at least one id.

        Returns:
            Of each answer the natural log-probability of every token under the mask of the prompt's grammar, or None where the
            grammar does not allow the answer.

        Raises:
            EngineError: as in `complete`.
        """
        lengths = [len(prompt.ids) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
        with _evaluation(self._model), torch.no_grad():
            prefix, prefix_length = self._share(prompts)
            return self._in_batches(lengths, lambda batch: self._score(batch, prompts, answers, prefix, prefix_length))

    def score_candidates(
        self, prompts: Sequence[Prompt], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        """How probable each of several answers to each prompt is, from one pass over the prompt.

        Args:
            prompts: their grammars are not looked at.
            candidates: of each prompt, the ids of its possible answers, stop id included.

        Returns:
            Of each prompt the natural log-probability of every candidate, in their order, under the model itself.

        Raises:
            EngineError: as in `complete`.
        """
        asked = list(zip(prompts, candidates, strict=True))
        if not asked:
            return []
        if self._reads_tries is None:
            self._reads_tries = attends_everywhere(self._model) and trees_hold(
                self._score_tries, self, asked[0], self._model.dtype
            )
        return self._score_tries(asked) if self._reads_tries else score_each(self, asked)

    def _score_tries(self, asked: Sequence[Question]) -> list[tuple[float, ...]]:
        """`score_candidates` with a row for every prompt, or several where its candidates are many."""
        rows = plan_rows(asked)
        on_cpu, can_group = self.device.type == "cpu", takes_masks(self._model)
        with _evaluation(self._model), torch.no_grad():
            prefix, length = self._share([row.prompt for row in rows])
            memory = None if prefix is None else PrefixMemory(prefix)
            costs = [row.cost(self._model.config.vocab_size, length if on_cpu else 0) for row in rows]
            with grouped_attention_in(self._model) if can_group else nullcontext():
                score = partial(self._score_batch, rows, memory, length)
                return join_rows(rows, self._in_batches(costs, score, _CPU_TOKENS if on_cpu else None), len(asked))

    def _score_batch(
        self, rows: Sequence[TrieRow], memory: PrefixMemory | None, prefix_length: int, batch: Sequence[int]
    ) -> dict[int, tuple[float, ...]]:
        """Scores of the candidates of the rows with the numbers in `batch`, in one forward pass."""
        tries = [rows[index].trie for index in batch]
        rests = [rows[index].prompt.ids[prefix_length:] for index in batch]
        added = self._model.dtype if self._model.config._attn_implementation == "eager" else None
        laid = lay_out(rests, tries, self._virtual_tokens + prefix_length, self.device, added)
        logits = self._decoder(
            input_ids=laid.ids,
            attention_mask=laid.mask,
            position_ids=laid.positions,
            past_key_values=None if memory is None else memory.open(*laid.ids.shape),
            use_cache=memory is not None,
            logits_to_keep=1 + max(len(trie.tokens) for trie in tries),
        ).logits
        return dict(zip(batch, read_scores(logits, tries), strict=True))

    def _in_batches(
        self, lengths: Sequence[int], score: Callable[[Sequence[int]], dict[int, _Result]], most: int | None = None
    ) -> list[_Result]:
        """Results in order; the longest come first, as many at once as budgets (`most` too) and the device's memory hold."""
        scores: dict[int, _Result] = {}
        waiting = sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True)
        while waiting:
            budget = min(self._batch_tokens, most or self._batch_tokens)
            batch = waiting[: 1 if self._one_at_a_time else max(1, budget // lengths[waiting[0]])]
            found = _if_it_fits(score, batch)
            if found is None:
                self._shrink(len(batch), lengths[batch[0]])
                continue
            scores |= found
            waiting = waiting[len(batch) :]
        return [scores[index] for index in range(len(lengths))]

    def _score(
        self,
        batch: Sequence[int],
        prompts: Sequence[Prompt],
        answers: Sequence[Sequence[int]],
        prefix: DynamicCache | None,
        prefix_length: int,
    ) -> dict[int, tuple[float, ...] | None]:
        """`score_answers` of the numbers in `batch`, in one forward pass."""
        # the last token of an answer predicts nothing; what is before the first is the end of its prompt
        rests = [(*prompts[index].ids[prefix_length:], *answers[index][:-1]) for index in batch]
        ids, mask, positions = self._left_pad(rests, self._virtual_tokens + prefix_length)
        logits = self._decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._copy(prefix, len(batch)),
            use_cache=True,
            logits_to_keep=max(len(answers[index]) for index in batch),
        ).logits
        scores = {}
        for row, index in enumerate(batch):
            matcher = self._match(prompts[index])
            own = logits[row, -len(answers[index]) :].float()
            masks = None if matcher is None else self._require_compiler().masks(matcher, answers[index])
            scores[index] = None if matcher is not None and masks is None else score_tokens(own, answers[index], masks)
        return scores

    def _copy(self, prefix: DynamicCache | None, rows: int) -> DynamicCache:
        """The prefix's keys and values, once for each row."""
        if prefix is None:
            return DynamicCache(config=self._model.config)
        cache = copy.deepcopy(prefix)
        cache.batch_repeat_interleave(rows)
        return cache

    def _share(self, prompts: Sequence[Prompt]) -> tuple[DynamicCache | None, int]:
        """Keys and values of what all prompts begin with, virtual tokens included, and how many tokens of a prompt that are."""
        length = self._shared_prefix_length(prompts)
        return (self._prefill(prompts[0].ids[:length]) if length or (prompts and self._virtual_tokens) else None), length

    def _shared_prefix_length(self, prompts: Sequence[Prompt]) -> int:
        """Tokens with which all prompts begin, leaving at least one of each; 0 where sharing is impossible or pays nothing."""
        if len(prompts) < 2 or not attends_everywhere(self._model):
            return 0
        first, last = min(prompt.ids for prompt in prompts), max(prompt.ids for prompt in prompts)
        limit = min(len(prompt.ids) for prompt in prompts) - 1
        length = next((place for place in range(limit) if first[place] != last[place]), limit)
        return length if length >= _SHORTEST_PREFIX else 0

    def _prefill(self, ids: Sequence[int]) -> DynamicCache:
        """Keys and values of the virtual tokens and of `ids` behind them."""
        virtual = self._virtual_tokens
        cache = fill_cache_with_virtual_tokens(self._model) if virtual else DynamicCache(config=self._model.config)
        if ids:
            self._decoder(
                input_ids=torch.tensor([ids], device=self.device), past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        return cache

    def _start(self, index: int, prompt: Prompt, prefix_length: int, options: DecodingOptions) -> Answer:
        drafting = self._drafts and _is_greedy(options)
        budget = options.token_budget(self._max_answer_tokens)
        return Answer(
            index,
            prompt,
            None if prompt.grammar is None else self._require_compiler().compile(prompt, budget),
            Random(f"{options.seed}/{index}"),
            budget,
            Drafter(prompt.ids[prefix_length:], self._draft_tokens) if drafting else None,
        )

    def _match(self, prompt: Prompt) -> Matcher | None:
        return None if prompt.grammar is None else self._require_compiler().compile(prompt)

    def _require_compiler(self) -> GrammarCompiler:
        if self._compiler is None:
            self._compiler = GrammarCompiler(self._tokenizer, self._model.config.vocab_size, sorted(self._stop_token_ids))
        return self._compiler

    def _decode(
        self, answers: Sequence[Answer], prefix: DynamicCache | None, prefix_length: int, options: DecodingOptions
    ) -> None:
        cache = self._copy(prefix, len(answers))
        rests = [answer.prompt.ids[prefix_length:] for answer in answers]
        ids, mask, positions = self._left_pad(rests, self._virtual_tokens + prefix_length)
        logits = self._decoder(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        self._write(answers, logits, [()] * len(answers), options)
        if self._drafts:
            with grouped_attention_in(self._model):
                self._go_on(answers, SlotMemory(self._decoder, cache, mask, positions[:, -1:]), options)
        else:
            self._go_on(answers, GrowingMemory(self._decoder, cache, mask, positions[:, -1:]), options)

    def _go_on(self, answers: Sequence[Answer], memory: Memory, options: DecodingOptions) -> None:
        """Write answers that have their first token to their end."""
        active = list(answers)
        while True:
            keep = [row for row, answer in enumerate(active) if not answer.finished]
            if not keep:
                return
            if len(keep) <= len(active) * (1 - _FINISHED_SHARE):
                memory.keep(keep)
                active = [active[row] for row in keep]
            drafts = [answer.draft() for answer in active]
            logits = memory.read([[answer.ids[-1], *draft] for answer, draft in zip(active, drafts, strict=True)])
            memory.accept(self._write(active, logits, drafts, options))

    def _left_pad(self, rests: Sequence[Sequence[int]], before: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids (B, T), attention mask (B, P + T) and positions (B, T) of the rests after `before` tokens, P."""
        longest = max(len(rest) for rest in rests)
        ids = torch.tensor([[0] * (longest - len(rest)) + list(rest) for rest in rests], device=self.device)
        lengths = torch.tensor([len(rest) for rest in rests], device=self.device)
        places = torch.arange(longest, device=self.device) - (longest - lengths)[:, None]
        mask = torch.cat([lengths.new_ones(len(rests), before), (places >= 0).long()], dim=1)
        return ids, mask, places.clamp_min(0) + before

    def _write(
        self, active: Sequence[Answer], logits: torch.Tensor, drafts: Sequence[Sequence[int]], options: DecodingOptions
    ) -> list[int]:
        """Add tokens to each answer that is not finished; how many each got."""
        open_rows = [row for row, answer in enumerate(active) if not answer.finished]
        answers = [active[row] for row in open_rows]
        if len(open_rows) < len(active):
            logits = logits[torch.tensor(open_rows, device=logits.device)]
        if _is_greedy(options):
            found = choose_greedily(logits, answers, [drafts[row] for row in open_rows], self._stop_token_ids, self._masks)
        else:
            self._sample(logits[:, -1].float(), answers, options)
            found = [1] * len(answers)
        counts = [0] * len(active)
        for row, count in zip(open_rows, found, strict=True):
            counts[row] = count
        return counts

    def _sample(self, logits: torch.Tensor, answers: Sequence[Answer], options: DecodingOptions) -> None:
        """Add one token to each answer."""
        matchers = [answer.matcher for answer in answers]
        tokens, logprobs = choose_tokens(logits, answers, options, self._masks(matchers) if any(matchers) else None)
        for answer, token, logprob in zip(answers, tokens, logprobs, strict=True):
            answer.append(token, stops=token in self._stop_token_ids)
            answer.logprobs.append(logprob)

    def _masks(self, matchers: Sequence[Matcher | None]) -> Mask:
        return self._require_compiler().allowed(matchers)

    def _finish(self, answer: Answer) -> Completion:
        return answer.to_completion(decode_completion(self._tokenizer, answer.ids[:-1] if answer.stopped else answer.ids))

    def _shrink(self, rows: int, longest: int) -> None:
        """Halve the batches after the device ran out of memory with `rows` prompts of at most `longest` tokens."""
        if rows == 1:
            raise EngineError(
                "the device's memory does not hold a single prompt and its answer",
                where=f"{self.name} engine on {self.device}",
                expected="room for the model and the keys and values of one prompt",
                fix="use --device cpu, or train with a smaller prompt.max_input_tokens",
            )
        self._batch_tokens = rows // 2 * longest
        torch.cuda.empty_cache()
        _LOG.warning("out of memory with %d answers at once; going on with %d tokens a batch", rows, self._batch_tokens)


@contextmanager
def _evaluation(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Dropout off during the block."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _if_it_fits(score: Callable[[Sequence[int]], dict[int, _Result]], batch: Sequence[int]) -> dict[int, _Result] | None:
    """None where the device's memory does not suffice; what was computed until then is free again by the return."""
    try:
        return score(batch)
    except torch.OutOfMemoryError:
        return None


def _is_greedy(options: DecodingOptions) -> bool:
    return options.temperature == 0 and options.repetition_penalty == 1.0
