"""The tables, queues, topics and parameters: boto3 lives here and nowhere else."""
