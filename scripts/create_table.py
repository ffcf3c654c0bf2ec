"""Make the table that the settings name where it is not there yet, on the DynamoDB that the environment points at.

usage: TABLE_NAME=… AWS_ENDPOINT_URL_DYNAMODB=… python -m scripts.create_table [--recover]

With --recover, for a caller who knows that no worker lives: the jobs that one had go on the queue again at once.
"""

import sys

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import jobs, settings, sweeping
from chalicelib.aws.clients import client
from chalicelib.store import records


def main(arguments: list[str]) -> None:
    try:
        name = settings.load().table_name
        made = records.create_table(client("dynamodb"), name)
        if not made and "--recover" in arguments:
            sweeping.recover_all()
    # a bad setting, or an endpoint that is no address
    except (ValueError, BotoCoreError, ClientError, jobs.Unavailable) as error:
        sys.exit(next(iter(str(error).splitlines()), type(error).__name__))  # what is none may answer a whole page
    print(f"table {name}: {'made' if made else 'already there'}")


if __name__ == "__main__":
    main(sys.argv[1:])
