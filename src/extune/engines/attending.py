"""What a model's layers can see, as far as its configuration says. In: a model. Out: yes or no. It runs nothing."""

from __future__ import annotations

from peft import PeftModel
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask


def attends_everywhere(model: PreTrainedModel | PeftModel) -> bool:
    """True where every layer attends to all earlier tokens, so that padding after the prefix changes nothing.

    Sliding windows count padding as distance, and recurrent layers would read it.
    """
    layer_types = getattr(model.config, "layer_types", None)
    if layer_types is not None:
        return set(layer_types) == {"full_attention"}
    return getattr(model.config, "sliding_window", None) is None


def takes_masks(model: PreTrainedModel | PeftModel) -> bool:
    """True where attention obeys any boolean mask that it is given."""
    return ALL_MASK_ATTENTION_FUNCTIONS.get(model.config._attn_implementation) is sdpa_mask
