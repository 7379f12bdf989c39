"""The metadata by which Airflow discovers this package, as plain data, without importing the rest of the package."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Sora (Videos API)"


def _modules(kind: str, *names: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_sora.{kind}.{name}" for name in names]}
    ]


_JSON_OBJECT = {"type": ["object", "string", "null"]}

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "auth": {
        "label": "Auth scheme",
        "description": "How the API key is sent: bearer, api-key (Azure), or none",
        "schema": {"type": ["string", "null"], "enum": ["bearer", "api-key", "none"], "default": "bearer"},
    },
    "headers": {
        "label": "Headers",
        "description": 'Sent with every request, as JSON: {"name": "value"}',
        "schema": _JSON_OBJECT,
    },
    "query": {
        "label": "Query parameters",
        "description": 'Sent with every request, as JSON: {"custom_llm_provider": "openai"}',
        "schema": _JSON_OBJECT,
    },
    "timeout": {
        "label": "Read/write timeout",
        "description": "Read/write timeout in seconds",
        "schema": {"type": ["number", "null"], "default": 60},
    },
    "connect_timeout": {
        "label": "Connect timeout",
        "description": "Connect timeout in seconds",
        "schema": {"type": ["number", "null"], "default": 10},
    },
    "total_timeout": {
        "label": "Total timeout",
        "description": "Limit for a whole request and response in seconds; not for the content of a video",
        "schema": {"type": ["number", "null"], "default": 300},
    },
    "low_speed_limit": {
        "label": "Low speed limit",
        "description": "In bytes per second; a download that is slower for the low speed time is resumed; 0: no limit",
        "schema": {"type": ["number", "null"], "default": 1024},
    },
    "low_speed_time": {
        "label": "Low speed time",
        "description": "Over how many seconds the speed of a download is measured",
        "schema": {"type": ["number", "null"], "default": 60},
    },
    "encoding": {
        "label": "Encoding",
        "description": "How request bodies are sent: auto (as the server accepts them), json, or multipart",
        "schema": {"type": ["string", "null"], "enum": ["auto", "json", "multipart"], "default": "auto"},
    },
    "allow_private_urls": {
        "label": "Allow private URLs",
        "description": "Also fetch images and redirected content from local and private addresses",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "allowed_paths": {
        "label": "Allowed paths",
        "description": "JSON list of files and folders that tasks may send to the server; empty: [sora] allowed_paths",
        "schema": {"type": ["array", "string", "null"]},
    },
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "Limit for the status checks of one triggerer; empty: no limit",
        "schema": {"type": ["number", "null"]},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true, false, or the path of a CA bundle",
        "schema": {"type": ["string", "null"], "default": "true"},
    },
}

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "login", "port"],
    "relabeling": {"host": "Base URL", "password": "API key"},
    "placeholders": {"host": "https://videos.example.com/v1", "password": "API key of the server"},
}


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-sora",
        "name": _INTEGRATION,
        "description": "Create videos on any server that implements the Videos API, and transfer them to your storage.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://platform.openai.com/docs/api-reference/videos",
                "tags": ["service"],
            }
        ],
        "operators": _modules("operators", "sora"),
        "sensors": _modules("sensors", "sora"),
        "hooks": _modules("hooks", "sora"),
        "triggers": _modules("triggers", "sora", "completed"),
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": target,
                "python-module": f"airflow_provider_sora.transfers.{module}",
            }
            for target, module in (
                ("Amazon Simple Storage Service (S3)", "sora_to_s3"),
                ("Google Cloud Storage (GCS)", "sora_to_gcs"),
                ("Common IO", "sora_to_object_storage"),
                ("Local", "sora_to_local"),
            )
        ],
        "config": {
            "sora": {
                "description": "The Sora (Videos API) provider.",
                "options": {
                    "allowed_paths": {
                        "description": (
                            "Comma-separated files and folders on the workers that tasks may send to a server "
                            "(input_reference, video); allowed_paths of a connection takes precedence. Empty: any file."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/mnt/images,/data/storyboards",
                        "default": "",
                    }
                },
            }
        },
        "connection-types": [
            {
                "connection-type": "sora",
                "hook-class-name": "airflow_provider_sora.hooks.sora.SoraHook",
                "hook-name": _INTEGRATION,
                "conn-fields": CONN_FIELDS,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
            }
        ],
    }
