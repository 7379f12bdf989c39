"""What operators, sensors, transfers and triggers share: arguments, failures, retries, log lines, claims."""
