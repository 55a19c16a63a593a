//! Root's device, and what an administrator does at the proxy's own socket.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use portcullis_base::clock::Timestamp;
use portcullis_base::percent::percent_encode;
use sha1::Sha1;

use super::client::{Reply, exchange_at};
use super::signer::Keys;

/// A device that shows codes: RFC 6238 by hand, so that the proxy's own arithmetic is checked by another.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub serial: String,
    seed: Vec<u8>,
}

impl Device {
    /// Makes root's device and enables it.
    pub(super) async fn enrol(socket: &Path, now: i64) -> Self {
        let made = ask(socket, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "phone")]).await;
        let serial = made.element("SerialNumber").expect("a serial");
        let device = Self::of(&serial, &made.element("Base32StringSeed").expect("a seed"));
        let now = Timestamp::from_millis(now);
        let codes = (device.code(now, -1), device.code(now, 0));
        let parameters = [
            ("SerialNumber", device.serial.as_str()),
            ("AuthenticationCode1", &codes.0),
            ("AuthenticationCode2", &codes.1),
        ];
        ask(socket, "EnableMFADevice", &parameters).await;
        device
    }

    /// A device by what CreateVirtualMFADevice tells of it.
    pub(crate) fn of(serial: &str, seed: &str) -> Self {
        Self { serial: serial.to_owned(), seed: read_base32(&STANDARD.decode(seed).expect("base64")) }
    }

    /// `SERIAL CODE...` for time steps relative to now.
    pub(crate) fn offer(&self, now: Timestamp, steps: &[i64]) -> String {
        let codes: Vec<String> = steps.iter().map(|step| self.code(now, *step)).collect();
        format!("{} {}", self.serial, codes.join(" "))
    }

    /// An offer that is right in form and wrong in substance.
    pub(crate) fn wrong_offer(&self, now: Timestamp) -> String {
        let near: Vec<String> = (-5..=5).map(|step| self.code(now, step)).collect();
        let wrong = (0..).map(|number| format!("{number:06}")).find(|code| !near.contains(code));
        format!("{} {}", self.serial, wrong.expect("six digits are many"))
    }

    pub(crate) fn code(&self, now: Timestamp, step: i64) -> String {
        let counter = now.seconds().div_euclid(30) + step;
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.seed).expect("any length");
        mac.update(&counter.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[19] & 15);
        let number = digest[offset..offset + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

/// Makes a user with a key.
pub(super) async fn user(socket: &Path, name: &str) -> Keys {
    ask(socket, "CreateUser", &[("UserName", name)]).await;
    let policy = "arn:aws:iam::aws:policy/readwrite";
    ask(socket, "AttachUserPolicy", &[("UserName", name), ("PolicyArn", policy)]).await;
    key_of(socket, name).await
}

/// Makes a user with a key that may do what this document says.
pub(super) async fn user_with(socket: &Path, name: &str, document: &str) -> Keys {
    ask(socket, "CreateUser", &[("UserName", name)]).await;
    let policy = [("UserName", name), ("PolicyName", "own"), ("PolicyDocument", document)];
    ask(socket, "PutUserPolicy", &policy).await;
    key_of(socket, name).await
}

async fn key_of(socket: &Path, name: &str) -> Keys {
    let key = ask(socket, "CreateAccessKey", &[("UserName", name)]).await;
    let text = |element| key.element(element).expect("a new key");
    Keys { key_id: text("AccessKeyId"), secret: text("SecretAccessKey") }
}

pub(super) async fn ask(socket: &Path, action: &str, parameters: &[(&str, &str)]) -> Reply {
    let mut form = format!("Action={action}&Version=2010-05-08");
    for (name, value) in parameters {
        form.push_str(&format!("&{name}={}", percent_encode(value)));
    }
    let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n", form.len());
    let reply = exchange_at(socket, format!("{head}\r\n{form}").as_bytes()).await;
    assert_eq!(reply.status, 200, "{action}: {reply:?}");
    reply
}

fn read_base32(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'2'..=b'7' => byte - b'2' + 26,
        _ => panic!("not base32"),
    };
    let bits: Vec<u8> = text
        .iter()
        .filter(|byte| **byte != b'=')
        .flat_map(|byte| {
            let value = digit(byte);
            (0..5).rev().map(move |bit| value >> bit & 1)
        })
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | bit)).collect()
}
