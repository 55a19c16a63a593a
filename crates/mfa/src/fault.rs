//! Why an offer was not accepted.

use thiserror::Error;

/// Why an offer was not accepted; the client sees less of it than the record does.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MfaFault {
    /// It is unknown which code is current.
    #[error("the clock was set and is not trusted")]
    ClockDisagrees,
    /// After failures a device wants two, and then three, codes of consecutive time steps.
    #[error("more consecutive codes are required")]
    MoreCodesNeeded,
    /// The caller's network offered too many codes for this device.
    #[error("the network offered too many codes, and may offer another in {seconds} s")]
    NetworkThrottled { seconds: u32 },
    /// A token that cannot be a code; not counted as a failure.
    #[error("the code is not all digits")]
    NotDigits,
    /// The code's time step, or a later one, was spent before.
    #[error("the code was used before")]
    Replayed,
    /// Evaluations queue up for this device.
    #[error("too many codes at once")]
    TooManyAtOnce,
    /// No active device of this principal has this serial number.
    #[error("the serial number is not of a device of the caller")]
    UnknownDevice,
    #[error("the code is wrong")]
    WrongCode,
}
