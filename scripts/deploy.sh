#!/bin/sh
# Deploys, or destroys, one stage by the plain AWS command line:  scripts/deploy.sh deploy|destroy staging|production
# The region and the account are the command line's own (AWS_REGION, AWS_PROFILE). YES=1 asks nothing.
# PARAMETERS="VpcId=vpc-1 AlarmEmail=a@example.com" sets template parameters; they stay set at the next deploy.
set -eu

action=${1:?deploy or destroy} stage=${2:?staging or production}
stack="wordcounts-$stage" bootstrap=wordcounts-bootstrap built="build/$stage"
case "$stage" in staging | production) ;; *) echo "unknown stage: $stage" >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}

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

parameters() { # what is given, and the former value of what is not
  given="WorkerImage=$1 ${PARAMETERS:-}"
  former=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Parameters[].ParameterKey' 2>/dev/null || true)
  for pair in $given; do
    # Commas inside a list's value would end the pair for the command line.
    printf 'ParameterKey=%s,ParameterValue=%s\n' "${pair%%=*}" "$(echo "${pair#*=}" | sed 's/,/\\,/g')"
  done
  for name in $former; do
    case " $given" in
      *" $name="*) ;;
      *) [ "$name" = Stage ] || printf 'ParameterKey=%s,UsePreviousValue=true\n' "$name" ;;
    esac
  done
}

deploy() {
  grep -q '"page": true' "$built/report.json" || { echo "The package has no page: run make package with node." >&2; exit 1; }
  aws cloudformation deploy --stack-name "$bootstrap" --template-file infra/bootstrap.yaml --no-fail-on-empty-changeset
  bucket=$(output "$bootstrap" Packages)
  image=${IMAGE:-$(push_image)}
  aws cloudformation package --template-file "$built/package/sam.json" --s3-bucket "$bucket" --s3-prefix "$stage" \
    --use-json --output-template-file "$built/deploy.json" >/dev/null
  template="templates/$stage-$(sha256sum "$built/deploy.json" | cut -c1-16).json"
  aws s3 cp --only-show-errors "$built/deploy.json" "s3://$bucket/$template"
  kind=UPDATE
  aws cloudformation describe-stacks --stack-name "$stack" >/dev/null 2>&1 || kind=CREATE
  name="deploy-$(date -u +%Y%m%d-%H%M%S)"
  # shellcheck disable=SC2046  # one word a parameter is meant
  aws cloudformation create-change-set --stack-name "$stack" --change-set-name "$name" --change-set-type $kind \
    --template-url "https://$bucket.s3.$region.amazonaws.com/$template" \
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --tags Key=Project,Value=wordcounts Key=Stage,Value="$stage" \
    --parameters $(parameters "$image") >/dev/null
  aws cloudformation wait change-set-create-complete --stack-name "$stack" --change-set-name "$name" || {
    aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$name" --query StatusReason
    exit 1
  }
  aws cloudformation describe-change-set --stack-name "$stack" --change-set-name "$name" --output table \
    --query 'Changes[].ResourceChange.[Action, LogicalResourceId, ResourceType, Replacement]'
  agree "Apply these changes to $stack?" || { echo "Left as change set $name."; exit 1; }
  aws cloudformation execute-change-set --stack-name "$stack" --change-set-name "$name"
  if [ $kind = CREATE ]; then waited=stack-create-complete; else waited=stack-update-complete; fi
  aws cloudformation wait $waited --stack-name "$stack"
  aws cloudformation describe-stacks --stack-name "$stack" --output table --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]'
}

destroy() {
  table=$(output "$stack" TableName) bucket=$(output "$stack" DocumentsBucket)
  if [ "${DATA:-keep}" = delete ]; then
    agree "Delete $stack AND its data: table $table, bucket $bucket?" || exit 1
  else
    agree "Delete $stack? Its table $table and bucket $bucket are kept." || exit 1
  fi
  aws cloudformation delete-stack --stack-name "$stack"
  aws cloudformation wait stack-delete-complete --stack-name "$stack"
  [ "${DATA:-keep}" = delete ] || { echo "Kept: table $table, bucket $bucket."; exit 0; }
  aws dynamodb update-table --table-name "$table" --no-deletion-protection-enabled >/dev/null
  aws dynamodb wait table-exists --table-name "$table"
  aws dynamodb delete-table --table-name "$table" >/dev/null
  # A versioned bucket is empty when its versions and delete markers are: 500 at a time.
  while :; do
    versions=$(aws s3api list-object-versions --bucket "$bucket" --max-items 500 --output json \
      --query '{Objects: [Versions, DeleteMarkers][] | [].{Key: Key, VersionId: VersionId}}')
    case "$versions" in *'"Key"'*) ;; *) break ;; esac
    aws s3api delete-objects --bucket "$bucket" --delete "$versions" >/dev/null
  done
  aws s3api delete-bucket --bucket "$bucket"
}

case "$action" in
  deploy) deploy ;;
  destroy) destroy ;;
  *) echo "unknown action: $action" >&2; exit 2 ;;
esac
