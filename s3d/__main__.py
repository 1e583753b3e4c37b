"""What `python -m s3d` runs, and so `torchrun -m s3d`."""

from __future__ import annotations

import sys

from s3d.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
