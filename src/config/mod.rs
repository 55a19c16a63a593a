//! What the operator chose: the file as written, and the settings as checked.

mod buckets;
mod choice;
mod credentials;
mod endpoint;
mod file;
mod mistake;
mod network;
mod quantity;
mod reader;
mod settings;
mod trail;
mod value;

pub use buckets::{BucketPattern, InvalidBucketPattern};
pub use choice::{DeviceDigits, GateProfile, OnFailure, ReadRecords, RequireTls, UpstreamProfile};
pub use credentials::{Credentials, CredentialsError, Exposure};
pub use endpoint::{Endpoint, InvalidEndpoint, Scheme};
pub use file::Origin;
pub use mistake::{Mistake, Mistakes};
pub use network::{InvalidNetwork, Network};
pub use quantity::{InvalidQuantity, parse_duration, parse_size};
pub use settings::{Account, Audit, History, Limits, Listen, Mfa, MfaDelete, Settings, State, TlsFiles, Upstream};
pub use trail::{Trail, Witness};
