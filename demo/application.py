"""The application: it knows boto3 and nothing of Sealgate, and takes its endpoint and CA from the environment, as ever.

    python -m demo.application BUCKET

It writes two objects, one of them as a multipart upload, reads them back, lists and copies them.
"""

import io
import os
import sys

import boto3

INVOICE = b"invoice 4711: 1,299.00 EUR\n"
_ARCHIVE_BYTES = 20 * 1024 * 1024


def main(bucket: str) -> None:
    s3 = boto3.client("s3")
    s3.put_object(Bucket=bucket, Key="2026/invoice 4711.txt", Body=INVOICE, Metadata={"customer": "4711"})
    archive = os.urandom(_ARCHIVE_BYTES)
    s3.upload_fileobj(io.BytesIO(archive), bucket, "2026/archive.bin")
    source = {"Bucket": bucket, "Key": "2026/invoice 4711.txt"}
    s3.copy_object(Bucket=bucket, Key="2026/invoice copy.txt", CopySource=source)

    invoice = s3.get_object(Bucket=bucket, Key="2026/invoice 4711.txt")
    assert invoice["Body"].read() == INVOICE
    assert invoice["Metadata"] == {"customer": "4711"}
    assert s3.get_object(Bucket=bucket, Key="2026/invoice copy.txt")["Body"].read() == INVOICE
    assert s3.get_object(Bucket=bucket, Key="2026/archive.bin")["Body"].read() == archive
    middle = s3.get_object(Bucket=bucket, Key="2026/archive.bin", Range="bytes=10000000-10000099")
    assert middle["Body"].read() == archive[10_000_000:10_000_100]
    sizes = [item["Size"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="2026/")["Contents"]]
    assert sizes == [_ARCHIVE_BYTES, len(INVOICE), len(INVOICE)]
    print(f"wrote, read, listed and copied {len(sizes)} objects, {sum(sizes):,} bytes, all equal")


if __name__ == "__main__":
    main(sys.argv[1])
