# The image of one server: `docker run` of it just works, with a PostgreSQL of its own; with DATABASE_URL it is one of
# several replicas. What it needs of its host is in docs/operations/single-node.md.

FROM rust:1.95-bookworm AS build
# How many compilers run at once; unset means one per core. Each takes up to 2 GB.
ARG CARGO_BUILD_JOBS
WORKDIR /source
COPY . .
# Nothing of the registry or of the compiler's work ends in a layer: later builds on this machine find the crates of others again. Times
# of files say nothing about what was built from another folder, so our own crates are always built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    find crates migrations examples .sqlx -type f -exec touch {} + \
    && cargo build --release --locked --bin pulp-engine \
    && install -m 755 target/release/pulp-engine /usr/local/bin/pulp-engine

FROM debian:bookworm-slim AS runtime
# tini reaps the browser's processes; tzdata is what schedules reckon with; the fonts are those of scripts/machine.sh.
# postgresql-common is told first not to make a cluster that nobody asked for. Compiling queries is of no use to queries
# this small, and its library would be a tenth of the image.
RUN apt-get update \
    && export DEBIAN_FRONTEND=noninteractive \
    && apt-get install -y --no-install-recommends postgresql-common \
    && sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends \
        ca-certificates chromium-headless-shell fontconfig fonts-dejavu-core fonts-liberation fonts-noto-cjk \
        fonts-noto-color-emoji fonts-noto-core postgresql-15 tini tzdata \
    && rm -rf /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/*/libLLVM-1*.so* /usr/lib/*/libz3.so* \
    && rm -rf /var/lib/apt/lists/* /var/cache/fontconfig/* /var/log/apt /var/log/dpkg.log \
    && fc-cache --system-only \
    && groupadd --gid 10001 pulp \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pulp \
    && install -d -o 10001 -g 10001 -m 700 /var/lib/pulp-engine
COPY --chmod=755 deploy/docker/entrypoint.sh /usr/local/bin/docker-entrypoint.sh
COPY LICENSE /usr/share/doc/pulp-engine/LICENSE
ENV HOST=0.0.0.0 \
    PORT=3000 \
    PULP_DATA_DIR=/var/lib/pulp-engine \
    PULP_RUNTIME_DIR=/tmp/pulp-engine \
    LANG=C.UTF-8 \
    HOME=/tmp
USER 10001:10001
WORKDIR /var/lib/pulp-engine
EXPOSE 3000
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "docker-entrypoint.sh"]
CMD ["serve"]
# A first start makes a database, which takes a busy machine a while.
HEALTHCHECK --interval=5s --timeout=5s --start-period=90s --retries=3 CMD ["docker-entrypoint.sh", "healthcheck"]

FROM runtime
COPY --from=build /usr/local/bin/pulp-engine /usr/local/bin/pulp-engine
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pulp Engine" \
      org.opencontainers.image.description="Turns stored templates and JSON data into documents" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
