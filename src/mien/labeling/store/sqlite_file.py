"""The file of a SQLite store: opening it, and noticing that it is no longer the one that was opened.

SQLite goes on writing to a file that was removed or renamed, and all that is lost when the last process closes it. So before each
transaction, and after each that writes, the file at the path and the one beside it that is written ahead are compared with those
that were opened.
"""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mien.errors import MienError

PATIENCE = 30
"""Seconds to wait for other writers."""

Mark = tuple[int, int]
"""Tells the files of a machine apart: device and inode number. Where a file system has no numbers, all files look the same."""


@dataclass(frozen=True)
class _Marks:
    """Which files lie at a path."""

    file: Mark | None
    ahead: Mark | None
    """The file beside it to which SQLite writes ahead."""
    shared: Mark | None
    """The file beside it that all processes share which have the database open; it holds their locks."""


class SqliteFile:
    """A SQLite database at a path, for all threads of a process. `reading`: nothing is ever written to it."""

    def __init__(self, path: Path, reading: bool = False) -> None:
        self.path, self._reading = path, reading
        self._ahead, self._shared = (path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm"))
        self._written = 0
        """Bytes that were written ahead. If fewer are there, somebody cut the file."""
        self._opened: _Marks | None = None
        self._state: tuple[int, int] | None = None
        self._writes = False
        self._former: tuple[_Marks, tuple[int, int] | None] | None = None
        self._turn, self._users = threading.Condition(), 0

    def connect(self) -> sqlite3.Connection:
        """A connection to the file, which has to exist.

        Raises MienError, with a cause, where it is gone, is no file, or is not the one that other connections have open;
        sqlite3.Error where SQLite cannot open it.
        """
        before = self._require_file()
        connection = self._read() if self._reading else self._connect("mode=rw")
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            # Only whoever reads opens what is written ahead.
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            now = self._marks()
            with self._turn:
                if now.file != before or self._opened not in (None, now):
                    raise self._moved_error("another one")
                self._opened = now
                self._state = self._state or _state(self.path)
                self._former = None
                self._written = _size(self._ahead)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def used(self, close: Callable[[], None]) -> Iterator[None]:
        """Enter this context for each transaction.

        Where the file was moved since it was opened, `close` closes all connections first, and new ones are opened: the file may
        be back. Raises MienError, with a cause, where it is not.
        """
        with self._turn:
            while self._opened is not None and self._changed():
                # Whoever opens the new file beside the old one would mix them.
                if not self._turn.wait_for(lambda: not self._users or not self._changed(), PATIENCE):
                    raise self._moved_error("another one, while others still use the former one")
                if self._opened is not None and self._changed():
                    self._require_sound()
                    close()
                    if self._marks().file != self._opened.file:
                        self._former = self._opened, self._state
                    self._opened = self._state = None
            self._users += 1
        try:
            yield
        finally:
            with self._turn:
                self._users -= 1
                self._turn.notify_all()

    def require_unmoved(self) -> None:
        """Raises MienError, with a cause, where the last transaction may have been written to a file that is no longer there."""
        with self._turn:
            size = _size(self._ahead)
            if self._opened is not None and (self._marks() != self._opened or size < self._written):
                raise self._moved_error("none, or another one")
            self._state = _state(self.path)
            self._writes = True
            self._written = size
            self._turn.notify_all()

    def closed(self) -> None:
        """Note that all connections are closed."""
        with self._turn:
            self._opened = self._state = None

    def forget_deleted(self) -> None:
        """Write the file anew, so that nothing deleted stays in it. Raises MienError where others read it for too long."""
        with closing(self.connect()) as connection:
            connection.execute("PRAGMA temp_store=MEMORY")  # else a copy of all of it lies on another disk meanwhile
            connection.execute("VACUUM")
            # Busy, pages written ahead, pages put into the file.
            busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            with self._turn:
                self._state, self._written = _state(self.path), _size(self._ahead)
        if busy:
            found, todo = (
                "others who read it for so long; all else is done",
                "end what has it open: the last that closes it takes them out",
            )
            raise MienError(f"{self.path} to be free for a moment, to take old bytes out of it", found, todo)

    def _require_file(self) -> Mark:
        """The mark of the file at the path.

        Raises MienError, with a cause, where it is no file, or another one beside the old one's rest.
        """
        try:
            kind = os.stat(self.path).st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._moved_error("none") from error
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
            raise MienError(f"a file with labels at {self.path}", what, "choose another name") from FileNotFoundError(self.path)
        now = self._marks()
        assert now.file is not None
        if self._former is not None:
            marks, state = self._former
            # A new file may have the number of one that was removed.
            other = now.file != marks.file or state != _state(self.path)
            if other and now.ahead is not None and now.ahead == marks.ahead and _size(self._ahead):
                raise self._rest_error()
        return now.file

    def _connect(self, how: str) -> sqlite3.Connection:
        # An address, as the path of it could name no file with `?`, and none whose name is no UTF-8.
        address = f"{self.path.absolute().as_uri()}?{how}"
        return sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=True)

    def _read(self) -> sqlite3.Connection:
        """A connection that writes nothing; where the folder cannot be written to, not even beside the file."""
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            connection = self._connect("mode=rw")
            connection.execute("PRAGMA query_only=ON")
            return connection
        connection = self._connect("mode=ro")
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or self.path.with_name(f"{self.path.name}-shm").exists():
                raise
        else:
            return connection
        # Nobody has it open, since the file is missing that all share, and it cannot be made here.
        if not _size(self._ahead):
            return self._connect("mode=ro&immutable=1")
        connection = self._connect(f"mode=ro&vfs={'win32' if os.name == 'nt' else 'unix'}-none")
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        return connection

    def _marks(self) -> _Marks:
        return _Marks(_mark(self.path), _mark(self._ahead), _mark(self._shared))

    def _changed(self) -> bool:
        if self._marks() != self._opened or _size(self._ahead) < self._written:
            return True
        return self._writes and _state(self.path) != self._state

    def _require_sound(self) -> None:
        """Raises MienError where somebody copied another file over this one; SQLite itself may have written to it, too."""
        if self._marks() != self._opened:
            return
        try:
            with closing(self._connect("mode=rw")) as connection:
                found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            expected = f"labels at {self.path} that nobody else writes over"
            todo = "end this, put a backup in its place (mien labels backup), and start again"
            raise MienError(expected, f"damaged ones ({found[:200]})", todo) from ValueError(found)

    def _moved_error(self, found: str) -> MienError:
        expected = f"the file with labels at {self.path}, as it was opened"
        todo = "put it back, or a backup of it: it goes on then; what was not acknowledged is to be sent again"
        error = MienError(expected, f"{found} there: it was removed, renamed or replaced", todo)
        error.__cause__ = FileNotFoundError(self.path)
        return error

    def _rest_error(self) -> MienError:
        expected = f"{self.path}, which is another file than before, without what was written ahead for the former one"
        rest = f"{self._ahead.name} and {self.path.name}-shm"
        todo = f"move {rest} away, or start again if they belong to this file"
        error = MienError(expected, f"{self._ahead.name} still there", todo)
        error.__cause__ = FileExistsError(self._ahead)
        return error


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file, which SQLite writes to now and then."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _mark(path: Path) -> Mark | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else (0, 0)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
