"""Which chat template a base gets. In: the template of its tokenizer, if any. Out: Jinja text. It renders nothing."""

from __future__ import annotations

from collections.abc import Mapping

from extune.errors import ModelError

PLAIN_TEMPLATE = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}{{ message['role'] }}:\n{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}"
)
"""For bases without a chat template; an answer ends with the tokenizer's end-of-text token."""

CONTENTS_APART = "{# extune: contents apart #}"
"""Opens a template whose model learned each content encoded for itself, not fused with the template's text around it."""


def choose_template(tokenizer_template: str | Mapping[str, str] | None) -> str:
    """The base's own template, its `default` one where it has several, or the plain one where it has none.

    Raises:
        ModelError: the base has several templates and none is called `default`.
    """
    if not tokenizer_template:
        return PLAIN_TEMPLATE
    if isinstance(tokenizer_template, str):
        return tokenizer_template
    if "default" not in tokenizer_template:
        raise ModelError(
            f"the base has chat templates {sorted(tokenizer_template)}, none of them is the default",
            where="chat template",
            expected="one template, or one called 'default'",
            fix="keep the template for plain chats as chat_template.jinja in the base's folder",
        )
    return tokenizer_template["default"]
