"""The smoke test: a new stack in an AWS account watches a short simulated day."""
