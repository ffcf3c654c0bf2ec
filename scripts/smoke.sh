#!/bin/sh
# Uses a deployed stage as its callers do, by each way in, and erases what it made: scripts/smoke.sh staging
# About two minutes (three where no worker runs yet), under one cent. The region and the account are the command line's own.
set -eu
stage=${1:?staging or production} stack="wordcounts-$1" owner="smoke-$$"
cd "$(dirname "$0")/.."
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" AWS_PAGER=''

out() { # an output of the stack
  aws cloudformation describe-stacks --stack-name "$stack" --output text --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}
TABLE_NAME=$(out TableName) url=${URL:-$(out EndpointURL)} bus=$(out BusName) bucket=$(out DocumentsBucket)
export TABLE_NAME
token() { .venv/bin/python -m scripts.tokens make "$1" --owner "$2" --days 1 2>/dev/null; }
mine=$(token "$owner" "$owner") outside=$(token "$owner-events" events)
trap 'for each in "$mine" "$outside"; do echo "$each" | .venv/bin/python -m scripts.tokens revoke - >/dev/null; done' EXIT

ask() { # token, path, curl's options
  bearer=$1 path=$2
  shift 2
  curl -sS --fail-with-body --max-time 40 ${HOST:+-H "Host: $HOST"} -H "Authorization: Bearer $bearer" "$@" "${url%/}/$path"
}
id_of() { sed -n 's/.*"id":"\([0-9a-f]\{32\}\)".*/\1/p' | head -n 1; }

finished() { # way, token, id: waits for the job, shows its first word, erases it
  for _ in $(seq 15); do # three minutes
    job=$(ask "$2" "jobs/$3" -H 'Prefer: wait=10')
    case "$job" in *'"state":"succeeded"'*) break ;; *'"state":"failed"'* | *'"state":"canceled"'*) echo "$1: $job" >&2; exit 1 ;; esac
    sleep 2
  done
  case "$job" in *'"state":"succeeded"'*) ;; *) echo "$1: job $3 has not ended: does a worker run? $job" >&2; exit 1 ;; esac
  case "$(ask "$2" "jobs/$3/words?limit=1")" in *'"word":"whales"'*) ;; *) echo "$1: job $3 has not the words that were sent" >&2; exit 1 ;; esac
  ask "$2" "jobs/$3" -X DELETE
  echo "$1: counted and erased"
}

ask "$mine" health
echo
finished HTTP "$mine" "$(ask "$mine" jobs -H 'Content-Type: application/json' -d '{"text": "whales"}' | id_of)"

came() { # way: the newest job of the owner of events that was not there before
  for _ in $(seq 60); do
    id=$(ask "$outside" 'jobs?limit=1' | id_of)
    [ -z "$id" ] || [ "$id" = "$before" ] || { finished "$1" "$outside" "$id"; return; }
    sleep 2
  done
  echo "$1: no job came within two minutes" >&2
  exit 1
}
before() { before=$(ask "$outside" 'jobs?limit=1' | id_of); }

before
aws sqs send-message --queue-url "$(out SubmissionsUrl)" --message-body '{"text": "whales"}' >/dev/null
came SQS
before
printf whales | aws s3 cp --only-show-errors - "s3://$bucket/inbox/$owner.txt"
came S3
aws s3 rm --only-show-errors "s3://$bucket/inbox/$owner.txt"
before
aws events put-events --entries \
  "[{\"EventBusName\": \"$bus\", \"Source\": \"smoke\", \"DetailType\": \"Word Count Requested\", \"Detail\": \"{\\\"text\\\": \\\"whales\\\"}\"}]" >/dev/null
came EventBridge
aws cloudwatch list-metrics --namespace Wordcounts --output text --query 'Metrics[].MetricName' | tr '\t' '\n' | sort -u | paste -sd ' ' -
