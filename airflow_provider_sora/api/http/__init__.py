"""Exchanges over HTTP: each one written once, as a flow of steps that the sync and the async client drive."""
