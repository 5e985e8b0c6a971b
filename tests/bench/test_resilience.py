import os
import re
import subprocess
import sys


def test_what_the_policies_cost_is_printed_as_a_ratio() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.resilience", "--rounds", "1", "--calls", "10"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "2 round trips to Redis each" in done.stdout
    rows = re.findall(r"^ +(\d+) ms .* ms .* ms .* ms  \d+\.\d\d \(", done.stdout, re.MULTILINE)
    assert rows == ["0", "20", "100"]
