"""What people read: the HTML report and the figures (public as ``pkpd.plot``); the only floor that draws."""

from __future__ import annotations

from pkpd.report.document import report_html, write_figures, write_pages, write_report
from pkpd.report.fields import field_value

__all__ = ["field_value", "report_html", "write_figures", "write_pages", "write_report"]
