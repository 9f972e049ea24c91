"""The S3 wire protocol, without I/O: bytes and strings in, values or an S3 error out."""
