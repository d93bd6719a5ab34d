#!/usr/bin/env bash
# The AWS CLI, unmodified, on mappings of a stream and a queue. Arguments: the CLI. The server is named by the environment.
set -euo pipefail
aws() { "$CLI" "$@"; }
CLI=$1
esm() { aws lambda "$@"; }
STREAM=arn:aws:kinesis:us-east-1:000000000000:stream/orders
QUEUE=arn:aws:sqs:us-east-1:000000000000:jobs

fail() { echo "$*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "'$1' is not '$2'"; }
wait_for() { # UUID STATE
    local tries
    for tries in $(seq 60); do
        [ "$(esm get-event-source-mapping --uuid "$1" --query State --output text)" = "$2" ] && return
        sleep 0.2
    done
    fail "$1 is not $2 after $tries looks"
}

is "$(aws sts get-caller-identity --query Account --output text)" 000000000000
is "$(esm get-function --function-name f --query Configuration.FunctionName --output text)" f

of_stream=$(esm create-event-source-mapping --function-name f --event-source-arn "$STREAM" \
    --starting-position LATEST --parallelization-factor 2 --bisect-batch-on-function-error \
    --maximum-retry-attempts 5 --maximum-record-age-in-seconds 3600 \
    --destination-config '{"OnFailure":{"Destination":"'"$QUEUE"'"}}' --query UUID --output text)
of_queue=$(esm create-event-source-mapping --function-name f --event-source-arn "$QUEUE" --batch-size 5 \
    --scaling-config MaximumConcurrency=3 --tags team=a --query UUID --output text)
wait_for "$of_stream" Enabled
wait_for "$of_queue" Enabled

is "$(esm list-event-source-mappings --page-size 1 --query 'length(EventSourceMappings)')" 2
is "$(esm list-event-source-mappings --event-source-arn "$QUEUE" --query 'EventSourceMappings[].UUID' --output text)" "$of_queue"
is "$(esm get-event-source-mapping --uuid "$of_stream" --query DestinationConfig.OnFailure.Destination --output text)" "$QUEUE"

esm update-event-source-mapping --uuid "$of_stream" --no-enabled > /dev/null
wait_for "$of_stream" Disabled
esm update-event-source-mapping --uuid "$of_queue" --batch-size 9 --scaling-config '{}' > /dev/null
wait_for "$of_queue" Enabled
is "$(esm get-event-source-mapping --uuid "$of_queue" --query '[BatchSize,ScalingConfig]' --output text)" "9	None"

arn=$(esm get-event-source-mapping --uuid "$of_queue" --query EventSourceMappingArn --output text)
is "$(esm list-tags --resource "$arn" --query Tags.team --output text)" a
esm tag-resource --resource "$arn" --tags owner=b
esm untag-resource --resource "$arn" --tag-keys team
is "$(esm list-tags --resource "$arn" --output text --query 'keys(Tags)')" owner

# An error is told in AWS's words, with the exit code of a refused request.
code=0
said=$(esm create-event-source-mapping --function-name f --event-source-arn "$QUEUE" 2>&1) || code=$?
is "$code" 255
case $said in *"(ResourceConflictException)"*"already exists"*) ;; *) fail "$said" ;; esac

for uuid in "$of_stream" "$of_queue"; do
    is "$(esm delete-event-source-mapping --uuid "$uuid" --query State --output text)" Deleting
done
