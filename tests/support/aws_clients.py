"""boto3's clients for tests. They leave out what takes longer than a double does and what no test looks at."""

from functools import cache

import boto3


class QuickSession(boto3.Session):
    """Makes clients that say the same of themselves in every request."""

    def client(self, *arguments, **more):
        return with_fixed_user_agent(super().client(*arguments, **more))


@cache
def quick_session():
    """Return the session of this process: each new one reads AWS's models again."""
    return QuickSession()


def with_fixed_user_agent(client):
    """Have botocore not put together for each request which software sends it."""
    creator = client._user_agent_creator
    said = creator.to_string()
    creator.to_string = lambda: said
    return client


def with_fixed_endpoint(client):
    """Have botocore not ask its rules for each request where the service is; for services at one address."""
    client._ruleset_resolver = None
    return client
