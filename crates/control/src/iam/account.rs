//! What is told of the account as a whole, and lists of what it never has.

use super::devices::enabled;
use super::perform::ActionPerformance;
use super::xml::ElementWriter;
use portcullis_policy::PolicyKind;
use portcullis_sigv4::Principal;
use portcullis_state::{
    MOST_ATTACHED, MOST_GROUPS, MOST_GROUPS_OF_USER, MOST_KEYS, MOST_POLICIES, MOST_USERS, MOST_VERSIONS,
};

impl ActionPerformance<'_> {
    /// The entries of AWS's summary that are true here; of what is not kept there is none.
    pub(super) fn account_summary(self) -> ElementWriter {
        let devices = self.state.devices();
        let active = devices.iter().filter(|device| enabled(device).is_some()).count();
        let entries = [
            ("AccessKeysPerUserQuota", MOST_KEYS),
            ("AccountAccessKeysPresent", self.state.keys(&Principal::Root).len().min(1)),
            ("AccountMFAEnabled", active.min(1)),
            ("AccountPasswordPresent", 0),
            ("AccountSigningCertificatesPresent", 0),
            ("AttachedPoliciesPerGroupQuota", MOST_ATTACHED),
            ("AttachedPoliciesPerUserQuota", MOST_ATTACHED),
            ("GroupPolicySizeQuota", PolicyKind::GroupInline.longest()),
            ("Groups", self.state.groups().len()),
            ("GroupsPerUserQuota", MOST_GROUPS_OF_USER),
            ("GroupsQuota", MOST_GROUPS),
            ("MFADevices", devices.len()),
            ("MFADevicesInUse", active),
            ("Policies", self.state.policies().len()),
            ("PoliciesQuota", MOST_POLICIES),
            ("PolicySizeQuota", PolicyKind::Managed.longest()),
            ("Providers", 0),
            ("ServerCertificates", 0),
            ("UserPolicySizeQuota", PolicyKind::UserInline.longest()),
            ("Users", self.state.users().len()),
            ("UsersQuota", MOST_USERS),
            ("VersionsPerPolicyQuota", MOST_VERSIONS),
        ];
        let map = entries.into_iter().fold(ElementWriter::new("SummaryMap"), |map, (key, value)| {
            map.child(ElementWriter::new("entry").text("key", key).text("value", &value.to_string()))
        });
        ElementWriter::new("Result").child(map)
    }
}

/// A list without members.
pub(super) fn empty_list(name: &'static str) -> ElementWriter {
    ElementWriter::new("Result").list(name, []).text("IsTruncated", "false")
}
