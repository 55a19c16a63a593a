//! Serves the embedded store alone, without the proxy, to try S3 clients against it.
//!
//! `cargo run --example embedded -- DIRECTORY ADDRESS`, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set.

#![expect(clippy::print_stdout, reason = "the address is what the caller waits for")]

use std::env;
use std::error::Error;
use std::path::Path;

use portcullis_base::secret::Secret;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(directory), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: embedded DIRECTORY ADDRESS".into());
    };
    let access_key = env::var("AWS_ACCESS_KEY_ID")?;
    let secret_key = Secret::new(env::var("AWS_SECRET_ACCESS_KEY")?);
    let running =
        portcullis_devstore::start(Path::new(&directory), address.parse()?, &access_key, &secret_key, "us-east-1")
            .await?;
    println!("embedded store listening on http://{}", running.address);
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}
