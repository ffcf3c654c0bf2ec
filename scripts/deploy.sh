#!/bin/sh
# Deploys, or destroys, one stage by the plain AWS command line:
#   scripts/deploy.sh deploy staging [AlarmEmail=a@example.com ...]    template parameters; they stay set at later deploys
#   scripts/deploy.sh destroy staging
# The region and the account are the command line's own (AWS_REGION, AWS_PROFILE). YES=1 asks nothing.
set -eu

action=${1:?deploy or destroy} stage=${2:?staging or production}
stack="wordcounts-$stage" bootstrap=wordcounts-bootstrap built="build/$stage"
case "$stage" in staging | production) ;; *) echo "unknown stage: $stage" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" # the two versions of the command line read one each
shift 2

output() { # stack, output's name
  value=$(aws cloudformation describe-stacks --stack-name "$1" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue")
  case "$value" in '' | None) echo "The stack $1 has no output $2." >&2; return 1 ;; esac
  echo "$value"
}

agree() {
  [ "${YES:-}" = 1 ] && return
  printf '%s [y/N] ' "$1"
  read -r answer
  [ "$answer" = y ]
}

push_image() { # prints the pushed image by digest
  engine=${ENGINE:-$(command -v docker || command -v podman)}
  repository=$(output "$bootstrap" Repository)
  tag="$repository:$stage"
  aws ecr get-login-password | "$engine" login --username AWS --password-stdin "${repository%%/*}" >&2
  "$engine" build --platform linux/arm64 --tag "$tag" . >&2
  "$engine" push "$tag" >&2
  digest=$(aws ecr describe-images --repository-name wordcounts --image-ids imageTag="$stage" --output text \
    --query 'imageDetails[0].imageDigest')
  echo "$repository@$digest"
}

status() {
  aws cloudformation describe-stacks --stack-name "$stack" --output text --query 'Stacks[0].StackStatus' 2>/dev/null || echo NONE
}

deploy() { # Name=value ...: template parameters; those that are not given keep their former value
  grep -q '"page": true' "$built/report.json" || { echo "The package has no page: run make package with node." >&2; exit 1; }
  former=''
  case "$(status)" in
    NONE | REVIEW_IN_PROGRESS) kind=CREATE waited=stack-create-complete ;; # in review: only a change set was ever made
    ROLLBACK_COMPLETE | ROLLBACK_FAILED)
      echo "The first deploy of $stack failed; its events say why. Delete what is left, then deploy again:" >&2
      echo "aws cloudformation delete-stack --stack-name $stack" >&2
      exit 1 ;;
    *) kind=UPDATE waited=stack-update-complete
      former=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
        --query 'Stacks[0].Parameters[].ParameterKey')
      former=$(echo "$former" | tr '\t' ' ') ;; # not in the pipe above, which would hide that the answer failed
  esac
  aws cloudformation deploy --stack-name "$bootstrap" --template-file infra/bootstrap.yaml --no-fail-on-empty-changeset
  bucket=$(output "$bootstrap" Packages)
  image=${IMAGE:-$(push_image)}
  aws cloudformation package --template-file "$built/package/sam.json" --s3-bucket "$bucket" --s3-prefix "$stage" \
    --use-json --output-template-file "$built/deploy.json" >/dev/null
  template="templates/$stage-$(sha256sum "$built/deploy.json" | cut -c1-16).json"
  aws s3 cp --only-show-errors "$built/deploy.json" "s3://$bucket/$template"
  url="https://$bucket.s3.$region.amazonaws.com/$template"

  given=' Stage ' parameters=''
  for pair in "WorkerImage=$image" "$@"; do
    name=${pair%%=*}
    value=$(printf '%s' "${pair#*=}" | sed 's/[\\"]/\\&/g')
    given="$given$name " parameters="$parameters{\"ParameterKey\": \"$name\", \"ParameterValue\": \"$value\"}, "
  done
  known=$(aws cloudformation get-template-summary --template-url "$url" --output text --query 'Parameters[].ParameterKey')
  for name in $known; do
    case "$given" in *" $name "*) continue ;; esac
    case " $former " in *" $name "*) parameters="$parameters{\"ParameterKey\": \"$name\", \"UsePreviousValue\": true}, " ;; esac
  done
  change="deploy-$(date -u +%Y%m%d-%H%M%S)"
  aws cloudformation create-change-set --stack-name "$stack" --change-set-name "$change" --change-set-type $kind \
    --template-url "$url" --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
    --tags Key=Project,Value=wordcounts Key=Stage,Value="$stage" --parameters "[${parameters%, }]" >/dev/null
  aws cloudformation wait change-set-create-complete --stack-name "$stack" --change-set-name "$change" || {
    reason=$(aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" \
      --output text --query StatusReason)
    aws cloudformation delete-change-set --stack-name "$stack" --change-set-name "$change"
    case "$reason" in
      *"didn't contain changes"* | *"No updates are to be performed"*) echo "Nothing to change."; return ;;
    esac
    echo "$reason" >&2
    exit 1
  }
  aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change" --output table \
    --query 'Changes[].ResourceChange.[Action, LogicalResourceId, ResourceType, Replacement]'
  agree "Apply these changes to $stack?" || { echo "Left as change set $change."; exit 1; }
  aws cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change"
  aws cloudformation wait $waited --stack-name "$stack"
  aws cloudformation describe-stacks --stack-name "$stack" --output table --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]'
}

destroy() {
  table=$(output "$stack" TableName) bucket=$(output "$stack" DocumentsBucket) texts=$(output "$stack" TextsBucket)
  if [ "${DATA:-keep}" = delete ]; then
    agree "Delete $stack AND its data: table $table, buckets $bucket and $texts?" || exit 1
  else
    agree "Delete $stack? Its table $table and buckets $bucket and $texts are kept." || exit 1
  fi
  aws cloudformation delete-stack --stack-name "$stack"
  aws cloudformation wait stack-delete-complete --stack-name "$stack"
  [ "${DATA:-keep}" = delete ] || { echo "Kept: table $table, buckets $bucket and $texts."; exit 0; }
  aws dynamodb update-table --table-name "$table" --no-deletion-protection-enabled >/dev/null
  aws dynamodb wait table-exists --table-name "$table"
  aws dynamodb delete-table --table-name "$table" >/dev/null
  remove_bucket "$bucket"
  remove_bucket "$texts"
}

remove_bucket() {
  # A versioned bucket is empty when its versions and delete markers are: 500 at a time.
  while :; do
    versions=$(aws s3api list-object-versions --bucket "$1" --max-items 500 --output json \
      --query '{Objects: [Versions, DeleteMarkers][] | [].{Key: Key, VersionId: VersionId}}')
    case "$versions" in *'"Key"'*) ;; *) break ;; esac
    # By standard input: long keys would be too much for an argument.
    printf '%s' "$versions" | aws s3api delete-objects --bucket "$1" --delete file:///dev/stdin >/dev/null
  done
  aws s3api delete-bucket --bucket "$1"
}

case "$action" in
  deploy) deploy "$@" ;;
  destroy) destroy ;;
  *) echo "unknown action: $action" >&2; exit 2 ;;
esac
