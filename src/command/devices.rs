//! Root's MFA devices, as the admin socket lists them.

use super::admin::{AdminClient, AdminError, AdminRequest};

/// One MFA device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RootDevice {
    pub serial: String,
    /// The time of activation, if it is active.
    pub enabled: Option<String>,
}

/// Every device, active or not.
pub(super) async fn list(admin: &AdminClient) -> Result<Vec<RootDevice>, AdminError> {
    let members = admin.list(AdminRequest::new("ListVirtualMFADevices"), "VirtualMFADevices").await?;
    members
        .iter()
        .map(|member| {
            let serial = member.filled_text_of("SerialNumber").ok_or(AdminError::Wanting("SerialNumber"))?.to_owned();
            Ok(RootDevice { serial, enabled: member.filled_text_of("EnableDate").map(str::to_owned) })
        })
        .collect()
}

impl RootDevice {
    /// Its own name: what follows the last `/`, else the whole serial.
    pub(super) fn name(&self) -> &str {
        self.serial.rsplit('/').next().unwrap_or(&self.serial)
    }

    /// Whether it is active.
    pub(super) fn is_active(&self) -> bool {
        self.enabled.is_some()
    }
}
