"""Looks into a store from outside: what was to be moved has to be there."""

from __future__ import annotations

import http.client

from benchmarks.ways import BUCKET

# Moto shows nothing to the nameless, and does not look at what the signature is.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, Signature=0"}


class Store:
    """An S3 server that does not check signatures."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._ask("PUT", "")

    def remove(self, key: str, size: int) -> None:
        """Remove an object that was measured, after a look at its size."""
        answer = self._ask("HEAD", f"/{key}")
        if answer.status != http.client.OK or int(answer.headers["Content-Length"]) != size:
            raise SystemExit(f"{key}: {answer.status}, {answer.headers['Content-Length']} bytes; {size} were moved")
        self._ask("DELETE", f"/{key}")

    def _ask(self, method: str, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.request(method, f"/{BUCKET}{path}", headers=_SIGNED)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer
