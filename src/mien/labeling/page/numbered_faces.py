"""The faces that a store asks about, by number, so that the page's addresses hold no id and lead to no other face."""

import io
import threading
from functools import lru_cache

from PIL import Image

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.labeling.page.source_photos import SourcePhotos
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store

CACHED_FACES, CACHED_PHOTOS = 256, 64
"""Pictures of faces, and of photos, that are kept, since several people look at the same faces."""


class NumberedFaces:
    """The questions of a store, numbered in their order, with their pictures. All threads may use one.

    Raises MienError where the store asks about a face that the pool does not have.
    """

    def __init__(self, store: Store, pool: FaceSet, photos: SourcePhotos | None = None) -> None:
        self._store, self._pool, self._photos = store, pool, photos
        self._rows = {str(face): row for row, face in enumerate(pool.values("id"))}
        self._questions: tuple[Question, ...] = ()
        self._numbers: dict[str, int] = {}
        self._turn = threading.Lock()
        self.picture = lru_cache(CACHED_FACES)(self._picture)
        self.photo = lru_cache(CACHED_PHOTOS)(self._photo)
        self._read()

    def number(self, face: str) -> int:
        """The number of the question about a face, by the face's id. The question may be newer than those read so far."""
        if face not in self._numbers:
            self._read()
        return self._numbers[face]

    def knows(self, number: int) -> bool:
        """Whether the question of this number was read already."""
        return number < len(self._questions)

    def question(self, number: int) -> Question | None:
        """The question of a number; None where there is none. Another process may have added it meanwhile."""
        if not self.knows(number):
            self._read()
        return self._questions[number] if 0 <= number < len(self._questions) else None

    def _read(self) -> None:
        # Questions are only ever added, at the end: a number stays what it is.
        with self._turn:
            questions = self._store.questions()
            strange = next((one.face for one in questions if one.face not in self._rows), None)
            if strange is not None:
                expected, todo = "questions about faces of this pool", "take the pool that the store was made for"
                # With a cause, as a failure of the store: the page tells nobody which face.
                raise MienError(expected, repr(strange), todo) from LookupError(strange)
            # Where some are known and others are not, gold questions might be told by it.
            all_known = self._photos is not None and all(self._photos.knows(self._rows[one.face]) for one in questions)
            self._has_photos = all_known or not any(one.gold is not None for one in questions)
            self._numbers |= {one.face: number for number, one in enumerate(questions)}
            self._questions = questions

    def has_photo(self, number: int) -> bool:
        """Whether the photo around the face of a question is known. The question has to be read already."""
        photos, row = self._photos, self._rows[self._questions[number].face]
        return photos is not None and self._has_photos and photos.knows(row)

    def _photo(self, number: int) -> bytes:
        """What is around the face of a question, whose photo is known, as a JPEG."""
        assert self._photos is not None
        return self._photos.around(self._rows[self._questions[number].face])

    def _picture(self, number: int) -> bytes:
        """The face of a question as a PNG."""
        file = io.BytesIO()
        face = self._pool.faces([self._rows[self._questions[number].face]])[0]
        Image.fromarray(face).save(file, "PNG", compress_level=3)
        return file.getvalue()
