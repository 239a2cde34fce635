"""The report of a comparison: one page that opens anywhere, and its diagrams as SVG files beside it."""

from mien.experiments.report.report_page import write_comparison

__all__ = ["write_comparison"]
