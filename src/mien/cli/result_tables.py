"""The tables that commands print: what each has found, a row for a class, a recipe, a layer, an annotator."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Column

from mien.cli.tables import TextTable, figure, narrow_table, number_interval, percent_interval
from mien.wording import percent, percentage_points, quantity

if TYPE_CHECKING:
    from mien.active.learning_curve import LearningCurve, StrategyMeans
    from mien.data.describe import Description
    from mien.data.near_duplicate_pairs import NearDuplicates
    from mien.evaluation.evaluation_result import Evaluation
    from mien.evaluation.failure_cases import FailureCases
    from mien.evaluation.intensity_correlation import IntensityCorrelations
    from mien.evaluation.neurons import Neurons
    from mien.evaluation.risk_coverage import RiskCoverage
    from mien.evaluation.sample_weights import SampleWeights
    from mien.evaluation.stability_summary import StabilitySummary
    from mien.experiments.adaptation.judgment import Adapted
    from mien.experiments.comparison_result import Comparison
    from mien.experiments.run_results import RunResult
    from mien.experiments.seed_statistics import Difference, Spread, TableLine
    from mien.label_errors.known_mistakes import KnownMistakes
    from mien.label_errors.ranking import LabelErrors
    from mien.labeling.store.agreement import AnnotatorFigures

MOST_NAME = 24
"""Letters of a recipe's name that a table keeps room for."""
MOST_PAIRS = 8
"""Pairs of a label and a likelier class that are printed."""
COVERAGES = (0.5, 0.8, 0.9, 1.0)
"""Shares of the faces that are answered, at which the risk is printed."""


def count_table(found: "Description") -> TextTable:
    """Faces per class and split, and their sums."""
    table = TextTable("class", *found.splits, "all")
    for name, column in zip(found.classes, found.counts.T, strict=True):
        table.add_row(name, *map(str, column), str(column.sum()))
    table.add_row("all", *map(str, found.counts.sum(axis=1)), str(found.counts.sum()))
    return table


def duplicate_table(found: "NearDuplicates") -> TextTable:
    """How many faces of each split have a near-duplicate in each split, and under another label."""
    table = TextTable("split", "near-duplicates in", "faces", "share", "labeled otherwise than one there")
    for line in found.shares:
        share = percent(line.duplicates / line.faces)
        table.add_row(line.split, line.among, f"{line.duplicates} of {line.faces}", share, str(line.disagreeing))
    return table


def recipe_table(titles: Mapping[str, str]) -> TextTable:
    """Recipes and what they are."""
    table = TextTable("recipe", "what it is")
    for name, title in titles.items():
        table.add_row(name, title)
    return table


def answer_table(answers: Mapping[str, Sequence[str]]) -> TextTable:
    """Questions and the techniques that answer them."""
    table = TextTable("question", "answers")
    for question, names in answers.items():
        table.add_row(question, ", ".join(names))
    return table


def evaluation_tables(found: "Evaluation") -> list[TextTable]:
    """Headline figures with intervals, recall per class, and groups where there are any."""
    head = TextTable("figure", "value", "95 % interval", title=f"{found.dataset}, {found.split}: {quantity(found.count, 'face')}")
    figures = {"accuracy": "accuracy", "average_accuracy": "average accuracy", "macro_f1": "macro F1"}
    figures |= {"ece_before": "calibration error", "ece_after": "  after temperature scaling"}
    for name, title in figures.items():
        head.add_row(title, percent(getattr(found, name)), percent_interval(found.intervals[name]))
    if found.second == found.second:  # nan where no face is wrong
        between = percent_interval(found.intervals["second"])
        head.add_row("mistakes whose second class is right", percent(found.second), between)
    classes = TextTable("class", "faces", "recall")
    for name, recall, row in zip(found.classes, found.recalls, found.confusion, strict=True):
        classes.add_row(name, str(row.sum()), percent(recall) if row.sum() else "-")
    tables = [head, classes]
    if found.groups:
        groups = TextTable(found.groups[0].column, "faces", "accuracy", "95 % interval", "average accuracy")
        for group in found.groups:
            cells = (percent(group.accuracy), percent_interval(group.intervals["accuracy"]), percent(group.average_accuracy))
            groups.add_row(group.value, str(group.count), *cells)
        tables.append(groups)
    return tables


def weight_table(found: "SampleWeights") -> TextTable:
    """Faces, mean and lowest weight per class."""
    table = TextTable("class", "faces", "mean weight", "lowest weight")
    for entry in found.classes:
        values = (f"{entry.mean:.3f}", f"{entry.lowest:.3f}") if entry.count else ("-", "-")
        table.add_row(entry.name, str(entry.count), *values)
    return table


def adapted_table(found: "Adapted") -> TextTable:
    """Share of the faces of each class that is named right, before and after, and the means."""
    table = TextTable("class", "faces", "before", "after")
    for line in found.lines:
        before = "new" if line.name in found.new else percent(line.before)
        table.add_row(line.name, str(line.faces), before, percent(line.after))
    table.add_section()
    table.add_row("mean over classes", "", percent(found.average_before), percent(found.average_after))
    table.add_row("known classes, as frequent as the model knew them", "", percent(found.before), percent(found.after))
    return table


def growth_tables(found: "IntensityCorrelations") -> list[TextTable]:
    """Rank correlations of probability and intensity: over all faces, by class, and within sequences where there are any."""
    bounds, title = "95 % interval", f"{found.dataset}, {found.split}"
    faces = TextTable("expression", "faces", "rank correlation", bounds, title=title)
    for entry in (found.overall, *found.classes):
        faces.add_row(entry.name, str(entry.count), figure(entry.value, 2), number_interval(entry.interval))
    within, tables = found.sequences, [faces]
    if within.count:
        sequences = TextTable(f"within {quantity(within.count, 'sequence')}", "value", bounds)
        sequences.add_row("median rank correlation", figure(within.median, 2), number_interval(within.median_interval))
        sequences.add_row("above 0", percent(within.above), percent_interval(within.above_interval))
        tables.append(sequences)
    return tables


def failure_table(found: "FailureCases") -> TextTable:
    """How many sequences have a frame that is recognized otherwise than its peak (SNA's Table VII)."""
    table = TextTable(f"of {quantity(found.sequences, 'sequence')}", "number", "share", "95 % interval")
    for name, count, share, between in (
        ("failure cases (FC)", found.failed, found.failed_share, found.failed_interval),
        ("consistent ones (CFC)", found.consistent, found.consistent_share, found.consistent_interval),
    ):
        table.add_row(name, str(count), percent(share), percent_interval(between))
    return table


def stability_table(found: "StabilitySummary") -> TextTable:
    """The mean S of all, right and wrong predictions."""
    table = TextTable("predictions", "faces", "mean S")
    for name, count, mean in (
        ("all", found.count, found.mean),
        ("right", found.right, found.right_mean),
        ("wrong", found.wrong, found.wrong_mean),
    ):
        table.add_row(name, str(count), f"{mean:.4g}" if count else "-")
    return table


def risk_table(found: "Mapping[str, RiskCoverage]") -> TextTable:
    """How often answers are wrong where only those are given that are doubted least, by what doubts them."""
    title = "wrong answers among the faces that are doubted least"
    table = TextTable("doubt by", "AURC", *(f"of {percent(share, 0)}" for share in COVERAGES), title=title)
    for name, curve in found.items():
        table.add_row(name, f"{curve.aurc:.3f}", *(percent(curve.at(share)) for share in COVERAGES))
    return table


def neuron_table(found: "Neurons") -> TextTable:
    """Label entropy by layer, and what it was before fine-tuning where that is known."""
    title = f"{found.dataset}, {quantity(len(found.faces), 'labeled face')}"
    earlier = () if found.before is None else ("average before", "low before")
    table = TextTable("layer", "neurons", "average entropy", "low", *earlier, title=title)
    for number, layer in enumerate(found.after.layers):
        cells = [layer.name, str(len(layer.entropy)), f"{layer.entropy.mean():.3f}", str(found.low(layer))]
        if found.before is not None:
            before = found.before.layers[number]
            cells += [f"{before.entropy.mean():.3f}", str(found.low(before))]
        table.add_row(*cells)
    return table


def confusion_table(found: "LabelErrors") -> TextTable:
    """The labels and likelier classes that cleanlab believes to be confused most often."""
    table, likely, classes = TextTable("labeled", "likely", "faces (estimate)"), found.likely, range(len(found.classes))
    if likely is not None:
        pairs = [(float(likely[label, other]), label, other) for label in classes for other in classes if label != other]
        for count, label, other in sorted(pairs, key=lambda pair: -pair[0])[:MOST_PAIRS]:
            if round(count):
                table.add_row(found.classes[label], found.classes[other], f"{count:.0f}")
    return table


def known_wrong_table(known: "KnownMistakes", count: int) -> TextTable:
    """How many of the first faces in a list of `count` are known to have a wrong label."""
    table = TextTable("of the first", "known to be wrong", "share")
    for first, wrong in {**known.first, count: known.wrong}.items():
        table.add_row(f"{first}", str(wrong), percent(wrong / first))
    return table


def annotator_table(annotators: "Sequence[AnnotatorFigures]") -> TextTable:
    """What each annotator did: answers, agreement with the others, right ones on gold faces, seconds an answer."""
    table = TextTable("annotator", "answers", "as most others", "right on gold", "seconds an answer")
    for one in annotators:
        table.add_row(one.name, str(one.answers), percent(one.agreement), percent(one.right), figure(one.seconds, 1))
    return table


def comparison_tables(found: "Comparison") -> list[TextTable]:
    """A table for each group of runs, the recipes below each other."""
    tables = []
    for group in dict.fromkeys(line.point for line in found.lines):
        lines = [line for line in found.lines if line.point == group]
        noisy = any(line.lost_to_noise.count for line in lines)
        controlled = any(line.control_of for line in lines)
        extra = ["lost to\nnoise"] if noisy else []
        recipe = Column("recipe", no_wrap=True, min_width=min(MOST_NAME, max(len(_arm(line)) for line in lines)))
        # With two differences there is no room for p, which table.csv has: the intervals say as much.
        beside = "to control\n(95 %)" if controlled else "p"
        headers = ("n", "accuracy\n± SD", "difference\n(95 %)", beside, "average", *extra, "best seed\non test")
        other = "" if found.tested_in_words == found.split else f"; tested on {found.tested_in_words}"
        table = narrow_table(recipe, *headers, title=f"{group}; difference to {found.grid.names[0]}{other}")
        for line in lines:
            table.add_row(*_comparison_cells(line, noisy, controlled))
        tables.append(table)
    return tables + ([fold_table(found.pooled, f"{found.split}, together")] if found.pooled else [])


def fold_table(together: "Sequence[RunResult]", title: str) -> TextTable:
    """Figures over all folds together, with intervals over people, and the means of the folds beside them."""
    headers = ("seed", "accuracy\n(95 %, people)", "mean of\nfolds", "average", "mean of\nfolds")
    table = narrow_table("recipe", "labels", *headers, title=title)
    for one in together:
        low, high = (percent(share, sign="") for share in (one.accuracy_low or 0.0, one.accuracy_high or 0.0))
        shares = [percent(share or 0.0) for share in (one.accuracy, one.fold_mean, one.average_accuracy, one.fold_average_mean)]
        table.add_row(one.recipe, str(one.point), str(one.seed), f"{shares[0]}\n({low} to {high})", *shares[1:])
    return table


def _arm(line: "TableLine") -> str:
    """The name of a row: a control stands below its recipe."""
    return "  its control" if line.control_of else line.recipe


def _comparison_cells(line: "TableLine", noisy: bool, controlled: bool) -> list[str]:
    """A recipe's row; a dash where there is nothing."""
    difference, p = _difference(line.difference)
    beside = _difference(line.control_difference)[0] if controlled else p
    cells = [_arm(line), str(line.accuracy.count), _spread(line.accuracy), difference, beside]
    cells += [percent(line.average_accuracy.mean)]
    return [*cells, *([percent(line.lost_to_noise.mean)] if noisy else []), percent(line.best_seed_on_test)]


def curve_table(found: "LearningCurve") -> TextTable:
    """Every round of one strategy, or the last round of each of several."""
    several = len(found.strategies) > 1
    title = f"figures on {found.tested or 'validation'}" + (f"; difference to {found.reference}" if several else "")
    extra = ["difference\n(95 %)", "p"] if several else []
    table = narrow_table("strategy", "labels", "n", "accuracy\n± SD", *extra, "average", title=title)
    for point in {point.strategy: point for point in found.lines}.values() if several else found.lines:
        table.add_row(*_curve_cells(point, several))
    return table


def _curve_cells(point: "StrategyMeans", several: bool) -> list[str]:
    cells = [point.strategy, f"{point.labels.mean:.0f}", str(point.accuracy.count), _spread(point.accuracy)]
    return [*cells, *(_difference(point.difference) if several else []), percent(point.average_accuracy.mean)]


def _spread(found: "Spread") -> str:
    """A mean, and below it the standard deviation over seeds where there are several."""
    return percent(found.mean) + (f"\n± {percent(found.sd, sign='')}" if found.sd == found.sd else "")


def _difference(found: "Difference") -> tuple[str, str]:
    """A difference in percentage points with its interval below, and its p; dashes where there is none."""
    between = f"\n({percentage_points(found.low)} to {percentage_points(found.high)})" if found.low == found.low else ""
    return f"{percentage_points(found.mean)}{between}" if found.pairs else "-", figure(found.p, 3)
