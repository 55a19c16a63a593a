//! The configuration: the file as written, and the settings as checked.

mod credentials;
mod file;
mod mistake;
mod quantity;
mod reader;
mod settings;
mod trail;
mod value;

pub use credentials::{Credentials, CredentialsError, FileExposure};
pub use file::SettingOrigin;
pub use mistake::{ConfigMistake, ConfigMistakes};
pub use quantity::{InvalidQuantity, parse_duration, parse_size};
pub use settings::{
    AccountSettings, AuditSettings, HistorySettings, LimitSettings, ListenSettings, MfaDeleteSettings, MfaSettings,
    Settings, StateSettings, UpstreamSettings,
};
pub use trail::TrailSettings;
