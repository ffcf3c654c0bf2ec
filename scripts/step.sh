#!/bin/sh
# One step of the installation. The terminal gets a line; the output of the command goes to .venv/install.log, and its end
# to the terminal when the command fails. STAMP is touched when it succeeds.
# usage: scripts/step.sh STAMP "what is done" command …
stamp=$1 what=$2 log=.venv/install.log
shift 2
umask 022 # whatever the caller's is: NLTK does not read data that others may write
mkdir -p .venv
echo "$what"
{ echo; echo "$(date) $what: $*"; } >>"$log"
before=$(wc -c <"$log")
"$@" >>"$log" 2>&1 </dev/null && touch "$stamp" && exit 0
status=$?
output() { tail -c "+$((before + 1))" "$log"; }
output | grep -v '^WARNING: Retrying' | tail -n 12 | sed 's/^/  /' >&2
offline='name resolution|Name or service not known|nodename nor servname|Network is unreachable|No route to host|timed out'
offline="$offline|Connection refused|NewConnectionError|ProxyError|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENETUNREACH"
if output | grep -Eq "$offline"; then echo "It failed. No network? A package index could not be reached." >&2; fi
echo "The whole log: $PWD/$log" >&2
exit "$status"
