//! What can be asked, and with which parameters.

use super::facts::ActionEffect;
use super::refused::IamError;
use portcullis_audit::changes_device;

/// The actions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IamAction {
    Code(CodeAction),
    Plain(PlainAction),
}

/// The actions on a device that may spend a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CodeAction {
    Deactivate,
    Enable,
    Resync,
}

/// The actions that look at no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PlainAction {
    AcceptClock,
    CreateAccessKey,
    CreateUser,
    CreateVirtualMfaDevice,
    DeleteAccessKey,
    DeleteUser,
    DeleteVirtualMfaDevice,
    GetClock,
    GetUser,
    ListAccessKeys,
    ListMfaDevices,
    ListUsers,
    ListVirtualMfaDevices,
    UpdateAccessKey,
}

/// An action's parameters, each of them known.
#[derive(Clone, Copy)]
pub(super) struct IamParameters<'a> {
    action: IamAction,
    values: &'a [(String, String)],
}

pub(super) const VERSION: &str = "2010-05-08";

/// A name, what it must carry and may carry, and whether it changes anything.
struct IamActionRow {
    action: IamAction,
    name: &'static str,
    effect: ActionEffect,
    parameters: &'static [&'static str],
}

const fn row(
    action: IamAction,
    name: &'static str,
    effect: ActionEffect,
    parameters: &'static [&'static str],
) -> IamActionRow {
    IamActionRow { action, name, effect, parameters }
}

/// `AcceptClock`, `GetClock` and `Digits` are ours: AWS sets its own clocks, and its devices show six.
const TABLE: &[IamActionRow] = &[
    row(IamAction::Plain(PlainAction::AcceptClock), "AcceptClock", ActionEffect::Changes, &[]),
    row(IamAction::Plain(PlainAction::CreateAccessKey), "CreateAccessKey", ActionEffect::Changes, &["UserName"]),
    row(IamAction::Plain(PlainAction::CreateUser), "CreateUser", ActionEffect::Changes, &["Path", "UserName"]),
    row(
        IamAction::Plain(PlainAction::CreateVirtualMfaDevice),
        "CreateVirtualMFADevice",
        ActionEffect::Changes,
        &["Digits", "Path", "VirtualMFADeviceName"],
    ),
    row(
        IamAction::Code(CodeAction::Deactivate),
        "DeactivateMFADevice",
        ActionEffect::Changes,
        &["SerialNumber", "UserName"],
    ),
    row(
        IamAction::Plain(PlainAction::DeleteAccessKey),
        "DeleteAccessKey",
        ActionEffect::Changes,
        &["AccessKeyId", "UserName"],
    ),
    row(IamAction::Plain(PlainAction::DeleteUser), "DeleteUser", ActionEffect::Changes, &["UserName"]),
    row(
        IamAction::Plain(PlainAction::DeleteVirtualMfaDevice),
        "DeleteVirtualMFADevice",
        ActionEffect::Changes,
        &["SerialNumber"],
    ),
    row(
        IamAction::Code(CodeAction::Enable),
        "EnableMFADevice",
        ActionEffect::Changes,
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
    ),
    row(IamAction::Plain(PlainAction::GetClock), "GetClock", ActionEffect::Reads, &[]),
    row(IamAction::Plain(PlainAction::GetUser), "GetUser", ActionEffect::Reads, &["UserName"]),
    row(
        IamAction::Plain(PlainAction::ListAccessKeys),
        "ListAccessKeys",
        ActionEffect::Reads,
        &["Marker", "MaxItems", "UserName"],
    ),
    row(
        IamAction::Plain(PlainAction::ListMfaDevices),
        "ListMFADevices",
        ActionEffect::Reads,
        &["Marker", "MaxItems", "UserName"],
    ),
    row(
        IamAction::Plain(PlainAction::ListUsers),
        "ListUsers",
        ActionEffect::Reads,
        &["Marker", "MaxItems", "PathPrefix"],
    ),
    row(
        IamAction::Plain(PlainAction::ListVirtualMfaDevices),
        "ListVirtualMFADevices",
        ActionEffect::Reads,
        &["AssignmentStatus", "Marker", "MaxItems"],
    ),
    row(
        IamAction::Code(CodeAction::Resync),
        "ResyncMFADevice",
        ActionEffect::Changes,
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
    ),
    row(
        IamAction::Plain(PlainAction::UpdateAccessKey),
        "UpdateAccessKey",
        ActionEffect::Changes,
        &["AccessKeyId", "Status", "UserName"],
    ),
];

impl IamAction {
    /// Reads which action is asked for, and of which version.
    pub(super) fn find(parameters: &[(String, String)]) -> Result<Self, IamError> {
        let name = value(parameters, "Action").ok_or_else(IamError::missing_action)?;
        // A client of ours need not say the version; one that says another means other answers.
        let version = value(parameters, "Version").unwrap_or(VERSION);
        let found = TABLE.iter().find(|row| row.name == name).filter(|_| version == VERSION);
        found.map(|row| row.action).ok_or_else(|| IamError::unknown_action(name, version))
    }

    /// The name as AWS writes it.
    pub(super) fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Whether it changes anything.
    pub(super) fn effect(self) -> ActionEffect {
        self.row().map_or(ActionEffect::Changes, |row| row.effect)
    }

    fn row(self) -> Option<&'static IamActionRow> {
        TABLE.iter().find(|row| row.action == self)
    }
}

impl<'a> IamParameters<'a> {
    /// Takes parameters that the action knows; what is not understood is refused, not dropped.
    pub(super) fn read(action: IamAction, values: &'a [(String, String)]) -> Result<Self, IamError> {
        let known = action.row().map_or(&[][..], |row| row.parameters);
        for (index, (name, _)) in values.iter().enumerate() {
            if !known.contains(&name.as_str()) && name != "Action" && name != "Version" {
                return Err(IamError::unknown_parameter(name));
            }
            if values.iter().take(index).any(|(seen, _)| seen == name) {
                return Err(IamError::repeated_parameter(name));
            }
        }
        Ok(Self { action, values })
    }

    /// The value of a parameter that may be left out.
    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        value(self.values, name)
    }

    /// The value of a parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, IamError> {
        self.optional(name).filter(|value| !value.is_empty()).ok_or_else(|| IamError::missing_parameter(name))
    }

    /// Whether they change a device of root's, whose name is left out.
    pub(super) fn concern_roots_device(&self) -> bool {
        changes_device(self.action.name()) && self.optional("UserName").is_none()
    }

    /// Those that may be recorded, which codes may not.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let values = self.values;
        let known = self.action.row().map_or(&[][..], |row| row.parameters);
        let recorded = known.iter().filter(|name| !name.starts_with("AuthenticationCode"));
        recorded.filter_map(move |name| value(values, name).map(|value| (*name, value)))
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
            assert_eq!(row.action.name(), row.name);
            let asked = [("Action".to_owned(), row.name.to_owned())];
            assert_eq!(IamAction::find(&asked).map_err(|refused| refused.code), Ok(row.action));
            assert!(row.parameters.is_sorted());
        }
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert_eq!(TABLE.len(), 17);
    }
}
