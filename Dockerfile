# One image for every job; its entry point is the CLI: docker run --rm listenlake doctor
# `make image` builds it. The runner is told apart by what it mounts, not by what is in here.

# The official image by tag and digest (an index: amd64 and arm64). Any image with Node 24 at /usr/local/bin/node will do.
ARG BASE_IMAGE=node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

FROM ${BASE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The secret is the certificate authority of a proxy between here and the registry; where there is none, the file is absent and only
# warned about. No install scripts: nothing that runs needs one.
RUN --mount=type=secret,id=ca,target=/run/ca.pem \
    NODE_EXTRA_CA_CERTS=/run/ca.pem npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
# What no job reads at run time: source maps, types, tests and documents of packages, and the engine's build for the other C library.
RUN rm -rf node_modules/.cache node_modules/.bin "node_modules/@duckdb"/*-musl "node_modules/@resvg"/*-musl \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' -o -name '*.markdown' \) -delete \
 && find node_modules -type d \( -name test -o -name tests -o -name __tests__ -o -name dist-types \) -prune -exec rm -rf {} +

FROM ${BASE_IMAGE} AS app
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    HOME=/tmp \
    LISTENLAKE_LAKE=/data/lake
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY warehouse ./warehouse
COPY jobs ./jobs
RUN mkdir /data .compile-cache && chown 65532:65532 /data .compile-cache
# A uid without a name, that no host gives to a person.
USER 65532:65532
# Half of a command's start-up is compiling what never changes in here: paid once, now, for this uid (Node keys the cache by it). Running
# the pipeline on a few synthetic rows also means that an image that cannot do it is never built.
RUN node=/usr/local/bin/node && listenlake="$node --disable-warning=ExperimentalWarning jobs/cli.ts" \
 && $listenlake extract events --users 2 --days 2 --tracks 50 --export-plays 200 --export-years 1 --no-faults --out /tmp/source \
 && $listenlake run /tmp/source --lake /tmp/lake \
 && $node --input-type=module -e "for (const part of ['lake/s3/store.ts', 'engine/athena/engine.ts']) await import('/app/jobs/' + part)" \
# Hidden ones too: a folder of this uid's would be closed to the uid that somebody gives with --user.
 && find /tmp -mindepth 1 -delete
# A folder of the host is mounted here: docker run --rm -v "$PWD:/data" listenlake run /data/my.zip. The lake is its folder lake/.
WORKDIR /data

ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="listenlake" \
      org.opencontainers.image.description="Every job of listenlake; the entry point is its CLI" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"

# No shell between: SIGTERM reaches the job itself, which ends the unit at hand within 25 s (jobs/commands/effects.ts).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "--disable-warning=ExperimentalWarning", "/app/jobs/cli.ts"]
CMD ["--help"]
