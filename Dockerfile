FROM rust:1.95-bookworm AS build
WORKDIR /build
# Not rust-toolchain.toml: with it rustup would download another compiler than that of the image.
COPY Cargo.toml Cargo.lock config.example.toml ./
COPY crates crates
COPY examples examples
COPY src src
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/portcullis --shell /usr/sbin/nologin portcullis \
    && chmod 0700 /var/lib/portcullis
# Whom an https:// store may prove itself to, where upstream.ca_file does not say.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/portcullis /usr/local/bin/portcullis
USER portcullis
WORKDIR /var/lib/portcullis
ENV PORTCULLIS_DATA=/var/lib/portcullis
VOLUME /var/lib/portcullis
EXPOSE 9000
ENTRYPOINT ["portcullis"]
CMD ["serve", "--config", "/etc/portcullis.toml"]
