"""Guidelines, which lie in the store so that all read the same: the question, and what each class means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from sqlalchemy import Connection, select, update

from mien.errors import MienError
from mien.expressions import DEFINITIONS, canonical
from mien.json_toml import read_toml, settings_of_file
from mien.labeling.store import migrations
from mien.labeling.store.records import LONGEST_NAME, LONGEST_TEXT, check_text
from mien.labeling.store.schema import STORE
from mien.settings import STRICT, plain_errors

QUESTION = "Which expression does this face show?"
TODO = 'write a line for each class: happiness = "Cheeks raised, corners of the mouth up."'


@dataclass(frozen=True)
class Guidelines:
    """The question that annotators read, and what each class means.

    Raises MienError for texts that are empty, longer than 1,000 letters, or hold control characters.
    """

    question: str = QUESTION
    """The question that stands above each face."""
    definitions: tuple[tuple[str, str], ...] = ()
    """Pairs of a class and what it means, in the store's order; classes that nobody defined are left out."""

    def __post_init__(self) -> None:
        check_text(self.question, "a question to people")
        for name, text in self.definitions:
            check_text(text, f"a definition of {name}")


@plain_errors
@checked(frozen=True, config=STRICT)
class DefinitionsFile:
    """The content of a TOML file of definitions."""

    definitions: dict[str, Annotated[str, Field(max_length=LONGEST_TEXT)]]
    """What classes mean, by class."""
    question: Annotated[str, Field(max_length=LONGEST_TEXT)] = QUESTION
    """The question that stands above each face."""


def default_guidelines(classes: Sequence[str]) -> Guidelines:
    """mien's own guidelines for these classes. Classes that are no usual expressions have no definition."""
    said = {name: DEFINITIONS.get(canonical(name) or "", "") for name in classes}
    return Guidelines(definitions=tuple((name, text) for name, text in said.items() if text))


def read_guidelines_file(path: Path, classes: Sequence[str]) -> Guidelines:
    """Read guidelines from a TOML file with a table `definitions`, a line for each class, and perhaps a `question`.

    Classes that it leaves out have mien's own definitions. Raises MienError for other content, and for a class that nobody can
    choose.
    """
    written = settings_of_file(DefinitionsFile, read_toml(path, TODO), path, TODO)
    strange = next((name for name in written.definitions if name not in classes), None)
    if strange is not None:
        known = ", ".join(classes)
        raise MienError(f"definitions of {known} in {path}", repr(strange[:LONGEST_NAME]), "name classes as the store does")
    said = dict(default_guidelines(classes).definitions) | written.definitions
    return Guidelines(written.question, tuple((name, said[name]) for name in classes if name in said))


def stored_guidelines(connection: Connection, classes: Sequence[str]) -> Guidelines:
    """The guidelines in the store; mien's own where there are none, as in a store of an earlier version.

    Raises MienError for values that mien cannot have written.
    """
    if connection.execute(select(STORE.c.version)).scalar_one() < migrations.GUIDELINES:
        return default_guidelines(classes)
    found: Any = connection.execute(select(STORE.c.guide)).scalar_one()
    if found is None:
        return default_guidelines(classes)
    try:
        said: Mapping[str, str] = found["definitions"]
        return Guidelines(found["question"], tuple((name, said[name]) for name in classes if name in said))
    except (KeyError, TypeError) as error:
        raise MienError("a question and definitions as mien writes them", "other values", "give --definitions again") from error


def store_guidelines(connection: Connection, guidelines: Guidelines) -> None:
    """Replace the guidelines in the store."""
    values = {"question": guidelines.question, "definitions": dict(guidelines.definitions)}
    connection.execute(update(STORE).values(guide=values))
