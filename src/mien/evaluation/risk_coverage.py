"""Risk and coverage: how often answers are wrong where a recognizer gives only those that it doubts least.

Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks". Doubt may be S, 1 - confidence, or both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mien.errors import MienError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk of the faces that are doubted least, by how many of them are answered; arrays have N values."""

    coverage: Floats
    """The share of the faces that is answered, 1/N to 1."""
    risk: Floats
    """The share of those that is wrong. Of faces that are doubted as much, each is as likely to be answered first."""

    @property
    def aurc(self) -> float:
        """The area under the curve: the mean risk over all coverages. Lower is better; nan without faces."""
        return float(self.risk.mean()) if len(self.risk) else float("nan")

    def at(self, coverage: float) -> float:
        """The risk where this share of the faces is answered, at least one; nan without faces."""
        place = max(1, round(coverage * len(self.risk)))
        return float(self.risk[place - 1]) if len(self.risk) else float("nan")

    def to_json(self, points: int = 20) -> dict[str, Any]:
        """AURC, and the risk at `points` coverages."""
        shares = [(n + 1) / points for n in range(points)] if len(self.risk) else []
        aurc = self.aurc if len(self.risk) else None
        return {"faces": len(self.risk), "aurc": aurc, "curve": [{"coverage": share, "risk": self.at(share)} for share in shares]}


def risk_coverage(doubt: npt.ArrayLike, wrong: npt.ArrayLike) -> RiskCoverage:
    """The curve of scores (N,), the higher the more doubtful, and of whether each answer is wrong, (N,).

    Raises MienError where the lengths differ or a score is nan.
    """
    scores, errors = np.asarray(doubt, np.float64), np.asarray(wrong, bool)
    if scores.shape != errors.shape or scores.ndim != 1:
        raise MienError(f"a score for each of {len(errors)} answers", f"shape {scores.shape}", "give both for the same faces")
    if np.isnan(scores).any():
        raise MienError("scores that are numbers", "nan", "leave out faces without a score")
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rates = np.bincount(group, errors, len(counts)) / np.maximum(counts, 1)
    number = np.arange(1, len(scores) + 1)
    return RiskCoverage(number / max(1, len(scores)), np.cumsum(np.repeat(rates, counts)) / number)


def doubt_of_both(*doubts: npt.ArrayLike) -> Floats:
    """The mean rank (N,) of several scores of doubt (N,), which need not be on one scale; equal scores share a rank."""
    ranks: Floats = np.mean([rankdata(np.asarray(scores, np.float64)) for scores in doubts], axis=0)
    return ranks
