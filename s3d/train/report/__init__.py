"""The report of a run: one page and one picture, from plain data."""

from s3d.train.report.data import Epoch, Example, RunReport
from s3d.train.report.write import write_report

__all__ = ["Epoch", "Example", "RunReport", "write_report"]
