//! The policies that a user has at the running proxy.

use super::TestedPolicies;
use super::source::PolicySource;
use crate::command::admin::{AdminClient, AdminError, AdminRequest};
use crate::command::error::CommandError;
use crate::command::holders::{GrantHolder, default_document, groups_of};
use portcullis_base::names::AccountId;
use portcullis_policy::{PolicyKind, RequestPrincipal};

/// A user, and the policies by which its requests are decided.
pub(super) struct TestedUser {
    pub principal: RequestPrincipal,
    pub policies: TestedPolicies,
}

/// Documents under their names.
#[derive(Default)]
struct HeldDocuments {
    account: String,
    identity: Vec<(String, String)>,
    boundary: Vec<(String, String)>,
}

impl TestedUser {
    /// Asks the running proxy for all that decides about this user.
    pub(super) async fn read(user: &str, admin: &AdminClient) -> Result<Self, CommandError> {
        let held = ask(user, admin).await.map_err(|error| error.into_command_error(admin.place()))?;
        let account = AccountId::parse(&held.account).map_err(CommandError::failed)?;
        // The longest of the kinds that are among them.
        let parsed = |documents: Vec<(String, String)>| {
            let read = documents.into_iter().map(|(name, text)| PolicySource::parse(name, &text, PolicyKind::Managed));
            read.collect::<Result<Vec<_>, _>>()
        };
        let policies = TestedPolicies {
            identity: parsed(held.identity)?,
            boundary: parsed(held.boundary)?,
            session: Vec::new(),
            resource: Vec::new(),
            trust: Vec::new(),
        };
        Ok(Self { principal: RequestPrincipal::user(account, user), policies })
    }
}

async fn ask(user: &str, admin: &AdminClient) -> Result<HeldDocuments, AdminError> {
    let told = admin.ask(&AdminRequest::new("GetUser").with("UserName", user)).await?;
    let told = told.child("User").ok_or(AdminError::Wanting("User"))?;
    let account = told.text_of("Arn").and_then(|arn| arn.split(':').nth(4)).ok_or(AdminError::Wanting("Arn"))?;
    let mut held = HeldDocuments { account: account.to_owned(), ..HeldDocuments::default() };
    let boundary = told.child("PermissionsBoundary").and_then(|boundary| boundary.text_of("PermissionsBoundaryArn"));
    if let Some(arn) = boundary {
        held.boundary.push((arn.to_owned(), default_document(arn, admin).await?));
    }
    held.identity = GrantHolder::User(user.to_owned()).documents(admin).await?;
    for group in groups_of(user, admin).await? {
        held.identity.extend(GrantHolder::Group(group).documents(admin).await?);
    }
    Ok(held)
}
