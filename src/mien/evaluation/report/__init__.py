"""The report of an evaluation: one page that opens anywhere, and its figures as JSON."""

from mien.evaluation.report.page import Mistakes, write_report

__all__ = ["Mistakes", "write_report"]
