"""The command line: a verb parses, calls one function, prints.

What a person gets wrong is one line on stderr and exit code 2. Heavy imports wait until a verb
runs, so that help comes at once. A verb is a module with `add`, which declares its options, and
`run`, which returns the exit code; `entry.VERBS` lists them.
"""

from __future__ import annotations

from s3d.cli.entry import main

__all__ = ["main"]
