//! `sts:GetCallerIdentity`.

use super::form::CallForm;
use super::{ServiceCaller, refused};
use crate::cloudtrail::CloudTrailError;
use portcullis_cloudtrail::record::user_id;
use portcullis_sigv4::Principal;

/// The content of the result: who signed, as records name them.
pub(super) fn caller_identity(form: &CallForm, asker: &ServiceCaller<'_>) -> Result<String, CloudTrailError> {
    if let Some((name, _)) = form.pairs().first() {
        return Err(refused::unknown_parameter(name));
    }
    let account = asker.account.as_str();
    let (arn, id) = match asker.principal {
        Principal::Root => (format!("arn:aws:iam::{account}:root"), account.to_owned()),
        Principal::User(user) => (format!("arn:aws:iam::{account}:user/{user}"), user_id(asker.account, user)),
    };
    Ok(format!("<Arn>{arn}</Arn><UserId>{id}</UserId><Account>{account}</Account>"))
}
