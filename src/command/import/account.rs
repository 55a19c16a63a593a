//! What the running proxy has already, asked of it on the admin socket.

use std::collections::{BTreeMap, BTreeSet};

use super::super::admin::{AdminClient, AdminError, AdminRequest};
use super::super::error::CommandError;
use super::super::holders::document_of;
use super::super::key;
use portcullis_import::{AccountContents, ExistingGroup, ExistingUser, PlannedKeyStatus, PolicyArns};
use portcullis_policy::{PolicyDocument, PolicyKind};
use portcullis_xml::XmlElement;

/// Reads the users, keys, groups and policies, and the ARNs of the account's own policies.
pub(super) async fn existing(admin: &AdminClient) -> Result<(AccountContents, PolicyArns), CommandError> {
    let read = read(admin).await;
    read.map_err(|error| error.into_command_error(admin.place()))
}

async fn read(admin: &AdminClient) -> Result<(AccountContents, PolicyArns), AdminError> {
    let (mut account, mut arns) = (AccountContents::default(), PolicyArns::default());
    for user in admin.list(AdminRequest::new("ListUsers"), "Users").await? {
        let name = text(&user, "UserName")?;
        let upstream = user.filled_text_of("UpstreamAccessKeyId").map(str::to_owned);
        account.users.insert(name, ExistingUser { upstream, ..ExistingUser::default() });
    }
    account.root_keys = keys(None, admin).await?.into_keys().collect();
    for (name, user) in &mut account.users {
        user.keys = keys(Some(name), admin).await?;
    }
    // A proxy without policies has nothing further; that it cannot take them either is found before anything is made.
    match admin.list(AdminRequest::new("ListPolicies").with("Scope", "Local"), "Policies").await {
        Err(error) if is_unknown(&error) => return Ok((account, arns)),
        Err(error) => return Err(error),
        Ok(policies) => {
            for policy in policies {
                let (name, arn) = (text(&policy, "PolicyName")?, text(&policy, "Arn")?);
                let version = text(&policy, "DefaultVersionId")?;
                account.policies.insert(name.clone(), document(&arn, &version, admin).await?);
                arns.insert(name, arn);
            }
        }
    }
    for group in admin.list(AdminRequest::new("ListGroups"), "Groups").await? {
        let name = text(&group, "GroupName")?;
        let of_group = |action| AdminRequest::new(action).with("GroupName", &name);
        let policies = attached(of_group("ListAttachedGroupPolicies"), admin).await?;
        let inline = names(of_group("ListGroupPolicies"), admin).await?;
        account.groups.insert(name, ExistingGroup { policies, inline });
    }
    for (name, user) in &mut account.users {
        let of_user = |action| AdminRequest::new(action).with("UserName", name);
        user.policies = attached(of_user("ListAttachedUserPolicies"), admin).await?;
        user.inline = names(of_user("ListUserPolicies"), admin).await?;
        let groups = admin.list(of_user("ListGroupsForUser"), "Groups").await?;
        user.groups = groups.iter().map(|group| text(group, "GroupName")).collect::<Result<_, _>>()?;
        let told = admin.ask(&of_user("GetUser")).await?;
        let boundary = told.child("User").and_then(|user| user.child("PermissionsBoundary"));
        let arn = boundary.and_then(|boundary| boundary.filled_text_of("PermissionsBoundaryArn"));
        user.boundary = arn.map(|arn| arn.rsplit('/').next().unwrap_or(arn).to_owned());
    }
    Ok((account, arns))
}

/// Whether the proxy does not know the action.
pub(super) fn is_unknown(error: &AdminError) -> bool {
    error.code() == Some("InvalidAction")
}

async fn keys(user: Option<&str>, admin: &AdminClient) -> Result<BTreeMap<String, PlannedKeyStatus>, AdminError> {
    let keys = key::of_user(user, admin).await?;
    let status = |key: &key::ListedKey| match key.is_active() {
        true => PlannedKeyStatus::Active,
        false => PlannedKeyStatus::Inactive,
    };
    Ok(keys.into_iter().map(|key| (key.id.clone(), status(&key))).collect())
}

async fn document(arn: &str, version: &str, admin: &AdminClient) -> Result<PolicyDocument, AdminError> {
    let text = document_of(arn, version, admin).await?;
    PolicyDocument::parse(&text, PolicyKind::Managed)
        .map_err(|_| AdminError::Wanting("a policy document that can be read"))
}

async fn attached(question: AdminRequest, admin: &AdminClient) -> Result<BTreeSet<String>, AdminError> {
    let policies = admin.list(question, "AttachedPolicies").await?;
    policies.iter().map(|policy| text(policy, "PolicyName")).collect()
}

async fn names(question: AdminRequest, admin: &AdminClient) -> Result<BTreeSet<String>, AdminError> {
    let names = admin.list(question, "PolicyNames").await?;
    Ok(names.iter().map(|name| name.text.clone()).collect())
}

fn text(element: &XmlElement, name: &'static str) -> Result<String, AdminError> {
    element.filled_text_of(name).map(str::to_owned).ok_or(AdminError::Wanting(name))
}
