"""Submit a paid create once, whatever happens to the process, the server and the response: see `protocol`."""

from airflow_provider_sora.submission.attempt import Attempt, OnAmbiguous
from airflow_provider_sora.submission.protocol import submit_once

__all__ = ["Attempt", "OnAmbiguous", "submit_once"]
