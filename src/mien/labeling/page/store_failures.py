"""What people are told while the store fails: what is wrong and what helps, but not where the store is; that goes to the log."""

import logging

from mien.errors import MienError
from mien.http_server.log_limits import SERVER

EXPECTED = "labels that can be read and written"
"""What people are told was expected."""
FAILURES = (
    (("full", "no space"), "a full disk", "ask whoever runs this page to free space, then send it again"),
    (("locked", "lock timeout"), "others who are writing", "send it again"),
    (("readonly", "read-only", "permission denied"), "labels that are read-only", "ask whoever runs this page to mend it"),
    (("removed", "moved"), "labels that were moved away", "ask whoever runs this page to put them back"),
    (("damaged", "malformed", "not a database"), "damaged labels", "ask whoever runs this page"),
    (("connection", "connect"), "a database that is away", "wait until it is back, then send it again"),
)
"""Failures: words in a database's complaint, what people are told was found, and what helps."""

log = logging.getLogger(SERVER)


def public_error(error: MienError) -> MienError:
    """What people may be told of an error of a store that failed, and so has a cause. The whole error goes to the log."""
    log.error("%s", error)
    if isinstance(error.__cause__, LookupError):
        return MienError(EXPECTED, error.found, error.todo)  # another store or a newer one, in words of mien that name no place
    said = error.found.lower()
    known = ((found, todo) for signs, found, todo in FAILURES if any(sign in said for sign in signs))
    found, todo = next(known, ("labels that cannot be reached", "ask whoever runs this page, then send it again"))
    return MienError(EXPECTED, found, todo)


def picture_error(error: Exception) -> MienError:
    """What people may be told of a picture that cannot be read. The whole error goes to the log."""
    log.error("a face that cannot be read: %s", error)
    return MienError("the picture of a face", "none that can be read", "ask whoever runs this page")
