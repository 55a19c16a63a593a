//! The credential report: who has which keys and devices, in AWS's columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::devices::enabled;
use super::perform::ActionPerformance;
use super::xml::ElementWriter;
use portcullis_base::clock::Timestamp;
use portcullis_sigv4::{KeyStatus, Principal};
use portcullis_state::AccessKey;

/// AWS's head.
const COLUMNS: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
                       password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,\
                       access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,\
                       access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,\
                       access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
                       cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

/// The columns of passwords, in the words that AWS has for root and for a user without one.
const ROOT_PASSWORD: &str = "not_supported,no_information,not_supported,not_supported";
const USER_PASSWORD: &str = "false,N/A,N/A,N/A";

impl ActionPerformance<'_> {
    /// The report as it is now; AWS's is up to four hours old.
    pub(super) fn credential_report(self) -> ElementWriter {
        let account = self.state.account();
        let has_device = self.state.devices().iter().any(|device| enabled(device).is_some());
        let root = format!("arn:aws:iam::{account}:root");
        let mut report = format!("{COLUMNS}\n");
        let keys = self.state.keys(&Principal::Root);
        report.push_str(&row("<root_account>", &root, ROOT_PASSWORD, self.state.account_created(), has_device, &keys));
        for user in self.state.users() {
            let arn = format!("arn:aws:iam::{account}:user/{}", user.name);
            let keys = self.state.keys(&Principal::User(user.name.clone()));
            // Only root has devices.
            report.push_str(&row(user.name.as_str(), &arn, USER_PASSWORD, user.created, false, &keys));
        }
        ElementWriter::new("Result")
            .text("Content", &STANDARD.encode(report))
            .text("ReportFormat", "text/csv")
            .text("GeneratedTime", &self.now.iso_extended())
    }
}

/// A line. There are no passwords and certificates, and it is not known when a key was last used; no name has a comma but a
/// user's, which is quoted.
fn row(name: &str, arn: &str, password: &str, created: Timestamp, mfa: bool, keys: &[AccessKey]) -> String {
    let key = |place: usize| match keys.get(place) {
        Some(key) => {
            let active = key.status == KeyStatus::Active;
            format!("{active},{},N/A,N/A,N/A", date(key.created))
        }
        None => "false,N/A,N/A,N/A,N/A".to_owned(),
    };
    let (first, second, created) = (key(0), key(1), date(created));
    let (name, arn) = (quoted(name), quoted(arn));
    format!("{name},{arn},{created},{password},{mfa},{first},{second},false,N/A,false,N/A\n")
}

/// As CSV has a text with a comma.
fn quoted(text: &str) -> String {
    if text.contains(',') { format!("\"{text}\"") } else { text.to_owned() }
}

/// `2026-11-28T09:30:00+00:00`, as the report has times.
fn date(time: Timestamp) -> String {
    time.iso_extended().replace('Z', "+00:00")
}
