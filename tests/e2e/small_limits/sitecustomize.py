"""Python runs this file at its start when its directory is on PYTHONPATH: a gateway to which 12 MiB is what 5 GiB is.

Copies of objects beyond S3's limits can then be tested with objects that a test can afford.
"""

from gateway.server.sealed import server_copy, stream_sealed

_MIB = 1024 * 1024

server_copy.RANGE_BYTES = 6 * _MIB
stream_sealed.PART_BYTES = 5 * _MIB
stream_sealed.MOST_SEALED = stream_sealed.MOST_PLAIN = 12 * _MIB
