#!/bin/sh
# Deploys, or destroys, one stage by the plain AWS command line:
#   scripts/deploy.sh deploy staging [AlarmEmail=a@example.com ...]    template parameters; they stay set at later deploys
#   scripts/deploy.sh destroy staging                                  DATA=delete: with its table and documents
#   scripts/deploy.sh delete-data staging TABLE BUCKET BUCKET           what a destroyed stage has left
# The region and the account are the command line's own (AWS_REGION, AWS_PROFILE). YES=1 asks nothing.
set -eu

action=${1:?deploy, destroy or delete-data} stage=${2:?staging or production}
stack="wordcounts-$stage" bootstrap=wordcounts-bootstrap built="build/$stage"
case "$stage" in staging | production) ;; *) echo "unknown stage: $stage" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" AWS_PAGER='' # the two versions of the command line read one each
shift 2

fail() { echo "$*" >&2; exit 1; }

output() { # stack, output's name
  value=$(aws cloudformation describe-stacks --stack-name "$1" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue")
  case "$value" in '' | None) fail "The stack $1 has no output $2." ;; esac
  echo "$value"
}

agree() {
  [ "${YES:-}" = 1 ] && return
  printf '%s [y/N] ' "$1"
  read -r answer
  [ "$answer" = y ]
}

status() {
  aws cloudformation describe-stacks --stack-name "$stack" --output text --query 'Stacks[0].StackStatus' 2>/dev/null || echo NONE
}

report() { # a number of build/$stage/report.json
  sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" "$built/report.json"
}

preflight() { # what would fail later, after minutes and half of the stack
  account=$(aws sts get-caller-identity --query Account --output text)
  agree "Deploy $stack to account $account in $region?" || exit 1
  if [ -z "${IMAGE:-}" ]; then
    engine=${ENGINE:-$(command -v docker || command -v podman)} ||
      fail "The worker's image needs docker or podman to be built; or name one that is there: IMAGE=repository@sha256:…"
    "$engine" run --rm --platform linux/arm64 docker.io/library/busybox true >&2 ||
      fail "$engine cannot run linux/arm64 here (with QEMU: apt install qemu-user-static binfmt-support); or name an image: IMAGE=…"
  fi
  [ "$kind" = CREATE ] || return 0
  for service in ecs ecs.application-autoscaling elasticache; do # which an account that never used them lacks
    aws iam create-service-linked-role --aws-service-name "$service.amazonaws.com" >/dev/null 2>&1 || :
  done
  free=$(aws lambda get-account-settings --query AccountLimit.UnreservedConcurrentExecutions --output text)
  reserved=$(report reserved_concurrency)
  [ "$reserved" = 0 ] || [ "$free" -ge $((reserved + 100)) ] ||
    fail "Lambda has $free concurrent executions to reserve from; $stage reserves $reserved and 100 must stay. Ask for more (quota L-B99A9384), or lower reserved_concurrency in .chalice/config.json."
  used=$(aws ec2 describe-addresses --query 'length(Addresses)' --output text)
  may=$(aws service-quotas get-service-quota --service-code ec2 --quota-code L-0263D0A3 --query Quota.Value --output text 2>/dev/null) || may=5
  [ "${may%.*}" -ge $((used + 2)) ] || case " $* " in
    *' NatGateways=0 '* | *' VpcId='*) ;;
    *) fail "$used of ${may%.*} Elastic IPs are used; the NAT gateways may need two (quota L-0263D0A3, or NatGateways=0)." ;;
  esac
}

push_image() { # prints the pushed image by digest
  repository=$(output "$bootstrap" Repository)
  tag="$repository:$stage"
  aws ecr get-login-password | "$engine" login --username AWS --password-stdin "${repository%%/*}" >&2
  "$engine" build --platform linux/arm64 ${BASE_DIGEST:+--build-arg "BASE_DIGEST=@$BASE_DIGEST"} --tag "$tag" . >&2
  "$engine" push "$tag" >&2
  digest=$(aws ecr describe-images --repository-name wordcounts --image-ids imageTag="$stage" --output text \
    --query 'imageDetails[0].imageDigest')
  echo "$repository@$digest"
}

parameters() { # Name=value ...: as JSON; those that are not given keep their former value
  former=''
  [ "$kind" = CREATE ] || former=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Parameters[].ParameterKey')
  given=' Stage ' all=''
  for pair in "$@"; do
    value=$(printf '%s' "${pair#*=}" | sed 's/[\\"]/\\&/g')
    given="$given${pair%%=*} " all="$all{\"ParameterKey\": \"${pair%%=*}\", \"ParameterValue\": \"$value\"}, "
  done
  known=$(aws cloudformation get-template-summary --template-url "$url" --output text --query 'Parameters[].ParameterKey')
  for name in $former; do # not what the template no longer has
    case "$given" in *" $name "*) continue ;; esac
    case " $(echo $known) " in *" $name "*) all="$all{\"ParameterKey\": \"$name\", \"UsePreviousValue\": true}, " ;; esac
  done
  printf '[%s]\n' "${all%, }" # not echo, which reads backslashes in some shells
}

watched() { # the alarms that turn an update back, while it runs and for some minutes after it
  minutes=0 triggers=''
  [ "$stage" = staging ] || minutes=5
  for alarm in ApiErrorsAlarm WorkersAlarm; do
    name=$(aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id $alarm --output text \
      --query StackResourceDetail.PhysicalResourceId 2>/dev/null) || continue
    arn=$(aws cloudwatch describe-alarms --alarm-names "$name" --output text --query 'MetricAlarms[0].AlarmArn')
    triggers="$triggers{\"Arn\": \"$arn\", \"Type\": \"AWS::CloudWatch::Alarm\"}, "
  done
  echo "{\"RollbackTriggers\": [${triggers%, }], \"MonitoringTimeInMinutes\": $minutes}"
}

failed() { # says why, from the events since the change was made
  aws cloudformation describe-stack-events --stack-name "$stack" --output text --query \
    "StackEvents[?contains(ResourceStatus, 'FAILED') && Timestamp >= '$since'].[LogicalResourceId, ResourceStatus, ResourceStatusReason]" >&2
  if [ "$kind" = CREATE ]; then
    echo "The first deploy failed; what it had made is deleted." >&2
    aws cloudformation delete-stack --stack-name "$stack"
    aws cloudformation wait stack-delete-complete --stack-name "$stack"
  fi
  exit 1
}

deploy() { # Name=value ...: template parameters
  grep -q '"page": true' "$built/report.json" || fail "The package has no page: run make package with node."
  kind=UPDATE
  case "$(status)" in
    NONE | REVIEW_IN_PROGRESS) kind=CREATE ;; # in review: only a change set was ever made
    ROLLBACK_COMPLETE | ROLLBACK_FAILED | DELETE_FAILED)
      fail "What is left of $stack must go first: aws cloudformation delete-stack --stack-name $stack" ;;
  esac
  preflight "$@"
  aws cloudformation deploy --stack-name "$bootstrap" --template-file infra/bootstrap.yaml --no-fail-on-empty-changeset
  bucket=$(output "$bootstrap" Packages)
  image=${IMAGE:-$(push_image)}
  aws cloudformation package --template-file "$built/package/sam.json" --s3-bucket "$bucket" --s3-prefix "$stage" \
    --use-json --output-template-file "$built/deploy.json" >/dev/null
  template="templates/$stage-$(sha256sum "$built/deploy.json" | cut -c1-16).json"
  aws s3 cp --only-show-errors "$built/deploy.json" "s3://$bucket/$template"
  url="https://s3.$region.amazonaws.com/$bucket/$template"
  since=$(date -u +%Y-%m-%dT%H:%M:%S)
  change="deploy-$(date -u +%Y%m%d-%H%M%S)"
  all=$(parameters "WorkerImage=$image" "$@")
  rollback='{}'
  [ "$kind" = CREATE ] || rollback=$(watched)
  aws cloudformation create-change-set --stack-name "$stack" --change-set-name "$change" --change-set-type $kind \
    --template-url "$url" --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --rollback-configuration "$rollback" \
    --tags Key=Project,Value=wordcounts Key=Stage,Value="$stage" --parameters "$all" >/dev/null
  aws cloudformation wait change-set-create-complete --stack-name "$stack" --change-set-name "$change" 2>/dev/null || {
    reason=$(aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" \
      --output text --query StatusReason)
    aws cloudformation delete-change-set --stack-name "$stack" --change-set-name "$change"
    case "$reason" in
      *"didn't contain changes"* | *"No updates are to be performed"*) echo "Nothing to change."; return ;;
    esac
    fail "$reason"
  }
  aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" --output table \
    --query 'Changes[].ResourceChange.[Action, LogicalResourceId, ResourceType, Replacement]'
  agree "Apply these changes to $stack?" || fail "Left as change set $change."
  aws cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change"
  aws cloudformation wait "stack-$(echo $kind | tr '[:upper:]' '[:lower:]')-complete" --stack-name "$stack" || failed
  if [ "$stage" = production ]; then
    aws cloudformation update-termination-protection --enable-termination-protection --stack-name "$stack" >/dev/null
    aws cloudformation set-stack-policy --stack-name "$stack" --stack-policy-body file://infra/stack-policy.json
  fi
  aws cloudformation describe-stacks --stack-name "$stack" --output table --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]'
}

destroy() {
  table=$(output "$stack" TableName) bucket=$(output "$stack" DocumentsBucket) texts=$(output "$stack" TextsBucket)
  if [ "${DATA:-keep}" = delete ]; then
    agree "Delete $stack AND its data: table $table, buckets $bucket and $texts?" || exit 1
  else
    agree "Delete $stack? Its table $table and buckets $bucket and $texts are kept." || exit 1
  fi
  aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name "$stack" >/dev/null
  aws cloudformation delete-stack --stack-name "$stack"
  aws cloudformation wait stack-delete-complete --stack-name "$stack" || # an hour; the functions' network may take as long
    fail "Not deleted yet. Wait again: aws cloudformation wait stack-delete-complete --stack-name $stack
The data is still there; to delete it afterwards: scripts/deploy.sh delete-data $stage $table $bucket $texts"
  [ "${DATA:-keep}" = delete ] || { echo "Kept: table $table, buckets $bucket and $texts."; exit 0; }
  delete_data "$table" "$bucket" "$texts"
}

delete_data() { # table, buckets
  aws dynamodb update-table --table-name "$1" --no-deletion-protection-enabled >/dev/null
  aws dynamodb wait table-exists --table-name "$1"
  aws dynamodb delete-table --table-name "$1" >/dev/null
  shift
  for bucket in "$@"; do
    # A versioned bucket is empty when its versions and delete markers are: 500 at a time.
    while :; do
      versions=$(aws s3api list-object-versions --bucket "$bucket" --max-items 500 --output json \
        --query '{Objects: [Versions, DeleteMarkers][] | [].{Key: Key, VersionId: VersionId}}')
      case "$versions" in *'"Key"'*) ;; *) break ;; esac
      # By standard input: long keys would be too much for an argument.
      printf '%s' "$versions" | aws s3api delete-objects --bucket "$bucket" --delete file:///dev/stdin >/dev/null
    done
    aws s3api delete-bucket --bucket "$bucket"
  done
}

case "$action" in
  deploy) deploy "$@" ;;
  destroy) destroy ;;
  delete-data) agree "Delete table ${1:?table} and buckets ${2:?bucket} ${3:-}?" && delete_data "$@" ;;
  *) echo "unknown action: $action" >&2; exit 2 ;;
esac
