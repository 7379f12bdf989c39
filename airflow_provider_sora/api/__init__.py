"""The Videos API: requests, answers and the two clients. Nothing in here imports Airflow."""
