#!/usr/bin/env bash
# The program against an AWS stand-in that is not ours, which it is pointed at by its environment alone: two
# accounts are set up, one `run` copies the tables of one into the other, and boto3 compares every item.
#
#   tests/stand-in.sh [ministack|localstack]
#
# Needs Python 3.10 for ministack; Python 3.12, npm and Java 17 for LocalStack. A stand-in that cannot be
# installed here is said to be skipped. BINARY names the program to test instead of target/debug's; what is
# installed is kept in the user's cache directory.
set -euo pipefail

readonly BACKUP_ACCOUNT=222222222222 SOURCE_ACCOUNT=111111111111 REGION=eu-west-1
readonly BUCKET=dynamodb-backup-archive ROLE=dynamodb-backup-source EXTERNAL_ID=stand-in-external-id
readonly MINISTACK=1.5.33 LOCALSTACK=4.14.0 BOTO3=1.43.106 DYNAMODB_LOCAL=amplify-dynamodb-simulator@2.9.30

stand_in="${1:-ministack}"
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/dynamodb-backup-ci"
work="$(mktemp -d)"
server=""

skip() { echo "skipped: $stand_in: $1"; exit 0; }
fail() { echo "FAILED: $stand_in: $1"; exit 1; }

# Stops the stand-in with all its children: it leads a process group of its own.
clean_up() {
  if [ -n "$server" ]; then kill -- "-$server" 2>/dev/null && wait "$server" 2>/dev/null; fi
  rm -rf "$work"
}
trap clean_up EXIT

# install DIRECTORY FUNCTION: once; without success nothing is left that looks installed.
install() {
  [ -e "$1/installed" ] && return
  rm -rf "$1" && mkdir -p "$1"
  echo "installing $stand_in ..."
  (cd "$1" && "$2") >"$work/install.log" 2>&1 || skip "cannot be installed: $(tail -n 1 "$work/install.log")"
  touch "$1/installed"
}

install_ministack() {
  python3 -m venv venv && venv/bin/pip install "ministack==$MINISTACK" "boto3==$BOTO3"
}

start_ministack() {
  # AUTH makes it check trust policies, external ids and the policies of roles. Without IOT_MTLS_ENABLED=0 it
  # listens on a second port, on all interfaces.
  GATEWAY_PORT=$port BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 AUTH=true IOT_MTLS_ENABLED=0 LOG_LEVEL=WARNING \
    exec "$home/venv/bin/ministack"
}

# Python 3.11 is allowed by the package, but every service fails with a SyntaxError. Dependencies younger than
# the release break its start, hence the date. Host mode looks for DynamoDB Local and a JVM where its container
# has them, and starts Java with an agent that only the container has.
install_localstack() {
  local python
  python="$(first_of python3.13 python3.12)" || { echo "Python 3.12 or 3.13 is missing"; return 1; }
  command -v npm || { echo "npm is missing"; return 1; }
  command -v java || { echo "java is missing"; return 1; }
  "$python" -m venv venv && venv/bin/pip install "pip>=26" || return
  venv/bin/pip install --uploaded-prior-to 2026-03-15T00:00:00Z "localstack-core[runtime]==$LOCALSTACK" || return
  npm pack "$DYNAMODB_LOCAL" && tar xzf amplify-dynamodb-simulator-*.tgz || return
  local lib=root/var/lib/localstack/lib
  mkdir -p "$lib/dynamodb-local" "$lib/java/21/bin" && mv package/emulator "$lib/dynamodb-local/2" || return
  cat >"$lib/java/21/bin/java" <<'JAVA'
#!/usr/bin/env bash
for argument; do
  shift
  case "$argument" in -javaagent:*) ;; *) set -- "$@" "$argument" ;; esac
done
exec "$(command -v java)" "$@"
JAVA
  chmod +x "$lib/java/21/bin/java"
}

# It listens on all interfaces, whatever GATEWAY_LISTEN says.
start_localstack() {
  OVERRIDE_IN_DOCKER=0 FILESYSTEM_ROOT=$home/root GATEWAY_LISTEN=127.0.0.1:$port LOCALSTACK_HOST=127.0.0.1:$port \
    SQS_ENDPOINT_STRATEGY=path DNS_ADDRESS=0 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DYNAMODB_IN_MEMORY=1 \
    DYNAMODB_HEAP_SIZE=1g exec "$home/venv/bin/python" -m localstack.runtime.main
}

first_of() {
  local name
  for name; do "$name" --version >/dev/null 2>&1 && echo "$name" && return; done
  return 1
}

case "$stand_in" in
  ministack) home="$cache/ministack-$MINISTACK" ;;
  localstack) home="$cache/localstack-$LOCALSTACK" ;;
  *) echo "usage: tests/stand-in.sh [ministack|localstack]" >&2; exit 64 ;;
esac

binary="${BINARY:-target/debug/dynamodb-backup}"
[ -x "$binary" ] || cargo build --locked --bin dynamodb-backup
install "$home" "install_$stand_in"

port="$("$home/venv/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')"
endpoint="http://127.0.0.1:$port"
set -m # a process group for the job
"start_$stand_in" >"$work/server.log" 2>&1 &
server=$!
set +m

# Nothing of the caller's AWS settings reaches the helper or the program.
clean=(env -i "PATH=$PATH" "HOME=$work" "AWS_ENDPOINT_URL=$endpoint" "AWS_REGION=$REGION" AWS_SECRET_ACCESS_KEY=stand-in
  "AWS_ACCESS_KEY_ID=$BACKUP_ACCOUNT" "BACKUP_BUCKET=$BUCKET" "BACKUP_EXTERNAL_ID=$EXTERNAL_ID"
  "BACKUP_ROLE_ARN=arn:aws:iam::$SOURCE_ACCOUNT:role/$ROLE" "BACKUP_LOG=${BACKUP_LOG:-info}")
helper=("${clean[@]}" "$home/venv/bin/python" tests/stand_in.py)

echo "$stand_in on $endpoint"
"${helper[@]}" deploy || { tail -n 20 "$work/server.log"; fail "could not be set up"; }

echo "dynamodb-backup run --output json"
code=0
"${clean[@]}" "$binary" run --output json >"$work/run.json" 2>"$work/run.log" || code=$?
if [ "$code" != 0 ]; then
  cat "$work/run.log" "$work/run.json"
  fail "the run ended with exit code $code"
fi
"${helper[@]}" compare <"$work/run.json" || fail "source and copy differ"
echo "PASSED: $stand_in: the run is complete, and every item of the copy equals its source"
