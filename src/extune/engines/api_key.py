"""The key of a server: a secret, and the one thing that comes from the environment. It is in no file, message or log."""

from __future__ import annotations

import os

from extune.errors import RecipeError


def read_api_key(variable: str | None) -> str | None:
    """The key in the environment variable called `variable`; None where the server wants none.

    Raises:
        RecipeError: the variable is not set, or empty.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(
            f"the environment variable {variable} is not set",
            where="engine.api_key_env",
            expected="the name of a variable that holds the server's key",
            fix=f"export {variable}=..., or engine.api_key_env= for a server without keys",
        )
    return key
