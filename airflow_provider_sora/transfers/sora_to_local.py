"""Videos to a local or mounted path."""

from __future__ import annotations

import os
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.keys import text_of
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator


class SoraDownloadVideoOperator(SoraToObjectStorageOperator):
    """Moves the content of finished videos to a path of this machine; a file appears whole or not at all.

    :param path: an absolute path such as ``/mnt/videos/{{ ds }}/{id}.{extension}``; may have ``{variant}`` too
    """

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(path=path, **kwargs)

    def key_template(self) -> str:
        """The whole path."""
        if not os.path.isabs(text_of("path", self.path)):
            raise SoraConfigError(f"path is {self.path!r}; it has to be absolute: tasks run in folders of their own")
        return self.path
