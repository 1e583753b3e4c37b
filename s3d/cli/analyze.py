"""s3d analyze: what a network learnt, in numbers and pictures."""

from __future__ import annotations

import argparse

from s3d.cli import (
    analyze_activation,
    analyze_confusions,
    analyze_features,
    analyze_kernels,
    analyze_order,
)
from s3d.cli.parser import Parser, Verbs, add_verb

ANALYSES = (
    analyze_kernels,
    analyze_features,
    analyze_order,
    analyze_confusions,
    analyze_activation,
)
"""In the order of the help."""


def add(verbs: Verbs) -> None:
    """Add the verb, and below it a verb for each analysis."""
    text = "show what a network learnt: numbers, and pictures of them"
    parser = add_verb(verbs, "analyze", text, run)
    parser.set_defaults(print_help=parser.print_help)
    analyses = parser.add_subparsers(dest="analysis", metavar="ANALYSIS", parser_class=Parser)
    for analysis in ANALYSES:
        analysis.add(analyses)


def run(options: argparse.Namespace) -> int:
    """Print the analyses there are, since none was named, and return the exit code."""
    options.print_help()
    return 0
