"""The report on a table: what is printed in the paper, and what was measured, as one HTML page."""

from mien.evaluation.report.report_page import DASH
from mien.experiments.paper_tables.commands import commands_of
from mien.experiments.paper_tables.made_table import MadeTable
from mien.html_pages import page_templates
from mien.wording import MINUS


def table_html(made: MadeTable) -> str:
    """The page of a table that was made. It needs no other file, and everything that is put into it is escaped."""
    templates = page_templates("mien.experiments.paper_tables", "mien.evaluation.report", filters=(plain_number, signed_number))
    return templates.get_template("table.html.j2").render(
        made=made, table=made.table, commands=list(map(str, commands_of(made.table, made.asked)))
    )


def plain_number(value: float, digits: int = 2) -> str:
    """A number, `82.38`; a dash for nan."""
    return f"{value:.{digits}f}".replace("-", MINUS) if value == value else DASH


def signed_number(value: float) -> str:
    """A difference with its sign, `+1.20`; a dash for nan."""
    return f"{value:+.2f}".replace("-", MINUS) if value == value else DASH
