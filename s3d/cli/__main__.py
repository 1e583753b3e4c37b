"""What `python -m s3d.cli` runs."""

from __future__ import annotations

import sys

from s3d.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
