//! What can be asked, and with which parameters.

use super::facts::Effect;
use super::refused::Refused;
use portcullis_audit::changes_device;

/// The actions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Code(CodeAction),
    Plain(PlainAction),
}

/// The actions that may spend a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeAction {
    DeactivateMfaDevice,
    EnableMfaDevice,
    ResyncMfaDevice,
}

/// The actions that look at no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlainAction {
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
pub struct Parameters<'a> {
    action: Action,
    values: &'a [(String, String)],
}

pub const VERSION: &str = "2010-05-08";

/// A name, what it must carry and may carry, and whether it changes anything.
struct Row {
    action: Action,
    name: &'static str,
    effect: Effect,
    parameters: &'static [&'static str],
}

const fn row(action: Action, name: &'static str, effect: Effect, parameters: &'static [&'static str]) -> Row {
    Row { action, name, effect, parameters }
}

/// `AcceptClock`, `GetClock` and `Digits` are ours: AWS sets its own clocks, and its devices show six.
const TABLE: &[Row] = &[
    row(Action::Plain(PlainAction::AcceptClock), "AcceptClock", Effect::Changes, &[]),
    row(Action::Plain(PlainAction::CreateAccessKey), "CreateAccessKey", Effect::Changes, &["UserName"]),
    row(Action::Plain(PlainAction::CreateUser), "CreateUser", Effect::Changes, &["Path", "UserName"]),
    row(
        Action::Plain(PlainAction::CreateVirtualMfaDevice),
        "CreateVirtualMFADevice",
        Effect::Changes,
        &["Digits", "Path", "VirtualMFADeviceName"],
    ),
    row(
        Action::Code(CodeAction::DeactivateMfaDevice),
        "DeactivateMFADevice",
        Effect::Changes,
        &["SerialNumber", "UserName"],
    ),
    row(Action::Plain(PlainAction::DeleteAccessKey), "DeleteAccessKey", Effect::Changes, &["AccessKeyId", "UserName"]),
    row(Action::Plain(PlainAction::DeleteUser), "DeleteUser", Effect::Changes, &["UserName"]),
    row(
        Action::Plain(PlainAction::DeleteVirtualMfaDevice),
        "DeleteVirtualMFADevice",
        Effect::Changes,
        &["SerialNumber"],
    ),
    row(
        Action::Code(CodeAction::EnableMfaDevice),
        "EnableMFADevice",
        Effect::Changes,
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
    ),
    row(Action::Plain(PlainAction::GetClock), "GetClock", Effect::Reads, &[]),
    row(Action::Plain(PlainAction::GetUser), "GetUser", Effect::Reads, &["UserName"]),
    row(
        Action::Plain(PlainAction::ListAccessKeys),
        "ListAccessKeys",
        Effect::Reads,
        &["Marker", "MaxItems", "UserName"],
    ),
    row(
        Action::Plain(PlainAction::ListMfaDevices),
        "ListMFADevices",
        Effect::Reads,
        &["Marker", "MaxItems", "UserName"],
    ),
    row(Action::Plain(PlainAction::ListUsers), "ListUsers", Effect::Reads, &["Marker", "MaxItems", "PathPrefix"]),
    row(
        Action::Plain(PlainAction::ListVirtualMfaDevices),
        "ListVirtualMFADevices",
        Effect::Reads,
        &["AssignmentStatus", "Marker", "MaxItems"],
    ),
    row(
        Action::Code(CodeAction::ResyncMfaDevice),
        "ResyncMFADevice",
        Effect::Changes,
        &["AuthenticationCode1", "AuthenticationCode2", "SerialNumber", "UserName"],
    ),
    row(
        Action::Plain(PlainAction::UpdateAccessKey),
        "UpdateAccessKey",
        Effect::Changes,
        &["AccessKeyId", "Status", "UserName"],
    ),
];

impl Action {
    /// Reads which action is asked for, and of which version.
    pub fn find(parameters: &[(String, String)]) -> Result<Self, Refused> {
        let name = value(parameters, "Action").ok_or_else(Refused::missing_action)?;
        // A client of ours need not say the version; one that says another means other answers.
        let version = value(parameters, "Version").unwrap_or(VERSION);
        let found = TABLE.iter().find(|row| row.name == name).filter(|_| version == VERSION);
        found.map(|row| row.action).ok_or_else(|| Refused::unknown_action(name, version))
    }

    /// The name as AWS writes it.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Whether it changes anything.
    pub fn effect(self) -> Effect {
        self.row().map_or(Effect::Changes, |row| row.effect)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.action == self)
    }
}

impl<'a> Parameters<'a> {
    /// Takes parameters that the action knows; what is not understood is refused, not dropped.
    pub fn read(action: Action, values: &'a [(String, String)]) -> Result<Self, Refused> {
        let known = action.row().map_or(&[][..], |row| row.parameters);
        for (index, (name, _)) in values.iter().enumerate() {
            if !known.contains(&name.as_str()) && name != "Action" && name != "Version" {
                return Err(Refused::unknown_parameter(name));
            }
            if values.iter().take(index).any(|(seen, _)| seen == name) {
                return Err(Refused::repeated_parameter(name));
            }
        }
        Ok(Self { action, values })
    }

    /// The value of a parameter that may be left out.
    pub fn optional(&self, name: &str) -> Option<&'a str> {
        value(self.values, name)
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&'a str, Refused> {
        self.optional(name).filter(|value| !value.is_empty()).ok_or_else(|| Refused::missing_parameter(name))
    }

    /// Whether they change a device of root's, whose name is left out.
    pub fn concern_roots_device(&self) -> bool {
        changes_device(self.action.name()) && self.optional("UserName").is_none()
    }

    /// Those that may be recorded, which codes may not.
    pub fn recorded(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
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
            assert_eq!(Action::find(&asked).map_err(|refused| refused.code), Ok(row.action));
            assert!(row.parameters.is_sorted());
        }
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert_eq!(TABLE.len(), 17);
    }
}
