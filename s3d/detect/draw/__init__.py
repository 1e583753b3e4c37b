"""Boxes and labels drawn on frames, and frames written as a video or a sheet."""

from s3d.detect.draw.boxes import DrawnBox, draw_boxes, output_scale
from s3d.detect.draw.sheet import write_sheet
from s3d.detect.draw.video_writer import AnnotatedWriter

__all__ = ["AnnotatedWriter", "DrawnBox", "draw_boxes", "output_scale", "write_sheet"]
