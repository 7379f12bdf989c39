"""Airflow provider for the Videos API ("Sora"): make videos from a DAG and find the files in your storage."""

__version__ = "0.1.0"
