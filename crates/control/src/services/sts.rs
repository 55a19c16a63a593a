//! `sts:GetCallerIdentity`.

use super::form::CallForm;
use super::refused;
use crate::cloudtrail::CloudTrailError;
use portcullis_base::names::AccountId;
use portcullis_cloudtrail::record::user_id;
use portcullis_sigv4::Principal;

/// Reads the parameters: it has none.
pub(super) fn read(form: &CallForm) -> Result<(), CloudTrailError> {
    match form.pairs().first() {
        Some((name, _)) => Err(refused::unknown_parameter(name)),
        None => Ok(()),
    }
}

/// The content of the result: who signed, as records name them.
pub(super) fn caller_identity(principal: &Principal, id: &AccountId) -> String {
    let account = id.as_str();
    let (arn, id) = match principal {
        Principal::Root => (format!("arn:aws:iam::{account}:root"), account.to_owned()),
        Principal::User(user) => (format!("arn:aws:iam::{account}:user/{user}"), user_id(id, user)),
    };
    format!("<Arn>{arn}</Arn><UserId>{id}</UserId><Account>{account}</Account>")
}
