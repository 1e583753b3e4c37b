"""The report of an exploration: one page, one picture and one table, from plain data."""

from s3d.explore.report.data import ExploreReport, Point
from s3d.explore.report.write import write_explore_report

__all__ = ["ExploreReport", "Point", "write_explore_report"]
