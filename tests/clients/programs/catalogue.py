"""All client programs, and which of them take part in the default run."""

from tests.clients.programs.aws_cli import AwsCli
from tests.clients.programs.boto3_sdk import Boto3
from tests.clients.programs.client import Client
from tests.clients.programs.curl import Curl
from tests.clients.programs.javascript import JavaScript
from tests.clients.programs.rclone import Rclone
from tests.clients.programs.s3cmd import S3cmd
from tests.clients.programs.s5cmd import S5cmd

CLIENTS: tuple[type[Client], ...] = (Boto3, AwsCli, Rclone, S3cmd, S5cmd, JavaScript, Curl)
#: The others are slow.
DEFAULT_CLIENTS: frozenset[type[Client]] = frozenset({Boto3})
