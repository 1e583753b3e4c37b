"""The trunks that come with s3d: networks that have learnt motion from what our own code draws.

python recipes/motion_trunk.py [--trunk motion-small] [--out runs/motion_trunk] [--ship]

Draws every clip from the seed while it trains, and goes on where it was killed. --ship writes the
trunk into the package, 16 bits a kernel weight, and says its hash, which
s3d/models/shipped/table.py records. --leave-out flow (or verbs, pairs, facts, figures) does without
an ingredient; --clips 60000 learns from fewer. What each is worth: `scripts/benchmark transfer`,
docs/trunk.md. Those that are shipped were learnt on an H200, in seven minutes; two cores take an
hour or two for motion-small. On another kind of machine the last bits, and so the hash, differ.
"""

from __future__ import annotations

import sys

from s3d.cli.motion_trunk import run_trunks
from s3d.pretrain.settings import PretrainConfig

TRUNKS = {
    "motion-small": PretrainConfig(
        network="s22s22222ss", width=0.25, clips=380_000, late_from=0.85
    ),
    "motion-wide": PretrainConfig(network="s22s22222ss", width=0.5, clips=380_000, late_from=0.85),
}

if __name__ == "__main__":
    sys.exit(run_trunks(TRUNKS))
