# syntax=docker/dockerfile:1
# simhost and the topologies that come with it. The guests are inside of the
# binary: their built components are committed, so no Wasm toolchain is needed.

# The same Debian in both stages: the binary is linked against its glibc.
FROM rust:1.95.0-slim-trixie AS build
WORKDIR /src
# rust-toolchain.toml stays outside: rustup would fetch what only development
# needs, clippy and the Wasm target.
COPY Cargo.toml Cargo.lock ./
COPY guests guests
COPY host host
COPY labs labs
COPY sql sql
COPY topologies topologies
# The caches outlive the image layer, so that a change to one file rebuilds one
# crate. They are not part of the image: the binary has to be copied out. It
# keeps its symbols, for backtraces, and loses its line tables.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin simhost \
    && cp target/dist/simhost /usr/local/bin/simhost \
    && strip --strip-debug /usr/local/bin/simhost

# Not distroless: its bash is what the healthcheck of docker-compose.yml runs in.
FROM debian:trixie-slim
LABEL org.opencontainers.image.title="simhost" \
      org.opencontainers.image.description="A flight simulator for microservices" \
      org.opencontainers.image.licenses="Apache-2.0"
# To export to a collector with a certificate of a public authority.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A home, because compiled guests are cached in ~/.cache.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin simhost
COPY --from=build /usr/local/bin/simhost /usr/local/bin/simhost
COPY topologies /home/simhost/topologies
USER 10001:10001
WORKDIR /home/simhost
EXPOSE 8001
# Ctrl-c: drain, flush what is not yet exported, then end.
STOPSIGNAL SIGINT
ENTRYPOINT ["simhost"]
CMD ["run", "topologies/orders.toml", "--listen", "0.0.0.0:8001"]
