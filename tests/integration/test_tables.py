"""The contract of the table adapters on moto, or on the DynamoDB at AWS_ENDPOINT_URL_DYNAMODB."""

from tests.unit.test_tables import *  # noqa: F403 - the same cases, with the tables of these fixtures
