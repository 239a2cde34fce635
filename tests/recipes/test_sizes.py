"""The smaller and the larger brother of mien-s: how much their weights take."""

import pytest

from mien import Recipe
from mien.models import architecture


@pytest.mark.parametrize(("recipe", "most"), [("ferplus_xs", 0.6e6), ("ferplus_long", 2e6), ("ferplus_m", 8e6)])
def test_weights_in_half_precision_are_within_their_size(recipe: str, most: int) -> None:
    made = Recipe.load(recipe)
    network = architecture(made.model).build(8, 1, 48)
    size = sum(2 * value.numel() for value in network.state_dict().values())
    assert 0.6 * most < size < 0.99 * most
    assert made.augment == Recipe.load("ferplus_long").augment
