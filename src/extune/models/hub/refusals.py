"""What a hub can answer instead of a model, in the user's words. In: what went wrong. Out: an error that says how to go on."""

from __future__ import annotations

from dataclasses import dataclass

from extune.errors import ExtuneError, ModelError, RecipeError

_ELSEWHERE = "download the model on another machine, copy its folder here and name it: base.model=FOLDER"


class HubUnreachableError(ModelError):
    """No answer, or the answer that there is none now: what is in the cache may still do."""


@dataclass(frozen=True)
class Asked:
    """Whom was asked for what.

    Attributes:
        model: as in the recipe.
        endpoint: address of the hub or mirror.
        login: how to give the hub a token.
        mirror: what to set where the hub cannot be reached.
        is_own: the address is the hub's own; others are sent no token.
    """

    model: str
    endpoint: str
    login: str
    mirror: str
    is_own: bool

    def unreachable(self, why: str) -> HubUnreachableError:
        """There is no connection, or it was cut too often."""
        return HubUnreachableError(
            f"{self.endpoint} cannot be reached: {why}",
            where=self.model,
            expected="an answer from the hub; what was downloaded is kept, and the same command goes on from there",
            fix=f"check the network; or {self.mirror}; or {_ELSEWHERE}",
        )

    def denied(self, why: str) -> ModelError:
        """A token is missing or is not accepted."""
        fix = (
            f"accept the model's terms on its page if it has some, then {self.login}"
            if self.is_own
            else f"leave base.endpoint out, then {self.login}: tokens are sent to no address but the hub's own. Or {_ELSEWHERE}"
        )
        return ModelError(
            f"{self.endpoint} does not let you read it: {why}",
            where=self.model,
            expected="a public model, or a token of an account that may read it",
            fix=fix,
        )

    def unknown_model(self) -> RecipeError:
        """No such repository, or one that is hidden from strangers."""
        return RecipeError(
            f"{self.endpoint} has no model {self.model.partition(':')[2]!r}, or it is private",
            where="base.model",
            expected="ORG/NAME as in the address of the model's page; upper and lower case count",
            fix=f"correct the name; for a private model {self.login}",
        )

    def unknown_revision(self, revision: str) -> RecipeError:
        """The repository is there, the revision is not."""
        return RecipeError(
            f"{self.model} has no revision {revision!r}",
            where="base.revision",
            expected="a branch, a tag or the 40 digits of a commit of that model",
            fix="correct it, or take the newest: base.revision=",
        )

    def status(self, code: int, what: str) -> ExtuneError:
        """Any other answer."""
        if code in (401, 403):
            return self.denied(f"it answers {code} for {what}")
        if code == 429 or code >= 500:
            return self.unreachable(f"it answers {code} for {what}")
        return ModelError(
            f"{self.endpoint} answers {code} for {what}",
            where=self.model,
            expected="the file",
            fix=f"check base.endpoint: it may be no {self.model.partition(':')[0]} hub; or {_ELSEWHERE}",
        )
