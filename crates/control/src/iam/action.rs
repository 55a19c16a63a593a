//! What can be asked: the table of actions, and a request read by it.

use super::event::IamEvent;
use super::refused::IamError;
use portcullis_audit::ControlSubject;
use portcullis_base::names::{AccessKeyId, AccountId, DeviceSerial, InvalidName, UserName};
use portcullis_base::secret::Secret;
use portcullis_mfa::{CodeDigits, TokenCode};
use portcullis_s3::OperationAccess;
use portcullis_sigv4::KeyStatus;
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

/// The actions. A user is one that the parameters name; where none is named, root is meant.
#[derive(Debug)]
pub(super) enum ActionInput {
    AcceptClock,
    CreateAccessKey { user: Option<UserName>, material: KeyMaterial },
    CreateUser { name: UserName },
    CreateVirtualMfaDevice { serial: DeviceSerial, digits: CodeDigits },
    DeactivateMfaDevice { user: Option<UserName>, serial: DeviceSerial },
    DeleteAccessKey { user: Option<UserName>, id: AccessKeyId },
    DeleteUser { name: UserName },
    DeleteUserUpstreamCredentials { name: UserName },
    DeleteVirtualMfaDevice { serial: DeviceSerial },
    EnableMfaDevice { user: Option<UserName>, serial: DeviceSerial, codes: ConsecutiveCodes },
    GetClock,
    GetUser { user: Option<UserName> },
    ListAccessKeys { user: Option<UserName>, page: PageRequest },
    ListMfaDevices { user: Option<UserName>, page: PageRequest },
    ListUsers { prefix: PathPrefix, page: PageRequest },
    ListVirtualMfaDevices { assignment: AssignmentStatus, page: PageRequest },
    PutUserUpstreamCredentials { name: UserName, given: GivenKey },
    ResyncMfaDevice { user: Option<UserName>, serial: DeviceSerial, codes: ConsecutiveCodes },
    UpdateAccessKey { user: Option<UserName>, id: AccessKeyId, status: KeyStatus },
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
struct ActionParameters<'a> {
    row: &'static IamActionRow,
    values: &'a [(String, String)],
}

pub(super) const VERSION: &str = "2010-05-08";

/// The parameter that no event repeats.
const SECRET: &str = "SecretAccessKey";

/// AWS's default for `MaxItems`.
const PAGE: usize = 100;

type InputReader = fn(&ActionParameters<'_>, &AccountId) -> Result<ActionInput, IamError>;

struct IamActionRow {
    name: &'static str,
    access: OperationAccess,
    subject: ControlSubject,
    /// The parameters that it knows, sorted.
    parameters: &'static [&'static str],
    read: InputReader,
}

const fn reading(name: &'static str, parameters: &'static [&'static str], read: InputReader) -> IamActionRow {
    IamActionRow { name, access: OperationAccess::Read, subject: ControlSubject::Other, parameters, read }
}

const fn writing(name: &'static str, parameters: &'static [&'static str], read: InputReader) -> IamActionRow {
    IamActionRow { name, access: OperationAccess::Write, subject: ControlSubject::Other, parameters, read }
}

/// An action that changes whether a device's codes count.
const fn on_device(name: &'static str, parameters: &'static [&'static str], read: InputReader) -> IamActionRow {
    IamActionRow { name, access: OperationAccess::Write, subject: ControlSubject::MfaDevice, parameters, read }
}

/// `AcceptClock`, `GetClock` and `Digits` are ours: AWS sets its own clocks, and its devices show six digits. So are
/// `AccessKeyId` and `SecretAccessKey` of CreateAccessKey, which bring in a key that clients hold already, and the actions
/// on the key with which a user acts at the upstream.
const TABLE: &[IamActionRow] = &[
    writing("AcceptClock", &[], |_, _| Ok(ActionInput::AcceptClock)),
    writing("CreateAccessKey", &["AccessKeyId", "SecretAccessKey", "UserName"], |given, _| {
        Ok(ActionInput::CreateAccessKey { user: given.user()?, material: given.key_material()? })
    }),
    writing("CreateUser", &["Path", "UserName"], |given, _| {
        given.only_root_path()?;
        Ok(ActionInput::CreateUser { name: given.user_name()? })
    }),
    writing("CreateVirtualMFADevice", &["Digits", "Path", "VirtualMFADeviceName"], |given, account| {
        given.only_root_path()?;
        let digits = given.digits()?;
        Ok(ActionInput::CreateVirtualMfaDevice { serial: given.new_serial(account)?, digits })
    }),
    on_device("DeactivateMFADevice", &["SerialNumber", "UserName"], |given, _| {
        Ok(ActionInput::DeactivateMfaDevice { user: given.user()?, serial: given.serial()? })
    }),
    writing("DeleteAccessKey", &["AccessKeyId", "UserName"], |given, _| {
        Ok(ActionInput::DeleteAccessKey { id: given.key_id()?, user: given.user()? })
    }),
    writing("DeleteUser", &["UserName"], |given, _| Ok(ActionInput::DeleteUser { name: given.user_name()? })),
    writing("DeleteUserUpstreamCredentials", &["UserName"], |given, _| {
        Ok(ActionInput::DeleteUserUpstreamCredentials { name: given.user_name()? })
    }),
    writing("DeleteVirtualMFADevice", &["SerialNumber"], |given, _| {
        Ok(ActionInput::DeleteVirtualMfaDevice { serial: given.serial()? })
    }),
    on_device(
        "EnableMFADevice",
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
        |given, _| {
            let (user, serial) = (given.user()?, given.serial()?);
            Ok(ActionInput::EnableMfaDevice { user, serial, codes: given.consecutive_codes()? })
        },
    ),
    reading("GetClock", &[], |_, _| Ok(ActionInput::GetClock)),
    reading("GetUser", &["UserName"], |given, _| Ok(ActionInput::GetUser { user: given.user()? })),
    reading("ListAccessKeys", &["Marker", "MaxItems", "UserName"], |given, _| {
        Ok(ActionInput::ListAccessKeys { user: given.user()?, page: given.page()? })
    }),
    reading("ListMFADevices", &["Marker", "MaxItems", "UserName"], |given, _| {
        Ok(ActionInput::ListMfaDevices { user: given.user()?, page: given.page()? })
    }),
    reading("ListUsers", &["Marker", "MaxItems", "PathPrefix"], |given, _| {
        Ok(ActionInput::ListUsers { prefix: given.path_prefix(), page: given.page()? })
    }),
    reading("ListVirtualMFADevices", &["AssignmentStatus", "Marker", "MaxItems"], |given, _| {
        Ok(ActionInput::ListVirtualMfaDevices { assignment: given.assignment()?, page: given.page()? })
    }),
    writing("PutUserUpstreamCredentials", &["AccessKeyId", "SecretAccessKey", "UserName"], |given, _| {
        Ok(ActionInput::PutUserUpstreamCredentials { name: given.user_name()?, given: given.given_key()? })
    }),
    on_device(
        "ResyncMFADevice",
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
        |given, _| {
            let (user, serial) = (given.user()?, given.serial()?);
            Ok(ActionInput::ResyncMfaDevice { user, serial, codes: given.consecutive_codes()? })
        },
    ),
    writing("UpdateAccessKey", &["AccessKeyId", "Status", "UserName"], |given, _| {
        let (id, user) = (given.key_id()?, given.user()?);
        Ok(ActionInput::UpdateAccessKey { user, id, status: given.key_status()? })
    }),
];

impl IamRequest {
    /// Reads a form that asks something of this account.
    pub fn read(form: &[(String, String)], account: &AccountId) -> Self {
        let row = match find(form) {
            Ok(row) => row,
            Err(refused) => return Self { event: IamEvent::UNKNOWN, action: Err(refused) },
        };
        let mut event = IamEvent::of(row.name, row.access, row.subject);
        let action = ActionParameters::of(row, form).and_then(|given| {
            event.parameters(given.recorded());
            let input = (row.read)(&given, account)?;
            Ok(IamAction { name: row.name, input })
        });
        Self { event, action }
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

/// Which action is asked for, and of which version.
fn find(form: &[(String, String)]) -> Result<&'static IamActionRow, IamError> {
    let name = value(form, "Action").ok_or_else(IamError::missing_action)?;
    // A client of ours need not say the version; one that says another means other answers.
    let version = value(form, "Version").unwrap_or(VERSION);
    let found = TABLE.iter().find(|row| row.name == name).filter(|_| version == VERSION);
    found.ok_or_else(|| IamError::unknown_action(name, version))
}

impl<'a> ActionParameters<'a> {
    /// Takes parameters that the action knows; what is not understood is refused, not dropped.
    fn of(row: &'static IamActionRow, values: &'a [(String, String)]) -> Result<Self, IamError> {
        for (index, (name, _)) in values.iter().enumerate() {
            if !row.parameters.contains(&name.as_str()) && name != "Action" && name != "Version" {
                return Err(IamError::unknown_parameter(name));
            }
            if values.iter().take(index).any(|(before, _)| before == name) {
                return Err(IamError::repeated_parameter(name));
            }
        }
        Ok(Self { row, values })
    }

    /// Those that may be recorded, which codes and secrets may not.
    fn recorded(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let values = self.values;
        let is_secret = |name: &str| name.starts_with("AuthenticationCode") || name == SECRET;
        let recorded = self.row.parameters.iter().filter(move |name| !is_secret(name));
        recorded.filter_map(move |name| value(values, name).map(|value| (*name, value)))
    }

    /// The value of a parameter that may be left out.
    fn optional(&self, name: &str) -> Option<&'a str> {
        value(self.values, name)
    }

    /// The value of a parameter that must be there.
    fn required(&self, name: &str) -> Result<&'a str, IamError> {
        self.optional(name).filter(|value| !value.is_empty()).ok_or_else(|| IamError::missing_parameter(name))
    }

    fn only_root_path(&self) -> Result<(), IamError> {
        match self.optional("Path") {
            None | Some("/") => Ok(()),
            Some(_) => Err(IamError::invalid_value("Path", "be / here")),
        }
    }

    fn user_name(&self) -> Result<UserName, IamError> {
        let text = self.required("UserName")?;
        UserName::parse(text).map_err(|error| IamError::invalid_name("UserName", error))
    }

    fn user(&self) -> Result<Option<UserName>, IamError> {
        self.optional("UserName").map(|_| self.user_name()).transpose()
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

    fn new_serial(&self, account: &AccountId) -> Result<DeviceSerial, IamError> {
        const NAME: &str = "VirtualMFADeviceName";
        let name = self.required(NAME)?;
        // IAM's pattern, which is narrower than that of serials: a colon would end the label of an otpauth URI.
        if name.contains([':', '/']) {
            return Err(IamError::invalid_name(NAME, InvalidName::DeviceSerial));
        }
        DeviceSerial::virtual_device(account, name).map_err(|error| IamError::invalid_name(NAME, error))
    }

    fn digits(&self) -> Result<CodeDigits, IamError> {
        let Some(text) = self.optional("Digits") else { return Ok(CodeDigits::Six) };
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

    fn page(&self) -> Result<PageRequest, IamError> {
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
        for row in TABLE {
            let asked = [("Action".to_owned(), row.name.to_owned())];
            assert_eq!(find(&asked).map(|found| found.name).map_err(|refused| refused.code), Ok(row.name));
            assert!(row.parameters.is_sorted());
        }
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert_eq!(TABLE.len(), 19);
    }
}
