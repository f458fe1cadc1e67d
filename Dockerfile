# The daemon and rowcall-task in one small image.
#
#     docker build -t rowcall .
#     docker run --env DATABASE_URL=… rowcall            # rowcall serve
#     docker run --env DATABASE_URL=… rowcall migrate
#
# Images to build from and to run on are arguments, so that a mirror or a pinned digest can take their place.
ARG BUILD_IMAGE=rust:1-slim-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY sql sql
COPY config config
# cargo wants to see every target that Cargo.toml names, also those it does not build here.
COPY benches benches
COPY examples examples
COPY tests tests
RUN cargo build --release --locked --bin rowcall --bin rowcall-supervisor
# What other images copy from here (COPY --from=rowcall /usr/local/bin/rowcall-task /) must need nothing of theirs.
COPY dev ./
RUN ./dev task-binary

FROM ${RUN_IMAGE}
# A fixed number, so that volumes keep their owner; no shell, no home to log in to.
RUN groupadd --system --gid 10001 rowcall \
    && useradd --system --uid 10001 --gid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin rowcall \
    && install -d -o rowcall -g rowcall -m 700 /var/lib/rowcall
# The authorities that sign AWS's certificates; the slim image has none.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/rowcall /src/target/release/rowcall-supervisor /src/target/rowcall-task /src/target/rowcall-task-aws /usr/local/bin/
COPY config/rowcall.toml /usr/share/doc/rowcall/rowcall.toml
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/rowcall"]
CMD ["serve"]
