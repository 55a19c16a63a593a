FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/portcullis --shell /usr/sbin/nologin portcullis \
    && chmod 0700 /var/lib/portcullis
COPY --from=build /build/target/release/portcullis /usr/local/bin/portcullis
USER portcullis
WORKDIR /var/lib/portcullis
ENV PORTCULLIS_DATA=/var/lib/portcullis
VOLUME /var/lib/portcullis
EXPOSE 9000
ENTRYPOINT ["portcullis"]
CMD ["serve", "--config", "/etc/portcullis.toml"]
