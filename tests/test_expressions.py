"""Names of expressions, and the ways between vocabularies."""

import numpy as np

from mien.expressions import ANXIETY, BASIC, FERPLUS, SYNONYMS, canonical, canonical_names, label_translation


def test_every_name_leads_to_one_of_ours() -> None:
    assert set(SYNONYMS.values()) == {*BASIC, *FERPLUS, *ANXIETY}
    assert tuple(sorted(BASIC)) == BASIC
    assert [canonical(name) for name in ("Happy", "No_Expression", "scared", "bored")] == [
        "happiness",
        "neutral",
        "fear",
        None,
    ]


def test_the_users_map_comes_first() -> None:
    assert canonical_names(["happy", "calm", "x"], {"calm": "calm", "x": ""}) == ["happiness", "calm", ""]


def test_translation_between_vocabularies() -> None:
    index = label_translation(FERPLUS, BASIC)
    labels = np.array([0, 7, -1, 4])
    assert index[labels].tolist() == [BASIC.index("neutral"), -1, -1, BASIC.index("anger")]
    back = label_translation(BASIC, FERPLUS)
    assert all(index[back[label]] == label for label in range(len(BASIC)))
    assert label_translation(["happy", "bored"], ["bored", "happiness"]).tolist() == [1, 0, -1]
