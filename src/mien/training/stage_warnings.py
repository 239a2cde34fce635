"""What a stage that is over did not do, though its recipe asked for it: an effect that is missing should not pass in silence."""

from collections.abc import Mapping, Sequence

RISE = 1.1
"""A validation loss that ends so many times above its lowest value is said to rise."""


def stage_warnings(history: Sequence[Mapping[str, float]], kept: int, unlabeled: bool, labels: bool = True) -> list[str]:
    """Sentences about a stage, by the figures of its epochs. `kept`: the epoch whose weights are kept, from 0.

    `unlabeled`: whether faces without labels are to teach; where none are, nothing is said of them. `labels`: whether labels do.
    """
    found = []
    if unlabeled and _idle(history, "replaced"):
        found.append("0 faces were replaced by unlabeled ones: no prediction was above the threshold, or the share is too small")
    if unlabeled and _idle(history, "pseudo_label_share"):
        found.append(
            "0 pseudo-labels taught: no prediction was above the threshold (unlabeled.threshold),"
            " or they begin after the last epoch (unlabeled.start)"
        )
    if unlabeled and _idle(history, "acceptance"):
        found.append("0 updates from unlabeled faces were kept: none lowered the validation loss enough")
    losses = [epoch["validation_loss"] for epoch in history if "validation_loss" in epoch]
    if losses and losses[-1] > RISE * min(losses):
        lowest = losses.index(min(losses))
        found.append(
            f"the validation loss rises, from {losses[lowest]:.3f} after epoch {lowest + 1} to {losses[-1]:.3f}:"
            f"{' the labels are learned by heart;' if labels else ''} fewer epochs or more faces may help"
        )
    taught = [number for number, epoch in enumerate(history) if unlabeled and _taught(epoch)]
    if taught and kept < taught[0]:
        found.append(
            f"the kept epoch ({kept + 1}) precedes the first unlabeled face (epoch {taught[0] + 1}):"
            " the kept model of this stage learned from labels alone"
        )
    return found


def _idle(history: Sequence[Mapping[str, float]], name: str) -> bool:
    """Whether a figure was noted, and is 0 in every epoch that has it."""
    values = [epoch[name] for epoch in history if name in epoch]
    return bool(values) and not any(values)


def _taught(epoch: Mapping[str, float]) -> bool:
    """Whether unlabeled faces changed the weights in an epoch, as far as techniques note it."""
    return any(epoch.get(name, 0) > 0 for name in ("replaced", "regression")) or (
        epoch.get("pseudo_label_share", 0) > 0 and epoch.get("acceptance", 1) > 0
    )
