"""The two clients. Each drives the same flows (`http.steps`), so that blocking and asynchronous calls cannot differ."""

from __future__ import annotations

from airflow_provider_sora.api.client.asynchronous import AsyncSoraClient
from airflow_provider_sora.api.client.blocking import SoraClient

__all__ = ["AsyncSoraClient", "SoraClient"]
