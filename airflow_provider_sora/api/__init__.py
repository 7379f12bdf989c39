"""The Videos API. Nothing in here imports Airflow.

Layers, each of which imports only those below it: `poller`, `client`, `content`, `http`, `decisions`, `protocol`.
"""
