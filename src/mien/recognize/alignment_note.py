"""Compares how a set's faces were cut out of photos with how the model's training faces were."""

from mien.data.info import Info

UNKNOWN = "unknown"


def alignment_note(model: Info, faces: Info) -> str:
    """A sentence where the two sets' faces were cut out in different ways; empty where they were not, or the model does not say.

    `model`: the faces that the model learned from, as its card describes them. `faces`: the set at hand. Only the way of cutting
    and the detector's name are compared, not the detector's settings.
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
    """The way of cutting and the detector's name, as an alignment's text states them."""
    way, *rest = (part.strip() for part in alignment.split(";"))
    return (way, *(part.split()[0] for part in rest[:1] if part))
