"""Checks the objects that were moved, by plain HTTP, and removes them."""

from __future__ import annotations

import http.client

from benchmarks.ways import BUCKET

# Moto needs credentials, but does not check the signature.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, Signature=0"}


class Bucket:
    """The bucket of an S3 server that does not check signatures."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._request("PUT", "")

    def check_and_remove(self, key: str, size: int) -> None:
        """Check the size of an object, and remove it."""
        head = self._request("HEAD", f"/{key}")
        stated = head.headers["Content-Length"]
        if head.status != http.client.OK or int(stated) != size:
            raise SystemExit(f"{key} has status {head.status} and {stated} bytes; {size} bytes were moved")
        self._request("DELETE", f"/{key}")

    def _request(self, method: str, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request(method, f"/{BUCKET}{path}", headers=_SIGNED)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response
