"""Whether faces were cut out as those were that a model learned from."""

from mien.data.format import Info

UNKNOWN = "unknown"


def alignment_note(model: Info, faces: Info) -> str:
    """What is to be said where the two sets of faces were cut out in different ways; "" where they were not, or neither says.

    `model`: what a model's card says of the faces it learned from. Which faces of a photo were taken, and how a detector was
    set, makes no difference.
    """
    if "features" in (model.kind, faces.kind):
        return ""
    ours, theirs = _way(faces.alignment), _way(model.alignment)
    if ours == theirs or theirs == (UNKNOWN,):
        return ""
    wanted = f"the model learned from faces cut out by {'; '.join(theirs)}"
    if ours == (UNKNOWN,):
        return f"{wanted}, and this set does not say how its faces were cut out: mien prepare cuts them out in that way"
    return f"{wanted}, and these were cut out by {'; '.join(ours)}: it may do better on faces cut out in its way"


def _way(alignment: str) -> tuple[str, ...]:
    """The way and the detector's name."""
    way, *rest = (part.strip() for part in alignment.split(";"))
    return (way, *(part.split()[0] for part in rest[:1] if part))
