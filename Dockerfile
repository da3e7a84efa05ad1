# One static binary in an empty image: no shell, no package, no other user than 65532.
# `scratch` and not a distroless base: the binary needs a CA bundle and nothing else, so there is no base image to
# keep up to date, and a scanner has one thing to look at.
ARG RUST_IMAGE=rust:1.95-slim-bookworm

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libc6-dev gcc musl-tools \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# `otel` for traces by OpenTelemetry.
ARG FEATURES=
# The commit that `towpath doctor` and the label name.
ARG REVISION=unknown
COPY . .
# The same script that scripts/check-image runs without a container engine.
RUN FEATURES="${FEATURES}" TOWPATH_REVISION="${REVISION}" scripts/build-static /out/towpath \
    && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
    && install -D -m 644 -t /out/usr/share/doc/towpath LICENSE NOTICE \
    && install -d /cache/towpath

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="towpath" \
    org.opencontainers.image.description="Promotes container images through environments by commits to a manifests git repository" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /cache/ /var/cache/
# Mount the settings here. Paths in them are relative to this folder, and the pages listen on loopback unless they say
# `listen: 0.0.0.0:8080`.
ENV TOWPATH_CONFIG=/etc/towpath/towpath.yaml
# Where settings name no cache: the plain user has no home.
ENV XDG_CACHE_HOME=/var/cache
# The only folder that towpath writes. It may be a volume, and may be lost at any time.
VOLUME /var/cache/towpath
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/towpath"]
CMD ["run"]
