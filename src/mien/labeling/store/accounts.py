"""The accounts of a label store's annotators: tokens, sessions and sign-ins. Each method is a transaction of its own."""

from datetime import datetime

from sqlalchemy import select

from mien.labeling.store import annotators
from mien.labeling.store.annotators import DAYS, Account, Holder, Outcome, Session, SignIn
from mien.labeling.store.erase import remove_annotator
from mien.labeling.store.records import moment
from mien.labeling.store.schema import ANNOTATORS
from mien.labeling.store.transactions import Transactions


class Accounts:
    """Who may answer: `store.accounts`. Annotators are named by their names; times are in UTC, and `now` is for tests.

    All methods raise MienError where the database fails.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, name: str, days: int | None = DAYS) -> str:
        """Add an annotator and return the token to sign in with. It is told once: the store keeps only its hash.

        The token ends after so many days, never for None. Raises MienError for a name that is taken, empty, longer than 80
        letters or not printable, and for an impossible number of days.
        """
        with self._transactions.writing() as connection:
            return annotators.add_annotator(connection, name, days, moment(None))

    def renew_token(self, name: str, days: int | None = DAYS) -> str:
        """Give an annotator a new token and return it, for one that was lost, has ended, or never was, as after an import.

        The token before is no longer valid, and all sessions of the annotator end. Raises MienError for an unknown or disabled
        annotator.
        """
        with self._transactions.writing() as connection:
            return annotators.renew_token(connection, name, days, moment(None))

    def disable(self, name: str) -> None:
        """Keep an annotator from answering, and end their sessions; answers stay. Raises MienError for an unknown annotator."""
        with self._transactions.writing() as connection:
            annotators.disable_annotator(connection, name, moment(None))

    def enable(self, name: str) -> None:
        """Let a disabled annotator answer again, with the same token. Raises MienError for an unknown annotator."""
        with self._transactions.writing() as connection:
            annotators.disable_annotator(connection, name, None)

    def remove(self, name: str, answers: bool) -> str | None:
        """Remove an annotator: name, token, sessions, sign-ins, and the questions that were kept for them.

        With `answers` their answers go, too, and the faces want others instead. Otherwise answers stay under a random name, which
        is returned; None where there are none. In a SQLite file the deleted bytes are overwritten. Raises MienError for an
        unknown annotator, and where others read the file for too long to overwrite them; then all else is done.
        """
        with self._transactions.writing() as connection:
            new_name = remove_annotator(connection, name, answers, moment(None))
        self._transactions.database.forget()
        return new_name

    def holder(self, token: str, now: datetime | None = None) -> Holder:
        """The annotator whom a token belongs to, and whether it is valid."""
        with self._transactions.reading() as connection:
            return annotators.holder(connection, token, moment(now))

    def begin_session(self, token: str, now: datetime | None = None) -> Session | None:
        """Begin a session for a browser: for 30 days, or until the token ends. None where the token is not valid."""
        with self._transactions.writing(durable=False) as connection:
            return annotators.begin_session(connection, token, moment(now))

    def signed_in(self, secret: str, now: datetime | None = None) -> str | None:
        """The name of the annotator whose session has this secret, or whose token it is.

        None where it is nobody's, has ended, or its annotator is disabled.
        """
        with self._transactions.reading() as connection:
            return annotators.signed_in(connection, secret, moment(now))

    def end_session(self, secret: str) -> bool:
        """End the session of this secret: the browser is signed out. Returns whether there was such a session."""
        with self._transactions.writing() as connection:
            return annotators.end_session(connection, secret)

    def note_sign_in(self, name: str | None, address: str, outcome: Outcome, now: datetime | None = None) -> None:
        """Add a row to the list of sign-ins. It keeps the newest 10,000 that succeeded and 10,000 others, and no name that is
        nobody's."""
        with self._transactions.writing(durable=False) as connection:
            annotators.note_sign_in(connection, name, address, outcome, moment(now))

    def sign_ins(self) -> tuple[SignIn, ...]:
        """The list of sign-ins, oldest first; empty in a store of version 1."""
        with self._transactions.reading() as connection:
            return annotators.sign_ins(connection) if self._transactions.version(connection) > 1 else ()

    def list_all(self, now: datetime | None = None) -> tuple[Account, ...]:
        """All accounts, sorted by name: who may answer, and when their tokens end."""
        with self._transactions.reading() as connection:
            return annotators.list_accounts(connection, self._transactions.version(connection), moment(now))

    def names(self) -> tuple[str, ...]:
        """The names of all annotators, sorted, disabled and removed ones too."""
        with self._transactions.reading() as connection:
            return tuple(sorted(connection.execute(select(ANNOTATORS.c.name)).scalars()))
