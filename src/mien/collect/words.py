"""Search words for each class in several languages, from words.toml or a file of the same form."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.json_toml import read_toml
from mien.wording import brief_repr, with_suggestions

LONGEST = 200
"""The most letters of a search."""


@dataclass(frozen=True)
class SearchWords:
    """Words to search for, and what their pictures are taken to show."""

    label: str
    """The class of pictures that are found."""
    language: str
    """The language of the words, such as `en`."""
    words: str
    """What is searched for."""


def read_words(file: Path | None, classes: Sequence[str] = (), languages: Sequence[str] = ()) -> tuple[SearchWords, ...]:
    """All searches for these classes in these languages (all unless given), class by class; languages take turns.

    `file`: a TOML file as mien's own words.toml, which is read for None. Raises MienError where the file has another form, or
    lacks a class or a language.
    """
    with resources.as_file(resources.files("mien.collect") / "words.toml") as own:
        place = file or own
        table = read_toml(place, "write a table for each class, and in it a list of words for each language")
    found = {label: _of_class(label, lists, file) for label, lists in table.items()}
    spoken = list(dict.fromkeys(language for lists in found.values() for language in lists))
    for kind, wanted, known in (("classes", classes, list(found)), ("languages", languages, spoken)):
        if unknown := [name for name in wanted if name not in known]:
            raise MienError(f"{kind} among {', '.join(known)}", with_suggestions(unknown, known), "choose among those")
    made = []
    for label in classes or found:
        lists = [[SearchWords(label, name, words) for words in found[label].get(name, ())] for name in languages or spoken]
        made += [one for turn in zip_longest(*lists) for one in turn if one is not None]
    if missing := [label for label in classes or found if not any(one.label == label for one in made)]:
        raise MienError(f"words for {', '.join(missing)} in a language asked for", "none", "add some, or ask for other languages")
    if not made:
        raise MienError("search words", f"none in {file}", "add some")
    return tuple(made)


def _of_class(label: str, lists: Any, file: Path | None) -> dict[str, list[str]]:
    """The words of one class by language. Raises MienError for another form."""
    wanted = f"lists of search words of at most {LONGEST} letters by language for {label}" + (f" in {file}" if file else "")
    if not isinstance(lists, dict):
        raise MienError(wanted, brief_repr(lists), 'write en = ["angry face"] below [anger]')
    for words in lists.values():
        fit = isinstance(words, list) and all(isinstance(one, str) and 0 < len(one.strip()) <= LONGEST for one in words)
        if not fit or not all(one.isprintable() for one in words):
            raise MienError(wanted, brief_repr(words), 'write en = ["angry face"] below [anger]')
    return lists
