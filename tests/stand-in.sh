#!/usr/bin/env bash
# The program against an AWS stand-in that is not ours, to which nothing but its environment points it: two
# accounts are set up, one `run` backs up the tables of one into the other, and boto3 compares every item and the
# settings.
#
#   tests/stand-in.sh [ministack|localstack|dynamodb-local|compose]
#
# compose is what docker-compose.yml does, without Docker: LocalStack, set up and seeded by tests/compose/seed.sh,
# and the program with the settings that it has there.
# ministack needs Python 3.10 and checks trust policies, external ids and the policies of roles. LocalStack checks
# none of them, needs Python 3.12, npm and Java 17, and listens on all interfaces while it runs. DynamoDB Local is AWS's
# own engine, needs npm and Java 17, and listens on all interfaces too. It is DynamoDB alone and knows no accounts, so
# all else comes from tests/loopback, and the copies have another name. Nor does it know tags, without which a copy
# is nobody's and is not written: there the run has to archive every table and refuse every copy, and each table is
# restored from the archive and compared. A stand-in that cannot be installed here is reported as skipped. What was installed is kept in the user's cache directory.
# BINARY names the program to test; without it, it is built unless target/debug has it.
set -euo pipefail

readonly BACKUP_ACCOUNT=222222222222 SOURCE_ACCOUNT=111111111111 REGION=eu-west-1
readonly MINISTACK=1.5.33 LOCALSTACK=4.14.0 BOTO3=1.43.106 DYNAMODB_LOCAL=amplify-dynamodb-simulator@2.9.30

stand_in="${1:-ministack}"
root="$(cd "$(dirname "$0")/.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/dynamodb-backup-ci"
export PIP_DISABLE_PIP_VERSION_CHECK=1

case "$stand_in" in
  ministack) home="$cache/ministack-$MINISTACK" ;;
  localstack | compose) home="$cache/localstack-$LOCALSTACK" ;;
  dynamodb-local) home="$cache/${DYNAMODB_LOCAL/@/-}" ;;
  *) echo "usage: tests/stand-in.sh [ministack|localstack|dynamodb-local|compose]" >&2; exit 64 ;;
esac

work="$(mktemp -d)"
server=""
fail() { echo "FAILED: $stand_in: $1"; exit 1; }

# The stand-in leads a process group of its own, so that its children stop with it.
clean_up() {
  if [ -n "$server" ]; then
    kill -- "-$server" 2>/dev/null || true
    for _ in {1..100}; do kill -0 -- "-$server" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

install_ministack() {
  python3 -m venv venv && venv/bin/pip install --quiet "ministack==$MINISTACK" "boto3==$BOTO3"
}

# The package allows Python 3.11, under which no service starts; dependencies younger than the release break it,
# hence the date. Outside its container it must be given DynamoDB Local, and a `java` that leaves out the agent
# which only the container has.
install_localstack() {
  local python java lib=root/var/lib/localstack/lib
  python="$(first_that_works python3.13 python3.12)" || { echo "Python 3.12 or 3.13 is missing"; return 1; }
  java="$(first_that_works java)" || { echo "Java is missing"; return 1; }
  "$python" -m venv venv && venv/bin/pip install --quiet "pip>=26" || return
  venv/bin/pip install --quiet --uploaded-prior-to 2026-03-15T00:00:00Z "localstack-core[runtime]==$LOCALSTACK" \
    || return
  npm pack "$DYNAMODB_LOCAL" && tar xzf amplify-dynamodb-simulator-*.tgz || return
  mkdir -p "$lib/dynamodb-local" "$lib/java/21/bin" && mv package/emulator "$lib/dynamodb-local/2" || return
  cat >"$lib/java/21/bin/java" <<JAVA
#!/usr/bin/env bash
for argument; do
  shift
  case "\$argument" in -javaagent:*) ;; *) set -- "\$@" "\$argument" ;; esac
done
exec "$java" "\$@"
JAVA
  chmod +x "$lib/java/21/bin/java"
}

install_compose() { install_localstack; }

install_dynamodb-local() {
  first_that_works java >/dev/null || { echo "Java is missing"; return 1; }
  python3 -m venv venv && venv/bin/pip install --quiet "boto3==$BOTO3" || return
  npm pack "$DYNAMODB_LOCAL" && tar xzf amplify-dynamodb-simulator-*.tgz
}

first_that_works() {
  local name
  for name; do
    if "$name" --version >/dev/null 2>&1; then command -v "$name"; return; fi
  done
  return 1
}

# Without IOT_MTLS_ENABLED=0 it listens on a second port too, on all interfaces.
start_ministack() {
  GATEWAY_PORT=$port BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 AUTH=true IOT_MTLS_ENABLED=0 LOG_LEVEL=WARNING \
    exec "$home/venv/bin/ministack"
}

start_localstack() {
  OVERRIDE_IN_DOCKER=0 FILESYSTEM_ROOT=$home/root GATEWAY_LISTEN=127.0.0.1:$port LOCALSTACK_HOST=127.0.0.1:$port \
    SQS_ENDPOINT_STRATEGY=path DNS_ADDRESS=0 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DYNAMODB_IN_MEMORY=1 \
    DYNAMODB_HEAP_SIZE=1g exec "$home/venv/bin/python" -m localstack.runtime.main
}

start_compose() { start_localstack; }

start_dynamodb-local() {
  "${binary%/*}/loopback-aws" --port "$port" &
  cd "$home/package/emulator"
  exec java -Xmx1g -Djava.library.path=./DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory -sharedDb \
    -disableTelemetry -port "$dynamodb_port"
}

if [ ! -e "$home/installed" ]; then
  echo "installing $stand_in ..."
  rm -rf "$home" && mkdir -p "$home"
  if ! (cd "$home" && "install_$stand_in") >"$work/install.log" 2>&1; then
    echo "skipped: $stand_in cannot be installed here: $(tail -n 1 "$work/install.log")"
    exit 0
  fi
  touch "$home/installed"
fi

binary="${BINARY:-${CARGO_TARGET_DIR:-$root/target}/debug/dynamodb-backup}"
if [ -z "${BINARY:-}" ] && [ ! -x "$binary" ]; then
  cargo build --locked --manifest-path "$root/Cargo.toml" --bin dynamodb-backup
fi

if [ "$stand_in" = dynamodb-local ] && [ ! -x "${binary%/*}/loopback-aws" ]; then
  cargo build --locked --manifest-path "$root/Cargo.toml" --package loopback-aws
fi

free_port() {
  "$home/venv/bin/python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}
port="$(free_port)" dynamodb_port="$(free_port)"
set -m # each job leads a process group
"start_$stand_in" >"$work/server.log" 2>&1 &
server=$!
set +m

# All that the helper and the program are given: nothing of the caller's own AWS settings reaches them.
environment=(
  "PATH=$PATH" "HOME=$work"
  "AWS_ENDPOINT_URL=http://127.0.0.1:$port" "AWS_REGION=$REGION"
  "AWS_ACCESS_KEY_ID=$BACKUP_ACCOUNT" AWS_SECRET_ACCESS_KEY=stand-in
  "BACKUP_ROLE_ARN=arn:aws:iam::$SOURCE_ACCOUNT:role/dynamodb-backup-source" BACKUP_EXTERNAL_ID=loopback-external-id
  BACKUP_BUCKET=dynamodb-backup-archive "BACKUP_LOG=${BACKUP_LOG:-info}"
)
if [ "$stand_in" = dynamodb-local ]; then
  environment+=(
    "AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:$dynamodb_port" BACKUP_TARGET_PREFIX=copy- "BACKUP_EXCLUDE=copy-*"
  )
fi
as_helper=("${environment[@]}")
helper() { env -i "${as_helper[@]}" "$home/venv/bin/python" "$root/tests/stand_in.py" "$@"; }

# What a service of docker-compose.yml is given, with the stand-in here in the place of the container.
service() {
  "$home/venv/bin/python" -c 'import sys, yaml
for name, value in yaml.safe_load(open(sys.argv[1]))["services"][sys.argv[2]]["environment"].items():
    print(f"{name}={value}".replace("http://localstack:4566", sys.argv[3]))' \
    "$root/docker-compose.yml" "$1" "http://127.0.0.1:$port"
}

echo "$stand_in at http://127.0.0.1:$port: setting up two accounts ..."
if [ "$stand_in" = compose ]; then
  helper wait || { tail -n 20 "$work/server.log"; fail "it does not answer"; }
  mapfile -t given < <(service seed)
  env -i "PATH=$home/venv/bin:$PATH" "HOME=$work" "${given[@]}" bash "$root/tests/compose/seed.sh" \
    || fail "it could not be seeded"
  mapfile -t environment < <(service backup)
else
  helper deploy || { tail -n 20 "$work/server.log"; fail "it could not be set up"; }
fi

# Runs the program, and fails unless it ends with this exit code.
program() {
  local expected=$1 code=0
  shift
  echo "dynamodb-backup $*"
  env -i "${environment[@]}" timeout 600 "$binary" "$@" >"$work/out" 2>"$work/log" || code=$?
  if [ "$code" != "$expected" ]; then
    cat "$work/log" "$work/out"
    fail "it ended with exit code $code"
  fi
}

restore_each() {
  local name run
  run="$(grep -o '"run":"[^"]*"' "$work/out" | head -n 1 | cut -d '"' -f 4)"
  grep -c 'Tagging is not currently supported in DynamoDB Local' "$work/out" >/dev/null \
    || fail "the copies were refused for another reason"
  for name in $(helper names); do
    program 0 restore "$run" --table "$name" --to "restored-$name"
  done
  helper compare-restored || fail "source and restored table differ"
  echo "PASSED: $stand_in: every table was archived, and every restored table equals its source"
}

if [ "$stand_in" = dynamodb-local ]; then
  program 2 run --output json
  restore_each
else
  program 0 run --output json
  seeded=()
  if [ "$stand_in" = compose ]; then seeded=(orders=120 customers=40 coupons=0); fi
  helper compare "${seeded[@]}" <"$work/out" || fail "the run is not complete, or source and copy differ"
  echo "PASSED: $stand_in: the run is complete, and every copy equals its source"
fi
