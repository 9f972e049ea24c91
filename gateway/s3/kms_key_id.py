"""KMS key ids as S3 servers write them."""


def bare_key_id(arn_or_id: str) -> str:
    """The id alone: the part after ``key/`` of an ARN, or what is left when a server put ``arn:aws:kms:`` before it."""
    return arn_or_id.rpartition(":")[2].removeprefix("key/")
