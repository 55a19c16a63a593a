//! The AWS Query protocol's request: a form of parameters, each there once.

use std::collections::HashSet;

use thiserror::Error;

use portcullis_base::percent::percent_decode;

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedForm {
    #[error("the form is not percent-encoded UTF-8")]
    Encoding,
    #[error("a parameter is repeated")]
    Repeated,
    #[error("it has more than {MOST_PARAMETERS} parameters")]
    TooMany,
}

/// More than a call has that is answered here: a list of a hundred filters.
pub const MOST_PARAMETERS: usize = 256;

/// Reads an `application/x-www-form-urlencoded` body, or a query string.
pub fn parse_form(body: &[u8]) -> Result<Vec<(String, String)>, MalformedForm> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut names = HashSet::new();
    for part in pairs(body)? {
        if parameters.len() == MOST_PARAMETERS {
            return Err(MalformedForm::TooMany);
        }
        let (name, value) = (decode(part.0)?, decode(part.1)?);
        if !names.insert(name.clone()) {
            return Err(MalformedForm::Repeated);
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// The value of one parameter, however many others a form has; none of them is kept.
pub fn sole_value(body: &[u8], wanted: &str) -> Result<Option<String>, MalformedForm> {
    let mut found = None;
    for (name, value) in pairs(body)? {
        if decode(name)? == wanted && found.replace(decode(value)?).is_some() {
            return Err(MalformedForm::Repeated);
        }
    }
    Ok(found)
}

fn pairs(body: &[u8]) -> Result<impl Iterator<Item = (&str, &str)>, MalformedForm> {
    let text = std::str::from_utf8(body).map_err(|_| MalformedForm::Encoding)?;
    Ok(text.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, ""))))
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

    #[test]
    fn a_form_has_a_bounded_number_of_parameters_and_any_number_around_the_one_that_is_sought() {
        let of = |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
        assert_eq!(parse_form(of(256).as_bytes()).map(|form| form.len()), Ok(256));
        assert_eq!(parse_form(of(257).as_bytes()), Err(MalformedForm::TooMany));
        let long = format!("{}&Action=A&{}", of(15_000), of(15_000));
        assert_eq!(sole_value(long.as_bytes(), "Action"), Ok(Some("A".to_owned())));
        assert_eq!(sole_value(format!("{long}&%41ction=A").as_bytes(), "Action"), Err(MalformedForm::Repeated));
        assert_eq!(sole_value(b"action=A", "Action"), Ok(None));
        assert_eq!(sole_value(b"Action=A&%zz=b", "Action"), Err(MalformedForm::Encoding));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse_form(&body));
        }

        #[test]
        fn the_sole_value_is_that_of_the_whole_form(body in "(Action|A|%41ction|x|&|=|\\+|%20){0,12}") {
            if let Ok(form) = parse_form(body.as_bytes()) {
                let value = form.into_iter().find(|(name, _)| name == "Action").map(|(_, value)| value);
                prop_assert_eq!(sole_value(body.as_bytes(), "Action"), Ok(value));
            }
        }
    }
}
