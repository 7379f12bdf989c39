"""One video in a process that is killed at a point, once; the points are patched in here."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_sora.api.client import SoraClient
from airflow_provider_sora.compat import DAG
from airflow_provider_sora.operators.sora import SoraCreateVideoOperator
from airflow_provider_sora.submission.attempt import Attempt
from airflow_provider_sora.submission.protocol import _Submission
from airflow_provider_sora.submission.record import Record
from airflow_provider_sora.transfers.sora_to_object_storage import SoraToObjectStorageOperator

FOLDER = "{{ dag_run.conf['folder'] }}"


def die_once(folder: str, point: str) -> None:
    """SIGKILL this process, the first time that the run's point is reached."""
    wanted = Path(folder, "point").read_text()
    marker = Path(folder, "died")
    if wanted == point and not marker.exists():
        marker.write_text(point)
        os.kill(os.getpid(), signal.SIGKILL)


class DyingCreate(SoraCreateVideoOperator):
    """Dies around the POST, around the deferral, or when the event has come."""

    template_fields = (*SoraCreateVideoOperator.template_fields, "folder")

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def execute(self, context: Any) -> Any:
        folder, send, save = self.folder, SoraClient.send, Attempt.save
        if Path(folder, "point").read_text() == "its worker, before the POST" and not Path(folder, "died").exists():
            Path(folder, "died").write_text("worker")
            os.kill(os.getppid(), signal.SIGKILL)  # this process lives on, beside its own retry
        if Path(folder, "point").read_text() == "submission off":
            _Submission._earlier = lambda _: None  # type: ignore[method-assign, assignment]

        def dying_send(client: SoraClient, request: Any, before_each: Any = tuple) -> Any:
            def fence() -> None:
                before_each()
                if request.paid:
                    die_once(folder, "before the POST")

            answer = send(client, request, fence)
            if request.paid:
                die_once(folder, "after the POST, before the id is stored")
                die_once(folder, "submission off")
            return answer

        def dying_save(attempt: Attempt, state: Record) -> Record:
            saved = save(attempt, state)
            if saved.video_id is not None:
                die_once(folder, "after the id is stored, before waiting")
            return saved

        SoraClient.send = dying_send  # type: ignore[method-assign, assignment]
        Attempt.save = dying_save  # type: ignore[method-assign, assignment]
        return super().execute(context)

    def _finish_step(self, context: Any, ended: Any) -> Any:
        die_once(self.folder, "between event and completion")
        return super()._finish_step(context, ended)


class DyingMove(SoraToObjectStorageOperator):
    """Dies when the bytes have been written and the file has not got its name yet."""

    def open_store(self) -> Any:
        store: Any = super().open_store()
        begin = store.begin

        def dying_begin(target: Any) -> Any:
            upload = begin(target)
            complete = upload.complete

            def dying_complete(content: Any) -> None:
                die_once(str(Path(target.key.removeprefix("file://")).parent), "during the transfer")
                complete(content)

            upload.complete = dying_complete
            return upload

        store.begin = dying_begin
        return store


def build(*, deferrable: bool) -> DAG:
    """The DAG, waiting in the triggerer or in the worker."""
    defaults = {"retries": 3, "retry_delay": timedelta(seconds=1)}
    with DAG(f"dying_{'deferred' if deferrable else 'blocking'}", schedule=None, default_args=defaults) as dag:
        create = DyingCreate(
            task_id="create",
            folder=FOLDER,
            sora_conn_id="sora_running",
            prompt="{{ dag_run.conf['prompt'] }}",
            seconds=1,
            size="64x64",
            deferrable=deferrable,
            poll_interval=0.5,
        )
        DyingMove(task_id="move", video=create.output, path="file://" + FOLDER + "/video.{extension}")
    return dag


def build_siblings() -> DAG:
    """Mapped tasks with one prompt, each in a folder of its own."""
    defaults = {"retries": 3, "retry_delay": timedelta(seconds=1)}
    with DAG("dying_siblings", schedule=None, default_args=defaults) as dag:
        create = DyingCreate.partial(
            task_id="create",
            sora_conn_id="sora_running",
            prompt="{{ dag_run.conf['prompt'] }}",
            seconds=1,
            size="64x64",
            deferrable=True,
            poll_interval=0.5,
        ).expand(folder=[f"{FOLDER}/{index}" for index in range(5)])
        SoraToObjectStorageOperator.partial(task_id="move", path="file://" + FOLDER + "/{id}.{extension}").expand(
            video=create.output
        )
    return dag


siblings_dag = build_siblings()
deferred_dag = build(deferrable=True)
blocking_dag = build(deferrable=False)
