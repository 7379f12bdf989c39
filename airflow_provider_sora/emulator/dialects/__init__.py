"""The servers that the emulator can imitate: one module each, with what differs from the API as OpenAI published it.

To add a server:

1. Add a module with a subclass of `OpenAI` (or of `FastApiServer`) and add the class to `DIALECTS`. Its `status_words`
   are the server's own words for the API's statuses, for example ``{"completed": "done"}``.
2. Add those words to the client's table, `_SYNONYMS` in ``airflow_provider_sora/api/protocol/models.py``. The
   emulator does not import it: the two have to be able to disagree.
3. Add the server to ``SERVERS`` in ``tests/contract/test_dialects.py``, which runs the whole API on each.
"""

from __future__ import annotations

from airflow_provider_sora.emulator.dialects.aquiles import Aquiles
from airflow_provider_sora.emulator.dialects.azure import Azure
from airflow_provider_sora.emulator.dialects.litellm import LiteLLM
from airflow_provider_sora.emulator.dialects.openai import ALL_ROUTES, OpenAI
from airflow_provider_sora.emulator.dialects.sglang import SGLang
from airflow_provider_sora.emulator.dialects.vllm_omni import VllmOmni

__all__ = ["ALL_ROUTES", "DIALECTS", "OpenAI"]

DIALECTS: dict[str, type[OpenAI]] = {
    dialect.name: dialect for dialect in (OpenAI, VllmOmni, SGLang, LiteLLM, Aquiles, Azure)
}
