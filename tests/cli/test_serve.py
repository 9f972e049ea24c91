"""What a worker does not need, it does not hold in memory."""

import subprocess
import sys

_LOADED = """
import sys
import gateway.cli.app
print(*sorted({"boto3", "botocore", "s3transfer"} & set(sys.modules)))
"""


def test_boto3_is_imported_when_aws_is_asked_only() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == []
