//! The AWS Query protocol's request: a form of parameters, each there once.

use thiserror::Error;

use crate::wire::percent_decode;

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedForm {
    #[error("the form is not percent-encoded UTF-8")]
    Encoding,
    #[error("a parameter is repeated")]
    Repeated,
}

/// Reads an `application/x-www-form-urlencoded` body, or a query string.
pub fn parse_form(body: &[u8]) -> Result<Vec<(String, String)>, MalformedForm> {
    let text = std::str::from_utf8(body).map_err(|_| MalformedForm::Encoding)?;
    let mut parameters: Vec<(String, String)> = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if parameters.iter().any(|(seen, _)| *seen == name) {
            return Err(MalformedForm::Repeated);
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// In a form, other than in a path, `+` is a space.
fn decode(text: &str) -> Result<String, MalformedForm> {
    percent_decode(&text.replace('+', " ")).ok_or(MalformedForm::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_names_and_values() {
        let form = parse_form(b"Action=CreateUser&UserName=a%2Bb+c&Version=2010-05-08").expect("legal");
        assert_eq!(form[1], ("UserName".to_owned(), "a+b c".to_owned()));
        assert_eq!(form.len(), 3);
    }

    #[test]
    fn a_form_that_two_readers_read_differently_is_refused() {
        assert_eq!(parse_form(b"Action=A&%41ction=B"), Err(MalformedForm::Repeated));
        assert_eq!(parse_form(b"Action=%zz"), Err(MalformedForm::Encoding));
        assert_eq!(parse_form(b"Action=\xff"), Err(MalformedForm::Encoding));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse_form(&body));
        }
    }
}
