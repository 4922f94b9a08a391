# The program alone: the binary, the C library that it runs with, the certificates that it trusts, and nothing else.
# No shell, no root.
#
#   docker build --tag dynamodb-backup .
#
# The base is pinned by version. To pin it by content too, append the digest that `docker buildx imagetools
# inspect rust:1.94.1-slim-bookworm` prints: FROM rust:1.94.1-slim-bookworm@sha256:…
FROM rust:1.94.1-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A quarter of the size; panics still name file and line.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
WORKDIR /build

# First the dependencies, with nothing of the program in their place, so that they are compiled again only when
# the manifests change.
COPY Cargo.toml Cargo.lock ./
COPY tests/loopback/Cargo.toml tests/loopback/Cargo.toml
RUN mkdir -p src benches/data_path tests/loopback/src tests/loopback/tests/conformance \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs benches/data_path/main.rs tests/loopback/src/lib.rs tests/loopback/tests/conformance/main.rs \
    && cargo build --locked --release --package dynamodb-backup

COPY src src
# The files that stood in for these are newer; cargo goes by that.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --locked --release --package dynamodb-backup

# Linked with glibc and not with musl, whose allocator has one lock for all threads. What the binary is linked with
# goes where the loader looks for it; glibc looks names up by itself since its version 2.34.
RUN mkdir /image && cp target/release/dynamodb-backup /image/ \
    && ldd /image/dynamodb-backup | grep --only-matching '/[^ ]*' \
    | xargs cp --dereference --parents --target-directory=/image \
    && cp --dereference --parents /etc/ssl/certs/ca-certificates.crt /image

FROM scratch
LABEL org.opencontainers.image.title="dynamodb-backup" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
# Nobody's number, as in distroless images: there is no /etc/passwd to look a name up in.
USER 65532:65532
# It must start where there is nothing else; what does not is no image.
RUN ["/dynamodb-backup", "--help"]
# PID 1 it is, and as that it stops on SIGTERM.
ENTRYPOINT ["/dynamodb-backup"]
CMD ["worker"]
