"""Videos to a path on a local or mounted disk."""

from __future__ import annotations

import os
from typing import Any

from airflow_provider_sora.exceptions import SoraConfigError
from airflow_provider_sora.transfers.keys import require_text
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator


class SoraDownloadVideoOperator(SoraToObjectStorageOperator):
    """Moves the content of finished videos to a path on this machine; a file becomes visible once it is complete.

    :param path: an absolute path such as ``/mnt/videos/{{ ds }}/{id}.{extension}``; may have ``{variant}`` too
    """

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(path=path, **kwargs)

    def key_template(self) -> str:
        """The whole path."""
        if not os.path.isabs(require_text("path", self.path)):
            raise SoraConfigError(
                f"path is {self.path!r}; it has to be absolute: each task has a working directory of its own"
            )
        return self.path
