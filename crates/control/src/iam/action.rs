//! What can be asked: the table of actions, and a request read by it.

use super::event::IamEvent;
use super::policies::{self, PolicyAction};
use super::refused::IamError;
use super::scope::{IamChannel, IamScope};
use crate::query::MalformedForm;
use portcullis_audit::ControlSubject;
use portcullis_base::names::{AccessKeyId, AccountId, DeviceSerial, InvalidName, UserName};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::record::ROOT_USER;
use portcullis_mfa::{CodeDigits, TokenCode};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::{KeyStatus, Principal};
use portcullis_state::{GivenKey, KeyMaterial};

/// A request as its form tells it, and what its event says of it.
#[derive(Debug)]
pub struct IamRequest {
    event: IamEvent,
    action: Result<IamAction, IamError>,
}

/// An action with its parameters, each of them read.
#[derive(Debug)]
pub struct IamAction {
    pub(super) name: &'static str,
    pub(super) input: ActionInput,
}

/// The actions. A user is one that the parameters name; where none is named, the caller is meant.
#[derive(Debug)]
pub(super) enum ActionInput {
    AcceptClock,
    CreateAccessKey { user: NamedUser, material: KeyMaterial },
    CreateUser { name: UserName },
    CreateVirtualMfaDevice { serial: DeviceSerial, digits: CodeDigits },
    DeactivateMfaDevice { user: NamedUser, serial: DeviceSerial },
    DeleteAccessKey { user: NamedUser, id: AccessKeyId },
    DeleteUser { name: UserName },
    DeleteUserUpstreamCredentials { name: UserName },
    DeleteVirtualMfaDevice { serial: DeviceSerial },
    EmptyList { list: &'static str, user: NamedUser },
    EnableMfaDevice { user: NamedUser, serial: DeviceSerial, codes: ConsecutiveCodes },
    GenerateCredentialReport,
    GetAccountPasswordPolicy,
    GetAccountSummary,
    GetClock,
    GetCredentialReport,
    GetLoginProfile { user: NamedUser },
    GetUser { user: NamedUser },
    ListAccessKeys { user: NamedUser, page: PageRequest },
    ListMfaDevices { user: NamedUser, page: PageRequest },
    ListUsers { prefix: PathPrefix, page: PageRequest },
    ListVirtualMfaDevices { assignment: AssignmentStatus, page: PageRequest },
    Policy(PolicyAction),
    PutUserUpstreamCredentials { name: UserName, given: GivenKey },
    ResyncMfaDevice { user: NamedUser, serial: DeviceSerial, codes: ConsecutiveCodes },
    UpdateAccessKey { user: NamedUser, id: AccessKeyId, status: KeyStatus },
}

/// Whom an action is about, by its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamedUser {
    /// No one is named.
    Caller,
    Root,
    User(UserName),
}

/// `AuthenticationCode1` and `AuthenticationCode2`.
#[derive(Clone, Debug)]
pub(super) struct ConsecutiveCodes {
    pub first: TokenCode,
    pub second: TokenCode,
}

/// `AssignmentStatus`: which virtual devices are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssignmentStatus {
    Any,
    Assigned,
    Unassigned,
}

/// `PathPrefix`. Every user is at `/`, so a longer prefix has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathPrefix {
    Longer,
    Root,
}

/// `Marker` and `MaxItems`: which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageRequest {
    pub after: String,
    pub most: usize,
}

/// The parameters of a known action, each of them known to it.
pub(super) struct ActionParameters<'a> {
    row: &'static IamActionRow,
    values: &'a [(String, String)],
    scope: IamScope<'a>,
}

pub(super) const VERSION: &str = "2010-05-08";

/// The parameter that no event repeats.
const SECRET: &str = "SecretAccessKey";

/// AWS's default for `MaxItems`.
const PAGE: usize = 100;

type InputReader = fn(&ActionParameters<'_>) -> Result<ActionInput, IamError>;

pub(super) struct IamActionRow {
    name: &'static str,
    access: OperationAccess,
    subject: ControlSubject,
    /// The parameters that it knows, sorted.
    parameters: &'static [&'static str],
    /// Those that it knows on the admin socket beside, sorted.
    host_parameters: &'static [&'static str],
    reach: ActionReach,
    read: InputReader,
}

/// Where an action is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ActionReach {
    AdminSocket,
    Everywhere,
}

impl IamActionRow {
    const fn new(
        name: &'static str,
        access: OperationAccess,
        parameters: &'static [&'static str],
        read: InputReader,
    ) -> Self {
        let (subject, reach) = (ControlSubject::Other, ActionReach::Everywhere);
        Self { name, access, subject, parameters, host_parameters: &[], reach, read }
    }

    /// With parameters that the admin socket alone knows.
    const fn with_host_parameters(self, host_parameters: &'static [&'static str]) -> Self {
        Self { host_parameters, ..self }
    }

    const fn on_the_admin_socket(self) -> Self {
        Self { reach: ActionReach::AdminSocket, ..self }
    }

    fn is_known(&self, channel: IamChannel) -> bool {
        match (self.reach, channel) {
            (ActionReach::Everywhere, _) | (ActionReach::AdminSocket, IamChannel::AdminSocket) => true,
            (ActionReach::AdminSocket, IamChannel::Port) => false,
        }
    }

    fn knows(&self, parameter: &str, channel: IamChannel) -> bool {
        let on_host = match channel {
            IamChannel::AdminSocket => self.host_parameters,
            IamChannel::Port => &[],
        };
        self.parameters.contains(&parameter) || on_host.contains(&parameter)
    }
}

pub(super) const fn reading(
    name: &'static str,
    parameters: &'static [&'static str],
    read: InputReader,
) -> IamActionRow {
    IamActionRow::new(name, OperationAccess::Read, parameters, read)
}

pub(super) const fn writing(
    name: &'static str,
    parameters: &'static [&'static str],
    read: InputReader,
) -> IamActionRow {
    IamActionRow::new(name, OperationAccess::Write, parameters, read)
}

/// An action that changes whether a device's codes count.
const fn on_device(name: &'static str, parameters: &'static [&'static str], read: InputReader) -> IamActionRow {
    IamActionRow { subject: ControlSubject::MfaDevice, ..writing(name, parameters, read) }
}

/// `AcceptClock`, `GetClock` and `Digits` are ours: AWS sets its own clocks, and its devices show six digits. So are
/// `AccessKeyId` and `SecretAccessKey` of CreateAccessKey, which bring in a key that clients hold already, and the actions
/// on the key with which a user acts at the upstream. All of these are the machine's owner's, so the port does not know
/// them.
const TABLE: &[IamActionRow] = &[
    writing("AcceptClock", &[], |_| Ok(ActionInput::AcceptClock)).on_the_admin_socket(),
    writing("CreateAccessKey", &["UserName"], |given| {
        Ok(ActionInput::CreateAccessKey { user: given.user()?, material: given.key_material()? })
    })
    .with_host_parameters(&["AccessKeyId", "SecretAccessKey"]),
    writing("CreateUser", &["Path", "UserName"], |given| {
        given.only_root_path()?;
        Ok(ActionInput::CreateUser { name: given.user_name()? })
    }),
    writing("CreateVirtualMFADevice", &["Path", "VirtualMFADeviceName"], |given| {
        given.only_root_path()?;
        let digits = given.digits()?;
        Ok(ActionInput::CreateVirtualMfaDevice { serial: given.new_serial()?, digits })
    })
    .with_host_parameters(&["Digits"]),
    on_device("DeactivateMFADevice", &["SerialNumber", "UserName"], |given| {
        Ok(ActionInput::DeactivateMfaDevice { user: given.device_holder()?, serial: given.serial()? })
    }),
    writing("DeleteAccessKey", &["AccessKeyId", "UserName"], |given| {
        Ok(ActionInput::DeleteAccessKey { id: given.key_id()?, user: given.user()? })
    }),
    writing("DeleteUser", &["UserName"], |given| Ok(ActionInput::DeleteUser { name: given.user_name()? })),
    writing("DeleteUserUpstreamCredentials", &["UserName"], |given| {
        Ok(ActionInput::DeleteUserUpstreamCredentials { name: given.user_name()? })
    })
    .on_the_admin_socket(),
    writing("DeleteVirtualMFADevice", &["SerialNumber"], |given| {
        Ok(ActionInput::DeleteVirtualMfaDevice { serial: given.serial()? })
    }),
    on_device(
        "EnableMFADevice",
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
        |given| {
            let (user, serial) = (given.device_holder()?, given.serial()?);
            Ok(ActionInput::EnableMfaDevice { user, serial, codes: given.consecutive_codes()? })
        },
    ),
    reading("GenerateCredentialReport", &[], |_| Ok(ActionInput::GenerateCredentialReport)),
    reading("GetAccountPasswordPolicy", &[], |_| Ok(ActionInput::GetAccountPasswordPolicy)),
    reading("GetAccountSummary", &[], |_| Ok(ActionInput::GetAccountSummary)),
    reading("GetClock", &[], |_| Ok(ActionInput::GetClock)).on_the_admin_socket(),
    reading("GetCredentialReport", &[], |_| Ok(ActionInput::GetCredentialReport)),
    reading("GetLoginProfile", &["UserName"], |given| Ok(ActionInput::GetLoginProfile { user: given.user()? })),
    reading("GetUser", &["UserName"], |given| Ok(ActionInput::GetUser { user: given.user()? })),
    reading("ListAccessKeys", &["Marker", "MaxItems", "UserName"], |given| {
        Ok(ActionInput::ListAccessKeys { user: given.user()?, page: given.page()? })
    }),
    reading("ListAccountAliases", &["Marker", "MaxItems"], |given| given.empty_list("AccountAliases")),
    reading("ListMFADevices", &["Marker", "MaxItems", "UserName"], |given| {
        Ok(ActionInput::ListMfaDevices { user: given.user()?, page: given.page()? })
    }),
    reading("ListOpenIDConnectProviders", &[], |given| given.empty_list("OpenIDConnectProviderList")),
    reading("ListRoles", &["Marker", "MaxItems", "PathPrefix"], |given| given.empty_list("Roles")),
    reading("ListSAMLProviders", &[], |given| given.empty_list("SAMLProviderList")),
    reading("ListSSHPublicKeys", &["Marker", "MaxItems", "UserName"], |given| given.empty_list("SSHPublicKeys")),
    reading("ListServerCertificates", &["Marker", "MaxItems", "PathPrefix"], |given| {
        given.empty_list("ServerCertificateMetadataList")
    }),
    reading("ListServiceSpecificCredentials", &["ServiceName", "UserName"], |given| {
        given.empty_list("ServiceSpecificCredentials")
    }),
    reading("ListSigningCertificates", &["Marker", "MaxItems", "UserName"], |given| given.empty_list("Certificates")),
    reading("ListUserTags", &["Marker", "MaxItems", "UserName"], |given| {
        given.user_name()?;
        given.empty_list("Tags")
    }),
    reading("ListUsers", &["Marker", "MaxItems", "PathPrefix"], |given| {
        Ok(ActionInput::ListUsers { prefix: given.path_prefix(), page: given.page()? })
    }),
    reading("ListVirtualMFADevices", &["AssignmentStatus", "Marker", "MaxItems"], |given| {
        Ok(ActionInput::ListVirtualMfaDevices { assignment: given.assignment()?, page: given.page()? })
    }),
    writing("PutUserUpstreamCredentials", &["AccessKeyId", "SecretAccessKey", "UserName"], |given| {
        Ok(ActionInput::PutUserUpstreamCredentials { name: given.user_name()?, given: given.given_key()? })
    })
    .on_the_admin_socket(),
    on_device(
        "ResyncMFADevice",
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
        |given| {
            let (user, serial) = (given.device_holder()?, given.serial()?);
            Ok(ActionInput::ResyncMfaDevice { user, serial, codes: given.consecutive_codes()? })
        },
    ),
    writing("UpdateAccessKey", &["AccessKeyId", "Status", "UserName"], |given| {
        let (id, user) = (given.key_id()?, given.user()?);
        Ok(ActionInput::UpdateAccessKey { user, id, status: given.key_status()? })
    }),
];

impl NamedUser {
    /// Who that is, if this principal asks.
    pub(super) fn principal(&self, caller: &Principal) -> Principal {
        match self {
            Self::Caller => caller.clone(),
            Self::Root => Principal::Root,
            Self::User(name) => Principal::User(name.clone()),
        }
    }
}

/// What an action does beside what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActionNature {
    /// It makes, enables, disables or deletes an MFA device.
    pub changes_devices: bool,
    /// The question or its answer holds a code, a seed or a secret key.
    pub carries_secret: bool,
}

impl IamAction {
    pub(super) fn nature(&self) -> ActionNature {
        let nature = |changes_devices, carries_secret| ActionNature { changes_devices, carries_secret };
        match self.input {
            ActionInput::CreateVirtualMfaDevice { .. }
            | ActionInput::EnableMfaDevice { .. }
            | ActionInput::ResyncMfaDevice { .. } => nature(true, true),
            ActionInput::DeactivateMfaDevice { .. } | ActionInput::DeleteVirtualMfaDevice { .. } => nature(true, false),
            ActionInput::CreateAccessKey { .. } | ActionInput::PutUserUpstreamCredentials { .. } => nature(false, true),
            ActionInput::AcceptClock
            | ActionInput::CreateUser { .. }
            | ActionInput::DeleteAccessKey { .. }
            | ActionInput::DeleteUser { .. }
            | ActionInput::DeleteUserUpstreamCredentials { .. }
            | ActionInput::EmptyList { .. }
            | ActionInput::GenerateCredentialReport
            | ActionInput::GetAccountPasswordPolicy
            | ActionInput::GetAccountSummary
            | ActionInput::GetClock
            | ActionInput::GetCredentialReport
            | ActionInput::GetLoginProfile { .. }
            | ActionInput::GetUser { .. }
            | ActionInput::ListAccessKeys { .. }
            | ActionInput::ListMfaDevices { .. }
            | ActionInput::ListUsers { .. }
            | ActionInput::ListVirtualMfaDevices { .. }
            | ActionInput::Policy(_)
            | ActionInput::UpdateAccessKey { .. } => nature(false, false),
        }
    }
}

impl IamRequest {
    /// Reads a form.
    pub fn read(form: &[(String, String)], scope: IamScope<'_>) -> Self {
        let row = match find(form, scope.channel) {
            Ok(row) => row,
            Err(refused) => return Self { event: IamEvent::unknown(value(form, "Action")), action: Err(refused) },
        };
        let mut event = IamEvent::of(row.name, row.access, row.subject);
        let action = ActionParameters::of(row, form, scope).and_then(|given| {
            event.parameters(given.recorded());
            let input = (row.read)(&given)?;
            Ok(IamAction { name: row.name, input })
        });
        Self { event, action }
    }

    /// A request whose parameters are no form.
    pub fn unreadable(malformed: &MalformedForm) -> Self {
        Self { event: IamEvent::unknown(None), action: Err(IamError::unreadable_form(malformed)) }
    }

    /// The same request, refused whatever it asks.
    pub fn refused(self, why: IamError) -> Self {
        Self { action: Err(why), ..self }
    }

    /// What its event says of what is asked.
    pub fn event(&self) -> &IamEvent {
        &self.event
    }

    /// The action, if all of the form is understood.
    pub fn into_action(self) -> Result<IamAction, IamError> {
        self.action
    }
}

/// Every action that is known.
fn rows() -> impl Iterator<Item = &'static IamActionRow> {
    TABLE.iter().chain(policies::TABLE)
}

/// Which action is asked for, and of which version.
fn find(form: &[(String, String)], channel: IamChannel) -> Result<&'static IamActionRow, IamError> {
    let name = value(form, "Action").ok_or_else(IamError::missing_action)?;
    // A client of ours need not say the version; one that says another means other answers.
    let version = value(form, "Version").unwrap_or(VERSION);
    let found = rows().find(|row| row.name == name && row.is_known(channel));
    found.filter(|_| version == VERSION).ok_or_else(|| IamError::unknown_action(name, version))
}

impl<'a> ActionParameters<'a> {
    /// Takes parameters that the action knows; what is not understood is refused, not dropped.
    fn of(row: &'static IamActionRow, values: &'a [(String, String)], scope: IamScope<'a>) -> Result<Self, IamError> {
        for (index, (name, _)) in values.iter().enumerate() {
            if !row.knows(name, scope.channel) && name != "Action" && name != "Version" {
                return Err(IamError::unknown_parameter(name));
            }
            if values.iter().take(index).any(|(before, _)| before == name) {
                return Err(IamError::repeated_parameter(name));
            }
        }
        Ok(Self { row, values, scope })
    }

    /// Those that may be recorded, which codes and secrets may not.
    fn recorded(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let values = self.values;
        let is_secret = |name: &str| name.starts_with("AuthenticationCode") || name == SECRET;
        let known = self.row.parameters.iter().chain(self.row.host_parameters);
        let recorded = known.filter(move |name| !is_secret(name));
        recorded.filter_map(move |name| value(values, name).map(|value| (*name, value)))
    }

    /// The value of a parameter that may be left out.
    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        value(self.values, name)
    }

    /// The value of a parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, IamError> {
        self.optional(name).filter(|value| !value.is_empty()).ok_or_else(|| IamError::missing_parameter(name))
    }

    pub(super) fn only_root_path(&self) -> Result<(), IamError> {
        match self.optional("Path") {
            None | Some("/") => Ok(()),
            Some(_) => Err(IamError::invalid_value("Path", "be / here")),
        }
    }

    pub(super) fn user_name(&self) -> Result<UserName, IamError> {
        let text = self.required("UserName")?;
        UserName::parse(text).map_err(|error| IamError::invalid_name("UserName", error))
    }

    fn user(&self) -> Result<NamedUser, IamError> {
        self.optional("UserName").map_or(Ok(NamedUser::Caller), |_| self.user_name().map(NamedUser::User))
    }

    /// The holder of a device. AWS's tools leave no one out, and root has the name there that it has in events; no user has
    /// it, as it has spaces.
    fn device_holder(&self) -> Result<NamedUser, IamError> {
        match self.optional("UserName") {
            Some(ROOT_USER) => Ok(NamedUser::Root),
            Some(_) | None => self.user(),
        }
    }

    /// The account that is asked.
    pub(super) fn account(&self) -> &AccountId {
        self.scope.account
    }

    fn empty_list(&self, list: &'static str) -> Result<ActionInput, IamError> {
        self.page()?;
        Ok(ActionInput::EmptyList { list, user: self.user()? })
    }

    fn key_id(&self) -> Result<AccessKeyId, IamError> {
        let text = self.required("AccessKeyId")?;
        AccessKeyId::parse(text).map_err(|error| IamError::invalid_name("AccessKeyId", error))
    }

    fn key_material(&self) -> Result<KeyMaterial, IamError> {
        if self.optional("AccessKeyId").is_none() && self.optional(SECRET).is_none() {
            return Ok(KeyMaterial::Random);
        }
        self.given_key().map(KeyMaterial::Given)
    }

    fn given_key(&self) -> Result<GivenKey, IamError> {
        let secret = Secret::new(self.required(SECRET)?.to_owned());
        GivenKey::new(self.key_id()?, secret).map_err(|_| {
            IamError::invalid_value(
                SECRET,
                "have 8 to 128 bytes, without control characters and without spaces at its ends",
            )
        })
    }

    fn key_status(&self) -> Result<KeyStatus, IamError> {
        match self.required("Status")? {
            "Active" => Ok(KeyStatus::Active),
            "Inactive" => Ok(KeyStatus::Inactive),
            _ => Err(IamError::invalid_value("Status", "satisfy enum value set: [Active, Inactive]")),
        }
    }

    fn serial(&self) -> Result<DeviceSerial, IamError> {
        let text = self.required("SerialNumber")?;
        DeviceSerial::parse(text).map_err(|error| IamError::invalid_name("SerialNumber", error))
    }

    fn new_serial(&self) -> Result<DeviceSerial, IamError> {
        const NAME: &str = "VirtualMFADeviceName";
        let name = self.required(NAME)?;
        // IAM's pattern, which is narrower than that of serials: a colon would end the label of an otpauth URI.
        if name.contains([':', '/']) {
            return Err(IamError::invalid_name(NAME, InvalidName::DeviceSerial));
        }
        DeviceSerial::virtual_device(self.scope.account, name).map_err(|error| IamError::invalid_name(NAME, error))
    }

    fn digits(&self) -> Result<CodeDigits, IamError> {
        let Some(text) = self.optional("Digits") else { return Ok(self.scope.digits) };
        let digits = text.parse().ok().and_then(CodeDigits::parse);
        digits.ok_or_else(|| IamError::invalid_value("Digits", "be 6 or 8"))
    }

    fn consecutive_codes(&self) -> Result<ConsecutiveCodes, IamError> {
        let code = |name| self.required(name).map(TokenCode::new);
        Ok(ConsecutiveCodes { first: code("AuthenticationCode1")?, second: code("AuthenticationCode2")? })
    }

    fn assignment(&self) -> Result<AssignmentStatus, IamError> {
        match self.optional("AssignmentStatus") {
            None | Some("Any") => Ok(AssignmentStatus::Any),
            Some("Assigned") => Ok(AssignmentStatus::Assigned),
            Some("Unassigned") => Ok(AssignmentStatus::Unassigned),
            Some(_) => {
                let must = "satisfy enum value set: [Assigned, Any, Unassigned]";
                Err(IamError::invalid_value("AssignmentStatus", must))
            }
        }
    }

    fn path_prefix(&self) -> PathPrefix {
        match self.optional("PathPrefix") {
            None | Some("/") => PathPrefix::Root,
            Some(_) => PathPrefix::Longer,
        }
    }

    pub(super) fn page(&self) -> Result<PageRequest, IamError> {
        let most = match self.optional("MaxItems").map(str::parse::<usize>) {
            None => PAGE,
            Some(Ok(most)) if (1..=1000).contains(&most) => most,
            Some(_) => return Err(IamError::invalid_value("MaxItems", "be a number from 1 to 1000")),
        };
        Ok(PageRequest { after: self.optional("Marker").unwrap_or("").to_owned(), most })
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_row() {
        for row in rows() {
            let asked = [("Action".to_owned(), row.name.to_owned())];
            assert_eq!(
                find(&asked, IamChannel::AdminSocket).map(|found| found.name).map_err(|refused| refused.code),
                Ok(row.name)
            );
            assert!(row.parameters.is_sorted() && row.host_parameters.is_sorted());
        }
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert_eq!(TABLE.len(), 33);
    }
}
