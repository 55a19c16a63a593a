//! Carries out the actions on policies and groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::AnswerContent;
use super::page::page;
use super::perform::ActionPerformance;
use super::policies::{EntityFilter, PolicyAction, PolicyQuestion, PolicyScope};
use super::refused::{IamError, user_entity};
use super::xml::ElementWriter;
use portcullis_base::clock::Timestamp;
use portcullis_base::names::{GroupName, PolicyName, UserName};
use portcullis_base::percent::percent_encode;
use portcullis_policy::ManagedPolicy;
use portcullis_state::{
    GrantChange, GroupRecord, PolicyGrants, PolicyHolder, PolicyRecord, PolicyReference, PolicyUse, StoreError,
    VersionChange,
};

/// A managed policy as lists and answers show it.
struct DescribedPolicy {
    reference: PolicyReference,
    id: String,
    description: Option<String>,
    default: u32,
    created: Timestamp,
    updated: Timestamp,
}

impl ActionPerformance<'_> {
    pub(super) async fn policy_action(self, action: PolicyAction) -> Result<AnswerContent, IamError> {
        match action {
            PolicyAction::ChangeGrants { holder, change } => self.change_grants(&holder, change).await,
            PolicyAction::ChangeMembership { group, user, change } => {
                let changed = self.state.change_membership(&group, &user, change, self.now).await;
                changed.map_err(|error| {
                    let missing = self.missing_member(&group, &user);
                    refused(error, "GroupsPerUser: 10, so another group", &missing)
                })?;
                Ok(AnswerContent::default())
            }
            PolicyAction::ChangeVersions { policy, change } => self.change_versions(&policy, change).await,
            PolicyAction::CreateGroup { name } => {
                let made = self.state.create_group(&name, self.now).await;
                let group = made.map_err(|error| IamError::store(error, &format!("Group with name {name}")))?;
                let result = ElementWriter::new("Result").child(self.group_element("Group", &group));
                Ok(AnswerContent::recorded(result, "group", self.group_json(&group)))
            }
            PolicyAction::CreatePolicy { name, description, content } => {
                let made = self.state.create_policy(&name, description, content, self.now).await;
                let entity = format!("A policy called {name}");
                let policy = made.map_err(|error| IamError::store(error, &entity))?;
                let described = DescribedPolicy::of(&policy);
                let result = ElementWriter::new("Result").child(self.policy_element("Policy", &described, None));
                Ok(AnswerContent::recorded(result, "policy", self.policy_json(&described)))
            }
            PolicyAction::DeleteGroup { name } => {
                let deleted = self.state.delete_group(&name, self.now).await;
                deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &group_entity(&name)))
            }
            PolicyAction::DeletePolicy { policy } => {
                let deleted = self.state.delete_policy(&policy, self.now).await;
                let entity = self.policy_entity(&PolicyReference::Account(policy));
                deleted.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &entity))
            }
            PolicyAction::Read(question) => self.answer_about(question).map(AnswerContent::shown),
            PolicyAction::SetBoundary { user, boundary } => {
                let is_set = self.state.set_boundary(&user, boundary.clone(), self.now).await;
                let entity = match (self.state.user(&user), &boundary) {
                    (None, _) => user_entity(&user),
                    (Some(_), Some(reference)) => self.policy_entity(reference),
                    (Some(_), None) => format!("A permissions boundary of user {user}"),
                };
                is_set.map(|()| AnswerContent::default()).map_err(|error| IamError::store(error, &entity))
            }
        }
    }

    async fn change_grants(self, holder: &PolicyHolder, change: GrantChange) -> Result<AnswerContent, IamError> {
        let (missing, quota) = match &change {
            GrantChange::Attach(reference) => {
                (self.policy_entity(reference), "AttachedPolicies: 10, so another policy")
            }
            GrantChange::Detach(reference) => (self.policy_entity(reference), ""),
            GrantChange::PutInline(name, _) => {
                (inline_entity(holder, name), "The inline policies' length, so this policy")
            }
            GrantChange::DeleteInline(name) => (inline_entity(holder, name), ""),
        };
        let changed = self.state.change_grants(holder, change, self.now).await;
        changed.map(|()| AnswerContent::default()).map_err(|error| {
            let is_there = self.grants(holder).is_some();
            let missing = if is_there { missing } else { holder_entity(holder) };
            refused(error, quota, &missing)
        })
    }

    async fn change_versions(self, name: &PolicyName, change: VersionChange) -> Result<AnswerContent, IamError> {
        let is_added = matches!(change, VersionChange::Add { .. });
        let missing = match &change {
            VersionChange::Delete(number) | VersionChange::SetDefault(number) if self.state.policy(name).is_some() => {
                format!("Policy version v{number}")
            }
            VersionChange::Add { .. } | VersionChange::Delete(_) | VersionChange::SetDefault(_) => {
                self.policy_entity(&PolicyReference::Account(name.clone()))
            }
        };
        let changed = self.state.change_policy(name, change, self.now).await;
        let policy = changed.map_err(|error| refused(error, "VersionsPerPolicy: 5, so another version", &missing))?;
        let Some((number, version)) = policy.versions.last_key_value().filter(|_| is_added) else {
            return Ok(AnswerContent::default());
        };
        let element = version_element("PolicyVersion", *number, policy.default, version.created);
        let recorded = json!({
            "versionId": format!("v{number}"),
            "isDefaultVersion": *number == policy.default,
            "createDate": version.created.console(),
        });
        Ok(AnswerContent::recorded(ElementWriter::new("Result").child(element), "policyVersion", recorded))
    }

    fn answer_about(self, question: PolicyQuestion) -> Result<ElementWriter, IamError> {
        match question {
            PolicyQuestion::Attached { holder, page: wanted } => {
                let grants = self.expect_grants(&holder)?;
                let listed = by_name(grants.attached);
                Ok(page(&wanted, listed, |(name, _)| name.as_str())
                    .element("AttachedPolicies", |(_, reference)| self.attached_element(&reference)))
            }
            PolicyQuestion::Entities { policy, filter, page: wanted } => self.entities(&policy, filter, &wanted),
            PolicyQuestion::Group { name, page: wanted } => {
                let group = self.expect_group(&name)?;
                let users = group.members.iter().filter_map(|member| self.state.user(member));
                let list = page(&wanted, users.collect::<Vec<_>>(), |user| user.name.as_str());
                Ok(list
                    .element("Users", |user| self.described("member", &user))
                    .child(self.group_element("Group", &group)))
            }
            PolicyQuestion::Groups { page: wanted } => {
                Ok(page(&wanted, self.state.groups(), |group| group.name.as_str())
                    .element("Groups", |group| self.group_element("member", &group)))
            }
            PolicyQuestion::GroupsOfUser { user, page: wanted } => {
                if self.state.user(&user).is_none() {
                    return Err(IamError::no_such(&user_entity(&user)));
                }
                let groups = self.state.groups().into_iter().filter(|group| group.members.contains(&user));
                Ok(page(&wanted, groups, |group| group.name.as_str())
                    .element("Groups", |group| self.group_element("member", &group)))
            }
            PolicyQuestion::Inline { holder, name } => {
                let grants = self.expect_grants(&holder)?;
                let missing = || IamError::no_such(&inline_entity(&holder, &name));
                let policy = grants.inline.get(&name).ok_or_else(missing)?;
                let result = match &holder {
                    PolicyHolder::Group(group) => ElementWriter::new("Result").text("GroupName", group.as_str()),
                    PolicyHolder::User(user) => ElementWriter::new("Result").text("UserName", user.as_str()),
                };
                let result = result.text("PolicyName", name.as_str());
                Ok(result.text("PolicyDocument", &percent_encode(policy.text())))
            }
            PolicyQuestion::InlineNames { holder, page: wanted } => {
                let names = self.expect_grants(&holder)?.inline.into_keys();
                Ok(page(&wanted, names, PolicyName::as_str)
                    .element("PolicyNames", |name| ElementWriter::new("member").value(name.as_str())))
            }
            PolicyQuestion::Policies { scope, attached_only, page: wanted } => {
                Ok(self.policy_list(scope, attached_only, &wanted))
            }
            PolicyQuestion::Policy(reference) => {
                let described = self.expect_policy(&reference)?;
                let uses = self.state.policy_uses().remove(&reference);
                let element = self.policy_element("Policy", &described, uses.as_ref());
                Ok(ElementWriter::new("Result").child(element))
            }
            PolicyQuestion::Version { policy, number } => {
                let versions = self.versions(&policy)?;
                let missing = || IamError::no_such(&format!("Policy version v{number}"));
                let (created, text) = versions.get(&number).ok_or_else(missing)?;
                let default = self.expect_policy(&policy)?.default;
                let element = version_element("PolicyVersion", number, default, *created);
                Ok(ElementWriter::new("Result").child(element.text("Document", &percent_encode(text))))
            }
            PolicyQuestion::Versions { policy, page: wanted } => {
                let default = self.expect_policy(&policy)?.default;
                let versions = self.versions(&policy)?.into_iter();
                // By a name that sorts as the number does.
                let versions = versions.map(|(number, (created, _))| (format!("{number:010}"), number, created));
                Ok(page(&wanted, versions, |(name, ..)| name.as_str())
                    .element("Versions", |(_, number, created)| version_element("member", number, default, created)))
            }
        }
    }

    fn policy_list(
        self,
        scope: PolicyScope,
        attached_only: bool,
        wanted: &super::action::PageRequest,
    ) -> ElementWriter {
        let uses = self.state.policy_uses();
        let own = self.state.policies().into_iter().map(|policy| DescribedPolicy::of(&policy));
        let managed = ManagedPolicy::ALL.iter().map(|policy| self.managed(policy));
        let mut policies: Vec<DescribedPolicy> = match scope {
            PolicyScope::All => own.chain(managed).collect(),
            PolicyScope::Aws => managed.collect(),
            PolicyScope::Local => own.collect(),
        };
        policies.retain(|policy| !attached_only || uses.get(&policy.reference).is_some_and(PolicyUse::is_attached));
        let mut named: Vec<_> =
            policies.into_iter().map(|policy| (policy.reference.arn(self.state.account()), policy)).collect();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        page(wanted, named, |(arn, _)| arn.as_str())
            .element("Policies", |(_, policy)| self.policy_element("member", &policy, uses.get(&policy.reference)))
    }

    fn entities(
        self,
        policy: &PolicyReference,
        filter: EntityFilter,
        wanted: &super::action::PageRequest,
    ) -> Result<ElementWriter, IamError> {
        self.expect_policy(policy)?;
        let mut uses = self.state.policy_uses().remove(policy).unwrap_or_default();
        match filter {
            EntityFilter::All => {}
            EntityFilter::Groups => uses.users.clear(),
            EntityFilter::None => uses = PolicyUse::default(),
            EntityFilter::Users => uses.groups.clear(),
        }
        let users = uses.users.into_iter().map(|user| (format!("user/{user}"), Some(user), None));
        let groups = uses.groups.into_iter().map(|group| (format!("group/{group}"), None, Some(group)));
        // In the order of the names that the marker is one of.
        let entities: Vec<(String, Option<UserName>, Option<GroupName>)> = groups.chain(users).collect();
        let (entities, marker) = page(wanted, entities, |(name, ..)| name.as_str()).into_parts();
        let users = entities.iter().filter_map(|(_, user, _)| user.as_ref()).filter_map(|name| self.state.user(name));
        let groups = entities.iter().filter_map(|(.., group)| group.as_ref()).filter_map(|name| self.state.group(name));
        let users = users
            .map(|user| ElementWriter::new("member").text("UserName", user.name.as_str()).text("UserId", &user.id));
        let groups = groups.map(|group| {
            ElementWriter::new("member").text("GroupName", group.name.as_str()).text("GroupId", &group.id)
        });
        let result = ElementWriter::new("Result").list("PolicyGroups", groups).list("PolicyUsers", users);
        let result = result.list("PolicyRoles", []).text("IsTruncated", &marker.is_some().to_string());
        Ok(match marker {
            Some(marker) => result.text("Marker", &marker),
            None => result,
        })
    }

    fn grants(self, holder: &PolicyHolder) -> Option<PolicyGrants> {
        match holder {
            PolicyHolder::Group(name) => self.state.group(name).map(|group| group.grants),
            PolicyHolder::User(name) => self.state.user(name).map(|user| user.grants),
        }
    }

    fn expect_grants(self, holder: &PolicyHolder) -> Result<PolicyGrants, IamError> {
        self.grants(holder).ok_or_else(|| IamError::no_such(&holder_entity(holder)))
    }

    fn expect_group(self, name: &GroupName) -> Result<GroupRecord, IamError> {
        self.state.group(name).ok_or_else(|| IamError::no_such(&group_entity(name)))
    }

    fn expect_policy(self, reference: &PolicyReference) -> Result<DescribedPolicy, IamError> {
        let found = match reference {
            PolicyReference::Account(name) => self.state.policy(name).map(|policy| DescribedPolicy::of(&policy)),
            PolicyReference::Managed(name) => ManagedPolicy::named(name).map(|policy| self.managed(policy)),
        };
        found.ok_or_else(|| IamError::no_such(&self.policy_entity(reference)))
    }

    /// When each version was made, and its document.
    fn versions(self, reference: &PolicyReference) -> Result<BTreeMap<u32, (Timestamp, String)>, IamError> {
        let found = match reference {
            PolicyReference::Account(name) => self.state.policy(name).map(|policy| {
                let versions = policy.versions.iter();
                versions
                    .map(|(number, version)| (*number, (version.created, version.content.text().to_owned())))
                    .collect()
            }),
            PolicyReference::Managed(name) => ManagedPolicy::named(name)
                .map(|policy| [(1, (self.state.account_created(), policy.text.to_owned()))].into()),
        };
        found.ok_or_else(|| IamError::no_such(&self.policy_entity(reference)))
    }

    fn managed(self, policy: &ManagedPolicy) -> DescribedPolicy {
        let created = self.state.account_created();
        let letters = policy.name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase());
        DescribedPolicy {
            reference: PolicyReference::Managed(policy.name),
            id: format!("ANPA{:0<17.17}", letters.collect::<String>()),
            description: Some(policy.about.to_owned()),
            default: 1,
            created,
            updated: created,
        }
    }

    fn policy_element(
        self,
        element: &'static str,
        policy: &DescribedPolicy,
        uses: Option<&PolicyUse>,
    ) -> ElementWriter {
        let count = |of: fn(&PolicyUse) -> usize| uses.map_or(0, of).to_string();
        let element = ElementWriter::new(element)
            .text("PolicyName", policy.reference.name())
            .text("PolicyId", &policy.id)
            .text("Arn", &policy.reference.arn(self.state.account()))
            .text("Path", "/")
            .text("DefaultVersionId", &format!("v{}", policy.default))
            .text("AttachmentCount", &count(|uses| uses.users.len() + uses.groups.len()))
            .text("PermissionsBoundaryUsageCount", &count(|uses| uses.boundaries))
            .text("IsAttachable", "true")
            .text("CreateDate", &policy.created.iso_extended())
            .text("UpdateDate", &policy.updated.iso_extended());
        match &policy.description {
            Some(description) => element.text("Description", description),
            None => element,
        }
    }

    fn policy_json(self, policy: &DescribedPolicy) -> Value {
        json!({
            "policyName": policy.reference.name(),
            "policyId": policy.id,
            "arn": policy.reference.arn(self.state.account()),
            "path": "/",
            "defaultVersionId": format!("v{}", policy.default),
            "attachmentCount": 0,
            "isAttachable": true,
            "createDate": policy.created.console(),
            "updateDate": policy.updated.console(),
        })
    }

    fn group_element(self, element: &'static str, group: &GroupRecord) -> ElementWriter {
        ElementWriter::new(element)
            .text("Path", "/")
            .text("GroupName", group.name.as_str())
            .text("GroupId", &group.id)
            .text("Arn", &self.group_arn(group))
            .text("CreateDate", &group.created.iso_extended())
    }

    fn group_json(self, group: &GroupRecord) -> Value {
        json!({
            "path": "/",
            "groupName": group.name.as_str(),
            "groupId": group.id,
            "arn": self.group_arn(group),
            "createDate": group.created.console(),
        })
    }

    fn group_arn(self, group: &GroupRecord) -> String {
        format!("arn:aws:iam::{}:group/{}", self.state.account(), group.name)
    }

    fn attached_element(self, reference: &PolicyReference) -> ElementWriter {
        ElementWriter::new("member")
            .text("PolicyName", reference.name())
            .text("PolicyArn", &reference.arn(self.state.account()))
    }

    fn policy_entity(self, reference: &PolicyReference) -> String {
        format!("Policy {}", reference.arn(self.state.account()))
    }

    /// What of a membership is not there.
    fn missing_member(self, group: &GroupName, user: &UserName) -> String {
        if self.state.group(group).is_none() {
            return group_entity(group);
        }
        match self.state.user(user) {
            None => user_entity(user),
            Some(_) => format!("User {user} in group {group}"),
        }
    }
}

impl DescribedPolicy {
    fn of(policy: &PolicyRecord) -> Self {
        Self {
            reference: PolicyReference::Account(policy.name.clone()),
            id: policy.id.clone(),
            description: policy.description.clone(),
            default: policy.default,
            created: policy.created,
            updated: policy.updated,
        }
    }
}

/// A refusal by the state: `quota` names what would be one too many, `entity` what the action is about.
fn refused(error: StoreError, quota: &str, entity: &str) -> IamError {
    let entity = if error == StoreError::LimitReached { quota } else { entity };
    IamError::store(error, entity)
}

/// Attached policies by their names, and by whose they are where two have one name.
fn by_name(attached: impl IntoIterator<Item = PolicyReference>) -> Vec<(String, PolicyReference)> {
    let mut named: Vec<_> = attached.into_iter().map(|reference| (reference.to_string(), reference)).collect();
    named.sort();
    named
}

fn version_element(element: &'static str, number: u32, default: u32, created: Timestamp) -> ElementWriter {
    ElementWriter::new(element)
        .text("VersionId", &format!("v{number}"))
        .text("IsDefaultVersion", &(number == default).to_string())
        .text("CreateDate", &created.iso_extended())
}

fn group_entity(name: &GroupName) -> String {
    format!("The group with name {name}")
}

fn holder_entity(holder: &PolicyHolder) -> String {
    match holder {
        PolicyHolder::Group(name) => group_entity(name),
        PolicyHolder::User(name) => user_entity(name),
    }
}

fn inline_entity(holder: &PolicyHolder, policy: &PolicyName) -> String {
    match holder {
        PolicyHolder::Group(group) => format!("The group policy with name {policy} of group {group}"),
        PolicyHolder::User(user) => format!("The user policy with name {policy} of user {user}"),
    }
}
