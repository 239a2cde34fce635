"""A recipe with the changes that somebody asks for, as `train`, `compare` and `rounds` take them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mien.errors import MienError
from mien.recipes.recipe import Recipe


def recipe_with_changes(
    name: str,
    say: Callable[[str], None],
    network: str | None = None,
    epochs: int | None = None,
    start: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe of this name or file with changes: another `network`, `epochs` in all, the model to `start` from, `settings`.

    `say` is told what `network` and `start` replace. Raises MienError for a recipe, model or setting that is unknown or does not
    fit.
    """
    made = plain = Recipe.load(name)
    if network is not None:
        made = plain.with_network(network)
        if made.normalize != plain.normalize:
            say(f"{name} scales gray values as {network} knows them: normalize = {made.normalize}")
    made = made if epochs is None else made.with_epochs(epochs)
    made = made if start is None else _started(made, name, start, network, say)
    return made.with_settings(settings or {})


def recipes_that_take(names: Iterable[str], epochs: int | None, settings: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes that take the changes, by name, with the changes made.

    Raises MienError where none does: what the last of them says.
    """
    made, refused = dict[str, Recipe](), None
    for name in names:
        try:
            made[name] = recipe_with_changes(name, lambda text: None, None, epochs, None, settings)
        except MienError as error:
            refused = error
    if refused is not None and not made:
        raise refused
    return made


def _started(recipe: Recipe, name: str, start: str, network: str | None, say: Callable[[str], None]) -> Recipe:
    made = recipe.with_start(start)
    before, after = recipe.model["network"], made.model["network"]
    if network is not None and before != after:
        raise MienError(f"the network of {start}, which is {after}", f"`model` {network}", "leave `model` out")
    if before != after:
        say(f"{name} trains {after}, the network of {start}, in place of {before}")
    if recipe.start["technique"] not in ("scratch", "weights"):
        say(f"{name} starts from {start}, and leaves out its own start, {recipe.start['technique']}")
    return made
