"""The S3 server behind the gateway: the only user of an HTTP client session for S3."""
