"""The S3 server behind the gateway, and the HTTP/1.1 client that speaks to it."""
