"""The Videos API as values: what may be asked for, how it is encoded, what the responses mean."""
