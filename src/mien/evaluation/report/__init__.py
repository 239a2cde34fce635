"""The report of an evaluation: one page that opens anywhere, and its figures as JSON."""

from mien.evaluation.report.report_page import Mistakes, write_evaluation

__all__ = ["Mistakes", "write_evaluation"]
