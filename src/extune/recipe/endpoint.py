"""The `engine` section: a server that answers in OpenAI's protocol, for baselines. It knows nothing about requests.

The key itself never stands in a recipe: the section has the name of the environment variable that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from extune.recipe.section import Section


def _as_counts(value: object) -> object:
    """Accept one count as well as a list of counts."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


class EndpointSection(Section):
    """Any server with `POST {base_url}/chat/completions`."""

    kind: Literal["openai"] = Field("openai", description="the protocol; the server may be anyone's")
    base_url: str = Field(
        pattern=r"^https?://[^@\s]+$", description="up to and including /v1, such as https://api.example.com/v1"
    )
    model: str = Field(min_length=1, description="as the server calls it")
    api_key_env: str | None = Field(
        None,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="NAME of the environment variable that holds the key; None: the server wants none",
    )
    shots: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_as_counts)] = Field(
        (0,), min_length=1, description="training examples shown before the question; a list makes a table row of each"
    )
    json_mode: bool = Field(False, description="ask for response_format json_object; needs prompt.format: json")
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="what the server calls the answer's budget"
    )
    concurrency: int = Field(4, ge=1, description="requests under way at the same time")
    requests_per_minute: float | None = Field(None, gt=0, description="None: no limit of our own")
    timeout: float = Field(120.0, gt=0, description="seconds without a byte from the server")
    max_retries: int = Field(6, ge=0, description="after an answer 408, 409, 429 or 5xx, a lost connection, no JSON")
    input_price: float | None = Field(
        None, ge=0, description="of a million prompt tokens, in any currency; None: no cost is told"
    )
    output_price: float | None = Field(None, ge=0, description="of a million answer tokens")
