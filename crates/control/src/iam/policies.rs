//! The actions on policies and groups: their rows in the table, and what each asks for.

use super::action::{ActionInput, ActionParameters, IamActionRow, PageRequest, reading, writing};
use super::refused::IamError;
use portcullis_base::names::{GroupName, PolicyName, UserName};
use portcullis_policy::PolicyKind;
use portcullis_state::{GrantChange, MembershipChange, PolicyHolder, PolicyReference, PolicyText, VersionChange};

/// An action on policies or groups.
#[derive(Debug)]
pub(super) enum PolicyAction {
    ChangeGrants { holder: PolicyHolder, change: GrantChange },
    ChangeMembership { group: GroupName, user: UserName, change: MembershipChange },
    ChangeVersions { policy: PolicyName, change: VersionChange },
    CreateGroup { name: GroupName },
    CreatePolicy { name: PolicyName, description: Option<String>, content: PolicyText },
    DeleteGroup { name: GroupName },
    DeletePolicy { policy: PolicyName },
    Read(PolicyQuestion),
    SetBoundary { user: UserName, boundary: Option<PolicyReference> },
}

/// A question about policies or groups.
#[derive(Debug)]
pub(super) enum PolicyQuestion {
    Attached { holder: PolicyHolder, page: PageRequest },
    Entities { policy: PolicyReference, filter: EntityFilter, page: PageRequest },
    Group { name: GroupName, page: PageRequest },
    Groups { page: PageRequest },
    GroupsOfUser { user: UserName, page: PageRequest },
    Inline { holder: PolicyHolder, name: PolicyName },
    InlineNames { holder: PolicyHolder, page: PageRequest },
    Policies { scope: PolicyScope, attached_only: bool, page: PageRequest },
    Policy(PolicyReference),
    Version { policy: PolicyReference, number: u32 },
    Versions { policy: PolicyReference, page: PageRequest },
}

/// `Scope`: whose policies are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyScope {
    All,
    /// Those that are part of Portcullis.
    Aws,
    Local,
}

/// `EntityFilter`: which users of a policy are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntityFilter {
    All,
    Groups,
    /// Roles, of which there are none, and policies, which have no policies.
    None,
    Users,
}

/// Which kind of holder an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderKind {
    Group,
    User,
}

const DOCUMENT: &str = "PolicyDocument";

/// `PathPrefix` of a list is refused unless it is `/`, where everything is.
pub(super) const TABLE: &[IamActionRow] = &[
    writing("AddUserToGroup", &["GroupName", "UserName"], |given| membership(given, MembershipChange::Join)),
    writing("AttachGroupPolicy", &["GroupName", "PolicyArn"], |given| {
        grants(given, HolderKind::Group, GrantChange::Attach(given.policy_arn()?))
    }),
    writing("AttachUserPolicy", &["PolicyArn", "UserName"], |given| {
        grants(given, HolderKind::User, GrantChange::Attach(given.policy_arn()?))
    }),
    writing("CreateGroup", &["GroupName", "Path"], |given| {
        given.only_root_path()?;
        asked(PolicyAction::CreateGroup { name: given.group_name()? })
    }),
    writing("CreatePolicy", &["Description", "Path", DOCUMENT, "PolicyName"], |given| {
        given.only_root_path()?;
        let (name, description) = (given.policy_name()?, given.description()?);
        asked(PolicyAction::CreatePolicy { name, description, content: given.document(PolicyKind::Managed)? })
    }),
    writing("CreatePolicyVersion", &["PolicyArn", DOCUMENT, "SetAsDefault"], |given| {
        let is_default = given.flag("SetAsDefault")?;
        versions(given, VersionChange::Add { content: given.document(PolicyKind::Managed)?, is_default })
    }),
    writing("DeleteGroup", &["GroupName"], |given| asked(PolicyAction::DeleteGroup { name: given.group_name()? })),
    writing("DeleteGroupPolicy", &["GroupName", "PolicyName"], |given| {
        grants(given, HolderKind::Group, GrantChange::DeleteInline(given.policy_name()?))
    }),
    writing("DeletePolicy", &["PolicyArn"], |given| asked(PolicyAction::DeletePolicy { policy: given.own_policy()? })),
    writing("DeletePolicyVersion", &["PolicyArn", "VersionId"], |given| {
        versions(given, VersionChange::Delete(given.version()?))
    }),
    writing("DeleteUserPermissionsBoundary", &["UserName"], |given| {
        asked(PolicyAction::SetBoundary { user: given.user_name()?, boundary: None })
    }),
    writing("DeleteUserPolicy", &["PolicyName", "UserName"], |given| {
        grants(given, HolderKind::User, GrantChange::DeleteInline(given.policy_name()?))
    }),
    writing("DetachGroupPolicy", &["GroupName", "PolicyArn"], |given| {
        grants(given, HolderKind::Group, GrantChange::Detach(given.policy_arn()?))
    }),
    writing("DetachUserPolicy", &["PolicyArn", "UserName"], |given| {
        grants(given, HolderKind::User, GrantChange::Detach(given.policy_arn()?))
    }),
    reading("GetGroup", &["GroupName", "Marker", "MaxItems"], |given| {
        question(PolicyQuestion::Group { name: given.group_name()?, page: given.page()? })
    }),
    reading("GetGroupPolicy", &["GroupName", "PolicyName"], |given| inline(given, HolderKind::Group)),
    reading("GetPolicy", &["PolicyArn"], |given| question(PolicyQuestion::Policy(given.policy_arn()?))),
    reading("GetPolicyVersion", &["PolicyArn", "VersionId"], |given| {
        question(PolicyQuestion::Version { policy: given.policy_arn()?, number: given.version()? })
    }),
    reading("GetUserPolicy", &["PolicyName", "UserName"], |given| inline(given, HolderKind::User)),
    reading("ListAttachedGroupPolicies", &["GroupName", "Marker", "MaxItems", "PathPrefix"], |given| {
        attached(given, HolderKind::Group)
    }),
    reading("ListAttachedUserPolicies", &["Marker", "MaxItems", "PathPrefix", "UserName"], |given| {
        attached(given, HolderKind::User)
    }),
    reading("ListEntitiesForPolicy", &["EntityFilter", "Marker", "MaxItems", "PathPrefix", "PolicyArn"], |given| {
        given.only_root_prefix()?;
        let (policy, filter) = (given.policy_arn()?, given.entity_filter()?);
        question(PolicyQuestion::Entities { policy, filter, page: given.page()? })
    }),
    reading("ListGroupPolicies", &["GroupName", "Marker", "MaxItems"], |given| names(given, HolderKind::Group)),
    reading("ListGroups", &["Marker", "MaxItems", "PathPrefix"], |given| {
        given.only_root_prefix()?;
        question(PolicyQuestion::Groups { page: given.page()? })
    }),
    reading("ListGroupsForUser", &["Marker", "MaxItems", "UserName"], |given| {
        question(PolicyQuestion::GroupsOfUser { user: given.user_name()?, page: given.page()? })
    }),
    reading("ListPolicies", &["Marker", "MaxItems", "OnlyAttached", "PathPrefix", "Scope"], |given| {
        given.only_root_prefix()?;
        let (scope, attached_only) = (given.scope()?, given.flag("OnlyAttached")?);
        question(PolicyQuestion::Policies { scope, attached_only, page: given.page()? })
    }),
    reading("ListPolicyVersions", &["Marker", "MaxItems", "PolicyArn"], |given| {
        question(PolicyQuestion::Versions { policy: given.policy_arn()?, page: given.page()? })
    }),
    reading("ListUserPolicies", &["Marker", "MaxItems", "UserName"], |given| names(given, HolderKind::User)),
    writing("PutGroupPolicy", &["GroupName", DOCUMENT, "PolicyName"], |given| {
        let content = given.document(PolicyKind::GroupInline)?;
        grants(given, HolderKind::Group, GrantChange::PutInline(given.policy_name()?, content))
    }),
    writing("PutUserPermissionsBoundary", &["PermissionsBoundary", "UserName"], |given| {
        let boundary = Some(given.arn("PermissionsBoundary")?);
        asked(PolicyAction::SetBoundary { user: given.user_name()?, boundary })
    }),
    writing("PutUserPolicy", &[DOCUMENT, "PolicyName", "UserName"], |given| {
        let content = given.document(PolicyKind::UserInline)?;
        grants(given, HolderKind::User, GrantChange::PutInline(given.policy_name()?, content))
    }),
    writing("RemoveUserFromGroup", &["GroupName", "UserName"], |given| membership(given, MembershipChange::Leave)),
    writing("SetDefaultPolicyVersion", &["PolicyArn", "VersionId"], |given| {
        versions(given, VersionChange::SetDefault(given.version()?))
    }),
];

type ReadInput = Result<ActionInput, IamError>;

fn asked(action: PolicyAction) -> ReadInput {
    Ok(ActionInput::Policy(action))
}

fn question(question: PolicyQuestion) -> ReadInput {
    asked(PolicyAction::Read(question))
}

fn grants(given: &ActionParameters<'_>, kind: HolderKind, change: GrantChange) -> ReadInput {
    asked(PolicyAction::ChangeGrants { holder: given.policy_holder(kind)?, change })
}

fn versions(given: &ActionParameters<'_>, change: VersionChange) -> ReadInput {
    asked(PolicyAction::ChangeVersions { policy: given.own_policy()?, change })
}

fn membership(given: &ActionParameters<'_>, change: MembershipChange) -> ReadInput {
    asked(PolicyAction::ChangeMembership { group: given.group_name()?, user: given.user_name()?, change })
}

fn attached(given: &ActionParameters<'_>, kind: HolderKind) -> ReadInput {
    given.only_root_prefix()?;
    question(PolicyQuestion::Attached { holder: given.policy_holder(kind)?, page: given.page()? })
}

fn inline(given: &ActionParameters<'_>, kind: HolderKind) -> ReadInput {
    question(PolicyQuestion::Inline { holder: given.policy_holder(kind)?, name: given.policy_name()? })
}

fn names(given: &ActionParameters<'_>, kind: HolderKind) -> ReadInput {
    question(PolicyQuestion::InlineNames { holder: given.policy_holder(kind)?, page: given.page()? })
}

impl ActionParameters<'_> {
    fn group_name(&self) -> Result<GroupName, IamError> {
        let text = self.required("GroupName")?;
        GroupName::parse(text).map_err(|error| IamError::invalid_name("GroupName", error))
    }

    fn policy_name(&self) -> Result<PolicyName, IamError> {
        let text = self.required("PolicyName")?;
        PolicyName::parse(text).map_err(|error| IamError::invalid_name("PolicyName", error))
    }

    fn policy_holder(&self, kind: HolderKind) -> Result<PolicyHolder, IamError> {
        match kind {
            HolderKind::Group => self.group_name().map(PolicyHolder::Group),
            HolderKind::User => self.user_name().map(PolicyHolder::User),
        }
    }

    fn document(&self, kind: PolicyKind) -> Result<PolicyText, IamError> {
        let text = self.required(DOCUMENT)?;
        PolicyText::parse(text, kind).map_err(|error| IamError::malformed_policy(&error))
    }

    fn description(&self) -> Result<Option<String>, IamError> {
        match self.optional("Description") {
            Some(text) if text.chars().count() > 1000 => {
                Err(IamError::invalid_value("Description", "have length less than or equal to 1000"))
            }
            description => Ok(description.map(str::to_owned)),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, IamError> {
        match self.optional(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(IamError::invalid_value(name, "be true or false")),
        }
    }

    fn scope(&self) -> Result<PolicyScope, IamError> {
        match self.optional("Scope") {
            None | Some("All") => Ok(PolicyScope::All),
            Some("AWS") => Ok(PolicyScope::Aws),
            Some("Local") => Ok(PolicyScope::Local),
            Some(_) => Err(IamError::invalid_value("Scope", "satisfy enum value set: [All, AWS, Local]")),
        }
    }

    fn entity_filter(&self) -> Result<EntityFilter, IamError> {
        match self.optional("EntityFilter") {
            None => Ok(EntityFilter::All),
            Some("Group") => Ok(EntityFilter::Groups),
            Some("AWSManagedPolicy" | "LocalManagedPolicy" | "Role") => Ok(EntityFilter::None),
            Some("User") => Ok(EntityFilter::Users),
            Some(_) => Err(IamError::invalid_value(
                "EntityFilter",
                "satisfy enum value set: [User, Role, Group, LocalManagedPolicy, AWSManagedPolicy]",
            )),
        }
    }

    fn version(&self) -> Result<u32, IamError> {
        let number = self.required("VersionId")?.strip_prefix('v').and_then(|number| number.parse().ok());
        number.ok_or_else(|| IamError::invalid_value("VersionId", "satisfy regular expression pattern: v[1-9][0-9]*"))
    }

    fn policy_arn(&self) -> Result<PolicyReference, IamError> {
        self.arn("PolicyArn")
    }

    fn arn(&self, name: &str) -> Result<PolicyReference, IamError> {
        let text = self.required(name)?;
        let is_arn = text.starts_with("arn:") && text.contains(":policy/");
        match PolicyReference::parse_arn(text, self.account()) {
            Some(reference) => Ok(reference),
            None if is_arn => Err(IamError::no_such(&format!("Policy {text}"))),
            None => Err(IamError::invalid_value(name, "be the ARN of a policy")),
        }
    }

    /// A policy that can be changed.
    fn own_policy(&self) -> Result<PolicyName, IamError> {
        match self.policy_arn()? {
            PolicyReference::Account(name) => Ok(name),
            PolicyReference::Managed(_) => {
                Err(IamError::denied("A policy that is part of Portcullis cannot be changed."))
            }
        }
    }

    fn only_root_prefix(&self) -> Result<(), IamError> {
        match self.optional("PathPrefix") {
            None | Some("/") => Ok(()),
            Some(_) => Err(IamError::invalid_value("PathPrefix", "be / here")),
        }
    }
}
