"""An object store with one public bucket, for as long as this process runs: `python object_store.py FOLDER PORT BUCKET`.

The account is `demo`; its secret key comes from the environment variable `STORE_SECRET_KEY`.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import boto3
from botocore.config import Config

from forge_servers import S3Server

ACCOUNT = "demo"


def main(folder: Path, port: int, bucket: str) -> int:
    """Serve until SIGTERM; `FOLDER/ready` is made when the bucket is there."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with S3Server(folder, port, access_key=ACCOUNT, secret_key=os.environ["STORE_SECRET_KEY"]) as server:
        make_public(server, bucket)
        (folder / "ready").touch()
        ended.wait()
    return 0


def make_public(server: S3Server, bucket: str) -> None:
    """Make the bucket; everyone may read what is in it."""
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=bucket)
    reading = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [reading]}))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
